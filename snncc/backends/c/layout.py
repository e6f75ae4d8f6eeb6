"""Decides in which order a population's neurons lie in memory: channels last where a convolution feeds it.

A convolution walked from an input event then adds to consecutive sums. The order is private to the generated
code: inputs, outputs and records are row-major, as in the reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from snncc.arrays import Array, Ints
from snncc.integers import Network, Population, Source, Synapse, synapses_of
from snncc.linear import Conv


@dataclass(frozen=True)
class Layout:
    """Neuron (channel c, position p) lies at p * channels + c; one channel is the row-major order."""

    size: int
    channels: int = 1

    @property
    def positions(self) -> int:
        return self.size // self.channels

    @property
    def moved(self) -> bool:
        return self.channels > 1 and self.positions > 1

    def order(self) -> Ints:
        """The row-major index of each place in memory."""
        return np.arange(self.size).reshape(self.channels, self.positions).T.reshape(-1)

    def place(self) -> Ints:
        """The place in memory of each row-major index."""
        return np.arange(self.size).reshape(self.positions, self.channels).T.reshape(-1)

    def arrange(self, values: Array, axis: int = 0) -> Array:
        """Values by row-major index as they lie in memory."""
        return np.take(values, self.order(), axis) if self.moved else values


def layouts(network: Network) -> Mapping[str, Layout]:
    """The layout of the source and of every population."""
    result: dict[str, Layout] = {}
    for name, op in network.ops.items():
        if isinstance(op, Source):
            result[name] = Layout(int(np.prod(op.shape)))
        elif isinstance(op, Population):
            result[name] = Layout(op.size, _channels(network, name))
    return result


def _channels(network: Network, population: str) -> int:
    """The output channels of the first convolution that feeds a population, 1 if there is none."""
    for name in synapses_of(network, population):
        synapse = network[name]
        assert isinstance(synapse, Synapse)
        if isinstance(synapse.map, Conv) and synapse.map.out_size > synapse.map.out_shape[0]:
            return synapse.map.out_shape[0]
    return 1
