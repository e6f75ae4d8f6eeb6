"""Recognises the neuron that a region computes, whatever ops it is spelled with, or says why it is none.

The region's nodes are run on decision trees (`propagate`), the normal form is read off them (`reading`, `assemble`),
compared with them for every input (`normal_form`), and run against them in numbers (`verify`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from snncc.arrays import Array
from snncc.diagnostics import fault
from snncc.frontends.onnx import affine
from snncc.frontends.onnx.affine import Affine, Opaque
from snncc.frontends.onnx.ahead import reset_ahead
from snncc.frontends.onnx.assemble import Candidate, assemble, compact, fires
from snncc.frontends.onnx.counting import at_rest, counters, with_rest
from snncc.frontends.onnx.forest import FALSE, Branch, Forest, Given, Leaf, Tree, branches, equal, is_zero, leaf, leaves
from snncc.frontends.onnx.hypothesis import Behaviour, Counter, Export, MisfitError, Reading
from snncc.frontends.onnx.normal_form import (
    Mismatch,
    NormalStep,
    assumed,
    compare,
    mismatches,
    multiple,
    neurons_that_differ,
    normal_step,
)
from snncc.frontends.onnx.propagate import propagate
from snncc.frontends.onnx.reading import readings
from snncc.frontends.onnx.region import Fit, Meaning, Region
from snncc.frontends.onnx.unread import with_unread_spikes
from snncc.frontends.onnx.verify import Subject, inexact, verify
from snncc.frontends.onnx.witness import witness


@dataclass(frozen=True, eq=False)
class _View:
    """One way to look at a region: every tensor's tree, and the tensor taken for its spikes.

    `plain`: that tensor leaves the region, as spikes do. What is wrong with others says little about the neuron.
    """

    region: Region
    behaviour: Behaviour
    trees: Mapping[str, Tree]
    event: str | None
    plain: bool = True


def identify(region: Region) -> Fit:
    """The neuron of a region; raises CompileError, saying what is in the way, if it has none."""
    with np.errstate(all="ignore"):  # hostile constants end in NaN, and NaN fits nothing
        return _identify(region)


def _identify(region: Region) -> Fit:
    for name, value in region.constants.items():
        if value.dtype.kind == "f" and np.any(np.isnan(value)):
            raise fault("not-a-number", region.name, f"its constant {name} holds NaN", "check the trained parameters")
    best = _any_fit(region)
    if isinstance(best, Fit):
        return best
    for other in (with_unread_spikes(region), reset_ahead(region)):
        if other is not None and isinstance(found := _any_fit(other), Fit):
            return found
    raise fault(best.rule, region.name, best.message, best.hint)


def _any_fit(region: Region) -> Fit | MisfitError:
    """The fit without a counter of steps of rest, or with one."""
    best = _first_fit(region, None)
    if isinstance(best, Fit):
        return best
    for counter in counters(region):
        found = _first_fit(region, counter)
        if isinstance(found, Fit):
            return found
        if len(counter.values) > 2:  # one of two values may be a last spike in use as something else
            best = found
    return best


def _first_fit(region: Region, counter: Counter | None) -> Fit | MisfitError:
    """The fit of the first reading that is exact, or what is wrong with the best of those that are not.

    With a counter, the neuron is read off the region while the counter says that it is ready.
    """
    nothing = MisfitError("unrecognised-neuron", "nothing in it looks like a membrane that spikes", rank=-1)
    reasons = [(False, nothing)]
    for view in _views(region if counter is None else at_rest(region, counter)):
        opaque = _opaque(view)
        for reading in [opaque] if opaque is not None else readings(view.behaviour):
            fit = reading if isinstance(reading, MisfitError) else _attempt(view, reading, region, counter)
            if isinstance(fit, Fit):
                return fit
            reasons.append((view.plain, fit))
    _, best = max(reasons, key=lambda reason: (reason[0], reason[1].rank))
    return best


def _attempt(view: _View, reading: Reading, region: Region, counter: Counter | None) -> Fit | MisfitError:
    try:
        return _fit(view, reading, region, counter)
    except MisfitError as reason:
        return reason


def _opaque(view: _View) -> MisfitError | None:
    """What keeps the region from being affine between its switches."""
    trees = [*view.behaviour.next.values(), view.behaviour.event or FALSE]
    for form in (form for tree in trees for form in leaves(tree)):
        if isinstance(form, Opaque):
            hint = "the normal form is affine between its switches: leaks, weights and resets must be constants"
            return MisfitError(form.rule, form.why, hint, rank=3)
        if not all(np.all(np.isfinite(each)) for each in (form.constant, *form.terms.values())):
            return MisfitError("not-a-number", "its constants grow beyond all numbers", "check the trained parameters")
    return None


# --- ways to look at a region ---------------------------------------------------------------------------------------


def _views(region: Region) -> Iterator[_View]:
    """The region with its own last spikes taken for flags that choose between branches, then for numbers.

    As flags they may reset the membrane, as numbers they are input from the population to itself.
    """
    plain = Forest(region.name)
    trees = _run(plain, region, {})
    last = {**dict(region.states), **region.feedback}
    echoes = {name: tensor for name, tensor in last.items() if _jumps(plain, region, trees[tensor], name, tensor)}
    if echoes:
        forest = Forest(region.name)
        calm = _run(forest, region, dict.fromkeys(echoes, FALSE))
        flags = {name: _flag(forest, name, calm[tensor]) for name, tensor in echoes.items()}
        atoms = {name: tree.atom for name, tree in flags.items() if isinstance(tree, Branch)}
        yield from _with_events(region, forest, _run(forest, region, flags), atoms, ())
    yield from _with_events(region, plain, trees, {}, tuple(echoes))


def _jumps(forest: Forest, region: Region, tree: Tree, name: str, tensor: str) -> bool:
    """Whether a state remembers an event; one that multiplies others shows it only once it is held at zero."""
    if any(isinstance(form, Opaque) for form in leaves(tree)):
        tree = _run(forest, region, {name: FALSE})[tensor]
    return _is_event(forest, tree)


def _run(forest: Forest, region: Region, special: Mapping[str, Tree]) -> dict[str, Tree]:
    inputs = [*region.streams, *(state for state, _ in region.states)]
    given: dict[str, Tree] = {name: Leaf(affine.variable(name)) for name in inputs}
    return propagate(forest, region.nodes, region.constants, {**given, **special})


def _flag(forest: Forest, name: str, event: Tree) -> Tree:
    """A state that is 0, or the height of the event that it remembers."""
    heights = [form.constant for form in leaves(event) if isinstance(form, Affine) and not is_zero(form)]
    height = heights[0] if heights else np.ones(())
    question = affine.add(affine.variable(name), affine.constant(-height / 2))
    (branch,) = branches(forest.positive(question))
    return Branch(branch.atom, leaf(height), FALSE)


def _is_event(forest: Forest, tree: Tree) -> bool:
    """Whether a tree jumps between constants, or counts."""
    forms = list(leaves(tree))
    steps = all(isinstance(form, Affine) and all(name in forest.floors for name in form.terms) for form in forms)
    return steps and (len(forms) > 1 or any(isinstance(form, Affine) and form.terms for form in forms))


def _with_events(
    region: Region, forest: Forest, trees: Mapping[str, Tree], flags: Mapping[str, int], echoes: tuple[str, ...]
) -> Iterator[_View]:
    """The region with each tensor that may be its spikes: those read outside, then those inside."""
    last = {
        **dict(region.states),
        **{name: region.feedback[name] for name in (*flags, *echoes) if name in region.feedback},
    }
    following = {name: trees[tensor] for name, tensor in last.items()}
    outside = [*region.exports, *last.values()]
    inside = [name for node in region.nodes for name in node.outputs if name not in outside]
    if not any(isinstance(tree, Branch) for tree in following.values()):
        inside = []
    seen: list[Tree] = []
    for names in (outside, inside):
        events = {name: trees[name] for name in dict.fromkeys(names) if _is_event(forest, trees[name])}
        moving = [name for name, tree in events.items() if _reads(forest, tree, region.streams)]
        for name in dict.fromkeys((*moving, *events)):
            if not any(equal(events[name], other) for other in seen):
                seen.append(events[name])
                behaviour = Behaviour(forest, events[name], following, flags, echoes)
                yield _View(region, behaviour, trees, name, plain=names is outside)
    if not seen:
        yield _View(region, Behaviour(forest, None, following, flags, echoes), trees, None)


def _reads(forest: Forest, tree: Tree, streams: tuple[str, ...]) -> bool:
    return any(name in streams for branch in branches(tree) for name in forest.atoms[branch.atom].terms)


# --- from a reading to a fit ----------------------------------------------------------------------------------------


def _fit(view: _View, reading: Reading, region: Region, counter: Counter | None) -> Fit:
    """The fit of a reading of `view`; `region` is the whole of it, with the counter if it has one."""
    behaviour = view.behaviour
    candidate = assemble(behaviour, reading, region.shape, region.initial)
    step = normal_step(behaviour.forest, candidate, view.trees)
    _exact(view, candidate, compare(behaviour, candidate, view.trees, step))
    _holds(candidate)
    _echo(view)
    exports = _exports(view, candidate, step)
    subject = Subject(region, candidate, view.event, _flag_of(behaviour, reading), exports)
    if counter is not None:
        subject = with_rest(subject, counter)
    return Fit(
        neuron=subject.candidate.neuron,
        gains=candidate.gains,
        delays=dict.fromkeys(candidate.gains, int(candidate.late)),
        meanings={name: each.meaning for name, each in exports.items()},
        error=verify(subject),
        scales={name: each.scale for name, each in exports.items() if np.any(each.scale != 1)},
        offsets={name: each.offset for name, each in exports.items() if np.any(each.offset != 0)},
    )


def _flag_of(behaviour: Behaviour, reading: Reading) -> str | None:
    atom = reading.pending.atom if isinstance(reading.pending, Branch) else None
    return next((name for name, own in behaviour.flags.items() if own == atom), None)


def _holds(candidate: Candidate) -> None:
    """A late reset that the file undoes is harmless only if no step leaves the membrane beyond the threshold."""
    reading, neuron = candidate.reading, candidate.neuron
    if reading.exported != "held" or reading.firing is None or neuron.threshold is None:
        return
    settled = reading.reset.kind == "hard" and not np.any(fires(reading.firing, reading.reset.value))
    if not settled:
        raise MisfitError(
            "late-threshold",
            "the threshold changes while the membrane is beyond it after a reset",
            "reset in the step after the spike (in snnTorch: reset_delay=True), or reset to a value",
            rank=3 if reading.reset.kind == "soft" else 0,
        )


def _exact(view: _View, candidate: Candidate, found: list[Mismatch]) -> None:
    """Raise the fault of the first mismatch that an input leads to."""
    forest, shape = view.behaviour.forest, view.region.shape
    for each in found:
        assert isinstance(each.region, Affine)
        assert isinstance(each.neuron, Affine)
        gap = affine.subtract(each.region, each.neuron)
        for neuron in _some(np.broadcast_to(neurons_that_differ(each), shape)):
            point = witness(forest, each.given, gap, neuron, shape)
            if point is not None:
                values = _point(forest, each, point)
                both = [
                    np.broadcast_to(affine.value(form, values), shape)[neuron] for form in (each.region, each.neuron)
                ]
                what = f"{each.of} are" if each.of == "the spikes" else f"the next {each.of} is"
                raise inexact(candidate, point, what, float(both[0]), float(both[1]))


def _some(differ: Array) -> list[tuple[int, ...]]:
    """A few of the neurons marked, spread over the population; its parameters differ, so one may not stand for all."""
    marked = np.flatnonzero(differ)
    chosen = marked[np.unique(np.linspace(0, len(marked) - 1, 5).astype(np.int64))] if len(marked) else marked
    return [tuple(int(i) for i in np.unravel_index(int(each), differ.shape)) for each in chosen]


def _point(forest: Forest, found: Mismatch, point: Mapping[str, float]) -> dict[str, Array]:
    """The point with zeros for what the case leaves open, and with the spike counts there."""
    names = {name for form in (found.region, found.neuron) if isinstance(form, Affine) for name in form.terms}
    values: dict[str, Array] = {name: np.zeros(()) for name in names}
    values.update({name: np.asarray(value) for name, value in point.items()})
    for name, form in forest.floors.items():
        values[name] = np.floor(affine.value(form, {**dict.fromkeys(form.terms, np.zeros(())), **values}))
    return values


def _echo(view: _View) -> None:
    """Every state that holds a spike must hold this neuron's."""
    behaviour = view.behaviour
    for name in (*behaviour.echoes, *behaviour.flags):
        if behaviour.event is None or multiple(behaviour.forest, behaviour.next[name], behaviour.event) is None:
            raise MisfitError("unrelated-state", f"{name} holds something else than the neuron's last spike", rank=2)


