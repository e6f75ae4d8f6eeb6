"""A product of maps does exactly what its factors do one after the other, and takes the form that it should."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snncc.arrays import Array, Shape
from snncc.layers import size
from snncc.linear import Conv, Dense, LinearMap, Sparse, malformed, operator, to_sparse
from snncc.passes import compose as composing
from snncc.passes.compose import TooLargeError, added, compose, diagonal, identity, scaled, selection, uniform
from snncc.passes.convolve import convolution_after


def matrix(linear: LinearMap) -> Array:
    return operator(linear, np.float64)(np.eye(linear.in_size)).T


def same(one: LinearMap, other: Array) -> bool:
    return malformed(one) is None and np.array_equal(matrix(one), other)


def dyadic(rng: np.random.Generator, *shape: int) -> Array:
    return rng.integers(-8, 9, shape) / 16


@st.composite
def convolutions(draw: Any, in_shape: Shape) -> Conv:
    channels, *sizes = in_shape
    groups = draw(st.sampled_from([each for each in (1, 2, channels) if channels % each == 0]))
    outs = groups * draw(st.integers(1, 2))
    padding = draw(st.tuples(*[st.integers(0, 2)] * 4))
    kernel, dilation = [], []
    for at in range(2):
        room = sizes[at] + padding[at] + padding[at + 2]
        kernel.append(draw(st.integers(1, min(3, room))))
        dilation.append(draw(st.integers(1, max(1, (room - 1) // max(1, kernel[-1] - 1)))) if kernel[-1] > 1 else 1)
    stride = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    weight = dyadic(rng, outs, channels // groups, *kernel)
    return Conv(weight, in_shape, stride, padding, (min(dilation[0], 3), min(dilation[1], 3)), groups)


@st.composite
def pools(draw: Any, in_shape: Shape) -> Conv:
    kernel = draw(st.tuples(*(st.integers(1, min(3, each)) for each in in_shape[1:])))
    stride = draw(st.one_of(st.just(kernel), st.tuples(st.integers(1, 3), st.integers(1, 3))))
    weight = np.full((in_shape[0], 1, *kernel), draw(st.sampled_from([1.0, 0.25])))
    return Conv(weight, in_shape, stride, draw(st.tuples(*[st.integers(0, 1)] * 4)), groups=in_shape[0])


@st.composite
def any_map(draw: Any, in_shape: Shape) -> tuple[LinearMap, Shape]:
    """A map of any form, with the shape of what it gives."""
    kinds = ["dense", "sparse", "diagonal", "channels", "selection", "identity"]
    kind = draw(st.sampled_from([*kinds, "conv", "conv", "pool"] if len(in_shape) == 3 else kinds))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    if kind in ("conv", "pool"):
        conv = draw(convolutions(in_shape) if kind == "conv" else pools(in_shape))
        return conv, conv.out_shape
    if kind == "dense":
        out_shape = draw(st.sampled_from([(3,), (2, 3, 4)]))
        return Dense(dyadic(rng, size(out_shape), size(in_shape))), out_shape
    if kind == "sparse":
        dense = dyadic(rng, 7, size(in_shape)) * (rng.random((7, size(in_shape))) < 0.2)
        return to_sparse(Dense(dense)), (7,)
    if kind == "selection":
        out_shape = draw(st.sampled_from([(5,), in_shape, (2, *in_shape[1:])]))
        return selection(rng.integers(-1, size(in_shape), out_shape), in_shape, out_shape), out_shape
    shape = (in_shape[0], *[1] * (len(in_shape) - 1)) if kind == "channels" else in_shape
    return identity(in_shape) if kind == "identity" else diagonal(dyadic(rng, *shape), in_shape), in_shape


shapes = st.sampled_from([(2, 5, 4), (4, 3, 6), (1, 7, 7), (6,), (3, 1, 5)])


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_product_is_its_factors_one_after_the_other(data: Any) -> None:
    inner, between = data.draw(any_map(data.draw(shapes)))
    outer, _ = data.draw(any_map(between))
    assert same(compose(outer, inner), matrix(outer) @ matrix(inner))


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_two_convolutions_are_joined_only_where_that_is_exact(data: Any) -> None:
    in_shape = data.draw(st.sampled_from([(2, 6, 5), (4, 4, 9), (2, 9, 3)]))
    inner = data.draw(st.one_of(convolutions(in_shape), pools(in_shape)))
    outer = data.draw(st.one_of(convolutions(inner.out_shape), pools(inner.out_shape)))
    joined = convolution_after(outer, inner)
    assert joined is None or same(joined, matrix(outer) @ matrix(inner))


def pool(in_shape: Shape, kernel: int, stride: int, padding: int = 0) -> Conv:
    weight = np.full((in_shape[0], 1, kernel, kernel), 0.25)
    return Conv(weight, in_shape, (stride, stride), (padding,) * 4, groups=in_shape[0])


def conv(in_shape: Shape, outs: int, kernel: int, padding: int, stride: int = 1) -> Conv:
    weight = dyadic(np.random.default_rng(0), outs, in_shape[0], kernel, kernel)
    return Conv(weight, in_shape, (stride, stride), (padding,) * 4)


@pytest.mark.parametrize(
    ("outer", "inner", "kernel", "stride", "padding"),
    [
        (conv((2, 4, 4), 3, 3, 1), pool((2, 8, 8), 2, 2), 6, 2, (2, 2, 2, 2)),
        (pool((3, 8, 8), 2, 2), conv((2, 8, 8), 3, 3, 1), 4, 2, (1, 1, 1, 1)),
        (conv((2, 4, 4), 3, 3, 0), pool((2, 9, 9), 2, 2), 6, 2, (0, 0, 0, 0)),
        (pool((2, 4, 4), 4, 4), pool((2, 8, 8), 2, 2), 8, 8, (0, 0, 0, 0)),
    ],
    ids=["conv after pool", "pool after conv", "a dropped remainder that no padding meets", "pool after pool"],
)
def test_pools_and_convolutions_become_one_convolution(
    outer: Conv, inner: Conv, kernel: int, stride: int, padding: tuple[int, ...]
) -> None:
    joined = compose(outer, inner)
    assert isinstance(joined, Conv)
    assert joined.weight.shape[2:] == (kernel, kernel)
    assert (joined.stride, joined.padding) == ((stride, stride), padding)
    assert same(joined, matrix(outer) @ matrix(inner))


@pytest.mark.parametrize(
    ("outer", "inner"),
    [
        (conv((2, 4, 4), 3, 3, 1), pool((2, 9, 9), 2, 2)),
        (conv((2, 8, 8), 3, 3, 1), pool((2, 8, 8), 3, 1, padding=1)),
        (conv((2, 8, 8), 3, 3, 1), conv((2, 8, 8), 2, 3, 1)),
    ],
    ids=["padding over a remainder that the pool dropped", "padding beside a padded pool", "two padded convolutions"],
)
def test_padding_behind_values_that_are_not_zero_is_listed(outer: Conv, inner: Conv) -> None:
    assert convolution_after(outer, inner) is None
    joined = compose(outer, inner)
    assert not isinstance(joined, Conv)
    assert same(joined, matrix(outer) @ matrix(inner))


def test_an_identity_changes_nothing_not_even_the_array() -> None:
    weight = np.ones((6, 8), np.float32)
    dense = Dense(weight)
    for shape in ((8,), (2, 2, 2), (2, 4)):
        assert compose(dense, identity(shape)) is dense
    assert compose(identity((6,)), dense) is dense
    assert scaled(dense, 1.0) is dense
    in_place = selection(np.arange(8), (8,), (8,))
    product = compose(dense, in_place)
    assert isinstance(product, Dense)
    assert np.shares_memory(product.weight, weight)


def test_single_precision_stays_where_it_is_exact() -> None:
    dense = Dense(np.full((3, 8), 0.1, np.float32))
    average = Conv(np.full((2, 1, 2, 2), 0.25), (2, 4, 4), (2, 2), groups=2)
    backwards = selection(np.arange(8)[::-1], (8,), (8,))
    for product in (compose(dense, average), compose(dense, backwards), scaled(dense, -2.0)):
        assert product.weight.dtype == np.float32
    assert scaled(dense, 0.3).weight.dtype == np.float64
    assert compose(dense, diagonal(np.linspace(0.1, 1, 8), (8,))).weight.dtype == np.float64


def test_forms_are_the_smallest() -> None:
    channels = selection(np.r_[16:32, [-1] * 16, 0:16], (2, 4, 4), (3, 4, 4))
    assert isinstance(channels, Conv)
    assert channels.weight[:, :, 0, 0].tolist() == [[0, 1], [0, 0], [1, 0]]
    assert isinstance(selection(np.arange(32)[::-1], (2, 4, 4), (32,)), Sparse)
    assert isinstance(compose(conv((3, 4, 4), 2, 3, 1), channels), Conv)
    assert isinstance(diagonal(np.arange(32.0), (32,)), Sparse)
    assert isinstance(diagonal(np.arange(2.0).reshape(2, 1, 1), (2, 4, 4)), Conv)
    assert identity((32,)).weight.size == 1
    assert uniform(identity((2, 4, 4))) == 1.0
    assert uniform(pool((2, 4, 4), 1, 2)) is None
    few_rows = compose(selection(np.r_[0, [-1] * 9], (3,), (10,)), Dense(np.ones((3, 5))))
    assert isinstance(few_rows, Sparse)
    few_rows = compose(selection(np.r_[0, 1, -1], (3,), (3,)), Dense(np.ones((3, 5))))
    assert isinstance(few_rows, Dense)


def test_sums_keep_the_form_or_are_not_made() -> None:
    rng = np.random.default_rng(1)
    dense, other = Dense(dyadic(rng, 4, 6)), Dense(dyadic(rng, 4, 6))
    first, second = conv((2, 4, 4), 3, 3, 1), conv((2, 4, 4), 3, 3, 1)
    for one, two in ((dense, other), (first, second), (to_sparse(dense), to_sparse(other)), (dense, dense)):
        total = added(one, two)
        assert total is not None
        assert type(total) is type(one)
        assert same(total, matrix(one) + matrix(two))
    assert added(dense, to_sparse(other)) is None
    assert added(first, conv((2, 4, 4), 3, 1, 0)) is None


def test_a_product_that_is_too_large_says_how_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(composing, "MAX_SYNAPSES", 2000)
    monkeypatch.setattr(composing, "_CHUNK", 500)
    wide = to_sparse(conv((2, 6, 6), 1, 3, 1))
    with pytest.raises(TooLargeError) as raised:
        compose(conv((1, 6, 6), 4, 3, 1), wide)
    needed = np.count_nonzero(matrix(conv((1, 6, 6), 4, 3, 1)) @ matrix(wide))
    assert needed / 2 < raised.value.needed < needed * 2


def test_maps_of_the_wrong_size_are_a_bug() -> None:
    with pytest.raises(ValueError, match="4 values do not fit a map of 5"):
        compose(Dense(np.ones((2, 5))), Dense(np.ones((4, 3))))
