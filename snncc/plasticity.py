"""The living definition of learning: what a plastic synapse does in a step and after a sample, in integers.

docs/learning.md has the order of things. Weights are as they are stored, (out_size, in_size), of both ends one value
a neuron; all is int64.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np

from snncc.arrays import Array, Ints
from snncc.diagnostics import Diagnostic
from snncc.integers import Factor, Learnt, Network, Plasticity, Population, SpikeTrace, Synapse, Term
from snncc.runner import Runnable, State, Stateful, Stateless
from snncc.states import decayed

FRACTION = 12  # bits after the point of a normalisation's factor
MOST_FACTOR = (1 << 16) - 1
_CHANGES, _NORMALISATION = 0, 1  # what draws are for


@dataclass(frozen=True, eq=False)
class Plastic:
    """A plastic synapse at work: its weights, and the traces of its two sides, one array each.

    `spiked` (out_size,) bool is which targets spiked since the weights were last normalised, or the sample began.
    """

    weight: Ints
    pre: tuple[Ints, ...]
    post: tuple[Ints, ...]
    spiked: Array


@dataclass(frozen=True, eq=False)
class Traces:
    """The traces of a step: of sources after their jumps, of targets before theirs (`faded`) and after them.

    `spiked` are the targets that a normalisation in this step concerns, if it is of those that spiked.
    """

    pre: tuple[Ints, ...]
    faded: tuple[Ints, ...]
    post: tuple[Ints, ...]
    spiked: Array


@dataclass(frozen=True)
class Moment:
    """`now` counts the steps of a sample from 0, `count` all steps of learning before this one, modulo 2**31."""

    now: int
    count: int
    reward: int = 0


def begun(rule: Plasticity, weight: Ints) -> Plastic:
    """A plastic synapse before the first step of a sample."""
    rows, columns = weight.shape
    pre = tuple(np.zeros(columns, np.int64) for _ in rule.pre)
    post = tuple(np.zeros(rows, np.int64) for _ in rule.post)
    return Plastic(weight, pre, post, np.zeros(rows, np.bool_))


def seen(rule: Plasticity, weight: Ints) -> Ints:
    """Weights as neurons see them: without the guard bits, rounded to the nearest, halves up."""
    return (weight + (1 << rule.guard >> 1)) >> rule.guard


def mixed(x: Array) -> Array:
    """A number of 32 bits from each number of 32 bits, no two alike: the `lowbias32` of Wellons (2018)."""
    x = np.asarray(x, np.uint64)
    x = ((x ^ (x >> np.uint64(16))) * np.uint64(0x7FEB352D)) & np.uint64(0xFFFFFFFF)
    x = ((x ^ (x >> np.uint64(15))) * np.uint64(0x846CA68B)) & np.uint64(0xFFFFFFFF)
    return x ^ (x >> np.uint64(16))


def draws(seed: int, count: int | Ints, purpose: int, index: Array, bits: int) -> Ints:
    """Numbers of 0..2**bits - 1 that depend on all the arguments and on nothing else.

    key = mixed(seed ^ mixed(2 * count + purpose)); draw = mixed(index * 0x9E3779B9 + key), its highest bits; all
    modulo 2**32. `index` is target * in_size + source.
    """
    low = np.uint64(0xFFFFFFFF)
    moment = np.asarray(2 * np.asarray(count) + purpose, np.uint64) & low
    key = mixed(np.uint64(seed) ^ mixed(moment))
    mix = mixed((np.asarray(index, np.uint64) * np.uint64(0x9E3779B9) + key) & low)
    return (mix >> np.uint64(32 - bits)).astype(np.int64)


def learnt_step(rule: Plasticity, old: Plastic, x: Ints, s: Ints, at: Moment) -> Plastic:
    """The synapse after a step in which it read x (in_size,) and its targets sent s (out_size,)."""
    moved = traced(rule, old, x, s)
    weight = _changed(rule, replace(old, pre=moved.pre, post=moved.faded), moved.post, x, s, at)
    if normalises(rule, at.now):
        weight = normalised(rule, weight, moved.spiked, at.count)
    return left(rule, weight, moved, at)


def left(rule: Plasticity, weight: Ints, moved: Traces, at: Moment) -> Plastic:
    """What a step leaves: traces that are due are cleared."""
    spiked = moved.spiked & (not normalises(rule, at.now))
    if (at.now + 1) % rule.period:
        return Plastic(weight, moved.pre, moved.post, spiked)
    return Plastic(weight, _cleared(rule.pre, moved.pre), _cleared(rule.post, moved.post), spiked)


def traced(rule: Plasticity, old: Plastic, x: Ints, s: Ints) -> Traces:
    """The traces of a step, before any is cleared."""
    pre = tuple(_jumped(decay, x, each) for decay, each in zip(_faded(rule.pre, old.pre), rule.pre, strict=True))
    faded = _faded(rule.post, old.post)
    post = tuple(_jumped(decay, s, each) for decay, each in zip(faded, rule.post, strict=True))
    return Traces(pre, faded, post, old.spiked | (s > 0))


def _faded(traces: tuple[SpikeTrace, ...], values: tuple[Ints, ...]) -> tuple[Ints, ...]:
    return tuple(decayed(value, trace.decay) for trace, value in zip(traces, values, strict=True))


def _jumped(value: Ints, spikes: Ints, trace: SpikeTrace) -> Ints:
    if trace.latest:
        return np.where(spikes > 0, trace.jump, value)
    return np.minimum(value + trace.jump * spikes, trace.highest)


def trace_values(trace: SpikeTrace, spikes: Array, period: int) -> Ints:
    """A trace after each step, before it is cleared, for spikes (samples, steps, neurons) of whole samples."""
    found = np.zeros(spikes.shape, np.int64)
    value = np.zeros((spikes.shape[0], spikes.shape[2]), np.int64)
    for now in range(spikes.shape[1]):
        value = _jumped(decayed(value, trace.decay), spikes[:, now].astype(np.int64), trace)
        found[:, now] = value
        if trace.cleared and (now + 1) % period == 0:
            value = np.zeros_like(value)
    return found


def _cleared(traces: tuple[SpikeTrace, ...], values: tuple[Ints, ...]) -> tuple[Ints, ...]:
    return tuple(np.zeros_like(v) if trace.cleared else v for trace, v in zip(traces, values, strict=True))


def _changed(rule: Plasticity, old: Plastic, post: tuple[Ints, ...], x: Ints, s: Ints, at: Moment) -> Ints:
    """The weights after a step; of all of them only those in reach of a trigger are looked at.

    `old` has the presynaptic traces after their jumps, and the postsynaptic ones before; `post` has these after.
    """
    due = (at.now + 1) % rule.period == 0 and any(term.when == "period" for term in rule.terms)
    before = any(term.when == "pre" for term in rule.terms) and bool((x > 0).any())
    after = any(term.when == "post" for term in rule.terms) and bool((s > 0).any())
    if not (due or before or after):
        return old.weight
    rows = np.flatnonzero(np.ones_like(s) if due or before else s > 0)
    columns = np.flatnonzero(np.ones_like(x) if due or after else x > 0)
    part = np.ix_(rows, columns)
    total = np.zeros((len(rows), len(columns)), np.int64)
    triggers = {"pre": (x > 0)[None, columns], "post": (s > 0)[rows, None], "period": np.array([[due]])}
    for term in rule.terms:
        sides = replace(old, post=post) if term.when == "period" else old
        total += np.where(triggers[term.when], _product(term, sides, part, at.reward), 0)
    index = rows[:, None] * len(x) + columns[None, :]
    low, high = rule.stored
    new = np.clip(old.weight[part] + ((total + _rounding(rule, at.count, index)) >> rule.shift), low, high)
    weight = old.weight.copy()
    weight[part] = new
    return weight


def _rounding(rule: Plasticity, count: int, index: Ints) -> Ints | int:
    if rule.stochastic and rule.shift:
        return draws(rule.seed, count, _CHANGES, index, rule.shift)
    return 1 << rule.shift >> 1


def _product(term: Term, sides: Plastic, part: tuple[Array, ...], reward: int) -> Ints:
    product = np.asarray(term.rate)
    for factor in term.factors:
        product = product * _value(factor, sides, part, reward)
    if term.per is not None:
        product = product // max(1, int(_value(term.per, sides, part, reward)))
    return product


def _value(factor: Factor, sides: Plastic, part: tuple[Array, ...], reward: int) -> Ints | int:
    """A factor for the synapses of a part: (rows, columns), or what broadcasts to that."""
    rows, columns = part
    value = {
        "pre": lambda: sides.pre[factor.trace][columns],
        "post": lambda: sides.post[factor.trace][rows],
        "most pre": lambda: int(sides.pre[factor.trace].max()),
        "most post": lambda: int(sides.post[factor.trace].max()),
        "weight": lambda: sides.weight[part],
        "reward": lambda: reward,
    }[factor.variable]()
    return factor.gain * -(-value // factor.divisor) + factor.offset


def normalises(rule: Plasticity, now: int, *, last: bool = False) -> bool:
    """Whether weights are normalised in a step of a sample; `last` where its end counts as a part of it."""
    whole = rule.normalisation
    return whole is not None and ((now + 1) % whole.every == 0 if whole.every else last)


def normalised(rule: Plasticity, weight: Ints, spiked: Array, count: int) -> Ints:
    """The weights scaled so that those into each target add up to the total, as nearly as their grid allows.

    Into each target, or into those that `spiked` (out_size,) only, as the rule says.
    """
    assert rule.normalisation
    rows = np.flatnonzero(spiked) if rule.normalisation.spiking else np.arange(len(weight))
    old = weight[rows]
    sums = old.sum(axis=1, keepdims=True)
    factor = np.minimum((rule.normalisation.total << FRACTION) // np.maximum(sums, 1), MOST_FACTOR)
    index = rows[:, None] * weight.shape[1] + np.arange(weight.shape[1])
    nearest = np.full_like(index, 1 << (FRACTION - 1))
    rest = draws(rule.seed, count, _NORMALISATION, index, FRACTION) if rule.stochastic else nearest
    low, high = rule.stored
    new = weight.copy()
    new[rows] = np.where(sums > 0, np.clip((old * factor + rest) >> FRACTION, low, high), old)
    return new


def trace_names(name: str, rule: Plasticity) -> tuple[str, ...]:
    """What the traces of a group are called: those of its sources, then those of its targets."""
    sides = (("sources", rule.pre), ("targets", rule.post))
    return tuple(f"{name}, trace {k} of its {side}" for side, own in sides for k in range(1, 1 + len(own)))


def trace_sizes(network: Network) -> Mapping[str, int]:
    """How many values each trace of a network has, by name, in the order in which groups learn within a step."""
    found: dict[str, int] = {}
    for population in network.order():
        for edge in network.incoming(population):
            op = network[edge.source]
            if isinstance(op, Synapse) and op.plasticity:
                rule = op.plasticity
                sizes = [op.map.in_size] * len(rule.pre) + [op.map.out_size] * len(rule.post)
                found |= zip(trace_names(edge.source, rule), sizes, strict=True)
    return found


def stirrers(rule: Plasticity, side: Literal["pre", "post"]) -> tuple[int, ...] | None:
    """Which traces of a side must all be 0 at a neuron for its synapses to stay as they are in a due step.

    That is certain only in steps in which no spike triggers a term, too; None where it never is. A term is 0 where one
    of its factors is: a trace without an offset.
    """
    found: list[int] = []
    for term in rule.terms:
        if term.when == "period":
            own = [each.trace for each in term.factors if each.variable == side and not each.offset]
            if not own:
                return None
            found.append(own[0])
        elif term.when != side:
            return None
    return tuple(dict.fromkeys(found))


def span(rule: Plasticity, factor: Factor) -> tuple[int, int]:
    """The least and the greatest value that a factor can have."""
    side = rule.pre if factor.variable in ("pre", "most pre") else rule.post
    low, high = {
        "weight": lambda: rule.stored,
        "reward": lambda: (-rule.reward, rule.reward),
    }.get(factor.variable, lambda: (0, side[factor.trace].highest))()
    ends = [factor.gain * -(-end // factor.divisor) + factor.offset for end in (low, high)]
    return min(ends), max(ends)


def largest_term(rule: Plasticity, term: Term) -> int:
    """A bound of |rate * (product of factors)|, before it is divided."""
    return math.prod([abs(term.rate), *(max(map(abs, span(rule, factor))) for factor in term.factors)])


def largest_change(rule: Plasticity) -> int:
    """A bound of every sum of a step's terms, with what rounds it."""
    return sum(largest_term(rule, term) for term in rule.terms) + (1 << rule.shift)


