"""What a mapping takes of every core, resource by resource, and the traffic that it causes."""

from __future__ import annotations

from collections.abc import Mapping as Dict
from dataclasses import dataclass

import numpy as np

from snncc.arrays import Array, Floats, Ints
from snncc.chip import Chip
from snncc.integers import Network, Population, Source, Synapse
from snncc.layers import size
from snncc.mapping import HOST, Mapping, cores_of
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
class Traffic:
    """What is sent on the samples, or if everything sends once: packets, and the links that they cross."""

    packets: float
    hops: float


def usage_of(network: Network, chip: Chip, mapping: Mapping) -> Usage:
    """What each core uses, as `targets/README.md` counts it."""
    placed = [each[each != HOST] for each in mapping.placement.cores.values()]
    count = max((int(each.max()) + 1 for each in placed if len(each)), default=0)
    assert chip.mesh is not None, "a chip without cores"
    count = max(count, cores_of(chip.mesh))
    neurons = sum((np.bincount(each, minlength=count) for each in placed), np.zeros(count, np.int64))
    words = sum((_words(network, chip, mapping, name, count) for name in mapping.blocks), np.zeros(count, np.int64))
    inward, outward, routes = (np.zeros(count, np.int64) for _ in range(3))
    for name, axons in mapping.axons.items():
        inward += np.bincount(axons.core, minlength=count)
        home = mapping.placement.cores.get(name)
        if home is not None and not (home == HOST).any():
            reached = np.diff(axons.start)
            outward += np.bincount(home, reached, minlength=count).astype(np.int64)
            np.maximum.at(routes, home, reached)
    return Usage(neurons, words, inward, outward, routes)


def _words(network: Network, chip: Chip, mapping: Mapping, name: str, count: int) -> Ints:
    """Words of synapse memory that one group takes on each core."""
    blocks, synapse = mapping.blocks[name], network[name]
    assert isinstance(synapse, Synapse)
    form = form_of(synapse, chip)
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
        hops += float((weight * _distances(chip, mapping, name)).sum())
    return Traffic(packets, hops)


def _distances(chip: Chip, mapping: Mapping, name: str) -> Floats:
    """Links between each axon's ends."""
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
    return (across + np.abs(start // mesh.columns - end // mesh.columns)).astype(np.float64)
