"""What a run of learning has come to, on disk: what was learnt, where in the stream it is, and how well it did.

A checkpoint is written whole or not at all. It says which network learnt: the same one of another target, whose spikes
come later, is taken for it, and any other is not.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from snncc import files
from snncc.analysis.costs import Took
from snncc.arrays import Array
from snncc.diagnostics import CompileError, fault
from snncc.integers import IntOp, Learnt, Network, Output, Population, Synapse
from snncc.linear import to_sparse
from snncc.passes.retime import links
from snncc.plasticity import untaught
from snncc.serial import Reader, Writer
from snncc.workload import Work

CHECKPOINT = "checkpoint.json"
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


def save(network: Network, at: Progress, folder: Path, mark: int) -> None:
    """Write a checkpoint: a line with a checksum, a line of JSON, and the bytes of the arrays that it names."""
    writer = Writer()
    exams = [
        {**asdict(each), "accuracy": list(each.accuracy.items()), "counts": list(each.counts.items())}
        for each in at.exams
    ]
    plain = {
        "mark": mark,
        "network": identity(network),
        "position": at.position,
        "steps": at.learnt.steps,
        "weights": {name: writer.plain(each) for name, each in at.learnt.weights.items()},
        "adaptations": {name: writer.plain(each) for name, each in at.learnt.adaptations.items()},
        "exams": exams,
        "learning": asdict(at.learning),
        "testing": asdict(at.testing),
        "took": [asdict(each) for each in at.took],
    }
    body = bytes(writer.blob)
    text = json.dumps(plain)
    head = json.dumps({"crc": zlib.crc32(text.encode(), zlib.crc32(body)), "bytes": len(body)})
    files.replace_file(folder / CHECKPOINT, f"{head}\n{text}\n".encode() + body)


def restored(network: Network, folder: Path, mark: int) -> Progress:
    """The checkpoint of a folder, or the beginning where there is none; raises CompileError (`bad-checkpoint`)."""
    path = folder / CHECKPOINT
    if files.kind(path) == "nothing":
        return Progress(0, untaught(network))
    found = _read(path, _AGAIN)
    if found.mark != mark or found.network != identity(network):
        raise fault("bad-checkpoint", str(path), "is of another program, other data or other options", _AGAIN)
    return _sound(found, network, path, _AGAIN)


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
        raise fault("bad-checkpoint", str(path), message, "give the program that learnt there, of whatever target")
    return _sound(found, network, path, hint)


@dataclass(frozen=True, eq=False)
class _Stored:
    """What a file holds: which run and which network wrote it, and how far it had come."""

    mark: int
    network: str
    progress: Progress


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
        found = None if lost or changed else _stored(json.loads(text), Reader(str(path), body))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError, CompileError) as error:
        raise fault("bad-checkpoint", str(path), "is damaged", hint) from error
    if found is None:
        why = f"{len(body):,} of {promised:,} bytes" if lost else "its checksum is another one"
        raise fault("bad-checkpoint", str(path), f"is damaged: {why}", hint)
    return found


def _stored(plain: Any, reader: Reader) -> _Stored:
    weights = {name: reader.value(Array, each, name) for name, each in plain["weights"].items()}
    adaptations = {name: reader.value(Array, each, name) for name, each in plain["adaptations"].items()}
    exams = tuple(
        Exam(each["samples"], each["newest"], dict(each["accuracy"]), dict(each["counts"]), tuple(each["names"]))
        for each in plain["exams"]
    )
    learnt = Learnt(plain["steps"], weights, adaptations)
    work = Work(**plain["learning"]), Work(**plain["testing"])
    learning, testing = plain["took"]
    if not all(type(each) is int and each >= 0 for each in (plain["position"], plain["steps"])):
        raise ValueError("positions count from 0")
    at = Progress(plain["position"], learnt, exams, *work, (Took(**learning), Took(**testing)))
    return _Stored(plain["mark"], plain["network"], at)


def _sound(found: _Stored, network: Network, path: Path, hint: str) -> Progress:
    """What was stored, if a network can have learnt that."""
    learnt, begun = found.progress.learnt, untaught(network)
    for kind, arrays, expected in (
        ("weights", learnt.weights, begun.weights),
        ("thresholds", learnt.adaptations, begun.adaptations),
    ):
        if {name: each.shape for name, each in arrays.items()} != {name: each.shape for name, each in expected.items()}:
            raise fault("bad-checkpoint", str(path), f"is damaged: its {kind} are of other groups or sizes", hint)
        for name, values in arrays.items():
            low, high = _ends(network, name)
            if not low <= values.min(initial=low) <= values.max(initial=low) <= high:
                message = f"is damaged: {kind} of {name} lie outside {low:,}..{high:,}"
                raise fault("bad-checkpoint", str(path), message, hint)
    return found.progress


def _ends(network: Network, name: str) -> tuple[int, int]:
    """The least and the greatest that a group's weights, or a population's learnt adaptations, can be."""
    op = network[name]
    if isinstance(op, Synapse):
        assert op.plasticity
        return op.plasticity.stored
    assert isinstance(op, Population)
    assert op.adapt
    return op.adapt.register.lo, op.adapt.register.hi
