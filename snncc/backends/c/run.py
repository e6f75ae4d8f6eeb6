"""Builds an emitted C program with the system's compiler and runs it on integer inputs."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import tempfile
import time
import weakref
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from snncc.backends.base import Batch, Result
from snncc.backends.c.exchange import AGAIN, failed, read_output, write_input
from snncc.backends.c.widths import wire
from snncc.chip import Chip
from snncc.diagnostics import fault
from snncc.files import content, reason
from snncc.integers import Network, Population, Source, synapses_of
from snncc.linear import LinearMap, synapse_count

_FILES = ("main.c", "network.c", "network.h", "weights.c", "weights.h")
_BUILD_LIMIT = 1800.0  # seconds
_RUN_LIMIT = 120.0  # seconds, and what follows
_SLOWEST = 1e6  # synaptic events and neuron steps per second that any machine reaches


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
        raise fault("damaged-artefact", name, f"cannot be read: {reason(error)}", AGAIN) from error


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
        write_input(file, batch, wire((source.lowest, source.highest)))
    limit = _RUN_LIMIT + _work(network) * int(batch.lengths.sum() + len(batch.x)) / _SLOWEST
    begun = time.perf_counter()
    try:
        arguments = [*command, given.name, taken.name]
        done = subprocess.run(arguments, cwd=scratch, capture_output=True, timeout=limit, check=False)  # noqa: S603
    except subprocess.TimeoutExpired as error:
        raise failed(f"the C program was stopped after {limit:,.0f} seconds") from error
    seconds = time.perf_counter() - begun
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()[-2000:] or "without a word"
        raise failed(f"the C program ended with status {done.returncode}: {said}")
    if not taken.is_file():
        raise failed("the C program wrote no output")
    with taken.open("rb") as file:
        trace = read_output(file, network, batch)
    return Result(trace, {"seconds": seconds})


def _work(network: Network) -> float:
    """Synapses and neurons: what one step can cost at most."""
    neurons = sum(op.size for op in network.of_kind(Population).values())
    return neurons + sum(_synapses(network, name) for name in network.of_kind(Population))


def _synapses(network: Network, population: str) -> int:
    maps: list[LinearMap] = [getattr(network[name], "map") for name in synapses_of(network, population)]  # noqa: B009
    return sum(synapse_count(each) for each in maps)
