"""Rounds the float weights of a population to integers: what the integer 1 stands for, and which shift each map has."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from snncc.arrays import Array, Floats, Shape, frozen
from snncc.linear import Conv, Dense, Lateral, LinearMap, Sparse, with_weight
from snncc.passes.precision import Levels

_ROWS_AT_ONCE = 1 << 21  # weights that are rounded at once, so that float64 copies stay small
_FINEST = 1024  # steps up to the largest value; among more, chance would find some that fit
_FEW = 512  # distinct magnitudes up to which values may lie on a grid by intent


@dataclass(frozen=True, eq=False)
class Incoming:
    """A linear map into a population.

    `unit` is what the integer 1 of its source stands for, times the edges' gains; `sent` is the least and the
    greatest integer that the source sends, `levels` those that its weights may be.
    """

    name: str
    source: str
    map: LinearMap
    unit: float
    delay: int
    sent: tuple[int, int]
    levels: Levels


@dataclass(frozen=True, eq=False)
class Grid:
    """`quantum` is what 1 in the accumulator stands for: () for the population, else broadcast to its shape.

    `exponents` has a left shift per incoming map: its weight W stands for W * quantum * 2**exponent.
    """

    quantum: Floats
    exponents: tuple[int, ...]


def top(bits: int) -> int:
    """The largest weight of so many bits."""
    return (1 << (bits - 1)) - 1


def rounded(incoming: Incoming, grid: Grid, exponent: int, shape: Shape) -> LinearMap:
    """The map with integer weights on the grid: rounded half to even, clipped to its levels."""
    linear, (low, high) = incoming.map, (incoming.levels.low, incoming.levels.high)
    dtype = next(kind for kind in (np.int8, np.int16, np.int64) if high <= np.iinfo(kind).max)
    weight = np.empty(linear.weight.shape, dtype)
    for part, scaled in _scaled(incoming, grid, exponent, shape):
        weight[part] = np.clip(np.rint(scaled), low, high)
    return with_weight(linear, frozen(weight))


def distances(incoming: Incoming, integers: LinearMap, grid: Grid, exponent: int, shape: Shape, fraction: int) -> Array:
    """How far each integer weight lies above the float one, in units of 2**-fraction: whole numbers, float32."""
    result = np.empty(integers.weight.shape, np.float32)
    for part, scaled in _scaled(incoming, grid, exponent, shape):
        result[part] = np.rint(np.ldexp(integers.weight[part] - scaled, fraction))
    return result


def _scaled(incoming: Incoming, grid: Grid, exponent: int, shape: Shape) -> Iterator[tuple[slice, Floats]]:
    """Rows of a map's weights in steps of the grid."""
    weight = incoming.map.weight
    per_row = _per_row(np.ldexp(grid.quantum, exponent) / incoming.unit, incoming.map, shape)
    rows = max(1, _ROWS_AT_ONCE // max(1, weight[:1].size))
    for first in range(0, len(weight), rows):
        part = slice(first, first + rows)
        yield part, weight[part].astype(np.float64) / (per_row if per_row.ndim == 0 else per_row[part])


def _per_row(step: Floats, linear: LinearMap, shape: Shape) -> Floats:
    """A value per population or neuron, laid out to divide a map's weights."""
    if step.ndim == 0:
        return step
    if isinstance(linear, Conv):
        return step.reshape(-1, 1, 1, 1)
    spread = np.broadcast_to(step, shape).reshape(-1)
    if isinstance(linear, Lateral):
        return spread[:1]
    return spread[:, None] if isinstance(linear, Dense) else spread[linear.targets]


def largest(incoming: Incoming) -> float:
    """The largest contribution of one integer from the source."""
    return float(np.abs(incoming.map.weight).max(initial=0.0)) * abs(incoming.unit)


def largest_by_unit(incoming: Incoming, units: Shape) -> Floats:
    """As `largest`, for each unit of the target: a channel (a convolution's weights know no less), or a neuron."""
    linear = incoming.map
    magnitude = np.abs(linear.weight)
    if isinstance(linear, Sparse):
        most = np.zeros(linear.out_size)
        np.maximum.at(most, linear.targets, magnitude)
    else:
        most = magnitude.reshape(len(magnitude), -1).max(axis=1, initial=0.0).astype(np.float64)
    if isinstance(linear, Lateral):
        most = np.repeat(most, linear.size)
    return most.reshape(math.prod(units), -1).max(axis=1).reshape(units) * abs(incoming.unit)


def aligned(incoming: Sequence[Incoming], anchor: int, ratio: float, span: tuple[int, int]) -> Grid:
    """The grid on which map `anchor` has its largest weight times `ratio` as its largest integer.

    The others get the shift that brings their own largest weight closest to theirs; shifts lie in `span`.
    """
    largests, tops = [largest(each) for each in incoming], [each.levels.high for each in incoming]
    quantum, (low, high) = largests[anchor] * ratio / tops[anchor], span
    if quantum == 0.0:
        return Grid(frozen(1.0), (low,) * len(largests))
    shifts = [_shift(each * (tops[anchor] / most), largests[anchor]) for each, most in zip(largests, tops, strict=True)]
    lowest = max(min(shifts), max(shifts) - (high - low))
    return Grid(frozen(np.ldexp(quantum, lowest - low)), tuple(low + max(0, shift - lowest) for shift in shifts))


def _shift(largest: float, anchor: float) -> int:
    """The power of two by which a map is coarser than the anchor; its largest weight is clipped to 0.75 at most."""
    if largest == 0.0:
        return 0
    mantissa, exponent = np.frexp(largest / anchor)
    return int(exponent) - (1 if mantissa <= 2 / 3 else 0)


def exact_step(values: Array, most: int) -> float | None:
    """The coarsest step of which every value is a multiple of at most `most`, or None where there is no such step.

    Values may be off by float32's rounding: pixels divided by 255 count, as do weights that were trained on a grid.
    """
    flat = np.abs(values.reshape(-1))
    if len(np.unique(flat[:: max(1, flat.size // 4096)])) > min(_FEW, most + 1):
        return None
    distinct = np.unique(flat).astype(np.float64)
    if not 0 < len(distinct) <= min(_FEW, most + 1) or distinct[-1] == 0.0:
        return None
    for count in range(1, min(most, _FINEST) + 1):
        multiples = distinct / (distinct[-1] / count)
        if (np.abs(multiples - np.rint(multiples)) <= 1e-6 * count).all():
            return float(distinct[-1] / count)
    return None
