"""Networks to be cut, from seeds: convolutional ones of several kinds, modular and random recurrent ones; and chips."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from snncc import chip as chips
from snncc.chip import Chip, Figure
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
from snncc.linear import Conv, LinearMap, from_triples

NEURON = Population(
    (1,),
    Membrane(Decay(np.asarray(64), 8, "nearest"), Register(-9999, 9999)),
    Fire(np.asarray(9), inclusive=True),
    HardReset(),
)


@dataclass(eq=False)
class Building:
    """A network while it is built: the source `x`, populations p1, p2, ..."""

    shape: tuple[int, ...]
    ops: dict[str, IntOp] = field(init=False)
    edges: list[Edge] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ops = {"x": Source(self.shape)}

    def add(self, source: str, linear: LinearMap, shape: tuple[int, ...], into: str = "", delay: int = 0) -> str:
        """A synapse group into a new population, or into one that is there."""
        number = len(self.ops)
        target = into or f"p{number}"
        self.ops.setdefault(target, replace(NEURON, shape=shape))
        self.ops[f"s{number}"] = Synapse(linear)
        self.edges += [Edge(source, f"s{number}", delay), Edge(f"s{number}", target)]
        return target

    def conv(
        self,
        source: str,
        outs: int,
        taps: tuple[int, int],
        stride: tuple[int, int] = (1, 1),
        groups: int = 1,
        into: str = "",
    ) -> str:
        """A convolution that keeps the size of its input but for its stride."""
        op = self.ops[source]
        assert isinstance(op, (Source, Population))
        channels, height, width = op.shape
        weight = np.ones((outs, channels // groups, *taps), np.int8)
        pads = taps[0] // 2, taps[1] // 2
        linear = Conv(weight, (channels, height, width), stride, (*pads, *pads), groups=groups)
        return self.add(source, linear, linear.out_shape, into)

    def done(self, last: str) -> Network:
        self.ops["y"] = Output("spikes", "after", "count")
        return Graph(self.ops, [*self.edges, Edge(last, "y")])


def single(_: int) -> Network:
    """Eight maps of 128 x 128, one channel each, 5 x 5 windows: the case of issue 3."""
    return _stack((1, 128, 128), [(1, (5, 5), (1, 1))] * 8)


def strided(seed: int) -> Network:
    """Five or six layers, some of stride 2, which double the channels."""
    random = np.random.default_rng(seed)
    channels, layers = int(random.choice([2, 4])), []
    for number in range(int(random.integers(5, 7))):
        stride = 2 if number in (2, 4) else 1
        channels *= stride
        taps = int(random.choice([3, 5]))
        layers.append((channels, (taps, taps), (stride, stride)))
    return _stack((1, 96, 96), layers)


def channels(seed: int) -> Network:
    """Four layers of 3 x 3 windows and 8 to 16 channels."""
    random = np.random.default_rng(seed)
    return _stack((2, 48, 48), [(int(random.choice([8, 12, 16])), (3, 3), (1, 1)) for _ in range(4)])


def rectangular(seed: int) -> Network:
    """Maps that are wide, windows that are wider than high."""
    random = np.random.default_rng(seed)
    layers = [(2, (int(random.choice([1, 3])), int(random.choice([3, 5, 7, 9]))), (1, 1)) for _ in range(6)]
    return _stack((1, int(random.choice([24, 32])), 256), layers)


def _stack(shape: tuple[int, ...], layers: list[tuple[int, tuple[int, int], tuple[int, int]]]) -> Network:
    building, last = Building(shape), "x"
    for outs, taps, stride in layers:
        last = building.conv(last, outs, taps, stride)
    return building.done(last)


def depthwise(seed: int) -> Network:
    """Depthwise windows and 1 x 1 mixing in turns."""
    random = np.random.default_rng(seed)
    building, count = Building((2, 48, 48)), int(random.choice([4, 8]))
    last = building.conv("x", count, (3, 3))
    for _ in range(3):
        taps = int(random.choice([3, 5]))
        last = building.conv(building.conv(last, count, (taps, taps), groups=count), count, (1, 1))
    return building.done(last)


def residual(seed: int) -> Network:
    """Blocks of two 3 x 3 layers with a connection around them."""
    random = np.random.default_rng(seed)
    building, count = Building((1, 48, 48)), int(random.choice([4, 8]))
    last = building.conv("x", count, (3, 3))
    for _ in range(3):
        end = building.conv(building.conv(last, count, (3, 3)), count, (3, 3))
        last = building.conv(last, count, (1, 1), groups=count, into=end)
    return building.done(last)


KINDS: dict[str, Callable[[int], Network]] = {
    "single": single,
    "strided": strided,
    "channels": channels,
    "depthwise": depthwise,
    "residual": residual,
    "rectangular": rectangular,
}


def modular(seed: int, modules: int = 64, size: int = 64, inside: float = 0.5, between: float = 0.005) -> Network:
    """Recurrent modules whose neurons have shuffled ids; one input value feeds one neuron of each module."""
    random = np.random.default_rng(seed)
    count = modules * size
    module = np.empty(count, np.int64)
    module[random.permutation(count)] = np.arange(count) // size
    linked = random.random((count, count)) < np.where(module[:, None] == module, inside, between)
    sender, target = np.nonzero(linked)
    recurrent = from_triples(sender, target, np.ones(len(sender), np.int8), count, count)
    _, fed = np.unique(module, return_index=True)
    building = Building((modules,))
    ones = np.ones(modules, np.int8)
    last = building.add("x", from_triples(np.arange(modules), fed, ones, modules, count), (count,))
    building.add(last, recurrent, (count,), last, 1)
    return building.done(last)


def large_convolutional() -> Network:
    """1,048,576 neurons with 104 million synapses: four layers of 4 x 512 x 128, 5 x 5 windows over all channels."""
    return _stack((4, 512, 128), [(4, (5, 5), (1, 1))] * 4)


def large_random(seed: int, neurons: int = 100_000, synapses: int = 10_000_000) -> Network:
    """100,000 neurons with 10 million synapses between neurons drawn at random; one input value for each thousand."""
    random = np.random.default_rng(seed)
    ends = random.integers(0, neurons, (2, synapses))
    recurrent = from_triples(ends[0], ends[1], np.ones(synapses, np.int8), neurons, neurons)
    inputs = neurons // 1000
    building = Building((inputs,))
    fed = from_triples(np.arange(inputs), np.arange(inputs) * 1000, np.ones(inputs, np.int8), inputs, neurons)
    last = building.add("x", fed, (neurons,))
    building.add(last, recurrent, (neurons,), last, 1)
    return building.done(last)


def chip_of(cores: int, neurons: int | None = None, *, unlimited: bool = True) -> Chip:
    """mesh64 with at least so many cores of so many neurons; `unlimited` lifts all other limits of a core."""
    chip = chips.load("mesh64")
    assert chip.mesh is not None
    assert chip.core is not None
    columns = max(width for width in range(1, math.isqrt(cores) + 1) if cores % width == 0)
    plenty = Figure(1 << 40, assumed=True)
    core = replace(chip.core, synapse_words=plenty, axons_in=plenty, axons_out=plenty) if unlimited else chip.core
    if neurons is not None:
        core = replace(core, neurons=Figure(neurons, assumed=True))
    return replace(chip, mesh=replace(chip.mesh, columns=columns, rows=cores // columns), core=core)
