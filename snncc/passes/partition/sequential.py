"""The baseline: populations in order, neurons by index, each core filled until a limit is reached."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from snncc import packing
from snncc.arrays import Array, Ints
from snncc.chip import Chip
from snncc.integers import Network, Population, Source, Synapse, source_of, synapses_of
from snncc.jit import compiled
from snncc.layers import size
from snncc.linear import synapse_count
from snncc.mapping import HOST
from snncc.packing import form_of
from snncc.passes.fanout import Fan, fan_in, ranges

_words = compiled(packing.block_words)

# What the loop knows of a synapse group, one row each.
_SHARED, _WIDTH, _HEADER, _INDEX, _WORD, _AXON_WORDS, _CHANNEL_WEIGHTS, _POSITIONS = range(8)
_BLOCKS, _SENDERS, _CHANNELS = range(8, 11)
# Where the loop stands: the core, and what is on it.
_CORE, _NEURONS, _STORED, _AXONS_IN, _AXONS_OUT, _RANK = range(6)


@dataclass(frozen=True, eq=False)
class _Books:
    """What a core has already been charged for, by block, sender and output channel: the core that last was.

    `blocks` is (3, blocks): synapses, and the ranks of the first and of the last neuron.
    """

    block_core: Array
    blocks: Array
    sender_core: Array
    channel_core: Array
    channels: Ints


def sequential(network: Network, chip: Chip, host: frozenset[str], targets: dict[str, Array]) -> dict[str, Array]:
    """The core of every neuron, by population, int32 (size,); cores count on beyond those that the chip has.

    `targets` is on how many cores the neurons of each population have synapses, as far as that is known.
    A neuron that fits no core has one to itself.
    """
    names = [name for name in network.of_kind(Synapse) if network.outgoing(name)[0].target not in host]
    table, books = _tables(network, chip, names)
    limits = limits_of(chip)
    now = np.zeros(6, np.int64)
    result: dict[str, Array] = {}
    for name, population in network.of_kind(Population).items():
        cores = np.full(population.size, HOST, np.int32)
        if name not in host:
            out = targets.get(name, np.zeros(population.size, np.int64))
            _fill_population(network, name, names, table, books, limits, out.astype(np.int64), now, cores)
        result[name] = cores
    return result


def limits_of(chip: Chip) -> Ints:
    """Neurons, synapse words, axons in and axons out that a core holds."""
    core = chip.core
    assert core is not None, "a chip without cores"
    figures = (core.neurons, core.synapse_words, core.axons_in, core.axons_out)
    return np.array([int(each.value) for each in figures], np.int64)


def _tables(network: Network, chip: Chip, names: list[str]) -> tuple[Ints, _Books]:
    first: dict[str, int] = {}
    senders = 0
    for name, op in network.ops.items():
        if isinstance(op, (Source, Population)):
            first[name] = senders
            senders += size(op.shape)
    rows: list[tuple[int, ...]] = []
    blocks = channels = 0
    for name in names:
        synapse = network.of_kind(Synapse)[name]
        form = form_of(synapse, chip)
        outs = len(synapse.map.weight) if form.shared else 0
        positions = synapse.map.out_size // outs if outs else 1
        own = (form.shared, form.width, form.header_bits, form.index_bits, form.word_bits, form.axon_words)
        rows.append((*own, form.channel_weights, positions, blocks, first[source_of(network, name)[0]], channels))
        blocks += synapse.map.in_size
        channels += outs
    never = [np.full(count, -1, np.int32) for count in (blocks, senders, channels)]
    books = _Books(never[0], np.zeros((3, blocks), np.int32), never[1], never[2], np.zeros(len(names), np.int64))
    return np.array(rows, np.int64).reshape(-1, 11), books


def _fill_population(
    network: Network,
    name: str,
    names: list[str],
    table: Ints,
    books: _Books,
    limits: Ints,
    out: Ints,
    now: Ints,
    cores: Array,
) -> None:
    """Assign the neurons of one population; `cores`, `now` and `books` are written."""
    own = [each for each in synapses_of(network, name) if each in names]
    maps = [network.of_kind(Synapse)[each].map for each in own]
    fans: list[Fan] = [fan_in(each) for each in maps]
    groups = np.array([names.index(each) for each in own], np.int64)
    now[_RANK] = 0
    for lo, hi in ranges(len(cores), sum(map(synapse_count, maps))):
        parts = [fan(lo, hi) for fan in fans]
        offsets = np.cumsum([0, *(len(members) for _, members in parts)])
        starts = np.zeros((len(own), hi - lo + 1), np.int64)
        for row, (start, _), offset in zip(starts, parts, offsets[:-1], strict=True):
            row[:] = start + offset
        members = np.concatenate([np.empty(0, np.int32), *(members for _, members in parts)])
        state = (books.block_core, books.blocks, books.sender_core, books.channel_core, books.channels)
        _fill(lo, starts, members, groups, table, limits, out[lo:hi], now, cores[lo:hi], *state)


@compiled
def _fill(
    lo: int,
    starts: Ints,
    members: Array,
    groups: Ints,
    table: Ints,
    limits: Ints,
    out: Ints,
    now: Ints,
    cores: Array,
    block_core: Array,
    blocks: Array,
    sender_core: Array,
    channel_core: Array,
    channels: Ints,
) -> None:
    """Put each neuron on the core that is being filled, and on the next one if that breaks a limit."""
    for neuron in range(cores.size):
        for attempt in range(2):
            alone = now[_NEURONS] == 0
            now[_NEURONS] += 1
            now[_AXONS_OUT] += out[neuron]
            for position in range(groups.size):
                group = groups[position]
                senders = members[starts[position, neuron] : starts[position, neuron + 1]]
                kept = block_core, blocks, sender_core, channel_core, channels
                _charge(lo + neuron, senders, group, table[group], now, *kept)
            fits = now[_NEURONS] <= limits[0] and now[_STORED] <= limits[1]
            fits = fits and now[_AXONS_IN] <= limits[2] and now[_AXONS_OUT] <= limits[3]
            if fits or alone or attempt:
                break
            now[_CORE] += 1
            now[_NEURONS:] = 0
            channels[:] = 0
        cores[neuron] = now[_CORE]
        now[_RANK] += 1


@compiled
def _charge(
    neuron: int,
    senders: Array,
    group: int,
    row: Ints,
    now: Ints,
    block_core: Array,
    blocks: Array,
    sender_core: Array,
    channel_core: Array,
    channels: Ints,
) -> None:
    """Add what one neuron's synapses of one group take on the core that is being filled."""
    core, rank, shared = now[_CORE], now[_RANK], row[_SHARED] == 1
    if shared:
        channel = row[_CHANNELS] + neuron // row[_POSITIONS]
        if channel_core[channel] != core:
            channel_core[channel] = core
            bits = row[_CHANNEL_WEIGHTS] * row[_WIDTH]
            before = (channels[group] * bits + row[_WORD] - 1) // row[_WORD]
            channels[group] += 1
            now[_STORED] += (channels[group] * bits + row[_WORD] - 1) // row[_WORD] - before
    for sender in senders:
        block, axon = row[_BLOCKS] + sender, row[_SENDERS] + sender
        if sender_core[axon] != core:
            sender_core[axon] = core
            now[_AXONS_IN] += 1
        new = block_core[block] != core
        if new:
            block_core[block] = core
            blocks[0, block] = 0
            blocks[1, block] = rank
        elif not shared:
            n, span = np.int64(blocks[0, block]), np.int64(blocks[2, block] - blocks[1, block] + 1)
            now[_STORED] -= _words(n, span, row[_WIDTH], row[_HEADER], row[_INDEX], row[_WORD])
        blocks[0, block] += 1
        blocks[2, block] = rank
        if shared:
            now[_STORED] += row[_AXON_WORDS] if new else 0
        else:
            n, span = np.int64(blocks[0, block]), np.int64(rank - blocks[1, block] + 1)
            now[_STORED] += _words(n, span, row[_WIDTH], row[_HEADER], row[_INDEX], row[_WORD])
