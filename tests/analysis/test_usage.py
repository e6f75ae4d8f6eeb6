"""What a mapping takes of the cores, in numbers worked out by hand (random networks: tests/passes/test_route.py)."""

from __future__ import annotations

import numpy as np

from snncc.analysis.usage import Resource, cores_used, resources, traffic_of, usage_by_population, usage_of, words_of
from snncc.linear import Dense
from snncc.mapping import HOST, Mapping, Traffic, frozen_cores
from snncc.passes.map import map_network
from snncc.passes.route import route
from tests.chips import chain, convolution, mesh_chip

# Two layers: 4 inputs to 6 neurons, half of them on core 0, half on core 1; these to 2 neurons on core 3.
NETWORK = chain(Dense(np.full((6, 4), 3, np.int8)), Dense(np.full((2, 6), -1, np.int8)))
CHIP = mesh_chip(2, 2, neurons=8, synapse_words=10, axons_in=9, axons_out=5, routes=3)
MAPPING = route(NETWORK, frozen_cores({"p1": np.array([0, 0, 0, 1, 1, 1]), "p2": np.array([3, 3])}))


def test_usage_by_core() -> None:
    usage = usage_of(NETWORK, CHIP, MAPPING)
    assert usage.neurons.tolist() == [3, 3, 0, 2]
    # four blocks of three 3-bit weights in one word of 64 bits each; six of two 1-bit weights
    assert usage.synapse_words.tolist() == [4, 4, 0, 6]
    assert usage.axons_in.tolist() == [4, 4, 0, 6]
    assert usage.axons_out.tolist() == [3, 3, 0, 0]
    assert usage.routes.tolist() == [1, 1, 0, 0]


def test_resources_on_the_fullest_core_and_in_total() -> None:
    assert resources(NETWORK, CHIP, MAPPING) == (
        Resource("neurons", 3, 8, 8, 32),
        Resource("words of synapses", 6, 10, 14, 40),
        Resource("axons in", 6, 9, 14, 36),
        Resource("axons out", 3, 5, 6, 20),
        Resource("cores a neuron sends to", 1, 3, None, None),
    )
    assert cores_used(MAPPING) == 3


def test_usage_by_population() -> None:
    found = {key: usage_by_population(NETWORK, CHIP, MAPPING, key, 3) for key in ("neurons", "axons_in", "axons_out")}
    assert found == {"neurons": {"p1": 0, "p2": 2}, "axons_in": {"p1": 0, "p2": 6}, "axons_out": {"p1": 0, "p2": 0}}
    assert usage_by_population(NETWORK, CHIP, MAPPING, "synapse_words", 0) == {"p1": 4, "p2": 0}
    assert usage_by_population(NETWORK, CHIP, MAPPING, "routes", 1) == {"p1": 1, "p2": 0}


def test_traffic_is_packets_and_the_links_that_they_cross() -> None:
    """Inputs enter at core 0; core 1 is one link away from it, core 3 two from core 0 and one from core 1."""
    assert traffic_of(NETWORK, CHIP, MAPPING) == Traffic(8 + 6, 4 * 1 + 3 * 2 + 3 * 1)
    spikes = {"x": np.array([2, 0, 0, 0]), "p1": np.array([5, 0, 0, 0, 0, 7]), "p2": np.zeros(2)}
    assert traffic_of(NETWORK, CHIP, MAPPING, spikes) == Traffic(4 + 12, 2 * 1 + 5 * 2 + 7 * 1)


def test_kernels_are_held_where_their_channels_are() -> None:
    """Weights of 2 bits, 9 a channel: 18 bits for one channel, 36 for two; and a word for each sender."""
    network = chain(convolution((1, 4, 4), 2, 3))
    cores = np.repeat([0, 1], 16).astype(np.int32)
    apart = route(network, frozen_cores({"p1": cores}))
    assert words_of(network, CHIP, apart, "s1").tolist() == [1 + 16, 1 + 16, 0, 0]
    together = route(network, frozen_cores({"p1": np.zeros(32, np.int32)}))
    assert words_of(network, CHIP, together, "s1").tolist() == [1 + 16, 0, 0, 0]


def test_what_the_host_computes_takes_nothing() -> None:
    mapping = route(NETWORK, frozen_cores({"p1": np.full(6, HOST), "p2": np.array([3, 3])}))
    usage = usage_of(NETWORK, CHIP, mapping)
    assert usage.neurons.tolist() == [0, 0, 0, 2]
    assert usage.axons_out.sum() == 0
    assert traffic_of(NETWORK, CHIP, mapping) == Traffic(6, 12)


def test_a_mapping_says_what_it_sends_and_what_cores_in_order_would() -> None:
    fits: Mapping = map_network(NETWORK, mesh_chip(2, 2, neurons=6))
    assert fits.traffic is not None
    assert fits.in_order is not None
    assert fits.traffic.hops <= fits.in_order.hops
    assert map_network(NETWORK, mesh_chip(2, 2, neurons=6), method="sequential").traffic == fits.in_order
