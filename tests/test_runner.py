"""Tests of the loop over time: delays, windows, recording, and that nothing is computed twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from snncc.arrays import Array
from snncc.graph import Edge, Graph
from snncc.runner import Feed, Probe, Runnable, State, Stateful, Stateless, Trace, simulate


def adder(size: int = 1, start: int = 0) -> Stateful:
    """A population that sums its input up and sends each step's input on."""

    def step(state: State, x: Array) -> tuple[State, Array, Array]:
        v = state["v"] + x
        return {"v": v}, x, v * 10

    return Stateful(lambda rows: {"v": np.zeros((rows.stop - rows.start, size))}, step, size, start)


def feed(*rows: Sequence[float]) -> Feed:
    """One sample's steps a row, of single values; zero afterwards."""
    return replay(np.array(rows, float)[:, :, None])


def replay(values: Array) -> Feed:
    """These values, (samples, steps, size), and zero afterwards."""

    def frames(rows: slice) -> Callable[[int], Array]:
        return lambda now: values[rows, now] if now < values.shape[1] else 0 * values[rows, 0]

    return Feed(frames, values.shape[2])


def chain(
    population: Stateful, *edges: Edge, x: Feed | None = None, steps: int = 4, lengths: Sequence[int] = ()
) -> Trace:
    """The source x feeds the population p, by the edges given or at once."""
    ops: dict[str, Runnable] = {"x": x or feed([1, 2, 3, 4]), "p": population}
    graph = Graph(ops, edges or [Edge("x", "p")])
    return simulate(graph, ops, np.array(lengths or [steps]), steps, ["p"])


def test_a_populations_spikes_and_membranes_are_kept() -> None:
    trace = chain(adder())
    assert trace.spikes["p"][0, :, 0].tolist() == [1, 2, 3, 4]
    assert trace.membranes["p"][0, :, 0].tolist() == [1, 3, 6, 10]


def test_only_what_was_asked_for_is_kept() -> None:
    ops: dict[str, Runnable] = {"x": feed([1, 2]), "p": adder()}
    trace = simulate(Graph(ops, [Edge("x", "p")]), ops, np.array([2]), 2, [])
    assert trace == Trace({}, {}, {}) or not (trace.spikes or trace.membranes or trace.outputs)


@pytest.mark.parametrize("delay", [0, 1, 3, 9])
def test_a_delay_line_begins_empty(delay: int) -> None:
    trace = chain(adder(), Edge("x", "p", delay))
    assert trace.spikes["p"][0, :, 0].tolist() == ([0] * delay + [1, 2, 3, 4])[:4]


def test_edges_multiply_and_add_up() -> None:
    ops: dict[str, Runnable] = {"x": feed([1, 2, 3]), "y": Stateless(lambda v: v * 100, 1), "p": adder()}
    graph = Graph(ops, [Edge("x", "y", 1), Edge("x", "p", 0, 0.5), Edge("y", "p", 0, -1.0)])
    trace = simulate(graph, ops, np.array([3]), 3, ["p"])
    assert trace.spikes["p"][0, :, 0].tolist() == [0.5, 1 - 100, 1.5 - 200]


def test_a_population_can_feed_itself() -> None:
    trace = chain(adder(), Edge("x", "p"), Edge("p", "p", 1))
    assert trace.spikes["p"][0, :, 0].tolist() == [1, 3, 6, 10]


def test_a_population_that_nothing_feeds_sees_zero() -> None:
    ops: dict[str, Runnable] = {"x": feed([1, 2]), "p": adder(size=3)}
    trace = simulate(Graph(ops), ops, np.array([2]), 2, ["p"])
    assert trace.membranes["p"].tolist() == [[[0, 0, 0], [0, 0, 0]]]


def test_source_neurons_can_have_delays_of_their_own() -> None:
    source = replay(np.arange(1, 7).reshape(1, 3, 2))
    ops: dict[str, Runnable] = {"x": source, "s": Stateless(lambda v: v, 2, np.array([0, 2])), "p": adder(2)}
    trace = simulate(Graph(ops, [Edge("x", "s"), Edge("s", "p")]), ops, np.array([3]), 3, ["p"])
    assert trace.spikes["p"][0].tolist() == [[1, 0], [3, 0], [5, 2]]


