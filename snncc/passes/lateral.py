"""Lateral inhibition as it is meant: all-but-self matrices become one number, and populations in between go.

A population that fires exactly when its one input does (as the inhibitory one of P. Diehl and M. Cook, Unsupervised
learning of digit recognition using STDP, 2015) only hands spikes on; what it feeds can read its source instead, which
R. Putra and M. Shafique (SpikeDyn, 2021) call direct lateral inhibition. All delays stay, so no spike moves.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from snncc.arrays import Floats
from snncc.graph import Edge, Graph
from snncc.layers import HardReset, Layer, Linear, Neuron, spread
from snncc.linear import Dense, Lateral, LinearMap, Sparse, nonzero_count, to_sparse, with_weight
from snncc.passes.compose import TooLargeError, compose

_FEWEST = 3  # neurons from which one number beats a matrix
_MARGIN = 1e-6  # of the largest term: how far from its threshold a relay stays, so that no rounding matters
_ROUNDS = 8  # in which the states that a relay can have are found, or it is none


def all_but_self_maps_become_lateral(graph: Graph[Layer]) -> Graph[Layer]:
    """Dense and sparse maps that reach all others with one weight, and nobody himself."""
    ops = {name: replace(op, map=compact(op.map)) if isinstance(op, Linear) else op for name, op in graph.ops.items()}
    return Graph(ops, graph.edges)


def compact(linear: LinearMap) -> LinearMap:
    """The same map as one number, where it is all-but-self."""
    count = linear.in_size
    if count != linear.out_size or count < _FEWEST or not isinstance(linear, (Dense, Sparse)):
        return linear
    if isinstance(linear, Dense) and not linear.weight[0, 1]:
        return linear
    if nonzero_count(linear) != count * (count - 1):
        return linear
    listed = to_sparse(linear)
    sources = np.repeat(np.arange(count), np.diff(listed.indptr))
    if (sources == listed.targets).any() or (listed.weight != listed.weight[0]).any():
        return linear
    return Lateral(listed.weight[:1], count)


def relays_are_bypassed(graph: Graph[Layer], learnt: Collection[str] = ()) -> Graph[Layer]:
    """Whatever a relay feeds reads the relay's source instead, as many steps later as before.

    One with a synapse group that is `learnt`, into it or out of it, stays: its weights will not be what they are.
    """
    for name in graph.of_kind(Neuron):
        groups = {edge.source for edge in graph.incoming(name)} | {edge.target for edge in graph.outgoing(name)}
        taps = None if groups & {*learnt} or name in learnt else _taps(graph, name)
        if taps is not None:
            graph = _without(graph, name, taps) or graph
    return graph


def _taps(graph: Graph[Layer], name: str) -> LinearMap | None:
    """Which neuron of its source each neuron of a relay repeats, as a map of ones; None if it is no relay."""
    incoming, neuron = graph.incoming(name), graph[name]
    if len(incoming) != 1 or not all(isinstance(graph[each.target], Linear) for each in graph.outgoing(name)):
        return None
    (last,), (first,) = incoming, graph.incoming(incoming[0].source)
    linear, source = graph[last.source], graph[first.source]
    assert isinstance(linear, Linear)
    assert isinstance(neuron, Neuron)
    if not isinstance(source, Neuron) or source.threshold is None or source.max_spikes > 1:
        return None
    if first.source == name or nonzero_count(linear.map) > linear.map.out_size:
        return None
    listed = to_sparse(linear.map)
    weight = np.zeros(linear.map.out_size)
    weight[listed.targets] = listed.weight.astype(np.float64) * (first.gain * last.gain)
    alone = np.bincount(listed.targets, minlength=1).max() <= 1
    if not alone or neuron.refractory > source.refractory or not repeats(neuron, weight):
        return None
    return with_weight(listed, np.ones(len(listed.targets), np.float32))


def repeats(neuron: Neuron, weight: Floats) -> bool:
    """Whether each neuron fires in just those steps in which its only input of this `weight` (size,) is a spike.

    The states that it can have without input lie between its first one, what a reset leaves, and where it comes to
    rest; from everywhere there a spike has to lift it over the threshold, and nothing else may.
    """
    if neuron.threshold is None or neuron.max_spikes > 1 or neuron.adapt or (weight < 0).any():
        return False
    if neuron.current is not None and (neuron.current.decay.any() or neuron.current.initial.any()):
        return False
    reset = neuron.reset
    if reset is None or reset.delay or neuron.minimum is not None:
        return False
    decay, bias, start, threshold = (
        spread(each, neuron.shape).astype(np.float64)
        for each in (neuron.decay, neuron.bias, neuron.initial, neuron.threshold)
    )
    if (decay < 0).any() or (decay > 1).any() or ((decay == 1) & (bias != 0)).any():
        return False
    rest = np.where(decay < 1, bias / np.where(decay < 1, 1 - decay, 1.0), start)
    low, high = np.minimum(start, rest), np.maximum(start, rest)
    fires = weight > 0
    for _ in range(_ROUNDS):
        least, most = (decay * each + bias + weight for each in (low, high))
        if isinstance(reset, HardReset):
            left = (spread(reset.value, neuron.shape),) * 2
        else:
            amount = spread(reset.amount, neuron.shape)
            left = least - amount, most - amount
        wider = np.where(fires, np.minimum(low, left[0]), low), np.where(fires, np.maximum(high, left[1]), high)
        if np.array_equal(wider[0], low) and np.array_equal(wider[1], high):
            margin = _MARGIN * np.max(np.abs([low, high, threshold, weight]), axis=0)
            return bool((high < threshold - margin).all() and (~fires | (least > threshold + margin)).all())
        low, high = wider
    return False


def _without(graph: Graph[Layer], name: str, taps: LinearMap) -> Graph[Layer] | None:
    """The graph without a relay; None where what it feeds would grow."""
    (last,) = graph.incoming(name)
    (first,) = graph.incoming(last.source)
    gone = {name, last.source}
    ops = {each: op for each, op in graph.ops.items() if each not in gone}
    edges = [edge for edge in graph.edges if not {edge.source, edge.target} & gone]
    before = first.delay + last.delay
    for edge in graph.outgoing(name):
        linear = graph[edge.target]
        assert isinstance(linear, Linear)
        try:
            joined = compact(linear.map if _in_place(taps) else compose(linear.map, taps))
        except TooLargeError:
            return None
        if nonzero_count(joined) > nonzero_count(linear.map) + nonzero_count(taps):
            return None
        ops[edge.target] = replace(linear, map=joined)
        edges.append(Edge(first.source, edge.target, before + edge.delay, edge.gain))
    return Graph(ops, edges)


def _in_place(taps: LinearMap) -> bool:
    """Whether every neuron of the relay repeats the source's neuron of its own number."""
    assert isinstance(taps, Sparse)
    count = np.arange(taps.out_size)
    return np.array_equal(taps.indptr, np.arange(taps.in_size + 1)) and np.array_equal(taps.targets, count)
