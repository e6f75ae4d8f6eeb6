"""Chooses thresholds and the number of steps of a converted network by what it decides on samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from snncc.analysis.metrics import Fidelity
from snncc.arrays import Array, Floats, Ints
from snncc.data import Data
from snncc.diagnostics import Diagnostic, check, fault
from snncc.graph import Graph
from snncc.layers import Input, Layer, Output, Relu, size
from snncc.passes.rates.heights import candidates
from snncc.passes.rates.spiking import completed, spiking
from snncc.passes.rates.values import values
from snncc.semantics import run_float

MOST_STEPS = 256  # that a target accuracy is looked for in
_JUDGED = 256  # samples that candidates are run on
_VALUES = 1 << 24  # of the widest layer that are looked at at once


@dataclass(frozen=True, eq=False)
class Converted:
    """A spiking network, the steps that it takes, and what is left of the original on the samples."""

    graph: Graph[Layer]
    steps: int
    fidelity: tuple[Fidelity, ...]


@dataclass(frozen=True, eq=False)
class _Trial:
    """A way to set thresholds, and for each step whether the class of each sample is as it should be by then."""

    balance: str
    heights: Mapping[str, float]
    classes: Ints  # (samples, steps)
    right: Array  # (samples, steps)
    error: float


def convert(graph: Graph[Layer], samples: Data, steps: int | None, target_accuracy: float | None) -> Converted:
    """A spiking network whose rates approach the values of `graph`, an ordinary network.

    Of several ways to set thresholds the one is taken that gets most samples right in `steps`, by their labels, or,
    without labels, gives most of them the class that `graph` gives. With a `target_accuracy` (0 to 1), the one that
    keeps to it from the earliest step on, of at most `steps` or 256.

    Raises CompileError: `no-activations`, `bad-samples`, `target-accuracy`.
    """
    check(_faults(graph, samples, target_accuracy))
    most = steps or MOST_STEPS
    judged = _some(graph, samples)
    original = _scores(graph, judged.x)
    if judged.y is not None and judged.y.max() >= original.shape[1]:
        message = f"y holds the class {int(judged.y.max())}; the network tells {original.shape[1]}"
        raise fault("bad-samples", "--samples", message, "classes count from 0, one for each value of the output")
    classes = original.argmax(axis=1)
    wanted = classes if judged.y is None else judged.y
    relus = [name for name, op in graph.of_kind(Relu).items() if not op.selects]
    seen = values(graph, judged.x, relus)
    trials: list[_Trial] = []
    for balance, heights in candidates(graph, seen, most):
        if all(heights != each.heights for each in trials):
            trials.append(_trial(graph, balance, heights, judged.x, most, wanted, original))
    if target_accuracy is None:
        best = max(trials, key=lambda each: (int(each.right[:, -1].sum()), -each.error))
    else:
        first = [_first(each.right, target_accuracy) for each in trials]
        most = min(first)
        if most > _most(trials):
            raise _too_accurate(trials, target_accuracy, judged, classes)
        best = trials[first.index(most)]
    rates = best.classes[:, most - 1]
    stage = f"rates over {most} steps, thresholds by the {best.balance}"
    rows = _row("ordinary network", classes, classes, judged.y), _row(stage, rates, classes, judged.y)
    return Converted(spiking(graph, completed(graph, best.heights)), most, rows)


def _most(trials: list[_Trial]) -> int:
    """The steps that trials were run for."""
    return trials[0].right.shape[1]


def _faults(graph: Graph[Layer], samples: Data, target_accuracy: float | None) -> list[Diagnostic]:
    found: list[Diagnostic] = []
    ((name, layer),) = graph.of_kind(Input).items()
    if not graph.of_kind(Relu):
        message = "is linear: it has no activation that spike rates could stand for"
        found.append(Diagnostic("no-activations", name, message, "a linear network needs no neurons"))
    if samples.x.shape[1:] != layer.shape:
        message = "x has time steps; an ordinary network sees each sample once"
        found.append(Diagnostic("bad-samples", "--samples", message, "give x as (samples, *shape), without time"))
    elif not len(samples.x):
        found.append(Diagnostic("bad-samples", "--samples", "x holds no sample"))
    if target_accuracy is not None and samples.y is None:
        message = "the samples have no labels y, so that no accuracy can be measured"
        found.append(Diagnostic("bad-samples", "--target-accuracy", message, "add y to the file, or give --steps N"))
    return found


def _some(graph: Graph[Layer], samples: Data) -> Data:
    """Samples evenly spread over the file, as files are often sorted by class."""
    widest = max(size(op.shape) for op in graph.ops.values())
    count = min(len(samples.x), _JUDGED, max(1, _VALUES // widest))
    chosen = np.arange(count) * len(samples.x) // count
    labels = None if samples.y is None else samples.y[chosen]
    return Data(samples.x[chosen].astype(np.float64), samples.lengths[chosen], labels)


def _scores(graph: Graph[Layer], x: Array) -> Floats:
    name = next(iter(graph.of_kind(Output)))
    return values(graph, x, [name])[name]


def _trial(
    graph: Graph[Layer],
    balance: str,
    heights: Mapping[str, float],
    x: Array,
    steps: int,
    wanted: Array,
    original: Floats,
) -> _Trial:
    trace = run_float(spiking(graph, completed(graph, heights)), x, steps)
    outputs = next(iter(trace.outputs.values()))
    sums = np.cumsum(outputs, axis=1, out=outputs)
    classes = sums.argmax(axis=2)
    error = float(np.abs(sums[:, -1] / steps - original).sum())
    return _Trial(balance, heights, classes, classes == wanted[:, None], error)


def _first(right: Array, target: float) -> int:
    """The first number of steps from which on the target is kept; more than there are where it never is."""
    missed = np.flatnonzero(right.mean(axis=0) < target)
    return int(missed[-1]) + 2 if len(missed) else 1


def _too_accurate(trials: list[_Trial], target: float, judged: Data, classes: Ints) -> Exception:
    assert judged.y is not None
    best = max(float(each.right[:, -1].mean()) for each in trials)
    own = float(np.mean(classes == judged.y))
    message = f"{target:.2%} is not reached in {_most(trials)} steps: {best:.2%} of the samples are right by then"
    hint = f"the network itself has {own:.2%}; allow more --steps, or ask for less"
    return fault("target-accuracy", "--target-accuracy", message, hint)


def _row(stage: str, classes: Ints, original: Ints, labels: Ints | None) -> Fidelity:
    accuracy = None if labels is None else float(np.mean(classes == labels))
    return Fidelity(stage, accuracy, float(np.mean(classes != original)))