def untaught(network: Network) -> Learnt:
    """What a network knows before its first sample."""
    weights = {
        name: op.map.weight.astype(np.int64) << op.plasticity.guard
        for name, op in network.of_kind(Synapse).items()
        if op.plasticity
    }
    adaptations = {
        name: np.broadcast_to(op.adapt.initial, op.shape).astype(np.int64)
        for name, op in network.of_kind(Population).items()
        if op.adapt and op.adapt.learnt
    }
    return Learnt(0, weights, adaptations)


def reward_faults(network: Network, reward: Array | None) -> Iterator[Diagnostic]:
    """Rewards, of any shape, that are greater than a rule takes: `bad-data`."""
    for name, op in network.of_kind(Synapse).items():
        most = op.plasticity.reward if op.plasticity else 0
        if most and reward is not None and np.abs(reward).max(initial=0) > most:
            given = f"reward lies in {int(reward.min()):,}..{int(reward.max()):,}"
            wanted = f"{given}; the rule of {name} takes -{most:,} to {most:,}"
            yield Diagnostic("bad-data", "reward", wanted, "scale it, or compile with a rule whose reward is greater")


class Lesson:
    """One sample of a network that learns: what is known of it, step by step; and its traces, if they are `kept`."""

    def __init__(self, network: Network, learnt: Learnt, rewards: Array | None, *, kept: bool = False) -> None:
        self.network, self.begun, self.rewards = network, learnt, rewards
        self.plastic = {name: begun(self.rule(name), weight) for name, weight in learnt.weights.items()}
        self.adaptations = dict(learnt.adaptations)
        self.read: dict[str, Ints] = {}
        self.now = dict.fromkeys(network.of_kind(Population), 0)
        self.kept: dict[str, list[Ints]] = {name: [] for name in trace_sizes(network)} if kept else {}

    def rule(self, name: str) -> Plasticity:
        op = self.network[name]
        assert isinstance(op, Synapse)
        assert op.plasticity
        return op.plasticity

    def finished(self, length: int) -> Learnt:
        """What is left after the end of a sample of so many steps: weights normalised, adaptations decayed."""
        steps = self.begun.steps + length
        weights = {name: each.weight for name, each in self.plastic.items()}
        for name, each in self.plastic.items():
            rule = self.rule(name)
            if rule.normalisation and not rule.normalisation.every:
                weights[name] = normalised(rule, each.weight, each.spiked, steps)
        adaptations: dict[str, Array] = {}
        for name, value in self.adaptations.items():
            op = self.network[name]
            assert isinstance(op, Population)
            assert op.adapt
            adaptations[name] = decayed(value, op.adapt.decay)
        return Learnt(steps, weights, adaptations)

    def traces(self, steps: int) -> Mapping[str, Array]:
        """The traces that were kept, (1, steps, size); 0 after the sample's end."""
        found = {name: np.zeros((1, steps, size), np.int64) for name, size in trace_sizes(self.network).items()}
        for name, values in self.kept.items():
            found[name][0, : len(values)] = values
        return found if self.kept else {}

    def taught(self, usual: Mapping[str, Runnable]) -> Mapping[str, Runnable]:
        """The runnables of all ops, those that learn in place of the usual ones."""
        found = dict(usual)
        for name in self.plastic:
            found[name] = self._synapse(name, usual[name])
        fed = {self.network.outgoing(name)[0].target for name in self.plastic}
        for name in fed | set(self.adaptations):
            population = usual[name]
            assert isinstance(population, Stateful)
            rest = partial(self._rest, name, population)
            found[name] = replace(population, rest=rest, watch=partial(self._watch, name))
        return found

    def _synapse(self, name: str, usual: Runnable) -> Stateless:
        assert isinstance(usual, Stateless)
        rule, op = self.rule(name), self.network[name]
        assert isinstance(op, Synapse)

        def sums(x: Array) -> Array:
            self.read[name] = x[0].astype(np.int64)
            active = np.flatnonzero(self.read[name])
            weight = seen(rule, self.plastic[name].weight[:, active])
            return (weight @ self.read[name][active])[None] << op.exponent

        return replace(usual, apply=sums, fixed=False)

    def _rest(self, name: str, usual: Stateful, rows: slice) -> State:
        state = usual.rest(rows)
        return {**state, "a": self.adaptations[name][None]} if name in self.adaptations else state

    def _watch(self, name: str, after: State, spikes: Array) -> None:
        now = self.now[name]
        at = Moment(now, self.begun.steps + now, 0 if self.rewards is None else int(self.rewards[now]))
        for edge in self.network.incoming(name):
            if edge.source in self.plastic:
                old, x = self.plastic[edge.source], self.read[edge.source]
                s = spikes.reshape(-1).astype(np.int64)
                new = self.plastic[edge.source] = learnt_step(self.rule(edge.source), old, x, s, at)
                if self.kept:
                    names = trace_names(edge.source, self.rule(edge.source))
                    for each, value in zip(names, (*new.pre, *new.post), strict=True):
                        self.kept[each].append(value)
        if name in self.adaptations:
            self.adaptations[name] = after["a"][0]
        self.now[name] = now + 1
