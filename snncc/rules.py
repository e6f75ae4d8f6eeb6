"""Learning rules as data: `rules/NAME.toml` or a file of the user's, checked key by key, with the lines of faults.

A rule speaks of parts: weights are parts of the highest one, a trace is 1 after a spike, rates change a weight by a
part of its range. What that is in integers, on a given layer and chip, `passes.teach` works out.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

from snncc import records
from snncc.diagnostics import CompileError, Diagnostic, check, fault
from snncc.records import Count, Range, Reader

BAD = "bad-rule-file"
MOST_TRACE_BITS = 16
MOST_SEED = (1 << 32) - 1
_NONE, _ONE = Count(0), Count(1)
MOST_SPIKES = 255  # where counts end
_MOST_FACTORS = 8  # of a term: more have no use, and could have products that no number holds
_MOST_OFFSET = 1 << 16
_MOST_REWARD = (1 << 16) - 1
_MOST_THRESHOLD = 1 << 16
_WEIGHTS = (1e-30, 1e30)  # what a maximum lies between
_NUMBER = r"\d+(?:\.\d+)?(?:[eE][-+]?\d+)?"
_FORM = re.compile(
    rf"(?:(?P<before>{_NUMBER})\s*(?P<minus>[-+])\s*)?"
    rf"(?:ceil\(\s*most\s+(?P<counted>\w+)\s*/\s*(?P<divisor>\d{{1,9}})\s*\)|(?P<most>most\s+)?(?P<name>[A-Za-z_]\w*))"
    rf"(?:\s*(?P<sign>[-+])\s*(?P<after>{_NUMBER}))?"
)
_FORMS = "a factor is NAME, most NAME or ceil(most NAME / 8), with a number before or after it: 1 - w, x - 0.4"


@dataclass(frozen=True)
class WeightRule:
    """Weights of `bits` bits as neurons see them, and `guard` more as they are stored; whole numbers of `bounds`,
    [0, 0] for all that the bits hold.

    `signed` weights go down to minus their highest. `maximum` is the weight of the model that the highest stands for,
    0 for the largest of the layer. `normalise` is the mean weight into a neuron after each sample, or every
    `normalise_every` steps, as a part of the highest; 0 for none. `normalise_targets` says into which neurons: all, or
    those that spiked since the last time.
    """

    bits: int
    guard: Count = _NONE
    signed: bool = False
    bounds: Range = (0, 0)
    maximum: float = 0.0
    normalise: float = 0.0
    normalise_every: Count = _NONE
    normalise_targets: Literal["all", "spiking"] = "all"

    @property
    def room(self) -> int:
        """The greatest weight that the bits hold."""
        return (1 << (self.bits - self.signed)) - 1

    @property
    def highest(self) -> int:
        return self.bounds[1] or self.room

    @property
    def lowest(self) -> int:
        return -self.highest if self.signed else self.bounds[0]

    @property
    def stored(self) -> int:
        """The highest weight as it is stored."""
        return self.highest << self.guard


@dataclass(frozen=True)
class TraceRule:
    """What the neurons `of` a side remember of their spikes.

    `latest` is 1 after a spike, `sum` adds 1 and ends at `peak`; both decay with a `time_constant` in steps, in numbers
    of `bits` bits. `count` counts the spikes of a sample, `flag` is 1 for those that spiked since the last update.
    """

    of: Literal["pre", "post"]
    kind: Literal["latest", "sum", "count", "flag"]
    time_constant: float = 0.0
    bits: int = 12
    peak: float = 1.0

    @property
    def unit(self) -> int:
        """The integer that stands for 1."""
        top = (1 << self.bits) - 1
        return {"latest": top, "sum": max(1, int(top / max(self.peak, 1.0)))}.get(self.kind, 1)


@dataclass(frozen=True)
class TermRule:
    """A part of the weight's range, `up` or `down`, times `factors`, divided by `per`, at each of its triggers.

    The least that `per` divides by is the integer 1: one spike of a count, next to nothing of a trace that fades.
    """

    on: Literal["pre", "post", "period"]
    factors: tuple[str, ...] = ()
    up: float = 0.0
    down: float = 0.0
    per: str = ""

    @property
    def rate(self) -> float:
        return self.up - self.down


@dataclass(frozen=True)
class ThresholdRule:
    """Learnt thresholds: parts of the neuron's own one, more by `jump` with each spike, at most `most` times as much.

    After each sample `decay` of what was learnt is lost.
    """

    jump: float
    decay: float = 0.0
    most: float = 8.0


@dataclass(frozen=True)
class FactorRule:
    """A factor as it was read: sign * variable + offset; `ceiling` n > 1 for ceil(most of it / n)."""

    name: str
    most: bool = False
    sign: int = 1
    offset: float = 0.0
    divisor: int = 1


@dataclass(frozen=True)
class _Head:
    """What a rule's file says outside the tables that have names; private, for reading."""

    description: str
    source: str
    weight: WeightRule
    threshold: ThresholdRule | None = None
    period: Count = _ONE
    reward: Count = _NONE
    rounding: Literal["stochastic", "nearest"] = "stochastic"


