"""Encloses the weighted sums that reach each neuron, over every input that the sources can send."""

from __future__ import annotations

import numpy as np

from snncc.arrays import Array, Ints
from snncc.integers import (
    Network,
    Population,
    Source,
    Synapse,
    source_of,
    synapses_of,
    value_range,
    weight_range,
)
from snncc.linear import Conv, Dense, Lateral, LinearMap, operator, with_weight


def signed_sums(linear: LinearMap) -> tuple[Ints, Ints]:
    """The sum of the negative and of the positive integer weights into each target, both (out_size,).

    Of a convolution each position has its own: at a border there are fewer inputs.
    """
    if isinstance(linear, Dense):
        negative, positive = (part.sum(axis=1, dtype=np.int64) for part in _parts(linear.weight))
        return negative, positive
    if isinstance(linear, Conv):
        one = np.ones((1, linear.in_size))
        negative, positive = (operator(with_weight(linear, part), np.float64)(one)[0] for part in _parts(linear.weight))
    elif isinstance(linear, Lateral):
        others = linear.size - 1
        negative, positive = (np.repeat(part.astype(np.int64) * others, linear.size) for part in _parts(linear.weight))
    else:
        negative, positive = (
            np.bincount(linear.targets, part, minlength=linear.out_size) for part in _parts(linear.weight)
        )
    return negative.astype(np.int64), positive.astype(np.int64)


def _parts(weight: Array) -> tuple[Array, Array]:
    return np.minimum(weight, 0), np.maximum(weight, 0)


def synapse_sums(network: Network, name: str) -> tuple[Ints, Ints]:
    """The least and the greatest sum of a synapse for each target, before its exponent; every partial sum is between.

    Zero is always between them, as a source that is silent, or not yet there, sends 0.
    """
    synapse, source = network[name], network[source_of(network, name)[0]]
    assert isinstance(synapse, Synapse)
    assert isinstance(source, (Source, Population))
    low, high = value_range(source)
    if synapse.plasticity:
        negative, positive = (np.full(synapse.map.out_size, synapse.map.in_size * w) for w in weight_range(synapse))
    else:
        negative, positive = signed_sums(synapse.map)
    return negative * high + positive * low, positive * high + negative * low


def accumulated(network: Network, population: str) -> tuple[Ints, Ints]:
    """The least and the greatest sum of all synapses of a population, for each neuron, before the input shift."""
    op = network[population]
    assert isinstance(op, Population)
    low, high = np.zeros(op.size, np.int64), np.zeros(op.size, np.int64)
    for name in synapses_of(network, population):
        synapse = network[name]
        assert isinstance(synapse, Synapse)
        least, greatest = synapse_sums(network, name)
        low, high = low + (least << synapse.exponent), high + (greatest << synapse.exponent)
    return low, high
