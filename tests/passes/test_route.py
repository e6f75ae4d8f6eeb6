"""Blocks, axons and usage against counting synapse by synapse, on random networks and random placements."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from snncc.analysis.usage import Traffic, traffic_of, usage_of
from snncc.arrays import Array
from snncc.chip import Chip
from snncc.integers import Network, Population, Source, Synapse, source_of
from snncc.linear import to_sparse
from snncc.mapping import HOST, Mapping, cores_of, frozen_cores, tile_of
from snncc.passes.route import route
from tests.chips import mesh_chip
from tests.networks import networks

CHIP = mesh_chip(columns=3, rows=2, cores=2, host=(1, 1))


@st.composite
def placed(draw: Any) -> tuple[Network, dict[str, Array]]:
    """A network on the twelve cores of CHIP; now and then a population is on the host."""
    network = draw(networks())
    random = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    cores: dict[str, Array] = {}
    for name, population in network.of_kind(Population).items():
        some = random.choice(12, draw(st.integers(1, 4)), replace=False)
        cores[name] = random.choice(some, population.size).astype(np.int32)
        if draw(st.integers(0, 5)) == 0:
            cores[name][:] = HOST
    return network, cores


def listed(network: Network, synapse: str) -> list[tuple[int, int]]:
    """All (sender, target) of a group."""
    op = network[synapse]
    assert isinstance(op, Synapse)
    flat = to_sparse(op.map)
    return [(j, int(i)) for j in range(flat.in_size) for i in flat.targets[flat.indptr[j] : flat.indptr[j + 1]]]


def naive_blocks(network: Network, cores: dict[str, Array], synapse: str) -> list[tuple[int, int, int, int]]:
    target = network.outgoing(synapse)[0].target
    found: dict[tuple[int, int], list[int]] = defaultdict(list)
    for sender, neuron in listed(network, synapse):
        if cores[target][neuron] != HOST:
            found[sender, int(cores[target][neuron])].append(neuron)
    blocks = []
    for (sender, core), neurons in sorted(found.items()):
        span = sum(cores[target][neuron] == core for neuron in range(min(neurons), max(neurons) + 1))
        blocks.append((sender, core, len(neurons), int(span)))
    return blocks


@given(placed())
def test_blocks_and_axons_are_those_of_every_synapse(case: tuple[Network, dict[str, Array]]) -> None:
    network, cores = case
    mapping = route(network, frozen_cores(cores))
    numbered: dict[int, int] = defaultdict(int)
    for name in network.of_kind(Synapse):
        found = mapping.blocks[name]
        rows = zip(found.sender, found.core, found.synapses, found.span, strict=True)
        assert [tuple(map(int, row)) for row in rows] == naive_blocks(network, cores, name)
    for name, op in network.ops.items():
        if not isinstance(op, (Source, Population)):
            continue
        own = [each for each in network.of_kind(Synapse) if source_of(network, each)[0] == name]
        pairs = sorted({block[:2] for each in own for block in naive_blocks(network, cores, each)})
        axons = mapping.axons[name]
        assert len(axons.start) == int(np.prod(op.shape)) + 1
        senders = np.repeat(np.arange(len(axons.start) - 1), np.diff(axons.start))
        assert list(zip(senders.tolist(), axons.core.tolist(), strict=True)) == pairs
        for core, number in zip(axons.core.tolist(), axons.axon.tolist(), strict=True):
            assert number == numbered[core]
            numbered[core] += 1


def naive_words(network: Network, cores: dict[str, Array], chip: Chip, synapse: str) -> dict[int, int]:
    """Words of memory by core, written as the rules in targets/README.md are."""
    op = network[synapse]
    assert isinstance(op, Synapse)
    assert chip.packing is not None
    values = [int(each) for each in op.map.weight.flat]
    width = next(w for w in range(1, 33) if all(-(2 ** (w - 1)) <= each < 2 ** (w - 1) for each in [0, *values]))
    header, index = int(chip.packing.header_bits.value), int(chip.packing.index_bits.value)
    bits = chip.packing.word_bits
    words: dict[int, int] = defaultdict(int)
    shared = "convolution" in chip.capabilities and op.map.weight.ndim == 4
    for _, core, synapses, span in naive_blocks(network, cores, synapse):
        size = header + min(synapses * (width + index), span * width)
        words[core] += int(chip.packing.shared_axon_words.value) if shared else -(-size // bits)
    target = cores[network.outgoing(synapse)[0].target]
    if shared:
        by_channel = target.reshape(len(op.map.weight), -1)
        for core in set(target.tolist()) - {HOST}:
            held = sum(bool((row == core).any()) for row in by_channel) * op.map.weight[0].size
            words[core] += -(-held * width // bits)
    return words


@given(placed(), st.booleans())
def test_usage_counts_what_the_rules_say(case: tuple[Network, dict[str, Array]], shares: bool) -> None:
    network, cores = case
    chip = mesh_chip(3, 2, 2, host=(1, 1), shares=shares)
    mapping = route(network, frozen_cores(cores))
    usage = usage_of(network, chip, mapping)
    senders: set[tuple[str, int, int]] = set()
    expected = np.zeros((3, 12), np.int64)
    for name in network.of_kind(Synapse):
        source, _ = source_of(network, name)
        senders |= {(source, *block[:2]) for block in naive_blocks(network, cores, name)}
        for core, words in naive_words(network, cores, chip, name).items():
            expected[0, core] += words
    reached: dict[tuple[str, int], int] = defaultdict(int)
    for source, sender, core in senders:
        expected[1, core] += 1
        reached[source, sender] += 1
    routes = np.zeros(12, np.int64)
    for (source, sender), count in reached.items():
        home = int(cores[source][sender]) if source in cores else HOST
        if home != HOST:
            expected[2, home] += count
            routes[home] = max(routes[home], count)
    neurons = [sum(int((each == core).sum()) for each in cores.values()) for core in range(12)]
    assert usage.neurons.tolist() == neurons
    assert usage.synapse_words.tolist() == expected[0].tolist()
    assert usage.axons_in.tolist() == expected[1].tolist()
    assert usage.axons_out.tolist() == expected[2].tolist()
    assert usage.routes.tolist() == routes.tolist()
    assert cores_of(CHIP.mesh) == 12  # type: ignore[arg-type]


@given(placed())
def test_traffic_is_links_crossed_by_what_is_sent(case: tuple[Network, dict[str, Array]]) -> None:
    network, cores = case
    mapping = route(network, frozen_cores(cores))
    sent = {name: np.arange(len(axons.start) - 1) % 3 for name, axons in mapping.axons.items()}
    assert traffic_of(network, CHIP, mapping, sent) == naive_traffic(network, cores, mapping, sent)


def naive_traffic(network: Network, cores: dict[str, Array], mapping: Mapping, sent: dict[str, Array]) -> Any:
    assert CHIP.mesh is not None
    packets = hops = 0
    for name, axons in mapping.axons.items():
        for sender in range(len(axons.start) - 1):
            for core in axons.core[axons.start[sender] : axons.start[sender + 1]]:
                home = int(cores[name][sender]) if name in cores else HOST
                here = CHIP.mesh.host if home == HOST else tile_of(home, CHIP.mesh)
                there = tile_of(int(core), CHIP.mesh)
                packets += int(sent[name][sender])
                hops += int(sent[name][sender]) * (abs(here[0] - there[0]) + abs(here[1] - there[1]))
    return Traffic(packets, hops)
