"""How samples are shown to a network that is to learn from them: for how long, and how static values become spikes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace

import numpy as np

from snncc.arrays import Ints
from snncc.backends.base import Batch
from snncc.data import Coding, Data, to_integers
from snncc.diagnostics import Diagnostic
from snncc.encoding import RATE, becomes_spikes, brightest, rate_faults
from snncc.integers import Source
from snncc.rules import seed_faults


@dataclass(frozen=True)
class Course:
    """How to learn: `rate` is the probability with which the greatest input spikes in a step, for static input.

    `classes` one after another if `dynamic`, else in the order of the data; tests after each class, or after every
    `every` samples and in the end. `named` samples of each class name the neurons. `batch` samples lie between two
    checkpoints. `seed` is of the spikes that static input is turned into.
    """

    steps: int = 100
    rate: float = RATE
    dynamic: bool = False
    every: int = 0
    named: int = 10
    batch: int = 100
    seed: int = 0

    @property
    def draws(self) -> tuple[int, float, int]:
        """What draws the spikes of static input, as `Coding` and `spike_draws.encoded` take it."""
        return self.steps, self.rate, self.seed


def options_of(course: Course) -> tuple[tuple[str, str], ...]:
    """A course by the options of `snncc learn`, and their values."""
    names = {"every": "--test-every", "named": "--labels-for-readout"}
    return tuple((names.get(key, f"--{key}"), str(value)) for key, value in asdict(course).items())


def course_faults(course: Course) -> Iterator[Diagnostic]:
    """What of a course cannot be."""
    yield from rate_faults(course.rate)
    yield from seed_faults(course.seed)
    if course.dynamic and course.every:
        message = "is given beside --dynamic, which tests after each class"
        yield Diagnostic("bad-option", "--test-every", message, "leave one of them out")


def presented(source: Source, data: Data, rows: Ints, course: Course, offset: int = 0) -> Batch:
    """Some samples as a network reads them; `offset` keeps the draws of two data sets apart."""
    x, lengths = data.x[rows], data.lengths[rows]
    static = x.shape[1:] == source.shape
    if static:
        lengths = np.minimum(lengths, course.steps)
    if becomes_spikes(source, data):
        coding = Coding(*course.draws, brightest(data), rows + offset)
        x = replace(data.rows(rows), coding=coding).spiking().x
        return Batch(x.reshape(*x.shape[:2], -1), lengths)
    levels = to_integers(source, x)
    if static:
        levels = np.broadcast_to(levels[:, None], (len(x), course.steps, *source.shape))
    return Batch(levels.reshape(*levels.shape[:2], -1), lengths)
