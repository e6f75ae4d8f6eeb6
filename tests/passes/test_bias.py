"""The constants that a population reads become its own bias and initial state, or are refused."""

from __future__ import annotations

import numpy as np
import pytest

from snncc.graph import Edge, Graph
from snncc.layers import Affine, Conv2d, Current, Input, Layer, Neuron, Output, Scale
from snncc.passes.legalise import legalise
from tests.passes.layer_graphs import HALF, ONE, chain, lif, ramp, refusal, same_run


def test_zero_padding_makes_a_bias_that_differs_by_position() -> None:
    graph = chain(
        ("x", Input((1, 3, 3))),
        ("bn", Scale((1, 3, 3), ONE, ONE)),
        ("conv", Conv2d(np.ones((1, 1, 3, 3)), (1, 3, 3), (1, 3, 3), np.asarray([0.5]), padding=(1, 1, 1, 1))),
        ("lif", lif(1, 3, 3)),
        ("y", Output((1, 3, 3))),
    )
    bias = legalise(graph).of_kind(Neuron)["lif"].bias
    assert bias.tolist() == [[[4.5, 6.5, 4.5], [6.5, 9.5, 6.5], [4.5, 6.5, 4.5]]]


def test_a_bias_into_a_current_becomes_its_fixed_point() -> None:
    graph = chain(
        ("x", Input((2,))),
        ("fc", Affine(np.eye(2), (2,), np.asarray([1.0, 0.0]))),
        ("cuba", lif(2, current=Current(HALF))),
        ("y", Output((2,))),
    )
    cuba = legalise(graph).of_kind(Neuron)["cuba"]
    assert cuba.current is not None
    assert (cuba.bias.tolist(), cuba.current.initial.tolist()) == ([2.0, 0.0], [-2.0, 0.0])


@pytest.mark.parametrize("current", [None, Current(HALF)])
def test_a_bias_one_step_late_becomes_an_initial_state(current: Current | None) -> None:
    ops: dict[str, Layer] = {
        "x": Input((2,)),
        "fc": Affine(np.eye(2), (2,), np.asarray([0.5, -0.25])),
        "neuron": lif(2, current=current),
        "y": Output((2,), "membrane"),
    }
    graph = Graph(ops, [Edge("x", "fc"), Edge("fc", "neuron", delay=1), Edge("neuron", "y")])
    same_run(graph, legalise(graph), ramp(3, 6, 2))


def test_all_biases_that_no_population_can_take_are_named() -> None:
    ops: dict[str, Layer] = {
        "x": Input((2,)),
        "fc1": Affine(np.eye(2), (2,), np.ones(2)),
        "bn": Scale((2,), shift=ONE),
        "late": lif(2),
        "gate": lif(2, current=Current(ONE)),
        "y": Output((2,)),
    }
    edges = [Edge("x", "fc1"), Edge("fc1", "late", delay=3), Edge("late", "bn"), Edge("bn", "gate"), Edge("gate", "y")]
    assert refusal(Graph(ops, edges)) == (
        "error[delayed-bias]: fc1: its bias crosses 3 steps of delay on its way to late, whose bias can only act at "
        "once\n"
        "  = hint: put the delay in front of fc1 instead of behind it\n"
        "error[bias-into-perfect-current]: bn: its bias adds up without end in the synaptic current of gate, whose "
        "decay is 1\n"
        "  = hint: train bn without a bias, or give the current a decay below 1"
    )