@dataclass(frozen=True)
class Rule(_Head):
    """A learning rule; periodic terms come every `period` steps, |reward| is at most `reward`."""

    traces: Mapping[str, TraceRule] = field(default_factory=dict[str, TraceRule])
    terms: Mapping[str, TermRule] = field(default_factory=dict[str, TermRule])


def folder() -> Path:
    """Where the shipped rules are: inside the installed package, or beside it in a source tree."""
    installed = Path(__file__).parent / "_rules"
    return installed if installed.is_dir() else Path(__file__).parents[1] / "rules"


def known() -> tuple[str, ...]:
    """The names of the shipped rules, sorted."""
    return tuple(sorted(path.stem for path in folder().glob("*.toml")))


def seed_faults(seed: int) -> Iterator[Diagnostic]:
    """Why draws cannot begin with a seed: they take 32 bits."""
    if not 0 <= seed <= MOST_SEED:
        yield Diagnostic("bad-option", "--seed", f"{seed:,} is not within 0 to {MOST_SEED:,}")


def load(rule: str | Path) -> Rule:
    """The rule of a shipped name, or of a TOML file given by its path.

    Raises CompileError: `unknown-rule`, or `bad-rule-file` once per fault of the file.
    """
    return parsed(text_of(rule), str(rule))


def text_of(rule: str | Path) -> str:
    """The text of a rule; raises CompileError: `unknown-rule`, `bad-rule-file`."""
    path = Path(rule)
    if path.suffix != ".toml":
        path = folder() / f"{rule}.toml"
        if str(rule) not in known():
            raise _unknown(str(rule))
    return records.load(path, str(rule), BAD)[1].text


def parsed(text: str, name: str) -> Rule:
    """The rule of a file's text, called `name` in faults; raises CompileError (`bad-rule-file`)."""
    data = dict(records.parse(text, name, BAD))
    reader = Reader(name, text, BAD)
    traces, terms = data.pop("trace", {}), data.pop("term", {})
    check((*_named("trace", TraceRule, traces, reader), *_named("term", TermRule, terms, reader)))
    check(reader.faults(_Head, data))
    head = records.build(_Head, data)
    rule = Rule(
        **vars(head),
        traces={key: records.build(TraceRule, value) for key, value in traces.items()},
        terms={key: records.build(TermRule, value) for key, value in terms.items()},
    )
    check((*_impossible(rule, reader), *_unreadable(rule, reader)))
    check((*_unstable(rule, reader), *_unused(rule, reader)))
    return rule


def _unknown(rule: str) -> CompileError:
    close = difflib.get_close_matches(rule, known(), n=1)
    guess = f"did you mean {close[0]}? " if close else ""
    hint = f"{guess}known: {', '.join(known())}; or give the path of a .toml file"
    return fault("unknown-rule", rule, "there is no such rule", hint)


def _named(what: str, kind: type[Any], data: Any, reader: Reader) -> Iterator[Diagnostic]:
    """Faults of the tables [what.NAME]."""
    if not isinstance(data, dict):
        yield reader.fault(what, f"must be tables with names: [{what}.NAME]")
        return
    for name, value in cast("dict[str, Any]", data).items():
        if not isinstance(value, dict):
            yield reader.fault(f"{what}.{name}", f"must be a table, not {value!r}")
        elif name in ("w", "reward", "most", "ceil") or not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII):
            yield reader.fault(f"{what}.{name}", "is no name that factors can have")
        else:
            yield from reader.faults(kind, cast("dict[str, Any]", value), f"{what}.{name}.")


