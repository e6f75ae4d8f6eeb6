"""The records of neuron recognition: what a region does, what a reading of it claims, and why a reading fails."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from snncc.arrays import Array, Floats
from snncc.frontends.onnx.affine import Affine
from snncc.frontends.onnx.forest import FALSE, Forest, Tree
from snncc.frontends.onnx.region import Meaning

Exported = Literal["after", "before", "held"]
UNBOUNDED = 2**31 - 1  # as many spikes in one step as the membrane asks for


class MisfitError(Exception):
    """Why a reading does not work; of several, the one with the highest rank saw most and is shown."""

    def __init__(self, rule: str, message: str, hint: str = "", rank: int = 1) -> None:
        super().__init__(message)
        self.rule, self.message, self.hint, self.rank = rule, message, hint, rank


@dataclass(frozen=True, eq=False)
class Behaviour:
    """What a region computes: its event (None if nothing fires) and the next value of each state, by state name.

    `flags` maps each state that holds the last spike, and is used as such, to its question in the forest;
    `echoes` are such states used as plain numbers, which makes them input streams one step late.
    """

    forest: Forest
    event: Tree | None
    next: Mapping[str, Tree]
    flags: Mapping[str, int] = field(default_factory=dict[str, int])
    echoes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Firing:
    """Fires where the membrane exceeds threshold + slope * adaptation (or reaches it, if inclusive)."""

    threshold: Floats
    inclusive: bool
    amplitude: Floats
    max_spikes: int = 1
    adaptation: str | None = None
    slope: Floats = field(default_factory=lambda: np.zeros(()))


@dataclass(frozen=True, eq=False)
class Reset:
    """`soft` by an amount a spike, `hard` to a value, or `none`; with `rest` the step after a spike is skipped."""

    kind: Literal["soft", "hard", "none"]
    value: Floats
    adaptive: bool = False
    rest: bool = False


@dataclass(frozen=True, eq=False)
class Counter:
    """A state that a spike sets to values[0], and that goes on from value to value until it stays at the last one.

    `values` are float64 (count, *core), rounded as the file rounds them. While it holds one of the first `steps`, the
    neuron rests; `tensor` is its next value.
    """

    state: str
    tensor: str
    values: Floats
    steps: int = 0

    def index(self, value: Array) -> Array:
        """Which of the values each of `value` is, or is nearest to."""
        best, found = np.full(np.shape(value), np.inf), np.zeros(np.shape(value), np.int64)
        for j, own in enumerate(self.values):
            gap = np.abs(value - own)
            best, found = np.minimum(best, gap), np.where(gap < best, j, found)
        return found

    def at(self, index: Array) -> Array:
        return np.take_along_axis(self.values, index, axis=0)

    def rest(self, value: Array) -> Array:
        """The steps of rest to come."""
        return np.maximum(self.steps - self.index(value), 0)


@dataclass(frozen=True, eq=False)
class Export:
    """A tensor read outside a region: scale * meaning + offset."""

    meaning: Meaning
    scale: Array
    offset: Array


@dataclass(frozen=True, eq=False)
class Reading:
    """The quiet branch `q` of a membrane, its lower clamp, its firing and its reset.

    `exported`: whether the file keeps the membrane after its reset, before it, or after it but with traces of a late
    reset that never act. `pending` says, of the file's states, whether the neuron fired in the last step.
    """

    membrane: str | None
    exported: Exported
    quiet: Affine
    minimum: Floats | None
    firing: Firing | None
    reset: Reset
    pending: Tree = FALSE
