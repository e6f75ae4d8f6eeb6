"""Runs one population at a time on calibration inputs, and scores candidates against a reference of high precision.

Everything that decides is an exact integer, or elementwise and correctly rounded: the choice is the same on every
machine, with any number of threads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from snncc.arrays import Array, Ints
from snncc.integers import Synapse, value_range
from snncc.layers import size
from snncc.linear import largest_sum, operator
from snncc.passes.candidates import Candidate, Problem
from snncc.passes.grids import Incoming
from snncc.passes.rounding import Frames, chosen_frames, frames
from snncc.semantics import rest, step

_UNITS = 1 << 12  # parts of the largest reference value that membranes are compared in


@dataclass(frozen=True, eq=False)
class Drive:
    """What populations receive: spikes or input integers by source, (samples, steps, size); `live` (samples, steps).

    An input that is the same at every step has one step only.
    """

    values: Mapping[str, Array]
    live: Array

    def at(self, source: str, step: int) -> Array:
        """What a source sent at a step: nothing before the first."""
        x = self.values[source]
        return np.zeros_like(x[:, 0]) if step < 0 else x[:, min(step, x.shape[1] - 1)]

    def with_value(self, source: str, value: Array) -> Drive:
        return replace(self, values={**self.values, source: value})


@dataclass(frozen=True, eq=False)
class Response:
    """What a population answers: `spikes` and `membranes` (if asked for) are (samples, steps, size).

    `total` (size,) is the sum of its accumulators over all live steps, `peak` the largest |v|.
    """

    spikes: Array
    membranes: Ints | None
    total: Ints
    peak: int


def respond(given: Problem, candidate: Candidate, drive: Drive, *, membranes: bool = False) -> Response:
    """Run a candidate; its own spikes come back to it where it is recurrent."""
    population = candidate.population
    samples, steps = drive.live.shape
    spikes = np.zeros((samples, steps, population.size), narrowest(value_range(population)[1]))
    kept = np.zeros(spikes.shape, np.int64) if membranes else None
    arriving = _arriving(given, candidate, drive.with_value(given.name, spikes))
    total, peak, state = np.zeros(population.size, np.int64), 0, rest(population, samples)
    for now in range(steps):
        acc = arriving(now)
        state, fired, before = step(population, state, acc.reshape(samples, *population.shape))
        live = drive.live[:, now, None]
        spikes[:, now] = fired.reshape(samples, -1) * live
        total = total + (acc * live).sum(axis=0)
        peak = max(peak, int(np.abs(before.reshape(samples, -1) * live).max()))
        if kept is not None:
            kept[:, now] = state["v"].reshape(samples, -1) * live
    return Response(spikes, kept, total, peak)


def narrowest(most: int) -> type[np.signedinteger]:
    """The smallest type for 0..most."""
    return next(kind for kind in (np.int8, np.int16, np.int32, np.int64) if most <= np.iinfo(kind).max)


def _arriving(given: Problem, candidate: Candidate, drive: Drive) -> Callable[[int], Ints]:
    """The sums of all synapses, (samples, size), as a function of the step; what never changes is added up once."""
    still = np.zeros((len(drive.live), candidate.population.size), np.int64)
    moving: list[tuple[Incoming, Callable[[Array], Ints]]] = []
    for each, synapse in zip(given.incoming, candidate.synapses, strict=True):
        times = _exact(synapse, max(map(abs, each.sent)))
        if drive.values[each.source].shape[1] == 1 < drive.live.shape[1] and each.delay == 0:
            still = still + times(drive.at(each.source, 0))
        else:
            moving.append((each, times))
    return lambda now: sum((times(drive.at(each.source, now - each.delay)) for each, times in moving), start=still)


def _exact(synapse: Synapse, largest_input: int) -> Callable[[Array], Ints]:
    """A synapse on integers, computed by floating point that is wide enough to be exact."""
    dtype = np.float32 if largest_sum(synapse.map) * largest_input < 1 << 24 else np.float64
    times = operator(synapse.map, dtype)
    return lambda x: times(x.astype(dtype)).astype(np.int64) << synapse.exponent


def frames_of(given: Problem, drive: Drive, own: Response) -> Frames | None:
    """What the maps of a population read in some of its steps; from itself, the spikes of `own`."""
    if not given.incoming:
        return None
    sources = [own.spikes if each.source == given.name else drive.values[each.source] for each in given.incoming]
    still = all(x.shape[1] == 1 and not each.delay for x, each in zip(sources, given.incoming, strict=True))
    live = drive.live[:, :1] if still else drive.live
    samples, steps = chosen_frames([each.map for each in given.incoming], size(given.neuron.shape), live)
    values: list[Array] = []
    for x, each in zip(sources, given.incoming, strict=True):
        at = steps - each.delay
        values.append(np.where(at[:, None] < 0, 0, x[samples, np.clip(at, 0, x.shape[1] - 1)]))
    return frames([each.map for each in given.incoming], values)


def spike_errors(found: Array, wanted: Array) -> Ints:
    """Squared differences of how many spikes there were so far, summed over samples and steps: (size,)."""
    ahead = np.zeros((found.shape[0], found.shape[2]), np.int64)
    errors = np.zeros(found.shape[2], np.int64)
    for now in range(found.shape[1]):
        ahead += found[:, now]
        ahead -= wanted[:, now]
        errors += np.square(ahead).sum(axis=0)
    return errors


def membrane_errors(found: Ints, scale: float, wanted: Ints, wanted_scale: float) -> Ints:
    """Squared differences of membranes, summed over samples and steps, in parts of the largest: (size,)."""
    unit = _UNITS / max(1.0, float(np.abs(wanted).max(initial=0)))
    got = np.rint(found * (unit * wanted_scale / scale))
    return np.square(got - np.rint(wanted * unit)).astype(np.int64).sum(axis=(0, 1))
