"""Turns a population into data: the kind of its update function, its parameters, and the arrays of its state.

A kind is everything that shapes the function (records, types, roundings); populations of one kind share the function
and differ in their parameters. Types are the narrowest that the proof allows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from snncc.analysis.proof import PopulationProof, Verdict
from snncc.arrays import Array
from snncc.backends.c.layout import Layout
from snncc.backends.c.tables import Table, table
from snncc.backends.c.widths import INT32, INT64, CType, Span, join, literal, magnitude, narrowest, span_of, wire
from snncc.integers import Decay, Population, Register, SoftReset, value_range


@dataclass(frozen=True)
class Parameter:
    """A number of the equation: one for all neurons, one per channel, or one per neuron."""

    name: str
    type: CType
    per: str = "population"

    @property
    def at(self) -> str:
        return {"population": self.name, "channel": f"{self.name}[c]", "neuron": f"{self.name}[n]"}[self.per]


@dataclass(frozen=True)
class Fit:
    """What keeps a value in its register: `saturate` or `wrap`; `bits` if that is all of two's complement."""

    how: str
    low: str
    high: str
    bits: int | None


@dataclass(frozen=True)
class Stage:
    """A state variable: `factor` multiplies it before the shift by `bits`; `keep` and `clear` are its limits."""

    type: CType
    product: CType
    decay: str
    factor: Parameter | None
    bits: int
    fit: Fit | None


@dataclass(frozen=True)
class Kind:
    """Everything that shapes an update function; hashable, so that equal kinds are emitted once.

    `refit`: a reset may leave the membrane's register.
    """

    acc: CType
    wide: CType
    spike: CType
    input_shift: int
    membrane: Stage
    current: Stage | None
    adapt: Stage | None
    parameters: tuple[Parameter, ...]
    fires: bool
    inclusive: bool
    max_spikes: int
    reset: str
    reset_delay: int
    adaptive: bool
    refit: bool
    refractory: int
    counter: CType
    before: CType | None
    ring: bool
    learnt: bool = False

    @property
    def input_factor(self) -> str:
        return literal(1 << self.input_shift)

    @property
    def stages(self) -> dict[str, Stage]:
        """The state variables by the letter of their array."""
        named = {"i": self.current, "v": self.membrane, "a": self.adapt}
        return {name: stage for name, stage in named.items() if stage}

    def has(self, name: str) -> bool:
        return any(each.name == name for each in self.parameters)

    def at(self, name: str) -> str:
        return next(each.at for each in self.parameters if each.name == name)

    @property
    def by_channel(self) -> bool:
        return any(each.per == "channel" for each in self.parameters)

    @property
    def title(self) -> str:
        """The usual name of such a neuron; the start of the function's name."""
        leaky = "if" if self.membrane.decay == "keep" else "lif"
        base = (leaky if self.fires else "integrator") if self.membrane.decay != "clear" else "threshold"
        parts = ["cuba" if self.current else "", "adaptive" if self.adapt else "", base]
        return "_".join(filter(None, [*parts, self.reset if self.fires else ""]))


@dataclass(frozen=True, eq=False)
class Field:
    """An array of the state struct, and what it holds after a reset: a number, a table, or None for zero.

    One that is `learnt` lies in another struct, and holds that only before the first sample.
    """

    name: str
    type: CType
    length: int
    initial: str | None = None
    initial_table: Table | None = None
    learnt: bool = False


@dataclass(frozen=True, eq=False)
class Neurons:
    """A population as data: `values` gives each parameter's initialiser."""

    ident: str
    kind: Kind
    layout: Layout
    fields: tuple[Field, ...]
    values: tuple[tuple[str, str], ...]
    tables: tuple[Table, ...]


@dataclass(frozen=True, eq=False)
class Setting:
    """Where a population stands: `exponent` is what its sums lack, `before` whether an output reads v before reset."""

    proof: PopulationProof
    layout: Layout
    acc: CType
    exponent: int
    before: bool
    ring: bool


