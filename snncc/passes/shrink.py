"""Takes out of an integer network what no output can tell: neurons that never fire, and the second of any two alike.

Both are exact: every neuron that is left gives the spikes and membranes that it gave before.
"""

from __future__ import annotations

import itertools
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np

from snncc.analysis.silence import never_fires
from snncc.arrays import Array, Ints, Shape
from snncc.graph import Graph
from snncc.integers import Kept, Network, Output, Population, Synapse, synapses_of
from snncc.linear import Conv, Dense, Lateral, LinearMap, Sparse, from_triples, to_sparse, with_weight
from snncc.packing import width_of
from snncc.passes.savings import Gone, between, total
from snncc.passes.slices import Unit, keeping, outputs_read, units_of, without


def shrunk(network: Network) -> Network:
    """The network without neurons that never fire and without duplicates, again and again until there are none.

    Populations that an output reads stay whole, so that values keep their places; `Population.kept` says of the others
    where their neurons went.
    """
    return shrunk_by(network)[0]


def shrunk_by(network: Network) -> tuple[Network, tuple[Gone, ...]]:
    """As `shrunk`, with how much went because it never fires, and because it does what another neuron does."""
    gone: tuple[Gone, ...] = ()
    while True:
        firing = _without_silent(network)
        fewer = _without_duplicates(firing)
        if fewer is network:
            return network, total(gone)
        gone += between("never fires", network, firing) + between("does what another does", firing, fewer)
        network = fewer


def _without_silent(network: Network) -> Network:
    places: dict[str, tuple[Unit, Ints]] = {}
    for name, unit in _removable(network):
        fires = ~never_fires(network, name).reshape(unit.count, unit.neurons).all(axis=1)
        if not fires.all():
            places[name] = unit, np.where(fires, np.cumsum(fires) - 1, -1)
    return _taken_out(network, places)


def _removable(network: Network) -> list[tuple[str, Unit]]:
    read = outputs_read(network, Output)
    found = [(name, units_of(network, name)) for name in network.of_kind(Population) if name not in read]
    return [(name, unit) for name, unit in found if unit is not None]


def _taken_out(network: Network, places: dict[str, tuple[Unit, Ints]]) -> Network:
    """The network with the units that have a place, the first of each; with the record of it."""
    if not places:
        return network
    chosen: dict[str, tuple[Unit, Ints]] = {}
    ops = dict(network.ops)
    for name, (unit, place) in places.items():
        op = network[name]
        assert isinstance(op, Population)
        there = np.nonzero(place >= 0)[0]
        chosen[name] = unit, there[np.unique(place[there], return_index=True)[1]]
        ops[name] = replace(op, kept=keeping(op, unit, place))
    return without(Graph(ops, network.edges), chosen)


def _without_duplicates(network: Network) -> Network:
    """One population at a time, as what others read changes with it."""
    for name, unit in _removable(network):
        place = _places(network, name, unit)
        if place is not None:
            merged = _merged(network, name, unit, place)
            if merged is not None:
                network = _taken_out(merged, {name: (unit, np.unique(place, return_inverse=True)[1].reshape(-1))})
    return network


def _places(network: Network, name: str, unit: Unit) -> Ints | None:
    """The first unit that is like each one; None if all differ.

    Alike are units with the same parameters, and the same weight from every source: they are in one state for ever.
    """
    population = network[name]
    assert isinstance(population, Population)
    maps = [op.map for each in synapses_of(network, name) if isinstance(op := network[each], Synapse)]
    outgoing = [network[edge.target] for edge in network.outgoing(name)]
    if any(isinstance(each.map, Lateral) for each in outgoing if isinstance(each, Synapse)):
        return None
    if any(isinstance(each, Lateral) or (isinstance(each, Sparse) and unit.neurons > 1) for each in maps):
        return None
    keys = [_rows(each, unit) for each in maps]
    keys += [_spread(each, population.shape, unit) for each in _arrays(population)]
    delays = [each.axon_delays for each in outgoing if isinstance(each, Synapse)]
    keys += [_spread(each, (population.size,), unit) for each in delays if each is not None]
    first: dict[tuple[bytes, ...], int] = {}
    place = np.array([first.setdefault(key, number) for number, key in enumerate(zip(*keys, strict=True))], np.int64)
    return place if len(first) < unit.count else None


def _rows(linear: LinearMap, unit: Unit) -> list[bytes]:
    """What is read by each unit."""
    if isinstance(linear, (Dense, Conv)):
        return [each.tobytes() for each in linear.weight.reshape(unit.count, -1)]
    listed = to_sparse(linear)
    sources = np.repeat(np.arange(listed.in_size), np.diff(listed.indptr))
    order = np.lexsort((sources, listed.targets))
    bounds = np.searchsorted(listed.targets[order], np.arange(listed.out_size + 1))
    read = np.stack([sources[order], listed.weight[order].astype(np.int64)], axis=1)
    return [read[one:other].tobytes() for one, other in itertools.pairwise(bounds)]


def _arrays(record: Any) -> list[Array]:
    """All arrays of a population and of the records in it."""
    found: list[Array] = []
    for each in fields(record):
        value = getattr(record, each.name)
        if isinstance(value, np.ndarray):
            found.append(value)
        elif is_dataclass(value) and not isinstance(value, Kept):
            found += _arrays(value)
    return found


def _spread(value: Array, shape: Shape, unit: Unit) -> list[bytes]:
    return [each.tobytes() for each in np.ascontiguousarray(np.broadcast_to(value, shape)).reshape(unit.count, -1)]


def _merged(network: Network, name: str, unit: Unit, place: Ints) -> Network | None:
    """The network in which the first of those alike sends for all; None where a weight would not fit its bits."""
    ops = dict(network.ops)
    for edge in network.outgoing(name):
        synapse = network[edge.target]
        assert isinstance(synapse, Synapse)
        linear = _summed(synapse.map, unit, place)
        if width_of(linear.weight) > width_of(synapse.map.weight):
            return None
        ops[edge.target] = replace(synapse, map=with_weight(linear, linear.weight.astype(synapse.map.weight.dtype)))
    return Graph(ops, network.edges)


def _summed(linear: LinearMap, unit: Unit, place: Ints) -> LinearMap:
    """A map that reads from the first unit what it read from all that are like it."""
    if isinstance(linear, Sparse):
        sources = np.repeat(np.arange(linear.in_size), np.diff(linear.indptr))
        into = place[sources // unit.neurons] * unit.neurons + sources % unit.neurons
        wide = linear.weight.astype(np.int64)
        return from_triples(into, linear.targets, wide, linear.in_size, linear.out_size)
    if isinstance(linear, Dense):
        place = (place[:, None] * unit.neurons + np.arange(unit.neurons)).reshape(-1)
    weight = np.zeros(linear.weight.shape, np.int64)
    np.add.at(weight.swapaxes(0, 1), place, linear.weight.astype(np.int64).swapaxes(0, 1))
    return with_weight(linear, weight)
