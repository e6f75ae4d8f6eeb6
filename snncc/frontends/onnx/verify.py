"""Runs a region and the neuron fitted to it side by side, in float32 and float64: the last word on every fit.

Single steps from random and from near-threshold points, and closed loops. The symbolic comparison has already covered
every case; this one shares no code with it, and sees what it cannot: rounding, and types.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from snncc.arrays import Array, Floats, Shape
from snncc.describe import sentence
from snncc.frontends.onnx import affine, elementwise
from snncc.frontends.onnx.assemble import Candidate, View, fires
from snncc.frontends.onnx.hypothesis import Counter, Export, MisfitError
from snncc.frontends.onnx.region import Node, Region
from snncc.semantics import float_rest, float_step

Values = Mapping[str, Array]

_FLOAT32, _FLOAT64 = 2.0**-23, 1e-12
_DRIFT = 1e-9  # of two float64 runs, over all steps
_ULPS = 4  # that two orders of operations may differ by
_STEPS = 100
_PERIOD = 23  # of the input
_SCALES = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)


@dataclass(frozen=True, eq=False)
class Subject:
    """A region and its candidate; the tensor of its spikes, its flag of the last spike, its exports, its counter."""

    region: Region
    candidate: Candidate
    event: str | None
    flag: str | None
    exports: Mapping[str, Export] = field(default_factory=dict[str, Export])
    counter: Counter | None = None

    @cached_property
    def core(self) -> Shape:
        return core(self.region)

    @cached_property
    def unit(self) -> float:
        """The scale on which the neuron lives."""
        threshold = self.candidate.neuron.threshold
        return 1.0 if threshold is None else float(np.median(np.abs(threshold))) or 1.0

    @property
    def variables(self) -> tuple[str, ...]:
        return (*self.region.streams, *(state for state, _ in self.region.states))


def core(region: Region) -> Shape:
    """The shape of the region's neurons less those that are copies of others: size 1 along each axis of copies."""
    own = (each.shape for each in (*region.constants.values(), *region.initial.values()))
    return np.broadcast_shapes((1,) * len(region.shape), *own)


def run_region(region: Region, point: Values, dtype: type[np.floating]) -> dict[str, Array]:
    """Every tensor of the region; with float64, float32 constants and casts are widened."""
    wide = dtype is np.float64
    values = {
        name: each.astype(dtype) if each.dtype.kind == "f" and wide else each for name, each in region.constants.items()
    }
    values.update({name: each.astype(dtype) for name, each in point.items()})
    for node in region.nodes:
        inputs = [values[name] if name else None for name in node.inputs]
        first = inputs[0]
        assert first is not None
        result = first if node.op in elementwise.SHAPE_OPS else elementwise.evaluate(_widened(node, wide), inputs)
        values.update(dict.fromkeys(node.outputs, result))
    return values


def _widened(node: Node, wide: bool) -> Node:
    if wide and node.op == "Cast" and node.attributes.get("to", 1) == 1:
        return replace(node, attributes={**node.attributes, "to": 11})
    return node


