"""Quantises a legal network: from floats to the integer network, with scales chosen on samples where there are some."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from snncc import layers
from snncc.analysis.sums import signed_sums
from snncc.arrays import Array, Ints
from snncc.chip import Chip
from snncc.diagnostics import Diagnostic, check
from snncc.graph import Edge, Graph
from snncc.integers import IntOp, Network, Output, Source, Synapse
from snncc.layers import Decoder, Input, Layer, Linear, Neuron
from snncc.linear import LinearMap
from snncc.passes.grids import Grid, Incoming, aligned, exact_step, largest, rounded
from snncc.passes.widths import Use, fitted


@dataclass(frozen=True)
class Options:
    """How to quantise: the width of weights; the decoder and the number of steps, None where the model decides."""

    weight_bits: int = 8
    decoder: Decoder | None = None
    steps: int | None = None


@dataclass(frozen=True, eq=False)
class Samples:
    """Calibration inputs in floats: `x` (samples, steps, *shape), or (samples, *shape) for a static input.

    `lengths` (samples,) is each sample's own number of steps.
    """

    x: Array
    lengths: Array | None = None


def quantise(graph: Graph[Layer], chip: Chip, options: Options, samples: Samples | None = None) -> Network:
    """The integer network of a legal graph, under the same names.

    Without samples, a direct-coded input is taken to lie in -1..1.
    """
    check(_faults(chip, options))
    ops: dict[str, IntOp] = {}
    edges: list[Edge] = []
    ((input_name, layer),) = graph.of_kind(Input).items()
    source = source_for(layer, chip, samples)
    ops[input_name] = source
    for name, neuron in graph.of_kind(Neuron).items():
        incoming = incoming_maps(graph, name, source)
        grid = _plain_grid(incoming, options.weight_bits, chip)
        maps = tuple(
            rounded(each, grid, exponent, neuron.shape, options.weight_bits)
            for each, exponent in zip(incoming, grid.exponents, strict=True)
        )
        population, extra = fitted(neuron, grid, _sums(graph, incoming, maps, grid, source), chip, Use(options.steps))
        ops[name] = population
        for each, linear, exponent in zip(incoming, maps, grid.exponents, strict=True):
            ops[each.name] = Synapse(linear, exponent + extra)
            edges += [Edge(each.source, each.name, each.delay), Edge(each.name, name)]
    for name, output in graph.of_kind(layers.Output).items():
        ops[name] = Output(output.value, output.when, options.decoder or output.decoder or "count")
        edges.append(Edge(graph.incoming(name)[0].source, name))
    return Graph({name: ops[name] for name in graph.ops}, edges)


def source_for(layer: Input, chip: Chip, samples: Samples | None) -> Source:
    """The integer input: spikes as they are; values on a grid exactly, others up to the largest of the samples."""
    if layer.events:
        return Source(layer.shape)
    if samples is None:
        most = (1 << (chip.input.bits - chip.input.signed)) - 1
        return Source(layer.shape, chip.input.bits, chip.input.signed, 1.0 / most)
    signed = bool((samples.x < 0).any())
    most = (1 << (chip.input.bits - signed)) - 1
    step = exact_step(samples.x, most)
    largest_value = float(np.abs(samples.x).max(initial=0.0))
    if step is None:
        return Source(layer.shape, chip.input.bits, signed, (largest_value or 1.0) / most)
    bits = round(largest_value / step).bit_length() + signed
    return Source(layer.shape, bits, signed, step)


def incoming_maps(graph: Graph[Layer], name: str, source: Source) -> tuple[Incoming, ...]:
    """The linear maps that feed a population, with what precedes them."""
    found: list[Incoming] = []
    for last in graph.incoming(name):
        linear = graph[last.source]
        assert isinstance(linear, Linear)
        (first,) = graph.incoming(last.source)
        unit = source.scale if isinstance(graph[first.source], Input) else 1.0
        gain = first.gain * last.gain
        found.append(Incoming(last.source, first.source, linear.map, unit * gain, first.delay + last.delay))
    return tuple(found)


def _plain_grid(incoming: tuple[Incoming, ...], bits: int, chip: Chip) -> Grid:
    """The grid on which no weight is clipped."""
    largests = tuple(largest(each) for each in incoming)
    anchor = int(np.argmax(largests))
    return aligned(largests, anchor, 1.0, bits, chip.weight.exponent[1])


def _sums(
    graph: Graph[Layer], incoming: tuple[Incoming, ...], maps: tuple[LinearMap, ...], grid: Grid, source: Source
) -> tuple[Ints, Ints]:
    """What each accumulator can hold: (size,) least and greatest."""
    low = high = np.zeros(maps[0].out_size, np.int64)
    for each, linear, exponent in zip(incoming, maps, grid.exponents, strict=True):
        sender = graph[each.source]
        least, most = (source.lowest, source.highest) if isinstance(sender, Input) else (0, _most_spikes(sender))
        negative, positive = signed_sums(linear)
        low = low + ((negative * most + positive * least) << exponent)
        high = high + ((positive * most + negative * least) << exponent)
    return low, high


def _most_spikes(sender: Layer) -> int:
    assert isinstance(sender, Neuron)
    return 0 if sender.threshold is None else sender.max_spikes


def _faults(chip: Chip, options: Options) -> Iterator[Diagnostic]:
    if not 2 <= options.weight_bits <= chip.weight.bits:
        yield Diagnostic(
            "weight-bits",
            "--weight-bits",
            f"{options.weight_bits} bits were asked for; {chip.name} has weights of 2 to {chip.weight.bits} bits",
        )
