"""NeuroBench's metrics against counting one value and one weight at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snncc.analysis.neurobench import neurobench
from snncc.graph import Edge, Graph
from snncc.integers import (
    Current,
    Decay,
    Fire,
    Membrane,
    Network,
    Output,
    Population,
    Register,
    SoftReset,
    Source,
    Synapse,
    source_of,
    value_range,
)
from snncc.linear import Dense, synapse_count, to_sparse
from snncc.semantics import run
from tests.networks import Case, cases


def counted(case: Case) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """How often each value and neuron was not 0, what that met, and all values, from a run of the reference."""
    network, live = case.network, np.arange(case.x.shape[1]) < case.lengths[:, None]
    populations = network.of_kind(Population)
    values: dict[str, Any] = dict(run(network, case.x, lengths=case.lengths, record=tuple(populations)).spikes)
    ((source, _),) = network.of_kind(Source).items()
    values[source] = case.x.reshape(*case.x.shape[:2], -1) * live[:, :, None]
    fired = {name: (values[name] != 0).sum(axis=(0, 1)) for name in network.ops if name in values}
    met = dict.fromkeys(fired, 0)
    for name, synapse in network.of_kind(Synapse).items():
        fan = np.diff(to_sparse(synapse.map).indptr)
        met[source_of(network, name)[0]] += int(fired[source_of(network, name)[0]] @ fan)
    return np.concatenate(list(fired.values())), np.array(list(met.values())), values


@given(cases())
def test_operations_are_those_of_single_values_and_weights(case: Case) -> None:
    network = case.network
    fired, met, values = counted(case)
    samples, steps = len(case.x), int(case.lengths.sum())
    found = neurobench(network, fired, met, samples, steps)
    acs = macs = dense = 0
    for name, synapse in network.of_kind(Synapse).items():
        source, _ = source_of(network, name)
        flat = to_sparse(synapse.map)
        for neuron in range(flat.in_size):
            effective = int((values[source][:, :, neuron] != 0).sum()) * int(
                flat.indptr[neuron + 1] - flat.indptr[neuron]
            )
            binary = max(map(abs, value_range(network[source]))) <= 1  # type: ignore[arg-type]
            acs, macs = acs + effective * binary, macs + effective * (not binary)
        dense += synapse_count(synapse.map) * steps
    assert (found.effective_acs, found.effective_macs) == (acs / samples, macs / samples)
    assert found.dense == dense / samples
    assert found.effective_acs + found.effective_macs <= found.dense


@given(cases())
def test_sparsity_is_the_share_of_zeros(case: Case) -> None:
    network = case.network
    fired, met, values = counted(case)
    found = neurobench(network, fired, met, len(case.x), int(case.lengths.sum()))
    firing = [values[name] for name, op in network.of_kind(Population).items() if op.fire]
    spikes = sum(int((each != 0).sum()) for each in firing)
    places = sum(each.shape[2] for each in firing) * int(case.lengths.sum())
    assert found.activation_sparsity == pytest.approx(1 - spikes / places if places else 0.0)
    weights = np.concatenate(
        [each.map.weight.reshape(-1) for each in network.of_kind(Synapse).values()] or [np.ones(0)]
    )
    assert found.connection_sparsity == pytest.approx(float((weights == 0).mean()) if weights.size else 0.0)


def test_the_footprint_is_every_parameter_and_state_in_whole_bytes() -> None:
    narrow, wide = Register(-128, 127), Register(-(1 << 19), (1 << 19) - 1)
    membrane = Membrane(Decay(np.array(3), 4, "floor"), wide, bias=np.array([1, 2, 300]))
    current = Current(Decay(np.array(200), 8, "floor"), narrow)
    population = Population((3,), membrane, Fire(np.array(70_000), True), SoftReset(np.array(5)), current, refractory=2)
    ops = {
        "x": Source((2,)),
        "w": Synapse(Dense(np.array([[1, -128], [0, 0], [127, 5]], np.int16))),
        "p": population,
        "y": Output("spikes", "after", "count"),
    }
    network: Network = Graph(ops, [Edge("x", "w", 1), Edge("w", "p"), Edge("p", "y")])
    found = neurobench(network, np.zeros(5, np.int64), np.zeros(2, np.int64), 1, 1)
    weights, parameters = 6 * 1, 1 + 3 * 2 + 3 + 1 + 2  # decay, biases, threshold, reset, decay of the current
    states = 3 * 3 + 3 * 1 + 3 * 1  # membrane, current, refractory
    assert found.footprint == weights + parameters + states
    assert found.connection_sparsity == 2 / 6
    assert found.activation_sparsity == 1.0


@given(st.integers(1, 5))
def test_without_weights_there_is_nothing_to_do(samples: int) -> None:
    membrane = Membrane(Decay(np.array(0), 0, "floor"), Register(-1, 1))
    ops = {"x": Source((1,)), "p": Population((1,), membrane, None), "y": Output("membrane", "after", "last")}
    network: Network = Graph(ops, [Edge("p", "y")])
    found = neurobench(network, np.zeros(2, np.int64), np.zeros(2, np.int64), samples, samples)
    assert (found.effective_acs, found.dense, found.connection_sparsity, found.activation_sparsity) == (0, 0, 0, 0)
