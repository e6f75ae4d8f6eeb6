"""Draws the spikes that static values become: each spikes in each step with its own probability."""

from __future__ import annotations

from typing import Any

import numpy as np

from snncc import jit
from snncc.arrays import Array, Ints

_SPIKES = 0x5350494B  # keeps the draws that make spikes apart from those by which weights are rounded


def encoded(x: Array, first: Ints, steps: int, rate: float, seed: int) -> Array:
    """Spikes (samples, steps, size) of static values (samples, size) in 0..1; `first` numbers the samples.

    A value spikes in a step with its own probability times the rate, by draws that depend on nothing but the seed,
    the sample's number, the step and the channel.
    """
    x = x.astype(np.result_type(x, np.float32))  # float16 does not reach 1 << 24
    limit = np.rint(x * rate * (1 << 24)).astype(np.int64)
    spikes = np.empty((len(x), steps, x.shape[1]), np.uint8)
    _draw(limit, first * steps, seed, spikes)
    return spikes


@jit.inlined
def _mixed(x: Any) -> Any:
    """`plasticity.mixed` of one number."""
    x = np.uint32((x ^ (x >> np.uint32(16))) * np.uint32(0x7FEB352D))
    x = np.uint32((x ^ (x >> np.uint32(15))) * np.uint32(0x846CA68B))
    return np.uint32(x ^ (x >> np.uint32(16)))


@jit.compiled
def _draw(limit: Any, first: Any, seed: Any, spikes: Any) -> None:
    """Fills `spikes` (samples, steps, size): 1 where a draw is below `limit` (samples, size).

    Draws are `plasticity.draws` of 24 bits and purpose 0, of a seed that no rule has.
    `first` is the count of each sample's first step.
    """
    samples, steps, size = spikes.shape
    for row in range(samples):
        for now in range(steps):
            key = _mixed(np.uint32(seed) ^ np.uint32(_SPIKES) ^ _mixed(np.uint32(2 * (first[row] + now))))
            for at in range(size):
                draw = _mixed(np.uint32(np.uint32(at) * np.uint32(0x9E3779B9) + key)) >> np.uint32(8)
                spikes[row, now, at] = draw < limit[row, at]
