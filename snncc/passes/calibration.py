"""Runs one population at a time on calibration inputs, and scores candidates against a reference of high precision.

Everything that decides is an exact integer, or elementwise and correctly rounded: the choice is the same on every
machine, with any number of threads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from snncc.arrays import Array, Ints
from snncc.integers import Synapse
from snncc.linear import largest_sum, operator
from snncc.passes.candidates import Candidate, Problem
from snncc.semantics import rest, step

_UNITS = 1 << 12  # parts of the largest reference value that membranes are compared in


@dataclass(frozen=True, eq=False)
class Drive:
    """What populations receive: spikes or input integers by source, (samples, steps, size); `live` (samples, steps).

    An input that is the same at every step has one step only.
    """

    values: Mapping[str, Array]
    live: Array


@dataclass(frozen=True, eq=False)
class Response:
    """What a population answers: `spikes` int32 and `membranes` (if asked for) are (samples, steps, size).

    `total` (size,) is the sum of its accumulators over all live steps, `peak` the largest |v|.
    """

    spikes: Array
    membranes: Ints | None
    total: Ints
    peak: int


def respond(given: Problem, candidate: Candidate, drive: Drive, *, membranes: bool = False) -> Response:
    """Run a candidate; its own spikes come back to it where it is recurrent."""
    population, own = candidate.population, given.name
    samples, steps = drive.live.shape
    acc = _accumulated(given, candidate, drive)
    feedback = [
        (each.delay, _exact(synapse, 1 << 7))
        for each, synapse in zip(given.incoming, candidate.synapses, strict=True)
        if each.source == own
    ]
    spikes = np.zeros((samples, steps, population.size), np.int32)
    kept = np.zeros(spikes.shape, np.int64) if membranes else None
    total, peak, state = np.zeros(population.size, np.int64), 0, rest(population, samples)
    for now in range(steps):
        arriving = acc[:, min(now, acc.shape[1] - 1)]
        for delay, times in feedback:
            if now >= delay:
                arriving = arriving + times(spikes[:, now - delay])
        state, fired, before = step(population, state, arriving.reshape(samples, *population.shape))
        live = drive.live[:, now, None]
        spikes[:, now] = fired.reshape(samples, -1) * live
        total = total + (arriving * live).sum(axis=0)
        peak = max(peak, int(np.abs(before.reshape(samples, -1) * live).max()))
        if kept is not None:
            kept[:, now] = state["v"].reshape(samples, -1) * live
    return Response(spikes, kept, total, peak)


def _accumulated(given: Problem, candidate: Candidate, drive: Drive) -> Ints:
    """The sums of all synapses but recurrent ones: (samples, steps or 1, size)."""
    samples, steps = drive.live.shape
    acc = np.zeros((samples, 1, candidate.population.size), np.int64)
    for each, synapse in zip(given.incoming, candidate.synapses, strict=True):
        if each.source == given.name:
            continue
        x = drive.values[each.source]
        if each.delay:
            x = _late(np.broadcast_to(x, (samples, steps, x.shape[2])), each.delay)
        times = _exact(synapse, int(np.abs(x).max(initial=0)))
        acc = acc + times(x.reshape(-1, x.shape[2])).reshape(samples, -1, candidate.population.size)
    return acc


def _late(x: Array, delay: int) -> Array:
    """The values of `delay` steps before: nothing at first."""
    result = np.zeros_like(x)
    result[:, delay:] = x[:, : max(0, x.shape[1] - delay)]
    return result


def _exact(synapse: Synapse, largest_input: int) -> Callable[[Array], Ints]:
    """A synapse on integers, computed by floating point that is wide enough to be exact."""
    dtype = np.float32 if largest_sum(synapse.map) * largest_input < 1 << 24 else np.float64
    times = operator(synapse.map, dtype)
    return lambda x: times(x.astype(dtype)).astype(np.int64) << synapse.exponent


def count_errors(found: Response, reference: Response) -> Ints:
    """Squared differences of spike counts, summed over samples: (size,)."""
    counts, wanted = (each.spikes.sum(axis=1, dtype=np.int64) for each in (found, reference))
    return np.square(counts - wanted).sum(axis=0)


def membrane_errors(found: Response, scale: float, reference: Response, reference_scale: float) -> Ints:
    """Squared differences of membranes, summed over samples and steps, in parts of the largest: (size,)."""
    assert found.membranes is not None
    assert reference.membranes is not None
    unit = _UNITS / max(1.0, float(np.abs(reference.membranes).max(initial=0)))
    wanted = np.rint(reference.membranes * unit)
    got = np.rint(found.membranes * (unit * reference_scale / scale))
    return np.square(got - wanted).astype(np.int64).sum(axis=(0, 1))
