"""Puts the parts of a network onto the cores of a mesh, so that what they send crosses few links.

A part follows the one before it along a Hilbert curve at first; then parts and free cores change places, at random
while the search cools down (Kirkpatrick, Gelatt and Vecchi 1983), and at last only where that helps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from snncc.arrays import Array, Floats, Ints
from snncc.chip import Mesh
from snncc.jit import compiled
from snncc.mapping import cores_of


@dataclass(frozen=True, eq=False)
class Flow:
    """What parts send to each other: part a sends weight[k] events to part to[k], start[a] <= k < start[a + 1].

    `host` (parts,) is what the host sends to each.
    """

    start: Ints
    to: Array
    weight: Floats
    host: Floats


_TRIES = 3000  # of changing places, per part and start
_WORK = 40_000_000  # neighbours that all tries of a start may look at
_STARTS = ((True, 0.02), (True, 0.3), (True, 2.0), (False, 0.02))  # along the curve or not; loss taken at first


def place(flow: Flow, mesh: Mesh, seed: int) -> Array:
    """The core of every part, int32. Parts are at most as many as cores."""
    parts = len(flow.host)
    both = _both_ways(flow)
    column, row = _tiles(mesh)
    outer = np.abs(column - mesh.host[0]) + np.abs(row - mesh.host[1])
    tries = min(_TRIES * parts, _WORK // (1 + len(both.to) // max(1, parts)))
    share = float(both.weight.sum() + both.host.sum()) / max(1, parts)
    found: list[tuple[float, int, Array]] = []
    for curved, warmth in _STARTS:
        first = hilbert(mesh) if curved else np.arange(cores_of(mesh))
        slots, home = np.full(cores_of(mesh), -1, np.int32), first[:parts].astype(np.int64)
        slots[home] = np.arange(parts)
        exchanged = both.start, both.to, both.weight, both.host
        board = _Board(mesh.columns, mesh.cores, column, row, outer, slots, home, *exchanged)
        _anneal(board, tries, warmth * share, seed)
        found.append((hops(flow, home, mesh), len(found), home))
    return min(found, key=lambda each: each[:2])[2].astype(np.int32)


def hops(flow: Flow, home: Array, mesh: Mesh) -> float:
    """The links that all events cross, with the parts on these cores."""
    column, row = _tiles(mesh)
    sender = np.repeat(np.arange(len(flow.host)), np.diff(flow.start))
    across = np.abs(column[home[sender]] - column[home[flow.to]]) + np.abs(row[home[sender]] - row[home[flow.to]])
    outer = np.abs(column[home] - mesh.host[0]) + np.abs(row[home] - mesh.host[1])
    return float((flow.weight * across).sum() + (flow.host * outer).sum())


def hilbert(mesh: Mesh) -> Array:
    """The cores in the order in which a Hilbert curve visits their tiles, from the corner next to the host on."""
    side = 1
    while side < max(mesh.columns, mesh.rows):
        side *= 2
    steps = np.arange(side * side)
    column, row = np.zeros_like(steps), np.zeros_like(steps)
    scale = 1
    while scale < side:
        x, y = steps // 2 & 1, (steps ^ (steps // 2)) & 1
        turned = y == 0
        flipped = turned & (x == 1)
        column, row = np.where(flipped, scale - 1 - column, column), np.where(flipped, scale - 1 - row, row)
        column, row = np.where(turned, row, column), np.where(turned, column, row)
        column, row = column + scale * x, row + scale * y
        steps, scale = steps // 4, scale * 2
    if 2 * mesh.host[0] >= mesh.columns:
        column = mesh.columns - 1 - column
    if 2 * mesh.host[1] >= mesh.rows:
        row = mesh.rows - 1 - row
    inside = (column >= 0) & (column < mesh.columns) & (row >= 0) & (row < mesh.rows)
    tiles = row[inside] * mesh.columns + column[inside]
    return (tiles[:, None] * mesh.cores + np.arange(mesh.cores)).reshape(-1).astype(np.int32)


def _tiles(mesh: Mesh) -> tuple[Ints, Ints]:
    """The column and the row of every core."""
    tile = np.arange(cores_of(mesh)) // mesh.cores
    return tile % mesh.columns, tile // mesh.columns


def _both_ways(flow: Flow) -> Flow:
    """What each part sends to and gets from each other one; what it sends to itself crosses no link."""
    parts = len(flow.host)
    sender = np.repeat(np.arange(parts), np.diff(flow.start))
    apart = sender != flow.to
    ends = np.concatenate([sender[apart], flow.to[apart]]), np.concatenate([flow.to[apart], sender[apart]])
    keys, inverse = np.unique(ends[0] * np.int64(parts) + ends[1], return_inverse=True)
    weight = np.bincount(inverse.reshape(-1), np.tile(flow.weight[apart], 2), len(keys)).astype(np.float64)
    start = np.concatenate([[0], np.cumsum(np.bincount(keys // parts, minlength=parts))])
    return Flow(start, (keys % max(parts, 1)).astype(np.int32), weight, flow.host)


class _Board(NamedTuple):
    """The mesh, what lies where (a part or -1 by core, a core by part), and what each part exchanges with which."""

    columns: int
    cores: int
    column: Ints
    row: Ints
    outer: Ints
    slots: Array
    home: Ints
    start: Ints
    to: Array
    weight: Floats
    fed: Floats


@compiled
def _anneal(board: _Board, tries: int, warmth: float, seed: int) -> None:
    """Let parts change places; the board's `slots` and `home` are written. `warmth` is what may be lost at first."""
    state = np.uint64(seed) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(88172645463325252)
    for attempt in range(tries):
        state = _next(state)
        part = np.int64((state >> np.uint64(33)) % np.uint64(board.home.size))
        state = _next(state)
        core, other = board.home[part], _proposed(board, part, state)
        if board.column[core] == board.column[other] and board.row[core] == board.row[other]:
            continue
        gain, limit = _gain(board, core, other), 0.0
        if gain < 0.0 and 10 * attempt < 9 * tries:
            state = _next(state)
            chance = (np.float64(state >> np.uint64(11)) + 1.0) / 9007199254740993.0
            limit = warmth * (1.0 - attempt / (0.9 * tries)) ** 2 * np.log(chance)
        if gain > 0.0 or gain > limit:
            first, second = board.slots[core], board.slots[other]
            board.slots[core], board.slots[other] = second, first
            board.home[first] = other
            if second >= 0:
                board.home[second] = core


