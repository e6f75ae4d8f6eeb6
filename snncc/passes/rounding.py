"""Rounds the weights of a population together: what one weight is rounded up by, others that act with it make up for.

Rounding each weight to the nearest integer leaves errors that add up wherever sources are active together. Here single
weights move on to the next integer as long as that brings the sums nearer to the unrounded ones on calibration samples.
Every sum is of integers and exact in float64, so that all machines take the same steps.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from snncc.arrays import Array, Floats, Ints, Shape, frozen
from snncc.linear import Conv, Dense, Lateral, LinearMap, Sparse, largest_sum, operator, with_weight
from snncc.passes.grids import Grid, Incoming, distances
from snncc.passes.precision import Levels

FRACTION = 8  # bits below 1 to which the distance of a weight from its integer is known
_BLOCK = 128  # weights of a neuron that make up for each other at once; the blocks follow one another
_MOST_VALUES = 1 << 22  # read by a map, and of errors, in all frames together
_MOST_FRAMES = 4096  # more hardly change what is active together
_DAMPING = 0.1  # of the mean square of an input: keeps weights near where samples say little about them
_EXACT = 50  # bits of sums in float64 that leave room for what is added to them


@dataclass(frozen=True, eq=False)
class Block:
    """Some weights of some rows of a map: what each of them reads, (readings, inputs), and what two of them do.

    `square` (inputs, inputs) is the sum over all readings of what the two read, multiplied.
    """

    rows: slice
    inputs: slice
    read: Floats
    square: Floats


@dataclass(frozen=True, eq=False)
class Frames:
    """What each map reads at some steps of some samples: integers, (frames, in_size), and the same in blocks."""

    values: tuple[Array, ...]
    blocks: tuple[tuple[Block, ...], ...]


def frames(maps: Sequence[LinearMap], values: Sequence[Array]) -> Frames:
    """The frames in which the maps read these values."""
    with threadpool_limits(1, "blas"):  # several would only wait for each other, as products are small
        return Frames(tuple(values), tuple(tuple(_blocks(*each)) for each in zip(maps, values, strict=True)))


def chosen_frames(maps: Sequence[LinearMap], size: int, live: Array) -> tuple[Ints, Ints]:
    """The samples and steps to look at: evenly spread over those that are live, as many as there is room for."""
    widest = max(size, *(_read(each) for each in maps))
    samples, steps = np.nonzero(live)
    most = min(len(samples), _MOST_FRAMES, max(1, _MOST_VALUES // widest))
    chosen = np.arange(most) * len(samples) // most
    return samples[chosen], steps[chosen]


def _read(linear: LinearMap) -> int:
    """How many values the weights of a map are multiplied with in one frame."""
    if isinstance(linear, Conv):
        return linear.weight[0].size * linear.groups * math.prod(linear.out_shape[1:])
    return linear.in_size


def together(
    incoming: Sequence[Incoming], nearest: Sequence[LinearMap], frames: Frames, grid: Grid, shape: Shape
) -> tuple[LinearMap, ...]:
    """The maps, given rounded to the `nearest` of their levels, with the weights moved that bring sums nearer."""
    off = [
        distances(each, linear, grid, exponent, shape, FRACTION)
        for each, linear, exponent in zip(incoming, nearest, grid.exponents, strict=True)
    ]
    error = np.zeros((frames.values[0].shape[0], nearest[0].out_size))
    bound = 0.0
    for linear, distance, exponent, x in zip(nearest, off, grid.exponents, frames.values, strict=True):
        wrong = with_weight(linear, np.ldexp(distance, exponent))
        bound += largest_sum(wrong) * float(np.abs(x).max(initial=0))
        error += operator(wrong, np.float64)(x.astype(np.float64))
    if bound >= 2.0**_EXACT:
        return tuple(nearest)
    error = np.ascontiguousarray(error.T)
    maps: list[LinearMap] = []
    with threadpool_limits(1, "blas"):
        for each, linear, distance, exponent, blocks in zip(
            incoming, nearest, off, grid.exponents, frames.blocks, strict=True
        ):
            still = each.map.weight == 0  # as pruning left it
            moved, error = _moved(linear, distance, error, blocks, exponent, each.levels, still)
            maps.append(moved)
    return tuple(maps)


def _moved(
    linear: LinearMap,
    off: Array,
    error: Floats,
    blocks: Sequence[Block],
    exponent: int,
    levels: Levels,
    still: Array,
) -> tuple[LinearMap, Floats]:
    """A map with weights moved, but for those that are to stay, and the error (size, frames) that is left."""
    if not blocks:
        return linear, error
    weight, step = linear.weight.reshape(len(linear.weight), -1).astype(np.int64), 1 << (FRACTION + exponent)
    off = np.ldexp(off.reshape(weight.shape), exponent)
    left = error.reshape(len(weight), -1).copy()
    for block in blocks:
        part = block.rows, block.inputs
        own = weight[part], off[part], still.reshape(weight.shape)[part]
        moves = _moves(*own, _pull(left[block.rows], block.read), block.square, step, levels)
        weight[part] += moves
        left[block.rows] += (moves * float(step)) @ block.read.T
    moved = weight.astype(linear.weight.dtype).reshape(linear.weight.shape)
    return with_weight(linear, frozen(moved)), left.reshape(error.shape)


def _blocks(linear: LinearMap, x: Array) -> Iterator[Block]:
    """The weights of a map that can make up for each other; of a listed one none, as its targets differ in sources."""
    for rows, read in () if isinstance(linear, (Sparse, Lateral)) else readers(linear, x):
        for first in range(0, read.shape[1], _BLOCK):
            near = np.ascontiguousarray(read[:, first : first + _BLOCK])
            yield Block(rows, slice(first, first + _BLOCK), near, near.T @ near)


def readers(linear: Dense | Conv, x: Array) -> Iterator[tuple[slice, Floats]]:
    """Rows of the weights that read the same sources, with what each of their weights reads: (readings, inputs)."""
    if isinstance(linear, Dense):
        yield slice(None), x.astype(np.float64)
        return
    channels, height, width = linear.in_shape
    top, left, bottom, right = linear.padding
    (step_y, step_x), (gap_y, gap_x) = linear.stride, linear.dilation
    spans = tuple((taps - 1) * gap + 1 for taps, gap in zip(linear.weight.shape[2:], linear.dilation, strict=True))
    images = np.pad(x.reshape(-1, channels, height, width), ((0, 0), (0, 0), (top, bottom), (left, right)))
    windows = np.lib.stride_tricks.sliding_window_view(images, spans, (2, 3))
    windows = windows[:, :, ::step_y, ::step_x, ::gap_y, ::gap_x].transpose(2, 3, 0, 1, 4, 5)
    inner, outer = channels // linear.groups, len(linear.weight) // linear.groups
    for group in range(linear.groups):
        own = windows[:, :, :, group * inner : (group + 1) * inner].astype(np.float64)
        yield slice(group * outer, (group + 1) * outer), own.reshape(-1, linear.weight[0].size)


def _pull(error: Floats, near: Floats) -> Floats:
    """How strongly the squared error grows with each weight: exact, if need be for errors of fewer bits."""
    bits = np.frexp(np.abs(error).max(initial=0) * np.abs(near).sum(axis=0).max(initial=0))[1]
    spare = max(0, int(bits) - _EXACT)
    return np.ldexp(np.rint(np.ldexp(error, -spare)) @ near, spare)


def _moves(weight: Ints, off: Floats, still: Array, pull: Floats, square: Floats, step: int, levels: Levels) -> Ints:
    """How far to move each weight: in each row the best one by 1, again and again, until none helps any more.

    All arrays are (rows, inputs), `square` is (inputs, inputs): what two weights read, multiplied and added up.
    """
    damping = np.rint(_DAMPING * square.trace() / len(square))
    square, pull = square + damping * np.eye(len(square)), pull + damping * off
    least = square.diagonal() * (step / 2)
    moves, rows = np.zeros_like(weight), np.arange(len(weight))
    for _ in range(2 * len(square)):
        towards = -np.sign(pull[rows])
        gain = np.abs(pull[rows]) - least
        moved = weight[rows] + moves[rows]
        gain[np.where(towards > 0, moved >= levels.high, moved <= levels.low) | still[rows]] = 0
        best = gain.argmax(axis=1)
        helped = gain[np.arange(len(rows)), best] > 0
        if not helped.any():
            break
        rows, best, sign = rows[helped], best[helped], towards[helped, best[helped]]
        moves[rows, best] += sign.astype(np.int64)
        pull[rows] += (sign * step)[:, None] * square[best]
    return moves
