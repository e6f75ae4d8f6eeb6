"""A legal network as one matrix of floats: what an event-driven chip should do, before its numbers are rounded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from snncc.arrays import Floats
from snncc.backends.tinyodin.fits import bias_channels
from snncc.graph import Graph
from snncc.layers import Input, Layer, Linear, Neuron, size, spread
from snncc.linear import to_sparse


@dataclass(frozen=True, eq=False)
class Ideal:
    """`weights` (neurons + channels, neurons) from row to column: neurons first, then the input's channels, then
    `always` channels that fire in every step, each with an equal share of the biases.

    The other arrays are (neurons,); `parts` says which neurons are those of a population. A neuron of `inclusive`
    fires at its threshold, another above it.
    """

    weights: Floats
    threshold: Floats
    inclusive: Floats
    decay: Floats
    initial: Floats
    always: int
    parts: Mapping[str, slice]

    @property
    def neurons(self) -> int:
        return len(self.threshold)

    @property
    def channels(self) -> int:
        return len(self.weights) - self.neurons


def ideal(graph: Graph[Layer]) -> Ideal:
    """`graph` is legal and without `fits.misfits`: small, without delays, every population fires."""
    ((_, source),) = graph.of_kind(Input).items()
    populations = graph.of_kind(Neuron)
    order = [name for name in graph.order() if name in populations]
    parts: dict[str, slice] = {}
    for name in order:
        start = max((part.stop for part in parts.values()), default=0)
        parts[name] = slice(start, start + size(populations[name].shape))
    neurons = sum(size(op.shape) for op in populations.values())
    always = bias_channels(graph)
    weights = np.zeros((neurons + size(source.shape) + always, neurons))
    for name in order:
        op, part = populations[name], parts[name]
        weights[len(weights) - always :, part] = spread(op.bias, op.shape) / max(1, always)
        for edge in graph.incoming(name):
            linear = graph[edge.source]
            assert isinstance(linear, Linear)
            (first,) = graph.incoming(edge.source)
            row = parts[first.source].start if first.source in parts else neurons
            listed = to_sparse(linear.map)
            rows = np.repeat(np.arange(listed.in_size), np.diff(listed.indptr)) + row
            np.add.at(weights, (rows, listed.targets + part.start), listed.weight.astype(np.float64))

    def joined(field: str) -> Floats:
        values = [np.asarray(getattr(populations[name], field)) for name in order]
        shapes = [populations[name].shape for name in order]
        return np.concatenate([np.zeros(0), *(spread(v, shape) for v, shape in zip(values, shapes, strict=True))])

    return Ideal(
        weights,
        joined("threshold"),
        joined("inclusive"),
        joined("decay"),
        joined("initial"),
        always,
        MappingProxyType(parts),
    )
