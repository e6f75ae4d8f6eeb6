"""What a mapping takes of every core, resource by resource, and the traffic that it causes."""

from __future__ import annotations

from collections.abc import Mapping as Dict
from dataclasses import dataclass, replace

import numpy as np

from snncc.arrays import Array, Floats, Ints
from snncc.chip import Chip
from snncc.integers import Network, Population, Source, Synapse, synapses_of
from snncc.layers import size
from snncc.mapping import HOST, Mapping, Traffic, cores_of
from snncc.packing import Form, form_of, kernel_words, stored_words

Spikes = Dict[str, Array]  # how often every input value and neuron sends, by source and population: (size,)


@dataclass(frozen=True, eq=False)
class Usage:
    """What each core uses: (cores,) each; `routes` is the greatest number of cores that one of its neurons sends to.

    There are more cores than the chip has where the network does not fit.
    """

    neurons: Ints
    synapse_words: Ints
    axons_in: Ints
    axons_out: Ints
    routes: Ints


@dataclass(frozen=True)
class Resource:
    """What is used of one resource, and what there is of it: on the fullest core, and in total where that is a sum."""

    name: str
    fullest: int
    allowed: int
    total: int | None
    total_allowed: int | None


_NAMES = {
    "neurons": "neurons",
    "synapse_words": "words of synapses",
    "axons_in": "axons in",
    "axons_out": "axons out",
    "routes": "cores a neuron sends to",
}


def resources(network: Network, chip: Chip, mapping: Mapping) -> tuple[Resource, ...]:
    """The resources of the cores, and how many cores are used."""
    core, mesh, usage = chip.core, chip.mesh, usage_of(network, chip, mapping)
    assert core is not None, "a chip without cores"
    assert mesh is not None
    count = cores_of(mesh)
    found: list[Resource] = []
    for key, name in _NAMES.items():
        used, limit = getattr(usage, key), getattr(core, key)
        if limit is not None:
            most, summed = int(limit.value), key != "routes"
            totals = (int(used.sum()), most * count) if summed else (None, None)
            found.append(Resource(name, int(used.max(initial=0)), most, *totals))
    return tuple(found)


def cores_used(mapping: Mapping) -> int:
    """How many cores have neurons."""
    placed = [each[each != HOST] for each in mapping.placement.cores.values()]
    return len(np.unique(np.concatenate(placed))) if placed else 0


def usage_of(network: Network, chip: Chip, mapping: Mapping) -> Usage:
    """What each core uses, as `targets/README.md` counts it."""
    placed = [each[each != HOST] for each in mapping.placement.cores.values()]
    count = _count(chip, mapping)
    neurons = sum((np.bincount(each, minlength=count) for each in placed), np.zeros(count, np.int64))
    words = sum((words_of(network, chip, mapping, name) for name in mapping.blocks), np.zeros(count, np.int64))
    inward, outward, routes = (np.zeros(count, np.int64) for _ in range(3))
    for name, axons in mapping.axons.items():
        inward += np.bincount(axons.core, minlength=count)
        home = mapping.placement.cores.get(name)
        if home is not None and not (home == HOST).any():
            reached = np.diff(axons.start)
            outward += np.bincount(home, reached, minlength=count).astype(np.int64)
            np.maximum.at(routes, home, reached)
    return Usage(neurons, words, inward, outward, routes)


def usage_by_population(network: Network, chip: Chip, mapping: Mapping, key: str, core: int) -> dict[str, int]:
    """What each population takes of one resource (a field of `Usage`) on one core."""
    result: dict[str, int] = {}
    for name, cores in mapping.placement.cores.items():
        groups = synapses_of(network, name)
        reached = np.diff(mapping.axons[name].start)
        here = cores == core
        counts = {
            "neurons": np.count_nonzero(here),
            "synapse_words": sum(int(words_of(network, chip, mapping, each)[core]) for each in groups),
            "axons_in": sum(np.count_nonzero(mapping.blocks[each].core == core) for each in groups),
            "axons_out": reached[here].sum(),
            "routes": reached[here].max(initial=0),
        }
        result[name] = int(counts[key])
    return result


def _count(chip: Chip, mapping: Mapping) -> int:
    """How many cores there are, or would have to be."""
    assert chip.mesh is not None, "a chip without cores"
    used = max((int(each.max(initial=HOST)) + 1 for each in mapping.placement.cores.values()), default=0)
    return max(used, cores_of(chip.mesh))


def words_of(network: Network, chip: Chip, mapping: Mapping, name: str, widest: int | None = None) -> Ints:
    """Words of synapse memory that one group takes on each core, if its weights are no wider than `widest` bits.

    Those that learn are as wide as their rule says.
    """
    blocks, synapse, count = mapping.blocks[name], network[name], _count(chip, mapping)
    assert isinstance(synapse, Synapse)
    form = form_of(synapse, chip)
    if synapse.plasticity is None:
        form = replace(form, width=min(form.width, widest or form.width))
    words = np.bincount(blocks.core, stored_words(form, blocks.synapses, blocks.span), minlength=count)
    if form.shared:
        words += _kernels(form, synapse, mapping.placement.cores[network.outgoing(name)[0].target], count)
    return words.astype(np.int64)


def _kernels(form: Form, synapse: Synapse, cores: Array, count: int) -> Ints:
    """Words of the weights that a convolution shares on each core."""
    channels = np.repeat(np.arange(len(synapse.map.weight)), len(cores) // len(synapse.map.weight))
    there = cores != HOST
    pairs = np.unique(cores[there].astype(np.int64) * len(synapse.map.weight) + channels[there])
    held = np.bincount(pairs // len(synapse.map.weight), minlength=count)
    return np.array([kernel_words(form, int(each)) for each in held], np.int64)


def traffic_of(network: Network, chip: Chip, mapping: Mapping, spikes: Spikes | None = None) -> Traffic:
    """The packets of a mapping and the links between routers that they cross; each sender sends once without `spikes`.

    Inputs, and neurons that the host computes, start at the host's port.
    """
    packets = hops = 0.0
    for name, axons in mapping.axons.items():
        op = network[name]
        assert isinstance(op, (Source, Population))
        sent = np.ones(size(op.shape)) if spikes is None else spikes[name].astype(np.float64)
        weight = np.repeat(sent, np.diff(axons.start))
        packets += float(weight.sum())
        hops += float((weight * distances(chip, mapping, name).sum(axis=1)).sum())
    return Traffic(packets, hops)


def distances(chip: Chip, mapping: Mapping, name: str) -> Floats:
    """Links between each axon's ends: (axons, 2), across and down."""
    mesh, axons = chip.mesh, mapping.axons[name]
    assert mesh is not None, "a chip without cores"
    home = mapping.placement.cores.get(name)
    host = mesh.host[1] * mesh.columns + mesh.host[0]
    if home is None or bool((home == HOST).any()):
        start = np.full(len(axons.core), host)
    else:
        start = np.repeat(home // mesh.cores, np.diff(axons.start))
    end = axons.core // mesh.cores
    across = np.abs(start % mesh.columns - end % mesh.columns)
    return np.stack([across, np.abs(start // mesh.columns - end // mesh.columns)], axis=1).astype(np.float64)
