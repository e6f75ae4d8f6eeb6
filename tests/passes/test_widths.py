"""Widths and arithmetic are the chip's: rounding, overflow, fixed decays and shifts, one kind of threshold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from snncc import contracts
from snncc.analysis.proof import prove
from snncc.chip import Accumulator, Capability, Chip, StateArithmetic, Weight
from snncc.data import to_integers
from snncc.integers import Population, Source, Synapse
from snncc.layers import Current, HardReset
from snncc.passes.quantise import Options, quantise
from snncc.semantics import run
from tests.conformance.backends import CANDIDATES, assert_conforms
from tests.passes.float_nets import HOST, NEURONS, agreement, number, random_net, spike_samples

FIXED = StateArithmetic(24, (12, 12), 40, "zero", "saturate")
KNOWN: tuple[Capability, ...] = ("graded-input", "current", "hard-reset", "strict-threshold", "bias")
# even weights of 9 bits, as a chip with one bit for the sign has them, are weights of 8 bits shifted by 1
RESEARCH = replace(
    HOST,
    name="research",
    capabilities=KNOWN,
    weight=Weight(8, (1, 7)),
    accumulator=Accumulator(32, (6, 6)),
    current=replace(FIXED, overflow="wrap"),
    membrane=FIXED,
)
CHIPS = {
    "research": RESEARCH,
    "floor": replace(RESEARCH, membrane=replace(FIXED, rounding="floor"), current=replace(FIXED, rounding="floor")),
    "inclusive": replace(RESEARCH, capabilities=(*KNOWN[:3], "inclusive-threshold", "bias")),
    "no shifts": replace(HOST, weight=Weight(8, (0, 0)), accumulator=Accumulator(32, (0, 0))),
    "narrow": replace(HOST, membrane=replace(HOST.membrane, bits=16), current=replace(HOST.current, bits=16)),
}
HARD = replace(NEURONS["hard"], reset=HardReset(number(0.0)))
FORMS = {
    "hard": HARD,
    "current": replace(NEURONS["current"], current=Current(number(0.6))),
    "inclusive": replace(HARD, inclusive=True),
    "stateless": NEURONS["stateless"],
    "perfect": replace(HARD, decay=number(1.0)),
}


@pytest.mark.parametrize("with_samples", [False, True])
@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("label", CHIPS)
def test_networks_keep_to_the_arithmetic_of_the_chip(label: str, name: str, with_samples: bool) -> None:
    chip = CHIPS[label]
    graph = random_net(1, 12, 20, 10, neuron=FORMS[name], events=True)
    samples = spike_samples(2, 20, 25, 12)
    network = quantise(graph, chip, Options(steps=25), samples if with_samples else None)
    assert contracts.quantised(network, chip, prove(network, 25)) == ()
    for population in network.of_kind(Population).values():
        low, high = chip.accumulator.input_shift
        assert low <= population.input_shift <= high
        assert population.membrane.decay.rounding == chip.membrane.rounding
        assert population.membrane.register.overflow == chip.membrane.overflow
        if population.current:
            assert population.current.register.overflow == chip.current.overflow
    for synapse in network.of_kind(Synapse).values():
        assert chip.weight.exponent[0] <= synapse.exponent <= chip.weight.exponent[1]
    assert agreement(graph, network, samples) > (0.95 if label != "no shifts" else 0.8)
    for candidate in CANDIDATES if label == "research" and not with_samples else ():
        assert_conforms(candidate, network, to_integers(network.of_kind(Source)["x"], samples.x))


def test_registers_are_as_wide_as_the_chips_where_narrower_ones_gain_nothing() -> None:
    """So that they wrap and saturate where the chip's do."""
    graph = random_net(1, 12, 20, 10, neuron=FORMS["current"], events=True)
    for population in quantise(graph, RESEARCH, Options(steps=25)).of_kind(Population).values():
        assert population.current is not None
        for register in (population.membrane.register, population.current.register):
            assert (register.lo, register.hi) == (-(1 << 23), (1 << 23) - 1)


@pytest.mark.parametrize("name", ["hard", "inclusive", "adaptive", "late"])
@pytest.mark.parametrize("with_samples", [False, True])
def test_either_kind_of_threshold_does_for_both(name: str, with_samples: bool) -> None:
    """v >= n is v > n - 1: on chips with one of the two every spike and membrane is the same as on one with both."""
    graph = random_net(3, 12, 20, 10, neuron={**NEURONS, **FORMS}[name], events=True)
    samples = spike_samples(4, 20, 25, 12)
    networks = []
    for missing in ("none", "strict-threshold", "inclusive-threshold"):
        chip = replace(HOST, capabilities=tuple(each for each in HOST.capabilities if each != missing))
        network = quantise(graph, chip, Options(4, steps=25), samples if with_samples else None)
        assert contracts.quantised(network, chip, prove(network, 25)) == ()
        networks.append(network)
    traces = [run(each, samples.x.astype(np.int64), record=("p0", "p1")) for each in networks]
    for other in traces[1:]:
        for population in ("p0", "p1"):
            assert np.array_equal(traces[0].spikes[population], other.spikes[population])
            assert np.array_equal(traces[0].membranes[population], other.membranes[population])
    kinds = [[each.fire.inclusive for each in network.of_kind(Population).values()] for network in networks]
    assert kinds[1:] == [[True, True], [False, False]]


LACKS: dict[str, Chip] = {
    each: replace(HOST, capabilities=tuple(other for other in HOST.capabilities if other != each))
    for each in HOST.capabilities
}
NEEDS = {
    "current": "current",
    "soft-reset": "if",
    "hard-reset": "hard",
    "bias": "bias",
    "minimum": "clamped",
    "adapt": "adaptive",
    "multi-spike": "many",
    "refractory": "held",
    "reset-delay": "late",
    "initial-state": "charged",
    "per-neuron-parameters": "uneven",
}
MORE = {
    "charged": replace(NEURONS["if"], initial=number(0.5)),
    "uneven": replace(NEURONS["if"], threshold=np.linspace(0.8, 1.2, 20)),
}


@pytest.mark.parametrize("capability", NEEDS)
def test_what_has_no_way_around_is_refused_by_name(capability: str) -> None:
    graph = random_net(1, 12, 20, neuron={**NEURONS, **MORE}[NEEDS[capability]], events=True)
    chip = LACKS[capability]
    network = quantise(graph, chip, Options(steps=10))
    found = contracts.quantised(network, chip, prove(network, 10))
    assert [(each.rule, each.where) for each in found] == [("missing-capability", "p0")]
    assert capability in found[0].message
    assert found[0].hint


def test_graded_values_are_refused_where_only_spikes_are_taken() -> None:
    graph, chip = random_net(1, 12, 20), LACKS["graded-input"]
    network = quantise(graph, chip, Options(steps=10))
    found = contracts.quantised(network, chip, prove(network, 10))
    assert [(each.rule, each.where, each.hint) for each in found] == [
        ("missing-capability", "x", "encode the input as spikes")
    ]
