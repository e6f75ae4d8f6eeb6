"""Coarsens a grid until a chip can hold what stands on it: thresholds, biases and, where samples show it, membranes.

A finer grid keeps more of the weights, but a chip's parameters have fewer bits than its registers, and what does not
fit is cut off: a bias loses its meaning long before weights lose theirs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from snncc.arrays import Floats, Shape
from snncc.chip import Chip
from snncc.layers import Neuron
from snncc.passes.grids import Grid


def held(neuron: Neuron, grid: Grid, chip: Chip, most: int, seen: float | None = None) -> Grid:
    """The grid, so coarse that the chip's parameters hold the neuron's, and its membrane register `seen` too.

    `seen` is the largest |membrane|, in the model's own measure. The largest weight, `most` on the grid, is never
    rounded away: where even that is not enough, parameters are cut off.
    """
    least = _least(neuron, grid, chip, chip.accumulator.input_shift[0], seen)
    return replace(grid, quantum=np.maximum(grid.quantum, np.minimum(least, grid.quantum * most)))


def reachable(neuron: Neuron, grid: Grid, chip: Chip, most: int) -> Grid:
    """The grid, so coarse that thresholds lie within the membrane's register: beyond it no neuron would ever fire."""
    if neuron.threshold is None:
        return grid
    least = np.abs(np.broadcast_to(neuron.threshold, neuron.shape)) / chip.membrane.register.hi
    least = _by_unit(np.ldexp(least, chip.accumulator.input_shift[0]), np.shape(grid.quantum))
    return replace(grid, quantum=np.maximum(grid.quantum, np.minimum(least, grid.quantum * most)))


def holds(neuron: Neuron, grid: Grid, chip: Chip, shift: int, grown: float = 1.0) -> bool:
    """Whether the chip's parameters hold the neuron's where accumulators are shifted left by so many bits in all.

    Membranes have to reach the threshold when it is `grown` times as high, too.
    """
    seen = None if neuron.threshold is None else float(np.abs(neuron.threshold).max()) * grown
    return bool((_least(neuron, grid, chip, shift, seen) <= grid.quantum).all())


def _least(neuron: Neuron, grid: Grid, chip: Chip, shift: int, seen: float | None) -> Floats:
    """The finest quantum on which all is held, of the shape of the grid's own."""
    least = np.zeros(neuron.shape)
    for value, limit in _limits(neuron, chip, seen):
        least = np.maximum(least, np.abs(value) / limit)
    return _by_unit(np.ldexp(least, shift), np.shape(grid.quantum))


def _limits(neuron: Neuron, chip: Chip, seen: float | None) -> Iterator[tuple[Floats, int]]:
    """What a chip has to hold, each with the largest integer that it holds of that kind."""
    if chip.parameters:
        yield neuron.bias.astype(np.float64), chip.parameters.largest_bias
    if chip.parameters and neuron.threshold is not None:
        yield neuron.threshold.astype(np.float64), chip.parameters.largest_threshold
    if neuron.threshold is not None:
        yield neuron.threshold.astype(np.float64), chip.membrane.register.hi
    if seen is not None:
        yield np.asarray(seen), chip.membrane.register.hi


def _by_unit(values: Floats, shape: Shape) -> Floats:
    """The largest of each unit's values; `shape` is () for the population, or has 1 where units span an axis."""
    if not shape:
        return values.max()
    return values.max(axis=tuple(axis for axis, length in enumerate(shape) if length == 1), keepdims=True)
