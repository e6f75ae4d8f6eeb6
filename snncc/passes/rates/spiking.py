"""An ordinary network with integrate-and-fire neurons in the place of its ReLUs.

A neuron adds up what it reads, fires at a threshold h and is lowered by h (B. Rueckauer et al., Conversion of
continuous-valued deep networks to efficient event-driven networks for image classification, Frontiers in Neuroscience
11:682, 2017: "reset by subtraction"), so that h times its spikes per step approaches max(0, x) for x up to h. It starts
at h / 2, which halves the error of a count that is rounded down (T. Bu et al., Optimized potential initialization for
low-latency spiking neural networks, AAAI 2022, theorem 1). Biases act in every step, and the input is presented as it
is in every step (Rueckauer, section 2.2.1), so that no noise of an encoding is added.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from snncc.arrays import frozen
from snncc.graph import Graph
from snncc.layers import Layer, Neuron, Rearrange, Relu, SoftReset


def spiking(graph: Graph[Layer], heights: Mapping[str, float]) -> Graph[Layer]:
    """`graph` with neurons for its Relus; `heights` is what a spike of each stands for, its threshold."""
    ops = {name: _neuron(op, heights[name]) if isinstance(op, Relu) else op for name, op in graph.ops.items()}
    edges = [replace(edge, gain=edge.gain * heights.get(edge.source, 1.0)) for edge in graph.edges]
    return Graph(ops, edges)


def _neuron(op: Relu, height: float) -> Neuron:
    """A part of a max pool compares numbers of spikes, which are whole: it has nothing to round."""
    start = 0.0 if op.selects else height / 2
    reset = SoftReset(frozen(height))
    return Neuron(op.shape, frozen(1.0), frozen(height), True, reset, initial=np.asarray(start))


def completed(graph: Graph[Layer], heights: Mapping[str, float]) -> dict[str, float]:
    """`heights` with those of the parts of max pools: the height of the spikes that they compare.

    Where these differ, as behind a Concat, a part has the highest of them.
    """
    found: dict[str, float] = {}
    for name in graph.order():
        op = graph[name]
        if isinstance(op, Relu):
            found[name] = max(found[each] for each in _compared(graph, name)) if op.selects else heights[name]
    return found


def _compared(graph: Graph[Layer], name: str) -> Iterator[str]:
    """The Relus whose values reach a part of a max pool."""
    waiting = [edge.source for edge in graph.incoming(name)]
    for each in waiting:
        if isinstance(graph[each], Rearrange):
            waiting += [edge.source for edge in graph.incoming(each)]
        else:
            yield each
