"""Makes synapse groups of a network plastic: a rule's parts become the integers of a group's own grid.

Before a network is quantised, a group that learns gets the greatest weights that it may ever have, so that grids and
registers are chosen for these; after it, the weights that it begins with, on the grid that came of it.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from snncc.arrays import Floats, frozen
from snncc.chip import Chip
from snncc.diagnostics import Diagnostic, check
from snncc.graph import Graph
from snncc.integers import (
    Decay,
    Factor,
    IntOp,
    Network,
    Normalisation,
    Plasticity,
    Population,
    Source,
    SpikeTrace,
    Synapse,
    Term,
    source_of,
)
from snncc.layers import Layer, Linear, Neuron
from snncc.linear import Conv, Dense, LinearMap, operator
from snncc.passes.precision import OPTION as BITS
from snncc.passes.precision import RULE, Width
from snncc.passes.thresholds import learning, unlearnable
from snncc.plasticity import largest_change, mixed
from snncc.rules import MOST_SPIKES, FactorRule, Rule, TermRule, ThresholdRule, TraceRule, factor

OPTION = "--learn"
_OWN_BITS = "change the rule: bits of its [weight], or `snncc new --bits`"
_FINEST = 64  # integers that stand for a rate, if the shift reaches that far
_COARSEST = 4
_MOST_SHIFT = 31
_MOST_CHANGE = 1 << 60
_MOST_DENSE = 1 << 26  # synapses of a group that learns
_TRACE_DECAY = 12  # bits


@dataclass(frozen=True, eq=False)
class Lessons:
    """What learns what: the rule of each synapse group, its weights (out_size, in_size), and the greatest one.

    `thresholds` says how those of populations learn. `warnings` are about weights that cannot begin where they were
    trained, and sums that nothing keeps.
    """

    rules: Mapping[str, Rule]
    weights: Mapping[str, Floats]
    greatest: Mapping[str, float]
    thresholds: Mapping[str, ThresholdRule]
    warnings: tuple[Diagnostic, ...] = ()

    @property
    def widths(self) -> Mapping[str, Width]:
        """The bits of the grids that groups lie on, sign included."""
        return {name: 1 + rule.weight.highest.bit_length() for name, rule in self.rules.items()}

    @property
    def grown(self) -> Mapping[str, float]:
        """How many times as high as their own the thresholds of populations may come to be."""
        return {name: 1.0 + rule.most for name, rule in self.thresholds.items()}


def lessons(graph: Graph[Layer], learn: Mapping[str, Rule]) -> Lessons:
    """The groups of a legal graph that learn, by the names of groups, or of populations that have one.

    Raises CompileError: `unknown-layer`, `cannot-be-plastic`.
    """
    check(_unknown(graph, learn))
    rules = {_group(graph, name): rule for name, rule in learn.items()}
    unfit = [fault for name, rule in rules.items() for fault in _unfit(graph, name, rule)]
    check((*unfit, *_of_two_minds(graph, rules)))
    weights: dict[str, Floats] = {}
    for name in rules:
        op = graph[name]
        assert isinstance(op, Linear)
        weights[name] = _dense(op.map)
    greatest = {
        name: rule.weight.maximum or float(np.abs(weights[name]).max(initial=0.0)) for name, rule in rules.items()
    }
    moved = [fault for name, rule in rules.items() for fault in _moved(name, rule, weights[name], greatest[name])]
    drifting = [fault for name, rule in rules.items() for fault in _drifting(name, rule)]
    thresholds = {graph.outgoing(name)[0].target: rule.threshold for name, rule in rules.items() if rule.threshold}
    return Lessons(rules, weights, greatest, thresholds, (*moved, *drifting))


def _moved(name: str, rule: Rule, weight: Floats, greatest: float) -> Iterator[Diagnostic]:
    """Warns of weights that lie outside the rule's range, and so begin at its ends."""
    least = greatest * rule.weight.lowest / rule.weight.highest
    for out, end, hint in (
        (weight < least, f"below {least:g}", "take a rule whose weights have a sign: [weight] signed = true"),
        (weight > greatest, f"above {greatest:g}", "raise the rule's maximum, or leave it out: [weight] maximum"),
    ):
        if out.any():
            count = f"{np.count_nonzero(out):,} of its {out.size:,} weights"
            message = f"{count} are {end}, where the rule's end: they begin there"
            yield Diagnostic("clipped-weights", name, message, hint, "warning")


