"""Populations that may send any number of spikes a step: the bound that is taken for it changes none of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snncc import contracts
from snncc.analysis.proof import prove
from snncc.analysis.sums import signed_sums
from snncc.arrays import Array
from snncc.data import to_integers
from snncc.graph import Edge, Graph
from snncc.integers import Decay, Fire, Membrane, Network, Output, Population, Register, SoftReset, Source, Synapse
from snncc.layers import Adapt, Current, HardReset, Input, Layer, Linear, Neuron
from snncc.layers import Output as FloatOutput
from snncc.linear import Dense
from snncc.passes.quantise import Options, Samples, quantise
from snncc.passes.spikes import MOST, bounded, fed_back
from snncc.semantics import run
from tests.conformance.backends import CANDIDATES, assert_conforms
from tests.passes.float_nets import HOST, NEURONS, agreement, number, random_net, spike_samples

ANY = 2**31 - 1
MANY = replace(NEURONS["if"], inclusive=True, max_spikes=ANY)
FORMS = {
    "if": MANY,
    "strict": replace(MANY, inclusive=False),
    "leaky": replace(MANY, decay=number(0.9), minimum=number(-1.0)),
    "hard": replace(MANY, reset=HardReset(number(0.0))),
    "adaptive": replace(MANY, decay=number(0.9), adapt=Adapt(number(0.9), number(0.1))),
    "current": replace(MANY, decay=number(0.9), current=Current(number(0.5))),
}


def legal_on_host(network: Network, steps: int, x: Array) -> None:
    assert contracts.quantised(network, HOST, prove(network, steps)) == ()
    for candidate in CANDIDATES:
        if candidate.chip.delay.steps[0] == 0:
            assert_conforms(candidate, network, x)


@pytest.mark.parametrize("with_samples", [False, True])
@pytest.mark.parametrize("name", FORMS)
def test_any_number_of_spikes_compiles_and_runs_everywhere(name: str, with_samples: bool) -> None:
    graph = random_net(1, 12, 20, 10, neuron=FORMS[name], events=True)
    samples = spike_samples(2, 20, 25, 12)
    network = quantise(graph, HOST, Options(steps=25), samples if with_samples else None)
    assert agreement(graph, network, samples) > (0.92 if with_samples else 0.86)
    first = network.of_kind(Population)["p0"].fire
    assert first is not None
    assert 1 < first.max_spikes < 100
    legal_on_host(network, 25, to_integers(network.of_kind(Source)["x"], samples.x))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_the_bound_is_never_passed(data: Any) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    threshold = data.draw(st.integers(1, 40))
    rounding = data.draw(st.sampled_from(["floor", "nearest", "zero"]))
    decay = Decay(np.asarray(data.draw(st.integers(0, 16))), 4, rounding)
    population = Population(
        (4,),
        Membrane(decay, Register(-2000, 2000), bias=rng.integers(-9, 10, 4)),
        Fire(np.asarray(threshold), data.draw(st.booleans()), MOST),
        SoftReset(np.asarray(data.draw(st.sampled_from([threshold, max(1, threshold - 1), threshold + 1])))),
    )
    synapse = Synapse(Dense(rng.integers(-60, 61, (4, 5))))
    held = bounded(population, *signed_sums(synapse.map))
    assert held.fire is not None
    assert held.fire.max_spikes < MOST
    x = rng.integers(0, 2, (20, 30, 5))
    one, other = (run(_network(synapse, each), x, record=("p",)) for each in (population, held))
    assert np.array_equal(one.spikes["p"], other.spikes["p"])
    assert np.array_equal(one.membranes["p"], other.membranes["p"])


def _network(synapse: Synapse, population: Population) -> Network:
    ops = {"x": Source((5,)), "w": synapse, "p": population, "y": Output("spikes", "after", "count")}
    return Graph(ops, [Edge("x", "w"), Edge("w", "p"), Edge("p", "y")])


def test_one_spike_is_all_that_small_inputs_cause() -> None:
    """So a chip that cannot send several takes it."""
    chip = replace(HOST, capabilities=tuple(each for each in HOST.capabilities if each != "multi-spike"))
    graph = random_net(1, 12, 20, neuron=replace(MANY, decay=number(0.0), threshold=number(9.0)), events=True)
    network = quantise(graph, chip, Options(steps=5))
    assert contracts.quantised(network, chip, prove(network, 5)) == ()


def test_a_population_without_several_spikes_is_left_alone() -> None:
    graph = random_net(1, 12, 20, events=True)
    population = quantise(graph, HOST, Options(steps=5)).of_kind(Population)["p0"]
    zero = np.zeros(20, np.int64)
    assert bounded(population, zero, zero) is population


def looped(strength: float, between: Neuron) -> Graph[Layer]:
    """p feeds itself, and q, which feeds p a step later."""
    rng = np.random.default_rng(5)
    ops: dict[str, Layer] = {"x": Input((6,), True), "w": Linear(Dense(rng.normal(0.1, 0.5, (5, 6))), (5,))}
    ops |= {"p": replace(between, shape=(5,)), "pp": Linear(Dense(rng.normal(0, strength, (5, 5))), (5,))}
    ops |= {"pq": Linear(Dense(rng.normal(0.1, 0.5, (4, 5))), (4,)), "q": replace(between, shape=(4,))}
    ops |= {"qp": Linear(Dense(rng.normal(0, strength, (5, 4))), (5,)), "y": FloatOutput((4,))}
    names = [("x", "w"), ("w", "p"), ("pp", "p"), ("p", "pq"), ("pq", "q"), ("qp", "p"), ("q", "y")]
    return Graph(ops, [*(Edge(*each) for each in names), Edge("p", "pp", 1), Edge("q", "qp", 1)])


@pytest.mark.parametrize("strength", [0.05, 0.3])
@pytest.mark.parametrize("with_samples", [False, True])
def test_spikes_that_come_back(strength: float, with_samples: bool) -> None:
    graph = looped(strength, replace(MANY, decay=number(0.9), minimum=number(-1.0)))
    assert fed_back(graph) == {"p", "q"}
    samples = Samples(spike_samples(3, 20, 15, 6).x)
    network = quantise(graph, HOST, Options(steps=15), samples if with_samples else None)
    assert agreement(graph, network, samples) > 0.95
    legal_on_host(network, 15, to_integers(network.of_kind(Source)["x"], samples.x))


def test_single_spikes_that_come_back_are_bounded_already() -> None:
    assert fed_back(looped(0.1, NEURONS["if"])) == frozenset()
