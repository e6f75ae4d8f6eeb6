"""All-but-self matrices become one number, and populations that only hand spikes on are gone, spikes unmoved."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snncc.arrays import Array
from snncc.graph import Edge, Graph
from snncc.layers import Adapt, Current, HardReset, Input, Layer, Linear, Neuron, Output, SoftReset
from snncc.linear import Dense, Lateral, LinearMap, Sparse, to_sparse
from snncc.passes.compose import diagonal
from snncc.passes.lateral import compact, relays_are_bypassed, repeats
from snncc.passes.legalise import legalise
from snncc.semantics import run_float


def others(count: int, weight: float) -> Array:
    return weight * (1 - np.eye(count))


def test_a_matrix_of_all_but_self_becomes_one_number() -> None:
    for form in (Dense(others(5, -0.25)), to_sparse(Dense(others(5, -0.25)))):
        found = compact(form)
        assert isinstance(found, Lateral)
        assert (found.weight.tolist(), found.size) == ([-0.25], 5)


@pytest.mark.parametrize(
    "weight",
    [
        others(2, 1.0),
        others(4, 0.0),
        others(4, 1.0) + np.eye(4),
        others(4, 1.0)[:3],
        np.roll(others(4, 1.0), 1, axis=0),
        np.where(np.arange(16).reshape(4, 4) == 7, 2.0, others(4, 1.0)),
        np.where(np.arange(16).reshape(4, 4) == 7, 0.0, others(4, 1.0)),
    ],
)
def test_any_other_matrix_stays(weight: Array) -> None:
    assert not isinstance(compact(Dense(weight)), Lateral)
    assert isinstance(compact(to_sparse(Dense(weight))), Sparse)


def arrangement(inputs: int, count: int, inhibition: float = -0.5, **options: Any) -> Graph[Layer]:
    """Diehl and Cook's: excitatory neurons, each with an inhibitory one that inhibits all others a step later."""
    rng = np.random.default_rng(1)
    excite = rng.integers(0, 9, (count, inputs)) / 16
    exc = Neuron((count,), np.array(0.75), np.array(1.5), reset=HardReset(np.array(0.25)), refractory=2)
    exc = replace(exc, adapt=Adapt(np.array(0.5), np.array(0.125)))
    inh = Neuron((count,), np.array(0.5), np.array(1.0), reset=HardReset(np.array(-0.5)), refractory=1)
    ops: dict[str, Layer] = {
        "x": Input((inputs,)),
        "excite": Linear(Dense(excite), (count,)),
        "exc": exc,
        "relay": Linear(diagonal(np.full(count, 2.0), (count,)), (count,)),
        "inh": replace(inh, **options),
        "inhibit": Linear(Dense(others(count, inhibition)), (count,)),
        "y": Output((count,)),
    }
    edges = [Edge("x", "excite"), Edge("excite", "exc"), Edge("exc", "relay"), Edge("relay", "inh")]
    return Graph(ops, [*edges, Edge("inh", "inhibit", 1), Edge("inhibit", "exc"), Edge("exc", "y")])


def spikes(graph: Graph[Layer], seed: int, name: str = "exc") -> Array:
    x = (np.random.default_rng(seed).random((3, 40, 12)) < 0.3).astype(np.float64)
    found = run_float(graph, x, record=(name,)).spikes[name]
    assert found.any()
    return found


def test_an_inhibitory_population_in_between_becomes_direct_lateral_inhibition() -> None:
    before = arrangement(12, 9)
    after = legalise(before)
    assert set(after.ops) == {"x", "excite", "exc", "inhibit", "y"}
    inhibit = after.of_kind(Linear)["inhibit"].map
    assert isinstance(inhibit, Lateral)
    assert (inhibit.weight.tolist(), inhibit.size) == ([-0.5], 9)
    assert after.incoming("inhibit") == (Edge("exc", "inhibit", 1),)
    for seed in range(5):
        assert np.array_equal(spikes(before, seed), spikes(after, seed))


