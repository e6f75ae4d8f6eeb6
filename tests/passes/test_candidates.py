"""Candidates: what a population reads is worked out from the graph, and one that reads nothing runs by its bias."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from snncc import classics, compiler, contracts
from snncc.analysis.proof import prove
from snncc.data import to_integers
from snncc.graph import Edge, Graph
from snncc.integers import Population, Source, Synapse
from snncc.layers import Adapt, Affine, Current, Input, Layer, Linear, Neuron, Output, SoftReset
from snncc.linear import Dense
from snncc.passes.candidates import Setting, build, exact_grid, plain_grid, problem
from snncc.passes.precision import Levels, Width
from snncc.passes.quantise import Options, Samples, quantise
from snncc.program import Program
from snncc.semantics import run, run_float
from tests.conformance.backends import CANDIDATES, assert_conforms
from tests.passes.float_nets import HOST, NEURONS, number


def driven_by_bias(form: Neuron) -> Graph[Layer]:
    """A clock without any input, beside a population that reads the input and the clock."""
    clock = replace(form, shape=(3,), bias=np.array([0.3, 0.21, 0.155]))
    ops: dict[str, Layer] = {
        "x": Input((2,), True),
        "w": Linear(Dense(np.array([[0.513, 0.237], [0.119, 0.731]])), (2,)),
        "clock": clock,
        "tick": Linear(Dense(np.array([[0.417, 0.0, 0.319], [0.0, 0.883, 0.127]])), (2,)),
        "p": replace(NEURONS["if"], shape=(2,)),
        "y": Output((2,)),
        "z": Output((3,)),
    }
    names = [("x", "w"), ("w", "p"), ("clock", "tick"), ("tick", "p"), ("p", "y"), ("clock", "z")]
    return Graph(ops, [Edge(*each) for each in names])


FORMS = {
    "leaky": NEURONS["bias"],
    "current": replace(NEURONS["bias"], current=Current(number(0.5), number(1.0))),
    "adaptive": replace(NEURONS["bias"], adapt=Adapt(number(0.9), number(0.1))),
    "many": replace(NEURONS["bias"], inclusive=True, max_spikes=2**31 - 1),
}


@pytest.mark.parametrize("with_samples", [False, True])
@pytest.mark.parametrize("name", FORMS)
def test_a_population_without_input_runs_by_its_bias(name: str, with_samples: bool) -> None:
    graph = driven_by_bias(FORMS[name])
    x = (np.random.default_rng(1).random((6, 40, 2)) < 0.4).astype(np.float32)
    network = quantise(graph, HOST, Options(steps=40), Samples(x) if with_samples else None)
    assert contracts.quantised(network, HOST, prove(network, 40)) == ()
    integers = to_integers(network.of_kind(Source)["x"], x)
    found, wanted = run(network, integers).outputs, run_float(graph, x).outputs
    assert (found["z"] == wanted["z"]).all()
    assert (found["z"].sum(axis=(0, 1)) > 0).all()
    assert (found["y"] == wanted["y"]).mean() > 0.95
    for candidate in CANDIDATES:
        if candidate.chip.delay.steps[0] == 0:
            assert_conforms(candidate, network, integers)


def test_a_problem_knows_what_each_source_sends() -> None:
    graph = driven_by_bias(FORMS["many"])
    setting = Setting(graph, Source((2,), bits=3, signed=True, scale=0.5), HOST, 8, None)
    assert setting.populations == ("clock", "p")
    read = {each.name: each for each in problem(setting, "p").incoming}
    assert (read["w"].sent, read["w"].unit) == ((-3, 3), 0.5)
    assert read["tick"].sent == (0, 1 << 16)
    clock = problem(setting, "clock")
    assert clock.incoming == ()
    after = setting.after("clock", build(clock, plain_grid(clock)))
    assert {each.name: each.sent for each in problem(after, "p").incoming}["tick"] == (0, 1)


def test_exact_grids_start_at_the_least_shift() -> None:
    graph = driven_by_bias(NEURONS["bias"])
    ops = {**graph.ops, "p": graph["p"], "w": Linear(Dense(np.array([[0.5, 1.0], [0.0, -1.5]])), (2,))}
    only = Graph({name: ops[name] for name in ("x", "w", "p", "y")}, [Edge("x", "w"), Edge("w", "p"), Edge("p", "y")])
    shifting = replace(HOST, weight=replace(HOST.weight, exponent=(2, 5)))
    for chip, low in ((HOST, 0), (shifting, 2)):
        given = problem(Setting(only, Source((2,)), chip, 8, None), "p")
        grid = exact_grid(given)
        assert grid is not None
        assert grid.exponents == (low,)
        candidate = build(given, grid)
        assert candidate.synapses[0].map.weight.tolist() == [[1, 2], [0, -3]]
        assert candidate.synapses[0].exponent >= low
        assert isinstance(candidate.population, Population)


def test_a_reset_without_a_fixed_threshold_unit_still_fits() -> None:
    graph = driven_by_bias(replace(NEURONS["bias"], threshold=number(0.0), reset=SoftReset(number(0.5))))
    network = quantise(graph, HOST, Options(steps=20))
    assert contracts.quantised(network, HOST, prove(network, 20)) == ()


def test_maps_of_one_sign_have_a_bit_more_beside_one_that_learns() -> None:
    """Where the chip has modes for signs: its greatest weight is that of the rule's, however many bits these have."""
    graph = driven_by_bias(FORMS["many"])
    modes = replace(HOST, weight=replace(HOST.weight, sign_modes=True))
    for chip, learnt, width, most in (
        (modes, {"w"}, 8, 255),
        (HOST, {"w"}, 8, 127),
        (modes, set[str](), 8, 127),
        (modes, {"w"}, 3, 7),
        (modes, {"w"}, "ternary", 1),
    ):
        own: dict[str, Width] = {"tick": width}
        setting = Setting(graph, Source((2,)), chip, 8, None, learnt=frozenset(learnt), own=own)
        found = {each.name: each.levels for each in problem(setting, "p").incoming}
        assert found["w"] == Levels(-128, 127)
        assert found["tick"].high == most
        assert found["tick"].low in (-most, -most - 1)


@pytest.mark.parametrize("sign", [-1, 1])
def test_ternary_weights_are_ternary_beside_a_group_that_learns_on_loihi(sign: int) -> None:
    model = classics.make("spikedyn", classics.Shape(25, 6, steps=40, threshold=100.0, inhibition=0.15))
    lateral = model.graph["lateral"]
    assert isinstance(lateral, Affine)
    wanted = -sign * lateral.weight
    turned = {**model.graph.ops, "lateral": replace(lateral, weight=wanted)}
    model = replace(model, graph=Graph(turned, model.graph.edges))
    for bits, most in (("ternary", 1), (3, 7)):
        program = compiler.compile(model, "loihi2", weight_bits=bits)
        assert isinstance(program, Program)
        synapse, population = program.network["lateral"], program.network["excitatory"]
        assert isinstance(synapse, Synapse)
        assert isinstance(population, Population)
        weight = synapse.map.weight
        assert np.unique(weight).tolist() == sorted((0, sign * most))
        found = np.ldexp(weight.astype(float), synapse.exponent + population.input_shift) / population.scale
        np.testing.assert_allclose(found, wanted, atol=0.1 * np.abs(wanted).max())
