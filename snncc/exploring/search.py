"""The search itself: batch after batch of points, chosen by Optuna and evaluated on Dask, until there are enough."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from snncc import chip as chips
from snncc.data import Data
from snncc.diagnostics import Diagnostic, check, fault
from snncc.estimation import quantities_of
from snncc.exploring.budget import Limit, known_limits
from snncc.exploring.evaluate import LOST, REFUSED, Task, data_of, model_of, named, tools_of
from snncc.exploring.front import Front, front, impossible
from snncc.exploring.space import Point, dimensions, starts, words_of
from snncc.exploring.study import BATCH, Found, Study, opened
from snncc.exploring.workers import pool
from snncc.frontends import Model
from snncc.graph import Graph
from snncc.importing import Path_, model_data, simulate_float
from snncc.layers import Input, Layer, Neuron, Output, size
from snncc.passes.inputs import Samples, input_faults
from snncc.passes.legalise import legalise
from snncc.preparation import Choices
from snncc.rules import seed_faults

TRIALS = 64


@dataclass(frozen=True)
class Search:
    """What to search: files as the user names them, `target` as `compile` takes it, and what a .nir file leaves open.

    `samples` choose the scales, the labelled `data` if they are not given.
    """

    model: Path_
    target: str
    data: Path_
    budget: str
    samples: Path_ | None = None
    backend: str | None = None
    states: tuple[tuple[str, str], ...] = ()
    nir_style: str | None = None
    dt: float | None = None
    seed: int = 0


@dataclass(frozen=True)
class Searched:
    """What a search found: its front, every point, the model's own accuracy, and why no point fits, if none does.

    By number, `words` are the options of each point's choices, `commands` what compiles it but for the folder to write.
    """

    search: Search
    limits: tuple[Limit, ...]
    front: Front
    found: tuple[Found, ...]
    trained: float
    words: Mapping[int, tuple[str, ...]]
    commands: Mapping[int, str]
    faults: tuple[Diagnostic, ...]


def explore(
    search: Search,
    folder: Path_,
    *,
    trials: int = TRIALS,
    workers: int | None = None,
    scheduler: str | None = None,
    progress: Callable[[int, int], None] = lambda _done, _of: None,
) -> Searched:
    """Search for the most accurate program within a budget, in a folder that keeps every point that was evaluated.

    `trials` points are evaluated, those in the folder among them, on so many `workers` of this machine (as many as it
    has cores if None) or on the cluster of a Dask `scheduler`. The result depends on neither.

    Raises CompileError: `budget`, `bad-option`, `bad-data`, `cannot-explore`, `another-study`, `changed-file`,
    `damaged-study`, `cannot-write`, `missing-package`, `no-scheduler`, `workers-lost`, `no-point`, and what is wrong
    with the model or the target.
    """
    check(seed_faults(search.seed))
    limits = known_limits(search.budget, quantities_of(chips.load(search.target)), search.target)
    task = _task(search, limits)
    model, data = model_of(task), _labelled(search, data_of(task))
    _taught_before(search, model)
    graph = legalise(model.graph)
    check((*_unknown_classes(search.data, data, graph), *_sample_faults(search, task, graph)))
    trained = simulate_float(model, data).accuracy
    static = data.x.shape[1:] == next(iter(graph.of_kind(Input).values())).shape
    space = dimensions(graph, chips.load(task.target), model.steps or data.steps, static=static)
    task = replace(task, space=space)
    study = opened(Path(folder), _identity(task, search.seed), space, limits, tuple(starts(space)), search.seed)
    whole = -(-trials // BATCH) * BATCH
    progress(len(study.found()), whole)
    points = study.batch(trials)
    if points:
        with pool(workers, scheduler) as evaluated:
            while points:
                for number, outcome in evaluated(task, points, _neurons(graph)):
                    study.tell(number, outcome)
                    progress(len(study.found()), whole)
                _possible(study, search)
                points = study.batch(trials)
    return _searched(search, study, limits, trained or 0.0)


def _task(search: Search, limits: tuple[Limit, ...]) -> Task:
    target = search.target if search.target in chips.known() else str(Path(search.target).absolute())
    tools = tools_of(chips.load(target))
    files_ = (Path(each) for each in (search.model, search.data, search.samples or search.data))
    model, data, samples = (named(each) for each in files_)
    base = Choices(backend=search.backend)
    return Task(model, target, data, samples, limits, (), base, tools, search.states, search.nir_style, search.dt)


def _taught_before(search: Search, model: Model) -> None:
    """A search compares programs by their accuracy, as they are compiled."""
    if model.learn:
        message = f"learns {', '.join(model.learn)} on the device; how accurate it is, is known only once it has learnt"
        hint = "see what it takes with `snncc estimate`, and what it learns with `snncc learn`"
        raise fault("cannot-explore", str(search.model), message, hint)


def _labelled(search: Search, data: Data) -> Data:
    if data.y is None:
        message = "has no labels y, and a search is for accuracy"
        raise fault("bad-data", str(search.data), message, "add y: numpy.savez(FILE, x=..., y=...)")
    return data


def _unknown_classes(where: Path_, data: Data, graph: Graph[Layer]) -> Iterator[Diagnostic]:
    """Labels for which the output that decides has no neuron."""
    name, output = next(iter(graph.of_kind(Output).items()))
    most = -1 if data.y is None else int(data.y.max(initial=0))
    if most >= size(output.shape):
        message = f"y holds the class {most}; the output {name} has {size(output.shape)} neurons"
        yield Diagnostic("bad-data", str(where), message, "classes count from 0, one for each neuron of the output")


def _sample_faults(search: Search, task: Task, graph: Graph[Layer]) -> Iterator[Diagnostic]:
    """Why samples cannot choose scales, which is the same at every point. Raises CompileError: `bad-data`."""
    where = search.samples or search.data
    samples = model_data(model_of(task), task.samples.path)
    if search.samples is not None:
        yield from _unknown_classes(where, samples, graph)
    ((name, layer),) = graph.of_kind(Input).items()
    chosen = Samples(samples.x, samples.lengths)
    for each in input_faults(name, layer, chips.load(task.target), chosen, samples.steps):
        if each.rule == "bad-samples":
            yield replace(each, where=str(where))


def _neurons(graph: Graph[Layer]) -> int:
    return sum(size(each.shape) for each in graph.of_kind(Neuron).values())


def _identity(task: Task, seed: int) -> Mapping[str, Any]:
    """What makes a study another one if it differs, by the words for it."""
    return {
        "version of snncc": task.tools.snncc,
        "compiler for the target": task.tools.compiler,
        "model": task.model.digest,
        "target": hashlib.sha256(repr(chips.load(task.target)).encode()).hexdigest(),
        "data file": task.data.digest,
        "samples file": task.samples.digest,
        "budget": [[each.quantity, each.sign, each.value] for each in task.limits],
        "way to read the model": [[list(each) for each in task.states], task.nir_style, task.dt],
        "backend": task.base.backend,
        "seed": seed,
        "space of choices": [[each.name, list(each.values)] for each in task.space],
    }


def _possible(study: Study, search: Search) -> None:
    """Raise CompileError if nothing that was tried could be compiled."""
    found = study.found()
    if all(each.outcome.stage in (REFUSED, LOST) for each in found):
        message = f"none of {len(found)} points can be compiled; the first says: {found[0].outcome.refusal}"
        raise fault("no-point", search.target, message, "see what `snncc compile` says, or choose another target")


def _searched(search: Search, study: Study, limits: tuple[Limit, ...], trained: float) -> Searched:
    found = study.found()
    best = front(found, limits)
    commands = {each.number: command(search, study, each.point) for each in found}
    words = {each.number: tuple(words_of(study.space, each.point)) for each in found}
    faults = () if best.best else tuple(impossible(found, limits, trained, words))
    return Searched(search, limits, best, tuple(found), trained, words, commands, faults)


def command(search: Search, study: Study, point: Point) -> str:
    """The command that compiles a point again, but for the folder to write."""
    words = ["snncc", "compile", str(search.model), "--target", search.target]
    words += ["--samples", str(search.samples or search.data)]
    words += ["--backend", search.backend] if search.backend else []
    words += words_of(study.space, point)
    for one, other in search.states:
        words += ["--state", f"{one}={other}"]
    words += ["--nir-style", search.nir_style] if search.nir_style else []
    words += ["--dt", repr(search.dt)] if search.dt is not None else []
    return shlex.join(words)
