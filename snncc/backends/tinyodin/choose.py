"""Chooses the numbers of an event-driven network on samples: those with which the chip's own spikes come closest.

The yardstick is the network as trained, step by step. Every trial runs as the chip runs, event by event: so a higher
threshold can make up for neurons that fire before an inhibiting event of the same step arrives. Populations are
chosen in order, each on the events that those before it really send.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from snncc.arrays import Array, Floats, Ints
from snncc.backends.tinyodin.ideal import Ideal
from snncc.backends.tinyodin.rounding import Numbers, Widths, crossbar, fine, orders, plain, quanta, rounded
from snncc.backends.tinyodin.stages import by_steps
from snncc.events.ops import EventSource
from snncc.events.reference import Activity, activity

_FACTORS = (1.0, 1.1, 0.9, 1.2, 0.8, 1.35, 1.5, 1.75, 2.0)  # on thresholds, the plain one first
_PER_NEURON = ("threshold", "leak", "initial", "quantum")
_LEAKS = (1.0, 0.75, 1.25, 0.5, 1.5, 2.0)  # on the leak that takes as much as the decay does on average


@dataclass(frozen=True, eq=False)
class Calibration:
    """Spikes `x` (samples, steps, channels), each sample's own steps, and the spikes wanted, (samples, steps, neurons).

    `lost` (neurons,) is what a step's decay takes from a membrane on average, in the model's own measure.
    """

    x: Array
    lengths: Ints
    wanted: Ints
    lost: Floats


def calibration(given: Ideal, x: Array, lengths: Ints) -> Calibration:
    """What the network as trained makes of samples; on integers, so that it is the same on every machine."""
    numbers = fine(given)
    spikes, size = by_steps(given, numbers, x, lengths)
    return Calibration(x, lengths, spikes, size * numbers.quantum * (1 - given.decay))


def leaking(numbers: Numbers, lost: Floats, limits: Widths) -> Numbers:
    """The numbers, with a leak of what the decay takes on average; at least 1 where there is a decay."""
    leak = np.clip(np.rint(lost / numbers.quantum), lost > 0, limits.leak)
    return replace(numbers, leak=leak.astype(np.int64))


@dataclass(frozen=True, eq=False)
class Choice:
    """Numbers, and the order in which the channels of a step send."""

    numbers: Numbers
    order: Ints


def best(given: Ideal, limits: Widths, seen: Calibration, classes: Callable[[Ints], Ints]) -> Choice:
    """Of several orders, each with the plain numbers and with those chosen for it, the one nearest to the trained net.

    Nearest is: most samples in the same class, by `classes` of spikes (samples, steps, neurons); among equals the one
    whose spikes differ least.
    """
    simple = leaking(plain(given, limits), seen.lost, limits)
    choices = [Choice(simple, order) for order in orders(given)]
    choices += [Choice(chosen(given, order, limits, seen), order) for order in orders(given)]
    wanted = classes(seen.wanted)

    def distance(choice: Choice) -> tuple[int, int]:
        spikes = respond(given, choice, limits, seen.x, seen.lengths).spikes
        error = int(np.abs(np.cumsum(spikes - seen.wanted, axis=1)).sum())
        return int(np.count_nonzero(classes(spikes) != wanted)), error

    return min(choices, key=distance)


def respond(given: Ideal, choice: Choice, limits: Widths, x: Array, lengths: Ints) -> Activity:
    """What the chip does with spikes `x` (samples, steps, channels without those for biases)."""
    source = EventSource((x.shape[2],), always=given.always, order=choice.order)
    return activity(crossbar(given, choice.numbers, limits), source, x, lengths)


def chosen(given: Ideal, order: Ints, limits: Widths, seen: Calibration) -> Numbers:
    """Every neuron's grid, threshold and leak."""
    found = leaking(plain(given, limits), seen.lost, limits)
    source = EventSource((seen.x.shape[2],), always=given.always, order=order)
    for part in given.parts.values():
        matrix = crossbar(given, found, limits)
        log = activity(matrix, source, seen.x, seen.lengths, logged=True).log
        found = _with_part(found, part, _best(given, part, limits, seen, log))
    return found


def _best(given: Ideal, part: slice, limits: Widths, seen: Calibration, log: tuple[Ints, ...]) -> Numbers:
    """The best trial of each neuron of a population; of two that are as good, the one nearer to the plain numbers."""
    from snncc.backends.tinyodin.trials import errors_of

    trials = list(_trials(given, part, limits, seen))

    def side(name: str) -> Ints:
        return np.concatenate([getattr(each, name) for each in trials], axis=-1)

    weights = np.concatenate([each.weights for each in trials], axis=1).astype(np.int16)
    reaching = np.flatnonzero(weights.any(axis=1))
    wanted, error = np.cumsum(seen.wanted[:, :, part], axis=1), np.zeros(weights.shape[1], np.int64)
    for sample, events in enumerate(log):
        steps, rows = events[np.isin(events[:, 1], reaching)].T
        errors_of(
            *(rows, steps, int(seen.lengths[sample]), weights, side("threshold"), side("leak"), side("initial")),
            *(limits.register.lo, limits.register.hi, wanted[sample], error),
        )
    best = error.reshape(len(trials), -1).argmin(axis=0)
    own = np.arange(len(best))
    return Numbers(
        np.stack([each.weights for each in trials])[best, :, own].T,
        *(np.stack([getattr(each, name) for each in trials])[best, own] for name in _PER_NEURON),
    )


def _trials(given: Ideal, part: slice, limits: Widths, seen: Calibration) -> Iterator[Numbers]:
    """Numbers for the neurons of a population."""
    leaks = _LEAKS if seen.lost[part].any() else (1.0,)
    for quantum in quanta(given, limits):
        base = _part(rounded(given, quantum, limits), part)
        for factor in _FACTORS:
            threshold = np.clip(np.rint(base.threshold * factor), base.initial + 1, limits.threshold)
            threshold = np.maximum(threshold, 1).astype(np.int64)
            for leak in leaks:
                yield leaking(replace(base, threshold=threshold), seen.lost[part] * leak, limits)


def _part(numbers: Numbers, part: slice) -> Numbers:
    return Numbers(numbers.weights[:, part], *(getattr(numbers, name)[part] for name in _PER_NEURON))


def _with_part(numbers: Numbers, part: slice, own: Numbers) -> Numbers:
    arrays = [getattr(numbers, name).copy() for name in ("weights", *_PER_NEURON)]
    for name, array in zip(("weights", *_PER_NEURON), arrays, strict=True):
        array[..., part] = getattr(own, name)
    return Numbers(*arrays)
