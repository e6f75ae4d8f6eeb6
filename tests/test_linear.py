"""Linear maps mean the same in every form, and a convolution means what ONNX says it does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_info, threadpool_limits

from snncc import linear
from snncc.analysis.sums import signed_sums
from snncc.arrays import Array
from snncc.linear import (
    Conv,
    Dense,
    Lateral,
    LinearMap,
    Sparse,
    from_triples,
    largest_sum,
    malformed,
    nonzero_count,
    operator,
    synapse_count,
    to_sparse,
    with_weight,
)


def by_hand(conv: Conv, x: Array) -> Array:
    """The equation of ONNX `Conv`, one output after another."""
    result = np.zeros(conv.out_shape)
    outs_per_group = len(conv.weight) // conv.groups
    for (o, y, z), _ in np.ndenumerate(result):
        for (i, ky, kx), weight in np.ndenumerate(conv.weight[o]):
            channel = o // outs_per_group * conv.weight.shape[1] + i
            row = y * conv.stride[0] + ky * conv.dilation[0] - conv.padding[0]
            column = z * conv.stride[1] + kx * conv.dilation[1] - conv.padding[1]
            if 0 <= row < conv.in_shape[1] and 0 <= column < conv.in_shape[2]:
                result[o, y, z] += weight * x[channel, row, column]
    return result


@st.composite
def convolutions(draw: Any) -> Conv:
    groups = draw(st.integers(1, 2))
    in_shape = (groups * draw(st.sampled_from((1, 2, 5))), draw(st.integers(3, 6)), draw(st.integers(3, 6)))
    kernel = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    dilation = tuple(draw(st.integers(1, 2)) if each == 2 else 1 for each in kernel)
    weight = np.random.default_rng(draw(st.integers(0, 99))).integers(
        -3, 4, (2 * groups, in_shape[0] // groups, *kernel)
    )
    stride = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    padding = draw(st.tuples(*[st.integers(0, 3)] * 4))
    return Conv(weight, in_shape, stride, padding, (dilation[0], dilation[1]), groups)


@settings(max_examples=60, deadline=None)
@given(convolutions())
def test_a_convolution_is_what_onnx_defines_in_every_form(conv: Conv) -> None:
    x = np.random.default_rng(0).integers(-4, 5, (3, conv.in_size)).astype(np.float64)
    expected = np.stack([by_hand(conv, each.reshape(conv.in_shape)).reshape(-1) for each in x])
    listed = to_sparse(conv)
    assert malformed(conv) is None
    assert malformed(listed) is None
    for form in (conv, listed):
        assert np.array_equal(operator(form, np.float64)(x), expected)
        assert operator(form, np.float32)(x.astype(np.float32)).dtype == np.float32
        assert operator(form, np.float64)(x[:0]).shape == (0, conv.out_size)
    assert (listed.in_size, listed.out_size) == (conv.in_size, conv.out_size)
    ones = with_weight(conv, np.ones_like(conv.weight))
    assert synapse_count(conv) == len(to_sparse(ones).weight)
    assert largest_sum(conv) >= largest_sum(listed) == np.abs(matrix(conv)).sum(axis=1).max()


def matrix(linear: LinearMap) -> Array:
    return operator(linear, np.float64)(np.eye(linear.in_size)).T


def test_a_dense_map_and_its_list_are_the_same() -> None:
    dense = Dense(np.asarray([[1.0, 0.0, -2.0], [0.0, 0.0, 3.0]]))
    listed = to_sparse(dense)
    assert (listed.indptr.tolist(), listed.targets.tolist()) == ([0, 1, 1, 3], [0, 0, 1])
    assert listed.weight.tolist() == [1.0, -2.0, 3.0]
    assert np.array_equal(matrix(listed), dense.weight)
    assert synapse_count(dense) == 6
    assert synapse_count(listed) == 3
    assert largest_sum(dense) == largest_sum(listed) == 3.0


def test_listing_adds_repeats_sorts_and_drops_zeros() -> None:
    listed = from_triples(np.asarray([1, 0, 1]), np.asarray([2, 1, 2]), np.asarray([1.0, 5.0, 2.0]), 2, 3)
    assert (listed.indptr.tolist(), listed.targets.tolist(), listed.weight.tolist()) == ([0, 1, 2], [1, 2], [5.0, 3.0])
    assert to_sparse(listed) is listed
    thinned = to_sparse(with_weight(listed, np.asarray([0.0, 3.0])))
    assert (thinned.indptr.tolist(), thinned.targets.tolist()) == ([0, 0, 1], [2])


def test_batches_of_a_convolution_are_cut_without_a_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    conv = Conv(np.arange(18.0).reshape(2, 1, 3, 3), (1, 5, 5))
    x = np.random.default_rng(0).integers(0, 2, (7, 25)).astype(np.float64)
    whole = operator(conv, np.float64)(x)
    monkeypatch.setattr("snncc.linear._CHUNK", 200)
    assert np.array_equal(operator(conv, np.float64)(x), whole)


def test_products_run_on_one_thread_and_leave_the_others_as_they_were() -> None:
    class Spy(np.ndarray[Any, Any]):
        def __matmul__(self, other: Any) -> Array:
            seen.append([each["num_threads"] for each in linear._BLAS.info()])
            return np.asarray(self) @ np.asarray(other)

    seen: list[list[int]] = []
    with threadpool_limits(2, user_api="blas"):
        before = threadpool_info()
        result = operator(Dense(np.eye(3)), np.float64)(np.ones((2, 3)).view(Spy))
        assert threadpool_info() == before
    assert np.array_equal(result, np.ones((2, 3)))
    assert all(threads == 1 for threads in seen[0])


def test_an_empty_map_gives_zeros() -> None:
    nothing = Sparse(np.zeros(4), np.zeros(0), np.zeros(0), 2)
    assert np.array_equal(operator(nothing, np.float64)(np.ones((1, 3))), np.zeros((1, 2)))
    assert largest_sum(nothing) == 0.0


def test_weights_cannot_be_changed_in_place() -> None:
    dense = Dense(np.ones((2, 2)))
    with pytest.raises(ValueError, match="read-only"):
        dense.weight[0, 0] = 2.0


@pytest.mark.parametrize(
    ("linear", "why"),
    [
        (Dense(np.ones(3)), "a dense weight has two axes"),
        (Conv(np.ones((2, 2, 3)), (2, 4, 4)), "a convolution's weight has four axes and its input three"),
        (Conv(np.ones((2, 2, 3, 3)), (2, 4, 4), stride=(0, 1)), "sizes, strides, dilations and groups are at least 1"),
        (Conv(np.ones((2, 2, 3, 3)), (3, 4, 4)), "a convolution's channels are split evenly into its groups"),
        (Conv(np.ones((2, 2, 5, 3)), (2, 4, 4)), "a convolution's kernel fits its padded input"),
        (Sparse(np.asarray([0, 2]), np.asarray([1]), np.ones(1), 2), "indptr ascends from 0 to the number of synapses"),
        (Sparse(np.asarray([0, 1]), np.asarray([2]), np.ones(1), 2), "targets lie in 0..1"),
        (Sparse(np.asarray([0, 2]), np.asarray([1, 1]), np.ones(2), 2), "targets ascend within a row"),
    ],
)
def test_malformed_maps_are_told(linear: LinearMap, why: str) -> None:
    assert str(malformed(linear)).startswith(why)


@pytest.mark.parametrize("neurons", [1, 2, 5])
@pytest.mark.parametrize("weight", [-3, 0, 127])
def test_a_lateral_map_reaches_all_but_itself(neurons: int, weight: int) -> None:
    lateral = Lateral(np.array([weight], np.int8), neurons)
    expected = weight * (1 - np.eye(neurons))
    x = np.random.default_rng(0).integers(-4, 5, (3, neurons)).astype(np.float64)
    assert malformed(lateral) is None
    for form in (lateral, to_sparse(lateral)):
        assert np.array_equal(operator(form, np.float64)(x), x @ expected)
        assert operator(form, np.float32)(x.astype(np.float32)).dtype == np.float32
    assert synapse_count(lateral) == nonzero_count(lateral) == neurons * (neurons - 1)
    assert largest_sum(lateral) >= np.abs(expected).sum(axis=1).max()
    negative, positive = signed_sums(lateral)
    assert np.array_equal(negative, np.minimum(expected, 0).sum(axis=1))
    assert np.array_equal(positive, np.maximum(expected, 0).sum(axis=1))


@pytest.mark.parametrize("lateral", [Lateral(np.array(1), 3), Lateral(np.array([1, 2]), 2), Lateral(np.array([1]), 0)])
def test_a_damaged_lateral_map_is_told(lateral: Lateral) -> None:
    assert malformed(lateral) == "a lateral map has one weight, and at least one neuron"
