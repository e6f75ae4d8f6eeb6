"""How samples are shown to a network that is to learn from them: for how long, and how static values become spikes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from snncc import jit
from snncc.arrays import Array, Ints
from snncc.backends.base import Batch
from snncc.data import Data, to_integers
from snncc.diagnostics import Diagnostic
from snncc.integers import Source
from snncc.rules import seed_faults

_SPIKES = 0x5350494B  # keeps the draws that make spikes apart from those by which weights are rounded


@dataclass(frozen=True)
class Course:
    """How to learn: `rate` is the probability with which the greatest input spikes in a step, for static input.

    `classes` one after another if `dynamic`, else in the order of the data; tests after each class, or after every
    `every` samples and in the end. `named` samples of each class name the neurons. `batch` samples lie between two
    checkpoints. `seed` is of the spikes that static input is turned into.
    """

    steps: int = 100
    rate: float = 0.25
    dynamic: bool = False
    every: int = 0
    named: int = 10
    batch: int = 100
    seed: int = 0


def becomes_spikes(source: Source, data: Data) -> bool:
    """Static values, and a network that reads spikes; other networks read static values as they are, in each step."""
    return source.highest == 1 and data.x.shape[1:] == source.shape


def brightest(data: Data) -> float:
    """The value that counts as 1: bytes are those of pictures, unless they are 0 and 1 only."""
    return 255.0 if data.x.dtype == np.uint8 and data.x.max() > 1 else 1.0


def course_faults(course: Course) -> Iterator[Diagnostic]:
    """What of a course cannot be."""
    if not 0 < course.rate <= 1:
        yield Diagnostic("bad-option", "--rate", f"{course.rate:g} is no probability from above 0 to 1")
    yield from seed_faults(course.seed)
    if course.dynamic and course.every:
        message = "is given beside --dynamic, which tests after each class"
        yield Diagnostic("bad-option", "--test-every", message, "leave one of them out")


def range_faults(where: str, source: Source, data: Data) -> Iterator[Diagnostic]:
    """Why the values of some samples cannot become spikes."""
    if becomes_spikes(source, data) and not 0 <= data.x.min() <= data.x.max() <= brightest(data):
        message = f"x lies in {data.x.min():g}..{data.x.max():g}; what is turned into spikes lies in 0..1"
        yield Diagnostic("bad-data", where, message, "scale it, or give bytes (uint8): 255 counts as 1")


def presented(source: Source, data: Data, rows: Ints, course: Course, offset: int = 0) -> Batch:
    """Some samples as a network reads them; `offset` keeps the draws of two data sets apart."""
    x, lengths = data.x[rows], data.lengths[rows]
    static = x.shape[1:] == source.shape
    if static:
        lengths = np.minimum(lengths, course.steps)
    if becomes_spikes(source, data):
        return Batch(encoded(x.reshape(len(x), -1) / brightest(data), rows + offset, course), lengths)
    levels = to_integers(source, x)
    if static:
        levels = np.broadcast_to(levels[:, None], (len(x), course.steps, *source.shape))
    return Batch(levels.reshape(*levels.shape[:2], -1), lengths)


def encoded(x: Array, first: Ints, course: Course) -> Array:
    """Spikes (samples, steps, size) of static values (samples, size) in 0..1; `first` numbers the samples.

    A value spikes in a step with its own probability times the rate, by draws that depend on nothing but the seed,
    the sample's number, the step and the channel.
    """
    limit = np.rint(x * course.rate * (1 << 24)).astype(np.int64)
    spikes = np.empty((len(x), course.steps, x.shape[1]), np.uint8)
    _encode(limit, first * course.steps, course.seed, spikes)
    return spikes


@jit.inlined
def _mixed(x: Any) -> Any:
    """`plasticity.mixed` of one number."""
    x = np.uint32((x ^ (x >> np.uint32(16))) * np.uint32(0x7FEB352D))
    x = np.uint32((x ^ (x >> np.uint32(15))) * np.uint32(0x846CA68B))
    return np.uint32(x ^ (x >> np.uint32(16)))


@jit.compiled
def _encode(limit: Any, first: Any, seed: Any, spikes: Any) -> None:
    """Fills `spikes` (samples, steps, size): 1 where a draw is below `limit` (samples, size).

    Draws are `plasticity.draws` of 24 bits and purpose 0, of a seed that no rule has.
    `first` is the count of each sample's first step.
    """
    samples, steps, size = spikes.shape
    for row in range(samples):
        for now in range(steps):
            key = _mixed(np.uint32(seed) ^ np.uint32(_SPIKES) ^ _mixed(np.uint32(2 * (first[row] + now))))
            for at in range(size):
                draw = _mixed(np.uint32(np.uint32(at) * np.uint32(0x9E3779B9) + key)) >> np.uint32(8)
                spikes[row, now, at] = draw < limit[row, at]
