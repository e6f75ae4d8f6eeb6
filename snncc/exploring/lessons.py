"""What a search chooses about learning rules: bits of weights and of traces, guard bits, periods; and rules as files.

Rates, time constants and factors stay as they are: they make another rule.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from snncc.rules import Rule, parsed

BITS, GUARD, PERIOD, TRACES = "bits", "guard", "period", "traces"
_MOST_BITS = 8
_GUARDS = (0, 2, 4, 8)
_TRACES = (8, 6, 4)  # bits, where a rule's have more
_DECAYING = ("latest", "sum")
_TABLES = {"traces": "trace", "terms": "term"}
Chosen = Mapping[str, int]


@dataclass(frozen=True)
class Taught:
    """A synapse group that learns, and the text of its rule."""

    group: str
    text: str

    @property
    def rule(self) -> Rule:
        return parsed(self.text, f"the rule of {self.group}")


def levers(rule: Rule) -> Mapping[str, tuple[int, ...]]:
    """What there is to choose about a rule, its own value first."""
    least = 1 + rule.weight.signed
    found = {
        BITS: _own_first(rule.weight.bits, range(_MOST_BITS, least - 1, -1)),
        GUARD: _own_first(rule.weight.guard, _GUARDS),
    }
    if any(term.on == "period" for term in rule.terms.values()):
        found[PERIOD] = _own_first(rule.period, (2 * rule.period, 4 * rule.period, max(1, rule.period // 2)))
    bits = [each.bits for each in rule.traces.values() if each.kind in _DECAYING]
    if bits:
        found[TRACES] = _own_first(max(bits), [each for each in _TRACES if each < max(bits)])
    return found


def _own_first(own: int, others: Any) -> tuple[int, ...]:
    return tuple(dict.fromkeys((own, *others)))


def changed(taught: Taught, chosen: Chosen) -> Rule:
    """The rule as it was chosen, whether there can be such a rule or not."""
    rule = taught.rule
    weight = replace(rule.weight, bits=chosen[BITS], guard=chosen[GUARD], bounds=(0, 0))
    if rule.weight.bounds != (0, 0):
        share = weight.room / rule.weight.room
        low, high = (round(each * share) for each in rule.weight.bounds)
        weight = replace(weight, bounds=(low, max(1, high)))
    most = chosen.get(TRACES)
    traces = {
        name: replace(each, bits=min(each.bits, most)) if most and each.kind in _DECAYING else each
        for name, each in rule.traces.items()
    }
    return replace(rule, weight=weight, traces=traces, period=chosen.get(PERIOD, rule.period))


def checked(taught: Taught, chosen: Chosen) -> Rule:
    """The rule as it was chosen; raises CompileError (`bad-rule-file`) where there can be no such rule."""
    return parsed(text_of(changed(taught, chosen)), f"the rule of {taught.group}")


def file_name(number: int, chosen: Chosen) -> str:
    """Of the rule of the group of that number."""
    return f"{number}-" + "-".join(f"{name}{value}" for name, value in chosen.items()) + ".toml"


def text_of(rule: Rule) -> str:
    """A rule as a file: what it leaves out is as usual."""
    given = {each.name: getattr(rule, each.name) for each in dataclasses.fields(rule)}
    tables = {name: given.pop(name) for name in _TABLES}
    parts = {name: each for name, each in given.items() if dataclasses.is_dataclass(each)}
    lines = [*_values(rule, skip={*parts, *_TABLES})]
    for name, part in parts.items():
        lines += ["", f"[{name}]", *_values(part)]
    for name, each in tables.items():
        for key, part in each.items():
            lines += ["", f"[{_TABLES[name]}.{key}]", *_values(part)]
    return "\n".join(lines) + "\n"


def _values(record: Any, skip: frozenset[str] | set[str] = frozenset()) -> Iterator[str]:
    for each in dataclasses.fields(record):
        value = getattr(record, each.name)
        if each.name not in skip and value is not None and value != each.default:
            yield f"{each.name} = {_value(value)}"


def _value(value: Any) -> str:
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(map(_value, value))}]"  # pyright: ignore[reportUnknownArgumentType]
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return str(value).lower() if isinstance(value, bool) else repr(value)
