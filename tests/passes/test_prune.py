"""Pruning takes out what matters least, refits what is left, and refuses what it cannot do, in exact words."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from snncc import chip as chips
from snncc.diagnostics import CompileError
from snncc.graph import Edge, Graph
from snncc.layers import Input, Layer, Linear, Neuron, Output, SoftReset
from snncc.linear import Conv, Dense, Lateral, Sparse, with_weight
from snncc.passes.inputs import Samples
from snncc.passes.prune import NEURONS, SYNAPSES, Pruned, Shares, pruned, shares
from snncc.passes.quantise import Options, quantise
from snncc.passes.refit import Moments, refitted
from snncc.semantics import run_float

HOST = chips.load("host")
ONE = np.array(1.0)


def lif(*shape: int) -> Neuron:
    return Neuron(shape, np.array(0.75), ONE, reset=SoftReset(ONE))


def net(seed: int = 0) -> Graph[Layer]:
    """12 inputs, 10 hidden neurons, 4 that are read."""
    rng = np.random.default_rng(seed)
    ops: dict[str, Layer] = {"x": Input((12,), events=True), "fc1": Linear(Dense(rng.normal(0, 0.6, (10, 12))), (10,))}
    ops |= {"lif1": lif(10), "fc2": Linear(Dense(rng.normal(0, 0.6, (4, 10))), (4,)), "lif2": lif(4), "y": Output((4,))}
    names = ["x", "fc1", "lif1", "fc2", "lif2", "y"]
    return Graph(ops, [Edge(one, other) for one, other in itertools.pairwise(names)])


def samples(seed: int = 0, count: int = 60) -> Samples:
    """Spikes of which some inputs have many, and of which two are always the same."""
    rng = np.random.default_rng(seed)
    x = (rng.random((count, 8, 12)) < np.linspace(0.05, 0.6, 12)).astype(np.float64)
    x[:, :, 3] = x[:, :, 9]
    return Samples(x)


def cut(graph: Graph[Layer], synapses: str = "0", neurons: str = "0", given: Samples | None = None) -> Pruned:
    return pruned(graph, HOST, shares(synapses, SYNAPSES), shares(neurons, NEURONS), given, 8)


def weight(graph: Graph[Layer], name: str) -> np.ndarray:
    return graph.of_kind(Linear)[name].map.weight


def test_the_smallest_weights_go_without_samples() -> None:
    graph = net()
    found = cut(graph, "0,fc1=0.75,fc2=0.5").graph
    for name, share in (("fc1", 0.75), ("fc2", 0.5)):
        before, after = weight(graph, name), weight(found, name)
        gone = after == 0
        assert gone.sum() == int(share * before.size)
        assert np.abs(before[gone]).max() <= np.abs(before[~gone]).min()
        assert np.array_equal(before[~gone], after[~gone])


def test_the_usual_share_is_one_of_all_and_no_group_loses_everything() -> None:
    graph = net()
    small = {**graph.ops, "fc2": Linear(Dense(weight(graph, "fc2") / 1000), (4,))}
    found = cut(Graph(small, graph.edges), "0.9").graph
    left = [int(np.count_nonzero(weight(found, name))) for name in ("fc1", "fc2")]
    assert sum(left) == 160 - 144
    assert min(left) >= 1


def test_a_population_stands_for_what_feeds_it() -> None:
    found = cut(net(), "lif1=0.5").graph
    assert (weight(found, "fc1") == 0).sum() == 60
    assert (weight(found, "fc2") == 0).sum() == 0


def test_with_samples_weights_of_silent_inputs_go_first_and_sums_stay_nearer() -> None:
    graph, given = net(), samples()
    given.x[:, :, :3] = 0
    found = cut(graph, "fc1=0.6", given=given).graph
    before, after = weight(graph, "fc1"), weight(found, "fc1")
    assert (after == 0).sum() == 72
    assert not after[:, :3].any()
    flat = given.x.reshape(-1, 12)
    bare = np.where(after == 0, 0, before)
    errors = [float(((flat @ (each - before).T) ** 2).sum()) for each in (after, bare)]
    assert errors[0] < 0.8 * errors[1]


def test_neurons_are_removed_with_their_synapses_and_what_they_did_is_shared() -> None:
    graph, given = net(), samples()
    found = cut(graph, neurons="0.4", given=given)
    assert found.graph.of_kind(Neuron)["lif1"].shape == (6,)
    assert found.graph.of_kind(Neuron)["lif2"].shape == (4,)
    assert weight(found.graph, "fc1").shape == (6, 12)
    assert weight(found.graph, "fc2").shape == (4, 6)
    place = found.kept["lif1"].place
    left = np.nonzero(place >= 0)[0]
    assert place[left].tolist() == list(range(6))
    assert np.array_equal(weight(found.graph, "fc1"), weight(graph, "fc1")[left])
    assert not np.array_equal(weight(found.graph, "fc2"), weight(graph, "fc2")[:, left])


@pytest.mark.parametrize(("synapses", "neurons"), [("0.5", "0"), ("0", "0.4"), ("0.5", "0.4")])
@pytest.mark.parametrize("given", [None, samples()])
def test_the_weights_say_the_same_in_the_graph_before(synapses: str, neurons: str, given: Samples | None) -> None:
    """Pruned neurons fire on in it, and nothing reads them."""
    graph = net()
    found = cut(graph, synapses, neurons, given)
    ops = {
        name: replace(op, map=with_weight(op.map, found.weights[name])) if isinstance(op, Linear) else op
        for name, op in graph.ops.items()
    }
    x = samples(1).x
    one, other = (run_float(each, x).outputs["y"] for each in (Graph(ops, graph.edges), found.graph))
    assert np.array_equal(one, other)
    assert cut(graph).weights == {}


def test_channels_go_as_a_whole_beside_convolutions() -> None:
    rng = np.random.default_rng(0)
    conv = Conv(rng.normal(0, 1, (6, 1, 3, 3)), (1, 6, 6))
    ops: dict[str, Layer] = {"x": Input((1, 6, 6), events=True), "c": Linear(conv, (6, 4, 4)), "n": lif(6, 4, 4)}
    ops |= {"fc": Linear(Dense(rng.normal(0, 1, (3, 96))), (3,)), "out": lif(3), "y": Output((3,))}
    names = ["x", "c", "n", "fc", "out", "y"]
    graph = Graph(ops, [Edge(one, other) for one, other in itertools.pairwise(names)])
    x = (rng.random((20, 5, 1, 6, 6)) < 0.3).astype(np.float64)
    found = cut(graph, "0.5", "0.5", Samples(x)).graph
    assert found.of_kind(Neuron)["n"].shape == (3, 4, 4)
    assert weight(found, "c").shape == (3, 1, 3, 3)
    assert weight(found, "fc").shape == (3, 48)
    assert sum(int((weight(found, each) == 0).sum()) for each in ("c", "fc")) == (27 + 144) // 2
    assert run_float(found, x).outputs["y"].shape == (20, 5, 3)


def test_maps_that_were_not_trained_keep_their_synapses() -> None:
    plain = net()
    chain = Sparse(np.arange(11), np.arange(10), np.full(10, 2.0), 10)
    ops = {**plain.ops, "among": Linear(Lateral(np.array([-0.5]), 10), (10,)), "own": Linear(chain, (10,))}
    edges = [Edge("lif1", "among", 1), Edge("among", "lif1"), Edge("lif1", "own", 1), Edge("own", "lif1")]
    found = cut(Graph(ops, [*plain.edges, *edges]), "0.9", "0.5", samples())
    assert isinstance(found.graph.of_kind(Linear)["among"].map, Lateral)
    assert found.graph.of_kind(Linear)["among"].map.in_size == 5
    assert weight(found.graph, "own").tolist() == [2.0] * 5


def test_rounding_leaves_pruned_weights_at_nothing() -> None:
    graph, given = net(), samples()
    found = cut(graph, "0.7", given=given).graph
    for bits in (8, 3):
        network = quantise(found, HOST, Options(bits, steps=8), given)
        for name in ("fc1", "fc2"):
            dense = getattr(network[name], "map").weight  # noqa: B009
            assert not dense[weight(found, name) == 0].any()


def test_the_fit_is_that_of_least_squares() -> None:
    rng = np.random.default_rng(0)
    x, row = rng.integers(0, 3, (200, 6)).astype(np.float64), rng.normal(0, 1, (2, 6))
    stays = np.array([[1, 1, 0, 1, 0, 1], [0, 1, 1, 1, 1, 0]], bool)
    square = x.T @ x
    fitted = refitted(row, stays, Moments((x**2).sum(axis=0, keepdims=True), square[None]))
    for own, mask, whole in zip(fitted, stays, row, strict=True):
        damping = 0.01 * square.trace() / 6
        left = square[np.ix_(mask, mask)] + damping * np.eye(4)
        expected = np.linalg.solve(left, square[mask] @ whole + damping * whole[mask])
        assert not own[~mask].any()
        assert np.allclose(own[mask], expected, atol=1e-4)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1", "'1' is no share: at least 0, less than 1"),
        ("-0.5", "'-0.5' is no share: at least 0, less than 1"),
        ("nan", "'nan' is no share: at least 0, less than 1"),
        ("half", "'half' is no share: at least 0, less than 1"),
        ("fc1=", "'fc1=' is no share: at least 0, less than 1"),
        ("=0.5", "'=0.5' is no share: at least 0, less than 1"),
        ("0.5,0.6", "the share of all is given twice"),
        ("fc1=0.5,fc1=0.5", "fc1 is given twice"),
    ],
)
def test_what_is_no_share(text: str, message: str) -> None:
    with pytest.raises(CompileError) as caught:
        shares(text, SYNAPSES)
    form = "give SHARE, NAME=SHARE, or several with commas between, as in --prune 0.75,fc2=0.5"
    assert str(caught.value) == f"error[prune]: --prune: {message}\n  = hint: {form}"


def test_shares_are_read() -> None:
    assert shares(None, SYNAPSES) == Shares()
    assert shares(0.5, SYNAPSES) == Shares(0.5)
    assert shares("0.25, a=b=0", SYNAPSES) == Shares(0.25, {"a=b": 0.0})
    assert not Shares(0.0, {"a": 0.0}).any


def test_names_that_are_not_there_or_cannot_be_pruned() -> None:
    with pytest.raises(CompileError) as caught:
        cut(net(), "fc9=0.5", "fc1=0.5,lif2=0.5")
    assert str(caught.value).splitlines() == [
        "error[prune]: --prune: there are no synapses and no population called fc9",
        "  = hint: did you mean fc2? there are fc1, lif1, fc2, lif2; `snncc compile` lists them",
        "error[prune]: --prune-neurons: there is no population called fc1",
        "  = hint: did you mean lif1? there are lif1, lif2; `snncc compile` lists them",
        "error[prune]: lif2: is read by an output, which needs all its neurons",
        "  = hint: leave lif2 out of --prune-neurons, or prune its synapses with --prune",
    ]
