"""Every rule about an integer network on a chip, with the exact words in which it is broken."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import get_args

import numpy as np
import pytest

from snncc import contracts, integers
from snncc.capabilities import needs
from snncc.chip import Accumulator, Capability, Chip, Delay, InputPort, StateArithmetic, Weight
from snncc.diagnostics import Diagnostic
from snncc.graph import Edge, Graph
from snncc.integers import Decay, Fire, IntOp, Membrane, Population, Register, Source, Synapse
from snncc.linear import Conv, Dense


def text(faults: tuple[Diagnostic, ...]) -> list[str]:
    return [str(each) for each in faults]


@dataclass(frozen=True)
class Sum:
    acc: tuple[int, int]


@dataclass(frozen=True)
class Known:
    populations: dict[str, Sum]


STATE = StateArithmetic(24, (4, 15), 32, "nearest", "saturate")
CHIP = Chip(
    "chip1",
    "the chip of these tests",
    "none",
    tuple(each for each in get_args(Capability) if each != "convolution"),
    Weight(8, (0, 15)),
    InputPort(8, signed=True),
    Delay((0, 255)),
    Accumulator(32, (0, 12)),
    STATE,
    STATE,
)
DECAY, REGISTER = Decay(np.asarray(64), 8, "nearest"), Register(-(1 << 23), (1 << 23) - 1)
PLAIN = Population((2,), Membrane(DECAY, REGISTER), Fire(np.asarray(100), inclusive=False), integers.HardReset())


def quantised(chip: Chip = CHIP, acc: tuple[int, int] = (-128, 127), delay: int = 0, **changed: IntOp) -> list[str]:
    """What is said of a good network with some of its ops changed."""
    ops: dict[str, IntOp] = {
        "x": Source((2,)),
        "fc": Synapse(Dense(np.asarray([[127, -128], [0, 1]], np.int8))),
        "lif": PLAIN,
        "y": integers.Output("spikes", "after", "count"),
    }
    graph = Graph({**ops, **changed}, [Edge("x", "fc", delay), Edge("fc", "lif"), Edge("lif", "y")])
    return text(contracts.quantised(graph, chip, Known({"lif": Sum(acc)})))


def test_a_network_within_the_limits_breaks_no_rule() -> None:
    assert quantised() == []


def test_inputs_fit() -> None:
    unsigned = replace(CHIP, input=replace(CHIP.input, signed=False))
    assert quantised(unsigned, x=Source((2,), 12, signed=True)) == [
        "error[input-too-wide]: x: its values have 12 bits; chip1 takes 8\n  = hint: feed spikes, or fewer levels",
        "error[signed-input]: x: has negative values; chip1 takes none\n"
        "  = hint: shift the input so that it is never negative",
    ]


def test_weights_and_exponents_fit() -> None:
    assert quantised(fc=Synapse(Dense(np.asarray([[128, 0], [-1, 0]])), 16)) == [
        "error[weight-too-wide]: fc: its weights need 9 bits; chip1 holds 8\n  = hint: compile with --weight-bits 8",
        "error[exponent-out-of-range]: fc: its sums are shifted left by 16; chip1 shifts by 0 to 15\n"
        "  = hint: scale the weights of its population closer",
    ]


def test_weights_of_one_sign_need_none_where_it_is_a_mode() -> None:
    chip = replace(CHIP, weight=replace(CHIP.weight, sign_modes=True), capabilities=CHIP.capabilities[:-1])
    inhibitory, mixed = (Synapse(Dense(np.asarray([[-255, 0], [other, 0]]))) for other in (-7, 1))
    assert quantised(chip, fc=inhibitory) == []
    assert "its weights need 9 bits; chip1 holds 8" in quantised(chip, fc=mixed)[0]
    assert "its weights need 9 bits; chip1 holds 8" in quantised(fc=inhibitory)[0]
    lowest = Synapse(Dense(np.asarray([[-256, 0], [-7, 0]])))
    assert "its weights need 9 bits; chip1 holds 8" in quantised(chip, fc=lowest)[0]


def test_weights_that_are_never_negative_need_no_sign_where_such_are_learnt() -> None:
    wide, too_wide = (Synapse(Dense(np.asarray([[most, 0], [0, 0]]))) for most in (255, 256))
    fixed = replace(CHIP, capabilities=tuple(each for each in CHIP.capabilities if each != "learning"))
    assert quantised(fc=wide) == []
    assert "its weights need 10 bits; chip1 holds 8" in quantised(fc=too_wide)[0]
    assert "its weights need 9 bits; chip1 holds 8" in quantised(fixed, fc=wide)[0]


def test_delays_fit() -> None:
    slow = replace(CHIP, delay=replace(CHIP.delay, steps=(1, 62)))
    hint = "\n  = hint: choose a target with other delays"
    assert quantised(slow) == [
        "error[delay-out-of-range]: fc: has a delay of 0 steps; chip1 has delays of 1 to 62" + hint
    ]
    own = Synapse(Dense(np.eye(2, dtype=np.int8)), axon_delays=np.asarray([0, 60]))
    assert quantised(slow, fc=own, delay=3) == [
        "error[delay-out-of-range]: fc: has a delay of 63 steps; chip1 has delays of 1 to 62" + hint
    ]
    assert quantised(slow, fc=own, delay=1) == []


def test_states_fit() -> None:
    hint = "\n  = hint: compile with fewer --weight-bits, or choose a target with wider states"
    wide = Membrane(Decay(np.asarray(300), 8, "floor"), Register(-(1 << 24), (1 << 24) - 1, "wrap"))
    assert quantised(lif=replace(PLAIN, membrane=wide)) == [
        f"error[state-out-of-range]: lif: its membrane {wrong} on chip1" + hint
        for wrong in (
            "needs 25 bits; there are 24",
            "times its decay needs 33 bits; there are 32",
            "decays by 300 of 256",
            "rounds to floor; there is nearest",
            "overflows by wrap; there is saturate",
        )
    ]
    coarse = integers.Current(Decay(np.asarray(1), 3, "nearest"), Register(-128, 127), np.asarray([0, -129]))
    assert quantised(lif=replace(PLAIN, current=coarse)) == [
        "error[state-out-of-range]: lif: its current decays in 8ths; there are 16ths to 32,768ths on chip1" + hint,
        "error[value-out-of-range]: lif: its current starts at -129, outside its register -128..127\n"
        "  = hint: choose a target with wider states",
    ]


def test_parameters_fit() -> None:
    small = Membrane(DECAY, Register(-128, 127), np.asarray(1 << 23), np.asarray(-200))
    changed = replace(
        PLAIN, membrane=small, fire=Fire(np.asarray(200), inclusive=True), reset=integers.HardReset(np.asarray(150))
    )
    hint = "choose a target with wider states"
    assert quantised(lif=changed) == [
        f"error[value-out-of-range]: lif: its minimum is -200, outside its register -128..127\n  = hint: {hint}",
        f"error[value-out-of-range]: lif: its reset value is 150, outside its register -128..127\n  = hint: {hint}",
        "error[parameter-out-of-range]: lif: its bias 8,388,608 needs 25 bits; chip1 holds 24\n"
        f"  = hint: compile with fewer --weight-bits, or {hint}",
    ]


def test_sums_fit() -> None:
    assert quantised(acc=(-(1 << 31), 0)) == []
    assert quantised(acc=(-(1 << 31) - 1, 0)) == [
        "error[sum-too-wide]: lif: its sums need 33 bits; the accumulator of chip1 has 32\n"
        "  = hint: compile with fewer --weight-bits, or prune its inputs"
    ]
    assert quantised(lif=replace(PLAIN, input_shift=13), acc=(0, 1 << 20)) == [
        "error[sum-too-wide]: lif: its sums need 35 bits; the accumulator of chip1 has 32\n"
        "  = hint: compile with fewer --weight-bits, or prune its inputs",
        "error[shift-out-of-range]: lif: its sums are shifted left by 13; chip1 shifts by 0 to 12\n"
        "  = hint: compile with other --weight-bits",
    ]


def test_populations_need_only_what_the_chip_can_do() -> None:
    poor = replace(CHIP, capabilities=("strict-threshold",))
    assert quantised(poor, x=Source((2,), 4)) == [
        "error[missing-capability]: x: needs graded-input, which chip1 lacks\n  = hint: encode the input as spikes",
        "error[missing-capability]: lif: needs hard-reset, which chip1 lacks\n  = hint: choose another target",
    ]


FULL = Population(
    (2,),
    Membrane(DECAY, REGISTER, np.asarray(1), np.asarray(-5), np.asarray(2)),
    Fire(np.asarray([3, 4]), inclusive=True, max_spikes=2),
    integers.SoftReset(np.asarray(1), delay=1),
    integers.Current(DECAY, REGISTER),
    integers.Adapt(DECAY, REGISTER, np.asarray(1)),
    refractory=1,
)


@pytest.mark.parametrize(
    ("op", "expected"),
    [
        (Source((2,)), set()),
        (Source((2,), 1, signed=True), {"graded-input"}),
        (Synapse(Dense(np.eye(2, dtype=np.int8)), axon_delays=np.zeros(2)), set()),
        (Synapse(Dense(np.eye(2, dtype=np.int8)), axon_delays=np.ones(2)), {"axon-delays"}),
        (Synapse(Conv(np.ones((1, 1, 1, 1), np.int8), (1, 2, 2))), {"convolution"}),
        (PLAIN, {"strict-threshold", "hard-reset"}),
        (replace(PLAIN, fire=None, reset=None), set()),
        (
            replace(PLAIN, membrane=Membrane(DECAY, REGISTER, np.asarray([1, 2]))),
            {"strict-threshold", "hard-reset", "bias"},
        ),
        (replace(PLAIN, start=3), {"strict-threshold", "hard-reset"}),
        (
            replace(PLAIN, start=3, fire=Fire(np.asarray(-1), inclusive=False)),
            {"strict-threshold", "hard-reset", "start"},
        ),
        (
            replace(FULL, start=3),
            {
                "start",
                "current",
                "soft-reset",
                "reset-delay",
                "inclusive-threshold",
                "per-neuron-parameters",
                "bias",
                "minimum",
                "adapt",
                "multi-spike",
                "refractory",
                "initial-state",
            },
        ),
    ],
)
def test_what_an_op_needs(op: IntOp, expected: set[str]) -> None:
    assert needs(op) == expected


def test_a_network_that_is_joined_wrongly_is_malformed() -> None:
    ops: dict[str, IntOp] = {
        "x": Source((2,)),
        "x2": Source((2,)),
        "fc": Synapse(Dense(np.ones((2, 3), np.int8))),
        "real": Synapse(Dense(np.eye(2))),
        "lif": PLAIN,
        "y": integers.Output("spikes", "after", "count"),
    }
    edges = [Edge("x", "fc"), Edge("fc", "lif"), Edge("x", "real"), Edge("real", "lif", 1), Edge("lif", "y", 1)]
    assert text(contracts.quantised(Graph(ops, edges), CHIP, Known({"lif": Sum((0, 0))}))) == [
        "error[malformed-network]: fc: is not joined as Synapse has to be",
        "error[malformed-network]: real: is not joined as Synapse has to be",
        "error[malformed-network]: lif: is not joined as Population has to be",
        "error[malformed-network]: y: is not joined as Output has to be",
        "error[malformed-network]: the network: has no single source, or no output",
    ]
