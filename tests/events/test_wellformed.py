"""What a stored event-driven network may not be: every fault, in these words."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from snncc.events.ops import EventNetwork, EventOp, EventSource
from snncc.events.wellformed import malformed
from snncc.graph import Edge
from snncc.integers import Output, Register, Synapse
from snncc.linear import Dense
from tests.events.random_networks import Case, cases
from tests.events.test_reference import example


@given(cases())
@settings(max_examples=50)
def test_networks_that_run_are_well_formed(case: Case) -> None:
    assert malformed(case.network) == ()


def changed(name: str, **changes: Any) -> EventNetwork:
    network = example([[3, 0]])
    return EventNetwork({**network.ops, name: replace(network[name], **changes)}, network.edges)  # type: ignore[type-var]


ONE = [
    ("x", {"shape": ()}, "has the shape ()"),
    ("x", {"shape": (1 << 17,)}, "has the shape (131072,)"),
    ("x", {"bits": 4}, "sends something else than spikes"),
    ("x", {"scale": 0.5}, "sends something else than spikes"),
    ("x", {"always": -1}, "has -1 channels that always send"),
    ("x", {"order": np.array([1])}, "has an order that is not of every channel once"),
    ("x", {"always": 1}, "has an order that is not of every channel once"),
    ("a", {"shape": (0,)}, "has the shape (0,)"),
    ("a", {"shape": (2,)}, "has no threshold for each of its 2 neurons, or one that is too large"),
    ("a", {"leak": np.array([1 << 31])}, "has no leak for each of its 1 neurons, or one that is too large"),
    ("a", {"threshold": np.array([0])}, "has a threshold below 1, or a leak below 0"),
    ("a", {"leak": np.array([-1])}, "has a threshold below 1, or a leak below 0"),
    ("a", {"initial": np.array([5])}, "starts outside its register, or at its threshold"),
    ("a", {"initial": np.array([-3000])}, "starts outside its register, or at its threshold"),
    ("a", {"register": Register(1, 5)}, "has a register from 1 to 5 that does not saturate at them"),
    ("a", {"register": Register(-5, 5, "wrap")}, "has a register from -5 to 5 that does not saturate at them"),
    ("ab", {"map": Dense(np.array([[0.5]]))}, "has weights that are no integers, or too large"),
    ("ab", {"map": Dense(np.array([[1 << 40]]))}, "has weights that are no integers, or too large"),
    ("ab", {"map": Dense(np.array([1]))}, "a dense weight has two axes"),
    ("ab", {"exponent": 1}, "shifts or delays its events"),
    ("ab", {"axon_delays": np.array([0])}, "shifts or delays its events"),
    ("y", {"value": "membrane"}, "gives something else than the spikes of its step"),
    ("y", {"latency": 1}, "gives something else than the spikes of its step"),
    ("ab", {"map": Dense(np.array([[1, 1]]))}, "is not joined as Synapse has to be"),
]


@pytest.mark.parametrize(("name", "changes", "text"), ONE)
def test_one_fault(name: str, changes: dict[str, Any], text: str) -> None:
    assert malformed(changed(name, **changes)) == ((name, text),)


def joined(ops: dict[str, EventOp], edges: list[Edge]) -> tuple[tuple[str, str], ...]:
    return malformed(EventNetwork(ops, edges))


def test_ops_that_are_joined_wrongly() -> None:
    network = example([[3, 0]])
    ops, edges = dict(network.ops), list(network.edges)
    late = [replace(edge, delay=1) if edge.target == "ab" else edge for edge in edges]
    assert joined(ops, late) == (("ab", "is not joined as Synapse has to be"),)
    twice = [replace(edge, gain=2.0) if edge.target == "y" else edge for edge in edges]
    assert joined(ops, twice) == (("y", "is not joined as Output has to be"),)
    direct = [*edges, Edge("a", "b")]
    assert joined(ops, direct) == (("b", "is not joined as EventPopulation has to be"),)
    back = {**ops, "ba": Synapse(Dense(np.array([[1]])))}
    ((_, message),) = joined(back, [*edges, Edge("b", "ba"), Edge("ba", "a")])
    assert "these ops feed each other within one time step" in message
    fed = {**ops, "ax": Synapse(Dense(np.array([[1]])))}
    assert ("x", "is not joined as EventSource has to be") in joined(fed, [*edges, Edge("a", "ax"), Edge("ax", "x")])


def test_a_source_and_an_output_there_must_be() -> None:
    nothing = (("the network", "has no single source of events, or no output"),)
    assert joined({"x": EventSource((1,), order=np.zeros(1))}, []) == nothing
    assert joined({"y": Output("spikes", "after", "count")}, []) == nothing
