"""How often each input value and each neuron sends something, on samples: the weights of traffic."""

from __future__ import annotations

import numpy as np

from snncc import data as datasets
from snncc.analysis.usage import Spikes
from snncc.arrays import Array
from snncc.data import Data, to_integers
from snncc.integers import Network, Population, Source
from snncc.layers import size
from snncc.semantics import run

_VALUES = 1 << 26  # neuron-steps that are run at most; fewer samples are taken of a large network


def activity(network: Network, data: Data) -> Spikes:
    """The events of each input value and neuron, by source and population: float64 (size,), per sample.

    A neuron that never sends on these samples counts as a hundredth of an event a sample: others may wake it.
    """
    ((source_name, source),) = network.of_kind(Source).items()
    populations = network.of_kind(Population)
    per_step = size(source.shape) + 2 * sum(each.size for each in populations.values())
    most = max(1, _VALUES // (per_step * max(1, data.steps)))
    chosen = _some(data, most)
    counts: dict[str, Array] = {source_name: np.zeros(size(source.shape))}
    counts.update((name, np.zeros(each.size)) for name, each in populations.items())
    for part in datasets.parts(chosen, per_step):
        x = to_integers(source, part.x)
        if x.ndim == 1 + len(source.shape):
            x = np.broadcast_to(x[:, None], (len(x), part.steps, *source.shape))
        live = np.arange(x.shape[1]) < part.lengths[:, None]
        sent = x.reshape(*x.shape[:2], -1) != 0
        counts[source_name] += (sent & live[:, :, None]).sum(axis=(0, 1))
        trace = run(network, x, part.steps, part.lengths, record=tuple(populations))
        for name, spikes in trace.spikes.items():
            counts[name] += (spikes != 0).sum(axis=(0, 1))
    return {name: np.maximum(each / len(chosen.x), _LEAST) for name, each in counts.items()}


_LEAST = 0.01


def _some(data: Data, most: int) -> Data:
    """At most so many samples, evenly spread: files are often sorted by class."""
    if len(data.x) <= most:
        return data
    chosen = np.arange(most) * len(data.x) // most
    return data.rows(chosen)
