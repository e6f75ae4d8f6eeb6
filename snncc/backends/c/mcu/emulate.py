"""Builds a network's program for a device, and runs it there in the device's emulator, as many samples as there are."""

from __future__ import annotations

import math
import re
import shutil
import struct
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from snncc.analysis.proof import Proof
from snncc.arrays import Array, Ints
from snncc.backends.base import Batch, Result
from snncc.backends.c.building import Build, built, compiled, compiler_of, content_of, no_room
from snncc.backends.c.exchange import failed, read_output, write_input
from snncc.backends.c.learnt import learnt_bytes, read_learnt
from snncc.backends.c.mcu.artefact import device_of, sources
from snncc.backends.c.mcu.counting import NEURONS, Counted, count, counter_options, instructions
from snncc.backends.c.mcu.emit import plan_for
from snncc.backends.c.mcu.linking import overflows
from snncc.backends.c.run import work
from snncc.backends.c.widths import CType, wire
from snncc.chip import Chip
from snncc.device import Device
from snncc.diagnostics import CompileError, fault
from snncc.integers import Learnt, Network, Population, Source, learns, takes_reward
from snncc.runner import Trace

_RUN_LIMIT = 120.0  # seconds, and what follows
_SLOWEST = 2e5  # synaptic events and neuron steps per second that any emulator reaches
_LINE = re.compile(rb":([0-9a-f]+)")


@dataclass(frozen=True)
class _Ran:
    """What a run of the emulator gave."""

    trace: Trace
    stack: int
    counted: Counted
    taken: Ints | None


def run(folder: Path, network: Network, chip: Chip, batch: Batch, record: bool) -> Result:
    """Build the artefact for its device, unless this process just did, and run it in the device's emulator.

    Raises CompileError: `no-compiler`, `no-emulator`, `compiler-failed`, `damaged-artefact`, `program-failed`,
    and `flash-too-small` and `ram-too-small` if the network fits but not with what moves data in and out.
    """
    device = device_of(chip)
    compiler_of(chip)
    emulator = _emulator(chip, device)
    files = tuple((name, content_of(folder, name)) for name in sources(device))
    try:
        parts: list[_Ran] = []
        for part in _parts(batch, device, network, files):
            learnt = parts[-1].trace.learnt if parts else batch.learnt
            own = replace(part, learnt=learnt)
            parts.append(_run_part(chip, files, emulator, network, own, record))
    except OSError as error:
        raise no_room(error) from error
    return _joined(parts)


def worst_step(folder: Path, network: Network, proof: Proof, chip: Chip) -> int | None:
    """A number of instructions that no step exceeds, whatever its input.

    None where only a timer's cycles are counted, and where the network learns: no input makes every rule do its most.

    What the synapses take depends only on which sources are active: it is counted in a step in which all are. What
    neurons take depends on what they do; each instruction of their loop is executed at most once a neuron, and once a
    spike where there can be several.
    """
    device = device_of(chip)
    if device.emulator.counts != "instructions" or learns(network):
        return None
    plan = plan_for(network, proof, chip)
    source = next(iter(network.of_kind(Source).values()))
    size = math.prod(source.shape)
    batch = Batch(np.full((1, 1, size), source.highest, np.int64), np.array([1]))
    files = tuple((name, content_of(folder, name)) for name in sources(device))
    try:
        ran = _run_part(chip, files, _emulator(chip, device), network, batch, False, worst=True)
        build = compiled(chip, _arguments(files, device, False, worst=True), files)
        static = instructions(build.folder / "network.elf", chip)
    except OSError as error:
        raise no_room(error) from error
    total = int(ran.counted.at[:, :NEURONS].sum()) + static.get("snn_step", 0) + 2 * len(plan.steps)
    functions = [name for name in static if name.startswith("update_")]
    for step in plan.steps:
        longest = max(static[name] for name in functions if name.startswith(f"update_{step.neurons.kind.title}"))
        total += (1 + step.op.size) * longest * max(1, step.neurons.kind.max_spikes)
    return total


def _emulator(chip: Chip, device: Device) -> str:
    command = shutil.which(device.emulator.command)
    if command is None:
        message = f"running this artefact needs the emulator {device.emulator.command!r}, which is not installed"
        raise fault("no-emulator", chip.name, message, device.emulator.install)
    return command


