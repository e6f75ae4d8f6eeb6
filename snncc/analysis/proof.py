"""Proves what an integer network's sums and states can reach, by interval arithmetic over its real weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Span = tuple[int, int]
Kind = Literal["safe", "safe for steps", "may overflow"]


@dataclass(frozen=True)
class Verdict:
    """Whether a state register can ever be left.

    `reach` encloses every value that the register can hold when it is read (after `fit`). `steps` is set for `safe
    for steps`: no value leaves the register within so many steps of a sample. `witness` describes, for the other two
    kinds, the neuron and the input that drive it out.
    """

    kind: Kind
    reach: Span
    steps: int | None = None
    witness: str = ""


@dataclass(frozen=True)
class PopulationProof:
    """`acc` encloses the step's sum of synaptic input over all neurons, before the input shift."""

    acc: Span
    membrane: Verdict
    current: Verdict | None = None
    adapt: Verdict | None = None


@dataclass(frozen=True)
class Proof:
    """By population, and by synapse the enclosure of its own sum before the exponent."""

    populations: Mapping[str, PopulationProof]
    synapses: Mapping[str, Span]
