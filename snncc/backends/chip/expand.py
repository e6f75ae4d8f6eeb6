"""Writes out what a shared kernel adds for one of its inputs, as runs of weights over neighbouring lanes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from snncc.arrays import Array, Ints
from snncc.backends.chip.layout import Place
from snncc.backends.chip.records import WEIGHTS_RUN
from snncc.jit import compiled
from snncc.linear import Conv


@dataclass(frozen=True, eq=False)
class Expanded:
    """The runs of each block, `starts[b]` to `starts[b + 1]`, and the kernels' weights that they refer to."""

    starts: Ints
    runs: Array
    weights: Array


def expand(conv: Conv, senders: Array, cores: Array, place: Place, lanes: Array, offset: int) -> Expanded:
    """The runs of blocks (senders, cores): what that input of the kernel adds to the neurons of `place` on that core.

    `lanes` (neurons,) are those of the targets. The weights will lie from `offset` on: for each core those of the
    output channels that it holds, and nothing else; cores that hold the same share them.
    """
    channels = conv.weight.shape[0]
    positions = len(place.cores) // channels
    kinds: dict[bytes, int] = {}
    subsets: list[Array] = []
    own = np.zeros(len(place.base), np.int64)
    for core in np.unique(cores).tolist():
        subset = np.unique(place.order[place.first[core] : place.first[core + 1]] // positions)
        own[core] = kinds.setdefault(subset.tobytes(), len(subsets))
        subsets += [subset] if own[core] == len(subsets) else []
    columns = np.full((len(subsets), channels), -1, np.int64)
    for row, subset in zip(columns, subsets, strict=True):
        row[subset] = np.arange(len(subset))
    weights = [_arranged(conv, subset) for subset in subsets]
    starts = offset + np.cumsum([0, *(each.size for each in weights)])[:-1]
    counts = np.array([len(each) for each in subsets], np.int64)
    blocks = senders.astype(np.int64), own[cores], place.first[cores], place.first[cores + 1]
    fixed = (_geometry(conv), _taps(conv, 0), _taps(conv, 1), *blocks, lanes, columns, counts, starts.astype(np.int64))
    numbers = _runs(*fixed, np.zeros(len(senders) + 1, np.int64), np.zeros(0, WEIGHTS_RUN))
    runs = np.zeros(int(numbers[-1]), WEIGHTS_RUN)
    _runs(*fixed, numbers, runs)
    return Expanded(numbers, runs, np.concatenate([conv.weight.reshape(-1)[:0], *weights]))


def _taps(conv: Conv, axis: int) -> Ints:
    """The taps along an axis (0 is height) in an order in which a sender's targets ascend, phase by phase."""
    taps, stride, gap = np.arange(conv.weight.shape[2 + axis]), conv.stride[axis], conv.dilation[axis]
    return np.lexsort((-taps, taps * gap % stride))


def _arranged(conv: Conv, channels: Array) -> Array:
    """The weights of some output channels as the runs want them: by input, row and column, then by channel."""
    weight = conv.weight[channels][:, :, _taps(conv, 0)][:, :, :, _taps(conv, 1)]
    return np.ascontiguousarray(weight.transpose(1, 2, 3, 0)).reshape(-1)


def _geometry(conv: Conv) -> Ints:
    top, left, _, _ = conv.padding
    per_group, outs = conv.weight.shape[1], conv.weight.shape[0] // conv.groups
    numbers = (*conv.in_shape[1:], *conv.out_shape[1:], *conv.stride, top, left, *conv.dilation, per_group, outs)
    return np.array(numbers, np.int64)


@compiled
def _runs(
    geometry: Ints,
    rows: Ints,
    columns: Ints,
    senders: Ints,
    kinds: Ints,
    low: Ints,
    high: Ints,
    lanes: Array,
    places: Ints,
    widths: Ints,
    starts: Ints,
    numbers: Ints,
    runs: Array,
) -> Ints:
    """Count the runs of each block into `numbers`, or write them to `runs` if there are any; returns `numbers`."""
    height, width, out_height, out_width, stride_y, stride_x = geometry[:6]
    top, left, gap_y, gap_x, per_group, outs = geometry[6:]
    last = np.array([-2, -2, 0])
    for block in range(len(senders)):
        kind, channel = kinds[block], senders[block] // (height * width)
        y, x = senders[block] // width % height, senders[block] % width
        last[:2] = -2
        for i in range(len(rows)):
            row = _reached(y + top - rows[i] * gap_y, stride_y, out_height)
            for j in range(len(columns) if row >= 0 else 0):
                column = _reached(x + left - columns[j] * gap_x, stride_x, out_width)
                tap = starts[kind] + ((channel % per_group * len(rows) + i) * len(columns) + j) * widths[kind]
                first = channel // per_group * outs
                for out in range(first, first + outs if column >= 0 else first):
                    lane = lanes[(out * out_height + row) * out_width + column]
                    if low[block] <= lane < high[block]:
                        _append(runs, last, lane, tap + places[kind, out])
        numbers[block + 1] = last[2]
    return numbers


@compiled
def _append(runs: Array, last: Ints, lane: Any, weight: Any) -> None:
    """Add a weight to the last run, or begin another; `last` is the lane and weight before it, and how many runs."""
    fresh = lane != last[0] + 1 or weight != last[1] + 1
    last[0], last[1] = lane, weight
    last[2] += fresh
    if len(runs):
        run = runs[last[2] - 1]
        run["count"] += 1
        if fresh:
            run["first"], run["lane"] = weight, lane


@compiled
def _reached(place: int, stride: int, size: int) -> int:
    """The window, one of `size`, whose tap lies at `place` of a padded axis, or -1."""
    return place // stride if place >= 0 and place % stride == 0 and place // stride < size else -1