@compiled
def _proposed(board: _Board, part: Any, state: np.uint64) -> Any:
    """Another core: any, or three times out of four one beside a part that this one exchanges much with."""
    some = np.int64((state >> np.uint64(20)) & np.uint64(0xFFFFFFF))
    degree = board.start[part + 1] - board.start[part]
    if state & np.uint64(3) == np.uint64(0) or degree == 0:
        return some % board.slots.size
    first = board.start[part] + some % degree
    second = board.start[part] + (some // degree) % degree
    near = board.home[board.to[first if board.weight[first] >= board.weight[second] else second]]
    shift = np.int64((state >> np.uint64(4)) % np.uint64(25))
    column, row = board.column[near] + shift % 5 - 2, board.row[near] + shift // 5 - 2
    if column < 0 or row < 0 or column >= board.columns or row * board.columns >= board.slots.size // board.cores:
        return near
    return (row * board.columns + column) * board.cores + some % board.cores


@compiled
def _next(state: np.uint64) -> np.uint64:
    """xorshift64 (Marsaglia 2003)."""
    state ^= state << np.uint64(13)
    state ^= state >> np.uint64(7)
    return state ^ (state << np.uint64(17))


@compiled
def _gain(board: _Board, core: Any, other: Any) -> Any:
    """By how much fewer links are crossed if two cores change what lies on them."""
    gain = 0.0
    for side in range(2):
        here, there = (core, other) if side == 0 else (other, core)
        part, partner = board.slots[here], board.slots[there]
        if part < 0:
            continue
        gain += board.fed[part] * (board.outer[here] - board.outer[there])
        for place in range(board.start[part], board.start[part + 1]):
            if board.to[place] != partner:
                end = board.home[board.to[place]]
                gain += board.weight[place] * (_links(board, here, end) - _links(board, there, end))
    return gain


@compiled
def _links(board: _Board, core: Any, other: Any) -> Any:
    return abs(board.column[core] - board.column[other]) + abs(board.row[core] - board.row[other])
