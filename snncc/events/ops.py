"""The ops of an event-driven network: a source of events, populations that act at every event, synapses, outputs.

It is a network of another kind than the integer network, for machines without a common step: `reference` defines it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from snncc.arrays import Array, Ints, Shape, frozen
from snncc.graph import Graph
from snncc.integers import Output, Register, Source, Synapse
from snncc.layers import size
from snncc.linear import to_sparse


def _nothing() -> Array:
    return frozen(np.zeros(0), np.int64)


@dataclass(frozen=True, eq=False)
class EventSource(Source):
    """Channels that send events: the input's, in flattened order, then `always` more.

    In every step each channel whose input is 1 sends one event, and so does each of the `always` last ones, which
    carry biases. They send in `order` (channels,), which has every channel once.
    """

    always: int = 0
    order: Array = field(default_factory=_nothing)

    def __post_init__(self) -> None:
        object.__setattr__(self, "order", frozen(self.order, np.int64))

    @property
    def channels(self) -> int:
        return size(self.shape) + self.always


@dataclass(frozen=True, eq=False)
class EventPopulation:
    """Neurons that act at every event; the arrays are (size,), integers.

        an event of weight w:    u = v + w, clipped to the register;
                                 where u >= threshold a spike and v <- 0, elsewhere v <- u
        the end of a step:       v is moved by `leak` toward 0, but not beyond

    A spike is an event itself, behind those that wait already. `initial` is v before the first step. Thresholds are
    1 or more, and v begins below them: so a leak cannot make a neuron fire.
    """

    shape: Shape
    threshold: Array
    leak: Array
    initial: Array
    register: Register

    def __post_init__(self) -> None:
        for name in ("threshold", "leak", "initial"):
            object.__setattr__(self, name, frozen(getattr(self, name), np.int64))

    @property
    def size(self) -> int:
        return math.prod(self.shape)


EventOp = EventSource | Synapse | EventPopulation | Output


class EventNetwork(Graph[EventOp]):
    """Ops joined without delays; a `Synapse` has no exponent. Neurons are numbered in the order of `populations`."""

    @property
    def source(self) -> EventSource:
        """The network's input."""
        return next(iter(self.of_kind(EventSource).values()))

    @property
    def populations(self) -> Mapping[str, EventPopulation]:
        """The populations by name, each after those that it reads."""
        kinds = self.of_kind(EventPopulation)
        return {name: kinds[name] for name in self.order() if name in kinds}


@dataclass(frozen=True, eq=False)
class Crossbar:
    """An event network as one matrix: `weights` (neurons + channels, neurons) int64, from row to column.

    The rows of the neurons come first, then those of the channels. The other arrays are (neurons,); `parts` says
    which neurons are those of a population.
    """

    weights: Ints
    threshold: Ints
    leak: Ints
    initial: Ints
    lowest: Ints
    highest: Ints
    parts: Mapping[str, slice]

    @property
    def neurons(self) -> int:
        return len(self.threshold)


def crossbar(network: EventNetwork) -> Crossbar:
    """The whole network; synapses that join the same two neurons are added up."""
    populations = network.populations
    parts: dict[str, slice] = {}
    neurons = 0
    for name, op in populations.items():
        parts[name] = slice(neurons, neurons + op.size)
        neurons += op.size
    weights = np.zeros((neurons + network.source.channels, neurons), np.int64)
    for name, synapse in network.of_kind(Synapse).items():
        (read,), (fed,) = network.incoming(name), network.outgoing(name)
        row = parts[read.source].start if read.source in parts else neurons
        listed = to_sparse(synapse.map)
        rows = np.repeat(np.arange(listed.in_size), np.diff(listed.indptr)) + row
        np.add.at(weights, (rows, listed.targets + parts[fed.target].start), listed.weight)

    def joined(values: list[Array]) -> Ints:
        return frozen(np.concatenate([np.zeros(0, np.int64), *values]), np.int64)

    ops = populations.values()
    return Crossbar(
        weights=frozen(weights),
        threshold=joined([op.threshold for op in ops]),
        leak=joined([op.leak for op in ops]),
        initial=joined([op.initial for op in ops]),
        lowest=joined([np.full(op.size, op.register.lo) for op in ops]),
        highest=joined([np.full(op.size, op.register.hi) for op in ops]),
        parts=MappingProxyType(parts),
    )
