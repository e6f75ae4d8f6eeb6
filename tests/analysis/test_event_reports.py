"""The tables about an event-driven network."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings

from snncc.analysis.event_reports import event_report
from snncc.events.ops import EventNetwork, crossbar
from snncc.events.reference import activity
from snncc.integers import Synapse
from snncc.linear import Dense
from tests.events.random_networks import Case, cases
from tests.events.test_cascade import deep
from tests.events.test_reference import example


def test_a_small_network() -> None:
    """Channel 1 takes 2 from `b` in each step, and nothing takes from `a`: 2048 / 2 steps are safe."""
    found = event_report(example([[3, 0], [4, -2]]))
    rows = [(row.name, row.neurons, row.kind, row.threshold, row.state_bits, row.verdict) for row in found.populations]
    assert rows == [
        ("a", 1, "event by event, no leak, reset to 0", "5", (12,), "safe"),
        ("b", 1, "event by event, no leak, reset to 0", "5", (12,), "safe for 1,024 steps"),
    ]
    assert [(row.name, row.source, row.target, row.form, row.weight_bits) for row in found.synapses] == [
        ("in_a", "x", "a", "crossbar 2→1", 4),
        ("in_b", "x", "b", "crossbar 2→1", 2),
        ("ab", "a", "b", "crossbar 1→1", 4),
    ]
    assert (found.neurons, found.synapse_count, found.weight_bytes) == (2, 5, 3)
    assert found.source.shape == (2,)


def test_leaks_are_named() -> None:
    assert event_report(example([[3, 0]], leak=2)).populations[0].kind == "event by event, leak 2, reset to 0"


def test_where_events_are_too_many_to_bound_no_step_is_safe() -> None:
    """Only the last layer inhibits: the bound on its spikes no longer counts what arrives."""
    network = deep(20)
    last = Synapse(Dense(np.full((2, 2), -7)))
    found = event_report(EventNetwork({**network.ops, "w19": last}, network.edges))
    assert [row.verdict for row in found.populations] == ["safe"] * 19 + ["may saturate"]


@given(cases(most=20))
@settings(max_examples=100)
def test_no_membrane_saturates_in_as_many_steps_as_are_safe(case: Case) -> None:
    """A membrane that saturates is one that a wider register would let go lower."""
    from dataclasses import replace

    matrix = crossbar(case.network)
    flat = case.x.reshape(*case.x.shape[:2], -1)
    wide = replace(matrix, lowest=matrix.lowest - 100_000)
    narrow, free = (activity(each, case.network.source, flat) for each in (matrix, wide))
    for row in event_report(case.network).populations:
        verdict = row.verdict.replace(",", "").split()
        safe = flat.shape[1] if row.verdict == "safe" else 0 if row.verdict == "may saturate" else int(verdict[2])
        part = matrix.parts[row.name]
        assert np.array_equal(narrow.membranes[:, :safe, part], free.membranes[:, :safe, part]) or _upstream(
            narrow.spikes[:, :safe, : part.start], free.spikes[:, :safe, : part.start]
        )


def _upstream(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether the populations before differ already: what they saturate at changes what comes after."""
    return not np.array_equal(a, b)
