"""What a network that learns is worth: how well it tells classes apart once it has learnt, and what that takes.

It learns on the computer that searches, as a C program of the network that its target has: the same bits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from snncc import chip as chips
from snncc import training
from snncc.backends.c import BACKEND
from snncc.courses import Course
from snncc.data import Data
from snncc.estimation import estimate
from snncc.exploring.budget import MORE
from snncc.program import Program

_SPENT = 20  # samples of which energy and time are worked out
_LEARNT_THEN = ("updates", "energy", "time", "learning-energy", "learning-time")


def taken(program: Program, course: Course) -> Course:
    """The course with as many steps as the program takes."""
    return replace(course, steps=program.steps or Course.steps)


def hosted(program: Program) -> Program:
    """The program's own network as a C program for this computer."""
    host = chips.load("host")
    return replace(program, chip=host, backend=BACKEND, mapping=None, folder=None)


def learnt(program: Program, train: Data, test: Data, course: Course) -> Mapping[str, float]:
    """The accuracy after the samples of `train`, on those of `test`, and by name what a sample takes by then.

    Both are read at the rate of the course.

    On chips of many cores energy, time and updates are those of the last samples of `train`, learnt once more, and
    then answered; elsewhere updates are those of all.

    Raises CompileError: as `training.learn`.
    """
    course = taken(program, course)
    with TemporaryDirectory(prefix="snncc-") as folder:
        at = training.learn(hosted(program), train, test, course, Path(folder, "run"))
    overall = at.exams[-1].overall
    assert overall is not None, "a run ends with a test of every class that it has shown"
    found = {MORE: overall, "updates": at.learning.weight_changes / at.position}
    if program.chip.fabric is None:
        return found
    last = train.part(max(0, len(train.x) - _SPENT), len(train.x))
    known = estimate(program, last, learnt=at.learnt).quantities
    return found | {name: value for name, value in known.items() if name in _LEARNT_THEN}
