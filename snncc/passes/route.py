"""What travels between cores: the blocks of every synapse group, and the axons that lead to them."""

from __future__ import annotations

import numpy as np

from snncc.arrays import Array, Ints, frozen
from snncc.integers import Network, Population, Source, Synapse, source_of
from snncc.jit import compiled
from snncc.layers import size
from snncc.linear import synapse_count
from snncc.mapping import HOST, Axons, Blocks, Mapping, Placement
from snncc.packing import filled
from snncc.passes.fanout import fan_out, ranges


def route(network: Network, placement: Placement) -> Mapping:
    """The mapping that follows from where the neurons are: every sender reaches exactly the cores of its targets."""
    network = filled(network)
    most = max((int(each.max(initial=HOST)) for each in placement.cores.values()), default=HOST) + 1
    ranks = {name: ranks_of(cores, most) for name, cores in placement.cores.items()}
    blocks: dict[str, Blocks] = {}
    for name, synapse in network.of_kind(Synapse).items():
        target = network.outgoing(name)[0].target
        blocks[name] = _blocks_of(synapse, placement.cores[target], ranks[target], most)
    return Mapping(placement, blocks, _axons(network, blocks, most))


def ranks_of(cores: Array, most: int) -> Array:
    """The place of every neuron among those of its population that are on the same core: int32 (size,)."""
    return _ranks(cores.astype(np.int32), most)


def _blocks_of(synapse: Synapse, cores: Array, ranks: Array, most: int) -> Blocks:
    fan, linear = fan_out(synapse.map), synapse.map
    parts: list[Array] = []
    for lo, hi in ranges(linear.in_size, synapse_count(linear)):
        start, members = fan(lo, hi)
        parts.append(_blocks(lo, start, members, cores.astype(np.int32), ranks, most))
    sender, core, synapses, span = np.concatenate(parts, axis=1)
    return Blocks(*(frozen(each, np.int32) for each in (sender, core, synapses, span)))


def _axons(network: Network, blocks: dict[str, Blocks], most: int) -> dict[str, Axons]:
    used = np.zeros(most, np.int64)
    axons: dict[str, Axons] = {}
    for name, op in network.ops.items():
        if isinstance(op, (Source, Population)):
            own = [each for each in blocks if source_of(network, each)[0] == name]
            pairs = [blocks[each].sender.astype(np.int64) * most + blocks[each].core for each in own]
            joined = np.unique(np.concatenate([np.empty(0, np.int64), *pairs]))
            sender, core = joined // max(most, 1), (joined % max(most, 1)).astype(np.int32)
            start = np.concatenate([[0], np.cumsum(np.bincount(sender, minlength=size(op.shape)))])
            axons[name] = Axons(frozen(start, np.int64), frozen(core), frozen(_numbers(core, used)))
    return axons


@compiled
def _ranks(cores: Array, most: int) -> Array:
    ranks, used = np.zeros(cores.size, np.int32), np.zeros(most, np.int32)
    for neuron in range(cores.size):
        core = cores[neuron]
        if core >= 0:
            ranks[neuron] = used[core]
            used[core] += 1
    return ranks


@compiled
def _numbers(cores: Array, used: Ints) -> Array:
    """Number each core's axons in order; `used` goes on from population to population."""
    numbers = np.empty(cores.size, np.int32)
    for place in range(cores.size):
        numbers[place] = used[cores[place]]
        used[cores[place]] += 1
    return numbers


@compiled
def _blocks(lo: int, start: Ints, members: Array, cores: Array, ranks: Array, most: int) -> Array:
    """(4, blocks): sender, core, synapses, span, of the senders from lo on; targets on the host have none."""
    count, last_sender = np.zeros(most, np.int32), np.full(most, -1, np.int64)
    first, last = np.zeros(most, np.int32), np.zeros(most, np.int32)
    touched = np.empty(most, np.int32)
    result = np.empty((4, min(members.size, (start.size - 1) * most)), np.int32)
    filled = 0
    for row in range(start.size - 1):
        found = 0
        for place in range(start[row], start[row + 1]):
            core, rank = cores[members[place]], ranks[members[place]]
            if core < 0:
                continue
            if last_sender[core] != row:
                last_sender[core] = row
                count[core] = 0
                first[core] = rank
                touched[found] = core
                found += 1
            count[core] += 1
            last[core] = rank
        for core in np.sort(touched[:found]):
            result[0, filled] = lo + row
            result[1, filled] = core
            result[2, filled] = count[core]
            result[3, filled] = last[core] - first[core] + 1
            filled += 1
    return result[:, :filled].copy()
