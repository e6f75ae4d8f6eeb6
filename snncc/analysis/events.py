"""What happens on a chip of many cores while samples run, from the network's own spikes: the chip does not run.

Each event that the machine counts follows from who sends how often, where that lies, and what lies behind its axons. Of
time only a bound follows: the busiest unit of each step; how packets get in each other's way is not looked at.
"""

from __future__ import annotations

from collections.abc import Mapping as Dict
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from snncc.analysis.costs import FORMS
from snncc.analysis.usage import distances
from snncc.arrays import Array, Floats, Ints
from snncc.chip import Chip, Timing
from snncc.integers import Network, Population, Source, Synapse
from snncc.layers import size
from snncc.mapping import HOST, Mapping, cores_of, tile_of
from snncc.packing import Form, form_of, is_dense, stored_words


@dataclass(frozen=True, eq=False)
class Path:
    """What one sender, an input or a population, causes each time that one of its values is not 0.

    `service` and `packets` (size, cores) are the cycles of each core's synapse unit, and whether a packet goes there;
    `synapses` (size, forms) are read; `hops` (size, 2) are links across and down. `home` (size,) is the core of each
    neuron, None for what the host sends.
    """

    home: Array | None
    service: csr_array
    packets: csr_array
    synapses: Ints
    hops: Floats


@dataclass(frozen=True, eq=False)
class Events:
    """Of some samples: how often what costs energy happens, by its key in a chip's file; and the chip's cycles."""

    counts: Dict[str, float]
    cycles: float

    def __add__(self, other: Events) -> Events:
        return Events(
            {name: count + other.counts[name] for name, count in self.counts.items()}, self.cycles + other.cycles
        )


def paths(network: Network, chip: Chip, mapping: Mapping) -> Dict[str, Path]:
    """What each source and population of a mapped network causes."""
    assert chip.mesh is not None, "a chip without cores"
    assert chip.timing is not None
    cores = cores_of(chip.mesh)
    found: Dict[str, Path] = {}
    for name, axons in mapping.axons.items():
        op = network[name]
        assert isinstance(op, (Source, Population))
        count, home = size(op.shape), mapping.placement.cores.get(name)
        entries = np.ones(len(axons.core)), axons.core, axons.start
        packets = csr_array(entries, shape=(count, cores))
        service = packets * float(chip.timing.axon.value)
        synapses = np.zeros((count, len(FORMS)), np.int64)
        for group in _groups(network, name):
            if group in mapping.blocks:
                busy, read, form = _block(network, chip, chip.timing, mapping, group)
                blocks = mapping.blocks[group]
                service += csr_array((busy, (blocks.sender, blocks.core)), shape=(count, cores))
                np.add.at(synapses, (blocks.sender, form), read)
        hops = np.zeros((count, 2))
        np.add.at(hops, np.repeat(np.arange(count), np.diff(axons.start)), distances(chip, mapping, name))
        on_host = home is None or bool((home == HOST).any())
        found[name] = Path(None if on_host else home, service, packets, synapses, hops)
    return found


def _groups(network: Network, sender: str) -> list[str]:
    return [edge.target for edge in network.outgoing(sender) if isinstance(network[edge.target], Synapse)]


def _block(network: Network, chip: Chip, timing: Timing, mapping: Mapping, group: str) -> tuple[Array, Array, Array]:
    """Of each block of a group: the cycles and the synapses that reading it takes, and its form's number."""
    synapse, blocks = network[group], mapping.blocks[group]
    assert isinstance(synapse, Synapse)
    form = form_of(synapse, chip)
    dense = np.zeros(len(blocks.core), bool) if form.shared else is_dense(form, blocks.synapses, blocks.span)
    number = np.full(len(blocks.core), 2) if form.shared else dense.astype(np.int64)
    read = np.where(dense, blocks.span, blocks.synapses).astype(np.int64)
    costs = np.array([timing.synapse_sparse.value, timing.synapse_dense.value, timing.synapse_shared.value])
    return _words(form, blocks.synapses, blocks.span) * timing.word.value + read * costs[number], read, number


