"""Affine functions of a region's inputs and states, one per neuron, with coefficients as broadcasting arrays.

A coefficient keeps the shape of the constants that it came from: a scalar stays one number for 50,000 neurons.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import reduce

import numpy as np

from snncc.arrays import Array, Floats

# float64 arithmetic on constants that were float32: what is left of a cancellation, and when two forms are one.
_CANCELLED = 1e-13
_SAME = 1e-10


@dataclass(frozen=True, eq=False)
class Affine:
    """constant + sum of terms[name] * name; no term is zero for every neuron."""

    constant: Floats
    terms: Mapping[str, Floats] = field(default_factory=dict[str, Floats])

    def coefficient(self, name: str) -> Floats:
        return self.terms.get(name, np.zeros(()))


@dataclass(frozen=True, eq=False)
class Opaque:
    """A value that no affine form describes: the rule that it breaks, and what the node does, for people."""

    rule: str
    why: str


Form = Affine | Opaque


def constant(value: Array | float) -> Affine:
    return Affine(np.asarray(value, np.float64))


def variable(name: str) -> Affine:
    return Affine(np.zeros(()), {name: np.ones(())})


def _nonzero(terms: Mapping[str, Floats]) -> dict[str, Floats]:
    return {name: value for name, value in terms.items() if np.any(value)}


def _sum(a: Floats, b: Floats) -> Floats:
    with np.errstate(invalid="ignore"):
        total = np.asarray(a + b)
    cancelled = np.abs(total) <= _CANCELLED * (np.abs(a) + np.abs(b))
    return np.where(cancelled & np.isfinite(total), 0.0, total)


def add(a: Affine, b: Affine) -> Affine:
    terms = dict(a.terms)
    for name, value in b.terms.items():
        terms[name] = _sum(terms[name], value) if name in terms else value
    return Affine(_sum(a.constant, b.constant), _nonzero(terms))


def scale(a: Affine, factor: Array | float) -> Affine:
    """A factor of zero makes zero of everything, of infinities too."""
    times = np.asarray(factor, np.float64)
    with np.errstate(invalid="ignore"):
        terms = {name: np.asarray(value * times) for name, value in a.terms.items()}
        constant_term = np.where(times == 0, 0.0, a.constant * times)
    return Affine(constant_term, _nonzero(terms))


def subtract(a: Affine, b: Affine) -> Affine:
    return add(a, scale(b, -1.0))


def multiply(a: Affine, b: Affine) -> Affine | None:
    """The product where, for each neuron, at least one of the two is constant; else None."""
    if not b.terms:
        return scale(a, b.constant)
    if not a.terms:
        return scale(b, a.constant)
    if any(np.any((x != 0) & (y != 0)) for x in a.terms.values() for y in b.terms.values()):
        return None
    both = add(scale(a, b.constant), scale(b, a.constant))
    return Affine(_sum(both.constant, -a.constant * b.constant), both.terms)


def choose(mask: Array, a: Affine, b: Affine) -> Affine:
    """Neuron by neuron, `a` where the mask holds and `b` elsewhere."""
    names = [*a.terms, *(name for name in b.terms if name not in a.terms)]
    terms = {name: np.where(mask, a.coefficient(name), b.coefficient(name)) for name in names}
    return Affine(np.where(mask, a.constant, b.constant), _nonzero(terms))


def without(a: Affine, *names: str) -> Affine:
    """The form less its terms in `names`."""
    return Affine(a.constant, {name: value for name, value in a.terms.items() if name not in names})


def linear(a: Affine) -> Affine:
    """The form less its constant."""
    return Affine(np.zeros(()), a.terms)


def steepness(a: Affine) -> Floats:
    """The largest slope of each neuron."""
    return reduce(np.maximum, (np.abs(value) for value in a.terms.values()), np.zeros(()))


def same(a: Form, b: Form) -> bool:
    """Whether two forms are one function, up to the rounding of float64."""
    if a is b:
        return True
    if isinstance(a, Opaque) or isinstance(b, Opaque):
        return False
    if not a.terms and not b.terms and np.all(a.constant == b.constant):
        return True
    return bool(np.all(different(a, b) == 0))


def different(a: Affine, b: Affine) -> Array:
    """For each neuron, whether the two forms differ: in a slope, or in the constant."""
    slope = np.maximum(steepness(a), steepness(b))
    result = _apart(a.constant, b.constant, np.maximum(slope, np.maximum(np.abs(a.constant), np.abs(b.constant))))
    for name in {**a.terms, **b.terms}:
        result = result | _apart(a.coefficient(name), b.coefficient(name), slope)
    return np.asarray(result)


def _apart(x: Floats, y: Floats, size: Floats) -> Array:
    with np.errstate(invalid="ignore"):
        close = np.abs(x - y) <= _SAME * np.maximum(np.abs(x), np.abs(y)) + _CANCELLED * size
    return ~(close | (x == y))


def ratio(a: Affine, b: Affine) -> Floats | None:
    """t with linear(a) = t * linear(b), per neuron; None if the two are not parallel, or b is constant for a neuron."""
    norm = reduce(np.add, (value**2 for value in b.terms.values()), np.zeros(()))
    if not np.all(norm > 0):
        return None
    dot = reduce(np.add, (value * a.coefficient(name) for name, value in b.terms.items()), np.zeros(()))
    t = np.asarray(dot / norm)
    if np.any(different(linear(a), scale(linear(b), t))):
        return None
    return t


def proportional(a: Affine, b: Affine) -> Floats | None:
    """t with a = t * b, constants included, or None."""
    if b.terms:
        t = ratio(a, b)
    elif a.terms or not np.all(b.constant):
        return None
    else:
        t = np.asarray(a.constant / b.constant)
    return None if t is None or np.any(different(a, scale(b, t))) else t


def value(a: Affine, point: Mapping[str, Array]) -> Array:
    """The value at a point."""
    return reduce(np.add, (coefficient * point[name] for name, coefficient in a.terms.items()), a.constant)
