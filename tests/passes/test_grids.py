"""Grids: the step that values lie on is found, and weights are rounded to it row by row."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snncc.arrays import Array
from snncc.linear import Conv, Dense, LinearMap, to_sparse
from snncc.passes.grids import Grid, Incoming, aligned, distances, exact_step, largest_by_unit, rounded
from snncc.passes.precision import Width, levels


def incoming(linear: LinearMap, unit: float = 1.0, width: Width = 8) -> Incoming:
    return Incoming("w", "x", linear, unit, 0, (0, 1), levels(width))


def of_size(*largest: float, widths: tuple[Width, ...] | None = None) -> list[Incoming]:
    """Maps with these largest weights."""
    each = zip(largest, widths or (8,) * len(largest), strict=True)
    return [incoming(Dense(np.array([[0.0, size]])), width=width) for size, width in each]


@given(st.integers(1, 127), st.integers(1, 1000))
def test_steps_are_found(most: int, denominator: int) -> None:
    values = np.arange(0, most + 1) / denominator
    assert exact_step(values.astype(np.float32), 127) == pytest.approx(1 / denominator, rel=1e-5)


def test_no_step_is_found_where_there_is_none() -> None:
    assert exact_step(np.random.default_rng(0).random(5000), 127) is None
    assert exact_step(np.array([1.0, np.pi]), 127) is None


def test_a_map_without_weights_takes_part_in_no_alignment() -> None:
    grid = aligned(of_size(0.0, 8.0, 1.0), 1, 1.0, (0, 15))
    assert grid.exponents == (3, 3, 0)


def test_shifts_keep_within_those_of_the_chip() -> None:
    for low, high in ((0, 15), (1, 15), (2, 4), (3, 3)):
        grid = aligned(of_size(1.0, 9.0, 60.0), 0, 1.0, (low, high))
        assert low <= min(grid.exponents) <= max(grid.exponents) <= high
        largest = grid.quantum * np.ldexp(1.0, grid.exponents[2]) * 127
        assert largest >= 60.0 * 0.74 or max(grid.exponents) == high
    assert aligned(of_size(0.0, 0.0), 0, 1.0, (1, 7)).exponents == (1, 1)


def test_maps_of_fewer_bits_have_coarser_steps() -> None:
    """Steps of 1/127, 1/7 and 1: each map's largest weight fills its own bits, as near as powers of two allow."""
    for anchor in range(3):
        maps = of_size(1.0, 1.0, 1.0, widths=(8, 4, "ternary"))
        grid = aligned(maps, anchor, 1.0, (0, 15))
        for each, exponent in zip(maps, grid.exponents, strict=True):
            assert 2 / 3 <= 1.0 / (grid.quantum * 2.0**exponent * each.levels.high) <= 4 / 3


KERNEL = np.array([[[[1.0, -2.0]]], [[[0.25, 0.5]]]])
CONV = Conv(KERNEL, (1, 1, 3))


@pytest.mark.parametrize(
    ("linear", "quantum", "shape", "expected"),
    [
        (Dense(KERNEL.reshape(2, 2)), np.asarray(0.5), (2,), [[2, -4], [0, 1]]),
        (Dense(KERNEL.reshape(2, 2)), np.array([1.0, 0.25]), (2,), [[1, -2], [1, 2]]),
        (CONV, np.asarray(0.5), (2, 1, 2), [[2, -4], [0, 1]]),
        (CONV, np.array([1.0, 0.25]).reshape(2, 1, 1), (2, 1, 2), [[1, -2], [1, 2]]),
        (CONV, np.array([1.0, 0.25]).reshape(2, 1), (2, 2), [[1, -2], [1, 2]]),
        (to_sparse(Dense(KERNEL.reshape(2, 2))), np.array([1.0, 0.25]), (2,), [1, 1, -2, 2]),
    ],
)
def test_weights_are_rounded_to_the_grid_of_their_row(
    linear: LinearMap, quantum: Array, shape: tuple[int, ...], expected: list[int]
) -> None:
    """3 is the largest weight of 3 bits, and -4 the least."""
    grid = Grid(quantum, (0,))
    found = rounded(incoming(linear, width=3), grid, 0, shape)
    assert found.weight.dtype == np.int8
    assert found.weight.reshape(np.shape(expected)).tolist() == expected
    off = distances(incoming(linear), found, grid, 0, shape, 4)
    assert (np.abs(off) <= 8).all()
    clipped = rounded(incoming(linear, width="ternary"), grid, 0, shape)
    assert clipped.weight.tolist() == np.clip(found.weight, -1, 1).tolist()
    assert (np.abs(distances(incoming(linear), clipped, grid, 0, shape, 4)) > 8).any()


def test_the_largest_weight_of_each_unit() -> None:
    assert largest_by_unit(incoming(CONV, 2.0), (2, 1, 1)).tolist() == [[[4.0]], [[1.0]]]
    assert largest_by_unit(incoming(to_sparse(CONV)), (2, 1)).tolist() == [[2.0], [0.5]]
    assert largest_by_unit(incoming(to_sparse(CONV)), (4,)).tolist() == [2.0, 2.0, 0.5, 0.5]
    assert largest_by_unit(incoming(Dense(KERNEL.reshape(2, 2))), (2,)).tolist() == [2.0, 0.5]
