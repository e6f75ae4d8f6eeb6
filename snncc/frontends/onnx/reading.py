"""Reads the normal form of a neuron off the decision trees of a region: first the quiet branch, then what a spike does.

A reading is a hypothesis. It looks at as few leaves as it needs; `normal_form.py` then compares all of them.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from snncc.arrays import Floats
from snncc.describe import number
from snncc.frontends.onnx import affine
from snncc.frontends.onnx.affine import Affine
from snncc.frontends.onnx.firing import fired_tree, firings, floor_arguments, negative_spikes
from snncc.frontends.onnx.forest import FALSE, TRUE, Branch, Forest, Given, Leaf, Tree, branches, equal, is_zero, leaves
from snncc.frontends.onnx.hypothesis import Behaviour, Exported, Firing, MisfitError, Reading, Reset
from snncc.frontends.onnx.words import product


def readings(behaviour: Behaviour) -> Iterator[Reading | MisfitError]:
    """Every reading of each state as the membrane, and, instead of those that fail, the reason."""
    states = [name for name in behaviour.next if name not in behaviour.flags and name not in behaviour.echoes]
    if behaviour.event is not None and (negative := negative_spikes(behaviour.event)) is not None:
        yield negative
        return
    if not states:
        yield from _attempt(_read_stateless(behaviour))
    for membrane in states:
        yield from _attempt(_read_after(behaviour, membrane, "after", FALSE))
        if behaviour.event is not None:
            for pending in _pending(behaviour, membrane):
                yield from _attempt(_read_before(behaviour, membrane, pending))
                yield from _attempt(_read_after(behaviour, membrane, "held", pending))


def _attempt(found: Iterator[Reading]) -> Iterator[Reading | MisfitError]:
    try:
        yield from found
    except MisfitError as misfit:
        yield misfit


def _read_stateless(behaviour: Behaviour) -> Iterator[Reading]:
    if behaviour.event is None:
        raise MisfitError(
            "not-a-neuron", "has neither a state nor spikes", "only neurons may stand between linear layers"
        )
    forms = [atom for branch in branches(behaviour.event) for atom in [behaviour.forest.atoms[branch.atom]]]
    forms += [g for form in leaves(behaviour.event) for g in floor_arguments(behaviour.forest, form)]
    reasons: list[MisfitError] = []
    for q in [affine.linear(affine.scale(form, sign)) for form in forms for sign in (1.0, -1.0)]:
        found = _either(firings(behaviour, behaviour.event, q, ()))
        if isinstance(found, MisfitError):
            reasons.append(found)
            continue
        for firing in found:
            yield Reading(None, "after", q, None, firing, Reset("none", np.zeros(())))
    if reasons:
        raise max(reasons, key=lambda reason: reason.rank)


def _either(found: Iterator[Firing]) -> list[Firing] | MisfitError:
    try:
        return list(found)
    except MisfitError as misfit:
        return misfit


def _read_after(behaviour: Behaviour, membrane: str, exported: Exported, pending: Tree) -> Iterator[Reading]:
    """The file's state is the membrane after the reset: v' = q where quiet, reset(q) where the neuron fires."""
    forest, given = behaviour.forest, _answer(pending, fired=False)
    event = forest.prune(behaviour.event or FALSE, given)
    tree = forest.prune(behaviour.next[membrane], given)
    quiet, minimum = _quiet(behaviour, event, tree, membrane)
    if behaviour.event is None:
        yield Reading(membrane, exported, quiet, minimum, None, Reset("none", np.zeros(())))
        return
    firing = None
    for firing in firings(behaviour, event, quiet, _others(behaviour, membrane, quiet)):
        if exported == "after" or _agrees(behaviour, membrane, firing, pending):
            reset = _reset_after(forest, event, tree, membrane, (quiet, firing))
            yield Reading(membrane, exported, quiet, minimum, firing, reset, pending)
    if firing is None:
        raise MisfitError(
            "unrecognised-firing",
            f"its spikes are no comparison of the membrane {membrane} <- {product(quiet)} with a threshold",
            "spikes must be v > threshold or v >= threshold for the membrane that the spike resets",
        )


def _read_before(behaviour: Behaviour, membrane: str, pending: Tree) -> Iterator[Reading]:
    """The file's state is the membrane before the reset, which the next step then applies."""
    forest, tree = behaviour.forest, behaviour.next[membrane]
    calm, fired = (forest.prune(tree, _answer(pending, fired=flag)) for flag in (False, True))
    quiet, minimum = _quiet(behaviour, FALSE, calm, membrane)
    reset = _reset_before(membrane, quiet, fired)
    event = forest.prune(behaviour.event or FALSE, _answer(pending, fired=False))
    for firing in firings(behaviour, event, quiet, ()):
        if _agrees(behaviour, membrane, firing, pending):
            yield Reading(membrane, "before", quiet, minimum, firing, reset, pending)


