"""Random small chips of many cores, networks that crowd them, and placements good and bad, for hypothesis.

Structure is drawn, so that failures shrink; the numbers inside arrays come from a drawn seed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

from snncc import chip as chips
from snncc.arrays import Array, Shape
from snncc.chip import Chip, Core, Delay, Energy, Figure, Learning, Mesh, Packing, Timing
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
    SoftReset,
    Source,
    Synapse,
)
from snncc.linear import Conv, Dense, LinearMap, Sparse
from snncc.mapping import HOST, Placement, cores_of, frozen_cores
from tests.lessons import lessons
from tests.networks import cases

PLENTY = Figure(1 << 30, assumed=True)


@dataclass(frozen=True, eq=False)
class Setup:
    """What both machines get: x is (samples, steps, size), `lengths` the samples' own steps."""

    network: Network
    chip: Chip
    placement: Placement
    x: Array
    lengths: Array
    reward: Array | None = None

    def __repr__(self) -> str:
        timing = {key: getattr(each, "value", each) for key, each in vars(self.chip.timing).items()}
        packing = {key: getattr(each, "value", each) for key, each in vars(self.chip.packing).items()}
        places = {name: cores.tolist() for name, cores in self.placement.cores.items()}
        lines = [self.network.text(), f"{self.chip.mesh}", f"{timing}", f"{packing}", f"{places}"]
        return "\n".join([*lines, f"x {self.x.shape}, lengths {self.lengths.tolist()}"])


@st.composite
def setups(draw: Any) -> Setup:
    """Half of them crowded, the others with neurons of every kind."""
    chip = draw(many_core_chips())
    if draw(st.booleans()):
        network = draw(crowds())
        ((_, source),) = network.of_kind(Source).items()
        samples, steps = draw(st.sampled_from((2, 2, 1))), draw(st.sampled_from((3, 4, 2, 1)))
        lengths = np.array(draw(st.lists(st.integers(1, steps), min_size=samples, max_size=samples)))
        shape = samples, steps, *source.shape
        x = _generator(draw).integers(0 if draw(st.booleans()) else 1, source.highest, shape, endpoint=True)
    else:
        case = draw(cases())
        network, lengths = case.network, np.minimum(case.lengths[:2], 4)
        x = case.x[:2, : lengths.max()]
    hosted = draw(_hosted(network))
    network = delayed(network, hosted)
    return Setup(network, chip, draw(placements(network, chip, hosted)), x.reshape(*x.shape[:2], -1), lengths)


@st.composite
def lessons_on_chips(draw: Any) -> Setup:
    """Networks that learn, each on some cores of a chip."""
    chip, lesson = draw(many_core_chips()), draw(lessons())
    network = delayed(lesson.network, frozenset())
    rules = {name for name, op in network.of_kind(Synapse).items() if op.plasticity}
    edges = [replace(edge, delay=1) if edge.target in rules else edge for edge in network.edges]
    network = Graph(network.ops, edges)
    lengths = np.minimum(lesson.case.lengths[:2], 5)
    x = lesson.case.x[:2, : lengths.max()]
    places = draw(placements(network, chip, frozenset()))
    return Setup(network, chip, places, x.reshape(*x.shape[:2], -1), lengths, lesson.reward[:2, : lengths.max()])


def _generator(draw: Any) -> np.random.Generator:
    return np.random.default_rng(draw(st.integers(0, 1 << 32)))


@st.composite
def many_core_chips(draw: Any) -> Chip:
    """Small meshes with any costs; cores hold as much as they are given."""

    def figure(least: int, most: int) -> Figure:
        return Figure(draw(st.integers(least, most)), assumed=True)

    columns, rows, cores = draw(st.integers(1, 4)), draw(st.integers(1, 3)), draw(st.integers(1, 3))
    mesh = Mesh(columns, rows, cores, (draw(st.integers(0, columns - 1)), draw(st.integers(0, rows - 1))))
    tiles = sorted(draw(st.sets(st.integers(0, columns * rows + 1), min_size=1, max_size=4)))
    timing = Timing(
        clock_ns=Figure(draw(st.sampled_from((0.5, 1.0, 10.0))), assumed=True),
        neuron=figure(0, 3),
        spike=figure(0, 3),
        packet=figure(1, 3),
        host=figure(1, 3),
        axon=figure(1, draw(st.sampled_from((1, 3, 12)))),
        word=figure(0, 2),
        synapse_dense=figure(0, draw(st.sampled_from((0, 1, 2)))),
        synapse_sparse=figure(0, draw(st.sampled_from((0, 1, 2)))),
        synapse_shared=figure(0, draw(st.sampled_from((0, 1, 2)))),
        hop_horizontal=figure(1, 5),
        hop_vertical=figure(1, 5),
        hop_local=figure(1, 5),
        link=figure(1, 3),
        buffer=figure(1, 4),
        queue=figure(1, 3),
        barrier=tuple((each, draw(st.integers(0, 20))) for each in tiles),
    )
    packing = Packing(draw(st.sampled_from((1, 8, 32, 64))), figure(0, 20), figure(0, 10), figure(0, 3))
    host = chips.load("host")
    shares = draw(st.booleans())
    energies = {name: figure(0, 100) for name in Energy.__annotations__}
    energy = Energy(**energies) if draw(st.booleans()) else None
    cycles, picojoules = (
        LearningCosts(**{name: figure(0, most) for name in LearningCosts.__annotations__}) for most in (3, 100)
    )
    return replace(
        host,
        name="random",
        capabilities=tuple(each for each in host.capabilities if shares or each != "convolution"),
        delay=Delay((1, 63)),
        mesh=mesh,
        core=Core(PLENTY, PLENTY, PLENTY, PLENTY),
        packing=packing,
        timing=timing,
        energy=energy,
        learning=Learning(PLENTY, cycles, picojoules if energy else None),
    )


