"""Networks in the words of their chip: the same spikes where that is possible, and the nearest parameters where not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from snncc import chip as chips
from snncc.chip import Chip, Parameters
from snncc.graph import Edge, Graph
from snncc.integers import Decay, Fire, HardReset, Membrane, Network, Output, Population, Register, Source, Synapse
from snncc.linear import Dense
from snncc.passes.express import express, split
from snncc.semantics import run

HOST = chips.load("host")
GRID = Parameters(threshold_bits=17, threshold_shift=6, bias_bits=13, bias_exponent=(0, 7))


def network(fire: Fire, *, amount: int = 0, bias: int = 0) -> Network:
    decay = Decay(np.array(amount), 12, "zero")
    membrane = Membrane(decay, Register(-(1 << 20), (1 << 20) - 1), np.array(bias))
    ops = {
        "x": Source((1,), 8, signed=True),
        "w": Synapse(Dense(np.array([[3]], np.int8))),
        "p": Population((1,), membrane, fire, HardReset(), input_shift=6),
        "y": Output("spikes", "after", "count"),
    }
    return Graph(ops, [Edge("x", "w"), Edge("w", "p"), Edge("p", "y")])


def population(network: Network) -> Population:
    return network.of_kind(Population)["p"]


def without(*capabilities: str) -> Chip:
    return replace(HOST, capabilities=tuple(each for each in HOST.capabilities if each not in capabilities))


@pytest.mark.parametrize("inclusive", [False, True])
def test_a_comparison_that_the_chip_lacks_becomes_the_other(inclusive: bool) -> None:
    original = network(Fire(np.array(576), inclusive))
    chip = without("inclusive-threshold" if inclusive else "strict-threshold")
    changed = express(original, chip)
    fire = population(changed).fire
    assert fire is not None
    assert (int(fire.threshold), fire.inclusive) == ((575, False) if inclusive else (577, True))
    x = np.arange(-127, 128).reshape(-1, 1, 1)
    assert np.array_equal(run(original, x).outputs["y"], run(changed, x).outputs["y"])


def test_nothing_changes_where_the_chip_has_it_all() -> None:
    original = network(Fire(np.array(570), inclusive=True))
    assert express(original, HOST) is original


@pytest.mark.parametrize(("inclusive", "threshold"), [(False, 570), (False, 576), (True, 576), (True, 577)])
def test_a_threshold_between_the_membranes_values_moves_without_harm(inclusive: bool, threshold: int) -> None:
    original = network(Fire(np.array(threshold), inclusive))
    changed = express(original, replace(HOST, parameters=GRID))
    fire = population(changed).fire
    assert fire is not None
    assert (int(fire.threshold) - inclusive) % 64 == 0
    x = np.arange(-127, 128).reshape(-1, 1, 1)
    assert np.array_equal(run(original, x).outputs["y"], run(changed, x).outputs["y"])


def test_a_threshold_of_a_neuron_that_leaks_is_rounded() -> None:
    fire = population(express(network(Fire(np.array(610), False), amount=99), replace(HOST, parameters=GRID))).fire
    assert fire is not None
    assert int(fire.threshold) == 640


@pytest.mark.parametrize("amount", [0, 99])
def test_thresholds_that_must_give_the_same_spikes_are_not_rounded_to_others(amount: int) -> None:
    original = network(Fire(np.array(610), False), amount=amount)
    changed = express(original, replace(HOST, parameters=GRID), same_spikes=True)
    fire = population(changed).fire
    assert fire is not None
    assert int(fire.threshold) == (610 if amount else 576)
    x = np.arange(-127, 128).reshape(-1, 1, 1).repeat(6, axis=1)
    assert np.array_equal(run(original, x).outputs["y"], run(changed, x).outputs["y"])


def test_registers_get_the_ends_of_the_chip() -> None:
    chip = replace(HOST, membrane=replace(HOST.membrane, bits=24, ends="symmetric"))
    changed = population(express(network(Fire(np.array(5), True)), chip))
    assert changed.membrane.register == Register(-(1 << 23) + 1, (1 << 23) - 1)
    shifted = replace(HOST.current, bits=24, ends="shifted", overflow="wrap").register
    assert shifted == Register(-(1 << 23) + 1, 1 << 23, "wrap")


def test_a_bias_is_split_exactly_or_to_the_nearest() -> None:
    bias = np.array([0, 4095, -4096, 4096, -4097, 4098, 4095 << 7, (4095 << 7) + 1, -4096 << 7, 5 << 20])
    mantissa, exponent = split(bias, GRID)
    assert mantissa.tolist() == [0, 4095, -4096, 2048, -2048, 2049, 4095, 4095, -4096, 4095]
    assert exponent.tolist() == [0, 0, 0, 1, 1, 1, 7, 7, 7, 7]
    changed = population(express(network(Fire(np.array(5), True), bias=4099), replace(HOST, parameters=GRID)))
    assert int(changed.membrane.bias) == 4100
