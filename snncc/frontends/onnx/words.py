"""Numbers, equations and neurons in words, for diagnostics."""

from __future__ import annotations

import numpy as np

from snncc.arrays import Array
from snncc.frontends.onnx.affine import Affine
from snncc.layers import HardReset, Neuron, SoftReset


def number(value: Array | float) -> str:
    """A number, or the range of those of a population."""
    low, high = float(np.min(value)) + 0.0, float(np.max(value)) + 0.0  # -0 is shown as 0
    return f"{low:.6g}" if low == high else f"{low:.6g}..{high:.6g}"


def product(form: Affine) -> str:
    """An affine form as people write it: `0.9 v + x - 1`."""
    parts = [_term(value, name) for name, value in form.terms.items()]
    if np.any(form.constant) or not parts:
        parts.append(_term(form.constant, ""))
    return " + ".join(parts).replace("+ -", "- ")


def _term(value: Array, name: str) -> str:
    name = "n" if name.startswith("\0") else name
    text = number(value)
    if not name:
        return text
    return {"1": name, "-1": f"-{name}"}.get(text, f"{text} {name}")


def sentence(neuron: Neuron) -> str:
    """The equations of a neuron on one line."""
    parts: list[str] = []
    if neuron.current is not None:
        parts.append(f"i <- {number(neuron.current.decay)} i + x")
    bias = f" + {number(neuron.bias)}" if np.any(neuron.bias) else ""
    i = "x" if neuron.current is None else "i"
    parts.append(f"v <- {number(neuron.decay)} v + {i}{bias}".replace("+ -", "- "))
    if neuron.minimum is not None:
        parts.append(f"v <- max(v, {number(neuron.minimum)})")
    if neuron.threshold is not None:
        relation = ">=" if neuron.inclusive else ">"
        parts.append(f"s = v {relation} {number(neuron.threshold)}{' + a' if neuron.adapt else ''}")
    if neuron.max_spikes > 1:
        parts.append("several spikes a step")
    parts.append(_reset(neuron))
    return "; ".join(parts)


def _reset(neuron: Neuron) -> str:
    if neuron.reset is None:
        return "no reset"
    late = " a step later" if neuron.reset.delay else ""
    if isinstance(neuron.reset, SoftReset):
        amount = "the threshold" if neuron.reset.adaptive else number(neuron.reset.amount)
        return f"reset by {amount}{late}"
    assert isinstance(neuron.reset, HardReset)
    held = f", then {neuron.refractory} steps of rest" if neuron.refractory else ""
    return f"reset to {number(neuron.reset.value)}{late}{held}"
