"""Cuts vertices that have places into parts of bounded size: by planes, the cheapest that leave both sides room."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from snncc.arrays import Array, Floats, Ints
from snncc.jit import compiled, inlined
from snncc.passes.partition.atoms import Nets


class Style(NamedTuple):
    """How planes are chosen: the cost of a cut into f and 1 - f of the parts is divided by (4 f (1 - f))**exponent.

    `least` is the smallest f; `slack` how much of the room to spare one side may take from the other's share.
    """

    exponent: float
    least: float
    slack: float


STYLES = (Style(0.5, 0.1, 0.9), Style(0.0, 0.4, 0.5))


def bisect(nets: Nets, size: Floats, orders: Array, parts: int, style: Style) -> Array:
    """The part of every vertex, int32: `parts` of them, of size 1 at most as far as vertices can be told apart.

    `orders` (orders, vertices) are the vertices as planes may sweep over them. The cost of a cut is the weight of all
    nets that it goes through.
    """
    if parts <= 1 or not len(size):
        return np.zeros(len(size), np.int32)
    return _bisect(nets, size, orders.copy(), parts, style)


class _Places(NamedTuple):
    """Vertices while they are cut: `orders` (orders, vertices); `rank` (vertices, orders), their places in a node.

    `side` is 1 for those behind the last cut; `extent` (2, orders) has room for the least and the greatest rank, and
    `spare` (vertices,) for an order.
    """

    orders: Array
    rank: Array
    side: Array
    extent: Array
    spare: Array


class _Live(NamedTuple):
    """The nets of nodes that are still to be cut, one node's behind another's.

    Net e joins pins[first[e]:last[e]]; `ends` (nets, 2, orders) are, in each order, the first and the last of these.
    """

    first: Ints
    last: Ints
    weight: Floats
    ends: Array
    pins: Array


@compiled
def _bisect(nets: Nets, size: Floats, orders: Array, parts: int, style: Style) -> Array:
    vertices, kinds = size.size, orders.shape[0]
    rank, extent = np.empty((vertices, kinds), np.int32), np.empty((2, kinds), np.int32)
    side, spare, part = np.zeros(vertices, np.int8), np.empty(vertices, np.int32), np.zeros(vertices, np.int32)
    live = _room(nets.weight.size, kinds, nets.pins.copy())
    end = _all_kept(live, nets, _Places(orders, rank, side, extent, spare))
    open_nodes = [(0, vertices, 0, parts, 0, end)]
    while len(open_nodes) > 0:
        low, high, first, count, begin, end = open_nodes.pop()
        if count == 1 or high == low:
            part[orders[0, low:high]] = first
            continue
        here = _Places(orders[:, low:high], rank, side, extent, spare)
        _number(here)
        order, cut, left = _plane(_crossed(live, begin, end, here), size, here.orders, count, style)
        for place in range(high - low):
            side[here.orders[order, place]] = 0 if place < cut else 1
        middle = begin
        if live.weight.size < 2 * end - begin:
            live = _grown(live, end, 2 * end)
        if count > 2:
            middle, end = _shared_out(live, begin, end, here, order, (left > 1, count - left > 1))
        _divide(here)
        open_nodes.append((low, low + cut, first, left, begin, middle))
        open_nodes.append((low + cut, high, first + left, count - left, middle, end))
    return part


@inlined
def _number(here: _Places) -> None:
    for order in range(here.orders.shape[0]):
        for place in range(here.orders.shape[1]):
            here.rank[here.orders[order, place], order] = place


@compiled
def _room(count: int, orders: int, pins: Array) -> _Live:
    bounds, weight = np.empty((2, count), np.int64), np.empty(count, np.float64)
    return _Live(bounds[0], bounds[1], weight, np.empty((count, 2, orders), np.int32), pins)


@compiled
def _grown(live: _Live, used: int, count: int) -> _Live:
    """The same nets, with room for more."""
    grown = _room(count, live.ends.shape[2], live.pins)
    for net in range(used):
        _copy(live, net, grown, net)
    return grown


@inlined
def _copy(live: _Live, net: int, into: _Live, place: int) -> None:
    into.first[place], into.last[place], into.weight[place] = live.first[net], live.last[net], live.weight[net]
    for order in range(live.ends.shape[2]):
        into.ends[place, 0, order] = live.ends[net, 0, order]
        into.ends[place, 1, order] = live.ends[net, 1, order]


@inlined
def _all_kept(live: _Live, nets: Nets, here: _Places) -> int:
    """Put all nets at their first places; returns how many there are."""
    _number(here)
    count = 0
    for net in range(nets.weight.size):
        count = _kept(live, count, (nets.start[net], nets.start[net + 1]), nets.weight[net], here)
    return count


@inlined
def _kept(live: _Live, place: int, bounds: tuple[int, int], weight: float, here: _Places) -> int:
    """Put a net at a place, if it joins two vertices or more; returns the next free place."""
    first, last = bounds
    if last - first < 2:
        return place
    live.first[place], live.last[place], live.weight[place] = first, last, weight
    extent, kinds = here.extent, here.orders.shape[0]
    for order in range(kinds):
        extent[0, order] = extent[1, order] = here.rank[live.pins[first], order]
    for slot in range(first + 1, last):
        pin = live.pins[slot]
        for order in range(kinds):
            extent[0, order] = min(extent[0, order], here.rank[pin, order])
            extent[1, order] = max(extent[1, order], here.rank[pin, order])
    for order in range(kinds):
        live.ends[place, 0, order] = here.orders[order, extent[0, order]]
        live.ends[place, 1, order] = here.orders[order, extent[1, order]]
    return place + 1


@compiled
def _crossed(live: _Live, begin: int, end: int, here: _Places) -> Floats:
    """(orders, vertices + 1): by how much the weight of crossed nets changes from a cut to the one behind it."""
    kinds, count = here.orders.shape
    crossed = np.zeros((kinds, count + 1), np.float64)
    for net in range(begin, end):
        for order in range(kinds):
            crossed[order, here.rank[live.ends[net, 0, order], order] + 1] += live.weight[net]
            crossed[order, here.rank[live.ends[net, 1, order], order] + 1] -= live.weight[net]
    return crossed


@inlined
def _shared_out(
    live: _Live, begin: int, end: int, here: _Places, order: int, wanted: tuple[bool, bool]
) -> tuple[int, int]:
    """Give a node's nets to its two sides, where they are wanted; returns where those of the second begin and end.

    The ends of a net that is not cut stay what they were: most pins need not be looked at.
    """
    middle, behind = begin, end
    for net in range(begin, end):
        bounds, weight = (live.first[net], live.last[net]), live.weight[net]
        near, far = here.side[live.ends[net, 0, order]], here.side[live.ends[net, 1, order]]
        if near == far == 0 and wanted[0]:
            _copy(live, net, live, middle)
            middle += 1
        elif near == far == 1 and wanted[1]:
            _copy(live, net, live, behind)
            behind += 1
        elif near != far:
            split = _parted(live.pins, bounds, here.side)
            if wanted[0]:
                middle = _kept(live, middle, (bounds[0], split), weight, here)
            if wanted[1]:
                behind = _kept(live, behind, (split, bounds[1]), weight, here)
    for net in range(end, behind):
        _copy(live, net, live, middle + net - end)
    return middle, middle + behind - end


@inlined
def _parted(pins: Array, bounds: tuple[int, int], side: Array) -> int:
    """Bring those pins of a net to the front that are on the first side; returns where the others begin."""
    split = bounds[0]
    for slot in range(bounds[0], bounds[1]):
        pin = pins[slot]
        if side[pin] == 0:
            pins[slot], pins[split] = pins[split], pin
            split += 1
    return split


@compiled
def _plane(crossed: Floats, size: Floats, orders: Array, parts: int, style: Style) -> tuple[int, int, int]:
    """The order to cut, how many of its vertices lie before the cut, and how many parts they get."""
    total: Any = 0.0
    for vertex in orders[0]:
        total += size[vertex]
    fewest = max(1, min(parts // 2, int(np.ceil(parts * style.least))))
    least, most, factor = _bounds(total, parts, style)
    best, best_order, best_cut, best_left = np.inf, -1, 0, parts // 2
    nearest, nearest_cut = np.inf, 1
    for order in range(orders.shape[0]):
        cost, load, left = 0.0, 0.0, 0
        for cut in range(1, orders.shape[1]):
            cost += crossed[order, cut]
            load += size[orders[order, cut - 1]]
            while load * parts >= (left + 0.5) * total:
                left += 1
            if left < fewest or left > parts - fewest:
                continue
            off = abs(load - total * left / parts)
            if least[left] <= load <= most[left]:
                price = cost * factor[left] * (1.0 + 1e-6 * off)
                if price < best:
                    best, best_order, best_cut, best_left = price, order, cut, left
            elif order == 0 and off < nearest and left == parts // 2:
                nearest, nearest_cut = off, cut
    if best_order < 0:
        return 0, min(nearest_cut, orders.shape[1] - 1), parts // 2
    return best_order, best_cut, best_left


@compiled
def _bounds(total: float, parts: int, style: Style) -> tuple[Floats, Floats, Floats]:
    """By parts before a cut: the least and the greatest size that may lie there, and what the cost is multiplied by."""
    kept = (1.0 - style.slack) * max(0.0, parts - total)
    least, most, factor = np.empty(parts + 1), np.empty(parts + 1), np.empty(parts + 1)
    for left in range(parts + 1):
        share = left / parts
        least[left] = total - (parts - left) + kept * (1.0 - share) - 1e-9
        most[left] = left - kept * share + 1e-9
        factor[left] = 1.0 / max(1e-9, 4.0 * share * (1.0 - share)) ** style.exponent
    return least, most, factor


@inlined
def _divide(here: _Places) -> None:
    """Those before the cut first in all orders, otherwise as they were."""
    for order in range(here.orders.shape[0]):
        front = back = 0
        for place in range(here.orders.shape[1]):
            vertex = here.orders[order, place]
            if here.side[vertex] == 0:
                here.orders[order, front] = vertex
                front += 1
            else:
                here.spare[back] = vertex
                back += 1
        for place in range(back):
            here.orders[order, front + place] = here.spare[place]


@compiled
def _restricted(nets: Nets, side: Array, chosen: int) -> Nets:
    """The nets among the vertices of one side: those that still join two or more."""
    pins = np.empty(nets.pins.size, np.int32)
    start, weight = np.empty(nets.start.size, np.int64), np.empty(nets.weight.size, np.float64)
    start[0] = filled = kept = 0
    for net in range(nets.weight.size):
        begin = filled
        for place in range(nets.start[net], nets.start[net + 1]):
            if side[nets.pins[place]] == chosen:
                pins[filled] = nets.pins[place]
                filled += 1
        if filled - begin < 2:
            filled = begin
            continue
        weight[kept] = nets.weight[net]
        kept += 1
        start[kept] = filled
    return Nets(start[: kept + 1].copy(), pins[:filled].copy(), weight[:kept].copy())


def restricted(nets: Nets, chosen: Array) -> tuple[Nets, Ints]:
    """The nets among the chosen vertices (a mask), which are numbered anew; and the numbers of these vertices."""
    inner = _restricted(nets, chosen.astype(np.int8), 1)
    number = np.cumsum(chosen, dtype=np.int64) - 1
    return inner._replace(pins=number[inner.pins].astype(np.int32)), np.nonzero(chosen)[0]


@compiled
def connectivity(nets: Nets, part: Array, parts: int) -> float:
    """The sum over nets of their weight times the number of parts that they touch but one (km1)."""
    seen = np.full(parts, -1, np.int64)
    total = 0.0
    for net in range(nets.weight.size):
        touched = 0
        for place in range(nets.start[net], nets.start[net + 1]):
            there = part[nets.pins[place]]
            if seen[there] != net:
                seen[there] = net
                touched += 1
        total += nets.weight[net] * max(0, touched - 1)
    return total
