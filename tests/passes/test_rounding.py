"""Rounding together: sums come nearer to the unrounded ones than those of weights rounded one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snncc.arrays import Array
from snncc.linear import Conv, Dense, LinearMap, operator, to_sparse
from snncc.passes.grids import Grid, Incoming, rounded
from snncc.passes.precision import Levels, levels
from snncc.passes.rounding import _BLOCK, _moves, chosen_frames, frames, readers, together

LEVELS = levels(4)


def chain_of(*maps: LinearMap) -> tuple[Incoming, ...]:
    return tuple(Incoming(f"w{index}", f"x{index}", each, 1.0, 0, (0, 1), LEVELS) for index, each in enumerate(maps))


def both(maps: tuple[LinearMap, ...], grid: Grid, xs: tuple[Array, ...]) -> tuple[tuple[LinearMap, ...], ...]:
    """The maps rounded one by one, and together."""
    incoming, shape = chain_of(*maps), (maps[0].out_size,)
    nearest = tuple(rounded(each, grid, shift, shape) for each, shift in zip(incoming, grid.exponents, strict=True))
    return nearest, together(incoming, nearest, frames(maps, xs), grid, shape)


def error(maps: tuple[LinearMap, ...], integers: tuple[LinearMap, ...], grid: Grid, xs: tuple[Array, ...]) -> float:
    """The squared error of the sums, in the accumulator's units."""
    wrong = 0
    for given_map, found, shift, x in zip(maps, integers, grid.exponents, xs, strict=True):
        exact = operator(given_map, np.float64)(x.astype(np.float64)) / grid.quantum
        wrong = wrong + operator(found, np.float64)(x.astype(np.float64)) * 2.0**shift - exact
    return float(np.square(wrong).sum())


