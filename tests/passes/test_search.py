"""The search: what may have a scale of its own, and that samples make a network better, at every width."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from snncc.data import to_integers
from snncc.graph import Graph
from snncc.integers import Population, Source, Synapse
from snncc.layers import Layer
from snncc.linear import Conv, Dense, LinearMap, to_sparse
from snncc.passes.candidates import Setting, problem
from snncc.passes.quantise import Options, quantise
from snncc.passes.search import units_of
from snncc.semantics import run, run_float
from tests.passes.float_nets import HOST, NEURONS, agreement, convolved, net, random_net, single, spike_samples

CONV = Conv(np.random.default_rng(0).normal(size=(4, 2, 1, 3)), (2, 1, 9), padding=(0, 1, 0, 1))


@pytest.mark.parametrize(
    ("linear", "shape", "units"),
    [
        (CONV, (4, 1, 9), (4, 1, 1)),
        (CONV, (4, 9), (4, 1)),
        (CONV, (36,), None),
        (CONV, (9, 4), None),
        (to_sparse(CONV), (4, 1, 9), (4, 1, 1)),
        (to_sparse(CONV), (4, 9), (4, 9)),
        (Dense(np.ones((36, 18))), (36,), (36,)),
    ],
)
def test_what_may_have_a_scale_of_its_own(
    linear: LinearMap, shape: tuple[int, ...], units: tuple[int, ...] | None
) -> None:
    graph = single(linear, (2, 1, 9), replace(NEURONS["if"], shape=shape))
    given = problem(Setting(graph, Source((2, 1, 9)), HOST, 8, None), "p")
    assert units_of(given) == units


@pytest.mark.parametrize("bits", [8, 4, 3])
@pytest.mark.parametrize("shape", [(4, 1, 9), (4, 9), (36,)])
def test_a_convolution_into_any_shape_is_searched(shape: tuple[int, ...], bits: int) -> None:
    graph = convolved(CONV, NEURONS["if"], *shape)
    samples = spike_samples(1, 20, 10, 2, 1, 9)
    network = quantise(graph, HOST, Options(bits, steps=10), samples)
    threshold = network.of_kind(Population)["p"].fire.threshold
    assert threshold.shape in ((), tuple(units_of_shape(shape)))
    assert agreement(graph, network, spike_samples(2, 20, 10, 2, 1, 9)) > 0.93


def units_of_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (4, *[1] * (len(shape) - 1)) if len(shape) > 1 else ()


def counts_off(graph: Graph[Layer], bits: int, with_samples: bool) -> float:
    """How far spike counts of the last population are from those of the floats, on fresh inputs."""
    samples, fresh = spike_samples(7, 60, 16, 20), spike_samples(8, 60, 16, 20)
    network = quantise(graph, HOST, Options(bits, steps=16), samples if with_samples else None)
    found = run(network, to_integers(network.of_kind(Source)["x"], fresh.x)).outputs["y"].sum(axis=1)
    return float(np.square(found - run_float(graph, fresh.x).outputs["y"].sum(axis=1)).mean())


@pytest.mark.parametrize("name", ["if", "late", "hard", "current"])
@pytest.mark.parametrize("bits", [8, 4, 2])
def test_samples_bring_spikes_nearer_at_every_width(name: str, bits: int) -> None:
    graph = random_net(6, 20, 40, 10, events=True, neuron=NEURONS[name])
    assert counts_off(graph, bits, with_samples=True) < 0.8 * counts_off(graph, bits, with_samples=False)


@pytest.mark.parametrize(("negative", "lowest"), [(-1.0, -1), (-2.0, -2)])
def test_two_bits_have_a_minus_two_only_where_that_is_better(negative: float, lowest: int) -> None:
    """Weights about -1, 0 and 1, or about -2, 0 and 1, off any grid."""
    rng = np.random.default_rng(3)
    weight = rng.choice([negative, 0.0, 1.0], (30, 40), p=[0.25, 0.25, 0.5]) + rng.normal(0, 0.03, (30, 40))
    graph = net((weight / 4).astype(np.float32), events=True)
    samples = spike_samples(4, 60, 12, 40)
    network = quantise(graph, HOST, Options(2, steps=12), samples)
    assert network.of_kind(Synapse)["w0"].map.weight.min() == lowest
    assert agreement(graph, network, spike_samples(5, 60, 12, 40)) > 0.97
