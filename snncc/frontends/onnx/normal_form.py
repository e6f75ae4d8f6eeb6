"""One step of a neuron of the normal form on decision trees, and its comparison with what a region computes.

The equations are those of `layers.Neuron`. The comparison covers every input, however large: a branch of the region
that no sample would reach is found here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce

import numpy as np

from snncc.arrays import Array, Floats
from snncc.frontends.onnx import affine
from snncc.frontends.onnx.affine import Affine, Form
from snncc.frontends.onnx.assemble import Candidate, View
from snncc.frontends.onnx.firing import fired_tree
from snncc.frontends.onnx.forest import FALSE, TRUE, Branch, Forest, Given, Leaf, Tree, is_zero, leaf
from snncc.frontends.onnx.hypothesis import UNBOUNDED, Behaviour
from snncc.layers import Neuron, SoftReset

Trees = Mapping[str, Tree]


@dataclass(frozen=True, eq=False)
class Mismatch:
    """A case in which the region's `of` is not what the neuron makes of it; both None where one is not affine."""

    of: str
    given: Given
    region: Form
    neuron: Form


@dataclass(frozen=True, eq=False)
class NormalStep:
    """What a neuron makes of one step: `spikes`, the membrane `before` and `after` the reset, its next states."""

    spikes: Tree
    before: Tree
    after: Tree
    current: Tree | None
    adaptation: Tree | None


def normal_step(forest: Forest, candidate: Candidate, values: Trees) -> NormalStep:
    """The neuron's step from the file's states and streams `values`."""
    neuron, reading = candidate.neuron, candidate.reading
    x = reduce(forest.add, (forest.scale(values[name], gain) for name, gain in candidate.gains.items()), FALSE)
    now, current = _current(forest, candidate, values, x)
    pending = reading.pending if reading.exported == "before" else FALSE
    v = membrane(forest, candidate, values, pending)
    moved = forest.scale(v, neuron.decay)
    if isinstance(neuron.reset, SoftReset) and neuron.reset.delay:
        moved = forest.add(moved, forest.scale(pending, -neuron.reset.amount))
    moved = forest.add(forest.add(moved, now), leaf(neuron.bias))
    if neuron.minimum is not None:
        moved = forest.maximum(moved, leaf(neuron.minimum))
    if neuron.refractory:
        moved = forest.where(pending, v, moved)
    a = None
    if neuron.adapt is not None and candidate.adaptation is not None:
        a = forest.scale(_seen(forest, candidate.adaptation, values), neuron.adapt.decay)
    s = _spikes(forest, candidate, moved, a)
    if neuron.refractory:
        s = forest.where(pending, FALSE, s)
    after = _after(forest, neuron, moved, s, a)
    if a is not None and neuron.adapt is not None:
        a = forest.add(a, forest.scale(s, neuron.adapt.jump))
    return NormalStep(s, moved, after, current, a)


def _current(forest: Forest, candidate: Candidate, values: Trees, x: Tree) -> tuple[Tree, Tree | None]:
    """What the membrane reads in this step, and the current kept for the next one."""
    if candidate.current is None:
        return x, None
    seen = _seen(forest, candidate.current, values)
    decay = leaf(0.0) if candidate.neuron.current is None else leaf(candidate.neuron.current.decay)
    moved = forest.add(forest.multiply(seen, decay), x)
    return (seen, moved) if candidate.late else (moved, moved)


def _seen(forest: Forest, view: View, values: Trees) -> Tree:
    return forest.add(forest.scale(values[view.state], view.scale), leaf(view.shift))


def membrane(forest: Forest, candidate: Candidate, values: Trees, pending: Tree) -> Tree:
    """The neuron's own membrane: the file's, with the reset that the file leaves for the next step."""
    reading = candidate.reading
    if reading.membrane is None:
        return FALSE
    v = values[reading.membrane]
    if reading.exported == "before" and reading.reset.kind == "hard":
        return forest.where(pending, leaf(reading.reset.value), v)
    return v


def _spikes(forest: Forest, candidate: Candidate, v: Tree, a: Tree | None) -> Tree:
    neuron, firing = candidate.neuron, candidate.reading.firing
    if firing is None or neuron.threshold is None:
        return FALSE
    theta = neuron.threshold
    over = v if a is None else forest.add(v, forest.scale(a, -1.0))
    if neuron.max_spikes == 1:
        if neuron.inclusive:
            return forest.negation(forest.greater(leaf(theta), over))
        return forest.greater(over, leaf(theta))
    ratio = forest.scale(over, 1.0 / theta)
    if neuron.inclusive:
        count = forest.map(lambda form: _floor(forest, form), ratio)
    else:
        count = forest.map(lambda form: _floor(forest, form), forest.scale(ratio, -1.0))
        count = forest.add(forest.scale(count, -1.0), leaf(-1.0))
    if neuron.max_spikes < UNBOUNDED:
        most = leaf(float(neuron.max_spikes))
        count = forest.where(forest.greater(count, most), most, count)
    return forest.maximum(count, FALSE)


def _floor(forest: Forest, form: Form) -> Tree:
    return Leaf(forest.floor(form) if isinstance(form, Affine) else form)


