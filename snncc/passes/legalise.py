"""Brings an imported graph into the form that chips know: linear maps and neuron populations, in turn.

The result holds only `Input`, `Linear`, `Neuron` and `Output`, keeps the contract `contracts.legal`, and computes
the same spikes and the same outputs. Each rule below is a function from graph to graph.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Container
from dataclasses import replace

import networkx as nx
import numpy as np

from snncc.arrays import frozen
from snncc.diagnostics import check
from snncc.graph import Edge, Graph
from snncc.layers import HardReset, Input, Layer, Linear, Neuron, Output, SoftReset
from snncc.linear import LinearMap, with_weight
from snncc.passes.bias import LEAST_DECAY, biased
from snncc.passes.lateral import all_but_self_maps_become_lateral, relays_are_bypassed
from snncc.passes.paths import Path, population_inputs, stateless


def legalise(graph: Graph[Layer], learnt: Collection[str] = ()) -> Graph[Layer]:
    """`graph` keeps the contract `imported`; `learnt` are the synapse groups that will learn, or what they feed.

    Raises CompileError: `too-many-synapses`, `delayed-bias`, `bias-into-perfect-current`, once per fault.
    """
    graph = layers_that_no_output_reads_are_removed(graph)
    graph = outputs_of_sums_end_in_a_silent_population(graph)
    graph = delayed_resets_become_plain_ones(graph)
    graph = what_lies_between_populations_becomes_linear_maps(graph)
    return relays_are_bypassed(all_but_self_maps_become_lateral(graph), learnt)


def layers_that_no_output_reads_are_removed(graph: Graph[Layer]) -> Graph[Layer]:
    """The input stays, as it is what the user feeds; so do populations without input, which may fire by their bias."""
    digraph = graph.digraph()
    read = {*graph.of_kind(Input), *graph.of_kind(Output)}
    for name in graph.of_kind(Output):
        read |= nx.ancestors(digraph, name)
    ops = {name: op for name, op in graph.ops.items() if name in read}
    return Graph(ops, [edge for edge in graph.edges if edge.source in read and edge.target in read])


def outputs_of_sums_end_in_a_silent_population(graph: Graph[Layer]) -> Graph[Layer]:
    """An output that reads anything but one population becomes the membrane of a population that never fires."""
    ops: dict[str, Layer] = {}
    edges = list(graph.edges)
    taken = set(graph.ops)
    for name, op in graph.ops.items():
        if isinstance(op, Output) and not _reads_a_population(graph, name):
            readout = unused(f"{name}.readout", taken)
            taken.add(readout)
            ops[readout] = Neuron(op.shape, decay=frozen(0.0), threshold=None)
            edges = [replace(each, target=readout) if each.target == name else each for each in edges]
            edges.append(Edge(readout, name))
            ops[name] = replace(op, value="membrane", when="before")
        else:
            ops[name] = op
    return Graph(ops, edges)


def _reads_a_population(graph: Graph[Layer], name: str) -> bool:
    incoming = graph.incoming(name)
    return incoming == (Edge(incoming[0].source, name),) and isinstance(graph[incoming[0].source], Neuron)


def delayed_resets_become_plain_ones(graph: Graph[Layer]) -> Graph[Layer]:
    """v <- d (v - r/d s) is d v - r s: the reset of the step before, undecayed, is a plain one by amount / decay.

    Spikes and the membrane before the reset stay the same. The membrane after it was the same as before it, so an
    output that reads it reads the one before it instead. While a neuron is refractory the two differ: it stays.
    """
    neurons = graph.of_kind(Neuron)
    plain = {name: _plain_reset(op) for name, op in neurons.items()}
    ops: dict[str, Layer] = {**graph.ops, **plain}
    for name, op in graph.of_kind(Output).items():
        source = graph.incoming(name)[0].source
        if op.value == "membrane" and plain[source] is not neurons[source]:
            ops[name] = replace(op, when="before")
    return Graph(ops, graph.edges)


def _plain_reset(neuron: Neuron) -> Neuron:
    """The same neuron if its reset is not delayed, or has no plain equal."""
    reset = neuron.reset
    if reset is None or reset.delay == 0 or neuron.refractory:
        return neuron
    if isinstance(reset, HardReset) and not reset.value.any():
        return replace(neuron, reset=replace(reset, delay=0))
    if neuron.decay.min() < LEAST_DECAY:
        return neuron
    if isinstance(reset, HardReset):
        return replace(neuron, reset=HardReset(reset.value / neuron.decay))
    if reset.adaptive:
        return neuron  # the adaptation has decayed by the time that it is subtracted
    return replace(neuron, reset=SoftReset(reset.amount / neuron.decay))


def what_lies_between_populations_becomes_linear_maps(graph: Graph[Layer]) -> Graph[Layer]:
    """Paths with the same source, target and delay share a `Linear` if their maps add up in compact form.

    A `Linear` is called after the last layer with weights on its path, or else the most telling one, or
    `source.target`; the second of a name is `name.2`.
    """
    inputs = population_inputs(graph)
    neurons = {name: biased(name, graph.of_kind(Neuron)[name], read.biases) for name, read in inputs.of.items()}
    check((*inputs.faults, *(fault for _, faults in neurons.values() for fault in faults)))
    ops: dict[str, Layer] = {}
    edges: list[Edge] = []
    taken = set(graph.ops)
    for name, op in graph.ops.items():
        if isinstance(op, Neuron):
            for path in inputs.of[name].paths:
                linear = _name(path, name, ops, taken)
                ops[linear] = Linear(_in_floats(path.map), op.shape)
                edges += [Edge(path.source, linear, path.delay), Edge(linear, name)]
            ops[name] = neurons[name][0]
        elif not stateless(op):
            ops[name] = op
            edges += graph.incoming(name)
    return Graph(ops, edges)


def _name(path: Path, target: str, used: Container[str], taken: Container[str]) -> str:
    """The name of a layer that has become part of the path, or a new one."""
    if path.name and path.name not in used:
        return path.name
    return unused(path.name or f"{path.source}.{target}", used, taken)


def unused(name: str, *taken: Container[str]) -> str:
    """`name`, or the first of `name.2`, `name.3`, ... that nothing is called."""
    candidates = itertools.chain([name], (f"{name}.{number}" for number in itertools.count(2)))
    return next(each for each in candidates if not any(each in names for names in taken))


def _in_floats(linear: LinearMap) -> LinearMap:
    """Maps that only rearrange have integer weights until here; what sums made of other maps may be the same map."""
    rearranges = linear.weight.dtype.kind == "i" or bool((linear.weight == 1).all())
    return with_weight(linear, linear.weight.astype(np.float32)) if rearranges else linear