def _drifting(name: str, rule: Rule) -> Iterator[Diagnostic]:
    """Warns of terms that change weights which are not normalised: those into targets that did not spike since."""
    if rule.weight.normalise_targets == "all":
        return
    for term, each in rule.terms.items():
        if each.on != "post" and not any(_of_spiking(rule, found) for found in _factors(each)):
            message = f"term.{term} changes weights into targets that did not spike, too, which are not normalised"
            hint = 'make it on = "post", give it a flag of targets as a factor, or leave out weight.normalise_targets'
            yield Diagnostic("drifting-sums", name, message, hint, "warning")


def _of_spiking(rule: Rule, found: FactorRule) -> bool:
    """Whether a factor is 0 for all targets that did not spike since the weights were last normalised."""
    trace = rule.traces.get(found.name)
    if trace is None or trace.of != "post" or found.most or found.offset:
        return False
    every = rule.weight.normalise_every
    return not every or (trace.kind == "flag" and every % rule.period == 0)  # traces begin with 0 in each sample


def _unknown(graph: Graph[Layer], learn: Mapping[str, Rule]) -> Iterator[Diagnostic]:
    known = [name for name, op in graph.ops.items() if isinstance(op, (Linear, Neuron))]
    for name in learn:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            guess = f"did you mean {close[0]}? " if close else ""
            hint = f"{guess}there are {', '.join(known[:6])}"
            yield Diagnostic("unknown-layer", OPTION, f"there are no synapses and no population called {name}", hint)
        elif isinstance(graph[name], Neuron) and len(graph.incoming(name)) != 1:
            groups = ", ".join(edge.source for edge in graph.incoming(name)) or "none"
            message = f"{name} is fed by {groups}: name one of them"
            yield Diagnostic("unknown-layer", OPTION, message)


def other_widths(
    graph: Graph[Layer], given: Lessons, width: Width | None, own: Mapping[str, Width]
) -> Iterator[Diagnostic]:
    """Widths that --weight-bits gives to groups that learn, whose bits are their rules': None is no `width` of all.

    A group's own is refused; of all, or of a population that has others, they are for those others.
    """
    for name, rule in given.rules.items():
        population, bits = graph.outgoing(name)[0].target, f"the {rule.weight.bits} bits of its rule"
        alone = all(edge.source in given.rules for edge in graph.incoming(population))
        if name in own or (alone and population in own):
            message = f"{name} learns with {bits}; {own.get(name, own.get(population))} were asked for"
            yield Diagnostic(RULE, BITS, message, _OWN_BITS)
        elif (asked := own.get(population, width)) is not None and asked != rule.weight.bits:
            text = f"{population}={asked}" if population in own else str(asked)
            message = f"learns with {bits}; {BITS} {text} is for what does not learn"
            yield Diagnostic(RULE, name, message, _OWN_BITS, "warning")


def _group(graph: Graph[Layer], name: str) -> str:
    return graph.incoming(name)[0].source if isinstance(graph[name], Neuron) else name


def taught_twice(graph: Graph[Layer], learn: Sequence[tuple[str, str | Rule]]) -> Iterator[Diagnostic]:
    """Groups that are given two rules, by their own name or that of their population."""
    first: dict[str, str] = {}
    for name, given in learn:
        group, rule = _group(graph, name), given if isinstance(given, str) else repr(given.description)
        if group in first:
            message = f"{group} is to learn by {first[group]} and by {rule}; it can have one rule"
            yield Diagnostic("bad-option", OPTION, message, "leave one of them out")
        first[group] = rule