def _agrees(behaviour: Behaviour, membrane: str, firing: Firing, pending: Tree) -> bool:
    """Whether the last step fired, by `pending`, just where this firing says so of the membrane kept since then."""
    if isinstance(pending, Branch) and pending.atom in behaviour.flags.values():
        return True
    if firing.adaptation is not None:
        return False
    return equal(fired_tree(behaviour.forest, Leaf(affine.variable(membrane)), firing), pending)


def _answer(pending: Tree, fired: bool) -> Given:
    """The answer to the one question of a pending-spike tree."""
    if isinstance(pending, Leaf):
        return ()
    return ((pending.atom, (pending.yes is TRUE) == fired),)


def _pending(behaviour: Behaviour, membrane: str) -> Iterator[Tree]:
    """Trees that may say, of the states, whether the last step fired."""
    for atom in behaviour.flags.values():
        yield Branch(atom, TRUE, FALSE)
    seen: list[tuple[Floats, bool]] = []
    for form in leaves(behaviour.next[membrane]):
        if not isinstance(form, Affine) or not form.terms or behaviour.event is None:
            continue
        found = _either(firings(behaviour, behaviour.event, form, ()))
        if isinstance(found, MisfitError):
            continue
        for firing in found:
            key = firing.threshold, firing.inclusive
            if not any(np.array_equal(key[0], other[0]) and key[1] == other[1] for other in seen):
                seen.append(key)
                tree = fired_tree(behaviour.forest, Leaf(affine.variable(membrane)), firing)
                if isinstance(tree, Branch) and _asked(behaviour, membrane, tree.atom):
                    yield tree


def _asked(behaviour: Behaviour, membrane: str, atom: int) -> bool:
    """Whether a question matters to the membrane or to the event."""
    trees = [behaviour.next[membrane], behaviour.event or FALSE]
    return any(branch.atom == atom for tree in trees for branch in branches(tree))


def _others(behaviour: Behaviour, membrane: str, quiet: Affine) -> tuple[str, ...]:
    """The states that may adapt the threshold: those that the quiet membrane does not read."""
    used = {membrane, *quiet.terms, *behaviour.flags, *behaviour.echoes}
    return tuple(name for name in behaviour.next if name not in used)


def _quiet(behaviour: Behaviour, event: Tree, tree: Tree, membrane: str) -> tuple[Affine, Floats | None]:
    """The one moving branch of a membrane that does not fire, and its lower clamp."""
    moving: list[Affine] = []
    flat: list[tuple[Given, Affine]] = []
    for given, (e, form) in behaviour.forest.cases(event, tree):
        if not is_zero(e) or not isinstance(form, Affine):
            continue
        if not form.terms:
            flat.append((given, form))
        elif not any(affine.same(form, other) for other in moving):
            below = _side_of(behaviour.forest, given, form) < 0  # what the membrane follows when it is low comes first
            moving.insert(0 if below else len(moving), form)
    if not moving:
        raise MisfitError("unrecognised-neuron", f"{membrane} never moves while the neuron is quiet", rank=0)
    if len(moving) > 1:
        raise _two_branches(behaviour, event, tree, membrane, moving)
    minimum: Floats | None = None
    for given, form in flat:
        side = _side_of(behaviour.forest, given, moving[0])
        if side > 0:
            raise _saturates(membrane, form.constant)
        if side == 0 or (minimum is not None and np.any(minimum != form.constant)):
            raise MisfitError("unrecognised-neuron", f"{membrane} is held at {number(form.constant)} at times", rank=1)
        minimum = form.constant
    return moving[0], minimum