def _impossible(rule: Rule, reader: Reader) -> Iterator[Diagnostic]:
    """What of the numbers cannot be."""
    yield from _impossible_weight(rule.weight, reader)
    for name, trace in rule.traces.items():
        yield from _impossible_trace(name, trace, reader)
    if rule.threshold:
        yield from _impossible_threshold(rule.threshold, reader)
    if not rule.period:
        yield reader.fault("period", "must be at least 1 step")
    if rule.reward > _MOST_REWARD:
        yield reader.fault("reward", f"must be at most {_MOST_REWARD:,}")
    if not rule.terms:
        yield reader.fault("term", "is missing: without terms nothing is learnt", "add a table [term.NAME]")


def _impossible_threshold(threshold: ThresholdRule, reader: Reader) -> Iterator[Diagnostic]:
    if threshold.most > _MOST_THRESHOLD:
        yield reader.fault("threshold.most", f"must be at most {_MOST_THRESHOLD:,}")
    if not 0 < threshold.jump <= threshold.most:
        yield reader.fault("threshold.jump", f"must be more than 0, and at most threshold.most, {threshold.most:g}")
    if threshold.decay > 1:
        yield reader.fault("threshold.decay", "must be at most 1")


def _impossible_weight(weight: WeightRule, reader: Reader) -> Iterator[Diagnostic]:
    if weight.bits > 8 or (weight.signed and weight.bits < 2):
        yield reader.fault("weight.bits", f"must be {1 + weight.signed} to 8")
    if weight.bounds[1] > weight.room:
        kind = "signed" if weight.signed else "unsigned"
        message = f"end at {weight.bounds[1]:,}; {weight.bits} bits, {kind}, hold 1 to {weight.room:,}"
        yield reader.fault("weight.bounds", message)
    if weight.bounds[0] and (weight.signed or weight.bounds[0] == weight.bounds[1]):
        yield reader.fault("weight.bounds", "leave no room" if not weight.signed else "of signed weights begin at 0")
    if weight.bits + weight.guard > 16:
        yield reader.fault("weight.guard", f"must be at most {16 - weight.bits}: a stored weight has up to 16 bits")
    if weight.normalise and (weight.signed or weight.normalise > 1):
        yield reader.fault("weight.normalise", "must be at most 1, of weights that are not signed")
    if weight.normalise_every and not weight.normalise:
        yield reader.fault("weight.normalise_every", "says when, but weight.normalise does not say to what")
    if weight.normalise_targets != "all" and not weight.normalise:
        yield reader.fault("weight.normalise_targets", "says which, but weight.normalise does not say to what")
    if weight.maximum and not _WEIGHTS[0] <= weight.maximum <= _WEIGHTS[1]:
        yield reader.fault("weight.maximum", f"must be 0, or from {_WEIGHTS[0]:g} to {_WEIGHTS[1]:g}")


def _impossible_trace(name: str, trace: TraceRule, reader: Reader) -> Iterator[Diagnostic]:
    if trace.bits > MOST_TRACE_BITS:
        yield reader.fault(f"trace.{name}.bits", f"must be at most {MOST_TRACE_BITS}")
    if trace.kind in ("latest", "sum") and trace.time_constant < 1:
        message = f"must be at least 1 step, not {trace.time_constant:g}: a trace that is gone at once has no use"
        yield reader.fault(f"trace.{name}.time_constant", message)
    if trace.peak < 1:
        yield reader.fault(f"trace.{name}.peak", "must be at least 1")


def factor(text: str) -> FactorRule | None:
    """A factor from its text, None if it has another form."""
    found = _FORM.fullmatch(text.strip())
    if not found or (found["before"] and found["after"]):
        return None
    offset = float(found["before"] or found["after"] or 0.0) * (-1 if found["sign"] == "-" else 1)
    sign = -1 if found["minus"] == "-" else 1
    if found["counted"]:
        return FactorRule(found["counted"], True, sign, offset, int(found["divisor"]))
    return FactorRule(found["name"], bool(found["most"]), sign, offset)


def _unreadable(rule: Rule, reader: Reader) -> Iterator[Diagnostic]:
    """Factors that are none, or that name what the rule does not have."""
    for name, term in rule.terms.items():
        where = f"term.{name}"
        if bool(term.up) == bool(term.down):
            yield reader.fault(where, "needs one of up and down, greater than 0")
        if len(term.factors) > _MOST_FACTORS:
            yield reader.fault(f"{where}.factors", f"are {len(term.factors):,}; a term has up to {_MOST_FACTORS}")
        for text in (*term.factors, *([term.per] if term.per else [])):
            key = f"{where}.{'per' if text == term.per else 'factors'}"
            found = factor(text)
            if found is None:
                yield reader.fault(key, f"cannot be read: {text!r}", _FORMS)
            else:
                yield from _unknown_names(rule, found, key, reader, shared=text == term.per)


