"""Cuts networks whose neurons have places: boxes of neurons, of one layer or through several, then improved locally."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from snncc.arrays import Array
from snncc.jit import on_threads
from snncc.passes.partition.balance import balance
from snncc.passes.partition.bisect import FINE_STYLES, Style, bisect, connectivity
from snncc.passes.partition.levels import improve
from snncc.passes.partition.refine import ROOM, refine
from snncc.passes.partition.segments import Run, Space, fewest_parts, runs_of, sketched, within

_SKETCH = 32  # cells a part, from which on more say nothing new about which layers belong together
_FEWEST_CELLS = 4000
_SIDES = (2, 4)  # of a cell, in neurons
_MANY = 100_000  # vertices of a run from which on one cut takes as long as a search should
_LARGE = 2_000_000  # pins from which refining on all levels takes longer than it gains


def geometric(space: Space, cells: Callable[[int], Array], most: int, seed: int) -> tuple[Array, int]:
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
    part = refine(space.nets, space.size, part, used)
    if len(space.nets.pins) <= _LARGE:
        part = improve(space.nets, space.size, part, used, seed, cells(2))
    return part, used


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
    """The best of several cuts of a run, on at most as many cores as were chosen for it: a sketch is a rough judge.

    Where vertices are many, so are its cells, and it is a good one.
    """
    nets, size, orders, _ = within(space, run.low, run.high)
    fewest = min(run.parts, max(1, int(np.ceil(float(size.sum()) - 1e-6))))

    def cut(how: tuple[int, Style]) -> tuple[float, int, Array]:
        parts, style = how
        part = bisect(nets, size, orders, parts, style)
        full = float(np.maximum(np.bincount(part, size, minlength=parts) - ROOM, 0.0).sum())
        return connectivity(nets, part, parts) * (1.0 + full), parts, part

    styles = FINE_STYLES if len(size) <= _MANY else (run.style,)
    ways = [(parts, style) for parts in sorted({fewest, run.parts}) for style in (styles if parts > 1 else styles[:1])]
    _, parts, part = min(on_threads(cut, ways), key=lambda each: each[0])
    return part, parts


def _sketch(space: Space, cells: Callable[[int], Array], parts: int) -> Space:
    """The space in cells that are small enough to judge by."""
    enough = max(_SKETCH * parts, _FEWEST_CELLS)
    if len(space.size) <= enough:
        return space
    small = (numbers for numbers in map(cells, _SIDES) if int(numbers.max()) < enough)
    return sketched(space, next(small, cells(_SIDES[-1])))
