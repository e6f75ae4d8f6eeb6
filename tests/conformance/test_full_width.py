"""Neurons as wide as the chip's registers: around 0, each rounding boundary, the threshold and a register's ends."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import get_args

import numpy as np
import pytest

from snncc.arithmetic import Overflow, Rounding
from snncc.arrays import Array
from snncc.chip import Chip
from snncc.integers import (
    Adapt,
    Current,
    Decay,
    Fire,
    HardReset,
    Membrane,
    Population,
    Register,
    SoftReset,
    Source,
)
from tests.conformance.backends import (
    CANDIDATES,
    Candidate,
    assert_conforms,
    each_on_this_computer,
    each_variant,
    expect,
)
from tests.conformance.tables import Table, table

ROUNDINGS: tuple[Rounding, ...] = get_args(Rounding)
OVERFLOWS: tuple[Overflow, ...] = get_args(Overflow)
NARROW = Source((1,), 3, signed=True)  # -3..3: what a step adds to a state near an edge


def around(*centres: int) -> set[int]:
    return {centre + off for centre in centres for off in (-2, -1, 0, 1, 2)}


def boundaries(register: Register, decay: Decay) -> set[int]:
    """States on both sides of where the rounding of a decay turns: its product passes a multiple of a half."""
    found: set[int] = set()
    half, amounts = 1 << decay.bits >> 1, decay.amount.reshape(-1).tolist()
    for amount in amounts:
        kept = (1 << decay.bits) - amount
        for multiple in (-(1 << 20) + 1, -3, -2, -1, 1, 2, 3, (1 << 20) + 1):
            if kept:
                found |= {multiple * half // kept + off for off in (-1, 0, 1)}
    return {x for x in found if register.lo <= x <= register.hi}


def states(register: Register, decay: Decay, threshold: int) -> Array:
    found = around(0, threshold, -threshold, register.lo, register.hi, register.lo // 2, register.hi // 2)
    return np.array(sorted(x for x in found | boundaries(register, decay) if register.lo <= x <= register.hi))


def neurons(chip: Chip, bits: int, rounding: Rounding, overflow: Overflow) -> Iterator[tuple[str, Population]]:
    """A neuron for each state of interest and each amount of decay; thresholds in the middle and at the top."""
    highest = (1 << (chip.membrane.bits - 1)) - 1
    register = Register(-highest - 1, highest, overflow)
    whole = 1 << bits
    decay = Decay(np.array([[0], [1], [whole // 2 - 1], [whole // 2], [whole - 1], [whole]]), bits, rounding)
    label = f"{bits}_{rounding}_{overflow}"
    for threshold, inclusive in ((highest // 5 * 3, False), (highest, True), (highest - 1, False)):
        start = states(register, decay, threshold)
        bias = np.resize([0, 0, 1, -1, highest, register.lo, 0, 0, 0, 2], len(start))
        membrane = Membrane(decay, register, bias, initial=start)
        shape = (len(decay.amount), len(start))
        fire = Fire(np.array(threshold), inclusive)
        yield f"soft_{label}_{threshold}", Population(shape, membrane, fire, SoftReset(np.array(threshold)))
        later = HardReset(np.array(register.lo), delay=1)
        current = Current(decay, register, start[::-1])
        yield f"current_{label}_{threshold}", Population(shape, membrane, fire, later, current, input_shift=12)
    narrow = Register(-(1 << 15), (1 << 15) - 1, overflow)
    adapt = Adapt(
        Decay(decay.amount, bits, rounding), narrow, np.array(32767), np.resize([-32768, 0, 32767], len(start))
    )
    yield f"adapt_{label}", Population(shape, membrane, fire, SoftReset(np.array(1), 1, adaptive=True), adapt=adapt)
    many = Fire(np.array(3), True, max_spikes=255)
    yield f"many_{label}", Population(shape, membrane, many, SoftReset(np.array(3)))


def build(chip: Chip, rounding: Rounding, every: int = 1) -> Table:
    low, high = chip.membrane.decay_bits
    widths = {low, min(high, chip.membrane.product_bits - chip.membrane.bits), high}
    rows = {
        name: op
        for bits, overflow in product(sorted(widths), OVERFLOWS)
        for name, op in neurons(chip, bits, rounding, overflow)
    }
    return table(dict(list(rows.items())[::every]), NARROW, steps=3)


@pytest.mark.parametrize("rounding", ROUNDINGS)
@each_on_this_computer
def test_registers_as_wide_as_the_chips(candidate: Candidate, rounding: Rounding) -> None:
    """Every other neuron; all of them, and emulators, have their turn below, which takes seconds each."""
    full = build(candidate.chip, rounding, max(2, candidate.every))
    assert_conforms(candidate, full.network, full.x)


@pytest.mark.slow
@pytest.mark.parametrize("rounding", ROUNDINGS)
@each_variant
def test_registers_as_wide_as_the_chips_however_built(candidate: Candidate, rounding: Rounding) -> None:
    full = build(candidate.chip, rounding)
    assert_conforms(candidate, full.network, full.x)


@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_the_tables_reach_both_ends_and_both_sides_of_a_half(rounding: Rounding) -> None:
    chip = CANDIDATES[0].chip
    full = build(chip, rounding)
    expected = expect(full.network, full.x)
    highest = (1 << (chip.membrane.bits - 1)) - 1
    held = np.unique(np.concatenate([each.reshape(-1) for each in expected.membranes.values()]))
    assert {-highest - 1, highest, -1, 0, 1} <= set(held.tolist())
    assert all(each.any() for each in expected.spikes.values())
