"""Mapping as a whole: within every limit or refused, never worse than in order, the same for a seed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snncc.analysis.usage import traffic_of, usage_of
from snncc.chip import Chip
from snncc.chip_rules import mapped
from snncc.diagnostics import CompileError
from snncc.graph import Edge, Graph
from snncc.integers import Network, Population, Source, Synapse
from snncc.linear import Conv, Dense
from snncc.mapping import HOST, Mapping, cores_of
from snncc.passes.host import host_populations, on_the_host
from snncc.passes.map import baseline, map_network
from tests.chips import chain, convolution, mesh_chip
from tests.networks import networks


@st.composite
def chips(draw: Any) -> Chip:
    """Small meshes, one or two of whose limits may be tight."""
    tight = draw(st.sets(st.sampled_from(("neurons", "synapse_words", "axons_in", "axons_out", "routes")), max_size=2))
    limits = {name: draw(st.integers(4, 60)) for name in sorted(tight)}
    return mesh_chip(4, 4, host=(draw(st.integers(0, 3)), 0), shares=draw(st.booleans()), **limits)


@given(networks(), chips(), st.integers(0, 3))
def test_random_networks_fit_or_are_refused(network: Network, chip: Chip, seed: int) -> None:
    try:
        mapping = map_network(network, chip, None, "auto", seed)
    except CompileError as error:
        rules = {each.rule for each in error.diagnostics}
    else:
        rules = set[str]()
        assert not mapped(network, chip, mapping)
        check(network, chip, mapping)
        again = map_network(network, chip, None, "auto", seed)
        assert all(np.array_equal(again.placement.cores[name], each) for name, each in mapping.placement.cores.items())
    limits = ("cores", "neurons", "synapse-words", "axons-in", "axons-out", "routes")
    assert rules <= {f"too-many-{each}" for each in limits}


def check(network: Network, chip: Chip, mapping: Mapping) -> None:
    assert chip.mesh is not None
    assert set(mapping.placement.cores) == set(network.of_kind(Population))
    for name, cores in mapping.placement.cores.items():
        assert cores.shape == (network.of_kind(Population)[name].size,)
        assert cores.min() >= 0
        assert cores.max() < cores_of(chip.mesh)
    plain = baseline(network, chip, frozenset())
    if not mapped(network, chip, plain):
        assert traffic_of(network, chip, mapping).hops <= traffic_of(network, chip, plain).hops


@pytest.mark.parametrize("seed", [0, 1])
def test_convolutions_send_less_than_in_order(seed: int) -> None:
    network = chain(*[convolution((4, 24, 24), 4, 3)] * 3)
    chip = mesh_chip(4, 4, neurons=512, synapse_words=4096)
    found, plain = (map_network(network, chip, None, method, seed) for method in ("auto", "sequential"))
    assert traffic_of(network, chip, found).hops < 0.6 * traffic_of(network, chip, plain).hops


def test_spikes_decide_what_is_near() -> None:
    """Two ways from the input, of which one is silent on the samples: the busy one lies nearer to the host."""
    network = chain(Dense(np.kron(np.eye(4, dtype=np.int8), np.ones((8, 8), np.int8))))
    chip = mesh_chip(4, 1, neurons=8)
    for busy in range(4):
        spikes = {"x": np.repeat(np.arange(4) == busy, 8) * 9.0 + 1.0, "p1": np.ones(32)}
        cores = map_network(network, chip, spikes).placement.cores["p1"]
        assert set(cores[8 * busy : 8 * busy + 8].tolist()) == {0}


def test_scarce_words_are_shared_out() -> None:
    """A dense layer whose synapses take sixteen cores, behind one whose neurons fit a single one."""
    network = chain(Dense(np.ones((512, 16), np.int8)), Dense(np.full((128, 512), 100, np.int8)))
    chip = mesh_chip(8, 8, neurons=1024, synapse_words=1024)
    mapping = map_network(network, chip)
    usage = usage_of(network, chip, mapping)
    assert usage.synapse_words.max() <= 1024
    assert 8 <= np.count_nonzero(usage.neurons) <= 20


def test_scarce_kernels_are_shared_out_by_channel() -> None:
    """64 output channels whose kernels take more than a core: each core gets some of them."""
    network = chain(Conv(np.full((64, 32, 5, 5), 100, np.int8), (32, 12, 12), padding=(2, 2, 2, 2)))
    chip = mesh_chip(8, 8, neurons=1024, synapse_words=4096)
    mapping = map_network(network, chip)
    assert usage_of(network, chip, mapping).synapse_words.max() <= 4096


def test_the_host_computes_what_reads_graded_values() -> None:
    network = chain(Dense(np.ones((6, 4), np.int8)), Dense(np.ones((3, 6), np.int8)))
    wide = Graph({**network.ops, "x": Source((4,), 8)}, network.edges)
    chip = mesh_chip(2, 2)
    spiking = replace(chip, capabilities=tuple(each for each in chip.capabilities if each != "graded-input"))
    assert host_populations(network, spiking) == frozenset()
    assert host_populations(wide, chip) == frozenset()
    assert host_populations(wide, spiking) == {"p1"}
    for method in ("auto", "sequential"):
        mapping = map_network(wide, spiking, None, method)
        assert (mapping.placement.cores["p1"] == HOST).all()
        assert len(mapping.blocks["s1"].sender) == len(mapping.axons["x"].core) == 0
        assert mapping.axons["p1"].core.tolist() == mapping.placement.cores["p2"][:1].tolist() * 6
        assert not mapped(wide, spiking, mapping)


def test_the_host_warns_and_refuses() -> None:
    network = chain(Dense(np.ones((6, 4), np.int8)), Dense(np.ones((3, 6), np.int8)))
    chip = mesh_chip(2, 2)
    spiking = replace(chip, capabilities=tuple(each for each in chip.capabilities if each != "graded-input"))
    wide = Graph({**network.ops, "x": Source((4,), 8)}, network.edges)
    (warning,) = on_the_host(wide, spiking)
    assert str(warning) == (
        "warning[on-the-host]: p1: reads graded values; chip1 takes spikes, so its 6 neurons are computed on the host\n"
        "  = hint: train with an input that is encoded as spikes"
    )
    loop = {**wide.ops, "back": Synapse(Dense(np.ones((6, 3), np.int8)))}
    back = Graph(loop, [*wide.edges, Edge("p2", "back", 1), Edge("back", "p1")])
    with pytest.raises(CompileError) as caught:
        host_populations(back, spiking)
    assert str(caught.value) == (
        "error[graded-input]: p1: reads graded values, which chip1 does not take, so the host would compute it; "
        "but it also reads p2, on the chip\n"
        "  = hint: train with an input that is encoded as spikes, or choose a target with graded input"
    )