def _parts(batch: Batch, device: Device, network: Network, files: Sequence[tuple[str, bytes]]) -> Iterator[Batch]:
    """The samples of one run each: all, or as many as the rest of the flash holds where they are constants there."""
    if device.emulator.channel == "semihosting":
        yield batch
        return
    source = next(iter(network.of_kind(Source).values()))
    kind = wire((source.lowest, source.highest))
    room = device.flash.value / 2 - _constants(files)

    first, taken = 0, 0
    for at in range(len(batch.x)):
        size = len(_compact(_rows(batch, at, at + 1), kind, network))
        if at > first and taken + size > room:
            yield _rows(batch, first, at)
            first, taken = at, 0
        taken += size
    yield _rows(batch, first, len(batch.x))


def _rows(batch: Batch, first: int, last: int) -> Batch:
    reward = None if batch.reward is None else batch.reward[first:last]
    return replace(batch, x=batch.x[first:last], lengths=batch.lengths[first:last], reward=reward)


def _constants(files: Sequence[tuple[str, bytes]]) -> int:
    """About the bytes of the constant tables: there are three characters to a number, and more."""
    return sum(len(content) for name, content in files if name == "network.c") // 6


def _compact(batch: Batch, kind: CType, network: Network) -> bytes:
    """The input, where a frame that is like the one before takes one byte."""
    samples, steps, size = batch.x.shape
    result = bytearray(b"SNNCCIN1" + struct.pack("<4I", samples, steps, size, kind.bytes) + _lesson(network, batch))
    rewards = np.zeros((samples, steps), np.int64) if batch.reward is None else batch.reward
    rewarded, before = takes_reward(network), b""
    for x, length, own in zip(batch.x, batch.lengths.tolist(), rewards.tolist(), strict=True):
        result += struct.pack("<I", length)
        for frame, reward in zip(np.ascontiguousarray(x[:length], kind.numpy), own, strict=False):
            now = frame.tobytes()
            result += struct.pack("<i", reward) * rewarded + (b"\0" if now == before else b"\1" + now)
            before = now
    return bytes(result)


def _lesson(network: Network, batch: Batch) -> bytes:
    """What stands before the samples of a network that learns: whether it does, and what it has learnt."""
    if not learns(network):
        return b""
    flags = struct.pack("<I", batch.frozen + 2 * (batch.learnt is not None))
    return flags + (learnt_bytes(network, batch.learnt) if batch.learnt else b"")


def _run_part(
    chip: Chip,
    files: tuple[tuple[str, bytes], ...],
    emulator: str,
    network: Network,
    batch: Batch,
    record: bool,
    worst: bool = False,
) -> _Ran:
    device = device_of(chip)
    source = next(iter(network.of_kind(Source).values()))
    kind = wire((source.lowest, source.highest))
    serial = device.emulator.channel == "serial"
    if serial:
        files = (*files, ("bare_metal/input.c", _as_code(_compact(batch, kind, network))))
    build = _program(chip, _arguments(files, device, record, worst, early=batch.early, traces=batch.traces), files)
    with TemporaryDirectory(prefix="snncc-mcu-") as scratch:
        folder = Path(scratch)
        if not serial:
            with (folder / "input.bin").open("wb") as file:
                write_input(file, batch, kind, rewarded=takes_reward(network), lesson=_lesson(network, batch))
        options = counter_options(build, chip, folder)
        said = _execute(emulator, device, build, options, folder, network, batch)
        output = _unhexed(said) if serial else _content(folder / "output.bin")
        stream = BytesIO(output)
        trace, taken = read_output(stream, network, batch)
        return _finished(stream.read(), trace, device, network, folder, batch, taken)


def _program(chip: Chip, arguments: tuple[str, ...], files: tuple[tuple[str, bytes], ...]) -> Build:
    """The program; raises CompileError, also of all memories that it overflows (`flash-too-small`, `ram-too-small`)."""
    command, flags = compiler_of(chip)
    too_big = overflows(built(command, (*flags, *arguments), files).said, chip)
    if too_big:
        raise CompileError(too_big)
    return compiled(chip, arguments, files)


def _finished(
    rest: bytes, trace: Trace, device: Device, network: Network, folder: Path, batch: Batch, taken: Ints | None
) -> _Ran:
    """The trace with what stands behind it in the output, and what the emulator counted."""
    clocks = 1 + len(network.of_kind(Population)) if device.emulator.counts == "cycles" else 0
    if learns(network):
        learnt, rest = _learnt(network, rest, 4 * (1 + clocks))
        trace = replace(trace, learnt=learnt)
    if len(rest) != 4 * (1 + clocks):
        raise failed("the program's output has no end, or that of another network")
    stack, *cycles = struct.unpack(f"<{1 + clocks}I", rest)
    steps = int((batch.lengths if taken is None else taken).sum())
    return _Ran(trace, stack, count(folder, cycles, steps), taken)