def _unknown_names(rule: Rule, found: FactorRule, key: str, reader: Reader, *, shared: bool) -> Iterator[Diagnostic]:
    names = (*rule.traces, "w", *(["reward"] if rule.reward else []))
    if found.name not in names:
        close = difflib.get_close_matches(found.name, names, n=1)
        hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(names)}"
        if found.name == "reward":
            hint = "say how great it can be: reward = 3, before the first table"
        yield reader.fault(key, f"there is no trace {found.name!r}", hint)
        return
    trace = rule.traces.get(found.name)
    if found.most and trace is None:
        yield reader.fault(key, f"most is of traces, not of {found.name}")
    if found.divisor != 1 and (trace is None or trace.kind != "count" or not 1 <= found.divisor <= MOST_SPIKES):
        yield reader.fault(key, f"ceil(most NAME / NUMBER) is of a count, by a number from 1 to {MOST_SPIKES}")
    if abs(found.offset) > _MOST_OFFSET:
        yield reader.fault(key, f"the number {abs(found.offset):g} is more than {_MOST_OFFSET:,}")
    if shared and not (found.most or found.name == "reward"):
        yield reader.fault(key, f"{found.name} differs from synapse to synapse; divide by most of a trace")


def _ends(rule: Rule, found: FactorRule) -> tuple[float, float]:
    """The least and the greatest value of a factor."""
    trace = rule.traces.get(found.name)
    most = float(rule.reward) if found.name == "reward" else 1.0
    if trace is not None and trace.kind == "sum":
        most = trace.peak
    if trace is not None and trace.kind == "count":
        most = float(-(-MOST_SPIKES // found.divisor))
    low = -most if found.name == "reward" or (found.name == "w" and rule.weight.signed) else 0.0
    ends = [found.sign * end + found.offset for end in (low, most)]
    return min(ends), max(ends)


def _divisor(rule: Rule, term: TermRule) -> float:
    """The least that a term is divided by: its integer is at least 1, which is little of a trace that fades."""
    found = factor(term.per) if term.per else None
    if found is None:
        return 1.0
    trace = rule.traces.get(found.name)
    return max(1 / trace.unit if trace else 1.0, _ends(rule, found)[0])


def _change(rule: Rule, term: TermRule) -> float:
    """The most that a term changes a weight by at once, as a part of its range."""
    spans = (max(map(abs, _ends(rule, found))) for each in term.factors if (found := factor(each)))
    return abs(term.rate) * math.prod(spans) / _divisor(rule, term)


def _unstable(rule: Rule, reader: Reader) -> Iterator[Diagnostic]:
    """Terms that throw a weight from end to end at once, each or together."""
    together: dict[tuple[str, str], dict[str, float]] = {}
    for name, term in rule.terms.items():
        change, way = _change(rule, term), "up" if term.up else "down"
        together.setdefault((term.on, way), {})[name] = change
        if change > 1.0:
            message = f"may change a weight by {change:g} of its range at once; up to 1 is stable"
            hint = f"make it at most {abs(term.rate) / change:.2g}"
            if _divisor(rule, term) < 1.0:
                hint += f"; or divide by what does not fade to 0: {term.per} + 1"
            yield reader.fault(f"term.{name}.{way}", message, hint)
    for (_, way), changes in together.items():
        if max(changes.values()) <= 1.0 < (total := sum(changes.values())):
            *others, last = changes
            message = f"may, with {', '.join(others)}, change a weight by {total:g} of its range at once"
            yield reader.fault(f"term.{last}.{way}", f"{message}; up to 1 is stable", "lower their rates")


def _unused(rule: Rule, reader: Reader) -> Iterator[Diagnostic]:
    """What no term speaks of."""
    texts = [text for term in rule.terms.values() for text in (*term.factors, term.per)]
    named = {found.name for each in texts if (found := factor(each))}
    for name in rule.traces:
        if name not in named:
            yield reader.fault(f"trace.{name}", "is used by no term", "name it among a term's factors, or leave it out")
    if rule.reward and "reward" not in named:
        yield reader.fault("reward", "is used by no term", "name it among a term's factors, or leave it out")
