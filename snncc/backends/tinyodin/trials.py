"""Tries many numbers for each neuron of a population at once, on the events that reach it; in compiled code."""

from __future__ import annotations

from snncc.arrays import Array
from snncc.jit import compiled


@compiled
def errors_of(
    rows: Array,
    steps: Array,
    length: int,
    weights: Array,
    threshold: Array,
    leak: Array,
    initial: Array,
    lowest: int,
    highest: int,
    wanted: Array,
    error: Array,
) -> None:
    """Add to `error` (trials,) how far each trial's spikes in one sample are from those wanted.

    The events are of `rows` (events,) in `steps` (events,), ascending; `weights` (rows, trials) int16. Trial t is of
    neuron t modulo the number of neurons; `wanted` (steps, neurons) are the spikes up to each step. The error is the
    difference of the two counts, added up over the steps.
    """
    trials, neurons = len(threshold), wanted.shape[1]
    v, count = initial.copy(), initial * 0
    event = 0
    for step in range(length):
        while event < len(rows) and steps[event] == step:
            for t in range(trials):
                u = min(max(v[t] + weights[rows[event], t], lowest), highest)
                fires = u >= threshold[t]
                count[t] += fires
                v[t] = 0 if fires else u
            event += 1
        for t in range(trials):
            v[t] = max(v[t] - leak[t], 0) if v[t] >= 0 else min(v[t] + leak[t], 0)
            error[t] += abs(count[t] - wanted[step, t % neurons])
