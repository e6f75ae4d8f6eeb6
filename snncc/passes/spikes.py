"""Bounds how many spikes a population can emit in one step, where it was trained to emit any number.

What a population sends decides how wide the sums of those that read it are, so the least bound that can be proved is
taken: it changes no spike.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from snncc.analysis.intervals import enclose_adaptation, enclose_current, enclose_membrane, spread
from snncc.arrays import Ints
from snncc.graph import Graph
from snncc.integers import Fire, Population
from snncc.layers import Layer, Neuron

MOST = 1 << 16  # spikes of a neuron in one step: more would take a threshold of hardly any units
_ROUNDS = 8


def bounded(population: Population, low: Ints, high: Ints) -> Population:
    """The same population for accumulators within low..high, with `max_spikes` no more than it can reach.

    Fewer spikes may prove a narrower membrane, and that fewer spikes still.
    """
    for _ in range(_ROUNDS):
        fire = population.fire
        if fire is None or fire.max_spikes == 1:
            break
        reached = _reached(population, fire, low, high)
        if reached >= fire.max_spikes:
            break
        population = replace(population, fire=replace(fire, max_spikes=reached))
    return population


def _reached(population: Population, fire: Fire, low: Ints, high: Ints) -> int:
    """The most spikes of a step that the bounds of the membrane allow."""
    inputs = low << population.input_shift, high << population.input_shift
    if population.current:
        current = enclose_current(population, low, high)
        inputs = current.low, current.high
    adaptation = enclose_adaptation(population) if population.adapt else None
    membrane = enclose_membrane(population, *inputs, adaptation)
    threshold = spread(fire.threshold, population)
    if adaptation is not None:
        threshold = threshold + np.minimum(adaptation.low, 0)
    threshold = np.maximum(threshold, 1)
    count = membrane.high // threshold if fire.inclusive else -(-membrane.high // threshold) - 1
    return max(1, int(count.max(initial=0)))


def fed_back(graph: Graph[Layer]) -> frozenset[str]:
    """The populations of several spikes a step that are read by themselves, or by one before them in the order."""
    position = {name: index for index, name in enumerate(graph.order())}
    return frozenset(
        name
        for name, neuron in graph.of_kind(Neuron).items()
        if neuron.max_spikes > 1
        for first in graph.outgoing(name)
        for last in graph.outgoing(first.target)
        if position[last.target] <= position[name]
    )
