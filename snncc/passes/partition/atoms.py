"""Neurons that are connected alike are cut together: what they are, and the hypergraph of who sends to whom.

The channels of a convolution at one position are alike, and so are all neurons of a dense layer: a network has far
fewer atoms than neurons. A map most of whose weights are other than 0 counts as if all were; what a core really
holds is counted afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from snncc.arrays import Array, Floats, Ints
from snncc.integers import Network, Population, Source, Synapse, source_of
from snncc.jit import compiled
from snncc.layers import size
from snncc.linear import Conv, Dense, LinearMap, synapse_count, with_weight
from snncc.passes.fanout import fan_out, ranges

_FULL = 0.5  # of the weights other than 0: from here on a map counts as full
_UNIT = 1000  # weights of nets are whole numbers of this part of an event: their sums are exact in any order


class Nets(NamedTuple):
    """Hyperedges: net e has weight `weight[e]` and joins the vertices pins[start[e]:start[e + 1]]."""

    start: Ints
    pins: Array
    weight: Floats


@dataclass(frozen=True, eq=False)
class Atoms:
    """The atoms of all populations on cores; each net is one that sends, joined with all that it sends to.

    `names` are the network's sources and populations, `first` numbers their neurons in one flat list. By neuron:
    `of`, its atom (that of a neuron on the host is beyond the others). By atom: `size`, its neurons, and `op`, the
    number of its population in `names`. By net: `own`, the atom that sends (the first pin), -1 on the host; `looped`,
    whether it also sends to itself; `source`, its number in `names`; `senders`, how many neurons or values it is.
    """

    names: tuple[str, ...]
    first: Ints
    of: Array
    size: Ints
    op: Array
    nets: Nets
    own: Array
    looped: Array
    source: Array
    senders: Ints


def atoms_of(
    network: Network, host: frozenset[str], traffic: Mapping[str, Array] | None, most: Mapping[str, int]
) -> Atoms:
    """The atoms of a network, of at most `most` neurons by population; one event per sender without `traffic`."""
    ops = {name: op for name, op in network.ops.items() if isinstance(op, (Source, Population))}
    sizes = np.array([size(op.shape) for op in ops.values()], np.int64)
    first = np.concatenate([[0], np.cumsum(sizes)])
    op = np.repeat(np.arange(len(ops), dtype=np.int32), sizes)
    on_core = np.array([isinstance(each, Population) and name not in host for name, each in ops.items()])
    limit = np.array([most.get(name, 1 << 40) for name in ops], np.int64)
    groups = list(_groups(network, host, tuple(ops), first))

    alike = _classes(op, *_hashes(groups, int(first[-1])))
    of, heads = _numbered(_split(alike, limit[op]), on_core[op])
    count = int(np.count_nonzero(on_core[op[heads]]))
    start, pins = _targets(groups, of, heads)
    events = np.ones(len(of)) if traffic is None else np.concatenate([traffic[name] for name in ops])
    nets, own, looped, sending = _nets(start, pins, count, np.bincount(of, np.rint(events * _UNIT)).astype(np.float64))
    members = np.bincount(of, minlength=len(heads))
    numbers = op[heads]
    return Atoms(
        tuple(ops), first, of, members[:count], numbers[:count], nets, own, looped, numbers[sending], members[sending]
    )


class _Group(NamedTuple):
    """A synapse group whose targets are on cores: its map, and where its senders and targets begin in the flat list."""

    map: LinearMap
    source: int
    target: int
    salt: int


def _groups(network: Network, host: frozenset[str], names: tuple[str, ...], first: Ints) -> Iterator[_Group]:
    for number, (name, synapse) in enumerate(network.of_kind(Synapse).items()):
        target = network.outgoing(name)[0].target
        if target not in host:
            source = names.index(source_of(network, name)[0])
            yield _Group(_full(synapse.map), int(first[source]), int(first[names.index(target)]), number)


def _full(linear: LinearMap) -> LinearMap:
    """A map without the few holes that zero weights leave."""
    dense = isinstance(linear, (Dense, Conv)) and linear.weight.size
    if dense and np.count_nonzero(linear.weight) >= _FULL * linear.weight.size:
        return with_weight(linear, np.ones(linear.weight.shape, np.int8))
    return linear


def _hashes(groups: list[_Group], count: int) -> tuple[Array, Array]:
    """Two numbers per neuron: equal, but for chance, if all that it sends to is, and all that it hears."""
    out, into = np.zeros(count, np.uint64), np.zeros(count, np.uint64)
    for group in groups:
        fan = fan_out(group.map)
        for lo, hi in ranges(group.map.in_size, synapse_count(group.map)):
            start, members = fan(lo, hi)
            _mix(start, members, group.source + lo, group.target, group.salt, out, into)
    return out, into


def _classes(op: Array, out: Array, into: Array) -> Ints:
    """The same number for neurons of one population that are connected alike."""
    order = np.lexsort((into, out, op))
    new = np.zeros(len(op), np.int64)
    for values in (op, out, into):
        new[1:] |= values[order][1:] != values[order][:-1]
    classes = np.empty(len(op), np.int64)
    classes[order] = np.cumsum(new)
    return classes


def _split(classes: Ints, most: Ints) -> Ints:
    """The classes cut into parts of about equal size, of at most `most` (by neuron) members each."""
    order = np.argsort(classes, kind="stable")
    count = np.bincount(classes)
    start = np.concatenate([[0], np.cumsum(count)])
    place = np.empty(len(classes), np.int64)
    place[order] = np.arange(len(classes)) - start[classes[order]]
    parts = -(-count[classes] // most)
    return classes * (int(parts.max(initial=1)) + 1) + place * parts // count[classes]


def _numbered(keys: Ints, on_core: Array) -> tuple[Array, Ints]:
    """The atom of each neuron, numbered by first member, those on cores before the others; and the first members."""
    _, head, of = np.unique(keys, return_index=True, return_inverse=True)
    order = np.lexsort((head, ~on_core[head]))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return rank[of.reshape(-1)].astype(np.int32), head[order]


def _targets(groups: list[_Group], of: Array, heads: Ints) -> tuple[Ints, Array]:
    """By atom that sends: the atoms that its first member sends to, which ascend."""
    atoms = len(heads)
    is_head = np.zeros(len(of), np.bool_)
    is_head[heads] = True
    keys: list[Ints] = [np.empty(0, np.int64)]
    for group in groups:
        fan, stamp = fan_out(group.map), np.full(atoms, -1, np.int64)
        for lo, hi in ranges(group.map.in_size, synapse_count(group.map)):
            start, members = fan(lo, hi)
            keys.append(_pairs(start, members, group.source + lo, group.target, of, is_head, stamp))
    joined = np.concatenate(keys)
    joined.sort()
    joined = joined[np.concatenate([[True], joined[1:] != joined[:-1]])] if len(joined) else joined
    ends = joined.astype("<i8", copy=False).view("<i4").reshape(-1, 2)  # the atom sent to, the one that sends
    start = np.concatenate([[0], np.cumsum(np.bincount(ends[:, 1], minlength=atoms))])
    return start, np.ascontiguousarray(ends[:, 0], np.int32)


def _nets(start: Ints, targets: Array, count: int, events: Floats) -> tuple[Nets, Array, Array, Ints]:
    """The nets of atoms that send, with their own atoms, whether they send to themselves, and their numbers."""
    sending = np.nonzero(np.diff(start))[0]
    own = np.where(sending < count, sending, -1).astype(np.int32)
    bounds, pins, looped = _joined(start, targets, sending, own)
    return Nets(bounds, pins, np.maximum(events[sending], 1.0)), own, looped, sending


@compiled
def _mix(start: Ints, members: Array, source: int, target: int, salt: int, out: Array, into: Array) -> None:
    for row in range(start.size - 1):
        sender = _scrambled(np.uint64(source + row), np.uint64(2 * salt))
        total = np.uint64(0)
        for place in range(start[row], start[row + 1]):
            neuron = target + members[place]
            total += _scrambled(np.uint64(neuron), np.uint64(2 * salt + 1))
            into[neuron] += sender
        out[source + row] += total


@compiled
def _scrambled(value: np.uint64, salt: np.uint64) -> np.uint64:
    """splitmix64 (Steele, Lea and Flood 2014)."""
    mixed = value + salt * np.uint64(0xD1342543DE82EF95) + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


@compiled
def _pairs(start: Ints, members: Array, source: int, target: int, of: Array, is_head: Array, stamp: Ints) -> Ints:
    """Sending atom * 2^32 + atom sent to, for each first member of an atom among the rows."""
    keys = np.empty(members.size, np.int64)
    count = 0
    for row in range(start.size - 1):
        if not is_head[source + row]:
            continue
        sender = np.int64(of[source + row])
        for place in range(start[row], start[row + 1]):
            atom = of[target + members[place]]
            if stamp[atom] != sender:
                stamp[atom] = sender
                keys[count] = (sender << 32) | atom
                count += 1
    return keys[:count].copy()


@compiled
def _joined(start: Ints, targets: Array, sending: Ints, own: Array) -> tuple[Ints, Array, Array]:
    """Pins with the sender's own atom first; it is no second time among the others."""
    bounds = np.zeros(sending.size + 1, np.int64)
    pins = np.empty(targets.size + sending.size, np.int32)
    looped = np.zeros(sending.size, np.bool_)
    filled = 0
    for net in range(sending.size):
        atom = own[net]
        if atom >= 0:
            pins[filled] = atom
            filled += 1
        for place in range(start[sending[net]], start[sending[net] + 1]):
            if targets[place] == atom:
                looped[net] = True
            else:
                pins[filled] = targets[place]
                filled += 1
        bounds[net + 1] = filled
    return bounds, pins[:filled].copy(), looped
