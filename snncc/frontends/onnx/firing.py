"""When a neuron fires: reads threshold, comparison, spike count and adaptation off the tree of its event."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from snncc.arrays import Floats
from snncc.describe import number
from snncc.frontends.onnx import affine
from snncc.frontends.onnx.affine import Affine, Form
from snncc.frontends.onnx.forest import Forest, Leaf, Tree, branches, is_zero, leaf, leaves
from snncc.frontends.onnx.hypothesis import UNBOUNDED, Behaviour, Firing, MisfitError


def floor_arguments(forest: Forest, form: Form) -> list[Affine]:
    return [forest.floors[name] for name in form.terms if name in forest.floors] if isinstance(form, Affine) else []


def firings(behaviour: Behaviour, event: Tree, quiet: Affine, others: tuple[str, ...]) -> Iterator[Firing]:
    """Every way to see `event` as a comparison of the quiet membrane with a threshold."""
    forest = behaviour.forest
    forms = [form for form in leaves(event) if isinstance(form, Affine) and not is_zero(form)]
    if any(form.terms for form in forms):
        yield from _counted(forest, forms, quiet)
        return
    levels = [
        form.constant
        for given, (form,) in forest.cases(event)
        if isinstance(form, Affine) and not is_zero(form) and not forest.on_edge(given)
    ]
    if not levels:
        return
    amplitude = min(levels, key=lambda level: float(np.max(level)))
    most = max(int(np.max(np.rint(level / np.where(amplitude == 0, 1, amplitude)))) for level in levels)
    for branch in branches(event):
        silent = [[is_zero(form) for form in leaves(side)] for side in (branch.yes, branch.no)]
        if not (all(silent[0]) or all(silent[1])) or (any(silent[0]) and any(silent[1])):
            continue
        inclusive = all(silent[0])  # quiet where f > 0: fires where -f >= 0
        form = affine.scale(forest.atoms[branch.atom], -1.0 if inclusive else 1.0)
        firing = _threshold(forest, event, form, quiet, others)
        if firing is not None:
            theta, adaptation, slope = firing
            yield Firing(theta, inclusive, amplitude, most, adaptation, slope)


def negative_spikes(event: Tree) -> MisfitError | None:
    """The fault of an event that is below zero somewhere: at a leaf, or because a count has no lower end."""
    forms = [form for form in leaves(event) if isinstance(form, Affine) and not is_zero(form)]
    negative = any(np.any(form.constant < 0) for form in forms if not form.terms)
    counted = [form for form in forms if form.terms]
    unclipped = bool(counted) and not any(is_zero(form) for form in leaves(event))
    two_sided = any(not affine.same(form, counted[0]) for form in counted)
    if not (negative or unclipped or two_sided):
        return None
    return MisfitError(
        "negative-spikes",
        "emits negative spikes too",
        "spikes are 0 or 1, or a count; split a signed neuron into a positive and a negative population",
        rank=4,
    )


def _threshold(
    forest: Forest, event: Tree, form: Affine, quiet: Affine, others: tuple[str, ...]
) -> tuple[Floats, str | None, Floats] | None:
    """theta, adaptation state and slope with form > 0 the same as quiet > theta + slope * adaptation."""
    extra = [name for name in form.terms if name in others and name not in quiet.terms]
    if len(extra) > 1:
        return None
    t = affine.ratio(affine.without(form, *extra), quiet)
    if t is None or not np.all(t != 0):
        return None
    if not np.all(t > 0):
        if np.all(t < 0):
            raise _below(forest, event, quiet, np.asarray(quiet.constant - form.constant / t))
        return None
    slope = -form.terms[extra[0]] / t if extra else np.zeros(())
    return np.asarray(quiet.constant - form.constant / t), extra[0] if extra else None, slope


def _below(forest: Forest, event: Tree, quiet: Affine, edge: Floats) -> MisfitError:
    """Says below which membrane the neuron fires, and, where it must be above another, between which two."""
    for branch in branches(event):
        t = affine.ratio(forest.atoms[branch.atom], quiet)
        if t is not None and np.all(t > 0) and isinstance(branch.no, Leaf) and is_zero(branch.no.form):
            low = quiet.constant - forest.atoms[branch.atom].constant / t
            return MisfitError(
                "windowed-firing",
                f"fires only while the membrane lies between {number(low)} and {number(edge)}",
                "a neuron must fire at every membrane above its threshold",
                rank=4,
            )
    return MisfitError(
        "fires-below",
        f"fires while the membrane is below {number(edge)}",
        "a neuron must fire above its threshold; negate the membrane and its weights",
        rank=3,
    )


def _counted(forest: Forest, forms: list[Affine], quiet: Affine) -> Iterator[Firing]:
    """Several spikes a step: the event is floor(v / theta), or ceil(v / theta) - 1 for a strict comparison."""
    counted = next(form for form in forms if form.terms)
    (name, *more) = counted.terms
    if more or name not in forest.floors:
        return
    argument, weight = forest.floors[name], counted.terms[name]
    t = affine.ratio(argument, quiet)
    if t is None or not (np.all(t > 0) or np.all(t < 0)):
        return
    inclusive = bool(np.all(t > 0))
    amplitude = weight if inclusive else -weight
    most = [int(np.max(np.rint(form.constant / amplitude))) for form in forms if not form.terms]
    yield Firing(np.asarray(1.0 / np.abs(t)), inclusive, amplitude, max(most, default=UNBOUNDED))


def fired_tree(forest: Forest, v: Tree, firing: Firing) -> Tree:
    """1 where membrane v fires, without adaptation."""
    if firing.inclusive:
        return forest.negation(forest.greater(leaf(firing.threshold), v))
    return forest.greater(v, leaf(firing.threshold))
