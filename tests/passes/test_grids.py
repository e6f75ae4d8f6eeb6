"""Grids: the step that values lie on is found, and weights are rounded to it row by row."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snncc.arrays import Array
from snncc.linear import Conv, Dense, LinearMap, to_sparse
from snncc.passes.grids import Grid, Incoming, aligned, distances, exact_step, largest_by_unit, rounded


def incoming(linear: LinearMap, unit: float = 1.0) -> Incoming:
    return Incoming("w", "x", linear, unit, 0, (0, 1))


@given(st.integers(1, 127), st.integers(1, 1000))
def test_steps_are_found(most: int, denominator: int) -> None:
    values = np.arange(0, most + 1) / denominator
    assert exact_step(values.astype(np.float32), 127) == pytest.approx(1 / denominator, rel=1e-5)


def test_no_step_is_found_where_there_is_none() -> None:
    assert exact_step(np.random.default_rng(0).random(5000), 127) is None
    assert exact_step(np.array([1.0, np.pi]), 127) is None


def test_a_map_without_weights_takes_part_in_no_alignment() -> None:
    grid = aligned((0.0, 8.0, 1.0), 1, 1.0, 8, (0, 15))
    assert grid.exponents == (3, 3, 0)


def test_shifts_keep_within_those_of_the_chip() -> None:
    for low, high in ((0, 15), (1, 15), (2, 4), (3, 3)):
        grid = aligned((1.0, 9.0, 60.0), 0, 1.0, 8, (low, high))
        assert low <= min(grid.exponents) <= max(grid.exponents) <= high
        largest = grid.quantum * np.ldexp(1.0, grid.exponents[2]) * 127
        assert largest >= 60.0 * 0.74 or max(grid.exponents) == high
    assert aligned((0.0, 0.0), 0, 1.0, 8, (1, 7)).exponents == (1, 1)


KERNEL = np.array([[[[1.0, -2.0]]], [[[0.25, 0.5]]]])
CONV = Conv(KERNEL, (1, 1, 3))


@pytest.mark.parametrize(
    ("linear", "quantum", "shape", "expected"),
    [
        (Dense(KERNEL.reshape(2, 2)), np.asarray(0.5), (2,), [[2, -3], [0, 1]]),
        (Dense(KERNEL.reshape(2, 2)), np.array([1.0, 0.25]), (2,), [[1, -2], [1, 2]]),
        (CONV, np.asarray(0.5), (2, 1, 2), [[2, -3], [0, 1]]),
        (CONV, np.array([1.0, 0.25]).reshape(2, 1, 1), (2, 1, 2), [[1, -2], [1, 2]]),
        (CONV, np.array([1.0, 0.25]).reshape(2, 1), (2, 2), [[1, -2], [1, 2]]),
        (to_sparse(Dense(KERNEL.reshape(2, 2))), np.array([1.0, 0.25]), (2,), [1, 1, -2, 2]),
    ],
)
def test_weights_are_rounded_to_the_grid_of_their_row(
    linear: LinearMap, quantum: Array, shape: tuple[int, ...], expected: list[int]
) -> None:
    """3 is the largest weight of 3 bits, so -4 is clipped."""
    grid = Grid(quantum, (0,))
    found = rounded(incoming(linear), grid, 0, shape, 3)
    assert found.weight.dtype == np.int8
    assert found.weight.reshape(np.shape(expected)).tolist() == expected
    off = distances(incoming(linear), found, grid, 0, shape, 4)
    assert (np.abs(off) <= 8).all() == (expected[0] != [2, -3])


def test_the_largest_weight_of_each_unit() -> None:
    assert largest_by_unit(incoming(CONV, 2.0), (2, 1, 1)).tolist() == [[[4.0]], [[1.0]]]
    assert largest_by_unit(incoming(to_sparse(CONV)), (2, 1)).tolist() == [[2.0], [0.5]]
    assert largest_by_unit(incoming(to_sparse(CONV)), (4,)).tolist() == [2.0, 2.0, 0.5, 0.5]
    assert largest_by_unit(incoming(Dense(KERNEL.reshape(2, 2))), (2,)).tolist() == [2.0, 0.5]
