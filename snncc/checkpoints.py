"""What a run of learning has come to, on disk: what was learnt, where in the stream it is, and how well it did.

A checkpoint is written whole or not at all. It says which network learnt: the same one of another target, whose spikes
come later, is taken for it, and any other is not.
"""

from __future__ import annotations

import hashlib
import json
import math
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from snncc import files
from snncc.analysis.costs import Took
from snncc.arrays import Array, Shape
from snncc.diagnostics import CompileError, fault
from snncc.integers import IntOp, Learnt, Network, Output, Population, Synapse
from snncc.linear import to_sparse
from snncc.named import UNNAMED, Named
from snncc.passes.retime import links
from snncc.plasticity import untaught
from snncc.serial import Reader, Writer
from snncc.workload import Work

CHECKPOINT = "checkpoint.json"
_MOST = 1 << 62  # of what is counted: sums of two still have 64 bits
_AGAIN = "give another folder to begin anew, or the same data, options and program to go on"


@dataclass(frozen=True)
class Exam:
    """How well classes are told apart after so many samples; `accuracy` by class that was tested, `newest` is last.

    `names` is the class that each neuron was named for, -1 for those without one.
    """

    samples: int
    newest: int | None
    accuracy: Mapping[int, float]
    counts: Mapping[int, int]
    names: tuple[int, ...] = ()

    def of(self, classes: list[int]) -> float | None:
        """The accuracy over the samples of some classes."""
        tested = [each for each in classes if each in self.counts]
        total = sum(self.counts[each] for each in tested)
        return sum(self.accuracy[each] * self.counts[each] for each in tested) / total if total else None

    @property
    def overall(self) -> float | None:
        return self.of(list(self.accuracy))

    @property
    def earlier(self) -> float | None:
        """Over all classes but the newest."""
        return self.of([each for each in self.accuracy if each != self.newest])


@dataclass(frozen=True, eq=False)
class Progress:
    """Where a run is: `position` samples of the stream are learnt."""

    position: int
    learnt: Learnt
    exams: tuple[Exam, ...] = ()
    learning: Work = field(default_factory=Work)
    testing: Work = field(default_factory=Work)
    took: tuple[Took, Took] = (Took(), Took())  # by the target, to learn and to test


@dataclass(frozen=True)
class Mark:
    """What a run goes on with only if it stays the same: checksums of program and data, and its options."""

    program: int
    data: int
    options: tuple[tuple[str, str], ...]

    def others(self, now: Mark) -> str:
        """What is another one now, in words; empty if nothing is."""
        given = dict(now.options)
        changed = [f"{name} {value}, not {given.get(name)}" for name, value in self.options if value != given.get(name)]
        found = ["another program"] * (self.program != now.program) + ["other data"] * (self.data != now.data)
        return " and ".join([*found, *[f"other options: {', '.join(changed)}"] * bool(changed)])


def named_in(at: Progress) -> Named:
    """What neurons were named for in a run's last exam; nothing before its first."""
    if not at.exams:
        return UNNAMED
    last = at.exams[-1]
    return Named(last.names, tuple(sorted(last.accuracy)))


def identity(network: Network) -> str:
    """All of a network that learning depends on: not when its populations start, nor how maps are stored."""
    writer = Writer()
    ops = [(name, writer.plain(_bare(op))) for name, op in network.ops.items()]
    joints = [(each.synapse, each.source, each.target, each.edge) for each in links(network)]
    return hashlib.sha256(json.dumps((ops, joints)).encode() + bytes(writer.blob)).hexdigest()


def _bare(op: IntOp) -> IntOp:
    if isinstance(op, Synapse):
        sparse = to_sparse(op.map)
        return replace(op, map=replace(sparse, weight=sparse.weight.astype(np.int64)))
    if isinstance(op, Population):
        return replace(op, start=0, scale=1.0, kept=None)
    return replace(op, latency=0) if isinstance(op, Output) else op


