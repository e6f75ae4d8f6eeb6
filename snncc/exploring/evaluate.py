"""What one point of a search is worth: compiled, by the analytical models, and then by the program's own bits.

These functions run in other processes, perhaps on other machines, which read the same files.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from snncc import artefact, files
from snncc import chip as chips
from snncc import data as datasets
from snncc.backends.c.building import version_of
from snncc.chip import Chip
from snncc.compiler import compiled, open_program
from snncc.courses import Course
from snncc.data import Data
from snncc.diagnostics import CompileError, fault
from snncc.estimation import estimate
from snncc.exploring import schooling
from snncc.exploring.budget import MORE, Limit
from snncc.exploring.lessons import Taught, checked
from snncc.exploring.space import Dimension, Point, choices_of, chosen_of
from snncc.frontends import Model
from snncc.importing import import_model, model_data
from snncc.passes.steps import Steps
from snncc.preparation import Choices, settled
from snncc.program import CompiledModel, Program
from snncc.semantics import decode

_HOPELESS = 0.1  # of a limit: by how much a program may be beyond it and still have its accuracy measured
REFUSED, COMPILED, MEASURED, LOST = "refused", "compiled", "measured", "lost"
STAGES = REFUSED, COMPILED, MEASURED, LOST
# what says nothing of a point: files, tools and the machine, which the next run may find in order
_FILES = {"bad-data", "bad-samples", "cannot-read", "cannot-write", "changed-file", "changed-tools"}
_AROUND = _FILES | {"compiler-failed", "missing-package", "no-compiler"}
_RIGHT = "right"  # samples that are decided as they are labelled
_PART = 1 << 27  # values of neurons and steps that one evaluation runs: a larger data set is cut into parts


@dataclass(frozen=True)
class Named:
    """A file that a search reads, by absolute path, and the digest of what it held when the study began."""

    path: str
    digest: str


@dataclass(frozen=True)
class Tools:
    """What the bytes of a program and its memory depend on beside the files: versions, None of what is not there."""

    snncc: str
    compiler: str | None


@dataclass(frozen=True)
class Schooling:
    """How a network that learns is measured: its rules, the samples that test it, at most `limit` of each file."""

    taught: tuple[Taught, ...]
    test: Named
    course: Course
    limit: int | None = None


@dataclass(frozen=True)
class Task:
    """What is searched: the same for all points of a study; `samples` that choose scales are there or not.

    `rate` is how often static values become spikes, where it is given.
    """

    model: Named
    target: str
    data: Named
    samples: Named | None
    limits: tuple[Limit, ...]
    space: tuple[Dimension, ...]
    base: Choices
    tools: Tools
    states: tuple[tuple[str, str], ...] = ()
    nir_style: str | None = None
    dt: float | None = None
    schooling: Schooling | None = None
    rate: float | None = None


@dataclass(frozen=True)
class Outcome:
    """What is known of a point: its quantities, by name, and how it was looked at.

    `stage` is "refused" by the compiler or "lost" with the workers that evaluated it (and the reason), "compiled" where
    it was given up before its accuracy was measured, else "measured". `digest` is that of the artefact's files.
    """

    stage: str
    quantities: Mapping[str, float] = field(default_factory=dict[str, float])
    refusal: str = ""
    digest: str = ""


@dataclass(frozen=True, eq=False)
class Built:
    """An outcome without its accuracy, and the artefact's files where that is still to be measured."""

    outcome: Outcome
    files: Mapping[str, bytes]


def named(path: str | Path) -> Named:
    """A file with its digest. Raises CompileError (`cannot-read`)."""
    try:
        return Named(str(Path(path).absolute()), hashlib.sha256(files.content(Path(path))).hexdigest())
    except OSError as error:
        raise fault("cannot-read", str(path), files.reason(error)) from error


@functools.lru_cache(maxsize=2)
def model_of(task: Task) -> Model:
    """The model of a task, read once by each process. Raises CompileError, `changed-file` among others."""
    _unchanged(task.model)
    return import_model(task.model.path, task.states, nir_style=task.nir_style, dt=task.dt)


@functools.lru_cache(maxsize=2)
def data_of(task: Task) -> Data:
    """The task's labelled data; static input takes the model's steps. Raises CompileError."""
    _unchanged(task.data)
    return model_data(model_of(task), task.data.path, rate=task.rate)


def _unchanged(file: Named) -> None:
    if named(file.path).digest != file.digest:
        message = "is not the file that it was when the study began"
        raise fault("changed-file", file.path, message, "put it back, or begin another study: -o FOLDER")


def tools_of(chip: Chip) -> Tools:
    """What there is on this machine: the code of microcontrollers is measured with their compiler, if it is there."""
    try:
        own = version("snncc")
    except PackageNotFoundError:  # it runs from a folder that was never installed
        own = "unknown"
    return Tools(own, version_of(chip.compiler.command) if chip.device and chip.compiler else None)


def _same_tools(task: Task, chip: Chip) -> None:
    own = tools_of(chip)
    for what, here, begun in (
        ("snncc", own.snncc, task.tools.snncc),
        (f"the compiler of {chip.name}", own.compiler, task.tools.compiler),
    ):
        if here != begun:
            message = f"the search has {begun or 'none'}, the worker {here or 'none'}"
            raise fault("changed-tools", what, message, "install the same on all machines: figures depend on it")


