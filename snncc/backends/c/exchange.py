"""The files that a generated program reads and writes, in whichever machine: a batch, and the trace of its run."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from snncc.arrays import Array, Ints
from snncc.backends.base import Batch
from snncc.backends.c.widths import CType
from snncc.diagnostics import CompileError, fault
from snncc.integers import Network, Output, Population
from snncc.plasticity import trace_sizes
from snncc.runner import Trace

AGAIN = "compile the model again"
_RECORD = struct.Struct("<5I")


@dataclass(frozen=True)
class _Record:
    """An entry of the file's header: 0 output, 1 spikes, 2 membrane or 3 trace, and where its values lie in a frame."""

    kind: int
    type: CType
    size: int
    due: int
    first: int

    @property
    def last(self) -> int:
        return self.first + self.size * self.type.bytes


def failed(message: str) -> CompileError:
    """A fault of the program while it ran."""
    return fault("program-failed", "network.c", message, f"{AGAIN}; if that does not help, please report this")


def write_input(file: BinaryIO, batch: Batch, kind: CType, *, rewarded: bool = False, lesson: bytes = b"") -> None:
    """What programs read: the batch, sample by sample; before each frame its reward if there are rewards.

    `lesson` stands before the samples.
    """
    samples, steps, size = batch.x.shape
    file.write(struct.pack("<8s4I", b"SNNCCIN1", samples, steps, size, kind.bytes) + lesson)
    for sample, (x, length) in enumerate(zip(batch.x, batch.lengths.tolist(), strict=True)):
        frames = x[:length]
        if frames.size and not kind.holds((int(frames.min()), int(frames.max()))):
            raise ValueError(f"inputs do not fit {kind.name}")
        file.write(struct.pack("<I", length))
        flat = np.ascontiguousarray(frames, kind.numpy)
        if rewarded:
            own = np.zeros(length, np.int64) if batch.reward is None else batch.reward[sample, :length]
            heads = np.ascontiguousarray(own, "<i4").view(np.uint8).reshape(length, 4)
            flat = np.concatenate([heads, flat.view(np.uint8).reshape(length, -1)], axis=1)
        file.write(flat.data)


def read_output(file: BinaryIO, network: Network, batch: Batch) -> tuple[Trace, Ints | None]:
    """The trace, sample by sample, so that only one sample's bytes are alive beside it.

    If samples could end early, also how many of the model's steps (samples,) each of them took.
    """
    samples, steps = batch.x.shape[:2]
    records = _records(file, network)
    kept = [np.zeros((samples, steps, each.size), np.int64) for each in records]
    frame = records[-1].last if records else 0
    tail = max([0, *(op.start for op in network.of_kind(Population).values()), *_latencies(network)])
    last_start = max([0, *(op.start for op in network.of_kind(Population).values())])
    taken = batch.lengths.astype(np.int64)
    for sample, length in enumerate(batch.lengths.tolist()):
        total = min(length + tail, steps + last_start)
        raw = np.frombuffer(file.read(total * frame), np.uint8)
        if raw.size != total * frame:
            raise failed("the C program's output ends too early")
        frames = raw.reshape(total, frame)
        for each, values in zip(records, kept, strict=True):
            part = np.ascontiguousarray(frames[each.due : each.due + length, each.first : each.last])
            values[sample, : len(part)] = part.view(each.type.numpy)
        if batch.early:
            counted = file.read(4)
            if len(counted) != 4:
                raise failed("the C program's output ends too early")
            taken[sample] = np.clip(struct.unpack("<I", counted)[0] - records[0].due, 1, length)
    return _trace(records, kept, network), taken if batch.early else None


def _latencies(network: Network) -> list[int]:
    return [op.latency for op in network.of_kind(Output).values()]


def _records(file: BinaryIO, network: Network) -> list[_Record]:
    """The header, which must announce the network's outputs, and all of its populations, or of its traces, or none."""
    head = file.read(12)
    count = struct.unpack("<I", head[8:])[0] if head[:8] == b"SNNCCOU1" and len(head) == 12 else -1
    outputs, populations, traces = _announced(network)
    possible = outputs, outputs + populations, outputs + traces, outputs + populations + traces
    if count not in map(len, possible):
        raise failed("the C program's output has no header, or that of another network")
    body = file.read(count * _RECORD.size)
    records: list[_Record] = []
    for kind, size_of_value, signed, size, due in _RECORD.iter_unpack(body[: len(body) // _RECORD.size * _RECORD.size]):
        first = records[-1].last if records else 0
        bits = 8 * size_of_value if size_of_value in (1, 2, 4, 8) else 8
        records.append(_Record(kind, CType(bits, bool(signed)), size, due, first))
    if [(each.kind, each.size) for each in records] not in possible:
        raise failed("the C program's output is that of another network")
    return records


def _announced(network: Network) -> tuple[list[tuple[int, int]], ...]:
    """Kind and size of every record: of outputs, of populations, and of traces."""
    sizes = {name: op.size for name, op in network.of_kind(Population).items()}
    outputs = [(0, sizes[network.incoming(name)[0].source]) for name in network.of_kind(Output)]
    populations = [(kind, sizes[name]) for name in network.order() if name in sizes for kind in (1, 2)]
    return outputs, populations, [(3, size) for size in trace_sizes(network).values()]


def _trace(records: list[_Record], kept: list[Array], network: Network) -> Trace:
    """Records come in the order of the emitted program: outputs as in the network, populations as they are computed."""
    by_kind = [[values for each, values in zip(records, kept, strict=True) if each.kind == kind] for kind in range(4)]
    populations = [name for name in network.order() if isinstance(network[name], Population)]

    def named(names: list[str], arrays: list[Array]) -> Mapping[str, Array]:
        return dict(zip(names, arrays, strict=True)) if arrays else {}

    return Trace(
        named(list(network.of_kind(Output)), by_kind[0]),
        named(populations, by_kind[1]),
        named(populations, by_kind[2]),
        traces=named(list(trace_sizes(network)), by_kind[3]),
    )