def test_a_delay_on_the_way_stays() -> None:
    plain = arrangement(12, 9)
    late = Graph(plain.ops, [replace(edge, delay=3) if edge.target == "relay" else edge for edge in plain.edges])
    after = legalise(late)
    assert after.incoming("inhibit") == (Edge("exc", "inhibit", 4),)
    assert np.array_equal(spikes(late, 0), spikes(after, 0))


@pytest.mark.parametrize(
    "options",
    [
        {"threshold": np.array(2.5)},  # one spike does not fire it from rest
        {"threshold": np.array(1.9)},  # nor after a reset to below rest
        {"threshold": np.array(-0.1)},  # it fires without
        {"reset": None},
        {"reset": SoftReset(np.array(0.5))},  # what is left of it fires again
        {"refractory": 3},  # longer than its source's
        {"current": Current(np.array(0.5))},
        {"adapt": Adapt(np.array(0.5), np.array(0.1))},
        {"bias": np.array(0.75)},
        {"decay": np.array(1.0), "bias": np.array(1e-3)},
        {"initial": np.array(5.0)},
        {"minimum": np.array(0.0)},
        {"max_spikes": 2},
    ],
)
def test_a_population_that_does_more_than_repeat_stays(options: Any) -> None:
    assert "inh" in legalise(arrangement(12, 9, **options)).ops


@pytest.mark.parametrize("learnt", ["relay", "inh", "inhibit"])
def test_a_population_stays_whose_synapses_are_to_learn(learnt: str) -> None:
    assert "inh" in legalise(arrangement(12, 9), {learnt}).ops
    assert "inh" not in legalise(arrangement(12, 9), {"excite"}).ops


def test_a_population_that_an_output_reads_stays() -> None:
    plain = arrangement(12, 9)
    read = Graph({**plain.ops, "z": Output((9,))}, [*plain.edges, Edge("inh", "z")])
    assert "inh" in legalise(read).ops


def test_what_reads_another_order_of_neurons_is_composed() -> None:
    plain = arrangement(12, 9)
    order = np.roll(np.arange(9), 2)
    turned: LinearMap = Sparse(np.arange(10), order, np.full(9, 2.0), 9)
    weight = np.random.default_rng(0).integers(-4, 5, (9, 9)) / 8
    ops = {**plain.ops, "relay": Linear(turned, (9,)), "inhibit": Linear(Dense(weight), (9,))}
    graph = Graph(ops, plain.edges)
    after = relays_are_bypassed(graph)
    assert "inh" not in after.ops
    assert np.array_equal(spikes(graph, 0), spikes(after, 0))


neurons = st.builds(
    Neuron,
    shape=st.just((1,)),
    decay=st.sampled_from((0.0, 0.25, 0.5, 1.0)).map(np.array),
    threshold=st.sampled_from((0.25, 0.5, 1.0, 1.5)).map(np.array),
    inclusive=st.booleans(),
    reset=st.one_of(
        st.builds(HardReset, st.sampled_from((-1.0, 0.0, 0.5)).map(np.array)),
        st.builds(SoftReset, st.sampled_from((0.5, 1.0, 2.0)).map(np.array)),
    ),
    bias=st.sampled_from((0.0, 0.0, -0.25, 0.125)).map(np.array),
    initial=st.sampled_from((0.0, 0.0, -0.5, 0.25)).map(np.array),
)


@settings(max_examples=300, deadline=None)
@given(neurons, st.sampled_from((0.0, 0.5, 1.0, 2.0)), st.integers(0, 9))
def test_what_is_taken_for_a_relay_repeats_every_train(neuron: Neuron, weight: float, seed: int) -> None:
    if not repeats(neuron, np.array([weight])):
        return
    sent = (np.random.default_rng(seed).random((8, 30, 1)) < 0.4).astype(np.float64)
    ops: dict[str, Layer] = {"x": Input((1,)), "w": Linear(Dense(np.array([[weight]])), (1,)), "n": neuron}
    graph = Graph({**ops, "y": Output((1,))}, [Edge("x", "w"), Edge("w", "n"), Edge("n", "y")])
    found = run_float(graph, sent).outputs["y"]
    assert np.array_equal(found, sent if weight else np.zeros_like(sent))
