"""A `.net` file as a graph of layers, in the units of its weights."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from snncc import layers
from snncc.arrays import Array
from snncc.frontends.lava_dl.parts import UNITY, Part
from snncc.graph import Edge, Graph
from snncc.layers import Layer
from snncc.linear import Conv, Dense


@dataclass
class _Growing:
    """A graph of layers while it grows; `last` is what the next layer reads, after these delays."""

    ops: dict[str, Layer] = field(default_factory=dict[str, Layer])
    edges: list[Edge] = field(default_factory=list[Edge])
    last: str = "input"
    delays: Array = field(default_factory=lambda: np.zeros(1, np.int64))

    def add(self, name: str, op: Layer) -> None:
        """Put an op after the last one, with one way for each delay that neurons differ in."""
        self.ops[name] = op
        every = np.unique(self.delays)
        for delay in every.tolist():
            source = self.last
            if len(every) > 1:
                source = f"{self.last}.delay{delay}"
                index = np.where(self.delays == delay, np.arange(len(self.delays)), -1)
                self.ops[source] = layers.Rearrange((len(self.delays),), index)
                self.edges.append(Edge(self.last, source, delay))
            self.edges.append(Edge(source, name, 0 if len(every) > 1 else delay))
        self.last, self.delays = name, np.zeros(1, np.int64)


def graph_of(parts: tuple[Part, ...]) -> Graph[Layer]:
    growing = _Growing()
    first = parts[0]
    shape = first.shape if first.map is None else (first.map.in_size,)
    growing.ops["input"] = layers.Input(shape, events=first.map is not None)
    for part in parts:
        if isinstance(part.map, Dense):
            growing.add(f"{part.name}.weight", layers.Affine(part.map.weight, part.shape))
        elif isinstance(part.map, Conv):
            conv = part.map
            growing.add(
                f"{part.name}.weight",
                layers.Conv2d(
                    conv.weight, conv.in_shape, part.shape, None, conv.stride, conv.padding, conv.dilation, conv.groups
                ),
            )
        elif part.gain != 1.0:
            growing.add(f"{part.name}.weight", layers.Scale(part.shape, np.asarray(part.gain)))
        if part.map is None and part.neuron is None:  # an input without neurons, or a flattening
            growing.add(part.name, layers.Rearrange(part.shape))
        else:
            growing.add(part.name, _float_neuron(part))
        growing.delays = part.delays
    last = parts[-1]
    growing.delays = np.zeros(1, np.int64)
    value = "spikes" if last.neuron else "membrane"
    growing.add("output", layers.Output(last.shape, value, "after", "count"))
    return Graph(growing.ops, growing.edges)


def _float_neuron(part: Part) -> layers.Neuron:
    own = part.neuron
    if own is None:
        return layers.Neuron(part.shape, np.zeros(()), None, bias=part.bias)
    current = layers.Current(np.asarray(1 - own["iDecay"] / UNITY)) if own["iDecay"] < UNITY else None
    decay, threshold = np.asarray(1 - own["vDecay"] / UNITY), np.asarray(float(own["vThMant"]))
    reset, rests = layers.HardReset(), own["refDelay"] - 1
    return layers.Neuron(part.shape, decay, threshold, False, reset, part.bias, current, refractory=rests)
