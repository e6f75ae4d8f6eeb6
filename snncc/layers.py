"""The ops of a network as it was imported, in floats; names follow the Neuromorphic Intermediate Representation.

After `legalise` only `Input`, `Linear`, `Neuron` and `Output` remain; `Relu` occurs in networks that are yet to be
converted to spikes. Shapes never include batch or time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from snncc.arrays import Array, Floats, Shape, frozen
from snncc.linear import LinearMap

Decoder = Literal["count", "last", "max", "mean"]
Readout = Literal["spikes", "membrane"]
When = Literal["before", "after"]


def _zero() -> Array:
    return frozen(0.0)


def _one() -> Array:
    return frozen(1.0)


def _freeze(op: object, *names: str) -> None:
    for name in names:
        value = getattr(op, name)
        if value is not None:
            object.__setattr__(op, name, frozen(value, np.float64 if np.ndim(value) == 0 else None))


@dataclass(frozen=True, eq=False)
class Input:
    """x, one value of `shape` per time step; events are spikes, so 0 or 1."""

    shape: Shape
    events: bool = False


@dataclass(frozen=True, eq=False)
class Affine:
    """y = W x + b on the flattened input; `weight` (out_size, in_size), `bias` (out_size,) or None."""

    weight: Array
    shape: Shape
    bias: Array | None = None

    def __post_init__(self) -> None:
        _freeze(self, "weight", "bias")


@dataclass(frozen=True, eq=False)
class Conv2d:
    """y = w * x + b, a cross-correlation as in ONNX; a Conv1d is one of height 1.

    `weight` (out_channels, in_channels / groups, kernel height, kernel width); `in_shape` (channels, height,
    width); `padding` (top, left, bottom, right) zeros; `bias` (out_channels,) or None.
    """

    weight: Array
    in_shape: Shape
    shape: Shape
    bias: Array | None = None
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    def __post_init__(self) -> None:
        _freeze(self, "weight", "bias")


@dataclass(frozen=True, eq=False)
class SumPool2d:
    """y = scale * sum over each window; `scale` 1 is NIR's SumPool2d, 1 / window size its AvgPool2d.

    `in_shape` (channels, height, width); `padding` (top, left, bottom, right) zeros, which count in the window.
    """

    in_shape: Shape
    shape: Shape
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    scale: float = 1.0


@dataclass(frozen=True, eq=False)
class Scale:
    """y = scale * x + shift, elementwise (batch norm at inference among others); both broadcast to `shape`."""

    shape: Shape
    scale: Array = field(default_factory=_one)
    shift: Array = field(default_factory=_zero)

    def __post_init__(self) -> None:
        _freeze(self, "scale", "shift")


@dataclass(frozen=True, eq=False)
class Rearrange:
    """y[k] = x[index[k]] on flattened values, 0 where index[k] is -1: slices, transposes, padding, parts of a concat.

    `index` None keeps every value in its place (Flatten, Reshape).
    """

    shape: Shape
    index: Array | None = None

    def __post_init__(self) -> None:
        if self.index is not None:
            object.__setattr__(self, "index", frozen(self.index, np.int64))


@dataclass(frozen=True, eq=False)
class Relu:
    """y = max(0, x), and at most `ceiling` where there is one: of an ordinary network, before spike rates stand for it.

    `selects`: x is a difference of two values of earlier Relus, or one of them, and y a part of their maximum.
    """

    shape: Shape
    ceiling: float | None = None
    selects: bool = False


@dataclass(frozen=True, eq=False)
class Linear:
    """y = M x for a map in compact form, without a bias: the one kind of synapse in a legal graph."""

    map: LinearMap
    shape: Shape


@dataclass(frozen=True, eq=False)
class Current:
    """i <- decay * i + x; `initial` is i before the first step."""

    decay: Array
    initial: Array = field(default_factory=_zero)

    def __post_init__(self) -> None:
        _freeze(self, "decay", "initial")


@dataclass(frozen=True, eq=False)
class SoftReset:
    """v <- v - amount * s; `adaptive` subtracts the adaptation too.

    With `delay` 1 the subtraction happens in the next step, after that step's decay.
    """

    amount: Array
    delay: int = 0
    adaptive: bool = False

    def __post_init__(self) -> None:
        _freeze(self, "amount")


@dataclass(frozen=True, eq=False)
class HardReset:
    """v <- value where the neuron fired; with `delay` 1 in the next step, in place of that step's decayed v."""

    value: Array = field(default_factory=_zero)
    delay: int = 0

    def __post_init__(self) -> None:
        _freeze(self, "value")


@dataclass(frozen=True, eq=False)
class Adapt:
    """a <- decay * a before the comparison with threshold + a; a <- a + jump * s after it."""

    decay: Array
    jump: Array
    initial: Array = field(default_factory=_zero)

    def __post_init__(self) -> None:
        _freeze(self, "decay", "jump", "initial")


@dataclass(frozen=True, eq=False)
class Neuron:
    """The normal form of a neuron population, one step of time after another:

        i <- current.decay * i + x                (without a current: i = x)
        v <- decay * v + i + bias                 v <- max(v, minimum) where there is a minimum
        s <- v > threshold + a, or >= if `inclusive`; threshold None never fires
        v <- reset(v, s)

    `max_spikes` m > 1 emits clip(floor(v / threshold), 0, m) for >=, clip(ceil(v / threshold) - 1, 0, m) for >.
    For `refractory` steps after a spike, i updates, v keeps its value and s is 0. Every array broadcasts to
    `shape`: () for the population, (channels, 1, 1) or the whole shape.
    """

    shape: Shape
    decay: Array
    threshold: Array | None
    inclusive: bool = False
    reset: SoftReset | HardReset | None = None
    bias: Array = field(default_factory=_zero)
    current: Current | None = None
    minimum: Array | None = None
    adapt: Adapt | None = None
    max_spikes: int = 1
    refractory: int = 0
    initial: Array = field(default_factory=_zero)

    def __post_init__(self) -> None:
        _freeze(self, "decay", "threshold", "bias", "minimum", "initial")


@dataclass(frozen=True, eq=False)
class Output:
    """What leaves the network: spikes or the membrane, `before` or `after` the reset of the step.

    `decoder` turns the values of all steps into one score per neuron; None leaves the choice open.
    """

    shape: Shape
    value: Readout = "spikes"
    when: When = "after"
    decoder: Decoder | None = None


Layer = Input | Affine | Conv2d | SumPool2d | Scale | Rearrange | Relu | Linear | Neuron | Output


def size(shape: Shape) -> int:
    """How many values a shape holds."""
    return math.prod(shape)


def spread(value: Array, shape: Shape) -> Floats:
    """A parameter written out for each neuron: float64 (size,)."""
    return np.broadcast_to(value, shape).astype(np.float64).reshape(-1)


def default_decoder(output: Output) -> Decoder:
    """What an output's values become where neither model nor user says: spikes are counted, membranes averaged."""
    return "count" if output.value == "spikes" else "mean"
