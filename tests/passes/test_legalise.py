"""A legal graph computes what the imported one did, and each rule does to a graph what its name says."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snncc import contracts
from snncc.diagnostics import CompileError
from snncc.graph import Edge, Graph
from snncc.layers import (
    Affine,
    Conv2d,
    HardReset,
    Input,
    Layer,
    Linear,
    Neuron,
    Output,
    Rearrange,
    Scale,
    SoftReset,
    SumPool2d,
)
from snncc.passes import compose
from snncc.passes.legalise import (
    delayed_resets_become_plain_ones,
    layers_that_no_output_reads_are_removed,
    legalise,
    outputs_of_sums_end_in_a_silent_population,
)
from snncc.semantics import run_float
from tests.passes.layer_graphs import HALF, ONE, chain, lif, ramp, refusal, same_run, weight_of
from tests.passes.random_graphs import graphs

BEYOND = {"delayed-bias", "bias-into-perfect-current"}


def legal_or_beyond(graph: Graph[Layer]) -> Graph[Layer] | None:
    """None for a bias that no population can take."""
    try:
        return legalise(graph)
    except CompileError as error:
        if {each.rule for each in error.diagnostics} <= BEYOND:
            return None
        raise


@settings(max_examples=100, deadline=None)
@given(graphs(), st.integers(0, 99))
def test_a_legal_graph_computes_the_same(graph: Graph[Layer], seed: int) -> None:
    assert contracts.imported(graph) == ()
    legal = legal_or_beyond(graph)
    if legal is None:
        return
    assert contracts.legal(legal) == ()
    rng = np.random.default_rng(seed)
    x = rng.integers(-4, 5, (2, 5, *graph["x"].shape)) / 4
    same_run(graph, legal, x)
    assert legalise(legal).text() == legal.text()


def expect(graph: Graph[Layer], text: str) -> None:
    """Arrays are compared by the assertions beside it, not by their digests."""
    assert re.sub(r"#[0-9a-f]{4}", "", graph.text()) == text.lstrip("\n")


def test_what_lies_between_populations_becomes_linear_maps() -> None:
    graph = chain(
        ("x", Input((1, 4, 4))),
        ("conv1", Conv2d(np.ones((2, 1, 3, 3)), (1, 4, 4), (2, 4, 4), np.asarray([1.0, 2.0]), padding=(1, 1, 1, 1))),
        ("bn1", Scale((2, 4, 4), np.asarray([[[2.0]], [[4.0]]]), np.asarray([[[0.5]], [[0.0]]]))),
        ("lif1", lif(2, 4, 4)),
        ("pool", SumPool2d((2, 4, 4), (2, 2, 2), (2, 2), (2, 2), scale=0.25)),
        ("flat", Rearrange((8,))),
        ("fc", Affine(np.ones((3, 8), np.float32), (3,), np.asarray([1.0, 2.0, 3.0]))),
        ("lif2", lif(3)),
        ("y", Output((3,))),
    )
    legal = legalise(graph)
    expect(
        legal,
        """
x = Input(shape=(1,4,4))
conv1 = Linear(map=Conv(weight=float64[2,1,3,3], in_shape=(1,4,4), padding=(1,1,1,1)), shape=(2,4,4))
    <- x
lif1 = Neuron(shape=(2,4,4), decay=0.5, threshold=1.0, reset=SoftReset(amount=1.0), bias=float64[2,1,1], initial=0.0)
    <- conv1
fc = Linear(map=Dense(weight=float32[3,32]), shape=(3))
    <- lif1
lif2 = Neuron(shape=(3), decay=0.5, threshold=1.0, reset=SoftReset(amount=1.0), bias=float64[3], initial=0.0)
    <- fc
y = Output(shape=(3))
    <- lif2
""",
    )
    assert weight_of(legal, "conv1")[:, 0, 0, 0].tolist() == [2.0, 4.0]
    assert legal.of_kind(Neuron)["lif1"].bias.reshape(-1).tolist() == [2.5, 8.0]


def test_a_residual_is_a_map_of_its_own_and_delays_add_up() -> None:
    ops: dict[str, Layer] = {
        "x": Input((2, 3, 3)),
        "stem": lif(2, 3, 3),
        "conv": Conv2d(ramp(2, 2, 3, 3), (2, 3, 3), (2, 3, 3), padding=(1, 1, 1, 1)),
        "add": Rearrange((2, 3, 3)),
        "bn": Scale((2, 3, 3), np.asarray(2.0)),
        "res": lif(2, 3, 3),
        "y": Output((2, 3, 3)),
    }
    edges = [
        Edge("x", "stem"),
        Edge("stem", "conv", delay=1),
        Edge("conv", "add", gain=0.5),
        Edge("stem", "add", delay=2),
        Edge("add", "bn", delay=1),
        Edge("bn", "res"),
        Edge("res", "y"),
        Edge("res", "stem", delay=1, gain=-1.0),
    ]
    legal = legalise(Graph(ops, edges))
    expect(
        legal,
        """
