"""Synapse groups that learn: the rule of each in the words of the emitted `learning.py`, whose template spells it out.

Groups with equal rules share a class there. Factors become Python over the synapses that a step may change, `rows` of
targets and `columns` of sources: docs/learning.md says what they stand for, and in which order.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from snncc.integers import Factor, Network, Plasticity, Population, SpikeTrace, Synapse, Term, source_of
from snncc.plasticity import stirrers

Side = Literal["pre", "post"]
LETTERS = {"pre": "x", "post": "y"}  # of traces, as Lava's own learning processes have them
_EVERY = {"pre": "self.sources", "post": "self.targets"}


@dataclass(frozen=True)
class Trace:
    """A trace by its name: `decay` is how it is rounded, "keep" or "clear", and it keeps `keep` of 2**bits.

    `earlier` if a term reads it as it was before the spikes of the step.
    """

    name: str
    decay: str
    keep: int
    bits: int
    jump: int
    highest: int
    latest: bool
    cleared: bool
    earlier: bool


@dataclass(frozen=True)
class Rule:
    """What tells one class of synapses from another; all of `plasticity` but the seed, weights as they are stored.

    `terms` are Python, with what triggers them; `rows` and `columns` say which synapses a step may change.
    """

    pre: tuple[Trace, ...]
    post: tuple[Trace, ...]
    terms: tuple[tuple[str, str], ...]
    rows: str
    columns: str
    lowest: int
    highest: int
    guard: int
    shift: int
    period: int
    total: int
    every: int
    spiking: bool
    stochastic: bool
    rewarded: bool

    @property
    def triggers(self) -> list[str]:
        """What makes weights change."""
        return sorted({when for when, _ in self.terms})

    @property
    def title(self) -> str:
        """The name of the class, before it is numbered."""
        kind = "Periodic" if self.triggers == ["period"] else "Mixed" if "period" in self.triggers else "SpikeTiming"
        return ("Rewarded" if self.rewarded else "") + kind + "Dense"

    @property
    def summary(self) -> str:
        """When it learns, in words."""
        events = {"post": "a target spikes", "pre": "a source spikes"}
        steps = "in each step" if self.period == 1 else f"every {self.period} steps"
        found = " or ".join(events[each] for each in self.triggers if each in events)
        when = " and ".join([*(["when " + found] if found else []), *([steps] if "period" in self.triggers else [])])
        return f"Learns {when}{', by a reward' if self.rewarded else ''}"

    @property
    def traces(self) -> tuple[Trace, ...]:
        return (*self.pre, *self.post)

    @property
    def cleared(self) -> tuple[Trace, ...]:
        return tuple(each for each in self.traces if each.cleared)

    @property
    def roundings(self) -> tuple[str, ...]:
        """The roundings of its decays."""
        return tuple(each.decay for each in self.traces if each.decay not in {"keep", "clear"})

    @property
    def draws(self) -> bool:
        """Whether anything is rounded by draws."""
        return self.stochastic and bool(self.shift or self.total)

    @property
    def reads_weight(self) -> bool:
        """Whether a change depends on the weight."""
        return any(re.search(r"\bw\b", product) for _, product in self.terms)

    @property
    def divides(self) -> bool:
        """Whether a factor is rounded up."""
        return any("up(" in product for _, product in self.terms)


@dataclass(frozen=True, eq=False)
class Plastic:
    """A group that learns as a process of its own; its weights are (targets, sources).

    It reads what was sent `delay` steps ago, and learns in its target's window, which begins at `start`.
    """

    name: str
    ident: str
    source: str
    target: str
    rule: Rule
    shape: tuple[int, int]
    weight_exp: int
    delay: int
    start: int
    seed: int


def plastic(network: Network, name: str, ident: str) -> Plastic:
    """The process of a group that learns."""
    op = network[name]
    assert isinstance(op, Synapse)
    assert op.plasticity
    source, delay = source_of(network, name)
    target = network.outgoing(name)[0].target
    population = network[target]
    assert isinstance(population, Population)
    rule, shape = rule_of(op.plasticity), (op.map.out_size, op.map.in_size)
    seed = op.plasticity.seed
    return Plastic(name, ident, source, target, rule, shape, op.exponent, delay, population.start, seed)


def rule_of(rule: Plasticity) -> Rule:
    """A rule in the template's words."""
    low, high = rule.stored
    whole = rule.normalisation
    return Rule(
        tuple(_trace(rule, "pre", number) for number in range(len(rule.pre))),
        tuple(_trace(rule, "post", number) for number in range(len(rule.post))),
        tuple((term.when, product(term)) for term in rule.terms),
        _reach(rule, "post"),
        _reach(rule, "pre"),
        low,
        high,
        rule.guard,
        rule.shift,
        rule.period,
        whole.total if whole else 0,
        whole.every if whole else 0,
        bool(whole and whole.spiking),
        rule.stochastic,
        bool(rule.reward),
    )


