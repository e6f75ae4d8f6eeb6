"""Hypergraphs on several scales: vertices are joined, for a cut that is refined as they are taken apart again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from snncc.arrays import Array, Floats, Ints
from snncc.jit import compiled
from snncc.passes.partition.atoms import Nets
from snncc.passes.partition.refine import incidence, refine

_LARGE = 300  # pins from which a net says nothing about which vertices belong together


@dataclass(frozen=True, eq=False)
class Level:
    """A hypergraph, and what each of its vertices is part of on the next, coarser level."""

    nets: Nets
    size: Floats
    joined: Array


def improve(nets: Nets, size: Floats, part: Array, parts: int, groups: Array) -> Array:
    """The cut refined by moving groups of vertices (the same number for those of a group) first, then single ones."""
    joined = _numbered_within(groups, part)
    coarse_nets, coarse_size, _ = contracted(nets, size, joined)
    coarse = np.zeros(len(coarse_size), np.int32)
    coarse[joined] = part
    return refine(nets, size, refine(coarse_nets, coarse_size, coarse, parts)[joined], parts)


_PER_PART = 12  # vertices a part on the coarsest level


def coarsened(nets: Nets, size: Floats, parts: int, seed: int) -> tuple[list[Level], Nets, Floats]:
    """Levels down to some vertices a part; vertices are joined by the nets that they share."""
    levels: list[Level] = []
    bound = 2.0 * float(size.max(initial=0.0))
    while len(size) > _PER_PART * parts:
        joined = _joined(nets, size, shuffled(len(size), seed + len(levels)), min(bound, 1.0 / _PER_PART))
        coarse_nets, coarse_size, _ = contracted(nets, size, joined)
        if len(coarse_size) > 0.9 * len(size):
            if bound >= 1.0 / _PER_PART:
                break
        else:
            levels.append(Level(nets, size, joined))
            nets, size = coarse_nets, coarse_size
        bound *= 2.0
    return levels, nets, size


def _numbered_within(groups: Array, part: Array) -> Array:
    """Groups, but those that lie in several parts are told apart."""
    keys = groups.astype(np.int64) * (int(part.max(initial=0)) + 1) + part
    return np.unique(keys, return_inverse=True)[1].reshape(-1).astype(np.int32)


def shuffled(count: int, seed: int) -> Ints:
    """A permutation that is the same for a seed on every machine and with every version of numpy."""
    mixed = np.arange(count, dtype=np.uint64) + np.uint64((seed * 0x9E3779B97F4A7C15) % (1 << 64))
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.argsort(mixed ^ (mixed >> np.uint64(31)), kind="stable").astype(np.int64)


def contracted(nets: Nets, size: Floats, joined: Array) -> tuple[Nets, Floats, Ints]:
    """The hypergraph of what `joined` (vertices,) numbers alike; equal nets become one, those of one pin vanish.

    The first pin of a net stays the first. Also given: for each net, one that it was before.
    """
    count = int(joined.max(initial=-1)) + 1
    start, pins, weight, key, origin = _mapped(nets, joined, count)
    order = np.argsort(key, kind="stable")
    kept, weight = _merged(start, weight, key, order)
    bounds = np.concatenate([[0], np.cumsum(np.diff(start)[kept])])
    chosen = np.repeat(kept, np.diff(start))
    sizes = np.bincount(joined, size, minlength=count)
    return Nets(bounds, pins[chosen], weight[kept]), sizes.astype(np.float64), origin[kept]


@compiled
def _mapped(nets: Nets, joined: Array, count: int) -> tuple[Ints, Array, Floats, Array, Ints]:
    """Nets of two pins or more between joined vertices, a key that equal ones share, and what each was before."""
    start, pins = np.zeros(nets.start.size, np.int64), np.empty(nets.pins.size, np.int32)
    weight, key = np.empty(nets.weight.size, np.float64), np.empty(nets.weight.size, np.uint64)
    seen, origin = np.full(count, -1, np.int64), np.empty(nets.weight.size, np.int64)
    kept = filled = 0
    for net in range(nets.weight.size):
        begin, total = filled, np.uint64(0)
        for place in range(nets.start[net], nets.start[net + 1]):
            vertex = joined[nets.pins[place]]
            if seen[vertex] != net:
                seen[vertex] = net
                pins[filled] = vertex
                filled += 1
                mixed = (np.uint64(vertex) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
                mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
                total += mixed ^ (mixed >> np.uint64(32))
        if filled - begin < 2:
            filled = begin
            continue
        weight[kept], key[kept], origin[kept] = nets.weight[net], total, net
        kept += 1
        start[kept] = filled
    return start[: kept + 1].copy(), pins[:filled].copy(), weight[:kept].copy(), key[:kept].copy(), origin[:kept].copy()


@compiled
def _merged(start: Ints, weight: Floats, key: Array, order: Ints) -> tuple[Array, Floats]:
    """Which nets stay, and their weights with those of equal nets (of one key and one length) added."""
    kept, total = np.ones(weight.size, np.bool_), weight.copy()
    head = -1
    for net in order:
        if head >= 0 and key[net] == key[head] and start[net + 1] - start[net] == start[head + 1] - start[head]:
            total[head] += total[net]
            kept[net] = False
        else:
            head = net
    return kept, total


@compiled
def _joined(nets: Nets, size: Floats, order: Ints, bound: float) -> Array:
    """Each vertex with the neighbour that shares most nets, small nets counting more; none larger than `bound`."""
    vertices = size.size
    first, member = incidence(nets, vertices)
    head, bulk, alone = np.arange(vertices), size.copy(), np.ones(vertices, np.bool_)
    shared, touched = np.zeros(vertices, np.float64), np.empty(vertices, np.int64)
    for vertex in order:
        if not alone[vertex]:
            continue
        found = _shared(nets, member[first[vertex] : first[vertex + 1]], head, shared, touched)
        best, chosen = 0.0, -1
        for other in touched[:found]:
            rating = shared[other] / np.sqrt(bulk[other])
            shared[other] = 0.0
            fits = other != vertex and bulk[other] + bulk[vertex] <= bound
            if rating > best and fits:
                best, chosen = rating, other
        if chosen >= 0:
            head[vertex] = chosen
            bulk[chosen] += bulk[vertex]
            alone[chosen] = alone[vertex] = False
    return _numbered(head)


@compiled
def _shared(nets: Nets, member: Array, head: Ints, shared: Floats, touched: Ints) -> int:
    """How much of these nets each joined vertex shares, in `shared`; which share any, in `touched`: so many."""
    found = 0
    for net in member:
        pins = nets.start[net + 1] - nets.start[net]
        if pins < 2 or pins > _LARGE:
            continue
        for slot in range(nets.start[net], nets.start[net + 1]):
            other = head[nets.pins[slot]]
            if shared[other] == 0.0:
                touched[found] = other
                found += 1
            shared[other] += nets.weight[net] / (pins - 1)
    return found


@compiled
def _numbered(head: Ints) -> Array:
    number, count = np.full(head.size, -1, np.int32), 0
    result = np.empty(head.size, np.int32)
    for vertex in range(head.size):
        if number[head[vertex]] < 0:
            number[head[vertex]] = count
            count += 1
        result[vertex] = number[head[vertex]]
    return result
