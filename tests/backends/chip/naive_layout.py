"""What lies where on a chip of many cores, by the section of that name in targets/README.md, one synapse at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from snncc.chip import Chip, Packing
from snncc.integers import Network, Population, Source, Synapse
from snncc.linear import Conv
from snncc.mapping import HOST, Placement
from tests.reference.synapses import targets_of

Sender = tuple[str, int]  # an input value or a neuron: its op, and its index there


@dataclass(frozen=True)
class Touch:
    """One synapse of a block: a value is added `weight` times to what a neuron gets `delay` steps on."""

    population: str
    index: int
    weight: int
    delay: int


@dataclass(frozen=True)
class Block:
    """The synapses of one group from one sender to one core, and what reading them costs."""

    group: str
    sender: int
    form: str
    words: int
    synapses: int
    touches: tuple[Touch, ...]


@dataclass(eq=False)
class Axon:
    """One sender's way into one core."""

    core: int
    number: int
    blocks: list[Block] = field(default_factory=list)


@dataclass(eq=False)
class Layout:
    """`neurons` by core, in order; `routes` are every sender's axons, by rising core; `host` the host's populations."""

    neurons: list[list[Sender]]
    routes: dict[Sender, list[Axon]]
    host: list[str]


def layout_of(network: Network, chip: Chip, placement: Placement) -> Layout:
    """Derives blocks, forms, words, axons and routes from the places of the neurons."""
    assert chip.mesh
    neurons: list[list[Sender]] = [[] for _ in range(chip.mesh.columns * chip.mesh.rows * chip.mesh.cores)]
    populations = network.of_kind(Population)
    for name in populations:
        for index, core in enumerate(placement.cores[name].tolist()):
            if core != HOST:
                neurons[core].append((name, index))
    host = [name for name in populations if HOST in placement.cores[name]]
    for name in host:
        assert set(placement.cores[name].tolist()) == {HOST}, f"{name} is on the host in part"
    widths = {name: width_of(synapse, chip) for name, synapse in network.of_kind(Synapse).items()}
    routes: dict[Sender, list[Axon]] = {}
    used = [0] * len(neurons)
    for name in network.ops:
        for sender in senders_of(network, name):
            reached: dict[int, list[Block]] = {}
            for group in groups_of(network, name):
                for core, weights in _by_core(network, placement, group, sender).items():
                    block = _block(network, chip, neurons[core], group, widths[group], sender, weights)
                    reached.setdefault(core, []).append(block)
            routes[sender] = []
            for core in sorted(reached):
                routes[sender].append(Axon(core, used[core], reached[core]))
                used[core] += 1
    return Layout(neurons, routes, host)


def senders_of(network: Network, name: str) -> Iterator[Sender]:
    """The input values or neurons of an op."""
    op = network[name]
    if isinstance(op, (Source, Population)):
        for index in range(int(np.prod(op.shape, dtype=int))):
            yield name, index


def groups_of(network: Network, name: str) -> list[str]:
    """The synapse groups that read an op."""
    return [edge.target for edge in network.outgoing(name) if isinstance(network[edge.target], Synapse)]


def _by_core(network: Network, placement: Placement, group: str, sender: Sender) -> dict[int, dict[int, int]]:
    """The weights of a sender in a group, those that are 0 only if it learns: by core, then by target."""
    synapse, (out,) = network[group], network.outgoing(group)
    assert isinstance(synapse, Synapse)
    result: dict[int, dict[int, int]] = {}
    for target, weight in targets_of(synapse.map, sender[1]):
        core = int(placement.cores[out.target][target])
        if (weight != 0 or synapse.plasticity) and core != HOST:
            result.setdefault(core, {})[target] = weight
    return result


def _block(
    network: Network, chip: Chip, here: list[Sender], group: str, width: int, sender: Sender, weights: dict[int, int]
) -> Block:
    synapse, (into,), (out,) = network[group], network.incoming(group), network.outgoing(group)
    assert isinstance(synapse, Synapse)
    delay = into.delay + (0 if synapse.axon_delays is None else int(synapse.axon_delays[sender[1]]))
    assert delay >= 1, "a value cannot arrive in the step in which it is sent"
    there = [index for name, index in here if name == out.target]
    span = there.index(max(weights)) - there.index(min(weights)) + 1
    form, words, synapses = _form(chip, synapse, len(weights), width, span)
    gain = 2**synapse.exponent
    return Block(
        group,
        sender[1],
        form,
        words,
        synapses,
        tuple(Touch(out.target, to, weights[to] * gain, delay) for to in sorted(weights)),
    )


def _form(chip: Chip, synapse: Synapse, n: int, w: int, s: int) -> tuple[str, int, int]:
    """The form of a block, with the words and the synapses that are read with it."""
    packing = chip.packing
    assert packing
    if isinstance(synapse.map, Conv) and "convolution" in chip.capabilities:
        return "shared", _words(packing, n * w), n
    header = int(packing.header_bits.value) + trace_bits(synapse)
    sparse = header + n * (w + int(packing.index_bits.value))
    dense = header + s * w
    if sparse < dense:
        return "sparse", _words(packing, sparse), n
    return "dense", _words(packing, dense), s


def _words(packing: Packing, bits: int) -> int:
    words = 0
    while words * packing.word_bits < bits:
        words += 1
    return words


def trace_bits(synapse: Synapse) -> int:
    """The bits of the traces of a source."""
    return sum(each.highest.bit_length() for each in (synapse.plasticity.pre if synapse.plasticity else ()))


def width_of(synapse: Synapse, chip: Chip) -> int:
    """The fewest bits that hold every weight of a group in two's complement; of one that learns, above its lowest.

    Never more than the chip has: a group that needs one more is never negative, and has no sign.
    """
    if synapse.plasticity:
        return ((synapse.plasticity.highest - synapse.plasticity.lowest) * 2**synapse.plasticity.guard).bit_length()
    weights = [int(weight) for weight in synapse.map.weight.reshape(-1)]
    width = 1
    while not all(-(2 ** (width - 1)) <= weight < 2 ** (width - 1) for weight in weights):
        width += 1
    assert width <= chip.weight.bits or min(weights) >= 0
    return min(width, chip.weight.bits)
