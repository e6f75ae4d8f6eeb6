"""Kinds of neurons in the dialect: which states and parameters each has, and the function that steps it."""

from __future__ import annotations

from dataclasses import dataclass

from onnx.onnx_ml_pb2 import FunctionProto

from snncc.frontends.onnx.dialect.functions import Body, function
from snncc.layers import HardReset, Neuron, SoftReset

_RESETS = ("", "SoftReset", "HardReset")


@dataclass(frozen=True)
class Kind:
    """What decides the equations of a neuron; its parameters do not."""

    fires: bool
    current: bool
    reset: str  # "", SoftReset or HardReset
    late: bool = False
    by_threshold: bool = False  # the reset subtracts the adaptation too
    adapts: bool = False
    clamped: bool = False
    inclusive: bool = False
    several: bool = False
    rests: bool = False

    @property
    def name(self) -> str:
        parts = ("Cuba" if self.current else "", "LIF" if self.fires else "LI", "Adaptive" if self.adapts else "")
        flags = (("Late", self.late), ("Full", self.by_threshold), ("Refractory", self.rests))
        more = (("Several", self.several), ("Clamped", self.clamped), ("Inclusive", self.inclusive))
        return "".join((*parts, self.reset, *(word for word, there in (*flags, *more) if there)))

    @property
    def states(self) -> tuple[str, ...]:
        """v, the membrane; s, the last spikes; r, the steps of rest left; i, the current; a, the adaptation."""
        there = {"v": True, "s": self.late, "r": self.rests, "i": self.current, "a": self.adapts}
        return tuple(name for name, has in there.items() if has)

    @property
    def parameters(self) -> tuple[str, ...]:
        there = {
            "decay": True,
            "bias": True,
            "initial": True,
            "threshold": self.fires,
            "minimum": self.clamped,
            "reset": bool(self.reset),
            "current_decay": self.current,
            "current_initial": self.current,
            "adapt_decay": self.adapts,
            "adapt_jump": self.adapts,
            "adapt_initial": self.adapts,
        }
        return tuple(name for name, has in there.items() if has)

    @property
    def attributes(self) -> tuple[str, ...]:
        return ("shape", "inclusive", "max_spikes", "refractory")


def kind_of(neuron: Neuron) -> Kind:
    """The kind of a neuron."""
    reset = neuron.reset
    return Kind(
        neuron.threshold is not None,
        neuron.current is not None,
        "" if reset is None else type(reset).__name__,
        reset is not None and bool(reset.delay),
        isinstance(reset, SoftReset) and reset.adaptive,
        neuron.adapt is not None,
        neuron.minimum is not None,
        neuron.inclusive,
        neuron.max_spikes > 1,
        neuron.refractory > 0,
    )


def kinds() -> tuple[Kind, ...]:
    """All kinds that a file may name."""
    flags = (False, True)
    return tuple(
        Kind(fires, current, reset, late, full, adapts, clamped, inclusive, several, rests)
        for fires in flags
        for current in flags
        for reset in _RESETS
        for late in flags[: 1 + bool(reset)]
        for full in flags[: 1 + (reset == "SoftReset")]
        for adapts in flags
        for clamped in flags
        for inclusive in flags
        for several in flags
        for rests in flags
    )


def neuron_function(kind: Kind) -> FunctionProto:
    """One step: (x, states, parameters) to (spikes, membrane before and after the reset, next states but v).

    The equations are those of `layers.Neuron`, in the order of `semantics.float_step`, in doubles.
    """
    body = Body()
    given = {name: body.double(name) for name in kind.parameters}
    x = body.add("Reshape", "x", body.add("Shape", "v"))
    zero = body.number(0.0)
    i = body.add("Add", body.add("Mul", given["current_decay"], "i"), x, to="i_next") if kind.current else x
    a = body.add("Mul", given["adapt_decay"], "a") if kind.adapts else ""
    v = body.add("Mul", given["decay"], "v")
    if kind.late:
        v = _reset(body, kind, given, v, "s", a)
    v = body.add("Add", body.add("Add", v, i), given["bias"])
    if kind.clamped:
        v = body.add("Max", v, given["minimum"])
    s = _fired(body, kind, given, v, a) if kind.fires else body.add("Mul", v, zero)
    if kind.rests:
        held = body.add("Greater", "r", zero)
        v, s = body.add("Where", held, "v", v), body.add("Where", held, zero, s)
        left = body.add("Max", body.add("Sub", "r", body.number(1.0)), zero)
        steps = body.double(body.referring("Constant", [], value_int="refractory"))
        body.add("Where", body.add("Greater", s, zero), steps, left, to="r_next")
    spikes, before = body.add("Identity", s, to="spikes"), body.add("Identity", v, to="before")
    after = before if kind.late or not kind.reset else _reset(body, kind, given, before, spikes, a)
    body.add("Identity", after, to="after")
    if kind.adapts:
        body.add("Add", a, body.add("Mul", given["adapt_jump"], spikes), to="a_next")
    outputs = ("spikes", "before", "after", *(f"{name}_next" for name in kind.states if name in "ria"))
    inputs = ("x", *kind.states, *kind.parameters)
    return function(kind.name, inputs, outputs, body, kind.attributes)


def _reset(body: Body, kind: Kind, given: dict[str, str], v: str, s: str, a: str) -> str:
    if kind.reset == HardReset.__name__:
        return body.add("Where", body.add("Greater", s, body.number(0.0)), given["reset"], v)
    amount = body.add("Add", given["reset"], a) if kind.by_threshold and kind.adapts else given["reset"]
    return body.add("Sub", v, body.add("Mul", amount, s))


def _fired(body: Body, kind: Kind, given: dict[str, str], v: str, a: str) -> str:
    threshold = body.add("Add", given["threshold"], a) if kind.adapts else given["threshold"]
    if not kind.several:
        fired = body.add("GreaterOrEqual" if kind.inclusive else "Greater", v, threshold)
        return body.double(fired)
    height = body.add("Div", v, threshold)
    count = body.add("Floor", height) if kind.inclusive else body.add("Sub", body.add("Ceil", height), body.number(1.0))
    most = body.double(body.referring("Constant", [], value_int="max_spikes"))
    return body.add("Min", body.add("Max", count, body.number(0.0)), most)
