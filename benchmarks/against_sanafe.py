"""Runs one placed network on the emulated chip and in SANA-FE: spikes, event counts, energies, and time.

    python benchmarks/against_sanafe.py --sanafe PYTHON     an interpreter with `sanafe` and `numpy` installed

Both get the same network, input spikes and placement, and SANA-FE its own Loihi cost file, whose figures are those of
`targets/loihi1.toml`. SANA-FE is told to update every neuron in every step, as the chip file counts it; what it spends
on them before their first step is taken off. Seconds are the processor's, as other work may run beside it. Prints JSON,
and exits 1 if spikes, counts or energies differ.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from snncc.analysis.costs import spent
from snncc.analysis.proof import prove
from snncc.arrays import Array
from snncc.backends.base import Batch, Job
from snncc.backends.chip.counts import counts, peaks
from snncc.backends.chip.emit import emit
from snncc.backends.chip.machine import run
from snncc.backends.chip.run import load
from snncc.chip import Chip, Figure
from snncc.chip import load as chip_named
from snncc.graph import Edge, Graph
from snncc.integers import (
    Decay,
    Fire,
    HardReset,
    IntOp,
    Membrane,
    Network,
    Output,
    Population,
    Register,
    Source,
    Synapse,
    source_of,
)
from snncc.linear import Conv, Dense, LinearMap, Sparse, to_sparse
from snncc.mapping import Mapping as Placed
from snncc.passes.map import map_network
from snncc.passes.retime import retime

HERE = Path(__file__).parent
NEVER_LEAKS = Decay(np.asarray(0), 12, "zero")
WIDE = Register(-(1 << 23) + 1, (1 << 23) - 1)


def loihi() -> Chip:
    """Loihi with the host at its last tile, and with synapses that all cost the same, unless they are shared.

    SANA-FE has inputs on cores of a tile; it knows one kind of synapse a neuron, and reads no zeros.
    """
    chip = chip_named("loihi1")
    assert chip.mesh
    assert chip.packing
    assert chip.timing
    assert chip.energy
    return replace(
        chip,
        mesh=replace(chip.mesh, host=(chip.mesh.columns - 1, chip.mesh.rows - 1)),
        packing=replace(chip.packing, index_bits=Figure(0.0, assumed=True)),
        timing=replace(chip.timing, synapse_dense=chip.timing.synapse_sparse),
        energy=replace(chip.energy, synapse_dense=chip.energy.synapse_sparse),
    )


def fed_aside(chip: Chip, mapping: Placed) -> Chip:
    """The chip with its host at the last tile on which no neuron lies: SANA-FE has the inputs on that tile's cores."""
    assert chip.mesh
    used = np.concatenate(list(mapping.placement.cores.values())) // chip.mesh.cores
    free = max(set(range(chip.mesh.columns * chip.mesh.rows)) - set(used.tolist()))
    return replace(chip, mesh=replace(chip.mesh, host=(free % chip.mesh.columns, free // chip.mesh.columns)))


def population(shape: tuple[int, ...], threshold: Array | int) -> Population:
    """Integrate-and-fire neurons in Loihi's arithmetic."""
    fire = Fire(np.asarray(threshold) << 6, inclusive=False)
    return Population(shape, Membrane(NEVER_LEAKS, WIDE), fire, HardReset(), input_shift=6)


def chain(source: Source, layers: list[tuple[LinearMap, tuple[int, ...], int]]) -> Network:
    """Populations one after another: a map, a shape and a threshold each."""
    ops: dict[str, IntOp] = {"x": source}
    edges: list[Edge] = []
    before = "x"
    for number, (linear, shape, threshold) in enumerate(layers, 1):
        ops[f"w{number}"], ops[f"n{number}"] = Synapse(linear), population(shape, threshold)
        edges += [Edge(before, f"w{number}"), Edge(f"w{number}", f"n{number}")]
        before = f"n{number}"
    ops["y"] = Output("spikes", "after", "count")
    return Graph(ops, [*edges, Edge(before, "y")])


def gestures(sanafe: str) -> Network:
    """The convolutional network for DVS gestures that SANA-FE ships: five layers, 3.5 million synapses."""
    find = "from importlib.resources import files; print(files('sanafe.examples') / 'dvs_challenge.npz')"
    path = subprocess.run([sanafe, "-c", find], check=True, capture_output=True, text=True).stdout.strip()
    given = np.load(path)
    layers: list[tuple[LinearMap, tuple[int, ...], int]] = []
    shape: tuple[int, ...] = (1, 32, 32)
    for number, stride in ((1, 2), (2, 1), (3, 1), (4, 1)):
        weight = given[f"conv{number}"].transpose(3, 2, 0, 1).astype(np.int16)
        conv = Conv(weight, shape, (stride, stride))
        shape = conv.out_shape
        layers.append((conv, shape, int(given["thresholds"][number])))
    dense = given["dense1"].reshape(shape[1], shape[2], shape[0], -1).transpose(3, 2, 0, 1)
    layers.append((Dense(dense.reshape(len(dense), -1).astype(np.int16)), (len(dense),), 255))
    return chain(Source((1, 32, 32)), layers)


def random_sparse(neurons: int = 3072, fan_out: int = 256, seed: int = 0) -> Network:
    """One recurrent population with random connections."""
    rng = np.random.default_rng(seed)
    ops: dict[str, IntOp] = {"x": Source((1024,)), "n": population((neurons,), rng.integers(100, 400, neurons))}
    for name, size in (("in", 1024), ("again", neurons)):
        targets = np.sort(rng.integers(0, neurons, (size, fan_out)), axis=1)
        weights = rng.integers(-60, 90, (size, fan_out)).astype(np.int8)
        weights[weights == 0] = 1
        weights[:, 1:][targets[:, 1:] == targets[:, :-1]] = 0
        kept = weights.reshape(-1) != 0
        sources = np.repeat(np.arange(size), fan_out)[kept]
        ops[name] = Synapse(by_source(weights.reshape(-1)[kept], targets.reshape(-1)[kept], sources, neurons, size))
    ops["y"] = Output("spikes", "after", "count")
    return Graph(ops, [Edge("x", "in"), Edge("in", "n"), Edge("n", "again", 1), Edge("again", "n"), Edge("n", "y")])


def by_source(weights: Array, targets: Array, sources: Array, neurons: int, size: int) -> Sparse:
    """A sparse map of entries that are sorted by source."""
    return Sparse(np.searchsorted(sources, np.arange(size + 1)), targets, weights, neurons)


def spikes_in(network: Network, steps: int, rate: float, seed: int = 1) -> Array:
    """Random input spikes, (steps, values)."""
    (source,) = network.of_kind(Source).values()
    return (np.random.default_rng(seed).random((steps, int(np.prod(source.shape)))) < rate).astype(np.int64)


def flat(network: Network, chip: Chip, mapping: Placed, inputs: Array) -> Mapping[str, Any]:
    """What SANA-FE is told: all neurons in one list, population after population."""
    assert chip.mesh
    populations = network.of_kind(Population)
    base = dict(zip(populations, np.cumsum([0, *(each.size for each in populations.values())]).tolist(), strict=False))
    kinds = dict.fromkeys(populations, 1)
    parts: list[tuple[Array, Array, Array]] = []
    for name, synapse in network.of_kind(Synapse).items():
        source, _ = source_of(network, name)
        target = network.outgoing(name)[0].target
        kinds[target] = 2 if isinstance(synapse.map, Conv) else 1
        listed = to_sparse(synapse.map)
        entries = np.repeat(np.arange(listed.in_size), np.diff(listed.indptr)), listed.targets, listed.weight
        first = -1 - entries[0] if source == "x" else base[source] + entries[0]
        parts.append((first, base[target] + entries[1], entries[2]))
    thresholds = [
        np.broadcast_to(op.fire.threshold >> 6, op.shape).reshape(-1) for op in populations.values() if op.fire
    ]
    return {
        "thresholds": np.concatenate(thresholds),
        "cores": np.concatenate([mapping.placement.cores[name] for name in populations]),
        "kinds": np.concatenate([np.full(op.size, kinds[name]) for name, op in populations.items()]),
        "source": np.concatenate([each[0] for each in parts]),
        "target": np.concatenate([each[1] for each in parts]),
        "weight": np.concatenate([each[2] for each in parts]),
        "inputs": inputs,
        "host": np.array(chip.mesh.host[1] * chip.mesh.columns + chip.mesh.host[0]),
    }


def ours(network: Network, chip: Chip, mapping: Placed, inputs: Array, repeats: int) -> Mapping[str, Any]:
    """Spikes, counters, costs, and the median seconds of a run with full timing."""
    batch = Batch(inputs[None], np.array([len(inputs)]))
    seconds: list[float] = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for name, content in emit(Job("sanafe", network, prove(network), chip, mapping)).items():
            (folder / name).write_bytes(content)
        for _ in range(1 + repeats):  # the first one compiles the machine
            machine = load(folder, network, chip)
            begin = time.process_time()
            run(machine, batch, False)
            seconds.append(time.process_time() - begin)
        machine = load(folder, network, chip)
        trace = run(machine, batch, True)
    counted = counts(machine)
    spikes = np.concatenate([trace.spikes[name][0] for name in network.of_kind(Population)], axis=1)
    costs = spent(network, chip, counted, peaks(machine), 1, len(inputs))
    return {"spikes": spikes, "counts": counted, "spent": costs, "seconds": statistics.median(seconds[1:])}


def compare(name: str, network: Network, chip: Chip, sanafe: str, steps: int, rate: float, repeats: int) -> Any:
    inputs = spikes_in(network, steps, rate)
    network = retime(network, chip)
    mapping = map_network(network, chip)
    chip = fed_aside(chip, mapping)
    mine = ours(network, chip, mapping, inputs, repeats)
    events = int(mine["counts"]["synapses"].sum())
    report: dict[str, Any] = {"network": name, "steps": steps, "synaptic_events": events}
    report["snncc"] = {"seconds": mine["seconds"], "events_per_second": events / mine["seconds"]}
    with tempfile.TemporaryDirectory() as scratch:
        told, found = Path(scratch, "network.npz"), Path(scratch, "spikes.npy")
        latency = max(op.start for op in network.of_kind(Population).values())
        np.savez(told, **flat(network, chip, mapping, np.pad(inputs, ((0, latency), (0, 0)))))
        for timing in ("simple", "detailed"):
            command = [sanafe, str(HERE / "sanafe_run.py"), str(told), "--timing", timing, "--spikes", str(found)]
            printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            theirs = json.loads(printed.strip().splitlines()[-1])
            rates = {"seconds": theirs["seconds"], "events_per_second": theirs["counts"]["spikes"] / theirs["seconds"]}
            report[timing] = {**rates, "times_slower": theirs["seconds"] / mine["seconds"]}
        report["differences"] = differences(network, chip, mine, theirs, np.load(found))
    report["simulated_seconds"] = {"snncc": mine["spent"].seconds.value, "sanafe": theirs["simulated_seconds"]}
    return report


def differences(network: Network, chip: Chip, mine: Mapping[str, Any], theirs: Mapping[str, Any], spikes: Array) -> Any:
    """Spikes that differ, aligned with each population's own steps, and relative differences of counts and energies."""
    wrong, base = 0, 0
    for op in network.of_kind(Population).values():
        own, other = mine["spikes"][:, base : base + op.size], spikes[:, base : base + op.size]
        wrong += int(np.count_nonzero(own != other[op.start : op.start + len(own)]))
        base += op.size
    counted = mine["counts"]
    assert chip.energy is not None
    idle = len(spikes) * base - counted["neurons"].sum()  # updates outside of the neurons' windows
    joules = theirs["joules"]["total"] - float(idle) * chip.energy.neuron.value * 1e-12
    pairs = {
        "synapses": (counted["synapses"].sum(), theirs["counts"]["spikes"]),
        "packets": (counted["packets"].sum(), theirs["counts"]["packets"]),
        "hops": (counted["hops"].sum(), theirs["counts"]["hops"]),
        "joules": (mine["spent"].joules.value, joules),
    }
    return {"spikes": wrong, **{name: float(a) / float(b) - 1.0 if b else float(a) for name, (a, b) in pairs.items()}}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sanafe", required=True, metavar="PYTHON")
    parser.add_argument("--network", action="append", choices=("random", "gestures"))
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    chip = loihi()
    made = {"random": lambda: (random_sparse(), 0.1), "gestures": lambda: (gestures(arguments.sanafe), 0.3)}
    reports: list[Any] = []
    for name in arguments.network or ["random"]:
        network, rate = made[name]()
        reports.append(compare(name, network, chip, arguments.sanafe, arguments.steps, rate, arguments.repeats))
    print(json.dumps(reports, indent=2))
    exact = all(abs(value) < 1e-9 for report in reports for value in report["differences"].values())
    sys.exit(0 if exact else 1)


if __name__ == "__main__":
    main()