@st.composite
def placements(draw: Any, network: Network, chip: Chip, hosted: frozenset[str]) -> Placement:
    """Neurons on one to all of the cores: dealt out, thrown about, or in runs."""
    assert chip.mesh
    generator = _generator(draw)
    count = draw(st.integers(1, min(cores_of(chip.mesh), draw(st.sampled_from((3, 36))))))
    used = generator.permutation(cores_of(chip.mesh))[:count]
    places: dict[str, Array] = {}
    for name, op in network.of_kind(Population).items():
        kind = draw(st.sampled_from(("dealt", "thrown", "runs")))
        if kind == "dealt":
            chosen = np.arange(op.size) % count
        elif kind == "thrown":
            chosen = generator.integers(0, count, op.size)
        else:
            chosen = np.sort(generator.integers(0, count, op.size))
        places[name] = np.full(op.size, HOST, np.int32) if name in hosted else used[chosen].astype(np.int32)
    return frozen_cores(places)


@st.composite
def _hosted(draw: Any, network: Network) -> frozenset[str]:
    """Populations that the host can compute: they read no population that lies on the chip."""
    if draw(st.integers(0, 2)):
        return frozenset()
    chosen = {name for name in network.of_kind(Population) if draw(st.booleans())}
    while True:
        fed = {
            network.outgoing(edge.target)[0].target
            for name in network.of_kind(Population)
            if name not in chosen
            for edge in network.outgoing(name)
            if isinstance(network[edge.target], Synapse)
        }
        if not fed & chosen:
            return frozenset(chosen)
        chosen -= fed


def delayed(network: Network, hosted: frozenset[str]) -> Network:
    """A step at least into every synapse that leads to a core."""
    edges = [
        replace(edge, delay=max(edge.delay, 1))
        if isinstance(network[edge.target], Synapse) and network.outgoing(edge.target)[0].target not in hosted
        else edge
        for edge in network.edges
    ]
    return Graph(network.ops, edges)


@st.composite
def crowds(draw: Any) -> Network:
    """Populations that fire much and are connected in all directions, on an input that is rarely 0."""
    ops: dict[str, IntOp] = {
        "x": Source(draw(st.sampled_from(((2, 3, 4), (6,), (2, 3, 4)))), draw(st.sampled_from((1, 3))))
    }
    edges: list[Edge] = []
    shapes: list[Shape] = draw(
        st.lists(st.sampled_from(((9,), (2, 3, 4), (30,), (2, 3, 4), (1, 4, 4))), min_size=1, max_size=3)
    )
    names = [f"p{number}" for number in range(len(shapes))]
    for name, shape in zip(names, shapes, strict=True):
        ops[name] = draw(_crowd(shape))
    for source in ("x", *names):
        for target in names:
            if draw(st.integers(0, 3)) > 0:
                linear = draw(_map(_shape(ops[source]), _shape(ops[target])))
                axons = _generator(draw).integers(0, 3, linear.in_size) if draw(st.integers(0, 4)) == 0 else None
                synapse = f"{source} to {target}"
                ops[synapse] = Synapse(linear, draw(st.sampled_from((0, 2))), axons)
                edges += [Edge(source, synapse, draw(st.integers(1, 2))), Edge(synapse, target)]
    ops["y"] = Output("spikes", "after", "count")
    return Graph(ops, [*edges, Edge(draw(st.sampled_from(names)), "y")])


def _shape(op: IntOp) -> Shape:
    assert isinstance(op, (Source, Population))
    return op.shape


@st.composite
def _crowd(draw: Any, shape: Shape) -> Population:
    generator = _generator(draw)
    bias = generator.integers(-2, draw(st.sampled_from((4, 30))), shape)
    threshold = np.array(draw(st.integers(1, 3)))
    most = draw(st.sampled_from((1, 1, 4)))
    reset = draw(st.sampled_from((HardReset(), SoftReset(threshold))))
    decay = Decay(np.array(draw(st.integers(0, 8))), 3, "floor")
    start = draw(st.sampled_from((0, 0, 0, 1)))
    membrane = Membrane(decay, Register(-500, 500), bias)
    return Population(shape, membrane, Fire(threshold, draw(st.booleans()), most), reset, start=start)


@st.composite
def _map(draw: Any, source: Shape, target: Shape) -> LinearMap:
    """A convolution wherever one fits; else all to all, or far apart."""
    generator = _generator(draw)
    most = draw(st.sampled_from((1, 3, 127)))
    out_size, in_size = int(np.prod(target)), int(np.prod(source))
    if len(source) == len(target) == 3:
        kernel = [4 - abs(a - b) if a >= b else 1 for a, b in zip(source[1:], target[1:], strict=True)]
        margin = [max(0, b + k - 1 - a) for a, b, k in zip(source[1:], target[1:], kernel, strict=True)]
        padding = (margin[0] // 2, margin[1] // 2, margin[0] - margin[0] // 2, margin[1] - margin[1] // 2)
        weight = generator.integers(-most, most, (target[0], source[0], *kernel), endpoint=True).astype(np.int8)
        conv = Conv(weight, source, padding=padding)
        if conv.out_shape == target:
            return conv
    if draw(st.booleans()):
        return Dense(generator.integers(-most, most, (out_size, in_size), endpoint=True).astype(np.int8))
    mask = generator.random((in_size, out_size)) < draw(st.sampled_from((0.05, 0.2, 0.6)))
    targets = np.nonzero(mask)[1]
    indptr = np.concatenate([[0], np.cumsum(mask.sum(axis=1))])
    return Sparse(
        indptr, targets, generator.integers(-most, most, len(targets), endpoint=True).astype(np.int8), out_size
    )
