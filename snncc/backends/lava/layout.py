"""How the neurons of a source or population are ordered in Lava: as in the network, or (width, height, channels).

Lava's Conv takes and gives arrays of (width, height, channels); everything else is flat.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from snncc.arrays import Array, Ints, Shape
from snncc.integers import Network, Population, Source, Synapse, source_of
from snncc.linear import Conv


@dataclass(frozen=True)
class Layout:
    """The shape of an array in Lava; `turned` if it is the network's own shape with its axes reversed."""

    shape: Shape
    turned: bool = False

    @property
    def flat(self) -> bool:
        return len(self.shape) == 1

    @property
    def size(self) -> int:
        return int(np.prod(self.shape))

    def order(self) -> Ints:
        """The network's index of each neuron, in Lava's order."""
        index = np.arange(self.size)
        return index.reshape(self.shape[::-1]).transpose().reshape(-1) if self.turned else index

    def place(self) -> Ints:
        """Lava's index of each neuron, in the network's order."""
        return np.argsort(self.order())

    def arrange(self, values: Array) -> Array:
        """Values of all neurons, in the network's order, as Lava wants them."""
        return values.reshape(-1)[self.order()].reshape(self.shape)


def layouts(network: Network, convolutions: frozenset[str]) -> Mapping[str, Layout]:
    """The layout of each source and population, where these synapses are Lava's Conv processes."""
    turned: set[str] = set()
    for name in convolutions:
        turned |= {source_of(network, name)[0], network.outgoing(name)[0].target}
    return {
        name: Layout(op.shape[::-1], turned=True) if name in turned else Layout((int(np.prod(op.shape, dtype=int)),))
        for name, op in network.ops.items()
        if isinstance(op, (Source, Population))
    }


def convolution_of(network: Network, name: str) -> Conv | None:
    """The map of a synapse if Lava's Conv computes exactly this one.

    Lava's Conv ignores `weight_exp` and delivers in the next step; its padding is the same on both sides
    (lava/proc/conv/models.py line 20, conv/utils.py line 195).
    """
    op = network[name]
    assert isinstance(op, Synapse)
    if not isinstance(op.map, Conv) or op.axon_delays is not None:
        return None
    source, delay = source_of(network, name)
    ends = network[source], network[network.outgoing(name)[0].target]
    shapes = [each.shape for each in ends if isinstance(each, (Source, Population))]
    weight = op.map.weight.astype(np.int64) << op.exponent
    top, left, bottom, right = op.map.padding
    fits = (
        delay == 1
        and shapes == [op.map.in_shape, op.map.out_shape]
        and (top, left) == (bottom, right)
        and -128 <= weight.min() <= weight.max() <= 127
        and max(*op.map.padding, *op.map.stride, *op.map.dilation, op.map.groups, *op.map.weight.shape[2:]) <= 127
    )
    return op.map if fits else None