def test_after_its_own_last_step_a_sample_rests() -> None:
    x = feed([1, 2, 3, 4], [5, 6, 7, 8])
    trace = chain(adder(), x=x, lengths=[2, 4])
    assert trace.membranes["p"][:, :, 0].tolist() == [[1, 3, 0, 0], [5, 11, 18, 26]]
    assert trace.spikes["p"][:, :, 0].tolist() == [[1, 2, 0, 0], [5, 6, 7, 8]]


def test_a_late_population_rests_until_its_start_and_is_kept_by_model_steps() -> None:
    late = chain(adder(start=2), Edge("x", "p", 2))
    assert late.membranes["p"].tolist() == chain(adder()).membranes["p"].tolist()
    unmatched = chain(adder(start=2))  # reads two steps ahead; beyond the end there is nothing
    assert unmatched.spikes["p"][0, :, 0].tolist() == [3, 4, 0, 0]


def test_a_resting_population_sends_nothing() -> None:
    ops: dict[str, Runnable] = {"x": feed([1, 2, 3], [1, 2, 3]), "p": adder(), "q": adder(start=2)}
    graph = Graph(ops, [Edge("x", "p"), Edge("p", "q")])
    trace = simulate(graph, ops, np.array([1, 3]), 3, ["q"])
    assert trace.spikes["q"][:, :, 0].tolist() == [[0, 0, 0], [3, 0, 0]]


@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        (Probe("spikes", "after"), [1, 2, 3]),
        (Probe("membrane", "before"), [10, 30, 60]),
        (Probe("membrane", "after"), [1, 3, 6]),
        (Probe("membrane", "after", latency=1), [3, 6, 0]),
    ],
)
def test_outputs_show_what_they_ask_for(probe: Probe, expected: list[int]) -> None:
    ops: dict[str, Runnable] = {"x": feed([1, 2, 3]), "p": adder(), "y": probe}
    trace = simulate(Graph(ops, [Edge("x", "p"), Edge("p", "y")]), ops, np.array([3]), 3, [])
    assert trace.outputs["y"][0, :, 0].tolist() == expected


def test_the_same_input_is_not_computed_again() -> None:
    calls: list[int] = []
    still = np.ones((1, 2))

    def count(x: Array) -> Array:
        calls.append(1)
        return x

    ops: dict[str, Runnable] = {"x": Feed(lambda rows: lambda now: still, 2), "s": Stateless(count, 2), "p": adder(2)}
    trace = simulate(Graph(ops, [Edge("x", "s"), Edge("s", "p")]), ops, np.array([5]), 5, ["p"])
    assert len(calls) == 1
    assert trace.membranes["p"][0, -1].tolist() == [5, 5]


def test_blocks_of_samples_leave_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    x, lengths = replay(rng.integers(0, 9, (7, 5, 3))), rng.integers(1, 6, 7)
    ops: dict[str, Runnable] = {"x": x, "s": Stateless(lambda v: v, 3, np.arange(3)), "p": adder(3, start=1)}
    ops["y"] = Probe("membrane", "before", latency=1)
    graph = Graph(ops, [Edge("x", "s", 1), Edge("s", "p"), Edge("p", "y")])
    whole = simulate(graph, ops, lengths, 5, ["p"])
    for least in (1, 2, 7):
        monkeypatch.setattr("snncc.runner._BLOCK", 1)
        monkeypatch.setattr("snncc.runner._LEAST", least)
        parts = simulate(graph, ops, lengths, 5, ["p"])
        np.testing.assert_array_equal(parts.outputs["y"], whole.outputs["y"])
        np.testing.assert_array_equal(parts.spikes["p"], whole.spikes["p"])
        np.testing.assert_array_equal(parts.membranes["p"], whole.membranes["p"])


def test_no_sample_leaves_empty_arrays() -> None:
    ops: dict[str, Runnable] = {"x": replay(np.zeros((0, 4, 2))), "p": adder(2), "y": Probe("spikes", "after")}
    trace = simulate(Graph(ops, [Edge("x", "p"), Edge("p", "y")]), ops, np.zeros(0, np.int64), 4, ["p"])
    assert {each.shape for each in (trace.outputs["y"], trace.spikes["p"], trace.membranes["p"])} == {(0, 4, 2)}
