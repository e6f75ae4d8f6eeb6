"""Finds an input that leads to a given case, or shows that there is none: a small linear program for one neuron."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from snncc.arrays import Array, Floats, Shape
from snncc.frontends.onnx.affine import Affine
from snncc.frontends.onnx.forest import Forest, Given

_FAR = 1e6


def witness(forest: Forest, given: Given, neuron: tuple[int, ...], shape: Shape) -> dict[str, float] | None:
    """A value of each variable with which all answers hold, as far from the questions' edges as can be."""
    from scipy.optimize import linprog  # takes a third of a second to import, and only faulty models need it

    forms = [forest.atoms[atom] for atom, _ in given]
    names = sorted({name for form in [*forms, *forest.floors.values()] for name in form.terms} | set(forest.floors))
    rows: list[Floats] = []
    limits: list[float] = []

    def demand(form: Affine, sign: float, strict: bool, slack: float = 0.0) -> None:
        """sign * form + slack >= margin (or >= 0), in the solver's way."""
        slopes = np.array([_at(form.coefficient(name), neuron, shape) for name in names])
        size = float(np.abs(slopes).max(initial=0)) or 1.0
        rows.append(np.array([*(-sign * slopes / size), 1.0 if strict else 0.0]))
        limits.append((sign * _at(form.constant, neuron, shape) + slack) / size)

    for (_, answer), form in zip(given, forms, strict=True):
        demand(form, 1.0 if answer else -1.0, strict=answer)
    for name, form in forest.floors.items():  # n <= g < n + 1
        inside = Affine(form.constant, {**form.terms, name: np.full((), -1.0)})
        demand(inside, 1.0, strict=False)
        demand(inside, -1.0, strict=True, slack=1.0)
    if not rows:
        return dict.fromkeys(names, 0.0)
    bounds = [(-_FAR, _FAR)] * len(names) + [(-1.0, 1.0)]
    goal = np.zeros(len(names) + 1)
    goal[-1] = -1.0
    found = linprog(goal, A_ub=np.array(rows), b_ub=np.array(limits), bounds=bounds, method="highs")
    if found.x is None or (any(row[-1] for row in rows) and found.x[-1] <= 1e-9):
        return None
    return {name: float(value) for name, value in zip(names, found.x, strict=False) if not name.startswith("\0")}


def _at(values: Array, neuron: tuple[int, ...], shape: Shape) -> float:
    return float(np.broadcast_to(values, shape)[neuron])


def text(point: Mapping[str, float]) -> str:
    """`x = 1, v = 0.5`."""
    return ", ".join(f"{name} = {value:.6g}" for name, value in point.items())
