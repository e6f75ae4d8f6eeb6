"""Bounds what one event can start: how often each neuron may fire before the network rests again, and what may wait.

A neuron whose membrane is below its threshold fires at most once on its way up, and from 0 once more for each
`threshold` of positive weight that follows; and never at more events than have a positive weight for it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from snncc.arrays import Ints, frozen
from snncc.diagnostics import CompileError, fault
from snncc.events.ops import Crossbar

MOST_EVENTS = 1 << 16  # that one event of the input may start, itself included: what starts more is taken for endless


@dataclass(frozen=True, eq=False)
class Cascades:
    """For any membranes below their thresholds: the events that one event of each channel starts, itself included.

    `events` (channels,) bounds how many there are until the network rests. So many words wait at most at a time, as
    every word is pushed once. `spikes` (channels, neurons) bounds how often each neuron fires. Bounds grow with every
    population by a factor, so above `MOST_EVENTS` they are not told apart: `events` is then `MOST_EVENTS` + 1, and
    the row of `spikes` bounds nothing.
    """

    events: Ints
    spikes: Ints

    @property
    def most(self) -> int:
        """Of all channels."""
        return int(self.events.max(initial=1))


def cascades(network: Crossbar) -> Cascades:
    """The bounds of a network whose neurons only read neurons of lower numbers, and channels."""
    neurons = network.neurons
    positive = np.maximum(network.weights, 0)
    spikes = np.zeros((len(positive) - neurons, neurons), np.int64)
    for part in network.parts.values():
        # The events that reach this population: one of the channel, and the spikes of the populations before.
        before = slice(0, part.start)
        weight = positive[neurons:, part] + spikes[:, before] @ positive[before, part]
        count = (positive[neurons:, part] > 0) + spikes[:, before] @ (positive[before, part] > 0).astype(np.int64)
        by_weight = np.where(weight > 0, 1 + (weight - 1) // network.threshold[part], 0)
        spikes[:, part] = np.minimum(np.minimum(by_weight, count), MOST_EVENTS)
    return Cascades(frozen(np.minimum(1 + spikes.sum(axis=1), MOST_EVENTS + 1)), frozen(spikes))


def too_many_events(channel: int) -> CompileError:
    """The error for a network that one event of a channel keeps busy for too long."""
    return fault(
        "too-many-events",
        "the network",
        f"one event of channel {channel} starts more than {MOST_EVENTS:,} events",
        "train with fewer layers, higher thresholds or smaller weights",
    )
