"""Quantisation: spikes stay those of the floats, scales do not matter, and what cannot be done is said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snncc.analysis.proof import prove
from snncc.chip import Chip, Weight
from snncc.data import to_integers
from snncc.diagnostics import CompileError
from snncc.graph import Edge, Graph
from snncc.integers import HardReset as IntHardReset
from snncc.integers import Population, Source, Synapse
from snncc.layers import HardReset, Input, Layer, Linear, Neuron, Output, SoftReset
from snncc.linear import Conv, Dense
from snncc.passes.precision import levels
from snncc.passes.quantise import Options, Samples, quantise
from snncc.passes.search import wide
from snncc.semantics import decode, run, run_float
from tests.passes.float_nets import HOST, NEURONS, agreement, net, number, random_net, spike_samples

MODELS = Path(__file__).parents[2] / "models"


@pytest.mark.parametrize("name", NEURONS)
def test_wide_integers_give_the_spikes_of_floats(name: str) -> None:
    graph = random_net(1, 12, 20, 10, neuron=NEURONS[name], events=True)
    samples = spike_samples(2, 20, 25, 12)
    network = quantise(graph, wide(HOST), Options(20, steps=25))
    assert agreement(graph, network, samples) > 0.9995


@pytest.mark.parametrize("name", NEURONS)
def test_eight_bits_are_near(name: str) -> None:
    graph = random_net(1, 12, 20, 10, neuron=NEURONS[name], events=True)
    samples = spike_samples(2, 20, 25, 12)
    network = quantise(graph, HOST, Options(steps=25), samples)
    assert agreement(graph, network, spike_samples(3, 20, 25, 12)) > 0.95
    proof = prove(network, 25)
    assert all(
        verdict.kind != "may overflow" for each in proof.populations.values() for verdict in each.verdicts.values()
    )


@pytest.mark.parametrize("bits", range(2, 9))
@pytest.mark.parametrize("with_samples", [False, True])
def test_every_width_stays_within_its_bits(bits: int, with_samples: bool) -> None:
    graph = random_net(4, 10, 12, 5, events=True)
    samples = spike_samples(5, 12, 10, 10)
    network = quantise(graph, HOST, Options(bits, steps=10), samples if with_samples else None)
    for synapse in network.of_kind(Synapse).values():
        assert synapse.map.weight.dtype == np.int8
        assert levels(bits).low <= synapse.map.weight.min()
        assert synapse.map.weight.max() <= levels(bits).high
    assert agreement(graph, network, samples) > (0.6 if bits == 2 else 0.8)


def test_fewer_bits_are_further_away() -> None:
    graph = random_net(6, 20, 40, 10, events=True)
    samples, fresh = spike_samples(7, 40, 12, 20), spike_samples(8, 40, 12, 20)
    found = [agreement(graph, quantise(graph, HOST, Options(bits, steps=12), samples), fresh) for bits in (2, 4, 8)]
    assert found == sorted(found)
    assert found[1] > 0.93
    assert found[2] > 0.98


@settings(max_examples=25, deadline=None)
@given(st.integers(-6, 6), st.integers(2, 8), st.sampled_from(sorted(NEURONS)))
def test_a_power_of_two_changes_nothing(power: int, bits: int, name: str) -> None:
    """Weights, thresholds and all other membrane values times 2**n give the very same integers."""
    form, factor = NEURONS[name], 2.0**power
    weight = np.random.default_rng(bits).normal(size=(6, 9))
    scaled = replace(
        form,
        threshold=form.threshold * factor if form.threshold is not None else None,
        bias=form.bias * factor,
        minimum=None if form.minimum is None else form.minimum * factor,
        reset=_scaled(form.reset, factor),
        adapt=None if form.adapt is None else replace(form.adapt, jump=form.adapt.jump * factor),
    )
    one = quantise(net(weight, neuron=form, events=True), HOST, Options(bits, steps=20))
    other = quantise(net(weight * factor, neuron=scaled, events=True), HOST, Options(bits, steps=20))
    unscaled = {key: replace(op, scale=0.0) if isinstance(op, Population) else op for key, op in other.ops.items()}
    expected = {key: replace(op, scale=0.0) if isinstance(op, Population) else op for key, op in one.ops.items()}
    assert Graph(expected, one.edges).text() == Graph(unscaled, other.edges).text()


def _scaled(reset: Any, factor: float) -> Any:
    if isinstance(reset, SoftReset):
        return replace(reset, amount=reset.amount * factor)
    return reset and replace(reset, value=reset.value * factor)


def test_weights_that_lie_on_a_grid_stay_exact() -> None:
    """As do thresholds on it, so ties are decided as in floats."""
    rng = np.random.default_rng(9)
    weight = rng.integers(-7, 8, (8, 10)) * 0.1
    graph = net(weight.astype(np.float32), neuron=replace(NEURONS["if"], inclusive=True), events=True)
    samples = spike_samples(10, 30, 20, 10)
    for given_samples in (None, samples):
        network = quantise(graph, HOST, Options(4, steps=20), given_samples)
        assert (network.of_kind(Synapse)["w0"].map.weight == np.rint(weight / 0.1)).all()
        assert (network.of_kind(Population)["p0"].fire.threshold % 10 == 0).all()


def test_strict_and_inclusive_thresholds_between_integers() -> None:
    weight = np.array([[1.0, 127.0]])
    plain = replace(HOST, accumulator=replace(HOST.accumulator, input_shift=(0, 0)), weight=Weight(8, (0, 0)))
    for inclusive, expected in ((False, 2), (True, 3)):
        form = Neuron((), number(0.0), number(2.5), inclusive=inclusive)
        network = quantise(net(weight, neuron=form, events=True), plain, Options())
        assert network.of_kind(Population)["p0"].fire.threshold == expected


def test_maps_of_different_sizes_share_a_scale_by_powers_of_two() -> None:
    rng = np.random.default_rng(11)
    ops: dict[str, Layer] = {
        "x": Input((6,), events=True),
        "big": Linear(Dense(rng.normal(size=(5, 6)) * 20), (5,)),
        "p": replace(NEURONS["late"], shape=(5,), threshold=number(10.0), reset=SoftReset(number(10.0))),
        "back": Linear(Dense(rng.normal(size=(5, 5)) * 0.3), (5,)),
        "y": Output((5,)),
    }
    edges = [Edge("x", "big"), Edge("big", "p"), Edge("p", "back", 1), Edge("back", "p"), Edge("p", "y")]
    network = quantise(Graph(ops, edges), HOST, Options(), spike_samples(12, 9, 15, 6))
    exponents = {name: op.exponent for name, op in network.of_kind(Synapse).items()}
    assert exponents["back"] == 0
    assert exponents["big"] in (5, 6, 7)
    assert network.incoming("back")[0] == Edge("p", "back", 1)
    assert all(np.abs(op.map.weight.astype(int)).max() >= 64 for op in network.of_kind(Synapse).values())


def test_delays_and_gains_reach_the_synapse() -> None:
    graph = Graph(
        {
            "x": Input((2,), True),
            "w": Linear(Dense(np.eye(2)), (2,)),
            "p": replace(NEURONS["if"], shape=(2,)),
            "y": Output((2,)),
        },
        [Edge("x", "w", 2, gain=-3.0), Edge("w", "p", 1), Edge("p", "y")],
    )
    network = quantise(graph, HOST, Options(steps=9))
    assert network.incoming("w") == (Edge("x", "w", 3),)
    assert network.outgoing("w") == (Edge("w", "p"),)
    weight, population = network.of_kind(Synapse)["w"].map.weight, network.of_kind(Population)["p"]
    assert weight[0, 0] < 0
    assert (int(weight[0, 0]) << population.input_shift) / population.scale == pytest.approx(-3.0, rel=0.01)


def test_parameters_stay_compact() -> None:
    rng = np.random.default_rng(13)
    form = replace(NEURONS["late"], shape=(4, 5, 5), bias=rng.normal(size=(4, 1, 1)) * 0.1, decay=number(0.5))
    ops: dict[str, Layer] = {
        "x": Input((2, 5, 5), True),
        "w": Linear(Conv(rng.normal(size=(4, 2, 3, 3)), (2, 5, 5), padding=(1, 1, 1, 1)), (4, 5, 5)),
        "p": form,
        "y": Output((4, 5, 5)),
    }
    graph = Graph(ops, [Edge("x", "w"), Edge("w", "p"), Edge("p", "y")])
    population = quantise(graph, HOST, Options(steps=8)).of_kind(Population)["p"]
    assert population.membrane.bias.shape == (4, 1, 1)
    assert population.fire.threshold.shape == ()
    narrow = quantise(graph, HOST, Options(3, steps=8), spike_samples(14, 6, 8, 2, 5, 5))
    assert narrow.of_kind(Population)["p"].fire.threshold.shape in ((), (4, 1, 1))


def test_membranes_that_are_compared_keep_one_scale() -> None:
    readout = Neuron((), number(0.9), None)
    graph = random_net(15, 8, 16, 6, events=True, last=readout, value="membrane", decoder="max")
    network = quantise(graph, HOST, Options(3, steps=10), spike_samples(16, 10, 10, 8))
    assert network.of_kind(Population)["p1"].scale > 0


def test_a_chip_with_shared_parameters_gets_no_scale_per_neuron() -> None:
    capabilities = tuple(each for each in HOST.capabilities if each != "per-neuron-parameters")
    graph = random_net(17, 8, 16, 6, events=True)
    network = quantise(
        graph, replace(HOST, capabilities=capabilities), Options(3, steps=10), spike_samples(18, 9, 10, 8)
    )
    assert all(op.fire.threshold.ndim == 0 for op in network.of_kind(Population).values() if op.fire)


def test_registers_hold_what_is_written_into_them() -> None:
    form = Neuron(
        (), number(0.5), number(1.0), reset=HardReset(number(-40.0)), minimum=number(-50.0), initial=number(30.0)
    )
    population = quantise(net(np.array([[0.2]]), neuron=form, events=True), HOST, Options(steps=4)).of_kind(Population)[
        "p0"
    ]
    register = population.membrane.register
    assert isinstance(population.reset, IntHardReset)
    for value in (population.reset.value, population.membrane.minimum, population.membrane.initial):
        assert register.lo <= value <= register.hi


def test_a_neuron_without_weights() -> None:
    network = quantise(net(np.zeros((3, 4)), neuron=NEURONS["bias"], events=True), HOST, Options(steps=40))
    spikes = run(network, np.zeros((1, 40, 4))).outputs["y"]
    expected = run_float(net(np.zeros((3, 4)), neuron=NEURONS["bias"], events=True), np.zeros((1, 40, 4))).outputs["y"]
    assert (spikes == expected).all()


# --- what is wrong


def said(graph: Graph[Layer], chip: Chip = HOST, options: Options | None = None, samples: Samples | None = None) -> str:
    with pytest.raises(CompileError) as caught:
        quantise(graph, chip, options or Options(), samples)
    return str(caught.value)


GRADED = net(np.ones((1, 2)))


@pytest.mark.parametrize("bits", [1, 9, 0, -3])
def test_widths_that_the_chip_lacks(bits: int) -> None:
    assert said(GRADED, options=Options(bits)) == (
        f"error[weight-bits]: --weight-bits: {bits} bits were asked for; host takes 2 to 8"
    )


def test_a_threshold_beyond_every_register() -> None:
    assert said(net(np.array([[1e-7, 0.30331e-7]]), events=True)) == (
        "error[scale-range]: p0: its threshold is so far above its weights that it needs a register of 25 bits; "
        "host has 24\n  = hint: weights this small can hardly make it fire: check the model, or prune the population"
    )


# --- the shipped models


@pytest.mark.parametrize(("bits", "points"), [(8, 1.0), (4, 2.0)])
def test_a_shipped_model_keeps_its_accuracy(bits: int, points: float) -> None:
    from snncc.frontends import read_model
    from snncc.passes.legalise import legalise

    graph = legalise(read_model(MODELS / "digits_dense.onnx").graph)
    with np.load(MODELS / "digits_dense.npz") as data, np.load(MODELS / "digits_dense.samples.npz") as samples:
        network = quantise(graph, HOST, Options(bits, steps=16), Samples(samples["x"]))
        x, y = data["x"], data["y"]
    source = next(iter(network.of_kind(Source).values()))
    scores = {
        "float": next(iter(run_float(graph, x, 16).outputs.values())),
        "integer": next(iter(run(network, to_integers(source, x), 16).outputs.values())),
    }
    right = {kind: float((decode(values, "count").argmax(axis=1) == y).mean()) for kind, values in scores.items()}
    assert right["integer"] >= right["float"] - points / 100
