"""Compares what a target gave with what the reference defines, and finds the first place where they part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from snncc.arrays import Array
from snncc.runner import Trace

What = Literal["spikes", "membrane", "output"]


@dataclass(frozen=True)
class Difference:
    """Where target and reference part first: earliest sample, then step, then population, then neuron."""

    what: What
    name: str
    sample: int
    step: int
    neuron: int
    expected: int
    found: int

    def __str__(self) -> str:
        return (
            f"{self.name}: {self.what} of neuron {self.neuron} at step {self.step} of sample {self.sample}: "
            f"the reference gives {self.expected}, the target {self.found}"
        )


@dataclass(frozen=True)
class Verification:
    """How much was compared, and what differed: `values` counts spikes, membranes and outputs, one a neuron-step."""

    samples: int
    values: int
    differing: int
    difference: Difference | None

    @property
    def equal(self) -> bool:
        return self.difference is None


def compare(expected: Trace, found: Trace, populations: Sequence[str], first_sample: int = 0) -> Verification:
    """Compare two traces over the same samples; `populations` gives the order in which a step is computed."""
    values = differing = 0
    best: tuple[tuple[int, int, int, int], Difference] | None = None
    for rank, (what, name, want, have) in enumerate(_pairs(expected, found, populations)):
        values += want.size
        unequal = want != have if want.shape == have.shape else np.ones(want.shape, bool)
        if not unequal.any():
            continue
        differing += int(unequal.sum())
        sample, step, neuron = (int(each) for each in np.unravel_index(int(np.argmax(unequal)), want.shape))
        got = int(have[sample, step, neuron]) if want.shape == have.shape else 0
        place = (sample, step, rank, neuron)
        if best is None or place < best[0]:
            expected_value = int(want[sample, step, neuron])
            best = place, Difference(what, name, first_sample + sample, step, neuron, expected_value, got)
    samples = len(next(iter(expected.outputs.values())))
    return Verification(samples, values, differing, best[1] if best else None)


def _pairs(expected: Trace, found: Trace, populations: Sequence[str]) -> Iterator[tuple[What, str, Array, Array]]:
    nothing = np.empty((0, 0, 0), np.int64)
    for name in populations:
        yield "membrane", name, expected.membranes[name], found.membranes.get(name, nothing)
        yield "spikes", name, expected.spikes[name], found.spikes.get(name, nothing)
    for name, want in expected.outputs.items():
        yield "output", name, want, found.outputs.get(name, nothing)


def joined(parts: Sequence[Verification]) -> Verification:
    """The verdict over consecutive parts of a data set."""
    return Verification(
        sum(each.samples for each in parts),
        sum(each.values for each in parts),
        sum(each.differing for each in parts),
        next((each.difference for each in parts if each.difference), None),
    )
