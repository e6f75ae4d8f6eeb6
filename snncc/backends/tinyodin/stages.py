"""Runs a network at each stage between the trained model and the chip, to say what each approximation costs."""

from __future__ import annotations

import numpy as np

from snncc.arrays import Array, Floats, Ints
from snncc.backends.tinyodin.ideal import Ideal
from snncc.backends.tinyodin.rounding import Numbers, Widths, crossbar
from snncc.events.cascade import MOST_EVENTS, cascades, too_many_events
from snncc.events.ops import EventSource
from snncc.events.reference import activity


def by_steps(given: Ideal, numbers: Numbers, x: Array, lengths: Ints) -> tuple[Ints, Floats]:
    """Step by step, as trained: all input of a step is added before thresholds are tested, and v decays by a factor.

    `x` (samples, steps, channels) without the channels that carry biases. Gives the spikes and, for each neuron, the
    mean |v| after the step, in units of its quantum. Weights are integers, so every sum is exact, in any order.
    """
    samples, steps = x.shape[:2]
    every = np.ones((samples, steps, given.channels))
    every[:, :, : x.shape[2]] = x
    weights = numbers.weights.astype(np.float64)
    v = np.tile(numbers.initial.astype(np.float64), (samples, 1))
    spikes = np.zeros((samples, steps, given.neurons), np.int64)
    total = np.zeros(given.neurons)
    for step in range(steps):
        live = (step < lengths)[:, None]
        v = v * given.decay + every[:, step] @ weights[given.neurons :]
        for part in given.parts.values():
            before = slice(0, part.start)
            v[:, part] += spikes[:, step, before].astype(np.float64) @ weights[before, part]
            spikes[:, step, part] = (v[:, part] >= numbers.threshold[part]) & live
        v = np.where(spikes[:, step] > 0, 0, v)
        total += (np.abs(v) * live).sum(axis=0)
    return spikes, total / int(lengths.sum())


def by_events(given: Ideal, numbers: Numbers, order: Ints, x: Array, lengths: Ints, limits: Widths) -> Ints:
    """Event by event, as on the chip, but with the trained decay: the spikes (samples, steps, neurons)."""
    from snncc.events.kernel import run_sample

    matrix = crossbar(given, numbers, limits)
    if (given.decay == 1).all():
        source = EventSource((x.shape[2],), always=given.always, order=order)
        return activity(matrix, source, x, lengths).spikes
    every = np.ones((*x.shape[:2], given.channels), np.int64)
    every[:, :, : x.shape[2]] = x
    spikes = np.zeros((*x.shape[:2], given.neurons), np.int64)
    queue, log = np.zeros(min(cascades(matrix).most, MOST_EVENTS), np.int64), np.zeros((0, 2), np.int64)
    kept, nothing = np.zeros((1, given.neurons)), np.zeros(given.neurons)
    for sample, length in enumerate(lengths.tolist()):
        v = matrix.initial.astype(np.float64)
        for step in range(length):
            now = slice(step, step + 1)
            fullest, channel = run_sample(
                *(matrix.weights, matrix.threshold, nothing, matrix.lowest, matrix.highest, order),
                *(every[sample, now], v, spikes[sample, now], kept, queue, log),
            )
            if fullest < 0:
                raise too_many_events(channel)
            v *= given.decay
    return spikes
