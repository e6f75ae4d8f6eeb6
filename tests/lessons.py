"""Random networks that learn: those of `networks`, with rules of every kind on some of their synapses."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

from snncc.arrays import Array
from snncc.graph import Graph
from snncc.integers import (
    Decay,
    Factor,
    Network,
    Normalisation,
    Plasticity,
    Population,
    Source,
    SpikeTrace,
    Synapse,
    Term,
    source_of,
    value_range,
)
from snncc.linear import Dense, LinearMap, operator
from tests.networks import Case, cases

VARIABLES = ("pre", "post", "most pre", "most post", "weight", "reward")


@dataclass(frozen=True, eq=False)
class Lesson:
    """A network that learns, what it is shown, and the rewards (samples, steps) that it gets."""

    case: Case
    reward: Array

    @property
    def network(self) -> Network:
        return self.case.network

    def __repr__(self) -> str:
        rules = {name: op.plasticity for name, op in self.network.of_kind(Synapse).items() if op.plasticity}
        return f"{self.case!r}, rewards {self.reward.tolist()}, rules {rules}"


@st.composite
def lessons(draw: Any) -> Lesson:
    """At least one population or synapse learns."""
    case = draw(cases())
    ops = dict(case.network.ops)
    plain = [name for name, op in case.network.of_kind(Synapse).items() if positive(case.network, name)]
    for name in plain:
        if draw(st.integers(0, 3)):
            synapse = ops[name]
            weight = dense(synapse.map)
            rule = draw(rules(int(weight.min()), int(weight.max())))
            weight = np.clip(weight, rule.lowest, rule.highest)
            ops[name] = replace(synapse, map=Dense(weight), axon_delays=None, plasticity=rule)
    for name, op in case.network.of_kind(Population).items():
        adapt = op.adapt
        if adapt and adapt.jump.min() >= 0 and adapt.initial.min() >= 0 and draw(st.booleans()):
            register = replace(adapt.register, overflow="saturate")
            decay = replace(adapt.decay, amount=adapt.decay.amount.reshape(-1)[0])
            ops[name] = replace(op, adapt=replace(adapt, learnt=True, register=register, decay=decay))
    samples, steps = case.x.shape[:2]
    reward = np.random.default_rng(draw(st.integers(0, 99))).integers(-3, 4, (samples, steps))
    return Lesson(replace(case, network=Graph(ops, case.network.edges)), reward)


def positive(network: Network, name: str) -> bool:
    """Whether a synapse reads what is never negative."""
    source = network[source_of(network, name)[0]]
    assert isinstance(source, (Source, Population))
    return value_range(source)[0] >= 0


def dense(linear: LinearMap) -> Array:
    """The weights (out_size, in_size) of any map."""
    return operator(linear, np.float64)(np.eye(linear.in_size)).T.astype(np.int64)


@st.composite
def rules(draw: Any, low: int = 0, high: int = 15) -> Plasticity:
    """Rules with every trigger, factor and option; their sums stay below 2**60."""
    lowest = draw(st.sampled_from((0, 0, min(low, -1))))
    highest = max(draw(st.sampled_from((1, 7, 15, 200))), high if draw(st.booleans()) else 1)
    guard, whole = draw(st.sampled_from((0, 0, 1, 4, 8))), None
    if lowest == 0 and draw(st.booleans()):
        every = draw(st.sampled_from((0, 0, 2, 5)))
        whole = Normalisation(draw(st.integers(1, 60)) << guard, every, draw(st.booleans()))
    pre, post = draw(st.lists(traces(), max_size=2)), draw(st.lists(traces(), max_size=2))
    terms = draw(st.lists(_terms(len(pre), len(post)), min_size=1, max_size=3))
    return Plasticity(
        tuple(pre),
        tuple(post),
        tuple(terms),
        lowest,
        highest,
        guard,
        draw(st.sampled_from((0, 1, 8, 12, 20))),
        draw(st.sampled_from((1, 2, 3))),
        whole,
        3,
        draw(st.integers(0, 3)) > 0,
        draw(st.sampled_from((0, 1, (1 << 32) - 1))),
    )


@st.composite
def traces(draw: Any) -> SpikeTrace:
    bits = draw(st.sampled_from((0, 3, 8)))
    amount = np.array(draw(st.integers(0, 1 << bits)))
    decay = Decay(amount, bits, draw(st.sampled_from(("zero", "floor", "nearest"))))
    highest = draw(st.sampled_from((1, 7, 255)))
    return SpikeTrace(decay, draw(st.integers(1, highest)), highest, draw(st.booleans()), draw(st.booleans()))


@st.composite
def _terms(draw: Any, pre: int, post: int) -> Term:
    sizes = {"pre": pre, "most pre": pre, "post": post, "most post": post}
    known = [each for each in VARIABLES if sizes.get(each, 1)]
    factors = draw(st.lists(_factors(known, sizes), max_size=3))
    shared = [each for each in known if each in ("most pre", "most post", "reward")]
    per = draw(st.none() | _factors(shared, sizes))
    when = draw(st.sampled_from(("pre", "post", "period")))
    return Term(when, draw(st.sampled_from((-300, -5, 1, 40, 1000))), tuple(factors), per)


@st.composite
def _factors(draw: Any, known: list[str], sizes: dict[str, int]) -> Factor:
    variable = draw(st.sampled_from(known))
    trace = draw(st.integers(0, sizes[variable] - 1)) if variable in sizes else 0
    divisor = draw(st.sampled_from((1, 3))) if variable in sizes else 1
    return Factor(variable, trace, draw(st.sampled_from((1, -1, 3))), draw(st.integers(-9, 99)), divisor)
