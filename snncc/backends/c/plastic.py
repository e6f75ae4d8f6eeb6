"""Turns plastic synapses and learnt thresholds into data for the templates: cells, traces, terms as C expressions.

A weight is kept as a cell: what it is above the lowest one, in 4, 8 or 16 bits, two of 4 bits to a byte.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from snncc.arrays import Array
from snncc.backends.c.layout import Layout
from snncc.backends.c.synapses import Compiled, Ends, Kernel
from snncc.backends.c.tables import Table, table
from snncc.backends.c.widths import INT32, INT64, CType, literal, narrowest_unsigned
from snncc.integers import Factor, Plasticity, SpikeTrace, Synapse, Term
from snncc.plasticity import largest_change, stirrers

_BYTE = CType(8, signed=False)


@dataclass(frozen=True)
class Cells:
    """How the weights of a group lie in memory: `count` of them in `bits` bits each, [source][target]."""

    bits: int
    count: int

    @property
    def type(self) -> CType:
        return _BYTE if self.bits == 4 else CType(self.bits, signed=False)

    @property
    def length(self) -> int:
        """Of the array."""
        return (self.count + 1) // 2 if self.bits == 4 else self.count

    def packed(self, values: Array) -> Array:
        """Cells as the array holds them."""
        flat = values.reshape(-1)
        if self.bits != 4:
            return flat
        even = np.concatenate([flat, np.zeros(flat.size % 2, flat.dtype)]).reshape(-1, 2)
        return even[:, 0] | even[:, 1] << 4

    def unpacked(self, array: Array) -> Array:
        if self.bits != 4:
            return array
        return np.stack([array & 15, array >> 4], axis=1).reshape(-1)[: self.count]


def cells_of(rule: Plasticity, count: int) -> Cells:
    low, high = rule.stored
    return Cells(next(bits for bits in (4, 8, 16, 32) if high - low < 1 << bits), count)


def plastic_synapse(ident: str, op: Synapse, ends: Ends) -> Compiled:
    """A plastic synapse's initial cells, and the kernel that stands for its own functions."""
    assert op.plasticity
    rule = op.plasticity
    cells = cells_of(rule, op.map.in_size * op.map.out_size)
    stored = (op.map.weight.astype(np.int64) << rule.guard) - rule.stored[0]
    rows = arranged(stored, ends.source, ends.target)
    values = cells.packed(rows.reshape(-1))
    tables = {"weight": table(f"snn_{ident}_initial", cells.type, values, "[source][target]: cells before learning")}
    kernel = Kernel("plastic", ends.acc, cells.type, ends.value)
    return Compiled(kernel, tables, op.map.out_size, cells.count)


def arranged(weight: Array, source: Layout, target: Layout) -> Array:
    """Weights (targets, sources) in row-major order as they lie in memory: (sources, targets)."""
    return source.arrange(target.arrange(weight, axis=0).T, axis=0)


def restored(rows: Array, source: Layout, target: Layout) -> Array:
    """The inverse of `arranged`."""
    by_source = rows[source.place()] if source.moved else rows
    by_target = by_source.T
    return by_target[target.place()] if target.moved else by_target


@dataclass(frozen=True)
class Trace:
    """A trace as the templates need it."""

    name: str
    side: str
    number: int
    type: CType
    product: CType
    keep: int
    bits: int
    round: int
    jump: int
    highest: int
    latest: bool
    cleared: bool


@dataclass(frozen=True)
class Expression:
    """A term as C: the product of what does not depend on the synapse, and of what does."""

    when: str
    product: str
    per: str


