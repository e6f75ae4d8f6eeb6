"""What the activations of an ordinary network are on samples."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from snncc.arrays import Array, Floats
from snncc.graph import Graph
from snncc.layers import Input, Layer, Neuron, Output
from snncc.semantics import float_operator


def values(graph: Graph[Layer], x: Array, wanted: Collection[str]) -> Mapping[str, Floats]:
    """The values of some ops for inputs `x` (samples, *shape): float64 (samples, size) each.

    `graph` is stateless: a `Neuron` in it is a read-out that hands on what it reads.
    """
    known: dict[str, Floats] = {}
    readers = {name: len(graph.outgoing(name)) for name in graph.ops}
    kept: dict[str, Floats] = {}
    for name in graph.order():
        op = graph[name]
        if isinstance(op, Input):
            known[name] = x.reshape(len(x), -1).astype(np.float64)
        else:
            total = np.zeros(())
            for edge in graph.incoming(name):
                total = total + known[edge.source] * edge.gain
            known[name] = total if isinstance(op, (Neuron, Output)) else float_operator(op)(total)
        if name in wanted:
            kept[name] = known[name]
        for edge in graph.incoming(name):
            readers[edge.source] -= 1
            if not readers[edge.source]:
                del known[edge.source]
    return kept