def _sides(forest: Forest, given: Given, quiet: Affine) -> list[int]:
    """For each answer about the quiet membrane, 1 if it bounds it from below, -1 if from above."""
    found: list[int] = []
    for atom, answer in given:
        t = affine.ratio(forest.atoms[atom], quiet)
        if t is not None and (np.all(t > 0) or np.all(t < 0)):
            found.append(1 if bool(np.all(t > 0)) == answer else -1)
    return found


def _side_of(forest: Forest, given: Given, quiet: Affine) -> int:
    """The last of the bounds on the quiet membrane, 0 if there is none."""
    return [0, *_sides(forest, given, quiet)][-1]


def _two_branches(behaviour: Behaviour, event: Tree, tree: Tree, membrane: str, moving: list[Affine]) -> MisfitError:
    """Says what tells two quiet branches apart."""
    forest = behaviour.forest
    own = [
        forest.atoms[branch.atom]
        for branch in branches(forest.map(lambda e, f: Leaf(f if is_zero(e) else affine.constant(0.0)), event, tree))
        if set(forest.atoms[branch.atom].terms) == {membrane}
    ]
    asked = {name for branch in branches(tree) for name in forest.atoms[branch.atom].terms}
    counts = sorted(name for name in asked & set(behaviour.next) - {membrane} if name not in behaviour.flags)
    if counts and any(affine.same(form, affine.variable(membrane)) for form in moving):
        return MisfitError(
            "refractory-count",
            f"{membrane} is held while {counts[0]} counts the steps since the last spike",
            "a spike must set the count to a number, from which it goes step by step to another one and stays there",
            rank=3,
        )
    first, second = moving[0].coefficient(membrane), moving[1].coefficient(membrane)
    edges = [-form.constant / form.terms[membrane] for form in own]
    if np.any(first != second) and (sides := edges or _edges(forest, FALSE, tree, moving[0])):
        return MisfitError(
            "branching-leak",
            f"{membrane} decays by {number(first)} below {number(sides[0])} and by {number(second)} above it",
            "the normal form has one decay per neuron; use one leak for both signs",
            rank=2,
        )
    edges = edges or _edges(forest, event, tree, moving[0])
    if edges:
        return _two_thresholds(membrane, edges[0])
    return MisfitError(
        "unrecognised-neuron",
        f"{membrane} follows different equations without a spike: {product(moving[0])}, or {product(moving[1])}",
        rank=1,
    )


def _edges(forest: Forest, event: Tree, tree: Tree, quiet: Affine) -> list[Floats]:
    """Values of the quiet membrane at which it changes its course, the event not."""
    asked = {branch.atom for branch in branches(event)}
    found: list[Floats] = []
    for atom in dict.fromkeys(branch.atom for branch in branches(tree) if branch.atom not in asked):
        t = affine.ratio(forest.atoms[atom], quiet)
        if t is not None and np.all(t != 0):
            found.append(np.asarray(quiet.constant - forest.atoms[atom].constant / t))
    return found


def _two_thresholds(membrane: str, edge: Floats) -> MisfitError:
    return MisfitError(
        "reset-threshold",
        f"{membrane} is reset where it passes {number(edge)}; the neuron fires elsewhere, or by the other of > and >=",
        "reset the membrane where it fires, with the same threshold and the same comparison",
        rank=2,
    )


