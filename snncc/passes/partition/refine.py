"""Improves a cut by moving vertices one at a time, the best move first, and back again where a series did not pay.

The k-way form of Fiduccia and Mattheyses (1982): a move's gain is the weight of nets that no longer reach the part it
leaves, less that of nets that did not reach the part it enters.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from snncc.arrays import Array, Floats, Ints
from snncc.jit import compiled, inlined
from snncc.passes.partition.atoms import Nets

ROOM = 1.0 + 1e-6  # a part of size 1, and rounding


class Cut(NamedTuple):
    """A cut while it is improved.

    Net e reaches the parts there[start[e]] ... there[start[e] + reach[e] - 1], each with `inside` pins; vertex v
    is a pin of the nets member[first[v]:first[v + 1]]. `size` and `load` are shares of a part.
    """

    nets: Nets
    size: Floats
    part: Array
    load: Floats
    there: Array
    inside: Array
    reach: Array
    first: Ints
    member: Array


class Queue(NamedTuple):
    """A heap of vertices by gain; `place` is where a vertex is in it, or -1; `fill` its length, and work done."""

    heap: Array
    place: Array
    gain: Floats
    target: Array
    fill: Ints


def refine(nets: Nets, size: Floats, part: Array, parts: int, passes: int = 3, patience: int = 150) -> Array:
    """The cut after at most so many passes, each ending `patience` moves after its best state; parts keep to size 1."""
    part = part.astype(np.int32)
    if len(nets.weight) and parts > 1:
        _refine(nets, size, part, parts, passes, patience)
    return part


@compiled
def cut_of(nets: Nets, size: Floats, part: Array, parts: int) -> Cut:
    """The tables of a cut."""
    load = np.zeros(parts, np.float64)
    for vertex in range(part.size):
        load[part[vertex]] += size[vertex]
    first, member = incidence(nets, part.size)
    there, inside = np.empty(nets.pins.size, np.int32), np.zeros(nets.pins.size, np.int32)
    reach = np.zeros(nets.weight.size, np.int32)
    cut = Cut(nets, size, part, load, there, inside, reach, first, member)
    for net in range(nets.weight.size):
        for place in range(nets.start[net], nets.start[net + 1]):
            _enter(cut, net, part[nets.pins[place]])
    return cut


@compiled
def incidence(nets: Nets, vertices: int) -> tuple[Ints, Array]:
    """By vertex, the nets that it is a pin of."""
    first = np.zeros(vertices + 1, np.int64)
    for pin in nets.pins:
        first[pin + 1] += 1
    for vertex in range(vertices):
        first[vertex + 1] += first[vertex]
    filled, member = first[:-1].copy(), np.empty(nets.pins.size, np.int32)
    for net in range(nets.weight.size):
        for place in range(nets.start[net], nets.start[net + 1]):
            pin = nets.pins[place]
            member[filled[pin]] = net
            filled[pin] += 1
    return first, member


@inlined
def _enter(cut: Cut, net: Any, part: Any) -> Any:
    """One more pin of a net in a part; how many there are now."""
    begin = cut.nets.start[net]
    for place in range(begin, begin + cut.reach[net]):
        if cut.there[place] == part:
            cut.inside[place] += 1
            return cut.inside[place]
    cut.there[begin + cut.reach[net]] = part
    cut.inside[begin + cut.reach[net]] = 1
    cut.reach[net] += 1
    return 1


@inlined
def _leave(cut: Cut, net: Any, part: Any) -> Any:
    """One pin fewer of a net in a part; how many are left."""
    begin = cut.nets.start[net]
    place = begin
    while cut.there[place] != part:
        place += 1
    cut.inside[place] -= 1
    left = cut.inside[place]
    if left == 0:
        cut.reach[net] -= 1
        last = begin + cut.reach[net]
        cut.there[place] = cut.there[last]
        cut.inside[place] = cut.inside[last]
    return left


@inlined
def move(cut: Cut, vertex: Any, target: Any) -> None:
    """Put a vertex into another part."""
    origin = cut.part[vertex]
    cut.load[origin] -= cut.size[vertex]
    cut.load[target] += cut.size[vertex]
    cut.part[vertex] = target
    for place in range(cut.first[vertex], cut.first[vertex + 1]):
        _leave(cut, cut.member[place], origin)
        _enter(cut, cut.member[place], target)


@inlined
def best_move(cut: Cut, vertex: Any, reached: Floats, touched: Array) -> tuple[Any, Any, Any]:
    """The gain of a vertex's best move to a part that has room, that part or -1, and the work that it took to find it.

    `reached` is zero all over.
    """
    origin = cut.part[vertex]
    found, work, whole, freed = 0, 1, 0.0, 0.0
    for place in range(cut.first[vertex], cut.first[vertex + 1]):
        net = cut.member[place]
        weight, begin = cut.nets.weight[net], cut.nets.start[net]
        whole += weight
        work += cut.reach[net]
        for slot in range(begin, begin + cut.reach[net]):
            part = cut.there[slot]
            if part == origin:
                if cut.inside[slot] == 1:
                    freed += weight
            else:
                if reached[part] == 0.0:
                    touched[found] = part
                    found += 1
                reached[part] += weight
    best, target = -np.inf, -1
    for part in touched[:found]:
        gain = freed - whole + reached[part]
        reached[part] = 0.0
        if cut.load[part] + cut.size[vertex] > ROOM:
            continue
        if gain > best or (gain == best and cut.load[part] < cut.load[target]):
            best, target = gain, part
    return best, target, work


@inlined
def _rise(queue: Queue, place: Any) -> None:
    vertex = queue.heap[place]
    while place > 0:
        above = (place - 1) >> 1
        if queue.gain[queue.heap[above]] >= queue.gain[vertex]:
            break
        queue.heap[place] = queue.heap[above]
        queue.place[queue.heap[place]] = place
        place = above
    queue.heap[place] = vertex
    queue.place[vertex] = place


@inlined
def _sink(queue: Queue, place: Any) -> None:
    vertex = queue.heap[place]
    while True:
        below = 2 * place + 1
        if below >= queue.fill[0]:
            break
        if below + 1 < queue.fill[0] and queue.gain[queue.heap[below + 1]] > queue.gain[queue.heap[below]]:
            below += 1
        if queue.gain[queue.heap[below]] <= queue.gain[vertex]:
            break
        queue.heap[place] = queue.heap[below]
        queue.place[queue.heap[place]] = place
        place = below
    queue.heap[place] = vertex
    queue.place[vertex] = place


@inlined
def _queued(queue: Queue, vertex: Any, gain: Any, target: Any) -> None:
    """Put a vertex into the queue, or to its new place in it."""
    queue.gain[vertex] = gain
    queue.target[vertex] = target
    if queue.place[vertex] < 0:
        queue.place[vertex] = queue.fill[0]
        queue.heap[queue.fill[0]] = vertex
        queue.fill[0] += 1
    _rise(queue, queue.place[vertex])
    _sink(queue, queue.place[vertex])


@inlined
def _dropped(queue: Queue) -> None:
    """Take the first vertex out of the queue."""
    queue.place[queue.heap[0]] = -1
    queue.fill[0] -= 1
    if queue.fill[0] > 0:
        queue.heap[0] = queue.heap[queue.fill[0]]
        queue.place[queue.heap[0]] = 0
        _sink(queue, 0)


@compiled
def _filled(cut: Cut, queue: Queue, reached: Floats, touched: Array) -> None:
    """Queue all vertices whose nets reach other parts."""
    queue.place[:] = -1
    queue.fill[:] = 0
    for vertex in range(cut.part.size):
        for place in range(cut.first[vertex], cut.first[vertex + 1]):
            if cut.reach[cut.member[place]] > 1:
                gain, target, work = best_move(cut, vertex, reached, touched)
                queue.fill[1] += work
                if target >= 0:
                    _queued(queue, vertex, gain, target)
                break


@inlined
def _moved(
    cut: Cut, queue: Queue, vertex: Any, target: Any, stamp: Ints, now: int, reached: Floats, touched: Array
) -> None:
    """Move a vertex, and queue those whose gain this changes; a stamp of `locked` keeps a vertex where it is."""
    origin = cut.part[vertex]
    cut.load[origin] -= cut.size[vertex]
    cut.load[target] += cut.size[vertex]
    cut.part[vertex] = target
    for place in range(cut.first[vertex], cut.first[vertex + 1]):
        net = cut.member[place]
        left, came = _leave(cut, net, origin), _enter(cut, net, target)
        if left > 1 and came > 2:
            continue
        for slot in range(cut.nets.start[net], cut.nets.start[net + 1]):
            pin = cut.nets.pins[slot]
            part = cut.part[pin]
            lone = (left == 1 and part == origin) or (came == 2 and part == target)
            if stamp[pin] < now and (left == 0 or came == 1 or lone):
                stamp[pin] = now
    for place in range(cut.first[vertex], cut.first[vertex + 1]):
        net = cut.member[place]
        for slot in range(cut.nets.start[net], cut.nets.start[net + 1]):
            pin = cut.nets.pins[slot]
            if stamp[pin] == now:
                stamp[pin] = now - 1
                gain, to, work = best_move(cut, pin, reached, touched)
                queue.fill[1] += work
                if to >= 0:
                    _queued(queue, pin, gain, to)


_EFFORT = 30  # times the work of filling the queue that one pass may take
_SLICE = 50_000_000  # units of work beyond, a fraction of a second, in each of which
_PAYS = 0.002  # of the cut's cost has to be gained: a network without structure would cost minutes
_LOCKED = np.int64(1 << 62)


@compiled
def _refine(nets: Nets, size: Floats, part: Array, parts: int, passes: int, patience: int) -> None:
    cut = cut_of(nets, size, part, parts)
    vertices = part.size
    queue = Queue(
        np.empty(vertices, np.int32),
        np.full(vertices, -1, np.int32),
        np.zeros(vertices),
        part.copy(),
        np.zeros(2, np.int64),
    )
    reached, touched = np.zeros(parts, np.float64), np.empty(parts, np.int32)
    moves = np.empty((2, vertices), np.int32)
    slice_gain = _PAYS * float((nets.weight * (cut.reach - 1)).sum())
    for _ in range(passes):
        stamp = np.zeros(vertices, np.int64)
        _filled(cut, queue, reached, touched)
        total = best = 0.0
        made = kept = 0
        enough, due, wanted = _EFFORT * queue.fill[1], queue.fill[1] + _SLICE, slice_gain
        while queue.fill[0] > 0 and made - kept < patience and queue.fill[1] < enough:
            if queue.fill[1] > due:
                if best < wanted:
                    break
                due, wanted = due + _SLICE, best + slice_gain
            vertex = queue.heap[0]
            target = queue.target[vertex]
            if cut.load[target] + size[vertex] > ROOM:
                gain, target, work = best_move(cut, vertex, reached, touched)
                queue.fill[1] += work
                if target >= 0:
                    _queued(queue, vertex, gain, target)
                    continue
                _dropped(queue)
                continue
            _dropped(queue)
            moves[0, made], moves[1, made] = vertex, part[vertex]
            made += 1
            total += queue.gain[vertex]
            stamp[vertex] = _LOCKED
            _moved(cut, queue, vertex, target, stamp, 2 * made, reached, touched)
            if total > best:
                best, kept = total, made
        for back in range(made - 1, kept - 1, -1):
            move(cut, moves[0, back], moves[1, back])
        if (best < wanted and queue.fill[1] > due) or best <= 0.0:
            break
