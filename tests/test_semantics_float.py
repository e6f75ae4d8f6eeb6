"""Tests of the float semantics: worked examples of each record, free scales, and agreement with the integers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snncc import integers
from snncc.arrays import Array
from snncc.graph import Edge, Graph
from snncc.layers import (
    Adapt,
    Affine,
    Conv2d,
    Current,
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
from snncc.linear import Dense
from snncc.semantics import run, run_float

HALF = np.array(0.5)


def neuron(**changes: Any) -> Neuron:
    """It keeps half of v, fires above 1, and has no reset."""
    return replace(Neuron((1,), HALF, np.array(1.0)), **changes)


def history(layer: Neuron, x: Sequence[float]) -> Mapping[str, list[float]]:
    """Spikes, and v before and after the reset, step by step."""
    ops: dict[str, Layer] = {"x": Input((1,)), "p": layer, "before": Output((1,), "membrane", "before")}
    graph = Graph(ops, [Edge("x", "p"), Edge("p", "before")])
    trace = run_float(graph, np.array(x).reshape(1, -1, 1), record=["p"])
    arrays = {"s": trace.spikes["p"], "before": trace.outputs["before"], "after": trace.membranes["p"]}
    return {name: array[0, :, 0].tolist() for name, array in arrays.items()}


def test_a_leaky_neuron() -> None:
    found = history(neuron(), [1.0, 0.75, -1.0])
    assert found == {"s": [0, 1, 0], "before": [1, 1.25, -0.375], "after": [1, 1.25, -0.375]}


def test_a_threshold_can_be_reached_or_passed() -> None:
    assert history(neuron(inclusive=True), [1.0])["s"] == [1]
    assert history(neuron(inclusive=False), [1.0])["s"] == [0]
    assert history(neuron(threshold=None), [9.0])["s"] == [0]


def test_a_soft_reset_now_or_later() -> None:
    now = history(neuron(reset=SoftReset(np.array(1.0))), [1.5, 1.0])
    assert now == {"s": [1, 1], "before": [1.5, 1.25], "after": [0.5, 0.25]}
    later = history(neuron(reset=SoftReset(np.array(1.0), delay=1)), [1.5, 1.0])
    assert later == {"s": [1, 0], "before": [1.5, 0.75], "after": [1.5, 0.75]}


def test_a_soft_reset_a_step_later_is_one_of_more_now() -> None:
    """snnTorch's reset, by r after the decay of the next step, is one by r / decay at once."""
    x = np.random.default_rng(1).integers(0, 16, 50) / 8
    later = history(neuron(reset=SoftReset(np.array(1.0), delay=1)), x.tolist())
    now = history(neuron(reset=SoftReset(np.array(2.0))), x.tolist())
    assert later["s"] == now["s"]
    assert later["before"] == now["before"]


def test_a_hard_reset_now_or_later() -> None:
    now = history(neuron(reset=HardReset(np.array(-1.0))), [1.5, 1.0])
    assert now == {"s": [1, 0], "before": [1.5, 0.5], "after": [-1, 0.5]}
    later = history(neuron(reset=HardReset(np.array(-1.0), delay=1)), [1.5, 1.0])
    assert later == {"s": [1, 0], "before": [1.5, 0], "after": [1.5, 0]}


def test_a_current_decays_before_its_input_arrives() -> None:
    found = history(neuron(decay=np.array(1.0), current=Current(HALF, np.array(4.0)), threshold=None), [1, 0, 0])
    assert found["after"] == [3, 4.5, 5.25]


def test_bias_minimum_and_initial_state() -> None:
    layer = neuron(bias=np.array(0.25), minimum=np.array(-0.5), initial=np.array(2.0), threshold=None)
    assert history(layer, [0, -9, 0])["after"] == [1.25, -0.5, 0]


def test_an_adapting_threshold_and_an_adaptive_reset() -> None:
    adapt = Adapt(HALF, np.array(1.0))
    assert history(neuron(decay=np.array(0.0), adapt=adapt), [1.5, 1.5, 1.5, 1.5])["s"] == [1, 0, 1, 0]
    taken = neuron(decay=np.array(1.0), adapt=adapt, reset=SoftReset(np.array(1.0), adaptive=True))
    assert history(taken, [1.5, 2.0])["after"] == [0.5, 2.5 - 1.5]
    later = replace(taken, reset=SoftReset(np.array(1.0), 1, adaptive=True))
    assert history(later, [1.5, 2.0])["before"] == [1.5, 3.5 - 1.5]


