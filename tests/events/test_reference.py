"""The reference gives what the naive model gives, sample by sample; and a worked example."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings

from snncc.events.ops import EventNetwork, EventPopulation, EventSource, crossbar
from snncc.events.reference import activity, run
from snncc.graph import Edge
from snncc.integers import Output, Register, Synapse
from snncc.linear import Dense
from tests.events import naive
from tests.events.random_networks import Case, cases


@given(cases())
@settings(max_examples=200)
def test_the_reference_and_the_naive_model_agree(case: Case) -> None:
    network, matrix = case.network, crossbar(case.network)
    trace = run(network, case.x, case.lengths, record=tuple(network.populations))
    flat = case.x.reshape(*case.x.shape[:2], -1)
    found = activity(matrix, network.source, flat, case.lengths, logged=True)
    rows = [("x", channel) for channel in range(network.source.channels)]
    rows = [(name, n) for name, op in network.populations.items() for n in range(op.size)] + rows
    for sample, length in enumerate(case.lengths.tolist()):
        seen = naive.run(network, flat[sample, :length])
        for name in network.populations:
            assert trace.spikes[name][sample, :length].tolist() == seen.spikes[name]
            assert trace.membranes[name][sample, :length].tolist() == seen.membranes[name]
            assert trace.outputs[f"{name}/y"][sample].tolist() == trace.spikes[name][sample].tolist()
            assert not trace.spikes[name][sample, length:].any()
            assert not trace.membranes[name][sample, length:].any()
        assert found.fullest[sample] == seen.fullest
        assert found.events[sample] == len(seen.events)
        assert [(step, *rows[row]) for step, row in found.log[sample].tolist()] == seen.events


def test_what_is_not_recorded_is_left_out() -> None:
    trace = run(example([[0, 0]]), np.ones((1, 1, 1), np.int64))
    assert (list(trace.outputs), list(trace.spikes), list(trace.membranes)) == (["y"], [], [])


def example(weights: list[list[int]], threshold: int = 5, leak: int = 0) -> EventNetwork:
    """Channels to two neurons, the first of which excites the second by 5."""
    source = EventSource((len(weights),), order=np.arange(len(weights))[::-1])
    same = np.full(1, threshold)
    neuron = EventPopulation((1,), same, same * 0 + leak, same * 0, Register(-2048, 2047))
    columns = np.array(weights).T
    ops = {
        "x": source,
        "in_a": Synapse(Dense(columns[:1])),
        "a": neuron,
        "in_b": Synapse(Dense(columns[1:])),
        "ab": Synapse(Dense(np.array([[5]]))),
        "b": neuron,
        "y": Output("spikes", "after", "count"),
    }
    pairs = ("x", "in_a"), ("in_a", "a"), ("x", "in_b"), ("in_b", "b"), ("a", "ab"), ("ab", "b"), ("b", "y")
    return EventNetwork(ops, [Edge(*pair) for pair in pairs])


def test_worked_example() -> None:
    """The last channel goes first: it takes `a` to 4, then the first channel makes it fire, and that `b`."""
    network = example([[3, 0], [4, -2]])
    x = np.array([[[1, 1], [0, 1], [1, 0]]])
    trace = run(network, x, record=("a", "b"))
    assert trace.spikes["a"][0, :, 0].tolist() == [1, 0, 1]
    assert trace.membranes["a"][0, :, 0].tolist() == [0, 4, 0]
    # -2, +5 makes 3; -2 makes 1; +5 makes 6, which is 5 or more.
    assert trace.membranes["b"][0, :, 0].tolist() == [3, 1, 0]
    assert trace.outputs["y"][0, :, 0].tolist() == [0, 0, 1]


def test_a_leak_moves_towards_zero_and_not_beyond() -> None:
    network = example([[4, -2]], leak=3)
    trace = run(network, np.array([[[1], [0]]]), record=("a", "b"))
    assert trace.membranes["a"][0, :, 0].tolist() == [1, 0]
    assert trace.membranes["b"][0, :, 0].tolist() == [0, 0]