@dataclass(frozen=True)
class Lesson:
    """A plastic group as the templates need it; `wide` holds the sum of all terms."""

    ident: str
    sources: int
    targets: int
    source_index: str
    target_index: str
    cells: Cells
    initial: Table
    rule: Plasticity
    wide: CType
    traces: tuple[Trace, ...]
    terms: tuple[Expression, ...]
    shift: int
    acc: CType
    value: CType | None
    event: CType
    spike: CType
    sent: CType
    start: int

    @property
    def low(self) -> int:
        return self.rule.stored[0]

    @property
    def high(self) -> int:
        return self.rule.stored[1]

    @property
    def half(self) -> int:
        return 1 << self.rule.guard >> 1

    def on(self, when: str) -> tuple[Expression, ...]:
        return tuple(each for each in self.terms if each.when == when)

    @property
    def draws(self) -> bool:
        return self.rule.stochastic and self.rule.shift > 0

    @property
    def marks(self) -> bool:
        """Whether it is kept which targets spiked since the last normalisation."""
        return self.rule.normalisation is not None and self.rule.normalisation.spiking

    @property
    def total(self) -> str:
        """What a normalisation's factor is divided out of."""
        return literal(self.rule.normalisation.total << 12) if self.rule.normalisation else "0"

    @property
    def stirred(self) -> tuple[str, str]:
        """C for whether a due step may change anything at source j, and at target n; empty where it always may."""
        by_source = _stirred(self, "pre", "j", ["x[j] > 0"] * bool(self.on("pre")))
        return by_source, _stirred(self, "post", "n", ["spikes[n] > 0"])  # traces of targets jump afterwards

    def most(self, side: str) -> tuple[int, ...]:
        """The traces of a side of which the greatest value is asked for."""
        return tuple(sorted({each.trace for each in self.factors if each.variable == f"most {side}"}))

    def of(self, side: str) -> tuple[Trace, ...]:
        return tuple(each for each in self.traces if each.side == side)

    def uses(self, variable: str) -> bool:
        return any(factor.variable == variable for factor in self.factors)

    @property
    def factors(self) -> tuple[Factor, ...]:
        terms = self.rule.terms
        return tuple(each for term in terms for each in (*term.factors, *([term.per] if term.per else [])))


def lesson(
    ident: str, op: Synapse, compiled: Compiled, ends: Ends, shift: int, types: Sequence[CType], start: int
) -> Lesson:
    """A plastic group; `types` are those of events, of the target's spikes, and of what the source sends.

    `start` is the step at which the target does.
    """
    assert op.plasticity
    rule, (event, spike, sent) = op.plasticity, types
    kept = max(map(abs, rule.stored))
    wide = INT32 if largest_change(rule) + kept < 1 << 31 else INT64  # a change is added to the weight
    return Lesson(
        ident,
        op.map.in_size,
        op.map.out_size,
        _index("j", ends.source),
        _index("n", ends.target),
        cells_of(rule, op.map.in_size * op.map.out_size),
        compiled.tables["weight"],
        rule,
        wide,
        tuple(_traces(ident, rule)),
        tuple(_expression(term, wide) for term in rule.terms),
        shift,
        ends.acc,
        ends.value,
        event,
        spike,
        sent,
        start,
    )


def _stirred(group: Lesson, side: Literal["pre", "post"], place: str, spiked: list[str]) -> str:
    traces = stirrers(group.rule, side)
    if traces is None:
        return ""
    return " || ".join([*(f"s->{group.of(side)[each].name}[{place}]" for each in traces), *spiked])


def _index(place: str, layout: Layout) -> str:
    """C for the row-major index of what lies at a place."""
    if not layout.moved:
        return place
    return f"({place} % {layout.channels} * {layout.positions} + {place} / {layout.channels})"


def _traces(ident: str, rule: Plasticity) -> Iterator[Trace]:
    sides: tuple[tuple[str, tuple[SpikeTrace, ...]], ...] = (("pre", rule.pre), ("post", rule.post))
    for side, traces in sides:
        for number, trace in enumerate(traces):
            decay = trace.decay
            nearest = decay.rounding == "nearest" and decay.amount.any()
            yield Trace(
                f"{ident}_{side}{number}",
                side,
                number,
                narrowest_unsigned(trace.highest),
                CType(32 if trace.highest << decay.bits < 1 << 31 else 64, signed=False),
                (1 << decay.bits) - int(decay.amount),
                decay.bits,
                1 << decay.bits >> 1 if nearest else 0,
                trace.jump,
                trace.highest,
                trace.latest,
                trace.cleared,
            )


def _expression(term: Term, wide: CType) -> Expression:
    side = "after" if term.when == "period" else "before"
    parts = [f"({wide.name}){literal(term.rate)}", *(_factor(each, wide, side) for each in term.factors)]
    return Expression(term.when, " * ".join(parts), _factor(term.per, wide, side) if term.per else "")


def _factor(factor: Factor, wide: CType, side: str) -> str:
    value = {
        "weight": "w",
        "reward": "reward",
        "pre": f"pre{factor.trace}",
        "post": f"{side}{factor.trace}",
        "most pre": f"c->most_pre{factor.trace}",
        "most post": f"c->most_{side}{factor.trace}",
    }[factor.variable]
    value = f"({wide.name}){value}"
    if factor.divisor > 1:
        value = f"(({value} + {factor.divisor - 1}) / {factor.divisor})"
    value = f"{literal(factor.gain)} * {value}" if factor.gain != 1 else value
    return f"({value} + {literal(factor.offset)})" if factor.offset else f"({value})"