def verify(subject: Subject) -> float:
    """The worst deviation of the fit, relative to what is added up; raises MisfitError where it is not exact."""
    rng = np.random.default_rng(0)
    count = int(np.clip(400_000 // max(1, int(np.prod(subject.core))), 2, 256))
    points = _random_points(subject, rng, count)
    worst = 0.0
    for batch in (points, _near_threshold(subject, _random_points(subject, rng, count))):
        for dtype, tolerance in ((np.float64, _FLOAT64), (np.float32, _ULPS * _FLOAT32)):
            worst = max(worst, _check_step(subject, batch, run_region(subject.region, batch, dtype), tolerance))
    return max(worst, _closed_loops(subject, rng))


# --- points ---------------------------------------------------------------------------------------------------------


def _random_points(subject: Subject, rng: np.random.Generator, count: int) -> dict[str, Array]:
    shape = (count, *subject.core)
    scale = np.resize(_SCALES, count).reshape(-1, *[1] * len(subject.core)) * subject.unit
    point = {name: (rng.standard_normal(shape) * scale).astype(np.float32) for name in subject.variables}
    return _reachable(subject, {**point, **_flags(subject, rng, shape), **_counts(subject, rng, shape)})


def _flags(subject: Subject, rng: np.random.Generator, shape: Shape) -> dict[str, Array]:
    if subject.flag is None or subject.candidate.reading.firing is None:
        return {}
    height = subject.candidate.reading.firing.amplitude
    return {subject.flag: (rng.integers(0, 2, shape) * height).astype(np.float32)}


def _counts(subject: Subject, rng: np.random.Generator, shape: Shape) -> dict[str, Array]:
    """Each value of the counter, and as often the one with which the neuron is ready."""
    counter = subject.counter
    if counter is None:
        return {}
    last = len(counter.values) - 1
    index = np.where(rng.random(shape) < 0.5, last, rng.integers(0, last + 1, shape))
    return {counter.state: counter.at(index).astype(np.float32)}


def _reachable(subject: Subject, point: dict[str, Array]) -> dict[str, Array]:
    """With a hard reset, some files misbehave only at membranes that no step leaves behind: those are left out."""
    reading, counter = subject.candidate.reading, subject.counter
    if counter is not None and reading.reset.kind == "hard" and reading.membrane is not None:
        rests, v = counter.rest(point[counter.state]) > 0, point[reading.membrane]
        return {**point, reading.membrane: np.where(rests, reading.reset.value, v).astype(np.float32)}
    if reading.exported != "held" or reading.firing is None or reading.membrane is None:
        return point
    v = point[reading.membrane].astype(np.float64)
    return {**point, reading.membrane: np.where(fires(reading.firing, v), reading.reset.value, v).astype(np.float32)}


def _near_threshold(subject: Subject, points: dict[str, Array]) -> dict[str, Array]:
    """The points moved along their strongest variable until the membrane is within a few ulp of the threshold."""
    reading = subject.candidate.reading
    if reading.firing is None:
        return points
    row = np.arange(len(next(iter(points.values())))).reshape(-1, *[1] * len(subject.core))
    kept = () if subject.counter is None else (subject.counter.state,)
    points = {
        name: each if name in kept else np.where(row % 4 == 0, np.float32(0), each) for name, each in points.items()
    }
    slopes = {name: value for name, value in reading.quiet.terms.items() if name in points and name != subject.flag}
    name = max(slopes, key=lambda each: float(np.min(np.abs(slopes[each]))))
    a = 0.0 if reading.firing.adaptation is None else reading.firing.slope * points[reading.firing.adaptation]
    rest = affine.value(affine.without(reading.quiet, name), points)
    slope = np.where(slopes[name] == 0, 1.0, slopes[name])
    target = np.broadcast_to((reading.firing.threshold + a - rest) / slope, points[name].shape).astype(np.float32)
    moved = target + (row % 13 - 6) * np.spacing(np.abs(target))
    return _reachable(subject, {**points, name: moved.astype(np.float32)})


# --- one step -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Outcome:
    """The neuron's next state, its spikes, its membrane before the reset, and the size of what was added up."""

    state: dict[str, Array]
    spikes: Array
    before: Array
    size: Floats
    threshold: Array


def _pending(subject: Subject, point: Values) -> Array:
    reading = subject.candidate.reading
    if reading.exported != "before" or reading.firing is None or reading.membrane is None:
        return np.zeros((), np.bool_)
    v = point[reading.membrane].astype(np.float64)
    return fires(reading.firing, v) if subject.flag is None else point[subject.flag] != 0


def _inner(subject: Subject, point: Values) -> dict[str, Array]:
    """The neuron's own state at a point of the file's states; `late` is a current that is read a step later."""
    candidate, reading = subject.candidate, subject.candidate.reading
    pending = _pending(subject, point)
    v = np.zeros(()) if reading.membrane is None else point[reading.membrane].astype(np.float64)
    if reading.exported == "before" and reading.reset.kind == "hard":
        v = np.where(pending, reading.reset.value, v)
    state = {"v": v, "s": pending.astype(np.float64), "refractory": pending * candidate.neuron.refractory}
    if subject.counter is not None:
        state["refractory"] = subject.counter.rest(point[subject.counter.state])
    if candidate.current is not None:
        state["late" if candidate.late else "i"] = _seen(candidate.current, point)
    if candidate.adaptation is not None:
        state["a"] = _seen(candidate.adaptation, point)
    return state


def _seen(view: View, point: Values) -> Array:
    return view.scale * point[view.state].astype(np.float64) + view.shift


def _advance(subject: Subject, state: dict[str, Array], point: Values) -> _Outcome:
    """One step of the neuron from its own state, on the streams of `point`."""
    candidate, neuron = subject.candidate, subject.candidate.neuron
    x = np.zeros(())
    for name, gain in candidate.gains.items():
        x = x + gain * point[name].astype(np.float64)
    if candidate.late:
        decay = np.zeros(()) if neuron.current is None else neuron.current.decay
        after, s, v = float_step(replace(neuron, current=None), state, state["late"])
        after = {**after, "late": decay * state["late"] + x}
    else:
        after, s, v = float_step(neuron, state, x)
    theta = np.zeros(()) if neuron.threshold is None else neuron.threshold
    if neuron.adapt is not None:
        theta = theta + neuron.adapt.decay * state["a"]
    if neuron.max_spikes > 1:
        theta = theta * np.rint(v / theta)
    size = _size(candidate, state, point, x) + np.abs(theta)
    return _Outcome(dict(after), s, v, size, theta)


def _size(candidate: Candidate, state: Values, point: Values, x: Array) -> Floats:
    """What rounding is relative to: all that is added up in a step, and the file's membrane where it is reset."""
    neuron, reset = candidate.neuron, candidate.neuron.reset
    size = np.abs(neuron.decay * state["v"]) + np.abs(x) + np.abs(neuron.bias)
    if candidate.reading.membrane is not None:
        size = size + np.abs(neuron.decay * point[candidate.reading.membrane].astype(np.float64))
    for name in ("i", "late", "a"):
        size = size + np.abs(state.get(name, 0.0))
    for value in (neuron.minimum, getattr(reset, "value", None), getattr(reset, "amount", None)):
        size = size if value is None else size + np.abs(value)
    for view in (candidate.current, candidate.adaptation):
        size = size if view is None else size + np.abs(view.shift)
    return size


def _check_step(subject: Subject, point: Values, after: Values, tolerance: float) -> float:
    """Compare one step of the region, done, with one of the neuron from the same state."""
    outcome = _advance(subject, _inner(subject, point), point)
    return _compare(subject, point, after, outcome, tolerance)[0]


def _compare(
    subject: Subject, point: Values, after: Values, outcome: _Outcome, tolerance: float, asleep: Array | bool = False
) -> tuple[float, Array]:
    """The relative deviation, and where the membrane is so near the threshold that either decision is right."""
    reading, slack = subject.candidate.reading, outcome.size * tolerance
    excused = np.asarray(asleep)
    if reading.firing is not None and subject.event is not None:
        excused = excused | (np.abs(outcome.before - outcome.threshold) <= slack)
        wanted = reading.firing.amplitude * outcome.spikes
        gap = np.abs(after[subject.event].astype(np.float64) - wanted)
        wrong = ~excused & ~(gap <= 1e-6 * np.abs(wanted))
        _refuse(subject, point, wrong, (f"{subject.event} is", after[subject.event], wanted))
    _compare_inner(subject, point, after, outcome, (slack, excused))
    _compare_exports(subject, point, after, outcome, (slack, excused))
    _compare_counter(subject, point, after, outcome, excused)
    if reading.membrane is None:
        return 0.0, excused
    own = dict(subject.region.states)[reading.membrane]
    wanted = outcome.before if reading.exported == "before" else outcome.state["v"]
    gap = np.where(excused, 0.0, np.abs(after[own] - wanted))
    _refuse(subject, point, ~(gap <= slack), (f"{own} is", after[own], wanted))
    return float(np.max(gap / np.where(outcome.size == 0, 1.0, outcome.size), initial=0.0)), excused


def _compare_inner(
    subject: Subject, point: Values, after: Values, outcome: _Outcome, bounds: tuple[Array, Array]
) -> None:
    """Compare the current and the adaptation, which later steps would show only slowly."""
    candidate, (slack, excused) = subject.candidate, bounds
    for view, name in ((candidate.current, "late" if candidate.late else "i"), (candidate.adaptation, "a")):
        if view is not None and name in outcome.state:
            own = dict(subject.region.states)[view.state]
            found, wanted = _seen(view, {view.state: after[own]}), outcome.state[name]
            gap = np.where(excused, 0.0, np.abs(found - wanted))
            _refuse(subject, point, ~(gap <= slack * (1.0 + np.abs(view.scale))), (f"{own} makes", found, wanted))


def _compare_counter(subject: Subject, point: Values, after: Values, outcome: _Outcome, excused: Array) -> None:
    """Compare the steps of rest to come, and the counter with the value that stands for them."""
    counter = subject.counter
    if counter is None:
        return
    value = after[counter.tensor].astype(np.float64)
    index = counter.index(value)
    wanted, size = counter.at(index), np.max(np.abs(counter.values), axis=0)
    off = ~(np.abs(value - wanted) <= _ULPS * _FLOAT32 * size)
    _refuse(subject, point, ~excused & off, (f"{counter.tensor} is", value, wanted))
    rests, own = np.maximum(counter.steps - index, 0), outcome.state["refractory"]
    _refuse(subject, point, ~excused & (rests != own), (f"{counter.tensor} leaves, in steps of rest,", rests, own))


def _compare_exports(
    subject: Subject, point: Values, after: Values, outcome: _Outcome, bounds: tuple[Array, Array]
) -> None:
    slack, excused = bounds
    for name, export in subject.exports.items():
        own = {
            "spikes": outcome.spikes,
            "membrane before": outcome.before,
            "membrane after": outcome.state["v"],
            "current": outcome.state.get("i", np.zeros(())),
        }[export.meaning]
        wanted = export.scale * own + export.offset
        gap = np.where(excused, 0.0, np.abs(after[name].astype(np.float64) - wanted))
        limit = slack * (1.0 + np.abs(export.scale)) + _ULPS * _FLOAT32 * (np.abs(wanted) + np.abs(export.offset))
        _refuse(subject, point, ~(gap <= limit), (f"{name} is", after[name], wanted))


def _refuse(subject: Subject, point: Values, wrong: Array, values: tuple[str, Array, Array]) -> None:
    """Raise the fault for the worst of the wrong points, with its values."""
    if not np.any(wrong):
        return
    what, region, neuron = values
    gap = np.where(wrong, np.nan_to_num(np.abs(region - neuron), nan=np.inf), -1.0)
    at = np.unravel_index(int(np.argmax(gap)), gap.shape)
    shown = {name: float(np.broadcast_to(each, gap.shape)[at]) for name, each in point.items()}
    one, other = (float(np.broadcast_to(each, gap.shape)[at]) for each in (region, neuron))
    raise inexact(subject.candidate, shown, what, one, other)


def inexact(candidate: Candidate, point: Mapping[str, float], what: str, region: float, neuron: float) -> MisfitError:
    """The fault of a fit that is not exact, with a point that shows it."""
    where = ", ".join(f"{name} = {value:.9g}" for name, value in point.items())
    return MisfitError(
        "inexact-fit",
        f"at {where}, {what} {region:.9g}, but {neuron:.9g} in the nearest neuron ({sentence(candidate.neuron)})",
        "only neurons of the normal form can be compiled",
        rank=2,
    )


# --- many steps -----------------------------------------------------------------------------------------------------


def _closed_loops(subject: Subject, rng: np.random.Generator) -> float:
    """In float64 both run freely from rest; in float32 each step starts from the file's own state."""
    count = int(np.clip(2_000 // max(1, int(np.prod(subject.core))), 1, 8))
    shape = (count, *subject.core)
    region = subject.region
    start: Values = {name: np.broadcast_to(region.initial.get(name, 0.0), shape) for name in subject.variables}
    points = {np.float64: start, np.float32: start}
    state, asleep, worst = _rest(subject, start), np.zeros(shape, np.bool_), 0.0
    drives = [_drive(subject, rng, shape) for _ in range(_PERIOD)]
    for step in range(_STEPS):
        drive = drives[step % _PERIOD]
        for dtype in (np.float64, np.float32):
            point = {**points[dtype], **drive}
            after = run_region(region, point, dtype)
            if dtype is np.float64:
                outcome = _advance(subject, state, point)
                deviation, asleep = _compare(subject, point, after, outcome, _DRIFT, asleep)
                state = outcome.state
            else:
                deviation = _check_step(subject, point, after, _ULPS * _FLOAT32)
            worst = max(worst, deviation)
            following = [*region.states, *region.feedback.items()]
            points[dtype] = {**point, **{name: np.broadcast_to(after[tensor], shape) for name, tensor in following}}
        if subject.counter is not None:  # it is rounded in the file's own type
            name = subject.counter.state
            counts = subject.counter.at(subject.counter.index(points[np.float64][name]))
            points[np.float64] = {**points[np.float64], name: counts}
    return worst


def _rest(subject: Subject, start: Values) -> dict[str, Array]:
    """The neuron's own state before the first step."""
    state = dict(float_rest(replace(subject.candidate.neuron, shape=subject.core), 1))
    view = subject.candidate.current
    if subject.candidate.late and view is not None:
        state["late"] = _seen(view, start)
    return state


def _drive(subject: Subject, rng: np.random.Generator, shape: Shape) -> dict[str, Array]:
    """Input that makes a neuron fire now and then."""
    streams = [name for name in subject.region.streams if name not in subject.region.feedback]
    mean = subject.unit * (1.0 - np.minimum(subject.candidate.neuron.decay, 0.8))
    drive: dict[str, Array] = {}
    for name in streams:
        gain = subject.candidate.gains.get(name, np.ones(()))
        wanted = mean * (1.0 + 2.0 * rng.standard_normal(shape)) / len(streams)
        drive[name] = (wanted / np.where(gain == 0, 1.0, gain)).astype(np.float32)
    return drive