x = Input(shape=(2,3,3))
x.stem = Linear(map=Conv(weight=float32[2,1,1,1], in_shape=(2,3,3), groups=2), shape=(2,3,3))
    <- x
res.stem = Linear(map=Conv(weight=float64[2,1,1,1], in_shape=(2,3,3), groups=2), shape=(2,3,3))
    <- res delay 1
stem = Neuron(shape=(2,3,3), decay=0.5, threshold=1.0, reset=SoftReset(amount=1.0), bias=0.0, initial=0.0)
    <- x.stem
    <- res.stem
conv = Linear(map=Conv(weight=float64[2,2,3,3], in_shape=(2,3,3), padding=(1,1,1,1)), shape=(2,3,3))
    <- stem delay 2
bn = Linear(map=Conv(weight=float64[2,1,1,1], in_shape=(2,3,3), groups=2), shape=(2,3,3))
    <- stem delay 3
res = Neuron(shape=(2,3,3), decay=0.5, threshold=1.0, reset=SoftReset(amount=1.0), bias=0.0, initial=0.0)
    <- conv
    <- bn
y = Output(shape=(2,3,3))
    <- res
""",
    )
    assert np.array_equal(weight_of(legal, "conv"), ramp(2, 2, 3, 3))
    assert weight_of(legal, "bn").reshape(-1).tolist() == [2.0, 2.0]


def test_parallel_paths_of_one_form_are_added_and_others_numbered() -> None:
    ops: dict[str, Layer] = {
        "x": Input((3,)),
        "a": Affine(ramp(4, 3), (4,)),
        "b": Affine(ramp(4, 3), (4,)),
        "lif": lif(4),
        "two": lif(4),
        "a.2": Output((4,)),
        "y": Output((4,)),
    }
    edges = [
        Edge("x", "a"),
        Edge("x", "b"),
        Edge("a", "lif"),
        Edge("b", "lif", gain=2.0),
        Edge("a", "two"),
        Edge("lif", "a.2"),
        Edge("two", "y"),
    ]
    legal = legalise(Graph(ops, edges))
    assert list(legal.ops) == ["x", "a", "lif", "a.3", "two", "a.2", "y"]
    assert np.array_equal(weight_of(legal, "a"), 3 * ramp(4, 3))


def test_shortcuts_behind_shortcuts_do_not_multiply() -> None:
    ops: dict[str, Layer] = {"x": Input((2, 3, 3)), "add0": Rearrange((2, 3, 3))}
    edges = [Edge("x", "add0")]
    for number in range(1, 9):
        kernel = 1 + 2 * (number % 2)
        conv = ramp(2, 2, kernel, kernel)
        ops[f"conv{number}"] = Conv2d(conv, (2, 3, 3), (2, 3, 3), padding=(number % 2,) * 4)
        ops[f"add{number}"] = Rearrange((2, 3, 3))
        before = f"add{number - 1}"
        edges += [Edge(before, f"conv{number}"), Edge(before, f"add{number}"), Edge(f"conv{number}", f"add{number}")]
    ops |= {"lif": lif(2, 3, 3), "y": Output((2, 3, 3), "membrane")}
    graph = Graph(ops, [*edges, Edge("add8", "lif"), Edge("lif", "y")])
    legal = legalise(graph)
    assert 1 <= len(legal.of_kind(Linear)) <= 4
    x = ramp(2, 3, 2, 3, 3)
    expected, found = (run_float(each, x).outputs["y"] for each in (graph, legal))
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-9)


def test_a_product_that_fills_the_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compose, "MAX_SYNAPSES", 10_000)
    graph = chain(
        ("x", Input((4, 9, 9))),
        ("pool", SumPool2d((4, 9, 9), (4, 4, 4), (2, 2), (2, 2))),
        ("conv", Conv2d(np.ones((40, 4, 3, 3)), (4, 4, 4), (40, 4, 4), padding=(1, 1, 1, 1))),
        ("lif", lif(40, 4, 4)),
        ("y", Output((40, 4, 4))),
    )
    assert refusal(graph) == (
        "error[too-many-synapses]: conv: joined with pool about 16,000 synapses are needed; snncc lists 10,000\n"
        "  = hint: put a spiking layer between them, or let the pooling windows divide their input evenly"
    )


def test_layers_that_no_output_reads_are_removed() -> None:
    graph = chain(
        ("x", Input((2,))),
        ("fc", Affine(np.eye(2), (2,))),
        ("lif", lif(2)),
        ("unread", Affine(np.eye(2), (2,))),
        ("lif2", lif(2)),
    )
    ops = {**graph.ops, "driven": lif(2, bias=ONE), "y": Output((2,)), "z": Output((2,))}
    read = Graph(ops, [*graph.edges, Edge("lif", "y"), Edge("driven", "z")])
    expect(
        layers_that_no_output_reads_are_removed(read),
        """
