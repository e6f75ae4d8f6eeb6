"""Measures how fast the emulated chip of many cores runs, with its full timing; prints JSON.

    python benchmarks/chip_speed.py [NETWORK...] [--repeats N]

Synaptic events are values that meet a weight other than 0. `machine` is all of a run in one process on one core:
neurons, routers, synapses; `kernel` only what is in compiled code, without the neurons. Loading the program, and
compiling, are given apart. Neurons fire by their biases, so that activity is known; in the models the shipped samples
decide.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

import snncc
from snncc import chip as chips
from snncc.analysis.proof import prove
from snncc.backends.base import Batch, Job
from snncc.backends.chip import kernel, machine
from snncc.backends.chip.counts import counts
from snncc.backends.chip.emit import emit
from snncc.backends.chip.run import load
from snncc.chip import Chip
from snncc.graph import Edge, Graph
from snncc.integers import (
    Decay,
    Fire,
    IntOp,
    Membrane,
    Network,
    Output,
    Population,
    Register,
    SoftReset,
    Source,
    Synapse,
)
from snncc.linear import Conv, Dense, LinearMap, from_triples
from snncc.mapping import cores_of, frozen_cores
from snncc.passes.route import route

MODELS = Path(__file__).parents[1] / "models"
CHIP = chips.load("mesh64")
RANDOM = np.random.default_rng


@dataclass(frozen=True, eq=False)
class Case:
    """What is run: files of a program, and its input."""

    network: Network
    chip: Chip
    files: dict[str, bytes]
    batch: Batch


def neurons(shape: tuple[int, ...], rate: float, seed: int) -> Population:
    """Neurons whose biases let a part `rate` of them fire in each step; what they get hardly changes that."""
    size = int(np.prod(shape))
    bias = np.full(size, round(rate * (1 << 20)), np.int64)
    start = RANDOM(seed).integers(0, 1 << 20, size)
    register = Register(-(1 << 23), (1 << 23) - 1)
    membrane = Membrane(Decay(np.array(0), 4, "nearest"), register, bias.reshape(shape), initial=start.reshape(shape))
    return Population(shape, membrane, Fire(np.array(1 << 20), True), SoftReset(np.array(1 << 20)))


def chain(shapes: list[tuple[int, ...]], maps: list[LinearMap], rate: float) -> Network:
    """Populations one after another, fed by one silent input; the last feeds back if there is one map more."""
    ops: dict[str, IntOp] = {"x": Source((1,)), "in": Synapse(Dense(np.ones((int(np.prod(shapes[0])), 1), np.int8)))}
    edges = [Edge("x", "in", 1), Edge("in", "p0")]
    for number, shape in enumerate(shapes):
        ops[f"p{number}"] = neurons(shape, rate, number)
    for number, linear in enumerate(maps):
        source, target = number, min(number + 1, len(shapes) - 1)
        ops[f"w{number}"] = Synapse(linear)
        edges += [Edge(f"p{source}", f"w{number}", 1), Edge(f"w{number}", f"p{target}")]
    ops["y"] = Output("spikes", "after", "count")
    return Graph(ops, [*edges, Edge(f"p{len(shapes) - 1}", "y")])


def placed(network: Network, chip: Chip, samples: int, steps: int) -> Case:
    """The network in runs of neurons over all cores, one population after another, whatever the cores' limits."""
    assert chip.mesh is not None
    populations, first = network.of_kind(Population), 0
    total = sum(each.size for each in populations.values())
    homes = {}
    for name, op in populations.items():
        homes[name] = ((first + np.arange(op.size)) * cores_of(chip.mesh) // total).astype(np.int32)
        first += op.size
    job = Job("speed", network, prove(network), chip, route(network, frozen_cores(homes)))
    x = np.zeros((samples, steps, 1), np.int64)
    return Case(network, chip, dict(emit(job)), Batch(x, np.full(samples, steps)))


def dense() -> Case:
    """Two layers of 1,024 neurons and feedback of the second: a thousand synapses a spike."""
    maps: list[LinearMap] = [Dense(RANDOM(each).integers(-127, 128, (1024, 1024)).astype(np.int8)) for each in range(2)]
    return placed(chain([(1024,), (1024,)], maps, 0.05), CHIP, 8, 50)


def convolution() -> Case:
    """Two convolutions of 3 x 3, 16 to 32 to 32 channels, on 32 x 32 positions."""

    def conv(channels: int, outs: int, seed: int) -> Conv:
        weight = RANDOM(seed).integers(-127, 128, (outs, channels, 3, 3)).astype(np.int8)
        return Conv(weight, (channels, 32, 32), padding=(1, 1, 1, 1))

    shapes: list[tuple[int, ...]] = [(16, 32, 32), (32, 32, 32), (32, 32, 32)]
    return placed(chain(shapes, [conv(16, 32, 0), conv(32, 32, 1)], 0.05), CHIP, 2, 20)


def sparse() -> Case:
    """8,192 neurons with 128 random synapses each: every spike goes to most of the cores."""
    size, fan = 8192, 128
    targets = np.concatenate([RANDOM(each).choice(size, fan, replace=False) for each in range(size)])
    weights = RANDOM(0).integers(1, 127, size * fan).astype(np.int8)
    linear = from_triples(np.repeat(np.arange(size), fan), targets, weights, size, size)
    return placed(chain([(size,)], [linear], 0.02), CHIP, 2, 30)


def model(name: str) -> Callable[[], Case]:
    """A shipped model, mapped by the compiler, on its test file."""

    def case() -> Case:
        program = snncc.compile(MODELS / f"{name}.onnx", "mesh64", samples=MODELS / f"{name}.samples.npz")
        assert isinstance(program, snncc.Program)
        data = program.data(MODELS / f"{name}.npz", limit=256)
        batch = next(program._batches(data, record=False))  # noqa: SLF001  what simulate gives the machine
        return Case(program.network, program.chip, dict(program.files()), batch)

    return case


CASES: dict[str, Callable[[], Case]] = {
    "dense": dense,
    "convolution": convolution,
    "sparse": sparse,
    **{name: model(name) for name in ("digits_dense", "vowels_rnn", "digits_resnet", "fashion_conv")},
}


def measured(case: Case, repeats: int) -> dict[str, float]:
    """The best of some runs, in seconds of the processor."""
    with TemporaryDirectory() as scratch:
        for name, content in case.files.items():
            (Path(scratch) / name).parent.mkdir(exist_ok=True)
            (Path(scratch) / name).write_bytes(content)
        begin = time.process_time()
        chip = load(Path(scratch), case.network, case.chip)
        loading = time.process_time() - begin
        whole, inside = [], []
        for _ in range(repeats + 1):  # the first one loads compiled code
            chip = load(Path(scratch), case.network, case.chip)
            taken, step = [0.0], kernel.step

            def timed(*arguments: object, taken: list[float] = taken, step: Callable[..., None] = step) -> None:
                begin = time.process_time()
                step(*arguments)
                taken[0] += time.process_time() - begin

            # a function of Python in the place of a compiled one, for as long as a run is timed
            kernel.step = timed  # type: ignore[assignment]
            begin = time.process_time()
            machine.run(chip, case.batch, record=False)
            whole.append(time.process_time() - begin)
            inside.append(taken[0])
            kernel.step = step  # type: ignore[assignment]  the compiled one again
    found = counts(chip)
    events, packets = int(found["operations"].sum()), int(found["packets"].sum())
    moves = int(found["hops"].sum()) + packets
    best, compiled = min(whole[1:]), min(inside[1:])
    return {
        "events": events,
        "packets": packets,
        "router moves": moves,
        "neuron updates": int(found["neurons"].sum()),
        "chip cycles": int(found["cycles"].sum()),
        "seconds": round(best, 4),
        "seconds in kernel": round(compiled, 4),
        "seconds to load": round(loading, 4),
        "million events per second": round(events / best / 1e6, 1),
        "million events per second in kernel": round(events / compiled / 1e6, 1),
        "million packets per second": round(packets / best / 1e6, 2),
        "nanoseconds per move": round(compiled / moves * 1e9, 1),
        "million chip cycles per second": round(int(found["cycles"].sum()) / best / 1e6, 1),
    }


def measured_or_refused(make: Callable[[], Case], repeats: int) -> dict[str, object]:
    """What `measured` finds, or the rules that a network breaks."""
    try:
        return {**measured(make(), repeats)}
    except snncc.CompileError as error:
        return {"refused": [each.rule for each in error.diagnostics]}


def main() -> None:
    """Measure every network, or those that are named."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("networks", nargs="*", metavar="NETWORK", help=", ".join(CASES))
    arguments.add_argument("--repeats", type=int, default=5)
    given = arguments.parse_args()
    rows = {name: measured_or_refused(CASES[name], given.repeats) for name in given.networks or CASES}
    print(json.dumps({"load": os.getloadavg(), "repeats": given.repeats, "networks": rows}, indent=1))


if __name__ == "__main__":
    main()
