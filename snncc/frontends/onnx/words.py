"""Equations in words, for diagnostics."""

from __future__ import annotations

import numpy as np

from snncc.arrays import Array
from snncc.describe import number
from snncc.frontends.onnx.affine import Affine


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