def compile_population(ident: str, op: Population, at: Setting) -> Neurons:
    proof, spikes = at.proof, value_range(op)[1]
    bounds = _Bounds(op, proof)
    kept = _Parameters(ident, op, at.layout, bounds.wide)
    before = narrowest(bounds.before) if at.before and op.reset and not op.reset.delay else None
    reset = "none" if op.reset is None else "soft" if isinstance(op.reset, SoftReset) else "hard"
    kind = Kind(
        acc=at.acc,
        wide=bounds.wide,
        spike=wire((0, spikes)),
        input_shift=op.input_shift + at.exponent,
        membrane=_stage(kept, "keep_v", op.membrane, proof.membrane, before),
        current=_stage(kept, "keep_i", op.current, proof.current) if op.current and proof.current else None,
        adapt=_adapt_stage(kept, op, proof.adapt) if proof.adapt else None,
        parameters=kept.rest(),
        fires=op.fire is not None,
        inclusive=op.fire is not None and op.fire.inclusive,
        max_spikes=spikes,
        reset=reset,
        reset_delay=op.reset.delay if op.reset else 0,
        adaptive=isinstance(op.reset, SoftReset) and op.reset.adaptive,
        refit=proof.membrane.kind != "safe" and not _stays(op),
        refractory=op.refractory,
        counter=wire((0, op.refractory)),
        before=before,
        ring=at.ring,
        learnt=op.adapt is not None and op.adapt.learnt,
    )
    fields = tuple(_fields(ident, op, kind, at.layout))
    tables = (*kept.tables, *(each.initial_table for each in fields if each.initial_table))
    return Neurons(ident, kind, at.layout, fields, tuple(kept.values), tables)


class _Parameters:
    """Collects the parameters of one population, each in its most compact form."""

    def __init__(self, ident: str, op: Population, layout: Layout, wide: CType) -> None:
        self.op, self.ident, self.layout, self.wide = op, ident, layout, wide
        self.values: list[tuple[str, str]] = []
        self.tables: list[Table] = []
        self.found: list[Parameter] = []

    def add(self, name: str, value: Array, scalar: CType) -> Parameter:
        per, compact = compacted(value, self.op.shape, self.layout)
        if per == "population":
            parameter = Parameter(name, scalar)
            self.values.append((name, literal(int(compact[0]))))
        else:
            parameter = Parameter(name, narrowest(span_of(compact)), per)
            self.tables.append(table(f"snn_{self.ident}_{name}", parameter.type, compact, f"[{per}]"))
            self.values.append((name, self.tables[-1].name))
        self.found.append(parameter)
        return parameter

    def rest(self) -> tuple[Parameter, ...]:
        """All but the decays, which are there already; in the order of the equation."""
        op, reset = self.op, self.op.reset
        if op.membrane.bias.any():
            self.add("bias", op.membrane.bias, self.wide)
        if op.membrane.minimum is not None:
            self.add("minimum", op.membrane.minimum, self.wide)
        if op.fire:
            self.add("threshold", op.fire.threshold, self.wide)
        if reset:
            self.add("reset", reset.amount if isinstance(reset, SoftReset) else reset.value, self.wide)
        if op.adapt:
            self.add("jump", op.adapt.jump, self.wide)
        return tuple(self.found)


def compacted(value: Array, shape: tuple[int, ...], layout: Layout) -> tuple[str, Array]:
    """A parameter per population, channel or neuron, in the order of memory."""
    if value.size == 1 or (value.size and (value == value.flat[0]).all()):
        return "population", value.reshape(-1)[:1]
    full = np.broadcast_to(value, shape).reshape(layout.channels, layout.positions)
    if layout.moved and (full == full[:, :1]).all():
        return "channel", full[:, 0]
    return "neuron", layout.arrange(full.reshape(-1))


def _stage(kept: _Parameters, name: str, state: object, verdict: Verdict, also: CType | None = None) -> Stage:
    decay, register, initial = (getattr(state, each) for each in ("decay", "register", "initial"))
    reach = join(verdict.reach, span_of(initial), also.span if also else verdict.reach)
    product = INT32 if _product(decay, magnitude(reach)) < 1 << 31 else INT64
    fit = None
    if verdict.kind != "safe":
        bits = next(
            (each for each in range(1, 33) if CType(each, signed=True).span == (register.lo, register.hi)), None
        )
        fit = Fit(register.overflow, literal(register.lo), literal(register.hi), bits)
    factor, how = None, decay.rounding
    if not decay.amount.any():
        how = "keep"
    elif (decay.amount == 1 << decay.bits).all():
        how = "clear"
    else:
        factor = kept.add(name, (1 << decay.bits) - decay.amount, product)
    return Stage(narrowest(reach), product, how, factor, decay.bits, fit)


def _stays(op: Population) -> bool:
    """Whether a reset of a membrane within its register surely stays there."""
    reset, fire, register = op.reset, op.fire, op.membrane.register
    inside = (register.lo, register.hi)
    lowest = span_of(op.membrane.minimum) if op.membrane.minimum is not None else inside
    if register.overflow != "saturate" or reset is None or fire is None or join(lowest, inside) != inside:
        return False
    if not isinstance(reset, SoftReset):
        return join(span_of(reset.value), inside) == inside
    if op.adapt or reset.amount.min() < 0:
        return False
    least = int((fire.threshold - reset.amount).min())  # of s spikes: v >= s * threshold, and s * amount is taken off
    return fire.max_spikes * min(least, 0) >= register.lo