def test_several_spikes_a_step() -> None:
    layer = neuron(decay=np.array(0.0), threshold=HALF, max_spikes=3)
    x = [-1, 0, 0.5, 0.75, 1.0, 1.25, 9.0]
    assert history(layer, x)["s"] == [0, 0, 0, 1, 1, 2, 3]
    assert history(replace(layer, inclusive=True), x)["s"] == [0, 0, 1, 1, 2, 2, 3]
    assert history(replace(layer, reset=SoftReset(HALF)), x)["after"] == [-1, 0, 0.5, 0.25, 0.5, 0.25, 7.5]


def test_a_refractory_neuron_holds_v_while_its_current_goes_on() -> None:
    layer = neuron(current=Current(HALF), reset=HardReset(), refractory=1)
    found = history(layer, [2, 2, 2])  # i: 2, 3, 3.5
    assert found == {"s": [1, 0, 1], "before": [2, 0, 3.5], "after": [0, 0, 0]}


def test_layers_without_a_state() -> None:
    values = np.arange(1.0, 9.0)
    conv = Conv2d(np.ones((1, 2, 1, 2)), (2, 2, 2), (1, 2, 1), np.array([0.5]))
    cases: list[tuple[Layer, list[float]]] = [
        (Affine(np.eye(2, 8), (2,), np.array([10.0, 20.0])), [11, 22]),
        (Linear(Dense(np.ones((1, 8))), (1,)), [36]),
        (Scale((2, 2, 2), np.array([1.0, 2.0])[:, None, None], np.array(1.0)), [2, 3, 4, 5, 11, 13, 15, 17]),
        (Rearrange((3,), np.array([7, -1, 0])), [8, 0, 1]),
        (Rearrange((8,)), values.tolist()),
        (SumPool2d((2, 2, 2), (2, 1, 1), (2, 2), (2, 2), scale=0.25), [2.5, 6.5]),
        (conv, [1 + 2 + 5 + 6 + 0.5, 3 + 4 + 7 + 8 + 0.5]),
    ]
    for layer, expected in cases:
        ops: dict[str, Layer] = {"x": Input((2, 2, 2)), "f": layer, "y": Output(layer.shape)}
        trace = run_float(Graph(ops, [Edge("x", "f"), Edge("f", "y")]), values.reshape(1, 1, 2, 2, 2))
        assert trace.outputs["y"].tolist() == [[expected]], layer


# --- random networks: a hidden population that feeds itself, and one that is read


def network(rng: np.random.Generator, scale: float = 1.0, *, decay: Any = None) -> Graph[Layer]:
    """Numbers that are whole but for the decays, so that sums are exact in any order; all multiplied by `scale`."""
    options = rng.integers(0, 2, 6)
    resets = (
        None,
        SoftReset(scale * rng.integers(1, 9, 6), int(options[0])),
        HardReset(np.array(scale * rng.integers(-4, 4)), int(options[0])),
    )
    reset = resets[rng.integers(3)]
    refractory = 2 if options[1] and not (reset and reset.delay) else 0
    alpha = rng.choice([0.0, 0.5, 0.75, 1.0], 6) if decay is None else decay
    hidden = Neuron(
        (6,),
        alpha,
        scale * rng.integers(1, 9, 6),
        bool(options[2]),
        reset,
        scale * rng.integers(-2, 3, 6),
        Current(alpha, scale * rng.integers(-2, 3, 6)) if options[3] else None,
        scale * rng.integers(-20, 0, 6) if options[4] else None,
        None,
        3 if options[5] else 1,
        refractory,
        scale * rng.integers(-5, 6, 6),
    )
    ops: dict[str, Layer] = {
        "x": Input((4,)),
        "w": Linear(Dense(scale * rng.integers(-5, 7, (6, 4))), (6,)),
        "back": Linear(Dense(scale * rng.integers(-3, 4, (6, 6))), (6,)),
        "p": hidden,
        "v": Linear(Dense(rng.integers(-3, 4, (2, 6)).astype(float)), (2,)),
        "q": Neuron((2,), np.array(1.0), None),
        "y": Output((2,), "membrane"),
    }
    edges = [Edge("x", "w"), Edge("w", "p"), Edge("p", "back", 1), Edge("back", "p"), Edge("p", "v"), Edge("v", "q")]
    return Graph(ops, [*edges, Edge("q", "y")])