def _after(forest: Forest, neuron: Neuron, v: Tree, s: Tree, a: Tree | None) -> Tree:
    reset = neuron.reset
    if reset is None or reset.delay:
        return v
    if isinstance(reset, SoftReset):
        amount = leaf(reset.amount) if a is None or not reset.adaptive else forest.add(leaf(reset.amount), a)
        return forest.add(v, forest.scale(forest.multiply(amount, s), -1.0))
    return forest.where(_positive(forest, s), leaf(reset.value), v)


def _positive(forest: Forest, tree: Tree) -> Tree:
    return forest.map(forest.positive, tree)


def assumed(candidate: Candidate) -> Given:
    """What holds of every state that a step leaves behind: after a hard reset, the membrane does not fire."""
    reading = candidate.reading
    if reading.exported == "held" and isinstance(reading.pending, Branch):
        return ((reading.pending.atom, reading.pending.yes is not TRUE),)
    return ()


def compare(behaviour: Behaviour, candidate: Candidate, values: Trees, step: NormalStep) -> list[Mismatch]:
    """Every case in which the region's spikes or next states are not the neuron's; empty if the fit is exact."""
    forest, reading, given = behaviour.forest, candidate.reading, assumed(candidate)
    following = {**values, **behaviour.next}
    pairs: list[tuple[str, Tree, Tree]] = []
    if behaviour.event is not None and reading.firing is not None:
        pairs.append(("the spikes", behaviour.event, forest.scale(step.spikes, reading.firing.amplitude)))
    if reading.membrane is not None:
        late = reading.exported == "before" and reading.firing is not None
        pending = _pending(behaviour, candidate, following) if late else FALSE
        pairs.append((reading.membrane, membrane(forest, candidate, following, pending), step.after))
        if late and (candidate.neuron.refractory or reading.reset.kind == "soft"):
            pairs.append(("the spikes", pending, step.spikes))
    for view, own in ((candidate.current, step.current), (candidate.adaptation, step.adaptation)):
        if view is not None and own is not None:
            pairs.append((view.state, _seen(forest, view, following), own))
    return [found for of, a, b in pairs for found in mismatches(forest, of, a, b, given)]


def _pending(behaviour: Behaviour, candidate: Candidate, following: Trees) -> Tree:
    """Whether the step just done fired, as the next step will see it in the file's states."""
    forest, reading = behaviour.forest, candidate.reading
    for name, atom in behaviour.flags.items():
        if isinstance(reading.pending, Branch) and reading.pending.atom == atom:
            return _positive(forest, following[name])
    assert reading.membrane is not None
    assert reading.firing is not None
    return fired_tree(forest, following[reading.membrane], reading.firing)


def mismatches(forest: Forest, of: str, a: Tree, b: Tree, given: Given = ()) -> list[Mismatch]:
    """The cases in which two trees differ."""
    return [
        Mismatch(of, more, x, y)
        for more, (x, y) in forest.cases(forest.prune(a, given), forest.prune(b, given), given=given)
        if not affine.same(x, y) and not _equal_there(forest, more, x, y)
    ]


def _equal_there(forest: Forest, given: Given, x: Form, y: Form) -> bool:
    """Whether two forms agree as far as the answers reach: to a single count, or to the plane between two opposites."""
    if not isinstance(x, Affine) or not isinstance(y, Affine):
        return False
    gap = forest.settled(affine.subtract(x, y), given)
    if is_zero(gap):
        return True
    denied = [forest.atoms[atom] for atom, answer in given if not answer]
    on_edge = [form for form in denied if any(affine.same(form, affine.scale(other, -1.0)) for other in denied)]
    return any(affine.proportional(gap, form) is not None for form in on_edge)


def neurons_that_differ(found: Mismatch) -> Array:
    """Which neurons a mismatch is about."""
    if isinstance(found.region, Affine) and isinstance(found.neuron, Affine):
        return affine.different(found.region, found.neuron)
    return np.ones((), np.bool_)


def multiple(forest: Forest, tree: Tree, of: Tree, given: Given = ()) -> tuple[Floats, Floats] | None:
    """scale and offset with tree = scale * of + offset, or None."""
    pairs = [
        (x, y)
        for _, (x, y) in forest.cases(forest.prune(tree, given), forest.prune(of, given), given=given)
        if isinstance(x, Affine) and isinstance(y, Affine)
    ]
    moving = [(x, y) for x, y in pairs if y.terms]
    if moving:
        scale = affine.ratio(*moving[0])
        if scale is None:
            return None
        offset = np.asarray(moving[0][0].constant - scale * moving[0][1].constant)
    else:
        values = sorted(((y.constant, x.constant) for x, y in pairs if not x.terms), key=lambda p: float(np.max(p[0])))
        if len(values) < 2 or np.any(values[0][0] == values[-1][0]):
            return None
        (low, at_low), (high, at_high) = values[0], values[-1]
        scale = np.asarray((at_high - at_low) / (high - low))
        offset = np.asarray(at_low - scale * low)
    fitted = forest.add(forest.scale(of, scale), leaf(offset))
    return None if mismatches(forest, "", tree, fitted, given) else (scale, offset)