def _unfit(graph: Graph[Layer], name: str, rule: Rule) -> Iterator[Diagnostic]:
    op = graph[name]
    assert isinstance(op, Linear)
    (edge,) = graph.outgoing(name)
    target = graph[edge.target]
    if isinstance(op.map, Conv):
        message = "shares its weights, as a convolution does; a rule changes each synapse by itself"
        yield Diagnostic("cannot-be-plastic", name, message, "let a fully connected layer learn")
    elif op.map.in_size * op.map.out_size > _MOST_DENSE:
        count = op.map.in_size * op.map.out_size
        yield Diagnostic("cannot-be-plastic", name, f"has {count:,} synapses; up to {_MOST_DENSE:,} can learn")
    elif not np.isfinite(op.map.weight).all() or not (rule.weight.maximum or np.abs(op.map.weight).max(initial=0.0)):
        message = "has no weight from which the rule's highest could be taken"
        yield Diagnostic("cannot-be-plastic", name, message, "give the rule a maximum: [weight] maximum = 1.0")
    if isinstance(target, Neuron) and target.threshold is None and rule.traces:
        message = f"feeds {edge.target}, which never fires; the rule would never see a spike of it"
        yield Diagnostic("cannot-be-plastic", name, message, "let a layer before the read-out learn")
    if isinstance(target, Neuron) and target.adapt and rule.threshold:
        message = f"feeds {edge.target}, whose threshold adapts already, while the rule would learn another adaptation"
        yield Diagnostic("cannot-be-plastic", name, message, "take [threshold] out of the rule")


def _of_two_minds(graph: Graph[Layer], rules: Mapping[str, Rule]) -> Iterator[Diagnostic]:
    """Populations whose one threshold would learn in two ways, by the rules of two groups into them."""
    first: dict[str, tuple[str, ThresholdRule]] = {}
    for name, rule in rules.items():
        if rule.threshold:
            target = graph.outgoing(name)[0].target
            other, own = first.setdefault(target, (name, rule.threshold))
            if own != rule.threshold:
                ways = " and ".join(
                    f"as the rule of {group} says ({', '.join(f'{key} {value}' for key, value in vars(way).items())})"
                    for group, way in ((other, own), (name, rule.threshold))
                )
                hint = "write the same [threshold] into both rules, or take it out of one"
                yield Diagnostic("cannot-be-plastic", target, f"its threshold is to learn {ways}", hint)


def _dense(linear: LinearMap) -> Floats:
    if isinstance(linear, Dense):
        return linear.weight.astype(np.float64)
    return operator(linear, np.float64)(np.eye(linear.in_size)).T


def _grid(rule: Rule) -> int:
    """Where the grid of a rule's weights ends: they may end below, at any whole number."""
    return (1 << rule.weight.highest.bit_length()) - 1


def widened(graph: Graph[Layer], given: Lessons) -> Graph[Layer]:
    """The graph with weights at the ends of the grids that its groups need."""
    ops: dict[str, Layer] = dict(graph.ops)
    for name, rule in given.rules.items():
        op = ops[name]
        assert isinstance(op, Linear)
        greatest = given.greatest[name] * (_grid(rule) / rule.weight.highest)
        weight = np.full(given.weights[name].shape, greatest)
        if rule.weight.lowest < 0:
            weight[:, 1::2] *= -1
        ops[name] = replace(op, map=Dense(weight))
    return Graph(ops, graph.edges)


def taught(network: Network, given: Lessons, chip: Chip, seed: int) -> Network:
    """The quantised network, its groups plastic.

    Raises CompileError: `rule-too-fine` where no integers stand for a rate or a jump, `learn-range` where other
    synapses keep a group from the whole of its weights' range, `signed-input` where it reads negative values,
    `clipped-threshold` where a register has no room for a jump.
    """
    ops: dict[str, IntOp] = dict(network.ops)
    faults: list[Diagnostic] = []
    for number, (name, rule) in enumerate(given.rules.items()):
        synapse = ops[name]
        assert isinstance(synapse, Synapse)
        found = int(synapse.map.weight.max(initial=0))
        faults += _off_range(network, name, rule, found)
        scale = rule.weight.highest / given.greatest[name]
        start = np.clip(np.rint(given.weights[name] * scale), rule.weight.lowest, rule.weight.highest)
        plasticity = integer_rule(rule, given.weights[name].shape[1], seed ^ int(mixed(np.asarray(number))))
        faults += _too_fine(name, rule, plasticity)
        ops[name] = replace(synapse, map=Dense(frozen(start.astype(np.int16))), plasticity=plasticity)
    for name, threshold in given.thresholds.items():
        population = network[name]
        assert isinstance(population, Population)
        ops[name] = made = learning(population, threshold, chip)
        faults += unlearnable(name, made)
    check(faults)
    return Graph(ops, network.edges)