def _adapt_stage(kept: _Parameters, op: Population, verdict: Verdict) -> Stage:
    """A learnt adaptation does not decay within a step, and its type is its register's, as it is saved in files."""
    adapt = op.adapt
    assert adapt
    if not adapt.learnt:
        return _stage(kept, "keep_a", adapt, verdict)
    still = replace(adapt, decay=replace(adapt.decay, amount=np.zeros((), np.int64)))
    return replace(_stage(kept, "keep_a", still, verdict), type=saved_type(adapt.register))


def saved_type(register: Register) -> CType:
    """The type of a learnt adaptation."""
    return narrowest((register.lo, register.hi))


def _product(decay: Decay, largest: int) -> int:
    """The greatest |x * (2**k - d)|, with what rounding adds."""
    return largest * magnitude(span_of((1 << decay.bits) - decay.amount)) + (1 << decay.bits)


class _Bounds:
    """The greatest magnitudes on the way through one step, and the type that holds them all."""

    def __init__(self, op: Population, proof: PopulationProof) -> None:
        most, reset = value_range(op)[1], op.reset
        x = magnitude(proof.acc) << op.input_shift
        seen: list[int] = [x]
        i = x
        if op.current and proof.current:
            seen.append(_decayed(op.current, proof.current) + x)
            seen.append(_fitted(seen[-1], op.current.register, proof.current))
            i = magnitude(proof.current.reach)
        a = _decayed(op.adapt, proof.adapt) if op.adapt and proof.adapt else 0
        if op.adapt and proof.adapt:
            seen.append(a + magnitude(span_of(op.adapt.jump)) * most)
            seen.append(_fitted(seen[-1], op.adapt.register, proof.adapt))
        back = 0
        if isinstance(reset, SoftReset):
            back = (magnitude(span_of(reset.amount)) + a) * max(most, 1)
        elif reset:
            back = magnitude(span_of(reset.value))
        lowest = magnitude(span_of(op.membrane.minimum)) if op.membrane.minimum is not None else 0
        v = _decayed(op.membrane, proof.membrane) + back + i + magnitude(span_of(op.membrane.bias))
        v = max(_fitted(v, op.membrane.register, proof.membrane), lowest)
        seen += [v, _fitted(v + back, op.membrane.register, proof.membrane)]
        if op.fire:
            seen.append(magnitude(span_of(op.fire.threshold)) + a)
        self.wide = INT32 if max(seen) < (1 << 31) - 1 else INT64
        limits: Span = (op.membrane.register.lo, op.membrane.register.hi)
        clipped = proof.membrane.kind != "safe" and op.membrane.register.overflow == "saturate"
        inside = magnitude(limits) if clipped else v
        self.before: Span = (-max(inside, lowest), max(inside, lowest))


def _decayed(state: object, verdict: Verdict) -> int:
    decay, initial = (getattr(state, each) for each in ("decay", "initial"))
    return _product(decay, magnitude(join(verdict.reach, span_of(initial)))) // (1 << decay.bits) + 1


def _fitted(value: int, register: Register, verdict: Verdict) -> int:
    """The greatest magnitude while a value is fitted: a wrap adds its span, a comparison needs the limits."""
    if verdict.kind == "safe":
        return value
    span = register.hi - register.lo + 1
    return max(value + span * (register.overflow == "wrap"), magnitude((register.lo, register.hi)), span)


def _fields(ident: str, op: Population, kind: Kind, layout: Layout) -> Iterator[Field]:
    states = (("v", op.membrane, kind.membrane), ("i", op.current, kind.current), ("a", op.adapt, kind.adapt))
    for name, state, stage in states:
        if state is None or stage is None:
            continue
        per, initial = compacted(state.initial, op.shape, layout)
        field = f"{ident}_{name}"
        learnt = name == "a" and kind.learnt
        if per == "population":
            start = literal(int(initial[0])) if initial[0] else None
            yield Field(field, stage.type, op.size, start, learnt=learnt)
        else:
            full = layout.arrange(np.broadcast_to(state.initial, op.shape).reshape(-1))
            yield Field(field, stage.type, op.size, None, table(f"snn_{field}_initial", stage.type, full), learnt)
    if op.refractory:
        yield Field(f"{ident}_refractory", kind.counter, op.size)
    if kind.before:
        yield Field(f"{ident}_before", kind.before, op.size)
