"""Builds an emitted C program with the system's compiler and runs it on integer inputs."""

from __future__ import annotations

import functools
import os
import shutil
import struct
import subprocess
import tempfile
import time
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

import numpy as np

from snncc.arrays import Array
from snncc.backends.base import Batch, Result
from snncc.backends.c.widths import CType, wire
from snncc.chip import Chip
from snncc.diagnostics import CompileError, fault
from snncc.files import content, reason
from snncc.integers import Network, Output, Population, Source, synapses_of
from snncc.linear import LinearMap, synapse_count
from snncc.runner import Trace

_FILES = ("main.c", "network.c", "network.h", "weights.c", "weights.h")
_AGAIN = "compile the model again"
_BUILD_LIMIT = 1800.0  # seconds
_RUN_LIMIT = 120.0  # seconds, and what follows
_SLOWEST = 1e6  # synaptic events and neuron steps per second that any machine reaches
_RECORD = struct.Struct("<5I")


@dataclass(frozen=True)
class _Record:
    """An entry of the output file's header: 0 output, 1 spikes or 2 membrane, and where its values lie in a frame."""

    kind: int
    type: CType
    size: int
    due: int
    first: int

    @property
    def last(self) -> int:
        return self.first + self.size * self.type.bytes


def run(folder: Path, network: Network, chip: Chip, batch: Batch, record: bool) -> Result:
    """Build the artefact, unless this process just did, and run it; nothing is written into its folder.

    Raises CompileError: `no-compiler`, `compiler-failed`, `damaged-artefact`, `program-failed`.
    """
    command, flags = _compiler(chip)
    files = tuple((name, _content(folder, name)) for name in _FILES)
    try:
        build = _build(command, flags, files)
        if build.said:
            raise fault(
                "compiler-failed",
                chip.name,
                f"{command} {' '.join(flags)} cannot build the program: {build.said}",
                "see [compiler] in the target's file; if the compiler and its flags are fine, please report this",
            )
        with TemporaryDirectory(prefix="snncc-c-") as scratch:
            weights = Path(folder, "weights.bin").resolve()
            options = [*["-w", str(weights)] * weights.exists(), *["-r"] * record]
            return _execute([str(build.program), *options], Path(scratch), network, batch)
    except OSError as error:
        hint = "set TMPDIR to a folder that has room"
        raise fault("cannot-write", _scratch(), reason(error), hint) from error


def _scratch() -> str:
    """The folder for temporary files, or what it would be if there were one."""
    try:
        return tempfile.gettempdir()
    except OSError:
        return os.environ.get("TMPDIR", "temporary files")


def _content(folder: Path, name: str) -> bytes:
    try:
        return content(folder / name)
    except OSError as error:
        raise fault("damaged-artefact", name, f"cannot be read: {reason(error)}", _AGAIN) from error


def _failed(message: str) -> CompileError:
    return fault("program-failed", "network.c", message, f"{_AGAIN}; if that does not help, please report this")


def _compiler(chip: Chip) -> tuple[str, tuple[str, ...]]:
    """The path and the flags of the chip's compiler."""
    compiler = chip.compiler
    command = shutil.which(compiler.command) if compiler else None
    if compiler is None or command is None:
        wanted = f"the C compiler {compiler.command!r}, which is not installed" if compiler else "a C compiler"
        raise fault(
            "no-compiler",
            chip.name,
            f"running this artefact needs {wanted}",
            "apt-get install gcc, or brew install gcc; or name another under [compiler] in a target file of your own",
        )
    return command, compiler.flags


