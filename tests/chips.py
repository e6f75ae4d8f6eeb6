"""Chips of many cores for tests, as large as a test wants them, every other limit out of the way; and networks."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from snncc import chip as chips
from snncc.chip import Chip, Core, Delay, Figure, Learning, Mesh, Packing, Timing
from snncc.fabric import LearningCosts
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
)
from snncc.linear import Conv, LinearMap

PLENTY = 1 << 40


def figure(value: float) -> Figure:
    return Figure(value, assumed=True)


def mesh_chip(
    columns: int = 8,
    rows: int = 8,
    cores: int = 1,
    host: tuple[int, int] = (0, 0),
    *,
    neurons: int = PLENTY,
    synapse_words: int = PLENTY,
    axons_in: int = PLENTY,
    axons_out: int = PLENTY,
    routes: int | None = None,
    shares: bool = True,
) -> Chip:
    """The arithmetic of `host` on a mesh of cores; words of 64 bits, 16 of header and 10 of index.

    Without `shares` every synapse of a convolution is stored.
    """
    limits = (figure(each) for each in (neurons, synapse_words, axons_in, axons_out))
    one = {name: figure(1) for name in Timing.__annotations__ if name not in ("barrier", "barrier_source")}
    host_chip = chips.load("host")
    capabilities = tuple(each for each in host_chip.capabilities if shares or each != "convolution")
    return replace(
        host_chip,
        capabilities=capabilities,
        name="chip1",
        delay=Delay((1, 63)),
        mesh=Mesh(columns, rows, cores, host),
        core=Core(*limits, None if routes is None else figure(routes)),
        packing=Packing(64, figure(16), figure(10), figure(1)),
        timing=Timing(**one, barrier=((0, 1),)),
        learning=Learning(figure(PLENTY), LearningCosts(**{name: figure(1) for name in LearningCosts.__annotations__})),
    )


MEMBRANE = Membrane(Decay(np.asarray(64), 8, "nearest"), Register(-9999, 9999))


def neurons(*shape: int) -> Population:
    """Plain neurons of any number."""
    return Population(shape, MEMBRANE, Fire(np.asarray(9), inclusive=True), HardReset())


def chain(*maps: LinearMap) -> Network:
    """Populations p1, p2, ..., each fed by the one before through the map s1, s2, ...; the first by the source x."""
    first = maps[0]
    ops: dict[str, IntOp] = {"x": Source(first.in_shape if isinstance(first, Conv) else (first.in_size,))}
    edges, before = [], "x"
    for number, linear in enumerate(maps, 1):
        shape = linear.out_shape if isinstance(linear, Conv) else (linear.out_size,)
        ops[f"s{number}"], ops[f"p{number}"] = Synapse(linear), neurons(*shape)
        edges += [Edge(before, f"s{number}"), Edge(f"s{number}", f"p{number}")]
        before = f"p{number}"
    ops["y"] = Output("spikes", "after", "count")
    return Graph(ops, [*edges, Edge(before, "y")])


def convolution(in_shape: tuple[int, int, int], outs: int, taps: int, stride: int = 1, groups: int = 1) -> Conv:
    """A convolution with all weights 1 that keeps the size of its input, but for its stride."""
    weight = np.ones((outs, in_shape[0] // groups, min(taps, in_shape[1]), taps), np.int8)
    pads = weight.shape[2] // 2, taps // 2
    return Conv(weight, in_shape, (min(stride, in_shape[1]), stride), (*pads, *pads), groups=groups)


def size_of(network: Network) -> int:
    """How many neurons a network has."""
    return sum(math.prod(each.shape) for each in network.of_kind(Population).values())
