"""Turns a program's blocks into what the compiled machine adds up: runs of weights, and lists of targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from snncc.arrays import Array, Ints
from snncc.backends.chip.expand import expand
from snncc.backends.chip.image import DENSE, SPARSE, Image
from snncc.backends.chip.layout import Place
from snncc.backends.chip.records import BLOCK, LISTED, RUN, RUNS, WEIGHTS_RUN


@dataclass(frozen=True, eq=False)
class Blocks:
    """The blocks, and what they refer to: `lanes` and `weights` where targets are listed, `weights` and `runs` else."""

    blocks: Array
    lanes: Array
    weights: Array
    runs: Array


@dataclass
class _Building:
    """Blocks while they are made; lists and weights start with those of the program."""

    blocks: Array
    lanes: list[Array]
    weights: list[Array]
    runs: list[Array] = field(default_factory=list[Array])

    def weights_used(self) -> int:
        return sum(map(len, self.weights))


def build(image: Image, where: Sequence[Place | None], lanes: Sequence[Array | None], line: Ints) -> Blocks:
    """The blocks in the order of the program; `lanes` by sender, `line` (blocks,) which line each adds to."""
    stored = image.blocks
    core = np.searchsorted(image.axons, _owners(image), side="right") - 1
    made = _Building(np.zeros(len(stored.group), BLOCK), [np.zeros(len(image.targets), np.int32)], [image.weights])
    made.blocks["line"], made.blocks["first"], made.blocks["count"] = line, stored.first, stored.count
    for number, group in enumerate(image.groups):
        mine = np.flatnonzero(stored.group == number)
        place, lane = where[group.target], lanes[group.target]
        assert place is not None, "a group that leads nowhere"
        assert lane is not None, "a group that leads nowhere"
        made.blocks["exponent"][mine] = group.exponent
        by_core = lane[place.order]  # the lanes of the neurons of core c from first[c] on
        shift = place.first[core[mine]] - place.base[core[mine]]
        sparse, dense = stored.form[mine] == SPARSE, stored.form[mine] == DENSE
        _list(image, made, mine[sparse], shift[sparse], by_core)
        _spread(image, made, mine[dense], shift[dense], by_core)
    for number, group in enumerate(image.groups):
        mine = np.flatnonzero((stored.group == number) & (stored.form > DENSE))
        place, lane = where[group.target], lanes[group.target]
        if group.kernel is not None and place is not None and lane is not None:
            own = expand(group.kernel, stored.first[mine], core[mine], place, lane, made.weights_used())
            made.blocks["kind"][mine] = RUNS
            made.blocks["first"][mine] = sum(map(len, made.runs)) + own.starts[:-1]
            made.blocks["count"][mine] = np.diff(own.starts)
            made.runs.append(own.runs)
            made.weights.append(own.weights)
    runs = np.concatenate([np.zeros(0, WEIGHTS_RUN), *made.runs])
    return Blocks(made.blocks, np.concatenate(made.lanes), np.concatenate(made.weights), runs)


def _owners(image: Image) -> Ints:
    """The axon of each block."""
    return np.repeat(np.arange(len(image.starts) - 1), np.diff(image.starts))


def _entries(first: Array, count: Array) -> Ints:
    """All first[b] .. first[b] + count[b] - 1, one block after another."""
    counts = count.astype(np.int64)
    return np.repeat(first - (np.cumsum(counts) - counts), counts) + np.arange(int(counts.sum()))


def _list(image: Image, made: _Building, mine: Ints, shift: Ints, by_core: Array) -> None:
    """Sparse blocks: their targets' lanes."""
    entries = _entries(image.blocks.first[mine], image.blocks.count[mine])
    numbers = image.targets[entries] + np.repeat(shift, image.blocks.count[mine])
    made.lanes[0][entries] = by_core[numbers]
    made.blocks["kind"][mine] = LISTED


def _spread(image: Image, made: _Building, mine: Ints, shift: Ints, by_core: Array) -> None:
    """Dense blocks: one run of weights; if their targets' lanes are not neighbours, a list."""
    start = image.blocks.neuron[mine] + shift
    if len(by_core) and (np.diff(by_core) == 1).all():
        made.blocks["kind"][mine], made.blocks["lane"][mine] = RUN, by_core[start] if len(mine) else 0
        return
    count = image.blocks.count[mine].astype(np.int64)
    made.blocks["kind"][mine] = LISTED
    made.blocks["first"][mine] = made.weights_used() + np.cumsum(count) - count
    made.lanes.append(by_core[_entries(start, count)])
    made.weights.append(image.weights[_entries(image.blocks.first[mine], count)])
