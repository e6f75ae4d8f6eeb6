"""What is taken out of an integer network could not be told from outside: all that is left does what it did."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from snncc.arrays import Array
from snncc.graph import Edge, Graph
from snncc.integers import (
    Decay,
    Fire,
    IntOp,
    Membrane,
    Network,
    Output,
    Population,
    Register,
    SoftReset,
    Source,
    Synapse,
    own_number,
    whole,
)
from snncc.linear import Conv, Dense, Lateral, LinearMap, Sparse, to_sparse
from snncc.passes.shrink import shrunk
from snncc.semantics import run
from snncc.wellformed import malformed
from tests.conformance.backends import Candidate, assert_conforms, each_candidate
from tests.networks import Case, cases


def assert_same(before: Network, after: Network, x: Array, lengths: Array | None = None) -> None:
    """Outputs, and by the model's own neurons all spikes and the membranes of those that are left."""
    assert not malformed(after)
    old, new = (run(each, x, lengths=lengths, record=tuple(each.of_kind(Population))) for each in (before, after))
    assert set(old.outputs) == set(new.outputs)
    for name, values in old.outputs.items():
        assert np.array_equal(values, new.outputs[name]), name
    for name in before.of_kind(Population):
        if name not in after.ops:
            assert not old.spikes[name].any(), name
            continue
        kept = after.of_kind(Population)[name].kept
        assert np.array_equal(old.spikes[name], whole(new.spikes[name], kept)), name
        there = slice(None) if kept is None else kept.place >= 0
        assert np.array_equal(old.membranes[name][..., there], whole(new.membranes[name], kept)[..., there]), name


@settings(max_examples=150, deadline=None)
@given(cases())
def test_random_networks_do_what_they_did(case: Case) -> None:
    assert_same(case.network, shrunk(case.network), case.x, case.lengths)


def neurons(shape: tuple[int, ...], threshold: Any = 20, **options: Any) -> Population:
    membrane = Membrane(Decay(np.array(2), 3, "floor"), Register(-2000, 2000, "saturate"), **options)
    return Population(shape, membrane, Fire(np.asarray(threshold), False), SoftReset(np.asarray(threshold)))


def layered(hidden: Population, first: LinearMap, second: LinearMap, around: LinearMap | None = None) -> Network:
    """x, a hidden population that may feed itself, and one that is read."""
    shape = first.in_shape if isinstance(first, Conv) else (first.in_size,)
    ops: dict[str, IntOp] = {"x": Source(shape), "first": Synapse(first), "hidden": hidden}
    ops |= {"second": Synapse(second), "out": neurons((second.out_size,)), "y": Output("spikes", "after", "count")}
    edges = [Edge("x", "first"), Edge("first", "hidden"), Edge("hidden", "second"), Edge("second", "out")]
    if around is not None:
        ops["around"] = Synapse(around)
        edges += [Edge("hidden", "around", 1), Edge("around", "hidden")]
    return Graph(ops, [*edges, Edge("out", "y")])


def planted(rng: np.random.Generator) -> tuple[Array, Array]:
    """Weights 6 -> 8 -> 5, in which neurons 1 and 6 are inhibited only, and 4 and 7 like 2."""
    first, second = rng.integers(3, 30, (8, 6)), rng.integers(-30, 30, (5, 8))
    first[[1, 6]] *= -1
    first[[4, 7]] = first[2]
    second[:, [2, 4, 7]] //= 4
    return first.astype(np.int8), second.astype(np.int8)


def spikes(rng: np.random.Generator, *shape: int) -> Array:
    return (rng.random((3, 20, *shape)) < 0.5).astype(np.int64)


@pytest.mark.parametrize("form", [Dense, lambda weight: to_sparse(Dense(weight))])
def test_silent_neurons_and_the_second_of_two_alike_go(form: Any) -> None:
    rng = np.random.default_rng(0)
    first, second = planted(rng)
    before = layered(neurons((8,)), form(first), form(second))
    after = shrunk(before)
    hidden = after.of_kind(Population)["hidden"]
    assert hidden.shape == (4,)
    assert hidden.kept is not None
    assert hidden.kept.shape == (8,)
    assert hidden.kept.place.tolist() == [0, -1, 1, 2, 1, 3, -1, 1]
    assert [own_number(each, hidden.kept) for each in range(4)] == [0, 2, 3, 5]
    assert_same(before, after, spikes(rng, 6))
    assert shrunk(after) is after


