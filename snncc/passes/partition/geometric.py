"""Cuts networks whose neurons have places: boxes of neurons, of one layer or through several, then improved locally."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from snncc.arrays import Array
from snncc.jit import on_threads
from snncc.passes.partition.balance import balance
from snncc.passes.partition.bisect import bisect, connectivity
from snncc.passes.partition.levels import improve
from snncc.passes.partition.refine import ROOM, refine
from snncc.passes.partition.segments import Run, Space, fewest_parts, runs_of, sketched, within

_SKETCH = 32  # cells a part, from which on more say nothing new about which layers belong together
_FEWEST_CELLS = 4000
_SIDES = (2, 4)  # of a cell, in neurons
_LARGE = 2_000_000  # pins from which refining on two scales takes longer than it gains


def geometric(space: Space, cells: Callable[[int], Array], most: int) -> tuple[Array, int]:
    """The part of every vertex, and how many parts: at most `most`, if the vertices can be packed so closely.

    `cells` numbers the vertices by squares of a given side.
    """
    fewest = fewest_parts(space.size)
    if fewest <= 1:
        return np.zeros(len(space.size), np.int32), 1
    sketch = _sketch(space, cells, fewest)
    part, used = _boxes(space, runs_of(sketch, max(most, fewest), roomy=False))
    if (np.bincount(part, space.size) > ROOM).any():
        part, used = _boxes(space, runs_of(sketch, max(most, fewest), roomy=True))
    if len(space.nets.pins) > _LARGE:
        return refine(space.nets, space.size, part, used), used
    return improve(space.nets, space.size, part, used, cells(2)), used


def _boxes(space: Space, runs: tuple[Run, ...]) -> tuple[Array, int]:
    """Every run cut by planes, and parts that came out too full relieved."""
    part = np.zeros(len(space.size), np.int32)
    used = 0
    for run in runs:
        chosen = (space.depth >= run.low) & (space.depth < run.high)
        inner, parts = _cheapest(space, run)
        part[chosen] = used + inner
        used += parts
    return balance(space.nets, space.size, part, used), used


def _cheapest(space: Space, run: Run) -> tuple[Array, int]:
    """The best cut of a run in its style, on as many cores as were chosen for it or on the fewest that it may take."""
    nets, size, orders, _ = within(space, run.low, run.high)
    fewest = min(run.parts, max(1, int(np.ceil(float(size.sum()) - 1e-6))))

    def cut(parts: int) -> tuple[float, int, Array]:
        part = bisect(nets, size, orders, parts, run.style)
        full = float(np.maximum(np.bincount(part, size, minlength=parts) - ROOM, 0.0).sum())
        return connectivity(nets, part, parts) * (1.0 + full), parts, part

    _, parts, part = min(on_threads(cut, sorted({fewest, run.parts})), key=lambda each: each[0])
    return part, parts


def _sketch(space: Space, cells: Callable[[int], Array], parts: int) -> Space:
    """The space in cells that are small enough to judge by."""
    enough = max(_SKETCH * parts, _FEWEST_CELLS)
    if len(space.size) <= enough:
        return space
    small = (numbers for numbers in map(cells, _SIDES) if int(numbers.max()) < enough)
    return sketched(space, next(small, cells(_SIDES[-1])))