def _learnt(network: Network, rest: bytes, tail: int) -> tuple[Learnt, bytes]:
    """What was learnt, and what stands behind it."""
    end = len(rest) - tail
    return read_learnt(network, rest[: max(0, end)], "what the program learnt"), rest[max(0, end) :]


def _arguments(
    files: Sequence[tuple[str, bytes]],
    device: Device,
    record: bool,
    worst: bool = False,
    early: bool = False,
    traces: bool = False,
) -> tuple[str, ...]:
    """What follows the compiler's own flags."""
    defines = ["-DSNN_RUN", "-DSNN_STACK", *["-DSNN_RECORD"] * record, *["-DSNN_WORST"] * worst]
    defines += [*["-DSNN_EARLY"] * early, *["-DSNN_TRACES"] * traces]
    linking = ["-Wl,--gc-sections", "-I."]
    if device.emulator.channel == "semihosting":
        linking += ["-nostartfiles", "-T", "bare_metal/link.ld"]
    else:
        defines.append("-DSNN_COMPACT")
    skipped = {"network.c"} if worst or device.emulator.counts == "cycles" else set[str]()
    code = [name for name, _ in files if name.endswith(".c") and name not in skipped]
    return (*defines, *linking, *code, "-o", "network.elf")


def _as_code(content: bytes) -> bytes:
    """Bytes as a constant array."""
    lines = [", ".join(map(str, content[at : at + 32])) for at in range(0, len(content), 32)]
    head = "#include <stdint.h>\nextern const __flash uint8_t board_input[];\nextern const uint32_t board_input_size;\n"
    body = f"const uint32_t board_input_size = {len(content)};\nconst __flash uint8_t board_input[] = {{\n"
    return (head + body + ",\n".join(lines) + "};\n").encode()


def _execute(
    emulator: str, device: Device, build: Build, options: Sequence[str], folder: Path, network: Network, batch: Batch
) -> bytes:
    """Run the emulator in `folder`; what it printed."""
    program = str(build.folder / "network.elf")
    arguments = [each.replace("{program}", program) for each in device.emulator.arguments]
    limit = _RUN_LIMIT + work(network) * int(batch.lengths.sum() + len(batch.x)) / _SLOWEST
    try:
        done = subprocess.run(  # noqa: S603  the target's emulator, on what was just built
            [emulator, *arguments, *options], cwd=folder, capture_output=True, timeout=limit, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise failed(f"the program was stopped after {limit:,.0f} seconds in the emulator") from error
    said = done.stdout + done.stderr
    if done.returncode or (device.emulator.channel == "serial" and b"!done" not in said):
        words = said.decode(errors="replace").strip()[-2000:] or "without a word"
        raise failed(f"the program ended with status {done.returncode} in the emulator: {words}")
    return said


def _unhexed(said: bytes) -> bytes:
    """The bytes that came through the serial port."""
    return b"".join(bytes.fromhex(line.decode()) for line in _LINE.findall(said))


def _content(path: Path) -> bytes:
    if not path.is_file():
        raise failed("the program wrote no output")
    return path.read_bytes()


def _joined(parts: Sequence[_Ran]) -> Result:
    """One result of all runs; instructions (or cycles) by population and by what of it."""
    longest = max((each.trace.outputs[name].shape[1] for each in parts for name in each.trace.outputs), default=0)

    def join(kind: str) -> dict[str, Array]:
        named = getattr(parts[0].trace, kind)
        return {name: _stacked([getattr(each.trace, kind)[name] for each in parts], longest) for name in named}

    trace = Trace(join("outputs"), join("spikes"), join("membranes"), parts[-1].trace.learnt, join("traces"))
    slots = max(each.counted.at.shape[1] for each in parts)
    total = sum((_widened(each.counted.at, slots) for each in parts), np.zeros((1, slots), np.int64))
    figures = {
        "counted": float(sum(each.counted.total for each in parts)),
        "steps": float(sum(each.counted.steps for each in parts)),
    }
    peaks = {
        "worst": np.array([max(each.counted.worst for each in parts)], np.int64),
        "stack": np.array([max(each.stack for each in parts)], np.int64),
    }
    ended = [each.taken for each in parts if each.taken is not None]
    return Result(trace, figures, {"at": total.reshape(-1)}, peaks, np.concatenate(ended) if ended else None)


def _stacked(arrays: Sequence[Array], longest: int) -> Array:
    return np.concatenate([np.pad(each, ((0, 0), (0, longest - each.shape[1]), (0, 0))) for each in arrays])


def _widened(at: Array, slots: int) -> Array:
    return np.pad(at, ((0, 0), (0, slots - at.shape[1])))
