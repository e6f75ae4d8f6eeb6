"""Measures what direct lateral inhibition saves in a network of SpikeDyn's arrangement; prints JSON.

784 inputs, 400 excitatory neurons, and 400 inhibitory ones, each excited by one and inhibiting all others a step later;
weights are random, not trained. Networks are quantised on the same samples; excitatory spikes are those of the
reference. Operations are synapses that spikes meet, as they are stored: one per neuron and step for a lateral map.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from snncc import chip as chips
from snncc.analysis.proof import prove
from snncc.arrays import Array
from snncc.backends.c.mcu.emit import plan_for
from snncc.backends.c.mcu.sizes import constants
from snncc.data import to_integers
from snncc.graph import Edge, Graph
from snncc.integers import Network, Population, Source, Synapse, source_of
from snncc.layers import Adapt, HardReset, Input, Layer, Linear, Neuron, Output
from snncc.linear import Dense, Lateral, to_sparse
from snncc.passes.compose import diagonal
from snncc.passes.inputs import Samples
from snncc.passes.lateral import all_but_self_maps_become_lateral, relays_are_bypassed
from snncc.passes.quantise import Options, quantise
from snncc.semantics import run

INPUTS, COUNT, STEPS = 784, 400, 100


def arrangement() -> Graph[Layer]:
    """Excitatory neurons with a refractory time and an adaptive threshold, inhibitory ones that only hand spikes on."""
    rng = np.random.default_rng(0)
    exc = Neuron((COUNT,), np.array(0.99), np.array(12.0), reset=HardReset(np.array(0.0)), refractory=5)
    ops: dict[str, Layer] = {
        "x": Input((INPUTS,), events=True),
        "excite": Linear(Dense(rng.random((COUNT, INPUTS)) ** 4), (COUNT,)),
        "exc": Neuron(**{**vars(exc), "adapt": Adapt(np.array(0.999), np.array(0.1))}),
        "relay": Linear(diagonal(np.full(COUNT, 10.4), (COUNT,)), (COUNT,)),
        "inh": Neuron((COUNT,), np.array(0.9), np.array(5.0), reset=HardReset(np.array(-1.0)), refractory=2),
        "inhibit": Linear(Dense(-2.0 * (1 - np.eye(COUNT))), (COUNT,)),
        "y": Output((COUNT,)),
    }
    edges = [Edge("x", "excite"), Edge("excite", "exc"), Edge("exc", "relay"), Edge("relay", "inh")]
    return Graph(ops, [*edges, Edge("inh", "inhibit", 1), Edge("inhibit", "exc"), Edge("exc", "y")])


def measure(network: Network, x: Array) -> tuple[dict[str, Any], Array]:
    """Neurons, bytes on a Cortex-M7, operations a step; and the excitatory spikes."""
    names = tuple(network.of_kind(Population))
    trace = run(network, x, record=names)
    sent = {"x": x, **trace.spikes}
    operations = 0.0
    for name, synapse in network.of_kind(Synapse).items():
        if isinstance(synapse.map, Lateral):
            operations += synapse.map.size * x.shape[0] * x.shape[1]
            continue
        fan = np.diff(to_sparse(synapse.map).indptr)
        operations += float(sent[source_of(network, name)[0]].sum(axis=(0, 1)) @ fan)
    chip = chips.load("cortex-m7")
    proof = prove(network)
    plan = plan_for(network, proof, chip)
    weights, tables = constants(plan)
    row = {"neurons": sum(each.size for each in network.of_kind(Population).values()), "weights_bytes": weights}
    row |= {"table_bytes": tables, "operations_a_step": round(operations / (x.shape[0] * x.shape[1]))}
    return row, trace.spikes["exc"]


def bypassed(network: Network) -> Network:
    """The same integers without the inhibitory neurons, to compare spikes: a compiler would choose scales anew."""
    ops = {name: op for name, op in network.ops.items() if name not in ("relay", "inh")}
    edges = [edge for edge in network.edges if edge.source in ops and edge.target in ops]
    return Graph(ops, [*edges, Edge("exc", "inhibit", 1)])


def main() -> None:
    x = (np.random.default_rng(1).random((20, STEPS, INPUTS)) < 0.05).astype(np.float64)
    legal, chip = arrangement(), chips.load("host")
    compact = all_but_self_maps_become_lateral(legal)
    matrix, number = (quantise(each, chip, Options(8), Samples(x[:10])) for each in (legal, compact))
    compiled = quantise(relays_are_bypassed(compact), chip, Options(8), Samples(x[:10]))
    networks = {"matrix": matrix, "one number": number, "direct": bypassed(number), "direct, as compiled": compiled}
    rows: dict[str, Any] = {}
    spikes: dict[str, Array] = {}
    for name, network in networks.items():
        source = next(iter(network.of_kind(Source).values()))
        rows[name], spikes[name] = measure(network, to_integers(source, x))
        rows[name]["excitatory_spikes"] = int(spikes[name].sum())
    same = bool(np.array_equal(spikes["one number"], spikes["direct"]))
    rows["same spikes with the inhibitory neurons and without"] = same
    print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
