"""Networks that are tables: populations with a neuron for each state, all fed by one source with each input.

Every population reads the same single source neuron, so that one network, and one build of an artefact, holds many
tables.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np

from snncc.arrays import Array
from snncc.graph import Edge, Graph
from snncc.integers import (
    Adapt,
    Current,
    Decay,
    Fire,
    HardReset,
    IntOp,
    Membrane,
    Network,
    Output,
    Population,
    Register,
    SoftReset,
    Source,
    Synapse,
)
from snncc.linear import Dense

STATES = np.arange(-32, 32)
SHUFFLED = (STATES * 27 + 5) % 64 - 32  # another order of the same states
BITS = 3
AMOUNTS = np.array([[0], [1], [3], [4], [8]])  # in eighths: none, odd ones, a half, all
SHAPE = (len(AMOUNTS), len(STATES))
ROUNDINGS = ("zero", "floor", "nearest")
OVERFLOWS = ("saturate", "wrap")
WHOLE = Decay(np.array(0), BITS, "floor")  # keeps a state as it is

RESETS: Mapping[str, SoftReset | HardReset | None] = {
    "none": None,
    "soft": SoftReset(np.array(7)),
    "soft_later": SoftReset(np.array(7), delay=1),
    "hard": HardReset(np.array(-3)),
    "hard_later": HardReset(np.array(-3), delay=1),
}


@dataclass(frozen=True, eq=False)
class Table:
    """A network, and its input (samples, steps, 1): each value once as the first, then in another order."""

    network: Network
    x: Array

    def thinned(self) -> Array:
        """The samples for a backend that is too slow for all: the extremes, those around 0, and every twelfth."""
        first = self.x[:, 0, 0]
        edge = (np.abs(first) <= 1) | (np.abs(first) >= first.max() - 1)
        return self.x[edge | (np.arange(len(first)) % 12 == 0)]


def table(populations: Mapping[str, Population], source: Source, steps: int) -> Table:
    """All populations read the source through a weight of 1; all but the first are recorded only."""
    ops: dict[str, IntOp] = {"x": source}
    edges: list[Edge] = []
    for name, population in populations.items():
        ops[f"to_{name}"] = Synapse(Dense(np.ones((population.size, 1), np.int8)))
        ops[name] = population
        edges += [Edge("x", f"to_{name}"), Edge(f"to_{name}", name)]
    first = next(iter(populations))
    for when in ("before", "after"):
        ops[f"y_{when}"] = Output("membrane", when, "last")
        edges.append(Edge(first, f"y_{when}"))
    values = np.arange(source.lowest, source.highest + 1)
    x = np.stack([values, *(np.roll(values[::-1], 31 * step) for step in range(1, steps))], axis=1)
    return Table(Graph(ops, edges), x[:, :, None])


def _neurons(rounding: Any, overflow: Any, inclusive: bool, reset: SoftReset | HardReset | None) -> Population:
    """A neuron for each membrane and each amount of decay."""
    membrane = Membrane(Decay(AMOUNTS, BITS, rounding), Register(-32, 31, overflow), initial=STATES)
    return Population(SHAPE, membrane, Fire(np.array(6), inclusive), reset)


def plain(rounding: str) -> Iterator[tuple[str, Population]]:
    """Every overflow, comparison and reset, without a current."""
    for overflow, inclusive, (label, reset) in product(OVERFLOWS, (False, True), RESETS.items()):
        yield f"{rounding}_{overflow}_{inclusive}_{label}", _neurons(rounding, overflow, inclusive, reset)


def with_current(rounding: str) -> Iterator[tuple[str, Population]]:
    """The same with a neuron for each current; membranes start in another order and decay less."""
    for name, op in plain(rounding):
        current = Current(op.membrane.decay, op.membrane.register, STATES)
        membrane = replace(op.membrane, decay=replace(op.membrane.decay, amount=np.array(1)), initial=SHUFFLED)
        yield f"i_{name}", replace(op, membrane=membrane, current=current)


def several_spikes() -> Iterator[tuple[str, Population]]:
    """Up to three spikes a step, at several thresholds."""
    thresholds = np.array([[1], [2], [5], [11], [31]])
    for overflow, inclusive, (label, reset) in product(OVERFLOWS, (False, True), RESETS.items()):
        op = _neurons("nearest", overflow, inclusive, reset)
        fire = Fire(thresholds, inclusive, max_spikes=3)
        membrane = replace(op.membrane, decay=replace(op.membrane.decay, amount=np.array(3)))
        yield f"m_{overflow}_{inclusive}_{label}", replace(op, fire=fire, membrane=membrane)


def clamped() -> Iterator[tuple[str, Population]]:
    """Lower clamps, on both sides of 0 and at the register's ends; biases; inputs that escape a wrapping register."""
    minima = np.array([[-32], [-9], [0], [4], [31]])
    biases = np.array([[-40], [-1], [0], [3], [40]])
    for overflow, (label, reset) in product(OVERFLOWS, RESETS.items()):
        op = _neurons("zero", overflow, True, reset)
        decay = replace(op.membrane.decay, amount=np.array(1))
        yield f"min_{overflow}_{label}", replace(op, membrane=replace(op.membrane, decay=decay, minimum=minima))
        membrane = replace(op.membrane, decay=decay, bias=biases)
        yield f"bias_{overflow}_{label}", replace(op, membrane=membrane, input_shift=1)


