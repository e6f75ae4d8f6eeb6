"""Time and energy from counters, on numbers small enough to check by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from snncc import chip as chips
from snncc.analysis.costs import added, greatest, product, spent
from snncc.chip import Energy, Figure
from snncc.graph import Edge, Graph
from snncc.integers import Decay, Fire, Membrane, Network, Output, Population, Register, Source, Synapse
from snncc.linear import Dense
from tests.chips import mesh_chip

PEAKS = {"buffers": np.array([[1, 3], [0, 2]]), "queues": np.array([5, 4])}


def network() -> Network:
    membrane = Membrane(Decay(np.array(0), 1, "floor"), Register(-128, 127))
    ops = {
        "x": Source((2,)),
        "w": Synapse(Dense(np.ones((3, 2), np.int8))),
        "p": Population((3,), membrane, Fire(np.array(1), True)),
        "y": Output("spikes", "after", "count"),
    }
    return Graph(ops, [Edge("x", "w", 1), Edge("w", "p"), Edge("p", "y")])


def counts() -> dict[str, np.ndarray]:
    """Of two tiles side by side with a core each, and the host."""
    return {
        "steps": np.array([8]),
        "cycles": np.array([1000]),
        "neurons": np.array([20, 10, 0]),
        "spikes": np.array([4, 2, 0]),
        "packets": np.array([4, 0, 6]),
        "deliveries": np.array([3, 7, 0]),
        "neuron_busy": np.array([100, 50, 6]),
        "neuron_stalled": np.array([10, 0, 1]),
        "synapse_busy": np.array([30, 400, 0]),
        "synapses": np.array([[1, 2, 3], [10, 20, 30], [0, 0, 0]]),
        "hops": np.array([[0, 7, 0, 0], [0, 0, 0, 2]]),
        "fired": np.array([5, 1, 2, 2, 2]),
        "operations": np.array([18, 0]),
    }


def chip() -> chips.Chip:
    prices = dict.fromkeys(Energy.__annotations__, 0.0)
    prices |= {"neuron": 2.0, "spike": 1.0, "packet": 3.0, "delivery": 0.5, "hop_horizontal": 4.0}
    prices |= {"synapse_sparse": 0.1, "synapse_dense": 0.2, "synapse_shared": 0.3}
    figures = {name: Figure(value, "a paper" if value < 1 else "", value >= 1) for name, value in prices.items()}
    return replace(mesh_chip(2, 1, 1), energy=Energy(**figures))


def test_time_and_energy_are_events_times_their_costs() -> None:
    found = spent(network(), chip(), counts(), PEAKS, 2, 6)
    assert found.seconds.value == pytest.approx(500e-9)
    assert (found.seconds.published, found.seconds.assumed) == (0, 17)
    assert found.joules is not None
    assert found.joules.parts == pytest.approx(
        {
            "neuron": 30e-12,
            "spike": 3e-12,
            "packet": 15e-12,
            "delivery": 2.5e-12,
            "synapse_sparse": 0.55e-12,
            "synapse_dense": 2.2e-12,
            "synapse_shared": 4.95e-12,
            "hop_horizontal": 18e-12,
            "hop_vertical": 0.0,
        }
    )
    assert found.joules.value == pytest.approx(76.2e-12)
    assert (found.joules.published, found.joules.assumed) == (5, 4)


def test_averages_are_per_sample() -> None:
    found = spent(network(), chip(), counts(), PEAKS, 2, 6)
    assert (found.steps, found.cycles, found.spikes) == (4, 500, 3)
    assert (found.packets, found.hops, found.synapses) == (5, 4.5, 33)
    assert (found.buffer, found.queue) == (3, 5)


def test_the_busiest_come_first() -> None:
    found = spent(network(), chip(), counts(), PEAKS, 2, 6)
    assert [(each.core, each.tile) for each in found.cores] == [(1, (1, 0)), (0, (0, 0))]
    assert (found.cores[1].neurons, found.cores[1].waiting, found.cores[1].synapses) == (0.1, 0.01, 0.03)
    assert [(each.tile, each.direction, each.packets) for each in found.links] == [
        ((0, 0), "east", 3.5),
        ((1, 0), "west", 1.0),
    ]
    assert found.links[0].busy == pytest.approx(7 / 1000)


def test_parts_of_a_run_add_up() -> None:
    total = added([counts(), counts()])
    assert total["cycles"].tolist() == [2000]
    assert total["hops"].tolist() == [[0, 14, 0, 0], [0, 0, 0, 4]]
    higher = {"buffers": np.array([[0, 9], [1, 0]]), "queues": np.array([1, 6])}
    assert {name: each.tolist() for name, each in greatest([PEAKS, higher]).items()} == {
        "buffers": [[1, 9], [1, 2]],
        "queues": [5, 6],
    }
    assert added([]) == greatest([]) == {}


@pytest.mark.parametrize(
    ("name", "time", "energy"), [("mesh64", (0, 17), (0, 9)), ("loihi1", (13, 4), (9, 0)), ("loihi2", (0, 17), None)]
)
def test_shipped_chips_say_where_their_numbers_are_from(
    name: str, time: tuple[int, int], energy: tuple[int, int] | None
) -> None:
    found = spent(network(), chips.load(name), counts(), PEAKS, 2, 6)
    assert (found.seconds.published, found.seconds.assumed) == time
    assert (found.joules and (found.joules.published, found.joules.assumed)) == energy


def test_a_product_says_of_which_numbers_it_is_made() -> None:
    found = product(1000, [Figure(2.0, "a data sheet"), Figure(0.5, assumed=True), Figure(4e-6, "a paper")])
    assert found.value == pytest.approx(4e-3)
    assert found.origin == "of 2 published and 1 assumed numbers"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (12.34, "12.3 s"),
        (1.0, "1 s"),
        (0.0123, "12.3 ms"),
        (5e-6, "5 us"),
        (1e-9, "1 ns"),
        (2.5e-11, "25 ps"),
        (0, "0 ps"),
    ],
)
def test_a_quantity_has_one_to_three_digits_before_the_point(value: float, text: str) -> None:
    assert product(value, []).quantity("s") == text
