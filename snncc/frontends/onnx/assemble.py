"""Turns a reading of a region into a neuron of the normal form, with the maps from the file's states to the form's own.

The form's current is scale * (the file's) + shift: the scale is the weight with which the membrane reads it, the shift
moves its fixed point to zero. Initial states move along. The same holds for the adaptation of the threshold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from snncc.arrays import Array, Floats, Shape
from snncc.describe import number
from snncc.frontends.onnx import affine
from snncc.frontends.onnx.affine import Affine
from snncc.frontends.onnx.forest import Leaf, is_zero
from snncc.frontends.onnx.hypothesis import Behaviour, Firing, MisfitError, Reading
from snncc.layers import Adapt, Current, HardReset, Neuron, SoftReset

_ZERO = np.zeros(())


@dataclass(frozen=True, eq=False)
class View:
    """A state of the form is scale * state + shift."""

    state: str
    scale: Floats
    shift: Floats


@dataclass(frozen=True, eq=False)
class Candidate:
    """A neuron, the `gains` and delays of its streams, and how to see the file's states as the neuron's.

    `late`: the membrane reads the current's old value, so `current` is what it reads this step.
    """

    reading: Reading
    neuron: Neuron
    gains: Mapping[str, Floats]
    late: bool = False
    current: View | None = None
    adaptation: View | None = None


@dataclass(frozen=True, eq=False)
class _Drive:
    """How input reaches the membrane: directly, or through a current."""

    gains: Mapping[str, Floats]
    bias: Floats
    current: Current | None = None
    view: View | None = None
    late: bool = False


@dataclass(frozen=True, eq=False)
class _Adaptation:
    adapt: Adapt | None = None
    view: View | None = None
    shift: Floats = field(default_factory=lambda: np.zeros(()))


def assemble(behaviour: Behaviour, reading: Reading, shape: Shape, initial: Mapping[str, Array]) -> Candidate:
    """The neuron that a reading describes; raises MisfitError where the normal form has no such neuron."""
    drive = _drive(behaviour, reading, initial)
    if any(name in behaviour.forest.floors for name in drive.gains):
        raise MisfitError("nonlinear-neuron", f"{reading.membrane or 'its input'} is rounded to whole numbers", rank=2)
    firing = reading.firing
    adaptation = _adaptation(behaviour, firing, initial)
    used = {reading.membrane, *behaviour.flags, *behaviour.echoes}
    used.update(view.state for view in (drive.view, adaptation.view) if view is not None)
    for state in behaviour.next:
        if state not in used:
            raise MisfitError(
                "unrelated-state",
                f"{state} is neither a membrane, a current nor an adapting threshold",
                "the normal form has these three states",
                rank=1,
            )
    neuron = Neuron(
        shape=shape,
        decay=_ZERO if reading.membrane is None else compact(reading.quiet.coefficient(reading.membrane), shape),
        threshold=None if firing is None else compact(firing.threshold + adaptation.shift, shape),
        inclusive=firing is not None and firing.inclusive,
        reset=_reset(reading, adaptation, shape),
        bias=compact(drive.bias, shape),
        current=drive.current and _compact_current(drive.current, shape),
        minimum=None if reading.minimum is None else compact(reading.minimum, shape),
        adapt=adaptation.adapt and _compact_adapt(adaptation.adapt, shape),
        max_spikes=1 if firing is None else firing.max_spikes,
        refractory=1 if reading.reset.rest else 0,
        initial=compact(_initial(reading, initial), shape),
    )
    gains = {name: compact(gain, shape) for name, gain in drive.gains.items()}
    return Candidate(reading, neuron, gains, drive.late, drive.view, adaptation.view)


def _drive(behaviour: Behaviour, reading: Reading, initial: Mapping[str, Array]) -> _Drive:
    q, membrane = reading.quiet, reading.membrane
    inner = [name for name in behaviour.next if name not in behaviour.echoes and name != membrane]
    currents = [name for name in q.terms if name in inner]
    inputs = {name: value for name, value in q.terms.items() if name not in inner and name != membrane}
    if not currents:
        return _Drive(inputs, q.constant)
    if len(currents) > 1:
        raise MisfitError(
            "too-many-currents",
            f"{membrane} reads the states {' and '.join(currents)}; the normal form has one synaptic current",
            "the nearest neuron is a CubaLIF, with one current",
            rank=3,
        )
    (name,) = currents
    form = _current_form(behaviour, name, membrane)
    decay = form.coefficient(name)
    fed = affine.without(form, name)
    scale = q.terms[name] if not inputs else affine.ratio(Affine(_ZERO, inputs), fed)
    late = not inputs
    if scale is None or (not late and not affine.same(affine.constant(scale * decay), affine.constant(q.terms[name]))):
        raise MisfitError(
            "bypassed-current",
            f"input reaches {membrane} around the current {name}",
            "the membrane may read its input through the current only",
            rank=2,
        )
    if np.any((decay == 1) & (form.constant != 0)):
        raise MisfitError("drifting-current", f"{name} grows by {number(form.constant)} every step", rank=3)
    shift = np.asarray(scale * form.constant / np.where(decay == 1, 1.0, decay - 1.0))
    start = np.asarray(scale * initial.get(name, _ZERO) + shift)
    if late:  # the first step reads `start`, which is decay * (the form's initial current)
        if np.any((decay == 0) & (start != 0)):
            raise MisfitError("unrecognised-current", f"{name} starts at a value that it forgets at once", rank=2)
        start = start / np.where(decay == 0, 1.0, decay)
    gains = {stream: np.asarray(value * scale) for stream, value in fed.terms.items()}
    current = Current(decay, start) if np.any(decay) else None
    bias = q.constant - (shift if late else decay * shift)
    return _Drive(gains, np.asarray(bias), current, View(name, scale, shift), late)


def _current_form(behaviour: Behaviour, name: str, membrane: str | None) -> Affine:
    """i' as an affine form of i and the streams."""
    tree = behaviour.next[name]
    if not isinstance(tree, Leaf):
        raise MisfitError(
            "current-reset",
            f"a spike, or a switch, changes the current {name} too",
            "the normal form resets the membrane only; the nearest neuron is a CubaLIF",
            rank=3,
        )
    assert isinstance(tree.form, Affine)
    inner = [state for state in behaviour.next if state not in behaviour.echoes and state != name]
    foreign = [state for state in tree.form.terms if state in inner]
    if foreign:
        which = " and ".join(foreign)
        raise MisfitError("unrecognised-current", f"the current {name} of {membrane} reads {which}", rank=2)
    return tree.form


