"""Every rule about a mapped network, with the exact words in which it is broken."""

from __future__ import annotations

import re

import numpy as np
import pytest

from snncc.chip_rules import mapped
from snncc.diagnostics import CompileError
from snncc.integers import Network
from snncc.linear import Dense
from snncc.mapping import frozen_cores
from snncc.passes.map import map_network
from snncc.passes.route import route
from tests.chips import chain, convolution, mesh_chip


def dense(inputs: int, *sizes: int, weight: int = 3) -> Network:
    """Populations p1, p2, ... that are connected all to all."""
    reads = (inputs, *sizes[:-1])
    return chain(*(Dense(np.full((size, read), weight, np.int8)) for size, read in zip(sizes, reads, strict=True)))


def said(network: Network, columns: int = 2, **limits: int) -> list[str]:
    with pytest.raises(CompileError) as caught:
        map_network(network, mesh_chip(columns, 1, **limits))
    return [str(each) for each in caught.value.diagnostics]


def test_a_network_that_fits_breaks_no_rule() -> None:
    mapping = map_network(dense(4, 3, 2), mesh_chip(2, 1, neurons=3))
    assert not mapped(dense(4, 3, 2), mesh_chip(2, 1, neurons=3), mapping)


def test_there_are_enough_cores() -> None:
    assert said(dense(4, 8, 4), neurons=3) == [
        "error[too-many-cores]: the network: needs 4 cores of 3 neurons, 3 of them for p1; chip1 has 2 "
        "(in total 12 neurons of 6)\n"
        "  = hint: remove 6 neurons, or choose a target with 4 such cores"
    ]


def test_cores_that_are_full_of_synapses_may_do_with_narrower_ones() -> None:
    assert said(dense(40, 64, weight=100), synapse_words=120) == [
        "error[too-many-cores]: the network: needs 3 cores of 120 words of synapses, 3 of them for p1; chip1 has 2 "
        "(in total 360 words of synapses of 240)\n"
        "  = hint: compile with --weight-bits 5, or choose a target with 3 such cores"
    ]
    narrow = dense(40, 64, weight=15)  # of 5 bits
    assert not mapped(narrow, mesh_chip(2, 1), map_network(narrow, mesh_chip(2, 1, synapse_words=120)))


def test_a_neuron_that_fits_no_core_is_named() -> None:
    assert said(dense(40, 2), synapse_words=30, axons_in=25) == [
        "error[too-many-synapse-words]: p1: its neuron 0 alone needs 40 words of synapses; a core of chip1 has 30; "
        "1 more of its neurons needs too many\n"
        "  = hint: prune 10 of p1's inputs there, or choose a target with larger cores",
        "error[too-many-axons-in]: p1: its neuron 0 alone needs 40 axons in; a core of chip1 has 25; "
        "1 more of its neurons needs too many\n"
        "  = hint: prune 15 of p1's inputs there, or choose a target with larger cores",
    ]


def test_neurons_that_fit_no_core_do_not_pass_for_too_few_cores() -> None:
    found = said(dense(40, 9), axons_in=25)
    assert found == [
        "error[too-many-axons-in]: p1: its neuron 0 alone needs 40 axons in; a core of chip1 has 25; "
        "8 more of its neurons need too many\n"
        "  = hint: prune 15 of p1's inputs there, or choose a target with larger cores"
    ]


def test_every_population_that_does_not_fit_is_named() -> None:
    found = said(dense(40, 30, 4), 64, axons_in=25)
    assert [each.split(" needs")[0] for each in found] == [
        "error[too-many-axons-in]: p1: its neuron 0 alone",
        "error[too-many-axons-in]: p2: its neuron 0 alone",
    ]


@pytest.mark.parametrize("size", [30, 64, 90])
def test_following_the_hint_makes_a_network_fit(size: int) -> None:
    """Narrower weights where these are advised, else as many cores as are said to be needed."""
    network, limits = dense(40, size, weight=100), {"synapse_words": 120 if size == 64 else 90}
    hint = said(network, 1, **limits)[0].split("hint: ")[1]
    narrower, cores = re.search(r"--weight-bits (\d)", hint), re.search(r"with (\d+) such cores", hint)
    assert cores
    map_network(network, mesh_chip(int(cores[1]), 1, **limits))
    if narrower:
        most = (1 << (int(narrower[1]) - 1)) - 1
        map_network(dense(40, size, weight=min(most, 100)), mesh_chip(1, 1, **limits))
        with pytest.raises(CompileError):
            map_network(dense(40, size, weight=min(2 * most + 1, 100)), mesh_chip(1, 1, **limits))


def test_removing_channels_as_advised_makes_a_convolution_fit() -> None:
    def network(channels: int) -> Network:
        return chain(convolution((channels, 4, 4), 2, 3))

    limits = {"synapse_words": 40, "axons_in": 200}
    (found,) = said(network(8), 32, **limits)
    advised = re.search(r"remove (\d) of the 8 channels that p1 reads", found)
    assert advised
    map_network(network(8 - int(advised[1])), mesh_chip(32, 1, **limits))
    with pytest.raises(CompileError):
        map_network(network(9 - int(advised[1])), mesh_chip(32, 1, **limits))


def test_a_neuron_that_sends_to_too_many_cores_is_named() -> None:
    found = said(dense(4, 6, 9), 4, neurons=5, routes=1)
    assert found == [
        "error[too-many-routes]: p1: 5 neurons on a core need 2 cores that a neuron sends to; a core of chip1 has 1; "
        "1 more of its cores needs too many\n"
        "  = hint: prune outputs of p1 until it sends to 1 fewer cores from there, or choose a target with larger cores"
    ]


def test_a_core_that_was_given_too_much_breaks_every_limit_at_once() -> None:
    network = dense(200, 40, weight=100)
    mapping = route(network, frozen_cores({"p1": np.zeros(40, np.int32)}))
    found = mapped(network, mesh_chip(2, 1, synapse_words=1000, axons_in=50, neurons=10), mapping)
    assert [str(each) for each in found] == [
        "error[too-many-neurons]: p1: 40 neurons on a core need 40 neurons; a core of chip1 has 10\n"
        "  = hint: choose a target with larger cores",
        "error[too-many-synapse-words]: p1: 40 neurons on a core need 1,200 words of synapses; a core of chip1 has "
        "1,000\n  = hint: compile with --weight-bits 7, or choose a target with larger cores",
        "error[too-many-axons-in]: p1: 40 neurons on a core need 200 axons in; a core of chip1 has 50\n"
        "  = hint: prune 150 of p1's inputs there, or choose a target with larger cores",
    ]
