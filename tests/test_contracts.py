"""Every rule about layers, with the exact words in which it is broken."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from snncc import contracts
from snncc.diagnostics import Diagnostic
from snncc.graph import Edge, Graph
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
from snncc.linear import Dense

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
