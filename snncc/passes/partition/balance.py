"""Takes vertices out of parts that are too full, where that costs least."""

from __future__ import annotations

from typing import Any

import numpy as np

from snncc.arrays import Array, Floats
from snncc.jit import compiled
from snncc.passes.partition.atoms import Nets
from snncc.passes.partition.refine import ROOM, Cut, best_move, cut_of, move


def balance(nets: Nets, size: Floats, part: Array, parts: int) -> Array:
    """The cut with no part above size 1, as far as vertices can be put elsewhere."""
    load = np.bincount(part, size, minlength=parts)
    if (load <= ROOM).all():
        return part
    part = part.astype(np.int32)
    _balance(nets, size, part, parts)
    return part


@compiled
def _balance(nets: Nets, size: Floats, part: Array, parts: int) -> None:
    cut = cut_of(nets, size, part, parts)
    reached, touched = np.zeros(parts, np.float64), np.empty(parts, np.int32)
    for full in range(parts):
        if cut.load[full] <= ROOM:
            continue
        inside = np.nonzero(part == full)[0]
        gains = np.empty(inside.size, np.float64)
        for place in range(inside.size):
            gain, target, _ = best_move(cut, inside[place], reached, touched)
            gains[place] = gain if target >= 0 else -1e300
        for place in np.argsort(-gains, kind="mergesort"):
            if cut.load[full] <= ROOM:
                break
            _put_elsewhere(cut, inside[place], reached, touched)


@compiled
def _put_elsewhere(cut: Cut, vertex: Any, reached: Floats, touched: Array) -> None:
    """Move a vertex to the best part with room, or else to the emptiest if it has room."""
    _, target, _ = best_move(cut, vertex, reached, touched)
    if target < 0:
        target = np.argmin(cut.load)
    if cut.load[target] + cut.size[vertex] <= ROOM:
        move(cut, vertex, target)
