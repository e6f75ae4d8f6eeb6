"""Bounds what one event can start: how often each neuron may fire before the network rests again, and what may wait.

A neuron whose membrane is below its threshold fires at most once on its way up, and from 0 once more for each
`threshold` of positive weight that follows; and never at more events than have a positive weight for it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from snncc.arrays import Ints, frozen
from snncc.events.ops import Crossbar


@dataclass(frozen=True, eq=False)
class Cascades:
    """For any membranes below their thresholds: the events that one event of each channel starts, itself included.

    `events` (channels,) bounds how many there are until the network rests. So many words wait at most at a time, as
    every word is pushed once. `spikes` (channels, neurons) bounds how often each neuron fires.
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
        spikes[:, part] = np.minimum(by_weight, count)
    return Cascades(frozen(1 + spikes.sum(axis=1)), frozen(spikes))
