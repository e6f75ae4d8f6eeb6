"""Rounds an ideal network to the integers of an event-driven chip: each neuron on a grid of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from snncc.arrays import Floats, Ints
from snncc.backends.tinyodin.ideal import Ideal
from snncc.chip import Chip, Crossbar
from snncc.events import ops
from snncc.integers import Register
from snncc.passes.grids import exact_step, top

_RATIOS = (1.0, 0.85, 0.7, 0.6, 0.5, 0.4)  # of a neuron's largest weight: where clipping may start
_FINE = 1 << 22  # steps up to the threshold, where rounding should not matter


@dataclass(frozen=True)
class Widths:
    """The greatest and least integers of a chip: weights of `bits`, membranes, thresholds, leaks."""

    bits: int
    register: Register
    threshold: int
    leak: int

    @property
    def weight(self) -> tuple[int, int]:
        return -(1 << (self.bits - 1)), top(self.bits)


def widths(chip: Chip, limits: Crossbar, bits: int) -> Widths:
    """Those of a chip. A threshold beyond the register would never be reached."""
    most = (1 << (chip.membrane.bits - 1)) - 1
    return Widths(
        bits,
        Register(-most - 1, most),
        min((1 << int(limits.threshold_bits.value)) - 1, most),
        (1 << int(limits.leak_bits.value)) - 1,
    )


@dataclass(frozen=True, eq=False)
class Numbers:
    """Integers for an ideal's floats, arrays as there: a neuron fires at `threshold` or above.

    `quantum` (neurons,) is what 1 of a neuron's membrane stands for.
    """

    weights: Ints
    threshold: Ints
    leak: Ints
    initial: Ints
    quantum: Floats


def quanta(given: Ideal, limits: Widths) -> tuple[Floats, ...]:
    """Grids to choose among, each (neurons,); where the weights lie on a grid that fits, it is the only one."""
    largest = np.abs(given.weights).max(axis=0, initial=0)
    exact = np.array([exact_step(column, top(limits.bits)) or np.nan for column in given.weights.T]).reshape(-1)
    choices: list[Floats] = []
    for ratio in _RATIOS:
        quantum = np.where(np.isnan(exact), largest * ratio / top(limits.bits), exact)
        # No finer than the threshold allows; and some grid for neurons without any input.
        choices.append(np.where(largest > 0, np.maximum(quantum, given.threshold / limits.threshold), given.threshold))
    return tuple(choices)


def rounded(given: Ideal, quantum: Floats, limits: Widths) -> Numbers:
    """The nearest integers on a grid; nothing leaks yet."""
    low, high = limits.weight
    threshold = np.clip(thresholds(given, quantum), 1, limits.threshold)
    initial = np.clip(np.rint(given.initial / quantum), limits.register.lo, threshold - 1)
    return Numbers(
        weights=np.clip(np.rint(given.weights / quantum), low, high).astype(np.int64),
        threshold=threshold.astype(np.int64),
        leak=np.zeros(given.neurons, np.int64),
        initial=initial.astype(np.int64),
        quantum=quantum,
    )


def fine(given: Ideal) -> Numbers:
    """On a grid so fine that rounding hardly matters, yet of integers, so that sums are exact on every machine."""
    quantum = given.threshold / _FINE
    return Numbers(
        weights=np.rint(given.weights / quantum).astype(np.int64),
        threshold=thresholds(given, quantum).astype(np.int64),
        leak=np.zeros(given.neurons, np.int64),
        initial=np.rint(given.initial / quantum).astype(np.int64),
        quantum=quantum,
    )


def thresholds(given: Ideal, quantum: Floats) -> Floats:
    """The least integer at which each neuron fires; up to float32's rounding, a whole number is taken as one."""
    exact = given.threshold / quantum
    slack = 1e-6 * np.maximum(exact, 1)
    return np.where(given.inclusive, np.ceil(exact - slack), np.floor(exact + slack) + 1)


def plain(given: Ideal, limits: Widths) -> Numbers:
    """Each neuron on the grid that rounds its weights best, in the sum of squares."""
    choices = quanta(given, limits)
    errors = [((rounded(given, each, limits).weights * each - given.weights) ** 2).sum(axis=0) for each in choices]
    return rounded(given, np.choose(np.argmin(errors, axis=0), choices), limits)


def crossbar(given: Ideal, numbers: Numbers, limits: Widths) -> ops.Crossbar:
    """The numbers as a network that can be run."""
    ends = np.ones(given.neurons, np.int64)
    return ops.Crossbar(
        numbers.weights,
        numbers.threshold,
        numbers.leak,
        numbers.initial,
        ends * limits.register.lo,
        ends * limits.register.hi,
        given.parts,
    )


def orders(given: Ideal) -> Iterator[Ints]:
    """Orders for the channels of a step: as they come; those that inhibit most first; those that excite most first."""
    drive = (given.weights[given.neurons :] / given.threshold).sum(axis=1)
    yield np.arange(given.channels)
    yield np.argsort(drive, kind="stable")
    yield np.argsort(-drive, kind="stable")
