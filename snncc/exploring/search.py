"""The search itself: batch after batch of points, chosen by Optuna and evaluated on Dask, until there are enough."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from snncc import chip as chips
from snncc import files, rules
from snncc.compiler import compiled
from snncc.courses import Course
from snncc.data import Data
from snncc.diagnostics import Diagnostic, check, fault
from snncc.estimation import quantities_of
from snncc.exploring import schooling
from snncc.exploring.budget import Limit, known_limits, parsed
from snncc.exploring.evaluate import (
    LOST,
    REFUSED,
    Schooling,
    Task,
    data_of,
    lessons_of,
    model_of,
    named,
    tools_of,
)
from snncc.exploring.front import Front, front, impossible
from snncc.exploring.lessons import Taught, changed, file_name, text_of
from snncc.exploring.space import Point, chosen_of, dimensions, learning_dimensions, starts, words_of
from snncc.exploring.study import BATCH, Found, Study, opened
from snncc.exploring.workers import pool
from snncc.graph import Graph
from snncc.importing import Path_, model_data, simulate_float
from snncc.layers import Input, Layer, Neuron, Output, size
from snncc.passes.inputs import Samples, input_faults
from snncc.passes.legalise import legalise
from snncc.passes.teach import lessons, taught_twice
from snncc.preparation import Choices
from snncc.program import Program
from snncc.rules import seed_faults
from snncc.training import faults

TRIALS = 64
RULES = "rules"  # the folder, in a study's, of what it chose about rules
_BATCH = 50  # samples that are learnt between two looks at what was counted


@dataclass(frozen=True)
class Search:
    """What to search: files as the user names them, `target` as `compile` takes it, and what a .nir file leaves open.

    `samples` choose the scales, the labelled `data` if they are not given, unless the network learns. One that learns,
    by its own rules or by those of `learn`, does so on the first `limit` samples of `data` and is tested with those of
    `test`; `named` samples of each class name its neurons. `rate` is how likely the greatest static value spikes in a
    step, for networks that read spikes.
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
    learn: tuple[tuple[str, str], ...] = ()
    test: Path_ | None = None
    limit: int | None = None
    named: int | None = None
    rate: float | None = None


@dataclass(frozen=True)
class Searched:
    """What a search found: its front, every point, the model's own accuracy, and why no point fits, if none does.

    By number, `words` are the options of each point's choices, `commands` what compiles it but for the folder to write.
    A network that learns has no accuracy of its own; `lesson` is the command that lets a point's program learn.
    """

    search: Search
    limits: tuple[Limit, ...]
    front: Front
    found: tuple[Found, ...]
    trained: float | None
    words: Mapping[int, tuple[str, ...]]
    commands: Mapping[int, str]
    faults: tuple[Diagnostic, ...]
    lesson: str = ""


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
    parsed(search.budget)
    task = _task(search)
    graph, task = _taught(search, task) if search.learn or model_of(task).learn else _trained(search, task)
    trained = None if task.schooling else simulate_float(model_of(task), data_of(task)).accuracy
    begun = tuple(starts(task.space))
    study = opened(Path(folder), _identity(task, search.seed), task.space, task.limits, begun, search.seed)
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
    return _searched(search, task, study, trained)


def _task(search: Search) -> Task:
    """What is searched, but for its limits and what there is to choose."""
    chip = chips.load(search.target)
    quantities_of(chip)  # of a chip that acts event by event there are none
    target = search.target if search.target in chips.known() else str(Path(search.target).absolute())
    model, data = (named(Path(each)) for each in (search.model, search.data))
    samples = None if search.samples is None else named(Path(search.samples))
    rate = None if _sampled(search) is None else search.rate
    base = Choices(backend=search.backend, rate=rate)
    read = search.states, search.nir_style, search.dt
    return Task(model, target, data, samples, (), (), base, tools_of(chip), *read, rate=search.rate)


def _sampled(search: Search) -> Path_ | None:
    """The samples that points are compiled with: those that are given, or the data, unless these are learnt."""
    return search.samples or (None if search.test else search.data)


def _trained(search: Search, task: Task) -> tuple[Graph[Layer], Task]:
    """The legal network of a search for a trained model, and all that is known of it."""
    check(_only_learning(search))
    chip = chips.load(task.target)
    limits = known_limits(search.budget, quantities_of(chip), search.target)
    task = replace(task, samples=task.samples or task.data, limits=limits)
    model, data = model_of(task), _labelled(search, data_of(task))
    graph = legalise(model.graph)
    check((*_unknown_classes(search.data, data, graph), *_sample_faults(search, task, graph)))
    static = data.x.shape[1:] == next(iter(graph.of_kind(Input).values())).shape
    return graph, replace(task, space=dimensions(graph, chip, model.steps or data.steps, static=static))


def _taught(search: Search, task: Task) -> tuple[Graph[Layer], Task]:
    """The legal network of a search for one that learns, and all that is known of it."""
    if search.test is None:
        message = "is missing: how much a network has learnt is tested with samples that it did not learn"
        raise fault("bad-option", "--test", message, "give labelled ones: --test FILE.npz")
    chip, model = chips.load(task.target), model_of(task)
    limits = known_limits(search.budget, quantities_of(chip, learning=True), search.target)
    graph = legalise(model.graph, {*model.learn, *(layer for layer, _ in search.learn)})
    check(taught_twice(graph, search.learn))
    own = {layer: rules.parsed(text, f"{model.name}: the rule of {layer}") for layer, text in model.learn.items()}
    found = lessons(graph, {**own, **{layer: rules.load(rule) for layer, rule in search.learn}})
    check(_unspeakable(found.rules))
    taught = tuple(Taught(group, text_of(rule)) for group, rule in found.rules.items())
    asked = {"rate": search.rate, "named": search.named}
    course = Course(batch=_BATCH, **{name: each for name, each in asked.items() if each is not None})  # type: ignore[arg-type]
    task = replace(task, limits=limits, schooling=Schooling(taught, named(Path(search.test)), course, search.limit))
    data = model_data(model, task.data.path, limit=search.limit, rate=search.rate, learning=True)
    static = data.x.shape[1:] == next(iter(graph.of_kind(Input).values())).shape
    task = replace(task, space=learning_dimensions(graph, chip, data.steps, taught, static=static))
    _teachable(task)
    return graph, task


