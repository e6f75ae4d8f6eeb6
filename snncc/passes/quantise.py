"""Quantises a legal network: from floats to the integer network, with scales chosen on samples where there are some."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from snncc import layers
from snncc.arrays import Array
from snncc.chip import Chip
from snncc.data import to_integers
from snncc.diagnostics import Diagnostic, check
from snncc.graph import Edge, Graph
from snncc.integers import IntOp, Network, Output, Source
from snncc.layers import Decoder, Input, Layer, Linear, Neuron, size
from snncc.linear import synapse_count
from snncc.passes.calibration import Drive, respond
from snncc.passes.candidates import Candidate, build, faults, plain_grid, problem
from snncc.passes.inputs import Samples, assumptions, input_faults, source_for
from snncc.passes.search import Reference, search, wide
from snncc.passes.widths import Use
from snncc.semantics import run

__all__ = ["Options", "Samples", "assumptions", "quantise"]

_SAMPLES = 256  # calibration samples at most: more hardly move the choice
_NEURON_STEPS = 3_000_000  # that all of them may take together, for time and memory
_SYNAPSE_STEPS = 2_000_000_000
_FEWEST = 8


@dataclass(frozen=True)
class Options:
    """How to quantise: the width of weights; the decoder and the number of steps, None where the model decides."""

    weight_bits: int = 8
    decoder: Decoder | None = None
    steps: int | None = None


def quantise(graph: Graph[Layer], chip: Chip, options: Options, samples: Samples | None = None) -> Network:
    """The integer network of a legal graph, under the same names; delays are on the edges into synapses.

    Each population's scale is searched on the samples. Without samples it is set by the largest weight, and a
    direct-coded input is taken to lie in -1..1 (`assumptions` warns of it).

    Raises CompileError: `weight-bits`, `bad-samples`, `graded-input`, `signed-input`, `decay-range`, `scale-range`.
    """
    ((name, layer),) = graph.of_kind(Input).items()
    check((*_option_faults(chip, options), *input_faults(name, layer, chip, samples, options.steps)))
    source = source_for(layer, chip, samples)
    if samples is None:
        chosen = _plain(graph, source, chip, options)
    else:
        chosen = _searched(graph, source, chip, options, samples)
    check(fault for name, each in chosen.items() for fault in faults(name, graph, each, chip))
    return _assembled(graph, source, chosen, options)


def _option_faults(chip: Chip, options: Options) -> Iterator[Diagnostic]:
    if not 2 <= options.weight_bits <= chip.weight.bits:
        yield Diagnostic(
            "weight-bits",
            "--weight-bits",
            f"{options.weight_bits} bits were asked for; {chip.name} takes 2 to {chip.weight.bits}",
        )


def _plain(graph: Graph[Layer], source: Source, chip: Chip, options: Options) -> dict[str, Candidate]:
    """Every population on the grid of its largest weight."""
    use, bits = Use(options.steps), options.weight_bits
    problems = (problem(graph, name, source, bits, chip, use) for name in graph.of_kind(Neuron))
    return {each.name: build(each, plain_grid(each)) for each in problems}


def _searched(
    graph: Graph[Layer], source: Source, chip: Chip, options: Options, samples: Samples
) -> dict[str, Candidate]:
    """Every population on the grid that serves the samples best."""
    ((input_name, layer),) = graph.of_kind(Input).items()
    static = samples.x.shape[1:] == layer.shape
    steps = (options.steps if static else samples.x.shape[1]) or 1
    samples = samples.some(_affordable(graph, steps))
    lengths = np.full(len(samples.x), steps) if samples.lengths is None else samples.lengths
    live = np.arange(steps) < lengths[:, None]

    exact = wide(chip)
    exact_source = source_for(layer, exact, samples)
    x = to_integers(exact_source, samples.x)
    references = _plain(graph, exact_source, exact, replace(options, weight_bits=exact.weight.bits))
    trace = run(_assembled(graph, exact_source, references, options), x, steps, lengths, record=tuple(references))
    flat = (len(x), 1 if static else steps, size(layer.shape))
    values: dict[str, Array] = {name: spikes.astype(np.int32) for name, spikes in trace.spikes.items()}
    ideal = Drive({**values, input_name: x.reshape(flat)}, live)

    values[input_name] = to_integers(source, samples.x).reshape(flat)
    chosen: dict[str, Candidate] = {}
    readouts = _readouts(graph)
    for name in graph.order():
        if name not in references:
            continue
        one_scale = name in readouts
        unrounded = problem(graph, name, exact_source, exact.weight.bits, exact, Use(options.steps))
        response = respond(unrounded, references[name], ideal, membranes=one_scale)
        seen = response.peak / references[name].population.scale
        given = problem(graph, name, source, options.weight_bits, chip, Use(options.steps, seen))
        drive = Drive(values, live)
        chosen[name] = search(given, drive, Reference(references[name], response), one_scale=one_scale)
        values = {**values, name: respond(given, chosen[name], drive).spikes}
    return chosen


def _readouts(graph: Graph[Layer]) -> frozenset[str]:
    """The populations whose membranes leave the network, to be compared with each other."""
    outputs = graph.of_kind(layers.Output)
    return frozenset(graph.incoming(name)[0].source for name, op in outputs.items() if op.value == "membrane")


def _affordable(graph: Graph[Layer], steps: int) -> int:
    """How many samples the search can take."""
    neurons = sum(size(op.shape) for op in graph.of_kind(Neuron).values())
    synapses = sum(synapse_count(op.map) for op in graph.of_kind(Linear).values())
    most = min(_NEURON_STEPS // (steps * max(1, neurons)), _SYNAPSE_STEPS // (steps * max(1, synapses)))
    return max(_FEWEST, min(_SAMPLES, most))


def _assembled(graph: Graph[Layer], source: Source, chosen: Mapping[str, Candidate], options: Options) -> Network:
    ops: dict[str, IntOp] = {}
    edges: list[Edge] = []
    for name in graph.of_kind(Input):
        ops[name] = source
    for name, candidate in chosen.items():
        ops[name] = candidate.population
        for last, synapse in zip(graph.incoming(name), candidate.synapses, strict=True):
            (first,) = graph.incoming(last.source)
            ops[last.source] = synapse
            edges += [Edge(first.source, last.source, first.delay + last.delay), Edge(last.source, name)]
    for name, output in graph.of_kind(layers.Output).items():
        ops[name] = Output(output.value, output.when, options.decoder or output.decoder or "count")
        edges.append(Edge(graph.incoming(name)[0].source, name))
    return Graph({name: ops[name] for name in graph.ops}, edges)
