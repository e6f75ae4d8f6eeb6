"""Finds an input that leads to a given case, or shows that there is none: a small linear program for one neuron."""

from __future__ import annotations

import numpy as np

from snncc.arrays import Array, Floats, Shape
from snncc.frontends.onnx import affine
from snncc.frontends.onnx.affine import Affine
from snncc.frontends.onnx.forest import Forest, Given

_NEARBY = 1e-2  # what being far from zero costs, against being far from an edge


def witness(
    forest: Forest, given: Given, gap: Affine, neuron: tuple[int, ...], shape: Shape
) -> dict[str, float] | None:
    """A value of each variable with which all answers hold and `gap` is not zero, clear of the edges."""
    for sign in (1.0, -1.0):
        found = _solve(forest, given, affine.scale(gap, sign), neuron, shape)
        if found is not None:
            return found
    return None


def _solve(
    forest: Forest, given: Given, positive: Affine, neuron: tuple[int, ...], shape: Shape
) -> dict[str, float] | None:
    from scipy.optimize import linprog  # takes a third of a second to import, and only faulty models need it

    forms = [forest.atoms[atom] for atom, _ in given]
    mentioned = {name for form in [*forms, positive, *forest.floors.values()] for name in form.terms}
    names = sorted(mentioned | set(forest.floors))
    rows: list[Floats] = []
    limits: list[float] = []

    def demand(form: Affine, sign: float, strict: bool, slack: float = 0.0) -> None:
        """sign * form + slack >= margin (or >= 0), in the solver's way."""
        slopes = np.array([_at(form.coefficient(name), neuron, shape) for name in names])
        size = float(np.abs(slopes).max(initial=0)) or abs(_at(form.constant, neuron, shape)) or 1.0
        margin = 1.0 if strict else 0.0
        rows.append(np.array([*(-sign * slopes / size), *(sign * slopes / size), margin]))
        limits.append((sign * _at(form.constant, neuron, shape) + slack) / size)

    for (_, answer), form in zip(given, forms, strict=True):
        demand(form, 1.0 if answer else -1.0, strict=answer)
    demand(positive, 1.0, strict=True)
    for name, form in forest.floors.items():  # n <= g < n + 1
        inside = Affine(form.constant, {**form.terms, name: np.full((), -1.0)})
        demand(inside, 1.0, strict=False)
        demand(inside, -1.0, strict=True, slack=1.0)
    # each variable is a difference of two that are not negative, so that its size can be kept small
    bounds = [*[(0.0, np.inf)] * (2 * len(names)), (-1.0, 1.0)]
    goal = np.full(2 * len(names) + 1, _NEARBY)
    goal[-1] = -1.0
    if not (np.all(np.isfinite(rows)) and np.all(np.isfinite(limits))):
        return dict.fromkeys((name for name in names if not name.startswith("\0")), 0.0)
    found = linprog(goal, A_ub=np.array(rows), b_ub=np.array(limits), bounds=bounds, method="highs")
    if found.x is None or found.x[-1] <= 1e-9:
        return None
    values = found.x[: len(names)] - found.x[len(names) : -1]
    return {name: float(value) for name, value in zip(names, values, strict=True) if not name.startswith("\0")}


def _at(values: Array, neuron: tuple[int, ...], shape: Shape) -> float:
    return float(np.broadcast_to(values, shape)[neuron])
