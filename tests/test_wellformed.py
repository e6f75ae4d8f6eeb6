"""Every reason for which a network cannot be run at all, and that the test networks have none."""

from __future__ import annotations

from dataclasses import replace
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
    Output,
    Population,
    Register,
    SoftReset,
    Source,
    Synapse,
)
from snncc.linear import Conv, Dense
from snncc.wellformed import malformed

DECAY, REGISTER = Decay(np.array(3), 4, "nearest"), Register(-128, 127)
LIF = Population((2,), Membrane(DECAY, REGISTER), Fire(np.array(5), inclusive=True), HardReset())
ADAPT = Adapt(DECAY, REGISTER, np.array(1))
FC = Synapse(Dense(np.ones((2, 3), np.int8)))


def found(delay: int = 0, **changed: IntOp) -> list[str]:
    """What is wrong with a good network in which some ops are others."""
    ops: dict[str, IntOp] = {"x": Source((3,)), "fc": FC, "lif": LIF, "y": Output("spikes", "after", "count")}
    edges = [Edge("x", "fc", delay), Edge("fc", "lif"), Edge("lif", "y")]
    return [f"{where}: {message}" for where, message in malformed(Graph({**ops, **changed}, edges))]


def lif(**changed: Any) -> Population:
    return replace(LIF, **changed)


def membrane(**changed: Any) -> Population:
    return replace(LIF, membrane=replace(LIF.membrane, **changed))


def test_good_networks_have_no_fault() -> None:
    assert found() == []
    rich = lif(current=Current(DECAY, REGISTER), adapt=ADAPT, reset=SoftReset(np.array([5, 6])), refractory=3)
    assert found(lif=rich, delay=9) == []


POPULATIONS = {
    "has the impossible shape (0,)": lif(shape=(0,)),
    "has the impossible shape (-2,)": lif(shape=(-2,)),
    "has the impossible shape ()": lif(shape=()),
    "has a refractory of -1 steps": lif(refractory=-1),
    "has a start of 1,048,577 steps": lif(start=(1 << 20) + 1),
    "shifts its sums left by -1": lif(input_shift=-1),
    "its bias of the shape (3,) does not spread over (2,)": membrane(bias=np.zeros(3)),
    "its bias of the shape (1, 2) does not spread over (2,)": membrane(bias=np.zeros((1, 2))),
    "its bias of the shape (0,) does not spread over (2,)": membrane(bias=np.zeros(0)),
    "its minimum does not fit 60 bits": membrane(minimum=np.array(-(1 << 60))),
    "its threshold does not fit 60 bits": lif(fire=Fire(np.array(1 << 62), inclusive=True)),
    "its membrane has a register from 1 to 127": membrane(register=Register(1, 127)),
    "its membrane has a register from -9 to -1": membrane(register=Register(-9, -1)),
    "its membrane of 8 bits and its decay of -1 do not fit 60 bits together": membrane(
        decay=Decay(np.array(0), -1, "floor")
    ),
    "its current of 8 bits and its decay of 54 do not fit 60 bits together": lif(
        current=Current(Decay(np.array(3), 54, "nearest"), REGISTER)
    ),
    "its adaptation decays by less than nothing, or by more than all": lif(
        adapt=replace(ADAPT, decay=Decay(np.array(17), 4, "zero"))
    ),
    "fires up to 0 spikes a step": lif(fire=Fire(np.array(5), inclusive=True, max_spikes=0)),
    "fires several spikes a step at a threshold that is not positive": lif(
        fire=Fire(np.array(5), inclusive=True, max_spikes=2), adapt=replace(ADAPT, jump=np.array(-1))
    ),
    "resets 2 steps after its spike": lif(reset=HardReset(delay=2)),
    "resets a step after its spike, in the middle of its refractory time": lif(reset=HardReset(delay=1), refractory=1),
}


@pytest.mark.parametrize("message", POPULATIONS)
def test_a_population_that_cannot_be_run(message: str) -> None:
    assert f"lif: {message}" in found(lif=POPULATIONS[message])


OPS: dict[str, dict[str, IntOp]] = {
    "x: has values of 0 bits": {"x": Source((3,), bits=0)},
    "x: has values of 1 bits": {"x": Source((3,), bits=1, signed=True)},
    "x: has values of 33 bits": {"x": Source((3,), bits=33)},
    "x: has the scale 0.0": {"x": Source((3,), scale=0.0)},
    "x: has the scale nan": {"x": Source((3,), scale=float("nan"))},
    "y: is -1 steps late": {"y": Output("spikes", "after", "count", -1)},
    "fc: shifts its sums left by 61": {"fc": replace(FC, exponent=61)},
    "fc: has delays of the shape (2,) for 3 sources": {"fc": replace(FC, axon_delays=np.zeros(2))},
    "fc: has delays from -1 to 0 steps": {"fc": replace(FC, axon_delays=np.array([0, -1, 0]))},
    "fc: is not joined as Synapse has to be": {"fc": Synapse(Dense(np.ones((2, 4), np.int8)))},
    "fc: pads its input to 1,073,807,361 values": {
        "fc": Synapse(Conv(np.ones((2, 1, 1, 1), np.int8), (1, 1, 1), (1 << 15, 1 << 15), (1 << 14,) * 4))
    },
}


@pytest.mark.parametrize("expected", OPS)
def test_an_op_that_cannot_be_run(expected: str) -> None:
    assert expected in found(**OPS[expected])


def test_delays_take_memory() -> None:
    assert found(delay=1 << 27) == ["fc: keeps what 3 sources sent in 134,217,728 steps"]


def test_sums_are_exact() -> None:
    wide = Synapse(Dense(np.full((2, 3), 1 << 30)), 30)
    assert found(fc=wide) == ["lif: its sums do not fit 60 bits"]


def test_a_cycle_within_a_step_is_named() -> None:
    ops: dict[str, IntOp] = {"x": Source((2,)), "lif": LIF, "loop": Synapse(Dense(np.ones((2, 2), np.int8)))}
    edges = [Edge("lif", "loop"), Edge("loop", "lif")]
    assert malformed(Graph(ops, edges)) == (
        ("the network", "has no single source, or no output"),
        ("lif", "these ops feed each other within one time step: lif -> loop"),
    )
