"""Every rule of every contract, with the exact words in which it is broken."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, get_args

import numpy as np
import pytest

from snncc import contracts, integers
from snncc.capabilities import needs
from snncc.chip import Accumulator, Capability, Chip, Delay, InputPort, StateArithmetic, Weight
from snncc.diagnostics import Diagnostic
from snncc.graph import Edge, Graph
from snncc.integers import Decay, Fire, IntOp, Membrane, Population, Register, Source, Synapse
from snncc.layers import (
    Adapt,
    Affine,
    Conv2d,
    Input,
    Layer,
    Linear,
    Neuron,
    Output,
    Rearrange,
    Scale,
    SoftReset,
    SumPool2d,
)
from snncc.linear import Conv, Dense

ONE, HALF = np.asarray(1.0), np.asarray(0.5)


def lif(*shape: int, **options: Any) -> Neuron:
    return replace(Neuron(shape, HALF, ONE), **options)


def text(faults: tuple[Diagnostic, ...]) -> list[str]:
    return [str(each) for each in faults]


def imported(ops: dict[str, Layer], *edges: tuple[Any, ...]) -> list[str]:
    return text(contracts.imported(Graph(ops, [Edge(*each) for each in edges])))


def good() -> tuple[dict[str, Layer], list[tuple[Any, ...]]]:
    ops: dict[str, Layer] = {"x": Input((2,)), "fc": Affine(np.eye(2), (2,)), "lif": lif(2), "y": Output((2,))}
    return ops, [("x", "fc"), ("fc", "lif"), ("lif", "y")]


def with_layer(layer: Layer) -> list[str]:
    """What is said of a network whose layer `bad` is this one."""
    ops, edges = good()
    return imported({**ops, "bad": layer}, *edges, ("lif", "bad"))


def test_a_good_network_breaks_no_rule() -> None:
    ops, edges = good()
    assert imported(ops, *edges) == []
    assert imported({**ops, "driven": lif(2, bias=ONE)}, *edges) == []


def test_a_network_has_one_input_and_an_output() -> None:
    assert imported({"lif": lif(2)}) == [
        "error[no-input]: the model: has no input\n  = hint: export it with the data of a step as its input",
        "error[no-output]: the model: has no output\n"
        "  = hint: export it with its last spikes or membranes as an output",
    ]
    ops, edges = good()
    assert imported({**ops, "x2": Input((2,))}, *edges, ("x2", "fc")) == [
        "error[several-inputs]: x2: is a second input beside x; a network has one\n"
        "  = hint: concatenate the inputs into one tensor before exporting"
    ]


def test_only_outputs_end_and_only_inputs_begin() -> None:
    ops, edges = good()
    assert imported({**ops, "lost": Scale((2,))}, *edges, ("y", "lif", 1), ("lif", "x", 1)) == [
        "error[input-reads]: x: is an input, yet reads lif",
        "error[output-feeds]: y: is an output, yet feeds lif",
        "error[reads-nothing]: lost: reads nothing\n  = hint: remove it, or connect it to the network",
    ]


@pytest.mark.parametrize(
    ("layer", "why"),
    [
        (Affine(np.ones((3, 2)), (4,)), "its weight gives 3 values for the shape 4"),
        (Affine(np.ones(2), (2,)), "its weight has the shape 2; two axes are needed"),
        (Affine(np.eye(2), (2,), np.ones(3)), "its bias has the shape 3; 2 values are needed"),
        (Conv2d(np.ones((1, 2, 1, 1)), (2, 1, 1), (2, 1, 1)), "it gives 1 x 1 x 1, not 2 x 1 x 1"),
        (
            Conv2d(np.ones((1, 1, 1, 1)), (2, 1, 1), (1, 1, 1)),
            "a convolution's channels are split evenly into its groups",
        ),
        (
            SumPool2d((2,), (2,), (1, 1), (1, 1)),
            "its input has the shape 2; channels, height and width are needed",
        ),
        (Scale((2,), np.ones(3)), "its scale 3 does not spread over 2"),
        (lif(2, decay=np.ones(0)), "its decay 0 does not spread over 2"),
        (lif(2, bias=np.ones((1, 2))), "its bias 1 x 2 does not spread over 2"),
        (Rearrange((2,), np.zeros(3)), "it lists 3 values for the shape 2"),
        (Rearrange((2,), np.asarray([0, -2])), "it lists positions below -1"),
        (Rearrange((2,), np.asarray([0, 2])), "takes value 2 of lif, which gives 2"),
        (Linear(Dense(np.ones((1, 2))), (2,)), "its map gives 1 values for the shape 2"),
        (lif(3), "reads 3 values; lif gives 2"),
        (Affine(np.ones((2, 1000)), (2,)), "reads 1,000 values; lif gives 2"),
    ],
)
def test_shapes_agree(layer: Layer, why: str) -> None:
    assert with_layer(layer) == [f"error[shape-mismatch]: bad: {why}"]


def test_an_empty_layer_is_told() -> None:
    assert "error[shape-mismatch]: bad: its shape 0 x 2 is empty" in with_layer(lif(0, 2))


def test_parameters_are_finite() -> None:
    weight = np.eye(2)
    weight[0, 1] = np.nan
    hint = "\n  = hint: the training has diverged, or the file is damaged"
    assert with_layer(Affine(weight, (2,), np.asarray([np.inf, 1]))) == [
        "error[not-finite]: bad: 1 of 4 values of its weight are NaN or infinite" + hint,
        "error[not-finite]: bad: 1 of 2 values of its bias are NaN or infinite" + hint,
    ]
    assert with_layer(lif(2, threshold=np.asarray(np.inf))) == [
        "error[not-finite]: bad: 1 of 1 values of its threshold are NaN or infinite" + hint
    ]
    ops, edges = good()
    assert imported(ops, *edges[:2], ("lif", "lif", 1, float("nan")), edges[2]) == [
        "error[not-finite]: lif: multiplies what lif gives by nan" + hint
    ]


def test_neurons_are_possible() -> None:
    assert with_layer(lif(2, decay=np.asarray(1.01))) == [
        "error[decay-out-of-range]: bad: its decay is 1.01; a state keeps 0 to 1 of itself in a step\n"
        "  = hint: clamp it while training"
    ]
    assert with_layer(lif(2, adapt=Adapt(np.asarray([-0.5, 2.0]), ONE))) == [
        "error[decay-out-of-range]: bad: its adaptation decay is -0.5; a state keeps 0 to 1 of itself in a step\n"
        "  = hint: clamp it while training"
    ]
    hint = "\n  = hint: train with a positive threshold, or with one spike a step"
    assert with_layer(lif(2, threshold=np.asarray([1.0, 0.0]), max_spikes=2)) == [
        "error[threshold-not-positive]: bad: its threshold can be 0; a neuron with several spikes a step divides by it"
        + hint
    ]
    assert with_layer(lif(2, max_spikes=2, adapt=Adapt(HALF, np.asarray(-3.0)))) == [
        "error[threshold-not-positive]: bad: its threshold can be -2; a neuron with several spikes a step divides by it"
        + hint
    ]
    assert with_layer(lif(2, threshold=np.asarray(-1.0))) == []
    assert with_layer(lif(2, refractory=1, reset=SoftReset(ONE, delay=1))) == [
        "error[reset-while-refractory]: bad: it resets a step after its spike, in the middle of its refractory time\n"
        "  = hint: train with a reset in the step of the spike"
    ]


def test_cycles_have_a_delay_and_a_population() -> None:
    ops, edges = good()
    assert imported({**ops, "again": Scale((2,))}, *edges, ("lif", "again"), ("again", "lif")) == [
        "error[zero-delay-cycle]: lif: these ops feed each other within one time step: lif -> again\n"
        "  = hint: a recurrent connection must read the previous step's value (a state input)"
    ]
    assert imported({**ops, "again": Scale((2,))}, *edges, ("fc", "again"), ("again", "fc", 1)) == [
        "error[linear-recurrence]: fc: feeds itself over time without a neuron between: fc -> again\n"
        "  = hint: only neurons keep a state: make this filter a neuron that never fires, or a synaptic current"
    ]


def test_outputs_show_what_populations_compute() -> None:
    ops, edges = good()
    more: dict[str, Layer] = {"copy": Output((2,)), "sum": Output((2,), "membrane")}
    assert imported({**ops, **more}, *edges, ("x", "copy"), ("lif", "sum", 1), ("fc", "sum")) == [
        "error[output-reads-input]: copy: hands on the input x as it is\n"
        "  = hint: remove this output: nothing computes it",
        "error[membrane-in-a-sum]: sum: adds, scales or delays the membrane of lif\n"
        "  = hint: make the membrane itself the output",
    ]


def test_legal_graphs_alternate() -> None:
    identity = Linear(Dense(np.eye(2)), (2,))
    ops: dict[str, Layer] = {
        "x": Input((2,)),
        "fc": identity,
        "lif": lif(2),
        "scale": Scale((2,)),
        "fan": identity,
        "late": identity,
        "next": lif(2),
        "y": Output((2,)),
        "z": Output((2,)),
    }
    edges = [
        Edge("x", "fc"),
        Edge("fc", "lif"),
        Edge("lif", "scale"),
        Edge("scale", "fan"),
        Edge("lif", "late", gain=2.0),
        Edge("late", "next", delay=1),
        Edge("lif", "next"),
        Edge("fc", "y"),
        Edge("lif", "z", delay=1),
    ]
    assert text(contracts.legal(Graph(ops, edges))) == [
        "error[not-legal]: scale: is still Scale",
        "error[not-legal]: fc: must feed one population at once; feeds lif, y",
        "error[not-legal]: fan: must read one population as it is; reads scale",
        "error[not-legal]: fan: must feed one population at once; feeds nothing",
        "error[not-legal]: late: must read one population as it is; reads lif",
        "error[not-legal]: late: must feed one population at once; feeds next",
        "error[not-legal]: next: reads lif without a linear map between",
        "error[not-legal]: y: must read one population; reads fc",
        "error[not-legal]: z: must read its population at once and as it is",
    ]


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
    assert quantised(fc=Synapse(Dense(np.asarray([[128, 0], [0, 0]])), 16)) == [
        "error[weight-too-wide]: fc: its weights need 9 bits; chip1 holds 8\n  = hint: compile with --weight-bits 8",
        "error[exponent-out-of-range]: fc: its sums are shifted left by 16; chip1 shifts by 0 to 15\n"
        "  = hint: scale the weights of its population closer",
    ]


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
        (
            FULL,
            {
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
