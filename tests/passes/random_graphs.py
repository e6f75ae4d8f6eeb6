"""Random imported graphs whose arithmetic is exact in floats, so that two of them can be compared bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

from snncc.arrays import Array, Shape
from snncc.graph import Edge, Graph
from snncc.layers import (
    Adapt,
    Affine,
    Conv2d,
    Current,
    HardReset,
    Input,
    Layer,
    Neuron,
    Output,
    Rearrange,
    Scale,
    SoftReset,
    SumPool2d,
    size,
)
from snncc.linear import Conv

Draw = Callable[[Any], Any]
_LONGEST = 4  # layers between populations: each adds bits to the values, and 53 are exact


@dataclass
class _Builder:
    """A graph as it grows; `depth` counts the layers since the last population."""

    draw: Draw
    rng: np.random.Generator
    ops: dict[str, Layer] = field(default_factory=dict[str, Layer])
    edges: dict[tuple[str, str], Edge] = field(default_factory=dict[tuple[str, str], Edge])
    depth: dict[str, int] = field(default_factory=dict[str, int])

    def add(self, name: str, op: Layer, *sources: str) -> str:
        self.ops[name] = op
        for source in sources:
            delay = self.draw(st.sampled_from([0, 0, 0, 0, 1, 2]))
            gain = self.draw(st.sampled_from([1.0, 1.0, 1.0, 2.0, -0.5]))
            self.edges[source, name] = Edge(source, name, delay, gain)
        deepest = max((self.depth[each] for each in sources), default=-1)
        self.depth[name] = 0 if isinstance(op, (Input, Neuron)) else deepest + 1
        return name

    def dyadic(self, *shape: int) -> Array:
        return self.rng.integers(-12, 13, shape) / 16

    def maybe(self, *shape: int) -> Array | None:
        return self.dyadic(*shape) if self.draw(st.booleans()) else None

    def parameter(self, shape: Shape, low: int, high: int) -> Array:
        """Multiples of 1/16: one for all, one a channel, or one a neuron."""
        channels = (shape[0], *[1] * (len(shape) - 1))
        return self.rng.integers(low, high + 1, self.draw(st.sampled_from([(), channels, shape]))) / 16

    def layer(self, shape: Shape) -> Layer:
        kinds = ["affine", "scale", "flatten", "pick", *["conv", "conv", "pool"] * (len(shape) == 3)]
        kind = self.draw(st.sampled_from(kinds))
        if kind == "affine":
            out_shape = self.draw(st.sampled_from([(5,), (2, 3, 2)]))
            return Affine(self.dyadic(size(out_shape), size(shape)), out_shape, self.maybe(size(out_shape)))
        if kind == "scale":
            return Scale(shape, self.parameter(shape, -16, 16), self.parameter(shape, -8, 8))
        if kind == "flatten":
            return Rearrange((size(shape),))
        if kind == "pick":
            out_shape = self.draw(st.sampled_from([shape, (6,)]))
            return Rearrange(out_shape, self.rng.integers(-1, size(shape), out_shape))
        return self.conv(shape) if kind == "conv" else self.pool(shape)

    def conv(self, shape: Shape) -> Conv2d:
        groups = self.draw(st.sampled_from([1, shape[0]]))
        kernel = [self.draw(st.integers(1, min(3, each))) for each in shape[1:]]
        weight = self.dyadic(groups * self.draw(st.integers(1, 2)), shape[0] // groups, *kernel)
        padding = self.draw(st.sampled_from([(0, 0, 0, 0), (1, 1, 1, 1), (0, 1, 1, 0)]))
        conv = Conv(weight, shape, self.draw(st.sampled_from([(1, 1), (2, 2), (1, 2)])), padding, groups=groups)
        bias = self.maybe(len(weight))
        return Conv2d(weight, shape, conv.out_shape, bias, conv.stride, conv.padding, groups=groups)

    def pool(self, shape: Shape) -> SumPool2d:
        kernel = min(2, shape[1]), min(2, shape[2])
        padding = self.draw(st.sampled_from([(0, 0, 0, 0), (0, 0, 1, 1)]))
        weight = np.ones((shape[0], 1, *kernel))
        conv = Conv(weight, shape, self.draw(st.sampled_from([kernel, (1, 1)])), padding, groups=shape[0])
        return SumPool2d(shape, conv.out_shape, kernel, conv.stride, padding, self.draw(st.sampled_from([1.0, 0.25])))

    def neuron(self, shape: Shape) -> Neuron:
        threshold = self.parameter(shape, 4, 16)
        resets = [
            None,
            SoftReset(self.parameter(shape, 4, 16)),
            SoftReset(self.parameter(shape, 4, 16), delay=1),
            HardReset(),
            HardReset(self.parameter(shape, -4, 4), delay=1),
            SoftReset(threshold, adaptive=True),
            SoftReset(threshold, delay=1, adaptive=True),
        ]
        neuron = Neuron(
            shape,
            np.asarray(self.draw(st.sampled_from([1.0, 0.5, 0.25, 0.0]))),
            self.draw(st.sampled_from([threshold, threshold, threshold, None])),
            self.draw(st.booleans()),
            self.draw(st.sampled_from(resets)),
            self.parameter(shape, -4, 4),
            self.draw(st.sampled_from([None, None, Current(np.asarray(0.5)), Current(np.asarray(1.0))])),
            self.draw(st.sampled_from([None, None, np.asarray(-0.5)])),
            initial=self.parameter(shape, -4, 4),
        )
        if self.draw(st.integers(0, 3)) == 0:
            return replace(neuron, adapt=Adapt(np.asarray(0.5), np.asarray(0.25)))
        option = self.draw(st.sampled_from([{}, {}, {"max_spikes": 3}, {"refractory": 2}]))
        if neuron.reset and neuron.reset.delay and "refractory" in option:
            return neuron
        return replace(neuron, **option)


@st.composite
def graphs(draw: Draw) -> Graph[Layer]:
    """A graph that keeps the contract `imported`."""
    builder = _Builder(draw, np.random.default_rng(draw(st.integers(0, 999))))
    builder.add("x", Input(draw(st.sampled_from([(2, 4, 4), (1, 5, 3), (6,)]))))
    for number in range(draw(st.integers(2, 9))):
        source = draw(st.sampled_from(list(builder.ops)))
        shape = builder.ops[source].shape
        deep = builder.depth[source] >= _LONGEST
        op = builder.neuron(shape) if deep or draw(st.integers(0, 2)) == 0 else builder.layer(shape)
        others = [
            name
            for name, each in builder.ops.items()
            if each.shape == shape and name != source and builder.depth[name] < _LONGEST
        ]
        also = draw(st.sampled_from([[], [], others[:1], others[-1:]]))
        builder.add(f"{type(op).__name__.lower()}{number}", op, source, *also)
    _feed_back(builder)
    _read_out(builder)
    return Graph(builder.ops, builder.edges.values())


def _feed_back(builder: _Builder) -> None:
    """Recurrent connections, directly or through a layer."""
    neurons = [name for name, op in builder.ops.items() if isinstance(op, Neuron)]
    for name in neurons[:2]:
        shape = builder.ops[name].shape
        kind = builder.draw(st.sampled_from(["none", "none", "self", "all"]))
        if kind == "self":
            builder.edges[name, name] = Edge(name, name, 1, 0.5)
        if kind == "all":
            count = size(shape)
            builder.ops[f"{name}.again"] = Affine(builder.dyadic(count, count), shape, builder.dyadic(count))
            builder.edges[name, f"{name}.again"] = Edge(name, f"{name}.again", 1)
            builder.edges[f"{name}.again", name] = Edge(f"{name}.again", name)


def _read_out(builder: _Builder) -> None:
    """Outputs of the last layer that is not the input, and of the last population."""
    names = [name for name, op in builder.ops.items() if not isinstance(op, Input)]
    neurons = [name for name in names if isinstance(builder.ops[name], Neuron)]
    for source in dict.fromkeys([names[-1], *neurons[-1:]]):
        when = builder.draw(st.sampled_from(["before", "after"]))
        value = builder.draw(st.sampled_from(["spikes", "membrane"]))
        builder.ops[f"{source}.out"] = Output(builder.ops[source].shape, value, when)
        builder.edges[source, f"{source}.out"] = Edge(source, f"{source}.out")
