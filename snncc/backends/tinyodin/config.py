"""What a run of tinyODIN starts from: its registers and memories, the events that come in, and the world around it.

The numbers are those of the chip (SPEC.md, sections 1, 2 and 7). Whoever builds a record from outside data checks it
first; a number that the chip cannot hold is a ValueError here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from snncc.arrays import Array, Ints, frozen

NEURONS = 256
QUEUE = 128  # words that the scheduler holds
V_MIN, V_MAX = -2048, 2047
MOST_DELAY = 1 << 24  # of the host's and the receiver's delays: so that no run counts cycles beyond 63 bits
MOST_CYCLE = 1 << 60


@dataclass(frozen=True)
class Registers:
    """SPI_OPEN_LOOP, SPI_AER_SRC_CTRL_nNEUR and SPI_MAX_NEUR."""

    last_neuron: int = NEURONS - 1
    open_loop: bool = False
    source_control: bool = False

    def __post_init__(self) -> None:
        _within("last_neuron", self.last_neuron, 0, NEURONS - 1)


@dataclass(frozen=True)
class Neurons:
    """The neuron memory, an array of 256 each; `membrane` is what it holds in cycle 0."""

    threshold: Ints
    leak: Ints
    disabled: Array
    membrane: Ints

    def __post_init__(self) -> None:
        for name, lowest, highest, dtype in (
            ("threshold", 0, 4095, np.int64),
            ("leak", 0, 127, np.int64),
            ("disabled", 0, 1, np.bool_),
            ("membrane", V_MIN, V_MAX, np.int64),
        ):
            _settle(self, name, (NEURONS,), lowest, highest, dtype)


@dataclass(frozen=True)
class Config:
    """All that is programmed; `weights[pre, post]` is the synapse memory, -8 to 7."""

    registers: Registers
    neurons: Neurons
    weights: Array

    def __post_init__(self) -> None:
        _settle(self, "weights", (NEURONS, NEURONS), -8, 7, np.int8)


@dataclass(frozen=True)
class Events:
    """The 10-bit words that the host sends, in order, and the earliest cycle of each: 0 if none are given."""

    words: Ints
    not_before: Ints = field(default_factory=lambda: np.zeros(0, np.int64))

    def __post_init__(self) -> None:
        count = np.asarray(self.words).size
        if count and not np.asarray(self.not_before).size:
            object.__setattr__(self, "not_before", np.zeros(count, np.int64))
        _settle(self, "words", (count,), 0, 1023, np.int64)
        _settle(self, "not_before", (count,), 0, MOST_CYCLE, np.int64)


@dataclass(frozen=True)
class World:
    """The host's gap g and drop delay d, and the receiver's delay k, in cycles (section 7)."""

    gap: int = 1
    drop: int = 1
    delay: int = 1

    def __post_init__(self) -> None:
        for name in ("gap", "drop", "delay"):
            _within(name, getattr(self, name), 1, MOST_DELAY)


def _within(name: str, value: int, lowest: int, highest: int) -> None:
    if not lowest <= value <= highest:
        raise ValueError(f"{name} is {value}, not {lowest} to {highest}")


def _settle(record: object, name: str, shape: tuple[int, ...], lowest: int, highest: int, dtype: type) -> None:
    """Make the field a read-only copy of the right type, after a check that nothing is lost by that."""
    array = np.array(getattr(record, name))
    if array.shape != shape:
        raise ValueError(f"{name} has the shape {array.shape}, not {shape}")
    if array.size and (array.dtype.kind not in "biu" or array.min() < lowest or array.max() > highest):
        raise ValueError(f"{name} must hold integers from {lowest} to {highest}")
    object.__setattr__(record, name, frozen(array.astype(dtype)))
