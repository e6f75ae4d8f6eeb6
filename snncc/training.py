"""Lets a compiled network learn from a stream of data without labels, names its neurons with a few, and tests it.

The network runs on its own target. What it has learnt, and where in the stream it is, is written after every batch,
whole or not at all, so that a run that was killed goes on with the same bits.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from snncc import files
from snncc.analysis.costs import Took, taken
from snncc.arrays import Array, Ints
from snncc.backends.base import Batch
from snncc.checkpoints import Exam, Mark, Progress, restored, save
from snncc.courses import Course, course_faults, options_of, presented
from snncc.data import Data, memory
from snncc.diagnostics import Diagnostic, check, fault
from snncc.encoding import range_faults
from snncc.integers import Learnt, Network, Output, Synapse, learns
from snncc.layers import size
from snncc.named import classified, neuron_classes
from snncc.plasticity import seen
from snncc.program import CompiledModel, Program, no_progress
from snncc.runner import Trace
from snncc.semantics import decode
from snncc.workload import Work, work_of

Told = Callable[[int, int], None]


def pupil(program: CompiledModel) -> Program:
    """A program that learns; raises CompileError (`cannot-learn`) for any other."""
    if not isinstance(program, Program) or not learns(program.network):
        message = "was compiled without anything that learns"
        raise fault("cannot-learn", program.title, message, "compile it with --learn LAYER=RULE")
    return program


def learn(
    program: CompiledModel, train: Data, test: Data, course: Course, folder: Path, told: Told = no_progress
) -> Progress:
    """Learn the whole of `train`, going on from the checkpoint in `folder` if there is one.

    `train` without its labels, but for those that name neurons; `test` with its labels. Raises CompileError:
    `cannot-learn`, `bad-data`, `bad-checkpoint`.
    """
    program = pupil(program)
    check(faults(program, train, test, course))
    files.make_folder(folder)
    order = _stream(train, course)
    told_apart = zlib.crc32(repr((program.chip, program.network.text())).encode())
    mark = Mark(told_apart, _digest(train, test), options_of(course))
    at = restored(program.network, folder, mark, len(order))
    with program.placed() as artefact:
        school = _School(program, artefact, train, test, course)
        stops = _stops(train, order, course)
        while at.position < len(order):
            stop = min(at.position + course.batch, *(each for each in stops if each > at.position))
            learnt, work, took = school.taught(order[at.position : stop], at.learnt)
            at = replace(at, position=stop, learnt=learnt, learning=at.learning + work)
            at = replace(at, took=(at.took[0] + took, at.took[1]))
            if stop in stops:
                exam, tested, took = school.examined(at.learnt, order[:stop])
                at = replace(at, exams=(*at.exams, exam), testing=at.testing + tested)
                at = replace(at, took=(at.took[0], at.took[1] + took))
            save(program.network, at, folder, mark)
            told(at.position, len(order))
    return at


def faults(
    program: Program, train: Data, test: Data, course: Course, names: tuple[str, str] = ("--input", "--test")
) -> Iterator[Diagnostic]:
    """Why a program cannot learn from these data in this way: `bad-data`, `bad-option`; `names` are the data's."""
    for name, data in zip(names, (train, test), strict=True):
        if data.y is None:
            yield Diagnostic("bad-data", name, "has no labels y", "a few name the neurons, and those of the test judge")
        if not len(data.x):
            yield Diagnostic("bad-data", name, "has no samples")
        else:
            yield from range_faults(name, program.source, data)
    if train.y is not None and test.y is not None and (lacking := np.setdiff1d(train.y, test.y).tolist()):
        named = ", ".join(map(str, lacking[:6])) + (", ..." if len(lacking) > 6 else "")
        message = f"has no sample of the classes {named}, which are learnt"
        yield Diagnostic(
            "bad-data", names[1], message, f"give some of each class, or leave those classes out of {names[0]}"
        )
    asking = [name for name, op in program.network.of_kind(Synapse).items() if op.plasticity and op.plasticity.reward]
    if asking and train.reward is None:
        message = f"has no array reward, and the rule of {asking[0]} asks for one"
        hint = "give the reward of each sample, (samples,), or of each step, (samples, steps), in whole numbers"
        yield Diagnostic("bad-data", names[0], message, hint)
    yield from _too_much(program, train, course)
    yield from course_faults(course)