def save(network: Network, at: Progress, folder: Path, mark: Mark) -> None:
    """Write a checkpoint: a line with a checksum, a line of JSON, and the bytes of the arrays that it names."""
    writer = Writer()
    text = json.dumps(writer.plain(_stored(at, mark, identity(network))))
    body = bytes(writer.blob)
    head = json.dumps({"crc": zlib.crc32(text.encode(), zlib.crc32(body)), "bytes": len(body)})
    files.replace_file(folder / CHECKPOINT, f"{head}\n{text}\n".encode() + body)


def restored(network: Network, folder: Path, mark: Mark, samples: int) -> Progress:
    """The checkpoint of a run of so many samples, or its beginning where there is none.

    Raises CompileError (`bad-checkpoint`).
    """
    path = folder / CHECKPOINT
    if files.kind(path) == "nothing":
        return Progress(0, untaught(network))
    found = _read(path, _AGAIN)
    others = found.mark.others(mark) or "another program" * (found.network != identity(network))
    if others or found.mark != mark:
        raise fault("bad-checkpoint", str(path), f"is of {others or 'other options'}", _AGAIN)
    at = _sound(found, network, path, _AGAIN)
    if at.position > samples:
        message = f"is damaged: {at.position:,} samples of {samples:,} are learnt"
        raise fault("bad-checkpoint", str(path), message, _AGAIN)
    if at.position == samples and (not at.exams or at.exams[-1].samples != samples):
        raise fault("bad-checkpoint", str(path), "is damaged: what was learnt in the end is not tested", _AGAIN)
    return at


def learnt_in(network: Network, folder: Path) -> Progress:
    """The checkpoint of a run, for a network that was learnt there, or for the same one of another target.

    Raises CompileError: `no-checkpoint`, `bad-checkpoint`.
    """
    path = folder / CHECKPOINT
    if files.kind(path) == "nothing":
        there = "is not there" if files.kind(folder) == "nothing" else f"has no {CHECKPOINT}"
        raise fault("no-checkpoint", str(folder), there, f"learn first: snncc learn DIR -o {folder}")
    hint = "learn again, or give the folder of another run"
    found = _read(path, hint)
    if found.network != identity(network):
        message = "is of another network than this program's"
        raise fault(
            "bad-checkpoint",
            str(path),
            message,
            "give the program that learnt there, or the same model compiled with the same options",
        )
    return _sound(found, network, path, hint)


@dataclass(frozen=True, eq=False)
class _Values:
    """What a group of synapses, or a population, has learnt, as it is stored."""

    name: str
    values: Array


@dataclass(frozen=True)
class _Marks:
    """An exam as it is stored: accuracies and counts as pairs, by class."""

    samples: int
    newest: int | None
    accuracy: tuple[tuple[int, float], ...]
    counts: tuple[tuple[int, int], ...]
    names: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class _Stored:
    """What a file holds: which run and which network wrote it, and how far it had come."""

    mark: Mark
    network: str
    position: int
    steps: int
    weights: tuple[_Values, ...]
    adaptations: tuple[_Values, ...]
    exams: tuple[_Marks, ...]
    learning: Work
    testing: Work
    took: tuple[Took, Took]


def _stored(at: Progress, mark: Mark, network: str) -> _Stored:
    exams = tuple(
        _Marks(each.samples, each.newest, tuple(each.accuracy.items()), tuple(each.counts.items()), each.names)
        for each in at.exams
    )
    weights, adaptations = (
        tuple(_Values(name, values) for name, values in each.items())
        for each in (at.learnt.weights, at.learnt.adaptations)
    )
    learnt = at.learnt.steps, weights, adaptations
    return _Stored(mark, network, at.position, *learnt, exams, at.learning, at.testing, at.took)