def resting() -> Iterator[tuple[str, Population]]:
    """Refractory steps, with a current that goes on; a delayed reset excludes them."""
    immediate = [(label, reset) for label, reset in RESETS.items() if not label.endswith("later")]
    for steps, inclusive, (label, reset) in product((1, 2), (False, True), immediate):
        op = _neurons("nearest", "saturate", inclusive, reset)
        current = Current(op.membrane.decay, op.membrane.register, SHUFFLED)
        yield f"r{steps}_{inclusive}_{label}", replace(op, refractory=steps)
        yield f"ri{steps}_{inclusive}_{label}", replace(op, refractory=steps, current=current)


def adapting() -> Iterator[tuple[str, Population]]:
    """A neuron for each adaptation: all roundings and overflows of its register, with each reset."""
    register, jumps = Register(-32, 31), np.array([[-9], [1], [5], [20], [40]])
    adaptive = {
        **RESETS,
        "adaptive": SoftReset(np.array(4), adaptive=True),
        "adaptive_later": SoftReset(np.array(4), 1, adaptive=True),
    }
    for rounding, overflow, (label, reset) in product(ROUNDINGS, OVERFLOWS, adaptive.items()):
        op = _neurons(rounding, overflow, label != "soft", reset)
        adapt = Adapt(op.membrane.decay, replace(register, overflow=overflow), jumps, STATES)
        membrane = replace(op.membrane, decay=WHOLE, register=register, initial=SHUFFLED)
        yield f"a_{rounding}_{overflow}_{label}", replace(op, adapt=adapt, membrane=membrane)


def thresholds() -> Iterator[tuple[str, Population]]:
    """Thresholds at and beyond the register's ends, and resets by more than a register holds."""
    values = np.array([[-33], [-32], [0], [31], [32]])
    wide = {"up": SoftReset(np.array(-70)), "down": SoftReset(np.array(70)), "down_later": SoftReset(np.array(70), 1)}
    for overflow, inclusive, (label, reset) in product(OVERFLOWS, (False, True), wide.items()):
        op = _neurons("floor", overflow, inclusive, reset)
        membrane = replace(op.membrane, decay=replace(op.membrane.decay, amount=np.array(1)))
        yield f"t_{overflow}_{inclusive}_{label}", replace(op, fire=Fire(values, inclusive), membrane=membrane)