x = Input(shape=(2))
fc = Affine(weight=float64[2,2], shape=(2))
    <- x
lif = Neuron(shape=(2), decay=0.5, threshold=1.0, reset=SoftReset(amount=1.0), bias=0.0, initial=0.0)
    <- fc
driven = Neuron(shape=(2), decay=0.5, threshold=1.0, reset=SoftReset(amount=1.0), bias=1.0, initial=0.0)
y = Output(shape=(2))
    <- lif
z = Output(shape=(2))
    <- driven
""",
    )
    same_run(read, legalise(read), ramp(2, 4, 2))


def test_outputs_of_sums_end_in_a_silent_population() -> None:
    ops: dict[str, Layer] = {
        "x": Input((2,)),
        "lif": lif(2),
        "fc": Affine(np.eye(2), (2,), np.asarray([1.0, 2.0])),
        "logits": Output((2,), decoder="last"),
        "spikes": Output((2,)),
    }
    edges = [
        Edge("x", "lif"),
        Edge("lif", "fc"),
        Edge("fc", "logits"),
        Edge("lif", "logits", delay=1),
        Edge("lif", "spikes"),
    ]
    graph = Graph(ops, edges)
    expect(
        outputs_of_sums_end_in_a_silent_population(graph),
        """
x = Input(shape=(2))
lif = Neuron(shape=(2), decay=0.5, threshold=1.0, reset=SoftReset(amount=1.0), bias=0.0, initial=0.0)
    <- x
fc = Affine(weight=float64[2,2], shape=(2), bias=float64[2])
    <- lif
logits.readout = Neuron(shape=(2), decay=0.0, threshold=None, bias=0.0, initial=0.0)
    <- fc
    <- lif delay 1
logits = Output(shape=(2), value=membrane, when=before, decoder=last)
    <- logits.readout
spikes = Output(shape=(2))
    <- lif
""",
    )
    same_run(graph, legalise(graph), ramp(2, 4, 2))


def plain(**options: Any) -> Neuron:
    graph = chain(("x", Input((2,))), ("n", Neuron((2,), threshold=ONE, **options)), ("y", Output((2,), "membrane")))
    reset = delayed_resets_become_plain_ones(graph)
    same_run(graph, legalise(graph), ramp(4, 8, 2))
    (output,) = reset.of_kind(Output).values()
    neuron = reset.of_kind(Neuron)["n"]
    assert neuron.reset is not None
    assert output.when == ("after" if neuron.reset.delay else "before")
    return neuron


def test_delayed_resets_become_plain_ones() -> None:
    soft = plain(decay=HALF, reset=SoftReset(ONE, delay=1)).reset
    assert isinstance(soft, SoftReset)
    assert (soft.amount, soft.delay) == (2.0, 0)
    hard = plain(decay=HALF, reset=HardReset(np.asarray(0.25), delay=1)).reset
    assert isinstance(hard, HardReset)
    assert (hard.value, hard.delay) == (0.5, 0)
    cleared = plain(decay=np.asarray(0.0), reset=HardReset(delay=1)).reset
    assert cleared is not None
    assert cleared.delay == 0


@pytest.mark.parametrize(
    "options",
    [
        {"decay": np.asarray(0.125), "reset": SoftReset(ONE, delay=1)},
        {"decay": HALF, "reset": SoftReset(ONE, delay=1, adaptive=True)},
        {"decay": HALF, "reset": SoftReset(ONE, delay=1), "refractory": 2},
    ],
    ids=["weak memory", "adaptive", "refractory"],
)
def test_resets_that_would_differ_stay_delayed(options: dict[str, Any]) -> None:
    neuron = plain(**options)
    assert neuron.reset is not None
    assert neuron.reset.delay == 1


def test_a_dense_model_shares_its_weights() -> None:
    rng = np.random.default_rng(0)
    first, second = (rng.standard_normal(shape, dtype=np.float32) for shape in ((250, 200), (200, 250)))
    graph = chain(
        ("x", Input((200,))),
        ("fc1", Affine(first, (250,), np.ones(250, np.float32))),
        ("lif1", lif(250)),
        ("fc2", Affine(second, (200,))),
        ("lif2", lif(200)),
        ("y", Output((200,))),
    )
    legal = legalise(graph)
    assert np.shares_memory(weight_of(legal, "fc1"), first)
    assert np.shares_memory(weight_of(legal, "fc2"), second)