def _off_range(network: Network, name: str, rule: Rule, found: int) -> Iterator[Diagnostic]:
    if found != _grid(rule):
        message = f"its grid ends at {found:,} beside the other synapses of its population"
        hint = "make the others smaller, the rule's maximum larger, or its weights narrower: [weight] bits"
        yield Diagnostic("learn-range", name, f"{message}; the rule's ends at {_grid(rule):,}", hint)
    source = network[source_of(network, name)[0]]
    if isinstance(source, Source) and source.signed:
        message = "reads values that may be negative; a rule speaks of spikes"
        yield Diagnostic("signed-input", name, message, "shift the input so that it is never negative")


def _too_fine(name: str, rule: Rule, made: Plasticity) -> Iterator[Diagnostic]:
    for (term, given), each in zip(rule.terms.items(), made.terms, strict=True):
        if abs(each.rate) < _COARSEST:
            message = f"term.{term} changes weights by {given.rate:g} of their range, too little for {made.shift} bits"
            hint = "raise the rate, take fewer bits for its traces, or more guard bits for the weights"
            yield Diagnostic("rule-too-fine", name, message, hint)
    if largest_change(made) >= _MOST_CHANGE:
        message = "its terms multiply so many bits that their sum does not fit 60"
        yield Diagnostic("rule-too-fine", name, message, "take fewer bits for its traces")


def integer_rule(rule: Rule, sources: int, seed: int) -> Plasticity:
    """The rule in integers, for groups with so many sources."""
    sides = {side: [n for n, each in rule.traces.items() if each.of == side] for side in ("pre", "post")}
    pre, post = (tuple(_trace(rule.traces[name]) for name in sides[side]) for side in ("pre", "post"))
    reals = [_rate(rule, term) for term in rule.terms.values()]
    least = min(map(abs, reals))
    shift = next((n for n in range(_MOST_SHIFT) if math.ldexp(least, n) >= _FINEST), _MOST_SHIFT)
    terms = tuple(
        Term(
            term.on,
            round(math.ldexp(real, shift)),
            tuple(_factor(rule, sides, each) for each in _factors(term)),
            _factor(rule, sides, found) if term.per and (found := factor(term.per)) else None,
        )
        for term, real in zip(rule.terms.values(), reals, strict=True)
    )
    weight = rule.weight
    whole = None
    if weight.normalise:
        total = max(1, round(weight.normalise * weight.stored * sources))
        whole = Normalisation(total, weight.normalise_every, weight.normalise_targets == "spiking")
    stochastic = rule.rounding == "stochastic"
    base = pre, post, terms, weight.lowest, weight.highest, weight.guard, shift, rule.period, whole, rule.reward
    return Plasticity(*base, stochastic=stochastic, seed=seed)


def _trace(trace: TraceRule) -> SpikeTrace:
    none = Decay(np.zeros((), np.int64), 0, "floor")
    if trace.kind in ("count", "flag"):
        flag = trace.kind == "flag"
        return SpikeTrace(none, 1, 1 if flag else MOST_SPIKES, latest=flag, cleared=flag)
    amount = round((1 - math.exp(-1 / trace.time_constant)) * (1 << _TRACE_DECAY))
    decay = Decay(np.asarray(max(1, amount)), _TRACE_DECAY, "floor")
    return SpikeTrace(decay, trace.unit, (1 << trace.bits) - 1, latest=trace.kind == "latest")


def _factors(term: TermRule) -> list[FactorRule]:
    return [found for each in term.factors if (found := factor(each))]


def _unit(rule: Rule, found: FactorRule) -> int:
    """The integer that stands for 1 of a factor."""
    if found.name == "w":
        return rule.weight.stored
    return rule.traces[found.name].unit if found.name in rule.traces else 1


def _rate(rule: Rule, term: TermRule) -> float:
    """What stored weights change by for factors of the integer 1."""
    units = math.prod(_unit(rule, each) for each in _factors(term))
    per = factor(term.per) if term.per else None
    return term.rate * rule.weight.stored * (_unit(rule, per) if per else 1) / units


def _factor(rule: Rule, sides: Mapping[str, list[str]], found: FactorRule) -> Factor:
    offset = round(found.offset * _unit(rule, found))
    if found.name == "w":
        return Factor("weight", 0, found.sign, offset)
    if found.name == "reward":
        return Factor("reward", 0, found.sign, offset)
    side = rule.traces[found.name].of
    number = sides[side].index(found.name)
    if not found.most:
        return Factor(side, number, found.sign, offset)
    variable = "most pre" if side == "pre" else "most post"
    return Factor(variable, number, found.sign, offset, found.divisor)
