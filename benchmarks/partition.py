"""Measures how well and how fast networks are cut and placed, beside mtkahypar and beside cores in order; prints JSON.

    python benchmarks/partition.py [km1|modular|models|large ...] [--seeds N] [--km1-seeds N]

`km1` is the sum over senders of the cores that they and their targets lie on, less one, each sender counting once; both
get parts of the same size, at most 3 % above the mean, and mtkahypar its default preset on two threads. Times are from
the network to the cut, the building of mtkahypar's hypergraph not counted; what is compiled once is compiled before.
`hops` are links crossed if everything sends once. Each large case runs in a process of its own, for its peak memory.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from partition_networks import KINDS, chip_of, large_convolutional, large_random, modular, single

import snncc
from snncc.analysis.usage import cores_used, traffic_of
from snncc.arrays import Array
from snncc.chip import Chip
from snncc.integers import Network, Population, Source, Synapse, source_of
from snncc.passes.fanout import fan_out
from snncc.passes.map import baseline, map_network
from snncc.passes.partition.auto import cut, task_of
from snncc.passes.partition.capacity import first_shares

ROOT = Path(__file__).parents[1]
MEAN = 512  # neurons of a part, but for the case of issue 3
MODELS = ("digits_dense", "digits_resnet", "vowels_rnn", "fashion_conv")


def hyperedges(network: Network) -> tuple[int, Array, Array]:
    """How many neurons there are, and {sender, its targets} of each that sends: where each begins, and its neurons."""
    first: dict[str, int] = {}
    count = 0
    for name, population in network.of_kind(Population).items():
        first[name] = count
        count += population.size
    keys = []
    for name, synapse in network.of_kind(Synapse).items():
        source, _ = source_of(network, name)
        if source in first:
            start, members = fan_out(synapse.map)(0, synapse.map.in_size)
            sender = first[source] + np.repeat(np.arange(synapse.map.in_size), np.diff(start))
            keys += [
                sender * count + first[network.outgoing(name)[0].target] + members,
                np.unique(sender) * (count + 1),
            ]
    joined = np.unique(np.concatenate(keys))
    _, sizes = np.unique(joined // count, return_counts=True)
    return count, np.concatenate([[0], np.cumsum(sizes)]), joined % count


def km1(start: Array, pins: Array, part: Array) -> int:
    edge = np.repeat(np.arange(len(start) - 1), np.diff(start))
    return len(np.unique(edge * (int(part.max()) + 1) + part[pins])) - (len(start) - 1)


Seconds = dict[str, float]  # by the clock, and of the processor, all threads together


def taken(clock: float, busy: float) -> Seconds:
    """The seconds since two earlier readings."""
    return {"seconds": time.perf_counter() - clock, "processor_seconds": time.process_time() - busy}


def own_cut(network: Network, chip: Chip) -> tuple[Array, Seconds]:
    """The part of every neuron, and what this took. As in `hyperedges`, what the input sends does not count."""
    begin = time.perf_counter(), time.process_time()
    senders = network.of_kind(Population) | network.of_kind(Source)
    sends = {name: np.full(math.prod(op.shape), float(isinstance(op, Population))) for name, op in senders.items()}
    task = task_of(network, chip, frozenset(), sends, first_shares(network, chip, frozenset()))
    part = cut(task, 0)
    seconds = taken(*begin)
    first = task.atoms.first[1]  # the source is the first op
    return part[task.atoms.of[first:]], seconds


def their_cut(start: Array, pins: Array, count: int, parts: int) -> tuple[Array, Seconds]:
    import mtkahypar

    library: Any = mtkahypar
    mtk = library.initialize(2) if not STARTED else STARTED[0]
    STARTED.append(mtk)
    library.set_seed(0)
    context = mtk.context_from_preset(library.PresetType.DEFAULT)
    context.set_partitioning_parameters(parts, 0.03, library.Objective.KM1)
    context.logging = False
    flat, bounds = pins.tolist(), start.tolist()
    edges = [flat[low:high] for low, high in pairwise(bounds)]
    graph = mtk.create_hypergraph(context, count, len(edges), edges, [1] * count, [1] * len(edges))
    begin = time.perf_counter(), time.process_time()
    found = graph.partition(context)
    seconds = taken(*begin)
    return np.array([found.block_id(vertex) for vertex in range(count)]), seconds


STARTED: list[Any] = []


def compare_km1(seeds: int, *, theirs: bool) -> list[dict[str, Any]]:
    """The case of issue 3 and networks of every kind, cut by both."""
    own_cut(single(0), chip_of(128, 1024))  # compiles
    rows = []
    for kind, build in KINDS.items():
        for seed in range(1 if kind == "single" else seeds):
            network = build(seed)
            count, start, pins = hyperedges(network)
            parts = 128 if kind == "single" else -(-count // MEAN)
            most = int(1.03 * -(-count // parts))
            part, seconds = own_cut(network, chip_of(parts, most))
            own = {"km1": km1(start, pins, part), **seconds, "largest": int(np.bincount(part).max())}
            row = {"kind": kind, "seed": seed, "neurons": count, "pins": len(pins), "parts": parts, "most": most}
            row |= {"parts_used": int(part.max()) + 1, "snncc": own}
            row["in_order"] = km1(start, pins, np.arange(count) * parts // count)
            if theirs:
                other, their_seconds = their_cut(start, pins, count, parts)
                row["mtkahypar"] = {"km1": km1(start, pins, other), **their_seconds}
                row["mtkahypar"]["largest"] = int(np.bincount(other).max())
                row["km1_ratio"] = row["snncc"]["km1"] / row["mtkahypar"]["km1"]
                row["time_ratio"] = their_seconds["seconds"] / seconds["seconds"]
                row["processor_ratio"] = their_seconds["processor_seconds"] / seconds["processor_seconds"]
            print(row, file=sys.stderr, flush=True)
            rows.append(row)
    return rows


def compare_modular(seeds: int) -> list[dict[str, Any]]:
    """Modular networks on 64 cores of 64 neurons: links crossed, as found and in order."""
    rows = []
    chip = chip_of(64, 64)
    for seed in range(seeds):
        network = modular(seed)
        begin = time.perf_counter()
        mapping = map_network(network, chip)
        seconds = time.perf_counter() - begin
        in_order = traffic_of(network, chip, baseline(network, chip, frozenset()))
        assert mapping.traffic is not None
        row = {"seed": seed, "hops": mapping.traffic.hops, "in_order": in_order.hops, "seconds": seconds}
        row["ratio"] = mapping.traffic.hops / in_order.hops
        print(row, file=sys.stderr, flush=True)
        rows.append(row)
    return rows


def compare_models() -> list[dict[str, Any]]:
    """The shipped models on the shipped chips, weighted by the spikes on their samples."""
    rows = []
    for target in ("mesh64", "loihi2"):
        for name in MODELS:
            begin = time.perf_counter()
            samples = ROOT / "models" / f"{name}.samples.npz"
            program = snncc.compile(ROOT / "models" / f"{name}.onnx", target, samples=samples, backend="chip")
            assert isinstance(program, snncc.Program)
            mapping = program.mapping
            assert mapping is not None
            row = {
                "model": name,
                "target": target,
                "cores": cores_used(mapping),
                "seconds": time.perf_counter() - begin,
            }
            row["hops"] = mapping.traffic.hops if mapping.traffic else None
            row["in_order"] = mapping.in_order.hops if mapping.in_order else "does not fit"
            print(row, file=sys.stderr, flush=True)
            rows.append(row)
    return rows


def large(case: str) -> dict[str, Any]:
    """One large network, mapped as a whole."""
    network = large_convolutional() if case == "convolutional" else large_random(0)
    chip = chip_of(34 * 34, unlimited=False) if case == "convolutional" else chip_of(128, 1024)
    begin, busy = time.perf_counter(), time.process_time()
    mapping = map_network(network, chip)
    seconds, busy = time.perf_counter() - begin, time.process_time() - busy
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    assert mapping.traffic is not None
    row = {"case": case, "seconds": seconds, "processor_seconds": busy, "peak_mib": peak, "cores": cores_used(mapping)}
    row |= {"hops": mapping.traffic.hops, "in_order": mapping.in_order.hops if mapping.in_order else "does not fit"}
    return row


def large_apart() -> list[dict[str, Any]]:
    found = []
    for case in ("convolutional", "random"):
        done = subprocess.run([sys.executable, __file__, "--large", case], capture_output=True, text=True, check=True)
        found.append(json.loads(done.stdout))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", default=["km1", "modular", "models", "large"])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--km1-seeds", type=int, default=2)
    parser.add_argument("--alone", action="store_true", help="do not run mtkahypar")
    parser.add_argument("--large", choices=("convolutional", "random"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.large:
        print(json.dumps(large(given.large)))
        return
    result: dict[str, Any] = {}
    if "km1" in given.what:
        result["km1"] = compare_km1(given.km1_seeds, theirs=not given.alone)
    if "modular" in given.what:
        result["modular"] = compare_modular(given.seeds)
    if "models" in given.what:
        result["models"] = compare_models()
    if "large" in given.what:
        result["large"] = large_apart()
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
