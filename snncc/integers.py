"""The integer network, the narrow waist: what every backend reads, and all that it may know of a model.

`Source | Synapse | Population | Output` on a graph whose edges carry the delays. Every array is integer and
broadcasts to its population's shape. Their arithmetic is defined in `semantics`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from snncc.arithmetic import Register, Rounding
from snncc.arrays import Array, Shape, frozen
from snncc.graph import Graph
from snncc.layers import Decoder, Readout, When
from snncc.linear import LinearMap, largest_sum


def _zero() -> Array:
    return frozen(0, np.int64)


def _freeze(record: object, *names: str) -> None:
    for name in names:
        value = getattr(record, name)
        if value is not None:
            object.__setattr__(record, name, frozen(value, np.int64))


@dataclass(frozen=True, eq=False)
class Decay:
    """x becomes x * (2**bits - amount) / 2**bits, rounded; amount 0 keeps x, 2**bits clears it.

    `zero` rounds toward zero, `floor` down, `nearest` to the nearest integer, halves up: -0.5 to 0, 0.5 to 1.
    """

    amount: Array
    bits: int
    rounding: Rounding

    def __post_init__(self) -> None:
        _freeze(self, "amount")


@dataclass(frozen=True, eq=False)
class Current:
    """A synaptic current: i <- fit(decayed(i) + (acc << input_shift)); `initial` is i before the first step."""

    decay: Decay
    register: Register
    initial: Array = field(default_factory=_zero)

    def __post_init__(self) -> None:
        _freeze(self, "initial")


@dataclass(frozen=True, eq=False)
class Membrane:
    """v <- fit(decayed(v) + i + bias), then at least `minimum` if there is one."""

    decay: Decay
    register: Register
    bias: Array = field(default_factory=_zero)
    minimum: Array | None = None
    initial: Array = field(default_factory=_zero)

    def __post_init__(self) -> None:
        _freeze(self, "bias", "minimum", "initial")


@dataclass(frozen=True, eq=False)
class Fire:
    """s = v > threshold, or v >= threshold if `inclusive`; adaptation adds to the threshold.

    `max_spikes` m > 1: clip(v // threshold, 0, m), or clip(ceil(v / threshold) - 1, 0, m) for >. There the
    threshold, whatever the adaptation, is greater than 0.
    """

    threshold: Array
    inclusive: bool
    max_spikes: int = 1

    def __post_init__(self) -> None:
        _freeze(self, "threshold")


@dataclass(frozen=True, eq=False)
class SoftReset:
    """v <- fit(v - amount * s), or v <- fit(v - (amount + a) * s) if `adaptive`, a being what was compared with.

    `delay` 1: the same amount is taken from the decayed v of the next step, before its i, bias and fit are applied;
    `a` is then that of the next step, after its decay.
    """

    amount: Array
    delay: int = 0
    adaptive: bool = False

    def __post_init__(self) -> None:
        _freeze(self, "amount")


@dataclass(frozen=True, eq=False)
class HardReset:
    """v <- value where the neuron fired; `delay` 1: in the next step, in place of the decayed v."""

    value: Array = field(default_factory=_zero)
    delay: int = 0

    def __post_init__(self) -> None:
        _freeze(self, "value")


@dataclass(frozen=True, eq=False)
class Adapt:
    """a <- decayed(a) before the comparison, at every step; a <- fit(a + jump * s) after it and after the reset.

    One that is `learnt` outlives samples: it decays at the end of each sample instead, and `initial` is a before the
    first one.
    """

    decay: Decay
    register: Register
    jump: Array
    initial: Array = field(default_factory=_zero)
    learnt: bool = False

    def __post_init__(self) -> None:
        _freeze(self, "jump", "initial")


@dataclass(frozen=True)
class Source:
    """The network's input: integers of `bits` bits, x_int = round-half-even(x / scale), saturated.

    Signed inputs are symmetric, -(2**(bits-1) - 1) .. 2**(bits-1) - 1. A spike is the integer 1: bits 1, scale 1.
    """

    shape: Shape
    bits: int = 1
    signed: bool = False
    scale: float = 1.0

    @property
    def lowest(self) -> int:
        return -self.highest if self.signed else 0

    @property
    def highest(self) -> int:
        return (1 << (self.bits - self.signed)) - 1


@dataclass(frozen=True, eq=False)
class SpikeTrace:
    """What a neuron remembers of its spikes: x <- decayed(x) at every step, then x <- min(x + jump * s, highest).

    `latest`: x <- jump instead, where there is a spike. `cleared`: x <- 0 after each periodic update. x is 0 before
    the first step of a sample, and `decay` has one amount for all neurons.
    """

    decay: Decay
    jump: int
    highest: int
    latest: bool = False
    cleared: bool = False


@dataclass(frozen=True)
class Factor:
    """gain * ceil(variable / divisor) + offset, of a synapse's `weight` (as stored), the `reward`, or a trace.

    `most pre` and `most post` are the greatest value of a trace among all neurons on that side.
    """

    variable: Literal["pre", "post", "most pre", "most post", "weight", "reward"]
    trace: int = 0
    gain: int = 1
    offset: int = 0
    divisor: int = 1


@dataclass(frozen=True)
class Term:
    """Adds rate * (product of factors) to a synapse's change `when` its source or target spikes, or periodically.

    `per` divides that, rounded down, if it is greater than 1; it is the same for all synapses: most of a trace, or
    the reward.
    """

    when: Literal["pre", "post", "period"]
    rate: int
    factors: tuple[Factor, ...]
    per: Factor | None = None


@dataclass(frozen=True)
class Normalisation:
    """w <- w * f / 2**12, rounded as changes are, with f = min(total * 2**12 // sum of w, 2**16 - 1), for each target.

    After every so many steps of learning, or, for 0, at the end of each sample. Weights without a sum stay. With
    `spiking`, those into targets that did not spike since the last time, or since the sample began, stay as well.
    """

    total: int
    every: int = 0
    spiking: bool = False


@dataclass(frozen=True)
class Plasticity:
    """How a synapse learns: w <- clip(w + (S + r) // 2**shift, lowest << guard, highest << guard).

    w is the weight as it is stored, with `guard` bits more than neurons see: these get (w + half) >> guard, half being
    what rounds to the nearest. S is the sum of all terms that a step triggers, r a draw from 0..2**shift - 1
    (`plasticity.draws`), or what rounds to the nearest if not `stochastic`. Periodic terms come every `period` steps.
    |reward| is at most `reward`; 0 means that the rule has none. docs/learning.md has the order within a step.
    """

    pre: tuple[SpikeTrace, ...]
    post: tuple[SpikeTrace, ...]
    terms: tuple[Term, ...]
    lowest: int
    highest: int
    guard: int = 0
    shift: int = 0
    period: int = 1
    normalisation: Normalisation | None = None
    reward: int = 0
    stochastic: bool = True
    seed: int = 0

    @property
    def stored(self) -> tuple[int, int]:
        """The least and the greatest weight as it is stored."""
        return self.lowest << self.guard, self.highest << self.guard

    @property
    def target_bits(self) -> int:
        """The bits that a target keeps within a sample: its traces, and whether it is to be normalised."""
        whole = self.normalisation
        return sum(each.highest.bit_length() for each in self.post) + bool(whole and whole.spiking)


@dataclass(frozen=True, eq=False)
class Synapse:
    """acc += (W x) << exponent. `axon_delays` (in_size,) adds steps per source neuron to the edge's own delay.

    That edge is the one into the synapse; the edge from it to its population has no delay. With `plasticity`, the
    map is dense, and its weights are those before the first sample.
    """

    map: LinearMap
    exponent: int = 0
    axon_delays: Array | None = None
    plasticity: Plasticity | None = None

    def __post_init__(self) -> None:
        _freeze(self, "axon_delays")


@dataclass(frozen=True, eq=False)
class Kept:
    """What is left of a population of the model's: its `shape` there, and where each of its neurons went.

    `place` (neurons of the model,) is the number here of each: of the one that fires as it does, -1 if there is none
    because it never fires, or was pruned.
    """

    shape: Shape
    place: Array

    def __post_init__(self) -> None:
        _freeze(self, "place")


@dataclass(frozen=True, eq=False)
class Population:
    """Neurons of one kind. `start` is the step at which the first model step is computed; until then all rests.

    For `refractory` steps after a spike, i and a are updated, v keeps what the reset left, and s is 0. As there
    would be no such v yet, a reset with a delay excludes it.

    `scale` is how many units of v stand for 1.0 of the trained model's membrane, `kept` which of the model's neurons
    these are, None where they are all: for reading results, never for computing them.
    """

    shape: Shape
    membrane: Membrane
    fire: Fire | None
    reset: SoftReset | HardReset | None = None
    current: Current | None = None
    adapt: Adapt | None = None
    refractory: int = 0
    input_shift: int = 0
    start: int = 0
    scale: float = 1.0
    kept: Kept | None = None

    @property
    def size(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True)
class Output:
    """The values of the population it reads, spikes or membrane, before or after the step's reset.

    `decoder` makes one score per neuron of all steps; the class is the highest score, ties to the lowest index.
    `latency` is how many steps after the input of a model step its value appears.
    """

    value: Readout
    when: When
    decoder: Decoder
    latency: int = 0


@dataclass(frozen=True, eq=False)
class Learnt:
    """What a network has learnt after so many steps of samples.

    By synapse its weights as stored (out_size, in_size), by population its learnt adaptations (*shape); int64.
    """

    steps: int
    weights: Mapping[str, Array]
    adaptations: Mapping[str, Array]


IntOp = Source | Synapse | Population | Output
Network = Graph[IntOp]


def synapses_of(network: Network, population: str) -> tuple[str, ...]:
    """The synapses that feed a population, in the order of the graph."""
    return tuple(edge.source for edge in network.incoming(population))


def source_of(network: Network, op: str) -> tuple[str, int]:
    """Which source or population a synapse (or an output) reads, and after how many steps."""
    (edge,) = network.incoming(op)
    return edge.source, edge.delay


def whole(values: Array, kept: Kept | None) -> Array:
    """Values (..., neurons) of a population by the model's own neurons, 0 for those that were taken out."""
    return values if kept is None else np.where(kept.place < 0, 0, values[..., np.maximum(kept.place, 0)])


def standing(kept: Kept) -> Array:
    """The model's number of each neuron that is left: the first of those that it stands for."""
    there = np.nonzero(kept.place >= 0)[0]
    return there[np.unique(kept.place[there], return_index=True)[1]]


def own_number(neuron: int, kept: Kept | None) -> int:
    """What a neuron of a population is called in the model: the first of those that it stands for."""
    return neuron if kept is None else int(np.nonzero(kept.place == neuron)[0][0])


def value_range(op: Source | Population) -> tuple[int, int]:
    """The smallest and the largest integer that a source or population can send."""
    if isinstance(op, Source):
        return op.lowest, op.highest
    return 0, op.fire.max_spikes if op.fire else 0


def learns(network: Network) -> bool:
    """Whether anything in a network outlives a sample."""
    plastic = any(op.plasticity for op in network.of_kind(Synapse).values())
    return plastic or any(op.adapt and op.adapt.learnt for op in network.of_kind(Population).values())


def takes_reward(network: Network) -> bool:
    """Whether a rule asks for a reward."""
    return any(op.plasticity and op.plasticity.reward for op in network.of_kind(Synapse).values())


def weight_range(synapse: Synapse) -> tuple[int, int]:
    """The least and the greatest weight that a synapse can ever have, and 0."""
    if synapse.plasticity:
        return min(synapse.plasticity.lowest, 0), max(synapse.plasticity.highest, 0)
    weight = synapse.map.weight
    return int(weight.min(initial=0)), int(weight.max(initial=0))


def largest_reach(synapse: Synapse) -> float:
    """The greatest |sum| that inputs of at most 1 can make, whatever is learnt."""
    if synapse.plasticity:
        return float(max(map(abs, weight_range(synapse)))) * synapse.map.in_size
    return largest_sum(synapse.map)
