"""Chooses the integer form of every population, one after the other in the order of the graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from snncc import layers
from snncc.data import to_integers
from snncc.graph import Graph
from snncc.layers import Input, Layer, Linear, Neuron, size
from snncc.linear import synapse_count
from snncc.passes.assemble import assembled
from snncc.passes.calibration import Drive, respond
from snncc.passes.candidates import Candidate, Problem, Setting, build, plain_grid, problem
from snncc.passes.inputs import Samples, source_for
from snncc.passes.registers import Registers
from snncc.passes.search import Reference, search, wide
from snncc.passes.spikes import fed_back
from snncc.semantics import run

_SAMPLES = 256  # calibration samples at most: more hardly move the choice
_NEURON_STEPS = 3_000_000  # that all of them may take together, for time and memory
_SYNAPSE_STEPS = 2_000_000_000
_FEWEST = 8
_ROUNDS = 16  # in which spikes that come back to a population may raise how many it sends

Chosen = Mapping[str, Candidate]


def plain(setting: Setting, seen: Mapping[str, float] = MappingProxyType({})) -> Chosen:
    """Every population on the grid of its largest weight; `seen` is the largest |membrane| that samples showed."""
    chosen: dict[str, Candidate] = {}
    for name in setting.populations:
        given = problem(setting, name, seen.get(name))
        chosen[name] = _capped(build(given, plain_grid(given)), setting.sent.get(name))
        setting = setting.after(name, chosen[name])
    return chosen


def _capped(candidate: Candidate, most: int | None) -> Candidate:
    """The candidate, held to the number of spikes that was assumed of it where they come back to it."""
    fire = candidate.population.fire
    if most is None or fire is None or fire.max_spikes <= most:
        return candidate
    return replace(candidate, population=replace(candidate.population, fire=replace(fire, max_spikes=most)))


def with_feedback(setting: Setting) -> Setting:
    """The setting with a number of spikes for the populations of which it depends on itself.

    It grows round by round, until no round finds that more can be sent than the one before assumed.
    """
    loops = fed_back(setting.graph)
    sent = dict.fromkeys(loops, 1)
    for _ in range(_ROUNDS if loops else 0):
        trial = replace(setting, sent=sent)
        grown = dict(sent)
        for name in trial.populations:
            given = problem(trial, name)
            candidate = build(given, plain_grid(given))
            trial = trial.after(name, candidate)
            if name in loops:
                grown[name] = max(sent[name], trial.sent[name])
        if grown == sent:
            break
        sent = grown
    return replace(setting, sent=sent)


def searched(setting: Setting, samples: Samples) -> Chosen:
    """Every population on the grid that serves the samples best.

    The plain grids are taken instead if, all in all, they bring the network's outputs nearer to what they should be.
    """
    graph = setting.graph
    ((input_name, layer),) = graph.of_kind(Input).items()
    static = samples.x.shape[1:] == layer.shape
    steps = (setting.steps if static else samples.x.shape[1]) or 1
    samples = samples.some(_affordable(graph, steps))
    lengths = np.full(len(samples.x), steps) if samples.lengths is None else samples.lengths
    live = np.arange(steps) < lengths[:, None]

    exact = wide(setting.chip)
    ideal = replace(setting, chip=exact, bits=exact.weight.bits, own={}, registers=Registers())
    ideal = replace(ideal, source=source_for(layer, exact, samples))
    exact_x, x = (
        to_integers(each.source, samples.x).reshape(len(live), -1, size(layer.shape)) for each in (ideal, setting)
    )
    references = _references(ideal, Drive({input_name: exact_x}, live))
    drive = Drive({**{name: each.response.spikes for name, each in references.items()}, input_name: x}, live)
    found, off = _walked(setting, references, drive, search)
    simple, simply_off = _walked(setting, references, drive, lambda given, *_: build(given, plain_grid(given)))
    return found if off <= simply_off else simple


def _references(setting: Setting, drive: Drive) -> Mapping[str, Reference]:
    """What every population should do, fed by the others as they should be."""
    candidates = plain(setting)
    drive = _with_later_ones(setting, candidates, drive)
    readouts = _read(setting.graph, "membrane")
    references: dict[str, Reference] = {}
    for name in setting.populations:
        response = respond(problem(setting, name), candidates[name], drive, membranes=name in readouts)
        references[name] = Reference(candidates[name], response)
        drive = drive.with_value(name, response.spikes)
    return references


def _with_later_ones(setting: Setting, candidates: Chosen, drive: Drive) -> Drive:
    """The drive with the spikes of populations that feed back to one before them: the whole network runs for these."""
    graph, populations = setting.graph, setting.populations
    later = {
        first.source
        for position, name in enumerate(populations)
        for last in graph.incoming(name)
        for first in graph.incoming(last.source)
        if first.source in populations[position + 1 :]
    }
    if not later:
        return drive
    ((name, source),) = graph.of_kind(Input).items()
    x = drive.values[name].reshape(len(drive.live), -1, *source.shape)
    x = np.broadcast_to(x, (*drive.live.shape, *source.shape))
    trace = run(assembled(graph, setting.source, candidates), x, lengths=drive.live.sum(axis=1), record=later)
    return replace(drive, values={**drive.values, **trace.spikes})


def _walked(
    setting: Setting,
    references: Mapping[str, Reference],
    drive: Drive,
    choose: Callable[[Problem, Drive, Reference], Candidate],
) -> tuple[Chosen, int]:
    """Choose every population, each fed by those before it; and how far the network's outputs then are off."""
    chosen: dict[str, Candidate] = {}
    error, outputs = 0, _read(setting.graph, "spikes", "membrane")
    for name in setting.populations:
        reference = references[name]
        given = problem(setting, name, reference.seen)
        made = choose(given, drive, reference) if given.anchor is None else build(given, plain_grid(given))
        chosen[name] = _capped(made, setting.sent.get(name))
        response = respond(given, chosen[name], drive, membranes=reference.is_readout)
        if name in outputs:
            error += int(reference.errors(chosen[name], response).sum())
        drive = drive.with_value(name, response.spikes)
        setting = setting.after(name, chosen[name])
    return chosen, error


def _read(graph: Graph[Layer], *values: layers.Readout) -> frozenset[str]:
    """The populations of which the outputs read spikes, or membranes."""
    outputs = graph.of_kind(layers.Output)
    return frozenset(graph.incoming(name)[0].source for name, op in outputs.items() if op.value in values)


def _affordable(graph: Graph[Layer], steps: int) -> int:
    """How many samples the search can take."""
    neurons = sum(size(op.shape) for op in graph.of_kind(Neuron).values())
    synapses = sum(synapse_count(op.map) for op in graph.of_kind(Linear).values())
    most = min(_NEURON_STEPS // (steps * max(1, neurons)), _SYNAPSE_STEPS // (steps * max(1, synapses)))
    return max(_FEWEST, min(_SAMPLES, most))