def build(task: Task, point: Point) -> Built:
    """Compile a point and say what it takes; given up there if a limit is out of reach.

    Raises CompileError for what is not about the point: files, tools and the machine.
    """
    _same_tools(task, chips.load(task.target))
    if task.samples:
        _unchanged(task.samples)
    try:
        program = made(task, point)
        path = None if task.schooling else _samples(task)
        found = dict(estimate(program, path and program.data(path, rate=task.rate)).quantities)
        found.pop("accuracy", None)  # it is of the samples
        content = program.files()
    except CompileError as error:
        if any(each.rule in _AROUND for each in error.diagnostics):
            raise
        return Built(Outcome(REFUSED, refusal=str(error)), {})
    outcome = Outcome(COMPILED, found, digest=digest(content))
    return Built(outcome, {} if _beyond(task, found, _HOPELESS) else content)


def made(task: Task, point: Point) -> CompiledModel:
    """The program of a point. Raises CompileError."""
    choices = choices_of(task.space, point, task.base)
    choices = replace(choices, steps=_steps(task, choices.steps))
    if task.schooling:
        taught = task.schooling.taught
        learn = tuple((each.group, checked(each, chosen_of(task.space, point, each.group))) for each in taught)
        choices = replace(choices, learn=learn)
    return compiled(model_of(task), chips.load(task.target), choices, _samples(task))


def _samples(task: Task) -> str | None:
    """The path from which a program reads its samples, as `snncc compile` does."""
    return task.samples and task.samples.path


@functools.lru_cache(maxsize=16)
def _steps(task: Task, asked: Steps) -> Steps:
    """Fewer steps and how neurons are adapted to them, found once by each process."""
    return settled(model_of(task), replace(task.base, steps=asked), _samples(task)).steps


def digest(content: Mapping[str, bytes]) -> str:
    """Of an artefact's files: their names and their bytes."""
    total = hashlib.sha256()
    for name in sorted(content):
        total.update(f"{name}\0{len(content[name])}\0".encode())
        total.update(content[name])
    return total.hexdigest()


def _beyond(task: Task, found: Mapping[str, float], part: float) -> bool:
    return any(each.quantity in found and each.violation(found[each.quantity]) > part for each in task.limits)


def parts_of(task: Task, neurons: int) -> list[tuple[int, int]]:
    """The samples, first and end, of each part of the data, for a network of so many neurons.

    What learns does so sample after sample: its data are one part, to the end.
    """
    if task.schooling:
        return [(0, 0)]
    data = data_of(task)
    size = max(1, _PART // max(1, neurons * data.steps))
    return [(start, min(start + size, len(data.x))) for start in range(0, len(data.x), size)]


def measured(task: Task, built: Built, first: int, end: int) -> Mapping[str, float]:
    """What is found on a part of the data by running the program: its share of the accuracy, and more if it learns."""
    if not built.files:
        return {}
    with TemporaryDirectory(prefix="snncc-") as scratch:
        artefact.write(Path(scratch, "program"), built.files)
        program = open_program(Path(scratch, "program"))
        if task.schooling:
            assert isinstance(program, Program)
            return schooling.learnt(program, *lessons_of(task, program), task.schooling.course)
        data = data_of(task).part(first, end)
        assert data.y is not None
        return {_RIGHT: int(np.count_nonzero(_classes(program, data) == data.y))}


def lessons_of(task: Task, program: Program) -> tuple[Data, Data]:
    """What a program learns from, and what it is tested with. Raises CompileError: `bad-data`, `changed-file`."""
    given = task.schooling
    assert given is not None, "a network that does not learn"
    for each in (task.data, given.test):
        _unchanged(each)
    train, test = (program.data(each.path, limit=given.limit, rate=task.rate) for each in (task.data, given.test))
    return train, test


def _classes(program: CompiledModel, data: Data) -> np.ndarray:
    """What the program decides: by the reference, whose bits every target gives."""
    if program.steps is not None and data.x.shape[1:] == program.source.shape:
        data = Data(data.x, np.minimum(data.lengths, program.steps), data.y)
    data = program.read_at_pace(data)
    name, decoder = next(iter(program.decoders.items()))
    found: list[np.ndarray] = []
    for part in datasets.parts(data, 3 * sum(program.sizes.values())):
        x = datasets.to_integers(program.source, part.x)
        if x.ndim == 1 + len(program.source.shape):
            x = np.broadcast_to(x[:, None], (len(x), part.steps, *program.source.shape))
        outputs = program.expected(x, part.lengths).outputs[name]
        found.append(decode(outputs, decoder, part.lengths).argmax(axis=1))
    return np.concatenate(found)


def finished(task: Task, built: Built, parts: Sequence[Mapping[str, float]]) -> Outcome:
    """The outcome, with what was found on all parts of the data."""
    if not built.files:
        return built.outcome
    found = parts[0] if task.schooling else {MORE: sum(each[_RIGHT] for each in parts) / len(data_of(task).x)}
    return Outcome(MEASURED, {**built.outcome.quantities, **found}, digest=built.outcome.digest)
