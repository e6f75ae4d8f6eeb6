"""Builds an integer population, with the maps into it, on a given grid: what quantisation chooses among."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from snncc.analysis.sums import signed_sums
from snncc.arrays import Floats, Ints
from snncc.chip import Chip
from snncc.diagnostics import Diagnostic
from snncc.graph import Graph
from snncc.integers import Population, Source, Synapse
from snncc.layers import Input, Layer, Linear, Neuron
from snncc.linear import LinearMap
from snncc.passes.grids import Grid, Incoming, aligned, exact_step, largest, rounded, top
from snncc.passes.widths import Use, fitted


@dataclass(frozen=True, eq=False)
class Problem:
    """A population that is to be quantised, and for what."""

    name: str
    neuron: Neuron
    incoming: tuple[Incoming, ...]
    bits: int
    chip: Chip
    use: Use


@dataclass(frozen=True, eq=False)
class Candidate:
    """An integer population with a synapse per incoming map; `quantum` is what 1 in its accumulators stands for."""

    population: Population
    synapses: tuple[Synapse, ...]
    quantum: Floats


def problem(graph: Graph[Layer], name: str, source: Source, bits: int, chip: Chip, use: Use) -> Problem:
    """A population of a legal graph, with what feeds it."""
    neuron = graph[name]
    assert isinstance(neuron, Neuron)
    incoming: list[Incoming] = []
    for last in graph.incoming(name):
        linear = graph[last.source]
        assert isinstance(linear, Linear)
        (first,) = graph.incoming(last.source)
        sender = graph[first.source]
        unit, sent = first.gain * last.gain, (0, 0)
        if isinstance(sender, Input):
            unit, sent = unit * source.scale, (source.lowest, source.highest)
        elif isinstance(sender, Neuron) and sender.threshold is not None:
            sent = (0, sender.max_spikes)
        incoming.append(Incoming(last.source, first.source, linear.map, unit, first.delay + last.delay, sent))
    return Problem(name, neuron, tuple(incoming), bits, chip, use)


def build(given: Problem, grid: Grid, bias: Floats | None = None) -> Candidate:
    """The candidate on a grid, with another bias if one is given."""
    neuron = given.neuron if bias is None else replace(given.neuron, bias=bias)
    maps = tuple(
        rounded(each, grid, exponent, neuron.shape, given.bits)
        for each, exponent in zip(given.incoming, grid.exponents, strict=True)
    )
    population, extra = fitted(neuron, grid, _sums(given, maps, grid), given.chip, given.use)
    synapses = (Synapse(linear, exponent + extra) for linear, exponent in zip(maps, grid.exponents, strict=True))
    return Candidate(population, tuple(synapses), np.ldexp(grid.quantum, -extra))


def plain_grid(given: Problem) -> Grid:
    """The grid on which no weight is clipped, and none is rounded if the weights lie on a grid already."""
    exact = exact_grid(given)
    largests = tuple(largest(each) for each in given.incoming)
    if exact is not None:
        return exact
    if not any(largests):
        return Grid(np.asarray(1.0 / top(given.bits)), (0,) * len(largests))
    return aligned(largests, int(np.argmax(largests)), 1.0, given.bits, given.chip.weight.exponent[1])


def exact_grid(given: Problem) -> Grid | None:
    """The grid that the weights lie on, if they were trained on one that the bits hold."""
    if len(given.incoming) != 1:
        return None
    (only,) = given.incoming
    step = exact_step(only.map.weight, top(given.bits))
    return None if step is None else Grid(np.asarray(step * abs(only.unit)), (0,))


def _sums(given: Problem, maps: tuple[LinearMap, ...], grid: Grid) -> tuple[Ints, Ints]:
    """The least and the greatest sum of each accumulator: (size,)."""
    low = high = np.zeros(maps[0].out_size if maps else 0, np.int64)
    for each, linear, exponent in zip(given.incoming, maps, grid.exponents, strict=True):
        least, most = each.sent
        negative, positive = signed_sums(linear)
        low = low + ((negative * most + positive * least) << exponent)
        high = high + ((positive * most + negative * least) << exponent)
    return low, high


def faults(name: str, graph: Graph[Layer], candidate: Candidate, chip: Chip) -> Iterator[Diagnostic]:
    """Why a population cannot be represented."""
    neuron = graph[name]
    assert isinstance(neuron, Neuron)
    for decay in (neuron.decay, *(each.decay for each in (neuron.current, neuron.adapt) if each)):
        if not ((decay >= 0) & (decay <= 1)).all():
            found = f"{float(decay.min()):g}..{float(decay.max()):g}"
            yield Diagnostic("decay-range", name, f"a step keeps {found} of a state; integers can keep 0..1 of it")
    fire = candidate.population.fire
    needed = 0 if fire is None else int(np.abs(fire.threshold).max(initial=0)).bit_length() + 1
    if needed > chip.membrane.bits:
        yield Diagnostic(
            "scale-range",
            name,
            f"its threshold is so far above its weights that it needs a register of {needed} bits; "
            f"{chip.name} has {chip.membrane.bits}",
            "weights this small can hardly make it fire: check the model, or prune the population",
        )