def _adaptation(behaviour: Behaviour, firing: Firing | None, initial: Mapping[str, Array]) -> _Adaptation:
    if firing is None or firing.adaptation is None or behaviour.event is None:
        return _Adaptation()
    name = firing.adaptation
    quiet: list[Affine] = []
    jumps: list[Floats] = []
    for _, (e, form) in behaviour.forest.cases(behaviour.event, behaviour.next[name]):
        if isinstance(form, Affine) and is_zero(e) and not any(affine.same(form, other) for other in quiet):
            quiet.append(form)
    for _, (e, form) in behaviour.forest.cases(behaviour.event, behaviour.next[name]):
        if isinstance(form, Affine) and isinstance(e, Affine) and not is_zero(e) and quiet:
            jumps.append(affine.subtract(form, quiet[0]).constant / np.where(e.constant == 0, 1.0, e.constant))
    if len(quiet) != 1 or not jumps or set(quiet[0].terms) - {name}:
        raise MisfitError(
            "unrecognised-adaptation",
            f"the threshold follows {name}, which does not decay by itself and jump with each spike",
            rank=2,
        )
    decay = quiet[0].coefficient(name)
    if np.any(decay == 0) or np.any((decay == 1) & (quiet[0].constant != 0)):
        raise MisfitError("unrecognised-adaptation", f"the adaptation {name} forgets at once, or drifts", rank=2)
    fixed = quiet[0].constant / np.where(decay == 1, 1.0, 1.0 - decay)
    scale = firing.slope / decay
    start = np.asarray(scale * (initial.get(name, _ZERO) - fixed))
    jump = np.asarray(scale * jumps[0] * firing.amplitude)
    view = View(name, np.asarray(scale), np.asarray(-scale * fixed))
    return _Adaptation(Adapt(decay, jump, start), view, np.asarray(firing.slope * fixed))


def _reset(reading: Reading, adaptation: _Adaptation, shape: Shape) -> SoftReset | HardReset | None:
    reset = reading.reset
    if reset.kind == "none":
        return None
    if reset.kind == "hard":
        return HardReset(compact(reset.value, shape))
    amount = reset.value + (adaptation.shift if reset.adaptive else 0.0)
    return SoftReset(compact(amount, shape), 1 if reading.exported == "before" else 0, reset.adaptive)


def fires(firing: Firing, v: Array) -> Array:
    """Whether membrane v fires, without adaptation."""
    return v >= firing.threshold if firing.inclusive else v > firing.threshold


def _initial(reading: Reading, initial: Mapping[str, Array]) -> Floats:
    """The membrane at the start, after the reset that a file may have left for the first step."""
    start = np.asarray(initial.get(reading.membrane or "", _ZERO), np.float64)
    if reading.firing is None or reading.exported == "after":
        return start
    fired = fires(reading.firing, start)
    if reading.exported == "before" and reading.reset.kind == "hard" and not reading.reset.rest:
        return np.where(fired, reading.reset.value, start)
    if np.any(fired) and reading.reset.kind != "none":
        raise MisfitError(
            "fires-at-rest",
            f"the initial state {number(start)} is beyond the threshold {number(reading.firing.threshold)}",
            "the first step would apply a reset that no spike asked for",
            rank=3,
        )
    return start


def compact(value: Array, shape: Shape) -> Floats:
    """The smallest array that broadcasts to the same: (), or axes of size 1 wherever all values agree."""
    array = np.asarray(value, np.float64)
    for axis in range(array.ndim):
        first = array.take([0], axis)
        if array.shape[axis] > 1 and np.array_equal(array, np.broadcast_to(first, array.shape)):
            array = first
    if array.size == 1:
        return array.reshape(())
    return array.reshape((1,) * (len(shape) - array.ndim) + array.shape)


def _compact_current(current: Current, shape: Shape) -> Current:
    return Current(compact(current.decay, shape), compact(current.initial, shape))


def _compact_adapt(adapt: Adapt, shape: Shape) -> Adapt:
    return Adapt(compact(adapt.decay, shape), compact(adapt.jump, shape), compact(adapt.initial, shape))