def _too_much(program: Program, train: Data, course: Course) -> Iterator[Diagnostic]:
    """Whether a batch, with what is recorded of it, is more than the machine holds."""
    static = train.x.shape[1:] == program.source.shape
    samples, steps = min(course.batch, len(train.x)), course.steps if static else train.steps
    taken = 8 * samples * steps * (size(program.source.shape) + 2 * sum(program.sizes.values()))
    if taken > memory():
        message = (
            f"{samples:,} samples of {steps:,} steps take {taken / (1 << 30):,.1f} GiB: more than this machine has"
        )
        yield Diagnostic("bad-option", "--batch", message, "take a smaller --batch, or fewer --steps")


def _stream(train: Data, course: Course) -> Ints:
    """The order in which samples are learnt."""
    assert train.y is not None
    return np.argsort(train.y, kind="stable") if course.dynamic else np.arange(len(train.x))


def _stops(train: Data, order: Ints, course: Course) -> list[int]:
    """After how many samples to test."""
    assert train.y is not None
    if course.dynamic:
        return [*(np.flatnonzero(np.diff(train.y[order])) + 1).tolist(), len(order)]
    return [*(range(course.every, len(order), course.every) if course.every else ()), len(order)]


def _digest(*sets: Data) -> int:
    crc = 0
    for data in sets:
        for array in (data.x, data.lengths, data.y, data.reward):
            crc = zlib.crc32(array.tobytes(), crc) if array is not None else crc
    return crc


@dataclass(eq=False)
class _School:
    """A program on its target, with the data that it learns; private to `learn`."""

    program: Program
    artefact: Path
    train: Data
    test: Data
    course: Course

    def run(self, batch: Batch) -> tuple[Trace, Work, Took]:
        """What the target gives, with what it did and what it took."""
        program = self.program
        result = program.backend.run(self.artefact, program.network, program.chip, batch, True)
        work = work_of(program.network, batch, result.trace.spikes)
        return result.trace, work, taken(program.chip, result.counts, len(batch.x))

    def taught(self, rows: Ints, learnt: Learnt) -> tuple[Learnt, Work, Took]:
        reward = None if self.train.reward is None else self.train.reward[rows]
        batch = presented(self.program.source, self.train, rows, self.course)
        trace, work, took = self.run(replace(batch, learnt=learnt, reward=reward))
        assert trace.learnt
        return trace.learnt, work, took

    def scores(self, data: Data, rows: Ints, learnt: Learnt, offset: int) -> tuple[Ints, Work, Took]:
        """The spikes of each neuron, (samples, neurons), when nothing is learnt."""
        found: list[Array] = []
        work, took = Work(), Took()
        ((name, output),) = list(self.program.network.of_kind(Output).items())[:1]
        for start in range(0, len(rows), self.course.batch):
            part = rows[start : start + self.course.batch]
            batch = replace(presented(self.program.source, data, part, self.course, offset), learnt=learnt, frozen=True)
            trace, own, lasted = self.run(batch)
            found.append(decode(trace.outputs[name], output.decoder, batch.lengths))
            work, took = work + own, took + lasted
        return np.concatenate(found), work, took

    def examined(self, learnt: Learnt, past: Ints) -> tuple[Exam, Work, Took]:
        """Neurons are named by a few samples of those that were learnt; classes that were never shown are left out."""
        assert self.train.y is not None
        assert self.test.y is not None
        labels = self.train.y[past]
        shown = np.unique(labels)
        naming = np.concatenate([past[labels == each][-self.course.named :] for each in shown])
        answers, named, naming_took = self.scores(self.train, naming, learnt, 0)
        names = neuron_classes(answers, self.train.y[naming], shown)
        tested = np.flatnonzero(np.isin(self.test.y, shown))
        scores, work, took = self.scores(self.test, tested, learnt, len(self.train.x))
        guesses, truth = classified(scores, names, shown), self.test.y[tested]
        right = {int(each): float((guesses[truth == each] == each).mean()) for each in shown if (truth == each).any()}
        counts = {each: int((truth == each).sum()) for each in right}
        newest = int(labels[-1]) if self.course.dynamic else None
        return Exam(len(past), newest, right, counts, tuple(names.tolist())), named + work, naming_took + took


def receptive_fields(network: Network, learnt: Learnt) -> Mapping[str, Ints]:
    """The weights (out_size, in_size) of each plastic group as neurons see them."""
    found: dict[str, Ints] = {}
    for name, weight in learnt.weights.items():
        op = network[name]
        assert isinstance(op, Synapse)
        assert op.plasticity
        found[name] = seen(op.plasticity, weight)
    return found