def _words(form: Form, synapses: Array, span: Array) -> Array:
    """The words that are read with each block."""
    if form.shared:
        return -(-synapses.astype(np.int64) * form.width // form.word_bits)
    return stored_words(form, synapses, span)


def events(network: Network, chip: Chip, found: Dict[str, Path], sent: Dict[str, Array], lengths: Ints) -> Events:
    """What happens while samples of `lengths` (samples,) run whose senders sent `sent` (samples, steps, size)."""
    counts = dict.fromkeys(_KEYS, 0.0)
    for name, path in found.items():
        fired = np.count_nonzero(sent[name], axis=(0, 1))
        if path.home is not None:
            counts["neuron"] += float(len(fired) * int(lengths.sum()))
            counts["spike"] += float(fired.sum())
        packets = float(fired @ np.diff(path.packets.indptr))
        counts["packet"] += packets
        counts["delivery"] += packets
        for key, amount in zip(_READS, fired @ path.synapses, strict=True):
            counts[key] += float(amount)
        for key, amount in zip(_HOPS, fired @ path.hops, strict=True):
            counts[key] += float(amount)
    return Events(counts, _cycles(network, chip, found, sent, lengths))


_READS = tuple(f"synapse_{form}" for form in FORMS)
_HOPS = ("hop_horizontal", "hop_vertical")
_KEYS = ("neuron", "spike", "packet", "delivery", *_READS, *_HOPS)


def _cycles(network: Network, chip: Chip, found: Dict[str, Path], sent: Dict[str, Array], lengths: Ints) -> float:
    """The cycles of the busiest unit in each step of each sample, and of what ends the step."""
    timing, mesh = chip.timing, chip.mesh
    assert timing is not None
    assert mesh is not None
    cores = cores_of(mesh)
    start = {name: op.start if isinstance(op := network[name], Population) else 0 for name in found}
    last = max(start.values())
    samples, steps = len(lengths), int(lengths.max()) + last
    neurons, synapses = np.zeros((samples, steps, cores + 1)), np.zeros((samples, steps, cores))
    for name, path in found.items():
        values = (sent[name] != 0)[:, : steps - last]
        when = slice(start[name], start[name] + values.shape[1])
        flat = values.reshape(-1, values.shape[2]).astype(np.float32)
        shape = (*values.shape[:2], cores)
        synapses[:, when] += (flat @ path.service).reshape(shape)
        leaves = np.diff(path.packets.indptr)
        if path.home is None:
            neurons[:, when, cores] += (flat @ leaves).reshape(shape[:2]) * timing.host.value
            continue
        live = np.arange(values.shape[1]) < lengths[:, None]
        each = csr_array(
            (timing.spike.value + leaves * timing.packet.value, (np.arange(len(leaves)), path.home)),
            shape=(len(leaves), cores),
        )
        neurons[:, when, :cores] += (flat @ each).reshape(shape)
        at_rest = np.bincount(path.home, minlength=cores) * timing.neuron.value
        neurons[:, when, :cores] += live[:, :, None] * at_rest
    busiest = np.maximum(neurons.max(axis=2), synapses.max(axis=2))
    running = np.arange(steps) < (lengths + last)[:, None]
    return float(((busiest + _barrier(chip, found)) * running).sum())


def _barrier(chip: Chip, found: Dict[str, Path]) -> float:
    """The cycles that end each step, by how many tiles have neurons."""
    assert chip.timing is not None
    assert chip.mesh is not None
    used = {core for path in found.values() if path.home is not None for core in np.unique(path.home).tolist()}
    tiles = len({tile_of(core, chip.mesh) for core in used})
    return max((row for row in chip.timing.barrier if row[0] <= tiles), default=(0, 0))[1]
