"""What keeps a network from the chip: every reason at once, in these words."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from snncc import chip as chips
from snncc.arrays import Array
from snncc.backends.tinyodin.fits import bias_channels, misfits
from snncc.graph import Edge, Graph
from snncc.layers import Adapt, Current, HardReset, Input, Layer, Linear, Neuron, Output, SoftReset
from snncc.linear import Dense

CHIP = chips.load("tinyodin")
IF = Neuron((2,), decay=np.ones(()), threshold=np.ones(()), inclusive=True, reset=HardReset())


def network(neuron: Neuron = IF, inputs: int = 3, delay: int = 0, output: Output | None = None) -> Graph[Layer]:
    """Inputs, one population, one output."""
    weight = np.full((neuron.shape[0], inputs), 0.5, np.float32)
    ops: dict[str, Layer] = {
        "x": Input((inputs,)),
        "fc": Linear(Dense(weight), neuron.shape),
        "lif": neuron,
        "y": output or Output(neuron.shape),
    }
    return Graph(ops, [Edge("x", "fc", delay), Edge("fc", "lif"), Edge("lif", "y")])


def said(graph: Graph[Layer], samples: Array | None = None) -> list[str]:
    given = np.zeros((1, 1, 3)) if samples is None else samples
    return [str(each) for each in misfits(graph, CHIP, given)]


def test_what_fits_is_left_alone() -> None:
    assert said(network()) == []
    assert said(network(replace(IF, decay=np.array([0.9, 0.5]), inclusive=False))) == []
    assert said(network(replace(IF, bias=np.array([0.25, -0.1]), initial=np.array(0.5)))) == []


ONE: list[tuple[dict[str, Any], str]] = [
    (
        {"reset": SoftReset(np.ones(()))},
        "missing-capability]: lif: resets by subtracting 1: tinyodin lacks soft-reset\n"
        "  = hint: compile with --allow-hard-reset, train with resets to 0, or choose another target",
    ),
    (
        {"reset": None},
        "other-reset]: lif: keeps its membrane when it fires; tinyodin resets it to 0\n"
        "  = hint: train with a reset to zero",
    ),
    (
        {"reset": HardReset(np.array(-0.5))},
        "other-reset]: lif: resets to -0.5; tinyodin resets to 0\n  = hint: train with a reset to zero",
    ),
    (
        {"reset": HardReset(delay=1)},
        "missing-capability]: lif: resets 1 step later: tinyodin lacks reset-delay\n  = hint: choose another target",
    ),
    (
        {"current": Current(np.array([0.5, 0.75]))},
        "missing-capability]: lif: has a synaptic current that keeps 0.5..0.75 of itself: tinyodin lacks current\n"
        "  = hint: train without a synaptic current, or choose another target",
    ),
    (
        {"adapt": Adapt(np.array(0.9), np.array(0.1))},
        "missing-capability]: lif: raises its threshold by 0.1 with each spike: tinyodin lacks adapt\n"
        "  = hint: choose another target",
    ),
    (
        {"minimum": np.array(-1.0)},
        "missing-capability]: lif: keeps its membrane at -1 or more: tinyodin lacks minimum\n"
        "  = hint: choose another target",
    ),
    (
        {"refractory": 3},
        "missing-capability]: lif: rests 3 steps after a spike: tinyodin lacks refractory\n"
        "  = hint: choose another target",
    ),
    (
        {"max_spikes": 4},
        "missing-capability]: lif: sends up to 4 spikes a step: tinyodin lacks multi-spike\n"
        "  = hint: train with one spike a step, or choose another target",
    ),
    (
        {"threshold": None},
        "no-threshold]: lif: never fires: of tinyodin one sees spikes only, no membranes\n"
        "  = hint: train with neurons that fire as the output",
    ),
    (
        {"threshold": np.array([1.0, 0.0])},
        "threshold-range]: lif: has a threshold of 0..1, where it would fire at any event\n"
        "  = hint: thresholds on tinyodin are above 0",
    ),
    (
        {"initial": np.array(1.5)},
        "threshold-range]: lif: starts at 1.5, at or above its threshold of 1\n  = hint: start below the threshold",
    ),
    (
        {"decay": np.array([1.25, 0.5])},
        "decay-range]: lif: a step keeps 0.5..1.25 of its membrane; a leak can keep 0..1 of it",
    ),
]


@pytest.mark.parametrize(("changes", "text"), ONE, ids=[text.split(":")[2][:30] for _, text in ONE])
def test_one_thing_the_chip_lacks(changes: dict[str, Any], text: str) -> None:
    assert said(network(replace(IF, **changes))) == [f"error[{text}"]


def test_neurons_and_channels_share_the_rows() -> None:
    wide = replace(IF, shape=(200,))
    assert said(network(wide, inputs=56)) == []
    assert said(network(wide, inputs=57)) == [
        "error[too-many-rows]: x: needs 257 rows, 57 for input channels, 200 for neurons; tinyodin has 256\n"
        "  = hint: train with fewer inputs or neurons, or choose another target"
    ]


def test_biases_take_rows_too() -> None:
    biased = replace(IF, shape=(200,), bias=np.full(200, 1.1))
    assert bias_channels(network(biased, inputs=50)) == 3
    assert said(network(biased, inputs=53)) == []
    assert said(network(biased, inputs=54)) == [
        "error[too-many-rows]: x: needs 257 rows, 54 for input channels, 200 for neurons, 3 for biases; "
        "tinyodin has 256\n  = hint: train with fewer inputs or neurons, or choose another target"
    ]


def test_a_neuron_with_nothing_but_a_bias_needs_one_channel() -> None:
    alone = Graph({"x": Input((3,)), "lif": replace(IF, bias=np.array(9.0)), "y": Output((2,))}, [Edge("lif", "y")])
    assert bias_channels(alone) == 1
    assert bias_channels(network()) == 0


def test_delays() -> None:
    assert said(network(delay=2)) == [
        "error[delay-out-of-range]: fc: reads x 2 steps later; tinyodin has no delays\n"
        "  = hint: train without recurrent or delayed connections"
    ]


def test_membranes_as_output() -> None:
    assert said(network(output=Output((2,), value="membrane"))) == [
        "error[membrane-output]: y: is the membrane of lif; only spikes leave tinyodin\n"
        "  = hint: make the spikes the output"
    ]


def test_graded_input() -> None:
    assert said(network(), np.array([[[0.0, 0.5, 1.0]]])) == [
        "error[graded-input]: x: its samples hold 3 values from 0 to 1; tinyodin takes 0 and 1\n"
        "  = hint: train with an input that is encoded as spikes, or choose another target"
    ]


def test_without_samples_spikes_are_taken_for_granted() -> None:
    assert [str(each) for each in misfits(network(), CHIP, None)] == [
        "warning[assumed-spikes]: x: there are no samples, so its values are taken to be 0 or 1: tinyodin takes spikes "
        "only\n  = hint: give --samples, a file of inputs from the training data"
    ]
    events = Graph({**network().ops, "x": Input((3,), events=True)}, network().edges)
    assert misfits(events, CHIP, None) == ()


def test_every_reason_at_once() -> None:
    bad = replace(IF, shape=(300,), reset=SoftReset(np.ones(())), refractory=1, current=Current(np.array(0.5)))
    rules = [text[6 : text.index("]")] for text in said(network(bad, delay=1), np.full((1, 1, 3), 0.5))]
    assert rules == ["too-many-rows", *["missing-capability"] * 3, "delay-out-of-range", "graded-input"]


def test_a_chip_file_decides() -> None:
    """Nothing here asks for a name: a chip of more rows and a soft reset takes what this one does not."""
    assert CHIP.crossbar
    larger = replace(
        CHIP,
        name="other",
        capabilities=(*CHIP.capabilities, "soft-reset"),
        crossbar=replace(CHIP.crossbar, rows=replace(CHIP.crossbar.rows, value=512.0)),
    )
    bad = replace(IF, shape=(300,), reset=SoftReset(np.ones(())))
    assert misfits(network(bad), larger, np.zeros((1, 1, 3))) == ()
