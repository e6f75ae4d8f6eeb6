"""Builds an integer population, with the maps into it, on a given grid: what quantisation chooses among."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from snncc.analysis.sums import signed_sums
from snncc.arrays import Floats, Ints
from snncc.chip import Chip
from snncc.diagnostics import Diagnostic
from snncc.graph import Edge, Graph
from snncc.integers import Population, Source, Synapse, value_range
from snncc.layers import Input, Layer, Linear, Neuron, size
from snncc.linear import LinearMap, one_sign
from snncc.passes.express import expressed
from snncc.passes.grids import Grid, Incoming, aligned, exact_step, largest, rounded
from snncc.passes.held import held
from snncc.passes.precision import Levels, Width, levels
from snncc.passes.registers import STATE_BITS, Registers
from snncc.passes.rounding import Frames, together
from snncc.passes.spikes import MOST, bounded
from snncc.passes.widths import Use, fitted

_NEARLY = 1 + 2**-10  # a bias that is cut by less is only rounded
_NOTHING = 127  # the greatest weight where there is none


@dataclass(frozen=True, eq=False)
class Setting:
    """What is quantised, and for what: samples have `steps` steps, any number if None.

    Weights have the width `bits`, those of the synapse groups in `own` another.
    Those that are `learnt` span the grid of their population, whatever samples show.
    `sent` is the most spikes a step of those populations of which more is known than what they were trained with.
    States get no more bits than `registers` say. Thresholds of populations in `grown` may come to so many times as
    much as their own.
    """

    graph: Graph[Layer]
    source: Source
    chip: Chip
    bits: Width
    steps: int | None = None
    sent: Mapping[str, int] = field(default_factory=dict[str, int])
    own: Mapping[str, Width] = field(default_factory=dict[str, Width])
    learnt: frozenset[str] = frozenset()
    grown: Mapping[str, float] = field(default_factory=dict[str, float])
    registers: Registers = field(default_factory=Registers)

    @property
    def populations(self) -> tuple[str, ...]:
        """In the order in which they are chosen: after those that they read without a delay."""
        return tuple(name for name in self.graph.order() if isinstance(self.graph[name], Neuron))

    def after(self, name: str, candidate: Candidate) -> Setting:
        """The setting for the populations that follow one."""
        return replace(self, sent={**self.sent, name: value_range(candidate.population)[1]})


@dataclass(frozen=True, eq=False)
class Problem:
    """A population that is to be quantised, and for what."""

    name: str
    neuron: Neuron
    incoming: tuple[Incoming, ...]
    chip: Chip
    use: Use
    anchor: int | None = None  # the map that learns, if one does

    @property
    def narrowest(self) -> int:
        """The greatest weight of the maps that are rounded most coarsely."""
        return min((each.levels.high for each in self.incoming), default=_NOTHING)


@dataclass(frozen=True, eq=False)
class Candidate:
    """An integer population with a synapse per incoming map; `quantum` is what 1 in its accumulators stands for."""

    population: Population
    synapses: tuple[Synapse, ...]
    quantum: Floats


def problem(setting: Setting, name: str, seen: float | None = None) -> Problem:
    """A population of a legal graph, with what feeds it; `seen` is the largest |membrane| that samples showed."""
    graph = setting.graph
    neuron = graph[name]
    assert isinstance(neuron, Neuron)
    incoming: list[Incoming] = []
    for last in graph.incoming(name):
        linear = graph[last.source]
        assert isinstance(linear, Linear)
        (first,) = graph.incoming(last.source)
        unit = first.gain * last.gain
        if isinstance(graph[first.source], Input):
            unit, sent = unit * setting.source.scale, value_range(setting.source)
        else:
            sent = (0, _sent(setting, first.source))
        width = setting.own.get(last.source, setting.bits)
        integers = levels(width)
        modes = setting.chip.weight.sign_modes and width != "ternary"  # whose values are the same with either sign
        if modes and one_sign(linear.map.weight) and _beside_learnt(setting, last):
            integers = Levels(2 * integers.low + 1, 2 * integers.high + 1)
        incoming.append(Incoming(last.source, first.source, linear.map, unit, first.delay + last.delay, sent, integers))
    neuron = replace(neuron, max_spikes=min(neuron.max_spikes, MOST))
    anchor = next((at for at, each in enumerate(incoming) if each.name in setting.learnt), None)
    use = Use(setting.steps, seen, setting.grown.get(name, 1.0))
    return Problem(name, neuron, tuple(incoming), setting.registers.chip_for(name, setting.chip), use, anchor)


def _beside_learnt(setting: Setting, edge: Edge) -> bool:
    """Whether a map shares its grid with one that learns, whose rule says how fine it is."""
    return edge.source not in setting.learnt and any(
        each.source in setting.learnt for each in setting.graph.incoming(edge.target)
    )


def _sent(setting: Setting, name: str) -> int:
    """The most spikes that a population sends in one step."""
    neuron = setting.graph[name]
    assert isinstance(neuron, Neuron)
    return 0 if neuron.threshold is None else min(neuron.max_spikes, setting.sent.get(name, MOST))


def integer_maps(given: Problem, grid: Grid, frames: Frames | None = None) -> tuple[LinearMap, ...]:
    """The maps into the population with integer weights; where frames say what they read, rounded together."""
    shape = given.neuron.shape
    maps = tuple(
        rounded(each, grid, exponent, shape) for each, exponent in zip(given.incoming, grid.exponents, strict=True)
    )
    return together(given.incoming, maps, frames, grid, shape) if frames else maps


def build(
    given: Problem, grid: Grid, bias: Floats | None = None, maps: tuple[LinearMap, ...] | None = None
) -> Candidate:
    """The candidate on a grid, with another bias if one is given, and with maps that were rounded already.

    It is in the chip's own words, so that what is tried on samples is what the chip will compute.
    """
    neuron = given.neuron if bias is None else replace(given.neuron, bias=bias)
    maps = integer_maps(given, grid) if maps is None else maps
    low, high = _sums(given, maps, grid)
    population, extra = fitted(neuron, grid, (low, high), given.chip, given.use)
    population = expressed(bounded(population, low << extra, high << extra), given.chip)
    synapses = (Synapse(linear, exponent + extra) for linear, exponent in zip(maps, grid.exponents, strict=True))
    return Candidate(population, tuple(synapses), np.ldexp(grid.quantum, -extra))


def plain_grid(given: Problem) -> Grid:
    """The finest grid that the chip holds on which no weight is clipped; weights that lie on a grid stay on it."""
    exact = exact_grid(given)
    steps = tuple(largest(each) / each.levels.high for each in given.incoming)
    if exact is not None:
        return exact
    if not any(steps):
        return Grid(np.asarray(1.0 / given.narrowest), (given.chip.weight.exponent[0],) * len(steps))
    anchor = int(np.argmax(steps)) if given.anchor is None else given.anchor
    grid = aligned(given.incoming, anchor, 1.0, given.chip.weight.exponent)
    return held(given.neuron, grid, given.chip, given.narrowest)


def exact_grid(given: Problem) -> Grid | None:
    """The grid that the weights lie on, if they were trained on one that the bits and the chip hold.

    Weights that learn leave every grid that they begin on.
    """
    if len(given.incoming) != 1 or given.anchor is not None:
        return None
    (only,) = given.incoming
    step = exact_step(only.map.weight, only.levels.high)
    low = given.chip.weight.exponent[0]
    if step is None:
        return None
    grid = Grid(np.asarray(np.ldexp(step * abs(only.unit), -low)), (low,))
    return grid if held(given.neuron, grid, given.chip, given.narrowest).quantum == grid.quantum else None


def _sums(given: Problem, maps: tuple[LinearMap, ...], grid: Grid) -> tuple[Ints, Ints]:
    """The least and the greatest sum of each accumulator: (size,)."""
    low = high = np.zeros(size(given.neuron.shape), np.int64)
    for each, linear, exponent in zip(given.incoming, maps, grid.exponents, strict=True):
        least, most = each.sent
        negative, positive = signed_sums(linear)
        low = low + ((negative * most + positive * least) << exponent)
        high = high + ((positive * most + negative * least) << exponent)
    return low, high


def faults(name: str, graph: Graph[Layer], candidate: Candidate, setting: Setting) -> Iterator[Diagnostic]:
    """Why a population cannot be represented."""
    chip = setting.registers.chip_for(name, setting.chip)
    neuron = graph[name]
    assert isinstance(neuron, Neuron)
    for decay in (neuron.decay, *(each.decay for each in (neuron.current, neuron.adapt) if each)):
        if not ((decay >= 0) & (decay <= 1)).all():
            found = f"{float(decay.min()):g}..{float(decay.max()):g}"
            yield Diagnostic("decay-range", name, f"a step keeps {found} of a state; integers can keep 0..1 of it")
    needed = _threshold_bits(candidate)
    if chip.membrane.bits < needed <= setting.chip.membrane.bits:
        message = f"its threshold needs a state of {needed} bits, also with weights as coarse as they can be"
        message = f"{message}; {STATE_BITS} gives it {chip.membrane.bits}"
        yield Diagnostic("state-bits", name, message, f"give it {needed} bits: {STATE_BITS} {name}={needed}")
        return
    for message in _out_of_reach(neuron, candidate, chip):
        hint = "weights this small can hardly make it fire: check the model, or prune the population"
        yield Diagnostic("scale-range", name, message, hint)


def _threshold_bits(candidate: Candidate) -> int:
    """The bits of a register that holds the thresholds."""
    fire = candidate.population.fire
    return 0 if fire is None else int(np.abs(fire.threshold).max(initial=0)).bit_length() + 1


def _out_of_reach(neuron: Neuron, candidate: Candidate, chip: Chip) -> Iterator[str]:
    """Parameters so far above the weights that the chip cannot hold both. A bias is cut off only where it must be."""
    needed = _threshold_bits(candidate)
    above = "so far above its weights that it"
    if needed > chip.membrane.bits:
        yield f"its threshold is {above} needs a register of {needed} bits; {chip.name} has {chip.membrane.bits}"
    if chip.parameters is None:
        return
    limit = chip.parameters.largest_bias
    bias = float(np.abs(np.ldexp(neuron.bias / candidate.quantum, candidate.population.input_shift)).max(initial=0))
    least = all(np.abs(each.map.weight).max(initial=0) <= 1 for each in candidate.synapses)
    if least and bias > limit * _NEARLY:
        yield f"its bias is {above} is {bias:,.0f} at least; {chip.name} holds {limit:,}"