def inputs(rng: np.random.Generator) -> Array:
    return rng.integers(-3, 4, (3, 12, 4))


@settings(max_examples=60)
@given(st.integers(0, 1 << 32), st.sampled_from([0.125, 2.0, 1024.0]))
def test_the_scale_of_a_population_is_free(seed: int, scale: float) -> None:
    """Weights, bias, threshold, reset and states times one factor: the same spikes, the membrane times that factor."""
    x = inputs(np.random.default_rng(seed))
    plain = run_float(network(np.random.default_rng(seed)), x, record=["p", "q"])
    scaled = run_float(network(np.random.default_rng(seed), scale), x, record=["p", "q"])
    np.testing.assert_array_equal(scaled.spikes["p"], plain.spikes["p"])
    np.testing.assert_array_equal(scaled.membranes["p"], plain.membranes["p"] * scale)
    np.testing.assert_array_equal(scaled.outputs["y"], plain.outputs["y"])


@settings(max_examples=60)
@given(st.integers(0, 1 << 32))
def test_floats_and_integers_mean_the_same_where_nothing_is_rounded(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = inputs(rng)
    graph = network(rng, decay=rng.choice([0.0, 1.0], 6))
    lengths = rng.integers(1, 13, 3)
    floats = run_float(graph, x, lengths=lengths, record=["p", "q"])
    whole = run(as_integers(graph), x, lengths=lengths, record=["p", "q"])
    for kind in ("outputs", "spikes", "membranes"):
        for name, values in getattr(whole, kind).items():
            np.testing.assert_array_equal(getattr(floats, kind)[name], values, err_msg=f"{kind} of {name}")


def as_integers(graph: Graph[Layer]) -> integers.Network:
    """The same network in integers, for decays of 0 and 1 and registers that are wide enough."""
    ops: dict[str, integers.IntOp] = {}
    for name, op in graph.ops.items():
        if isinstance(op, Input):
            ops[name] = integers.Source(op.shape, 3, signed=True)
        elif isinstance(op, Linear):
            ops[name] = integers.Synapse(Dense(op.map.weight.astype(np.int64)))
        elif isinstance(op, Neuron):
            ops[name] = population(op)
        elif isinstance(op, Output):
            ops[name] = integers.Output(op.value, op.when, "last")
    return Graph(ops, graph.edges)


def population(op: Neuron) -> integers.Population:
    wide = integers.Register(-(1 << 40), 1 << 40)
    reset: Any = op.reset
    if isinstance(reset, SoftReset):
        reset = integers.SoftReset(reset.amount, reset.delay, reset.adaptive)
    elif isinstance(reset, HardReset):
        reset = integers.HardReset(reset.value, reset.delay)
    return integers.Population(
        op.shape,
        integers.Membrane(integers.Decay(1 - op.decay, 0, "floor"), wide, op.bias, op.minimum, op.initial),
        None if op.threshold is None else integers.Fire(op.threshold, op.inclusive, op.max_spikes),
        reset,
        integers.Current(integers.Decay(1 - op.current.decay, 0, "floor"), wide, op.current.initial)
        if op.current
        else None,
        refractory=op.refractory,
    )


def test_no_sample_gives_no_values() -> None:
    graph = network(np.random.default_rng(3))
    trace = run_float(graph, np.zeros((0, 5, 4)), record=["p"])
    assert trace.outputs["y"].shape == (0, 5, 2)
    assert trace.membranes["p"].shape == (0, 5, 6)


@pytest.mark.parametrize("steps", [1, 4])
def test_a_static_input_is_presented_at_every_step(steps: int) -> None:
    graph = network(np.random.default_rng(3))
    x = inputs(np.random.default_rng(4))[:, 0]
    still = run_float(graph, x, steps=steps, record=["p"])
    moving = run_float(graph, np.stack([x] * steps, axis=1), record=["p"])
    np.testing.assert_array_equal(still.membranes["p"], moving.membranes["p"])