def _exports(view: _View, candidate: Candidate, step: NormalStep) -> dict[str, Export]:
    """What each export is; a state kept before its reset counts as the membrane before, where both are the same."""
    known: list[tuple[Meaning, Tree | None]] = [
        ("spikes", step.spikes),
        ("membrane after", step.after),
        ("membrane before", step.before),
        ("current", None if candidate.late else step.current),
    ]
    if candidate.reading.exported == "before":
        known[1:3] = known[2:0:-1]
    return {name: _export(view, name, known, assumed(candidate)) for name in view.region.exports}


def _export(view: _View, name: str, known: Sequence[tuple[Meaning, Tree | None]], given: Given) -> Export:
    forest, tree, shape = view.behaviour.forest, view.trees[name], view.region.shape
    for meaning, own in known:
        if own is not None and not mismatches(forest, name, tree, own, given):
            return Export(meaning, np.ones(()), np.zeros(()))
    for meaning, own in known:
        found = None if own is None else multiple(forest, tree, own, given)
        if found is not None:
            return Export(meaning, compact(found[0], shape), compact(found[1], shape))
    raise MisfitError(
        "unknown-export",
        f"{name} is read outside the neuron, but is neither its spikes, its membrane nor its current",
        "only these three may leave a neuron",
        rank=2,
    )
