"""Population after population: samples never make the outputs worse than the plain grids, wherever spikes come back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from snncc.arrays import Array
from snncc.data import to_integers
from snncc.graph import Edge, Graph
from snncc.integers import Network, Source
from snncc.layers import Input, Layer, Linear, Neuron, Output
from snncc.linear import Dense
from snncc.passes import populations
from snncc.passes.assemble import assembled
from snncc.passes.candidates import Candidate, Problem, Setting, build
from snncc.passes.grids import Grid
from snncc.passes.populations import plain, searched
from snncc.passes.quantise import Options, Samples, quantise
from snncc.semantics import run, run_float
from tests.passes.float_nets import HOST, NEURONS, agreement, number, random_net, spike_samples


def far_off(network: Network, graph: Graph[Layer], x: Array) -> int:
    """The error that decides: squared differences of the outputs' spikes so far."""
    found, wanted = run(network, x.astype(np.int64)).outputs["y"], run_float(graph, x).outputs["y"]
    return int(np.square(found.cumsum(axis=1) - wanted.cumsum(axis=1)).sum())


@pytest.mark.parametrize("bits", [8, 4, 2])
@pytest.mark.parametrize("seed", range(4))
def test_on_the_samples_a_search_is_never_worse_than_the_plain_grids(seed: int, bits: int) -> None:
    graph = random_net(seed, 10, 14, 6, events=True)
    samples = spike_samples(seed, 12, 10, 10)
    setting = Setting(graph, Source((10,)), HOST, bits, 10)
    simple, best = (assembled(graph, setting.source, each) for each in (plain(setting), searched(setting, samples)))
    assert far_off(best, graph, samples.x) <= far_off(simple, graph, samples.x)


def test_plain_grids_are_taken_where_the_search_is_worse(monkeypatch: pytest.MonkeyPatch) -> None:
    def worst(given: Problem, *_: Any) -> Candidate:
        return build(given, Grid(np.asarray(3.0), (0,) * len(given.incoming)))

    monkeypatch.setattr(populations, "search", worst)
    graph = random_net(1, 10, 14, 6, events=True)
    samples = spike_samples(1, 12, 10, 10)
    network = quantise(graph, HOST, Options(steps=10), samples)
    assert agreement(graph, network, samples) > 0.95


def test_populations_that_feed_each_other() -> None:
    """The one behind feeds back to the one before it, whose reference must know that."""
    rng = np.random.default_rng(2)
    neuron = replace(NEURONS["if"], decay=number(0.8))
    ops: dict[str, Layer] = {"x": Input((6,), True)}
    for name, rows, columns in (("xp", 8, 6), ("pq", 7, 8), ("qp", 8, 7)):
        ops[name] = Linear(Dense(rng.normal(0.05, 0.5, (rows, columns))), (rows,))
    ops |= {"p": replace(neuron, shape=(8,)), "q": replace(neuron, shape=(7,)), "y": Output((7,))}
    names = [("x", "xp"), ("xp", "p"), ("p", "pq"), ("pq", "q"), ("qp", "p"), ("q", "y")]
    graph = Graph(ops, [*(Edge(*each) for each in names), Edge("q", "qp", 1)])
    samples = spike_samples(4, 40, 12, 6)
    network = quantise(graph, HOST, Options(steps=12), samples)
    assert agreement(graph, network, spike_samples(5, 40, 12, 6)) > 0.97


def test_membranes_and_spikes_may_both_leave() -> None:
    readout = Neuron((), number(0.9), None)
    graph = random_net(15, 8, 16, 6, events=True, last=readout, value="membrane", decoder="max")
    also = Graph({**graph.ops, "z": Output((16,))}, [*graph.edges, Edge("p0", "z")])
    samples = Samples(spike_samples(16, 30, 10, 8).x, np.arange(30) % 10 + 1)
    network = quantise(also, HOST, Options(3, steps=10), samples)
    outputs = run(network, to_integers(network.of_kind(Source)["x"], samples.x), lengths=samples.lengths).outputs
    wanted = run_float(also, samples.x, lengths=samples.lengths).outputs
    assert (outputs["z"] == wanted["z"]).mean() > 0.85
    scale = network["p1"].scale
    assert np.corrcoef(outputs["y"].reshape(-1) / scale, wanted["y"].reshape(-1))[0, 1] > 0.95