def _saturates(membrane: str, edge: Floats) -> MisfitError:
    return MisfitError(
        "saturating-membrane",
        f"{membrane} never exceeds {number(edge)}: the normal form has a lower clamp only",
        "remove the upper clamp from the model, or move it beyond the values that occur",
        rank=3,
    )


def _reset_after(forest: Forest, event: Tree, tree: Tree, membrane: str, reading: tuple[Affine, Firing]) -> Reset:
    """The one reset that all cases with a spike agree on."""
    quiet, firing = reading
    found: list[Reset] = []
    for given, (e, form) in forest.cases(event, tree):
        if isinstance(e, Affine) and isinstance(form, Affine) and not is_zero(e) and not forest.on_edge(given):
            count = affine.scale(e, 1.0 / firing.amplitude)
            near = -1 in _sides(forest, given, quiet)  # just above the threshold, where others lie further up
            found.insert(0 if near else len(found), _reset_of(quiet, form, count, firing))
    if not found:
        raise MisfitError("unrecognised-neuron", "never fires", rank=0)
    kinds = {reset.kind for reset in found}
    above = [edge for edge in _edges(forest, FALSE, tree, quiet) if np.all(edge > firing.threshold)]
    if kinds == {"hard", "soft"} and above:
        raise _saturates(membrane, above[-1])
    if len(kinds) > 1 and (edges := _edges(forest, event, tree, quiet)):
        raise _two_thresholds(membrane, edges[0])
    return found[0]


def _reset_of(quiet: Affine, form: Affine, count: Affine, firing: Firing) -> Reset:
    """What a step that fires makes of the membrane, from the leaf there."""
    if not form.terms:
        return Reset("hard", form.constant)
    drop = affine.subtract(quiet, form)
    if is_zero(drop):
        return Reset("none", np.zeros(()))
    amount = affine.proportional(drop, count)
    if amount is not None:
        return Reset("soft", amount)
    name = firing.adaptation
    if (
        name is not None
        and set(drop.terms) == {name}
        and affine.same(Affine(np.zeros(()), drop.terms), Affine(np.zeros(()), {name: firing.slope}))
    ):
        return Reset("soft", drop.constant, adaptive=True)
    factor = affine.ratio(form, quiet)
    if factor is not None:
        raise MisfitError(
            "scaled-reset",
            f"a spike multiplies the membrane by {number(factor)}",
            "use a reset by subtraction or to a value",
            rank=3,
        )
    raise MisfitError("unrecognised-reset", f"a spike turns the membrane into {product(form)}", _RESETS, rank=2)


_RESETS = "the normal form subtracts a constant or sets a value"


def _reset_before(membrane: str, quiet: Affine, fired: Tree) -> Reset:
    forms = [form for form in leaves(fired) if isinstance(form, Affine)]
    moving = [form for form in forms if form.terms]
    if not moving and forms:
        return Reset("hard", forms[0].constant, rest=True)
    if not moving:
        raise MisfitError("unrecognised-reset", "a spike makes the membrane unknown", _RESETS, rank=0)
    change = affine.subtract(moving[0], quiet)
    if not change.terms:
        if np.any(change.constant > 0):
            raise MisfitError("unrecognised-reset", f"a spike adds {number(change.constant)} to the membrane", rank=0)
        kind = "soft" if np.any(change.constant) else "none"
        return Reset(kind, -change.constant)
    decay, own = quiet.coefficient(membrane), change.coefficient(membrane)
    if set(change.terms) == {membrane} and affine.same(affine.constant(own), affine.constant(-decay)):
        return Reset("hard", np.where(decay == 0, 0.0, change.constant / np.where(decay == 0, 1.0, decay)))
    if set(change.terms) == {membrane}:
        factor = 1 + own / np.where(decay == 0, 1.0, decay)
        raise MisfitError(
            "scaled-reset",
            f"a spike multiplies the membrane by {number(factor)}",
            "use a reset by subtraction or to a value",
            rank=3,
        )
    raise MisfitError("unrecognised-reset", f"a spike turns the membrane into {product(moving[0])}", _RESETS, rank=2)