def _trace(rule: Plasticity, side: Side, number: int) -> Trace:
    trace: SpikeTrace = (rule.pre if side == "pre" else rule.post)[number]
    amount, whole = int(trace.decay.amount), 1 << trace.decay.bits
    how = "keep" if not amount else "clear" if amount == whole else trace.decay.rounding
    read = any(
        (factor.variable, factor.trace) in {("post", number), ("most post", number)}
        for term in rule.terms
        for factor in (*term.factors, *([term.per] if term.per else []))
        if term.when != "period"
    )
    return Trace(
        f"{LETTERS[side]}{number}",
        how,
        whole - amount,
        trace.decay.bits,
        trace.jump,
        trace.highest,
        trace.latest,
        trace.cleared,
        side == "post" and read,
    )


def _reach(rule: Plasticity, side: Side) -> str:
    """Which neurons of a side have synapses that a step may change."""
    triggers, every = {term.when for term in rule.terms}, _EVERY[side]
    if triggers == {"period"}:
        moving = stirrers(rule, side)
        return f"np.flatnonzero({' | '.join(f'self.{LETTERS[side]}{n}' for n in moving)})" if moving else every
    if side not in triggers:
        return every
    own, other = ("x", "s") if side == "pre" else ("s", "x")
    ways = ["due"] * ("period" in triggers) + [f"{other}.any()"] * (len(triggers - {"period"}) > 1)
    return f"{every} if {' or '.join(ways)} else np.flatnonzero({own})" if ways else f"np.flatnonzero({own})"


def product(term: Term) -> str:
    """A term in Python: its rate times its factors, divided if it has to be."""
    later = term.when == "period"
    found = " * ".join([str(term.rate), *(_factor(each, later=later) for each in term.factors)])
    return f"{found} // max(1, {_factor(term.per, later=later, bare=True)})" if term.per else found


def _factor(factor: Factor, *, later: bool, bare: bool = False) -> str:
    """gain * ceil(variable / divisor) + offset, in parentheses if there is anything to add, unless `bare`."""
    value = _variable(factor, later=later)
    value = f"up({value}, {factor.divisor})" if factor.divisor > 1 else value
    if factor.gain == -1:
        plain = f"{factor.offset} - {value}"
    else:
        scaled = value if factor.gain == 1 else f"{factor.gain} * {value}"
        if not factor.offset:
            return scaled
        plain = f"{scaled} {'-' if factor.offset < 0 else '+'} {abs(factor.offset)}"
    return plain if bare else f"({plain})"


def _variable(factor: Factor, *, later: bool) -> str:
    number, variable = factor.trace, factor.variable
    if variable in ("weight", "reward"):
        return {"weight": "w", "reward": "reward"}[variable]
    trace = f"self.x{number}" if variable.endswith("pre") else f"self.y{number}" if later else f"y{number}"
    if variable.startswith("most"):
        return f"{trace}.max()"
    return f"{trace}[columns]" if variable == "pre" else f"{trace}[rows, None]"
