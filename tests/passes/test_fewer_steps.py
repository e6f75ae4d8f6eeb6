"""Neurons in fewer steps: gains are those of the inputs, and decays act for several steps at once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from snncc.graph import Edge, Graph
from snncc.layers import Adapt, Current, HardReset, Layer, Linear, Neuron, SoftReset
from snncc.linear import with_weight
from snncc.pace import Adapted, FewerSteps
from snncc.passes.fewer_steps import adapted, with_fewer_steps
from snncc.semantics import run_float
from tests.passes.float_nets import NEURONS, number, random_net, spike_samples


@pytest.mark.parametrize("name", NEURONS)
@pytest.mark.parametrize("gain", [0.5, 4.0])
def test_a_gain_is_that_of_the_inputs(name: str, gain: float) -> None:
    """Powers of two, so that both ways round alike."""
    graph = random_net(3, 6, 9, 5, neuron=replace(NEURONS[name], bias=number(0.125)))
    fewer = FewerSteps(8, 8, neurons=(Adapted("p0", gain), Adapted("p1", gain)))
    found = with_fewer_steps(graph, fewer)
    ops: dict[str, Layer] = dict(graph.ops)
    for each, op in graph.ops.items():
        if isinstance(op, Linear):
            ops[each] = replace(op, map=with_weight(op.map, op.map.weight * np.float32(gain)))
        elif isinstance(op, Neuron):
            ops[each] = replace(op, bias=op.bias * gain)
    samples, names = spike_samples(4, 12, 8, 6), ("p0", "p1")
    one, other = (run_float(each, samples.x, record=names) for each in (found, Graph(ops, graph.edges)))
    if NEURONS[name].threshold is None:
        assert found["p0"] is graph["p0"]
        return
    assert any(one.spikes[each].any() for each in names)
    for each in names:
        assert np.array_equal(one.spikes[each], other.spikes[each])
        assert np.array_equal(one.membranes[each] * gain, other.membranes[each])


def test_every_state_is_in_the_new_units() -> None:
    values = {name: number(value) for name, value in zip("abcdefgh", range(2, 18, 2), strict=True)}
    neuron = Neuron(
        (),
        number(0.5),
        values["a"],
        reset=SoftReset(values["b"]),
        bias=values["c"],
        current=Current(number(0.25), values["d"]),
        minimum=-values["e"],
        adapt=Adapt(number(0.75), values["f"], values["g"]),
        refractory=5,
        initial=values["h"],
    )
    found = adapted(neuron, Adapted("n", 2.0, 2.0))
    assert found.threshold == 1
    assert isinstance(found.reset, SoftReset)
    assert found.reset.amount == 2
    assert found.bias == values["c"]
    assert found.current
    assert (found.current.initial, found.current.decay) == (4, 0.0625)
    assert found.minimum == -5
    assert found.adapt
    assert (found.adapt.jump, found.adapt.initial, found.adapt.decay) == (6, 7, 0.5625)
    assert (found.refractory, found.initial, found.decay) == (2, 8, 0.25)
    hard = adapted(replace(neuron, reset=HardReset(number(3.0))), Adapted("n", 2.0))
    assert isinstance(hard.reset, HardReset)
    assert (hard.reset.value, hard.decay, hard.refractory) == (1.5, 0.5, 5)


def test_decays_without_a_power_stay() -> None:
    odd = Neuron((3,), np.array([-0.5, 0.0, 1.0]), number(1.0))
    assert adapted(odd, Adapted("n", 1.0, 2.5)).decay.tolist() == [-0.5, 0.0, 1.0]


@pytest.mark.parametrize(("delay", "speed", "becomes"), [(0, 4, 0), (1, 4, 1), (2, 4, 1), (6, 4, 2), (9, 3, 3)])
def test_delays_are_shortened_to_one_at_least(delay: int, speed: float, becomes: int) -> None:
    graph = random_net(1, 3, 2)
    edges = [replace(each, delay=delay) if each.source == "x" else each for each in graph.edges]
    found = with_fewer_steps(Graph(graph.ops, edges), FewerSteps(8, 2, speed))
    assert found.edges[0] == Edge("x", "w0", becomes)
