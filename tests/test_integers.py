"""Tests of the integer ops: what their arrays are, and what may be asked of a network."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from snncc.graph import Edge, Graph
from snncc.integers import (
    Adapt,
    Current,
    Decay,
    Fire,
    HardReset,
    IntOp,
    Membrane,
    Network,
    Output,
    Population,
    Register,
    SoftReset,
    Source,
    Synapse,
    source_of,
    synapses_of,
    value_range,
)
from snncc.linear import Dense

DECAY = Decay(np.array([1, 2], np.int8), 4, "floor")
REGISTER = Register(-8, 7)
ONES = np.ones(2, np.int16)
QUIET = Population((2,), Membrane(DECAY, REGISTER), None)


@pytest.mark.parametrize(
    ("record", "names"),
    [
        (DECAY, ["amount"]),
        (Current(DECAY, REGISTER, ONES), ["initial"]),
        (Membrane(DECAY, REGISTER, ONES, ONES, ONES), ["bias", "minimum", "initial"]),
        (Fire(ONES, True), ["threshold"]),
        (SoftReset(ONES), ["amount"]),
        (HardReset(ONES), ["value"]),
        (Adapt(DECAY, REGISTER, ONES, ONES), ["jump", "initial"]),
        (Synapse(Dense(np.ones((1, 2))), 0, ONES), ["axon_delays"]),
    ],
)
def test_arrays_are_read_only_int64(record: Any, names: list[str]) -> None:
    for name in names:
        array = getattr(record, name)
        assert array.dtype == np.int64
        assert array.size == 2
        assert not array.flags.writeable


def test_what_is_left_out_is_zero_or_absent() -> None:
    membrane = Membrane(DECAY, REGISTER)
    assert membrane.bias.shape == membrane.initial.shape == ()
    assert membrane.bias == membrane.initial == 0
    assert membrane.minimum is None
    assert HardReset().value == 0


@pytest.mark.parametrize(
    ("source", "low", "high"),
    [
        (Source((3,)), 0, 1),
        (Source((3,), 8), 0, 255),
        (Source((3,), 8, signed=True), -127, 127),
        (Source((3,), 2, signed=True), -1, 1),
    ],
)
def test_signed_inputs_are_symmetric(source: Source, low: int, high: int) -> None:
    assert (source.lowest, source.highest) == value_range(source) == (low, high)


def test_what_populations_send() -> None:
    assert value_range(QUIET) == (0, 0)
    assert value_range(Population((2,), QUIET.membrane, Fire(np.array(1), True))) == (0, 1)
    assert value_range(Population((2,), QUIET.membrane, Fire(np.array(1), True, max_spikes=5))) == (0, 5)


def test_a_populations_size_is_that_of_its_shape() -> None:
    assert Population((2, 3, 4), QUIET.membrane, None).size == 24
    assert Population((), QUIET.membrane, None).size == 1


def test_who_feeds_whom() -> None:
    ops: dict[str, IntOp] = {
        "x": Source((2,)),
        "b": Synapse(Dense(np.ones((2, 2)))),
        "a": Synapse(Dense(np.ones((2, 2)))),
        "p": QUIET,
        "y": Output("membrane", "after", "last"),
    }
    edges = [Edge("p", "b", 3), Edge("x", "a", 1), Edge("b", "p"), Edge("a", "p"), Edge("p", "y")]
    network: Network = Graph(ops, edges)
    assert synapses_of(network, "p") == ("b", "a")
    assert source_of(network, "b") == ("p", 3)
    assert source_of(network, "a") == ("x", 1)
    assert source_of(network, "y") == ("p", 0)
