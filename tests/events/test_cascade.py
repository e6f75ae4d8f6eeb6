"""The bounds on what one event can start: never passed on random networks, reached where they can be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snncc.diagnostics import CompileError
from snncc.events.cascade import MOST_EVENTS, cascades
from snncc.events.ops import EventNetwork, EventOp, EventPopulation, EventSource, crossbar
from snncc.events.reference import activity, run
from snncc.graph import Edge
from snncc.integers import Output, Register, Synapse
from snncc.linear import Dense
from tests.events.random_networks import Case, cases
from tests.events.test_reference import example


@given(cases(most=20), st.integers(0, 1 << 32))
@settings(max_examples=150)
def test_no_run_passes_the_bounds(case: Case, seed: int) -> None:
    """Membranes are as high as can be, half of them, so that many neurons fire at the first event."""
    network, random = crossbar(case.network), np.random.default_rng(seed)
    high = np.minimum(network.threshold - 1, network.highest)
    bounds = cascades(network)
    ready = replace(network, initial=np.where(random.random(network.neurons) < 0.5, high, network.initial))
    flat = case.x.reshape(*case.x.shape[:2], -1)
    for matrix in (network, ready):
        found = activity(matrix, case.network.source, flat, case.lengths, logged=True)
        assert found.fullest.max() <= bounds.most
        for log in found.log:
            starts = np.flatnonzero(log[:, 1] >= network.neurons)
            for start, stop in zip(starts, np.append(starts, len(log))[1:], strict=True):
                channel = log[start, 1] - network.neurons
                spikes = np.bincount(log[start + 1 : stop, 1], minlength=network.neurons)
                assert stop - start <= bounds.events[channel]
                assert (spikes <= bounds.spikes[channel]).all()


def test_a_bound_by_hand() -> None:
    """Weight 7 on `a` makes it fire once; `b` then gets 5 and 3, so 8: from just below 5 it fires at most twice."""
    bounds = cascades(crossbar(example([[7, 3], [-7, 0]])))
    assert bounds.spikes.tolist() == [[1, 2], [0, 0]]
    assert bounds.events.tolist() == [4, 1]
    assert bounds.most == 4


def test_a_neuron_fires_at_no_more_events_than_excite_it() -> None:
    assert cascades(crossbar(example([[7, 0]], threshold=1))).spikes.tolist() == [[1, 1]]


def deep(layers: int, width: int = 2) -> EventNetwork:
    """Every neuron fires at every event that reaches it, so each layer multiplies the events by its width."""
    one = np.ones(width, np.int64)
    ops: dict[str, EventOp] = {"x": EventSource((1,), order=np.zeros(1, np.int64))}
    edges: list[Edge] = []
    before, size = "x", 1
    for layer in range(layers):
        name = f"p{layer}"
        ops[f"w{layer}"] = Synapse(Dense(np.full((width, size), 7)))
        ops[name] = EventPopulation((width,), one, one * 0, one * 0, Register(-2048, 2047))
        edges += [Edge(before, f"w{layer}"), Edge(f"w{layer}", name)]
        before, size = name, width
    ops["y"] = Output("spikes", "after", "count")
    return EventNetwork(ops, [*edges, Edge(before, "y")])


@pytest.mark.parametrize("layers", [1, 2, 14, 15, 16, 31, 62, 63, 64, 100])
def test_deep_networks(layers: int) -> None:
    """Bounds are exact here as far as they are told apart, and however deep the network is they do not wrap."""
    truth = 2 ** (layers + 1) - 1
    assert cascades(crossbar(deep(layers))).most == min(truth, MOST_EVENTS + 1)


def test_the_most_that_one_event_may_start() -> None:
    assert run(deep(15), np.ones((1, 1, 1), np.int64)).outputs["y"].sum() == 1 << 15
    with pytest.raises(CompileError) as caught:
        run(deep(16), np.ones((1, 1, 1), np.int64))
    assert str(caught.value) == (
        "error[too-many-events]: the network: one event of channel 0 starts more than 65,536 events\n"
        "  = hint: train with fewer layers, higher thresholds or smaller weights"
    )