def _unspeakable(groups: Collection[str]) -> Iterator[Diagnostic]:
    """Groups that no option can name, so that no command could make their points again."""
    for name in groups:
        if "=" in name:
            message = "has an = in its name, which --learn LAYER=RULE cannot hold"
            yield Diagnostic("cannot-explore", name, message, "rename it in the model")


def _teachable(task: Task) -> None:
    """Raise CompileError for data that the network cannot learn from, which is the same at every point."""
    given = task.schooling
    assert given is not None
    choices = replace(task.base, backend=None, learn=tuple((each.group, each.rule) for each in given.taught))
    program = compiled(model_of(task), chips.load("host"), choices, task.samples and task.samples.path)
    assert isinstance(program, Program)
    course = schooling.taken(program, given.course)
    check(faults(program, *lessons_of(task, program), course, ("--data", "--test")))


def _only_learning(search: Search) -> Iterator[Diagnostic]:
    """What is given that only networks have a use for that learn."""
    asked = {"--test": search.test, "--limit": search.limit, "--labels-for-readout": search.named}
    for option, value in asked.items():
        if value is not None:
            message = "only for networks that learn; this one is as it was trained"
            yield Diagnostic("bad-option", option, message, "leave it out, or let a layer learn: --learn LAYER=RULE")


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
    samples = model_data(model_of(task), (task.samples or task.data).path, rate=task.rate)
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
        "samples file": task.samples and task.samples.digest,
        "budget": [[each.quantity, each.sign, each.value] for each in task.limits],
        "way to read the model": [[list(each) for each in task.states], task.nir_style, task.dt],
        "backend": task.base.backend,
        "seed": seed,
        "rate": task.rate,
        "space of choices": [[each.name, list(each.values)] for each in task.space],
        **(_lesson_identity(task.schooling) if task.schooling else {}),
    }


def _lesson_identity(given: Schooling) -> Mapping[str, Any]:
    return {
        "test file": given.test.digest,
        "rule": [[each.group, each.text] for each in given.taught],
        "way to learn": [given.limit, given.course.named],
    }


def _possible(study: Study, search: Search) -> None:
    """Raise CompileError if nothing that was tried could be compiled."""
    found = study.found()
    if all(each.outcome.stage in (REFUSED, LOST) for each in found):
        message = f"none of {len(found)} points can be compiled; the first says: {found[0].outcome.refusal}"
        raise fault("no-point", search.target, message, "see what `snncc compile` says, or choose another target")


def _searched(search: Search, task: Task, study: Study, trained: float | None) -> Searched:
    found = study.found()
    best = front(found, task.limits)
    chosen = {each.number: _rules(search, task, study.folder, each.point) for each in found}
    words = {each.number: (*words_of(study.space, each.point), *chosen[each.number][0]) for each in found}
    commands = {each.number: command(search, words[each.number]) for each in found}
    written = {path: content for _, files_ in chosen.values() for path, content in files_.items()}
    if written:
        files.make_folder(study.folder / RULES)
    for path, content in written.items():
        files.replace_file(path, content)
    wrong = () if best.best else tuple(impossible(found, task.limits, trained, words))
    lesson = _lesson(search) if task.schooling else ""
    return Searched(search, task.limits, best, tuple(found), trained, words, commands, wrong, lesson)


def _rules(search: Search, task: Task, folder: Path, point: Point) -> tuple[list[str], Mapping[Path, bytes]]:
    """The options that name the rules of a point, and the files that they name: of rules that are not the model's."""
    words: list[str] = []
    made: dict[Path, bytes] = {}
    for number, each in enumerate(task.schooling.taught if task.schooling else ()):
        chosen = chosen_of(task.space, point, each.group)
        rule = changed(each, chosen)
        if rule != each.rule or search.learn:
            path = folder / RULES / file_name(number, chosen)
            words += ["--learn", f"{each.group}={path}"]
            made[path] = text_of(rule).encode()
    return words, made


def command(search: Search, choices: Sequence[str]) -> str:
    """The command that compiles a point again, but for the folder to write."""
    words = ["snncc", "compile", str(search.model), "--target", search.target]
    samples = _sampled(search)
    words += ["--samples", str(samples)] if samples else []
    words += ["--rate", repr(search.rate)] if samples and search.rate is not None else []
    words += ["--backend", search.backend] if search.backend else []
    words += choices
    for one, other in search.states:
        words += ["--state", f"{one}={other}"]
    words += ["--nir-style", search.nir_style] if search.nir_style else []
    words += ["--dt", repr(search.dt)] if search.dt is not None else []
    return shlex.join(words)


def _lesson(search: Search) -> str:
    """The command with which a point's program learns as it did in the search, but for its folders."""
    words = ["--input", str(search.data), "--test", str(search.test)]
    words += ["--limit", str(search.limit)] if search.limit is not None else []
    words += ["--labels-for-readout", str(search.named)] if search.named is not None else []
    words += ["--rate", repr(search.rate)] if search.rate is not None else []
    return f"snncc learn DIR {shlex.join(words)}"
