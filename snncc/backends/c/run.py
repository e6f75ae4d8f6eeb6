"""Builds an emitted C program with the system's compiler and runs it on integer inputs."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from snncc.backends.base import Batch, Result
from snncc.backends.c.building import compiled, compiler_of, content_of, no_room
from snncc.backends.c.exchange import failed, read_output, write_input
from snncc.backends.c.learnt import learnt_bytes, read_learnt
from snncc.backends.c.widths import wire
from snncc.chip import Chip
from snncc.integers import Network, Population, Source, learns, synapses_of, takes_reward
from snncc.linear import LinearMap, synapse_count
from snncc.plasticity import trace_sizes

_FILES = ("main.c", "network.c", "network.h", "weights.c", "weights.h")
_RUN_LIMIT = 120.0  # seconds, and what follows
_SLOWEST = 1e6  # synaptic events and neuron steps per second that any machine reaches


def run(folder: Path, network: Network, chip: Chip, batch: Batch, record: bool) -> Result:
    """Build the artefact, unless this process just did, and run it; nothing is written into its folder.

    Raises CompileError: `no-compiler`, `compiler-failed`, `damaged-artefact`, `program-failed`.
    """
    compiler_of(chip)
    files = tuple((name, content_of(folder, name)) for name in _FILES)
    sources = (name for name in _FILES if name.endswith(".c"))
    try:
        build = compiled(chip, ("-o", "network", *sources), files)
        with TemporaryDirectory(prefix="snncc-c-") as scratch:
            weights = Path(folder, "weights.bin").resolve()
            options = [*["-w", str(weights)] * weights.exists(), *["-r"] * record, *["-e"] * batch.early]
            options += ["-t"] * bool(batch.traces and trace_sizes(network))
            return _execute([str(build.folder / "network"), *options], Path(scratch), network, batch)
    except OSError as error:
        raise no_room(error) from error


def _execute(command: Sequence[str], scratch: Path, network: Network, batch: Batch) -> Result:
    """Run a built program on a batch, in `scratch` and by way of files there."""
    source = next(iter(network.of_kind(Source).values()))
    given, taken, saved = (scratch / name for name in ("input.bin", "output.bin", "learnt.bin"))
    with given.open("wb") as file:
        write_input(file, batch, wire((source.lowest, source.highest)), rewarded=takes_reward(network))
    if learns(network):
        command = [*command, *["-f"] * batch.frozen, "-s", saved.name]
        if batch.learnt:
            Path(scratch, "before.bin").write_bytes(learnt_bytes(network, batch.learnt))
            command = [*command, "-l", "before.bin"]
    limit = _RUN_LIMIT + work(network) * int(batch.lengths.sum() + len(batch.x)) / _SLOWEST
    begun = time.perf_counter()
    try:
        arguments = [*command, given.name, taken.name]
        # S603: the program that was just built, without a shell
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
        trace, taken = read_output(file, network, batch)
    if learns(network):
        trace = replace(trace, learnt=read_learnt(network, saved.read_bytes(), saved.name))
    return Result(trace, {"seconds": seconds}, taken=taken)


def work(network: Network) -> float:
    """Synapses and neurons: what one step can cost at most."""
    neurons = sum(op.size for op in network.of_kind(Population).values())
    return neurons + sum(_synapses(network, name) for name in network.of_kind(Population))


def _synapses(network: Network, population: str) -> int:
    # B009: the type of an op is not known here, and `.map` of any op is no attribute to the type checker
    maps: list[LinearMap] = [getattr(network[name], "map") for name in synapses_of(network, population)]  # noqa: B009
    return sum(synapse_count(each) for each in maps)
