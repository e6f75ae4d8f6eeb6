"""Puts a network onto a chip of many cores: cut, placed and routed."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from snncc.analysis.usage import Spikes, traffic_of, usage_of
from snncc.arrays import Array
from snncc.chip import Chip
from snncc.chip_rules import hopeless, mapped
from snncc.diagnostics import check
from snncc.graph import Graph
from snncc.integers import Network, Synapse
from snncc.linear import with_weight
from snncc.mapping import HOST, Mapping, Method, cores_of, frozen_cores, on_host
from snncc.packing import filled
from snncc.passes.host import host_populations
from snncc.passes.partition.auto import automatic
from snncc.passes.partition.sequential import sequential
from snncc.passes.place import Flow, place
from snncc.passes.route import route

_ROUNDS = 8  # of filling cores anew because neurons turned out to send to more of them than was known


def map_network(
    network: Network, chip: Chip, traffic: Spikes | None = None, method: Method = "auto", seed: int = 0
) -> Mapping:
    """Where every neuron of a retimed network lies, and what travels between cores.

    `traffic` is how often each input value and neuron sends, by source and population; uniform if not given. What is
    found is never worse than cores filled in order, which `method` can ask for.

    Raises CompileError: every limit of the chip that is broken.
    """
    network = filled(network)
    host = host_populations(network, chip)
    found = [baseline(network, chip, host)]
    faults = [mapped(network, chip, found[0])]
    if method == "auto" and not (faults[0] and hopeless(network, chip, found[0])):
        found.insert(0, optimised(network, chip, host, traffic, seed))
        faults.insert(0, mapped(network, chip, found[0]))
    if all(faults):
        least = min(range(len(faults)), key=lambda each: len(faults[each]))
        check(mapped(network, chip, found[least], partial(_fits, network, chip, host)))
    sent = [
        None if wrong else traffic_of(network, chip, each, traffic) for each, wrong in zip(found, faults, strict=True)
    ]
    best = min((each.hops, number) for number, each in enumerate(sent) if each)[1]
    return replace(found[best], traffic=sent[best], in_order=sent[-1])


def _fits(network: Network, chip: Chip, host: frozenset[str], bits: int) -> bool:
    """Whether cores filled in order would hold the network if its weights had so many bits, none of them 0."""
    most = (1 << (bits - 1)) - 1
    ops = {
        name: replace(op, map=with_weight(op.map, np.clip(op.map.weight, -most, most)))
        if isinstance(op, Synapse)
        else op
        for name, op in network.ops.items()
    }
    narrow = Graph(ops, network.edges)
    return not mapped(narrow, chip, baseline(narrow, chip, host))


def optimised(network: Network, chip: Chip, host: frozenset[str], traffic: Spikes | None, seed: int) -> Mapping:
    """The least traffic that is found; parts are numbered as they were cut if there are more than cores."""
    assert chip.mesh is not None, "a chip without cores"
    parts = automatic(network, chip, host, traffic, seed)
    count = max((int(each.max(initial=HOST)) for each in parts.values()), default=HOST) + 1
    mapping = route(network, frozen_cores(parts))
    if count > cores_of(chip.mesh):
        return mapping
    home = place(flow_of(mapping, count, traffic), chip.mesh, seed)
    places = np.append(home, HOST).astype(np.int32)  # HOST is -1, the last
    return route(network, frozen_cores({name: places[each] for name, each in parts.items()}))


def flow_of(mapping: Mapping, parts: int, traffic: Spikes | None) -> Flow:
    """What parts send to each other, and the host to each of them."""
    host, keys, weights = np.zeros(parts), [np.empty(0, np.int64)], [np.empty(0)]
    for name, axons in mapping.axons.items():
        reached = np.diff(axons.start)
        events = np.repeat(np.ones(len(reached)) if traffic is None else traffic[name], reached)
        home = mapping.placement.cores.get(name)
        if home is None or on_host(mapping.placement, name):
            host += np.bincount(axons.core, events, minlength=parts)
        else:
            keys.append(np.repeat(home.astype(np.int64), reached) * parts + axons.core)
            weights.append(events)
    pairs, inverse = np.unique(np.concatenate(keys), return_inverse=True)
    weight = np.bincount(inverse.reshape(-1), np.concatenate(weights), minlength=len(pairs)).astype(np.float64)
    start = np.concatenate([[0], np.cumsum(np.bincount(pairs // parts, minlength=parts))])
    return Flow(start, (pairs % parts).astype(np.int32), weight, host)


def baseline(network: Network, chip: Chip, host: frozenset[str]) -> Mapping:
    """Cores filled in order; over again while axons out, which later populations decide, break a limit."""
    assert chip.core is not None, "a chip without cores"
    mapping = route(network, frozen_cores(sequential(network, chip, host, {})))
    for _ in range(_ROUNDS):
        if (usage_of(network, chip, mapping).axons_out <= chip.core.axons_out.value).all():
            break
        known: dict[str, Array] = {name: np.diff(axons.start) for name, axons in mapping.axons.items()}
        mapping = route(network, frozen_cores(sequential(network, chip, host, known)))
    return mapping
