"""Random neurons in random spellings are recognised, with the parameters that they were written with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snncc.arrays import Floats
from snncc.frontends.onnx.identify import identify
from snncc.frontends.onnx.region import Region
from snncc.layers import Current, HardReset, Neuron, SoftReset
from tests.frontends.onnx.build import region

SHAPE = (4, 2)
Draw = Callable[[st.SearchStrategy[Any]], Any]


@dataclass
class Writer:
    """Writes lines, with fresh names for what lies between."""

    draw: Draw
    lines: list[str] = field(default_factory=list)
    constants: dict[str, Floats] = field(default_factory=dict)

    def write(self, op: str, *inputs: str, to: str = "") -> str:
        name = to or f"t{len(self.lines)}"
        self.lines.append(f"{name}={op}({','.join(inputs)})")
        return self.wrapped(name) if not to else name

    def wrapped(self, name: str) -> str:
        """Sometimes through ops that change nothing."""
        for op in self.draw(st.lists(st.sampled_from(["Identity", "Unsqueeze", "Squeeze", "Dropout"]), max_size=1)):
            name = self.write(op, name)
        return name

    def constant(self, values: Floats) -> str:
        name = f"c{len(self.constants)}"
        self.constants[name] = values
        return name

    def parameter(self, low: float, high: float) -> Floats:
        """One number, one a channel, or one a neuron; float32, widened."""
        shape = self.draw(st.sampled_from([(), (4, 1), SHAPE]))
        number = st.floats(low, high, width=32, allow_subnormal=False)
        values = [self.draw(number) for _ in range(int(np.prod(shape)))]
        return np.asarray(values, np.float32).reshape(shape).astype(np.float64)

    def pick(self, *spellings: Callable[[], str]) -> str:
        return self.draw(st.sampled_from(spellings))()


def compared(w: Writer, v: str, theta: str, inclusive: bool) -> str:
    """v > theta or v >= theta."""
    if inclusive:
        return w.pick(
            lambda: w.write("GreaterOrEqual", v, theta),
            lambda: w.write("LessOrEqual", theta, v),
            lambda: w.write("Not", w.write("Less", v, theta)),
            lambda: w.write("GreaterOrEqual", w.write("Sub", v, theta), "0.0"),
            lambda: w.write("Or", w.write("Greater", v, theta), w.write("Equal", v, theta)),
            lambda: w.write("Equal", w.write("Max", v, theta), v),
        )
    return w.pick(
        lambda: w.write("Greater", v, theta),
        lambda: w.write("Less", theta, v),
        lambda: w.write("Not", w.write("LessOrEqual", v, theta)),
        lambda: w.write("Greater", w.write("Sub", v, theta), "0.0"),
        lambda: w.write("Less", w.write("Neg", w.write("Sub", v, theta)), "0.0"),
        lambda: w.write("And", w.write("GreaterOrEqual", v, theta), w.write("Not", w.write("Equal", v, theta))),
    )


def as_number(w: Writer, decision: str) -> str:
    return w.pick(
        lambda: w.write("Cast", decision, "to=1"),
        lambda: w.write("Where", decision, "1.0", "0.0"),
        lambda: w.write("Sub", "1.0", w.write("Cast", w.write("Not", decision), "to=1")),
    )


def leaked(w: Writer, v: str, decay: Floats) -> tuple[str, Floats]:
    """decay * v, and the decay that the spelling really has."""
    share = (1 - decay).astype(np.float32).astype(np.float64)
    if w.draw(st.booleans()):
        return w.write("Mul", v, w.constant(decay)), decay
    return w.write("Sub", v, w.write("Mul", v, w.constant(share))), 1 - share


def clamped(w: Writer, v: str, low: str) -> str:
    return w.pick(
        lambda: w.write("Max", v, low),
        lambda: w.write("Clip", v, low),
        lambda: w.write("Where", w.write("Less", v, low), low, v),
        lambda: w.write("Add", w.write("Relu", w.write("Sub", v, low)), low),
    )


def reset_to(w: Writer, h: str, s: str, value: str, decision: str) -> str:
    return w.pick(
        lambda: w.write("Where", decision, value, h),
        lambda: w.write("Add", w.write("Mul", s, value), w.write("Mul", w.write("Sub", "1.0", s), h)),
        lambda: w.write("Add", h, w.write("Mul", s, w.write("Sub", value, h))),
    )


def reset_by(w: Writer, h: str, s: str, amount: str, decision: str) -> str:
    return w.pick(
        lambda: w.write("Sub", h, w.write("Mul", s, amount)),
        lambda: w.write("Sub", h, w.write("Where", decision, amount, "0.0")),
        lambda: w.write("Where", decision, w.write("Sub", h, amount), h),
    )


@st.composite
def neurons(draw: Draw) -> tuple[Region, Neuron]:
    w = Writer(draw)
    theta, inclusive = w.parameter(0.5, 2.0), draw(st.booleans())
    decay, bias = w.parameter(0.125, 1.0), w.parameter(-0.25, 0.25)
    kind, late = draw(st.sampled_from(["soft", "hard", "none"])), draw(st.booleans())
    th, states = w.constant(theta), {"v": "v1"}
    v, reset = "v", None
    if kind != "none":
        value = w.parameter(0.25, 1.5) if kind == "soft" else w.parameter(-1.0, 0.25)
        name = w.constant(value)
        reset = SoftReset(value, int(late)) if kind == "soft" else HardReset(value)
    if kind == "hard" and late:  # the file keeps the membrane before its reset
        decision = compared(w, "v", th, inclusive)
        v = reset_to(w, "v", as_number(w, decision), name, decision)
    m, decay = leaked(w, v, decay)
    drive, current = "x", None
    if draw(st.booleans()):
        slow = w.parameter(0.25, 0.875)
        drive = w.write("Add", w.write("Mul", "i", w.constant(slow)), "x", to="i1")
        current, states = Current(slow), {"i": "i1", "v": "v1"}
    h = w.write("Sum", m, drive, w.constant(bias))
    if kind == "soft" and late:
        decision = compared(w, "v", th, inclusive)
        h = reset_by(w, h, as_number(w, decision), name, decision)
    minimum = None
    if draw(st.booleans()) and not (kind == "hard" and late):
        minimum = w.parameter(-4.0, -2.0)
        h = clamped(w, h, w.constant(minimum))
    decision = compared(w, h, th, inclusive)
    s = as_number(w, decision)
    w.write("Identity", s, to="s")
    if kind == "none" or late:
        w.write("Identity", h, to="v1")
    elif kind == "soft":
        w.write("Identity", reset_by(w, h, s, name, decision), to="v1")
    else:
        w.write("Identity", reset_to(w, h, s, name, decision), to="v1")
    made = region("\n".join(w.lines), states=states, shape=SHAPE, **w.constants)
    neuron = Neuron(SHAPE, decay, theta, inclusive, reset, bias, current, minimum)
    return made, neuron


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(neurons())
def test_any_spelling_of_a_random_neuron_is_recognised(case: tuple[Region, Neuron]) -> None:
    made, expected = case
    fit = identify(made)
    found = fit.neuron
    assert (found.inclusive, found.max_spikes, found.refractory) == (expected.inclusive, 1, 0)
    np.testing.assert_allclose(*np.broadcast_arrays(found.decay, expected.decay), rtol=1e-12)
    np.testing.assert_allclose(*np.broadcast_arrays(found.threshold, expected.threshold), rtol=1e-12)
    np.testing.assert_allclose(*np.broadcast_arrays(found.bias, expected.bias), rtol=1e-9, atol=1e-12)
    assert (found.minimum is None) == (expected.minimum is None)
    if expected.minimum is not None:
        np.testing.assert_allclose(*np.broadcast_arrays(found.minimum, expected.minimum), rtol=1e-12)
    assert (found.current is None) == (expected.current is None)
    if found.current is not None and expected.current is not None:
        np.testing.assert_allclose(*np.broadcast_arrays(found.current.decay, expected.current.decay), rtol=1e-12)
    assert type(found.reset) is type(expected.reset)
    if isinstance(found.reset, HardReset) and isinstance(expected.reset, HardReset):
        np.testing.assert_allclose(*np.broadcast_arrays(found.reset.value, expected.reset.value), rtol=1e-9, atol=1e-12)
    if isinstance(found.reset, SoftReset) and isinstance(expected.reset, SoftReset):
        assert found.reset.delay == expected.reset.delay
        np.testing.assert_allclose(*np.broadcast_arrays(found.reset.amount, expected.reset.amount), rtol=1e-9)
    assert fit.error < 5e-7
