"""Compares what a target gave with what the reference defines, and finds the first place where they part."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from snncc.arrays import Array
from snncc.integers import Learnt
from snncc.runner import Trace

What = Literal["spikes", "membrane", "output", "trace", "weight", "learnt threshold"]


@dataclass(frozen=True)
class Difference:
    """Where target and reference part first: earliest sample, then step, then population, then neuron.

    What is learnt is compared after the last sample; of a weight, `neuron` is the target, and `step` the source.
    """

    what: What
    name: str
    sample: int
    step: int
    neuron: int
    expected: int
    found: int

    def __str__(self) -> str:
        gives = f"the reference gives {self.expected}, the target {self.found}"
        if self.what == "weight":
            where = f"synapse {self.step} -> {self.neuron} after sample {self.sample}"
            return f"{self.name}: weight of {where}: {gives} (as stored)"
        if self.what == "trace":
            return f"{self.name}: at neuron {self.neuron} after step {self.step} of sample {self.sample}: {gives}"
        if self.what == "learnt threshold":
            return f"{self.name}: learnt threshold of neuron {self.neuron} after sample {self.sample}: {gives}"
        return f"{self.name}: {self.what} of neuron {self.neuron} at step {self.step} of sample {self.sample}: {gives}"


@dataclass(frozen=True)
class Verification:
    """How much was compared, and what differed: `values` counts spikes, membranes and outputs, one a neuron-step.

    `traces` of the values are traces, one a neuron-step, 0 where the target does not give them. Learnt weights and
    thresholds, `learnt` of the values, count once after each part.
    """

    samples: int
    values: int
    differing: int
    difference: Difference | None
    learnt: int = 0
    traces: int = 0

    @property
    def equal(self) -> bool:
        return self.difference is None

    @property
    def kinds(self) -> str:
        """What was compared, in words."""
        found = ["spikes", "membranes", "outputs", *["traces"] * bool(self.traces)]
        found += ["what was learnt"] * bool(self.learnt)
        return f"{', '.join(found[:-1])} and {found[-1]}"


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
    seen, wrong, first = _learnt(expected.learnt, found.learnt, first_sample + samples - 1)
    traced = sum(each.size for each in expected.traces.values()) if found.traces else 0
    return Verification(samples, values + seen, differing + wrong, best[1] if best else first, seen, traced)


def _learnt(expected: Learnt | None, found: Learnt | None, sample: int) -> tuple[int, int, Difference | None]:
    """How much was learnt, how much of it differs, and the first place where it does."""
    if expected is None:
        return 0, 0, None
    values = differing = 0
    first: Difference | None = None
    kinds: tuple[tuple[What, Mapping[str, Array], Mapping[str, Array]], ...] = (
        ("weight", expected.weights, found.weights if found else {}),
        ("learnt threshold", expected.adaptations, found.adaptations if found else {}),
    )
    for what, wanted, had in kinds:
        for name, want in wanted.items():
            have = had.get(name)
            values += want.size
            unequal = want != have if have is not None and want.shape == have.shape else np.ones(want.shape, bool)
            differing += int(unequal.sum())
            if unequal.any() and first is None:
                at = np.unravel_index(int(np.argmax(unequal)), want.shape)
                neuron, source = (int(at[0]), int(at[1])) if what == "weight" else (int(np.argmax(unequal)), 0)
                got = int(have[at]) if have is not None and want.shape == have.shape else 0
                first = Difference(what, name, sample, source, neuron, int(want[at]), got)
    return values, differing, first


def _pairs(expected: Trace, found: Trace, populations: Sequence[str]) -> Iterator[tuple[What, str, Array, Array]]:
    nothing = np.empty((0, 0, 0), np.int64)
    for name in populations:
        yield "membrane", name, expected.membranes[name], found.membranes.get(name, nothing)
        yield "spikes", name, expected.spikes[name], found.spikes.get(name, nothing)
    for name, want in expected.outputs.items():
        yield "output", name, want, found.outputs.get(name, nothing)
    for name, want in expected.traces.items() if found.traces else ():
        yield "trace", name, want, found.traces.get(name, nothing)


def joined(parts: Sequence[Verification]) -> Verification:
    """The verdict over consecutive parts of a data set."""
    return Verification(
        sum(each.samples for each in parts),
        sum(each.values for each in parts),
        sum(each.differing for each in parts),
        next((each.difference for each in parts if each.difference), None),
        sum(each.learnt for each in parts),
        sum(each.traces for each in parts),
    )