def test_what_only_silent_neurons_feed_goes_too() -> None:
    first, second = -np.ones((4, 3), np.int8), np.ones((2, 4), np.int8)
    after = shrunk(layered(neurons((4,)), Dense(first), Dense(second)))
    assert list(after.ops) == ["x", "out", "y"]
    assert_same(layered(neurons((4,)), Dense(first), Dense(second)), after, spikes(np.random.default_rng(0), 3))


def test_a_bias_that_can_fire_keeps_a_neuron() -> None:
    bias = np.array([0, 9, 2, 0])
    before = layered(neurons((4,), bias=bias), Dense(-np.ones((4, 3), np.int8)), Dense(np.ones((2, 4), np.int8)))
    kept = shrunk(before).of_kind(Population)["hidden"].kept
    assert kept is not None
    assert kept.place.tolist() == [-1, 0, -1, -1]


def test_sums_that_need_wider_weights_are_not_merged() -> None:
    rng = np.random.default_rng(0)
    first, second = planted(rng)
    second[:, [2, 4, 7]] = 127
    kept = shrunk(layered(neurons((8,)), Dense(first), Dense(second))).of_kind(Population)["hidden"].kept
    assert kept is not None
    assert kept.place.tolist() == [0, -1, 1, 2, 3, 4, -1, 5]


def test_parameters_tell_neurons_apart_and_follow_them() -> None:
    rng = np.random.default_rng(0)
    first, second = planted(rng)
    threshold = np.array([20, 20, 20, 25, 21, 20, 20, 20])
    before = layered(neurons((8,), threshold), Dense(first), Dense(second))
    after = shrunk(before)
    hidden = after.of_kind(Population)["hidden"]
    assert hidden.fire is not None
    assert hidden.fire.threshold.tolist() == [20, 20, 25, 21, 20]
    assert_same(before, after, spikes(rng, 6))


def test_neurons_that_inhibit_each_other() -> None:
    rng = np.random.default_rng(0)
    first, second = planted(rng)
    same = np.tile(np.array([-20, -3, -3, -3, -3, -3, -3, -3], np.int8), (8, 1))
    for around in (Lateral(np.array([-3], np.int8), 8), Dense(same)):
        before = layered(neurons((8,)), Dense(first), Dense(second), around)
        after = shrunk(before)
        assert after.of_kind(Population)["hidden"].size == (6 if isinstance(around, Lateral) else 4)
        assert_same(before, after, spikes(rng, 6))


def test_channels_of_a_convolution_go_as_a_whole() -> None:
    rng = np.random.default_rng(0)
    kernel = rng.integers(1, 30, (5, 2, 3, 3)).astype(np.int8)
    kernel[1] *= -1
    kernel[4] = kernel[3]
    second = rng.integers(-3, 4, (3, 5, 3, 3)).astype(np.int8)
    second[:, 3:] = 1
    conv = Conv(kernel, (2, 6, 6), padding=(1, 1, 1, 1))
    bias = np.array([0, 1, 2, 3, 3]).reshape(5, 1, 1)
    hidden = neurons((5, 6, 6), bias=bias)
    before = layered(hidden, conv, Conv(second, (5, 6, 6)))
    ops = {**before.ops, "out": neurons((3, 4, 4))}
    before = Graph(ops, before.edges)
    after = shrunk(before)
    assert after.of_kind(Population)["hidden"].shape == (3, 6, 6)
    assert after.of_kind(Synapse)["first"].map.weight.shape == (3, 2, 3, 3)
    assert after.of_kind(Synapse)["second"].map.weight.shape == (3, 3, 3, 3)
    assert_same(before, after, spikes(rng, 2, 6, 6))


def test_one_pixel_of_a_channel_keeps_it() -> None:
    kernel = -np.ones((2, 1, 1, 1), np.int8)
    bias = np.zeros((2, 3, 3), np.int64)
    bias[1, 2, 2] = 9
    before = layered(neurons((2, 3, 3), bias=bias), Conv(kernel, (1, 3, 3)), Dense(np.ones((2, 18), np.int8)))
    after = shrunk(before)
    assert after.of_kind(Population)["hidden"].shape == (1, 3, 3)
    assert isinstance(after.of_kind(Synapse)["second"].map, (Dense, Sparse))
    assert_same(before, after, spikes(np.random.default_rng(0), 1, 3, 3))


@each_candidate
def test_every_backend_runs_what_is_left(candidate: Candidate) -> None:
    rng = np.random.default_rng(0)
    first, second = planted(rng)
    after = shrunk(layered(neurons((8,)), Dense(first), Dense(second), Lateral(np.array([-3], np.int8), 8)))
    assert_conforms(candidate, after, spikes(rng, 6))