class _Build:
    """A built program in a temporary folder that lives as long as this object; `said` is why there is none."""

    def __init__(self, command: str, flags: Sequence[str], files: Sequence[tuple[str, bytes]]) -> None:
        folder = tempfile.mkdtemp(prefix="snncc-c-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        for name, code in files:
            Path(folder, name).write_bytes(code)
        self.program = Path(folder, "network")
        sources = [name for name, _ in files if name.endswith(".c")]
        arguments = [command, *flags, "-o", "network", *sources]
        try:
            done = subprocess.run(arguments, cwd=folder, capture_output=True, timeout=_BUILD_LIMIT, check=False)  # noqa: S603
        except subprocess.TimeoutExpired:
            self.said = f"it was stopped after {_BUILD_LIMIT:,.0f} seconds"
            return
        self.said = done.stderr.decode(errors="replace").strip()[-2000:] or "no reason" if done.returncode else ""


@functools.lru_cache(maxsize=4)
def _build(command: str, flags: tuple[str, ...], files: tuple[tuple[str, bytes], ...]) -> _Build:
    """Builds are kept, as `simulate` and `verify` run the same program batch after batch."""
    return _Build(command, flags, files)


def _execute(command: Sequence[str], scratch: Path, network: Network, batch: Batch) -> Result:
    """Run a built program on a batch, in `scratch` and by way of files there."""
    source = next(iter(network.of_kind(Source).values()))
    given, taken = scratch / "input.bin", scratch / "output.bin"
    with given.open("wb") as file:
        _write_input(file, batch, wire((source.lowest, source.highest)))
    limit = _RUN_LIMIT + _work(network) * int(batch.lengths.sum() + len(batch.x)) / _SLOWEST
    begun = time.perf_counter()
    try:
        arguments = [*command, given.name, taken.name]
        done = subprocess.run(arguments, cwd=scratch, capture_output=True, timeout=limit, check=False)  # noqa: S603
    except subprocess.TimeoutExpired as error:
        raise _failed(f"the C program was stopped after {limit:,.0f} seconds") from error
    seconds = time.perf_counter() - begun
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()[-2000:] or "without a word"
        raise _failed(f"the C program ended with status {done.returncode}: {said}")
    if not taken.is_file():
        raise _failed("the C program wrote no output")
    with taken.open("rb") as file:
        trace = _read_output(file, network, batch)
    return Result(trace, {"seconds": seconds})


def _work(network: Network) -> float:
    """Synapses and neurons: what one step can cost at most."""
    neurons = sum(op.size for op in network.of_kind(Population).values())
    return neurons + sum(_synapses(network, name) for name in network.of_kind(Population))


def _synapses(network: Network, population: str) -> int:
    maps: list[LinearMap] = [getattr(network[name], "map") for name in synapses_of(network, population)]  # noqa: B009
    return sum(synapse_count(each) for each in maps)


def _write_input(file: BinaryIO, batch: Batch, kind: CType) -> None:
    samples, steps, size = batch.x.shape
    file.write(struct.pack("<8s4I", b"SNNCCIN1", samples, steps, size, kind.bytes))
    for x, length in zip(batch.x, batch.lengths.tolist(), strict=True):
        frames = x[:length]
        if frames.size and not kind.holds((int(frames.min()), int(frames.max()))):
            raise ValueError(f"inputs do not fit {kind.name}")
        file.write(struct.pack("<I", length))
        file.write(np.ascontiguousarray(frames, kind.numpy).data)


def _read_output(file: BinaryIO, network: Network, batch: Batch) -> Trace:
    """The trace, sample by sample, so that only one sample's bytes are alive beside it."""
    samples, steps = batch.x.shape[:2]
    records = _records(file, network)
    kept = [np.zeros((samples, steps, each.size), np.int64) for each in records]
    frame = records[-1].last if records else 0
    tail = max([0, *(op.start for op in network.of_kind(Population).values()), *_latencies(network)])
    last_start = max([0, *(op.start for op in network.of_kind(Population).values())])
    for sample, length in enumerate(batch.lengths.tolist()):
        total = min(length + tail, steps + last_start)
        raw = np.frombuffer(file.read(total * frame), np.uint8)
        if raw.size != total * frame:
            raise _failed("the C program's output ends too early")
        frames = raw.reshape(total, frame)
        for each, values in zip(records, kept, strict=True):
            part = np.ascontiguousarray(frames[each.due : each.due + length, each.first : each.last])
            values[sample, : len(part)] = part.view(each.type.numpy)
    return _trace(records, kept, network)


def _latencies(network: Network) -> list[int]:
    return [op.latency for op in network.of_kind(Output).values()]


def _records(file: BinaryIO, network: Network) -> list[_Record]:
    """The header, which must announce the network's outputs, and all of its populations or none."""
    head = file.read(12)
    count = struct.unpack("<I", head[8:])[0] if head[:8] == b"SNNCCOU1" and len(head) == 12 else -1
    outputs, populations = _announced(network)
    if count not in (len(outputs), len(outputs + populations)):
        raise _failed("the C program's output has no header, or that of another network")
    body = file.read(count * _RECORD.size)
    records: list[_Record] = []
    for kind, size_of_value, signed, size, due in _RECORD.iter_unpack(body[: len(body) // _RECORD.size * _RECORD.size]):
        first = records[-1].last if records else 0
        bits = 8 * size_of_value if size_of_value in (1, 2, 4, 8) else 8
        records.append(_Record(kind, CType(bits, bool(signed)), size, due, first))
    if [(each.kind, each.size) for each in records] != (outputs + populations)[:count]:
        raise _failed("the C program's output is that of another network")
    return records


def _announced(network: Network) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Kind and size of every record: of outputs, and of populations."""
    sizes = {name: op.size for name, op in network.of_kind(Population).items()}
    outputs = [(0, sizes[network.incoming(name)[0].source]) for name in network.of_kind(Output)]
    return outputs, [(kind, sizes[name]) for name in network.order() if name in sizes for kind in (1, 2)]


def _trace(records: list[_Record], kept: list[Array], network: Network) -> Trace:
    """Records come in the order of the emitted program: outputs as in the network, populations as they are computed."""
    by_kind = [[values for each, values in zip(records, kept, strict=True) if each.kind == kind] for kind in range(3)]
    populations = [name for name in network.order() if isinstance(network[name], Population)]

    def named(names: list[str], arrays: list[Array]) -> Mapping[str, Array]:
        return dict(zip(names, arrays, strict=True)) if arrays else {}

    return Trace(
        named(list(network.of_kind(Output)), by_kind[0]),
        named(populations, by_kind[1]),
        named(populations, by_kind[2]),
    )
