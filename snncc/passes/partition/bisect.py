"""Cuts vertices that have places into parts of bounded size: by planes, the cheapest that leave both sides room."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from snncc.arrays import Array, Floats, Ints
from snncc.jit import compiled
from snncc.passes.partition.atoms import Nets


class Style(NamedTuple):
    """How planes are chosen: the cost of a cut into f and 1 - f of the parts is divided by (4 f (1 - f))**exponent.

    `least` is the smallest f; `slack` how much of the room to spare one side may take from the other's share.
    """

    exponent: float
    least: float
    slack: float


STYLES = (Style(0.5, 0.1, 0.9), Style(0.0, 0.4, 0.5))  # to judge by
FINE_STYLES = (*STYLES, Style(0.0, 0.25, 0.9), Style(0.25, 0.3, 0.9))  # to cut by


def bisect(nets: Nets, size: Floats, orders: Array, parts: int, style: Style) -> Array:
    """The part of every vertex, int32: `parts` of them, of size 1 at most as far as vertices can be told apart.

    `orders` (orders, vertices) are the vertices as planes may sweep over them. The cost of a cut is the weight of all
    nets that it goes through.
    """
    if parts <= 1 or not len(size):
        return np.zeros(len(size), np.int32)
    return _bisect(nets, size, orders.copy(), parts, style)


@compiled
def _bisect(nets: Nets, size: Floats, orders: Array, parts: int, style: Style) -> Array:
    part, side = np.zeros(size.size, np.int32), np.zeros(size.size, np.int8)
    rank = np.empty((size.size, orders.shape[0]), np.int32)
    open_nodes = [(0, size.size, 0, parts, nets)]
    while len(open_nodes) > 0:
        low, high, first, count, inner = open_nodes.pop()
        if count == 1 or high == low:
            part[orders[0, low:high]] = first
            continue
        for order in range(orders.shape[0]):
            for place in range(low, high):
                rank[orders[order, place], order] = place - low
        crossed = _crossed(inner, rank, high - low)
        order, cut, left = _plane(crossed, size, orders[:, low:high], count, style)
        for place in range(low, high):
            side[orders[order, place]] = 0 if place - low < cut else 1
        for each in range(orders.shape[0]):
            _divide(orders[each, low:high], side)
        open_nodes.append((low, low + cut, first, left, _restricted(inner, side, 0)))
        open_nodes.append((low + cut, high, first + left, count - left, _restricted(inner, side, 1)))
    return part


@compiled
def _crossed(nets: Nets, rank: Array, count: int) -> Floats:
    """(orders, vertices + 1): by how much the weight of crossed nets changes from a cut to the one behind it."""
    orders = rank.shape[1]
    crossed = np.zeros((orders, count + 1), np.float64)
    least, most = np.empty(orders, np.int32), np.empty(orders, np.int32)
    for net in range(nets.weight.size):
        first = nets.pins[nets.start[net]]
        for order in range(orders):
            least[order] = most[order] = rank[first, order]
        for place in range(nets.start[net] + 1, nets.start[net + 1]):
            pin = nets.pins[place]
            for order in range(orders):
                value = rank[pin, order]
                if value < least[order]:
                    least[order] = value
                elif value > most[order]:
                    most[order] = value
        for order in range(orders):
            crossed[order, least[order] + 1] += nets.weight[net]
            crossed[order, most[order] + 1] -= nets.weight[net]
    return crossed


@compiled
def _plane(crossed: Floats, size: Floats, orders: Array, parts: int, style: Style) -> tuple[int, int, int]:
    """The order to cut, how many of its vertices lie before the cut, and how many parts they get."""
    total = 0.0
    for vertex in orders[0]:
        total += size[vertex]
    spare = max(0.0, parts - total)
    fewest = max(1, min(parts // 2, int(np.ceil(parts * style.least))))
    best, best_order, best_cut, best_left = np.inf, -1, 0, parts // 2
    nearest, nearest_cut = np.inf, 1
    for order in range(orders.shape[0]):
        cost = load = 0.0
        for cut in range(1, orders.shape[1]):
            cost += crossed[order, cut]
            load += size[orders[order, cut - 1]]
            left = int(load / total * parts + 0.5)
            if left < fewest or left > parts - fewest:
                continue
            share = left / parts
            room = left - load - (1.0 - style.slack) * spare * share
            other = parts - left - (total - load) - (1.0 - style.slack) * spare * (1.0 - share)
            if room >= -1e-9 and other >= -1e-9:
                price = cost / (4.0 * share * (1.0 - share)) ** style.exponent
                price *= 1.0 + 1e-6 * abs(load - total * share)
                if price < best:
                    best, best_order, best_cut, best_left = price, order, cut, left
            elif order == 0 and abs(load - total * share) < nearest and left == parts // 2:
                nearest, nearest_cut = abs(load - total * share), cut
    if best_order < 0:
        return 0, min(nearest_cut, orders.shape[1] - 1), parts // 2
    return best_order, best_cut, best_left


@compiled
def _divide(order: Array, side: Array) -> None:
    """Those of side 0 first, otherwise as they were."""
    behind = np.empty(order.size, order.dtype)
    front = back = 0
    for vertex in order:
        if side[vertex] == 0:
            order[front] = vertex
            front += 1
        else:
            behind[back] = vertex
            back += 1
    order[front:] = behind[:back]


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
