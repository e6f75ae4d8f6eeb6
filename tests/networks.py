"""Random integer networks with every feature that there is, small and valid, for hypothesis.

Structure is drawn by hypothesis, so that failures shrink; the numbers inside arrays come from a drawn seed. Weights
have 8 bits and sources 8 at most, so sums are far below the limit of exact arithmetic.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

from snncc.arrays import Array, Shape
from snncc.graph import Edge, Graph
from snncc.integers import (
    Adapt,
    Current,
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
from snncc.linear import Conv, Dense, Lateral, LinearMap, Sparse

ROUNDINGS = ("zero", "floor", "nearest")
NAMES = ("hidden", "int", "Conv_1", "conv.1", "conv/1", "2nd layer", "größe", "main", "*/ }", "v")


@dataclass(frozen=True, eq=False)
class Case:
    """A network, and what to run it on: integer x (samples, steps, *shape) and the samples' own steps."""

    network: Network
    x: Array
    lengths: Array

    def __repr__(self) -> str:
        return f"{self.network.text()}on x {self.x.shape}, lengths {self.lengths.tolist()}"


@st.composite
def cases(draw: Any) -> Case:
    """A random network on random input, with samples that differ in length."""
    network = draw(networks())
    ((_, source),) = network.of_kind(Source).items()
    samples, steps = draw(st.integers(1, 4)), draw(st.integers(1, 9))
    lengths = np.array(draw(st.lists(st.integers(1, steps), min_size=samples, max_size=samples)))
    low = draw(st.sampled_from((source.lowest, source.lowest // 4)))
    x = _generator(draw).integers(low, source.highest, (samples, steps, *source.shape), endpoint=True)
    return Case(network, x, lengths)


@st.composite
def networks(draw: Any) -> Network:
    """A source, one to four populations that feed each other in any direction, one to three outputs."""
    building = _Building(draw(_sources()), draw(st.permutations(NAMES)))
    count = draw(st.integers(1, 4))
    starts = draw(st.lists(st.integers(0, 3), min_size=count, max_size=count)) if draw(st.booleans()) else [0] * count
    for number in range(count):
        building.add_population(draw, building.names[number], starts[number])
    for number in range(draw(st.integers(0, 2))):
        pair = draw(st.tuples(*[st.sampled_from(building.names[:count])] * 2))
        building.add_synapse(draw, pair[0], pair[1], f"feedback {number}", least=1)
    for number in range(draw(st.integers(1, 3))):
        building.add_output(draw, f"y{number}", draw(st.sampled_from(building.names[:count])))
    return Graph(building.ops, building.edges)


def _generator(draw: Any) -> np.random.Generator:
    return np.random.default_rng(draw(st.integers(0, 1 << 32)))


@st.composite
def _sources(draw: Any) -> Source:
    shape = draw(st.sampled_from(((1,), (5,), (2, 3, 4), (4, 1, 6), (1, 5, 5))))
    bits, signed = draw(st.sampled_from(((1, False), (1, False), (3, False), (8, False), (2, True), (8, True))))
    return Source(shape, bits, signed)


@dataclass(eq=False)
class _Building:
    """A network while it is drawn."""

    source: Source
    names: list[str]
    ops: dict[str, IntOp] = field(init=False)
    edges: list[Edge] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ops = {"x": self.source}

    def start(self, name: str) -> int:
        op = self.ops[name]
        return op.start if isinstance(op, Population) else 0

    def shape(self, name: str) -> Shape:
        op = self.ops[name]
        assert isinstance(op, (Source, Population))
        return op.shape

    def add_population(self, draw: Any, name: str, start: int) -> None:
        """A population fed by up to three of those before it; the first of these may decide its shape."""
        before = [each for each, op in self.ops.items() if isinstance(op, (Source, Population))]
        feeders = draw(st.lists(st.sampled_from(before), min_size=draw(st.sampled_from((0, 1, 1, 1))), max_size=3))
        first = self.shape(feeders[0]) if feeders else ()
        if len(first) == 3 and draw(st.booleans()):
            conv = draw(_convolutions(first))
            shape = conv.out_shape
        else:
            conv, shape = None, draw(st.sampled_from(((1,), (3,), (6,), (2, 1, 3), (2, 2, 2))))
        self.ops[name] = draw(populations(shape, start))
        for number, feeder in enumerate(feeders):
            self.add_synapse(draw, feeder, name, f"{feeder} to {name} {number}", conv=None if number else conv)

    def add_synapse(
        self, draw: Any, feeder: str, name: str, synapse: str, *, least: int = 0, conv: Conv | None = None
    ) -> None:
        """A synapse whose delay, as the model has it, is `least` or more; start steps lengthen or shorten it."""
        shapes = self.shape(feeder), self.shape(name)
        linear = conv or draw(_maps(*shapes))
        exponent = draw(st.sampled_from((0, 0, 1, 3)))
        axons = None
        if draw(st.integers(0, 3)) == 0:
            axons = _generator(draw).integers(0, 4, linear.in_size)
        self.ops[synapse] = Synapse(linear, exponent, axons)
        shift = self.start(name) - self.start(feeder)
        delay = max(draw(st.sampled_from((least, least, least, least + 1, least + 3))) + shift, 0)
        self.edges += [Edge(feeder, synapse, delay), Edge(synapse, name)]

    def add_output(self, draw: Any, name: str, population: str) -> None:
        value, when = draw(st.sampled_from(("spikes", "membrane"))), draw(st.sampled_from(("before", "after")))
        decoder = draw(st.sampled_from(("count", "last", "max", "mean")))
        self.ops[name] = Output(value, when, decoder, self.start(population))
        self.edges.append(Edge(population, name))


@st.composite
def _maps(draw: Any, source: Shape, target: Shape) -> LinearMap:
    in_size, out_size = int(np.prod(source)), int(np.prod(target))
    kind = draw(st.sampled_from(("dense", "sparse", "conv")))
    if in_size == out_size and draw(st.booleans()):
        return Lateral(_weights(draw, (1,)), in_size)
    if kind == "conv" and len(source) == 3 and source == target:
        channels = source[0]
        shape = (channels, channels, min(3, source[1] * 2 - 1), 3)
        margins = (shape[2] // 2, 1, shape[2] // 2, 1)
        return Conv(_weights(draw, shape), source, padding=margins)
    if kind == "sparse":
        mask = _generator(draw).random((in_size, out_size)) < draw(st.sampled_from((0.0, 0.2, 0.6)))
        sources, targets = np.nonzero(mask)
        indptr = np.concatenate([[0], np.cumsum(np.bincount(sources, minlength=in_size))])
        return Sparse(indptr, targets, _weights(draw, (len(targets),)), out_size)
    return Dense(_weights(draw, (out_size, in_size)))


@st.composite
def _convolutions(draw: Any, in_shape: Shape) -> Conv:
    """Any stride, padding, dilation and number of groups that leaves at least one window."""
    channels, height, width = in_shape
    groups = draw(st.sampled_from([each for each in (1, 2, 4) if channels % each == 0]))
    out_channels = groups * draw(st.integers(1, 2))
    padding = draw(st.tuples(*[st.integers(0, 2)] * 4)) if height > 1 else (0, *draw(st.sampled_from(PADS)))
    room = height + padding[0] + padding[2], width + padding[1] + padding[3]
    kernel, dilation, stride = [], [], []
    for size in room:
        kernel.append(draw(st.integers(1, min(3, size))))
        most = (size - 1) // max(kernel[-1] - 1, 1)
        dilation.append(draw(st.integers(1, max(1, min(2, most)))))
        stride.append(draw(st.integers(1, 3)))
    weight = _weights(draw, (out_channels, channels // groups, *kernel))
    return Conv(weight, in_shape, (stride[0], stride[1]), padding, (dilation[0], dilation[1]), groups)


PADS = ((0, 0, 0), (1, 0, 1), (2, 0, 0))


def _weights(draw: Any, shape: Shape) -> Array:
    most = draw(st.sampled_from((1, 7, 127)))
    lowest = draw(st.sampled_from((-most, -most, 0)))
    return _generator(draw).integers(lowest, most, shape, endpoint=True).astype(np.int8)


@dataclass(frozen=True)
class _Numbers:
    """Draws the parameters of one population: one number, one a channel, or one a neuron."""

    draw: Any
    shape: Shape

    def any(self, low: int, high: int) -> Array:
        forms: list[Shape] = [(), (), self.shape]
        if len(self.shape) == 3:
            forms.append((self.shape[0], 1, 1))
        shape = self.draw(st.sampled_from(forms))
        if shape == ():
            return np.array(self.draw(st.integers(low, high)))
        return _generator(self.draw).integers(low, high, shape, endpoint=True)

    def decay(self) -> Decay:
        bits = self.draw(st.sampled_from((0, 1, 3, 4, 7, 12)))
        amount = self.draw(st.sampled_from((np.array(0), np.array(1 << bits), None)))
        return Decay(self.any(0, 1 << bits) if amount is None else amount, bits, self.draw(st.sampled_from(ROUNDINGS)))

    def register(self) -> Register:
        """Registers that are often too narrow for what arrives, not always symmetric."""
        bits = self.draw(st.sampled_from((5, 8, 8, 10, 16)))
        least = -(1 << bits) + self.draw(st.integers(0, 1))
        return Register(least, (1 << bits) - 1, self.draw(st.sampled_from(("saturate", "saturate", "wrap"))))

    def reset(self, register: Register, threshold: Array, *, delays: tuple[int, ...], adapts: bool) -> Any:
        delay = self.draw(st.sampled_from(delays))
        kind = self.draw(st.sampled_from(("soft", "soft", "hard", "none")))
        if kind == "none":
            return None
        if kind == "hard":
            return HardReset(self.any(register.lo // 2, register.hi // 2), delay)
        amount = threshold if self.draw(st.booleans()) else self.any(-3, register.hi)
        return SoftReset(amount, delay, adapts and self.draw(st.booleans()))


@st.composite
def populations(draw: Any, shape: Shape, start: int) -> Population:
    """Neurons of any kind; a third of the populations never fires."""
    numbers = _Numbers(draw, shape)
    register = numbers.register()
    minimum = numbers.any(register.lo, register.hi // 4) if draw(st.integers(0, 3)) == 0 else None
    initial = numbers.any(register.lo, register.hi) if draw(st.booleans()) else np.array(0)
    bias = numbers.any(-9, 9) if draw(st.booleans()) else np.array(0)
    membrane = Membrane(numbers.decay(), register, bias, minimum, initial)
    current = None
    if draw(st.booleans()):
        own = numbers.register()
        current = Current(numbers.decay(), own, numbers.any(own.lo, own.hi) if draw(st.booleans()) else np.array(0))
    shift = draw(st.sampled_from((0, 0, 2, 6)))
    quiet = Population(shape, membrane, None, current=current, input_shift=shift, start=start)
    if draw(st.integers(0, 2)) == 0:
        return quiet
    return replace(quiet, **draw(_firing(numbers, register)))


@st.composite
def _firing(draw: Any, numbers: _Numbers, register: Register) -> Mapping[str, Any]:
    """What a population that fires has more than one that does not."""
    most = draw(st.sampled_from((1, 1, 1, 2, 5)))
    adapt = None
    if draw(st.integers(0, 2)) == 0:
        # several spikes a step need a threshold above 0 for every adaptation
        own = Register(0 if most > 1 else -64, 63, draw(st.sampled_from(("saturate", "wrap"))))
        jump = numbers.any(0, 9) if most > 1 else numbers.any(-9, 30)
        adapt = Adapt(numbers.decay(), own, jump, numbers.any(0, 9))
    threshold = numbers.any(1 if most > 1 else -4, draw(st.sampled_from((4, 30, register.hi))))
    refractory = draw(st.sampled_from((0, 0, 0, 1, 3)))
    delays = (0,) if refractory else (0, 1)
    return {
        "fire": Fire(threshold, draw(st.booleans()), most),
        "reset": numbers.reset(register, threshold, delays=delays, adapts=adapt is not None),
        "adapt": adapt,
        "refractory": refractory,
    }
