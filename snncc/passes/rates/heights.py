"""Candidates for what a spike of each population stands for, from the values that its ReLU takes on samples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from snncc.arrays import Floats
from snncc.graph import Graph
from snncc.layers import Layer, Relu

_DIGITS = 10  # binary ones of a height, so that it is the same however a machine adds up
_RATIOS = tuple(1.0 - part / 40 for part in range(38))  # of the largest value: where rates may saturate
_VALUES = 1 << 18  # that the errors of a candidate are taken of, about


def candidates(
    graph: Graph[Layer], seen: Mapping[str, Floats], steps: int
) -> Iterator[tuple[str, Mapping[str, float]]]:
    """Ways to set all heights, each with its name; `seen` are the values of Relus on samples.

    The largest value (P. U. Diehl et al., Fast-classifying, high-accuracy spiking deep networks through weight and
    threshold balancing, IJCNN 2015: "data-based normalization"); the 99.9th and 99th percentile (B. Rueckauer et al.,
    Frontiers in Neuroscience 11:682, 2017, section 2.2.1); the height of the least squared error of the counts that
    `steps` allow (Y. Li et al., A free lunch from ANN, ICML 2021, section 4.1).
    """
    yield "largest value", _each(graph, {name: float(each.max(initial=0)) for name, each in seen.items()})
    for share in (99.9, 99.0):
        yield f"{share:g}th percentile", _each(graph, {name: _percentile(each, share) for name, each in seen.items()})
    least = {name: _least_error(each, steps) for name, each in seen.items()}
    yield f"least error in {steps} steps", _each(graph, least)


def _each(graph: Graph[Layer], wanted: Mapping[str, float]) -> Mapping[str, float]:
    """Heights with few digits, no higher than the activation goes, and 1 where nothing was ever above 0."""
    found: dict[str, float] = {}
    for name, height in wanted.items():
        op = graph[name]
        assert isinstance(op, Relu)
        mantissa, exponent = np.frexp(height or 1.0)
        rounded = float(np.ldexp(np.ceil(np.ldexp(mantissa, _DIGITS)), exponent - _DIGITS))
        found[name] = rounded if op.ceiling is None else min(rounded, op.ceiling)
    return found


def _percentile(values: Floats, share: float) -> float:
    """Of the values of all samples and neurons; the largest where that share of them is 0."""
    return float(np.percentile(values, share)) or float(values.max(initial=0))


def _least_error(values: Floats, steps: int) -> float:
    largest = float(values.max(initial=0))
    some = values.reshape(-1)[:: max(1, values.size // _VALUES)]
    errors = [_error(some, largest * ratio, steps) for ratio in _RATIOS]
    return largest * _RATIOS[int(np.argmin(errors))]


def _error(values: Floats, height: float, steps: int) -> float:
    counts = np.clip(np.floor(values * (steps / (height or 1.0)) + 0.5), 0, steps)
    return float(np.square(counts * (height / steps) - values).sum())