@st.composite
def map_and_input(draw: Any) -> tuple[LinearMap, Array]:
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    kind = draw(st.sampled_from(["dense", "conv", "groups", "strided", "listed"]))
    if kind in ("dense", "listed"):
        dense = Dense(rng.normal(size=(3, 12)))
        linear: LinearMap = dense if kind == "dense" else to_sparse(dense)
    else:
        groups, stride, dilation = {"conv": (1, 1, 1), "groups": (2, 1, 1), "strided": (1, 2, 2)}[kind]
        weight = rng.normal(size=(4, 2 // groups, 2, 3))
        linear = Conv(weight, (2, 6, 7), (stride, 1), (1, 0, 0, 2), (1, dilation), groups)
    return linear, (rng.random((30, linear.in_size)) < 0.4) * rng.integers(1, 4, linear.in_size)


@settings(max_examples=60, deadline=None)
@given(map_and_input(), st.sampled_from([0.1, 0.3, 0.7]))
def test_sums_come_nearer(case: tuple[LinearMap, Array], quantum: float) -> None:
    linear, x = case
    grid = Grid(np.asarray(quantum), (0,))
    nearest, moved = both((linear,), grid, (x,))
    assert LEVELS.low <= moved[0].weight.min() <= moved[0].weight.max() <= LEVELS.high
    assert moved[0].weight.dtype == nearest[0].weight.dtype
    # distances are known to a part in 256, so errors are to about a hundredth
    assert error((linear,), moved, grid, (x,)) <= 1.02 * error((linear,), nearest, grid, (x,))


def test_much_nearer_where_sources_act_together() -> None:
    rng = np.random.default_rng(2)
    common = rng.random((200, 1)) < 0.5
    x = (rng.random((200, 2 * _BLOCK + 10)) < 0.1) | common
    linear = Dense(rng.normal(size=(5, x.shape[1])))
    grid = Grid(np.asarray(0.4), (0,))
    nearest, moved = both((linear,), grid, (x,))
    assert error((linear,), moved, grid, (x,)) < 0.2 * error((linear,), nearest, grid, (x,))


def test_maps_make_up_for_each_other() -> None:
    """Both read the same sources, one of them with a shift; a listed one is left alone, but made up for."""
    rng = np.random.default_rng(3)
    x = (rng.random((100, 9)) < 0.5).astype(np.int8)
    maps = (Dense(rng.normal(size=(4, 9))), to_sparse(Dense(rng.normal(size=(4, 9)) * 3)))
    grid = Grid(np.asarray(0.2), (0, 2))
    nearest, moved = both(maps, grid, (x, x))
    assert np.array_equal(moved[1].weight, nearest[1].weight)
    assert error(maps, moved, grid, (x, x)) < 0.5 * error(maps, nearest, grid, (x, x))


def test_the_order_of_frames_changes_nothing() -> None:
    rng = np.random.default_rng(4)
    x = rng.integers(-127, 128, (300, 40))
    linear, grid = Dense(rng.normal(size=(6, 40)).astype(np.float32)), Grid(np.asarray(0.31), (0,))
    one, other = (both((linear,), grid, (each,))[1][0].weight for each in (x, x[rng.permutation(300)]))
    assert np.array_equal(one, other)


def test_sources_that_never_act_keep_their_weights() -> None:
    rng = np.random.default_rng(5)
    x = (rng.random((100, 20)) < 0.5).astype(np.int8)
    x[:, ::2] = 0
    (nearest,), (moved,) = both((Dense(rng.normal(size=(60, 20))),), Grid(np.asarray(0.5), (0,)), (x,))
    assert np.array_equal(moved.weight[:, ::2], nearest.weight[:, ::2])
    assert (moved.weight[:, 1::2] != nearest.weight[:, 1::2]).any()


def test_no_single_move_is_left_that_helps() -> None:
    rng = np.random.default_rng(6)
    x = rng.integers(0, 3, (40, 6)).astype(np.float64)
    weight, off, step = rng.integers(-3, 4, (5, 6)), rng.integers(-128, 129, (5, 6)).astype(np.float64), 256
    square = x.T @ x
    moves = _moves(weight, off, np.zeros((5, 6), bool), off @ square, square, step, Levels(-3, 3))
    damping = np.rint(0.1 * square.trace() / 6)

    def cost(each: Array) -> Array:
        left = off + each * step
        return np.square(left @ x.T).sum(axis=1) + damping * np.square(left).sum(axis=1)

    assert (cost(moves) <= cost(np.zeros_like(moves))).all()
    for column in range(6):
        for way in (-1, 1):
            other = moves.copy()
            other[:, column] += way
            allowed = np.abs(weight + other).max(axis=1) <= 3
            assert (cost(other) >= cost(moves))[allowed].all()


@pytest.mark.parametrize("groups", [1, 2])
def test_what_weights_read_makes_up_the_sums(groups: int) -> None:
    rng = np.random.default_rng(7)
    weight = rng.integers(-3, 4, (4, 4 // groups, 3, 2))
    conv = Conv(weight, (4, 7, 6), (2, 1), (1, 0, 1, 2), (2, 3), groups)
    x = rng.integers(0, 2, (5, conv.in_size))
    expected = operator(conv, np.float64)(x.astype(np.float64)).T.reshape(4, -1)
    for rows, read in readers(conv, x):
        assert np.array_equal(weight.reshape(4, -1)[rows] @ read.T, expected[rows])


def test_sums_that_would_not_be_exact_are_left_alone() -> None:
    x = np.full((3, 4), 1 << 45)
    nearest, moved = both((Dense(np.full((2, 4), 0.3)),), Grid(np.asarray(0.2), (0,)), (x,))
    assert moved == nearest


def test_frames_are_live_and_spread_evenly() -> None:
    live = np.arange(50)[None] < np.array([50, 10, 30])[:, None]
    samples, steps = chosen_frames([Dense(np.ones((2, 3)))], 2, live)
    assert live[samples, steps].all()
    assert len(samples) == 90
    samples, steps = chosen_frames([Dense(np.ones((1, 1 << 21)))], 1, live)
    assert list(zip(samples, steps, strict=True)) == [(0, 0), (0, 45)]