def _read(path: Path, hint: str) -> _Stored:
    """What a checkpoint holds, if it is as it was written."""
    try:
        content = files.content(path)
    except OSError as error:
        raise fault("bad-checkpoint", str(path), f"cannot be read: {files.reason(error)}") from error
    try:
        head_text, text, body = content.split(b"\n", 2)
        head = json.loads(head_text)
        promised, crc = int(head["bytes"]), int(head["crc"])
        lost = len(body) != promised
        changed = zlib.crc32(text, zlib.crc32(body)) != crc
        found = None if lost or changed else Reader(str(path), body).value(_Stored, json.loads(text), "checkpoint")
        if found is not None:
            _senseless(found)
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError, CompileError) as error:
        raise fault("bad-checkpoint", str(path), "is damaged", hint) from error
    if found is None:
        why = f"{len(body):,} of {promised:,} bytes" if lost else "its checksum is another one"
        raise fault("bad-checkpoint", str(path), f"is damaged: {why}", hint)
    return found


def _senseless(found: _Stored) -> None:
    """Raise ValueError for numbers that no run comes to."""
    works = (*asdict(found.learning).values(), *asdict(found.testing).values())
    if not all(0 <= each < _MOST for each in (found.position, found.steps, *works, *(t.samples for t in found.took))):
        raise ValueError("numbers that count from 0")
    if not all(math.isfinite(each) and each >= 0 for took in found.took for each in (took.seconds, took.joules)):
        raise ValueError("what it took")
    for exam in found.exams:
        classes = [each for each, _ in exam.accuracy]
        if not 0 < exam.samples <= found.position or classes != [each for each, _ in exam.counts]:
            raise ValueError("an exam")
        if not all(0 <= share <= 1 for _, share in exam.accuracy) or not all(0 < n < _MOST for _, n in exam.counts):
            raise ValueError("marks of an exam")
        if not all(0 <= each < _MOST for each in (*classes, exam.newest or 0)):
            raise ValueError("classes of an exam")
        if not all(-1 <= each < _MOST for each in exam.names):
            raise ValueError("the names of neurons")


def _sound(found: _Stored, network: Network, path: Path, hint: str) -> Progress:
    """What was stored, if a network can have learnt that."""
    weights, adaptations = ({one.name: one.values for one in each} for each in (found.weights, found.adaptations))
    learnt, begun = Learnt(found.steps, weights, adaptations), untaught(network)
    for kind, arrays, expected in (
        ("weights", learnt.weights, begun.weights),
        ("thresholds", learnt.adaptations, begun.adaptations),
    ):
        if _forms(arrays) != _forms(expected):
            raise fault("bad-checkpoint", str(path), f"is damaged: its {kind} are of other groups or sizes", hint)
        for name, values in arrays.items():
            low, high = _ends(network, name)
            if not low <= values.min(initial=low) <= values.max(initial=low) <= high:
                message = f"is damaged: {kind} of {name} lie outside {low:,}..{high:,}"
                raise fault("bad-checkpoint", str(path), message, hint)
    read = network[network.incoming(next(iter(network.of_kind(Output))))[0].source]
    assert isinstance(read, Population)
    if any(len(each.names) != read.size for each in found.exams):
        raise fault("bad-checkpoint", str(path), "is damaged: its tests are of another number of neurons", hint)
    exams = tuple(
        Exam(each.samples, each.newest, dict(each.accuracy), dict(each.counts), each.names) for each in found.exams
    )
    return Progress(found.position, learnt, exams, found.learning, found.testing, found.took)


def _forms(arrays: Mapping[str, Array]) -> Mapping[str, tuple[Shape, str]]:
    return {name: (each.shape, each.dtype.name) for name, each in arrays.items()}


def _ends(network: Network, name: str) -> tuple[int, int]:
    """The least and the greatest that a group's weights, or a population's learnt adaptations, can be."""
    op = network[name]
    if isinstance(op, Synapse):
        assert op.plasticity
        return op.plasticity.stored
    assert isinstance(op, Population)
    assert op.adapt
    return op.adapt.register.lo, op.adapt.register.hi
