"""Finds states that count the steps of rest after a spike, and makes sure that the neuron does rest meanwhile.

Such a state takes few values: what a spike sets it to, and what follows from there until it stays. So the region is
looked at once for each of them, as one that has this constant instead of the state; that covers all that can occur.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from snncc.arrays import Array, Floats
from snncc.describe import number
from snncc.frontends.onnx import affine
from snncc.frontends.onnx.affine import Affine
from snncc.frontends.onnx.assemble import Candidate
from snncc.frontends.onnx.forest import FALSE, Forest, Leaf, Tree, leaf, leaves
from snncc.frontends.onnx.hypothesis import Behaviour, Counter, Export, MisfitError
from snncc.frontends.onnx.normal_form import NormalStep, compare, mismatches, multiple, normal_step
from snncc.frontends.onnx.propagate import propagate
from snncc.frontends.onnx.region import Region
from snncc.frontends.onnx.verify import Subject, core, run_region

_MOST_VALUES = 256
_MOST_FIRST = 4  # numbers in a counter's equation that a spike may set it to
_SAMPLES = 8  # points at which a counter's next value is computed, as a spike at one of them hides it
_ROUNDED = 8 * 2.0**-23  # of a counter in float32, relative to its largest value


# --- its values -----------------------------------------------------------------------------------------------------


def counters(region: Region) -> Iterator[Counter]:
    """Each state that may be a counter, for each value that a spike may set it to; `steps` is left open."""
    trees = _run(Forest(region.name), region, {})
    for state, tensor in region.states:
        for first in _numbers(state, trees[tensor]):
            values = _values(region, state, tensor, first)
            if values is not None:
                yield Counter(state, tensor, values)


def _numbers(state: str, tree: Tree) -> list[Floats]:
    """The numbers that a state is set to at times, if nothing else but its own value is added to it."""
    seen: list[Affine] = []
    for form in leaves(tree):
        if not isinstance(form, Affine) or form.terms.keys() - {state} or not np.all(np.isfinite(form.constant)):
            return []
        if not form.terms and not any(affine.same(form, other) for other in seen):
            seen.append(form)
    return [form.constant for form in seen] if len(seen) <= _MOST_FIRST else []


def _values(region: Region, state: str, tensor: str, first: Floats) -> Floats | None:
    """What follows from `first` without a spike, until it stays; None if it does not, or depends on other things."""
    shape = core(region)
    values = [np.broadcast_to(first, shape).astype(np.float32)]
    while len(values) <= _MOST_VALUES:
        following = _following(region, (state, tensor), first, values[-1])
        if following is None:
            return None
        if np.array_equal(following, values[-1]):
            return np.stack(values).astype(np.float64) if len(values) > 1 else None
        values.append(following)
    return None


def _following(region: Region, counter: tuple[str, str], first: Floats, value: Array) -> Array | None:
    """The one next value besides `first`, rounded to float32 as the file does."""
    state, tensor = counter
    size = np.maximum(np.abs(first), np.abs(value))
    found = np.full(value.shape, np.nan)  # in one leaf, some neurons may have fired and others not
    for form in leaves(_run(Forest(region.name), region, {state: leaf(value)})[tensor]):
        if not isinstance(form, Affine) or form.terms:
            return None
        fresh = _off(form.constant, first, size)
        if np.any(fresh & ~np.isnan(found) & _off(form.constant, found, size)):
            return None
        found = np.where(fresh, form.constant, found)
    if not np.all(np.isfinite(found)):
        return None
    shape, rng = (_SAMPLES, *value.shape), np.random.default_rng(0)
    variables = (*region.streams, *(name for name, _ in region.states))
    point = {name: rng.standard_normal(shape).astype(np.float32) for name in variables}
    seen = run_region(region, {**point, state: np.broadcast_to(value, shape)}, np.float32)[tensor]
    gap = np.abs(np.broadcast_to(seen, shape) - found)
    nearest = np.take_along_axis(np.broadcast_to(seen, shape), np.argmin(gap, axis=0)[None], axis=0)[0]
    return np.where(_off(nearest, found, size), found, nearest).astype(np.float32)


def _off(a: Array, b: Array, size: Array) -> Array:
    return ~(np.abs(a - b) <= _ROUNDED * size)


def _close(a: Array, b: Array, size: Array) -> bool:
    return not np.any(_off(a, b, size))


def _run(forest: Forest, region: Region, special: Mapping[str, Tree]) -> dict[str, Tree]:
    inputs = (*region.streams, *(state for state, _ in region.states))
    given: dict[str, Tree] = {name: Leaf(affine.variable(name)) for name in inputs}
    return propagate(forest, region.nodes, region.constants, {**given, **special})


# --- the neuron while it is ready, and while it rests ---------------------------------------------------------------


def at_rest(region: Region, counter: Counter) -> Region:
    """The region while its counter stays at its last value, as one without that state."""
    states = tuple(pair for pair in region.states if pair[0] != counter.state)
    initial = {name: value for name, value in region.initial.items() if name != counter.state}
    last = counter.values[-1].astype(np.float32)
    return replace(region, states=states, initial=initial, constants={**region.constants, counter.state: last})


def with_rest(subject: Subject, counter: Counter) -> Subject:
    """The subject, a neuron that fits while the counter is at its last value, with its steps of rest.

    Raises MisfitError where the neuron does anything but rest at first, and go on as ever after that.
    """
    candidate = subject.candidate
    if candidate.reading.exported != "after" or candidate.neuron.refractory:
        message = f"{counter.state} counts the steps since the last spike, and the spike resets a step late"
        raise MisfitError("refractory-count", message, "reset the membrane in the step of the spike", rank=4)
    _of_one_length(counter)
    echoes = _echoes(subject, counter)
    steps = 0
    for index in range(len(counter.values)):
        resting = _difference(subject, counter, index, echoes, rests=True)
        if resting is None and steps == index:
            steps += 1
        elif (ready := _difference(subject, counter, index, echoes, rests=False)) is not None:
            raise _misfit(candidate, counter, resting if steps == index and resting is not None else ready)
    if steps in (0, len(counter.values)):
        message = f"{counter.state} counts the steps since the last spike, but the neuron never rests, or for ever"
        raise MisfitError("refractory-count", message, rank=4)
    counter = replace(counter, steps=steps)
    _starts_ready(subject.region, counter)
    return replace(
        subject,
        candidate=replace(candidate, neuron=replace(candidate.neuron, refractory=steps)),
        counter=counter,
    )


def _of_one_length(counter: Counter) -> None:
    per_neuron = np.sum(counter.values[:-1] != counter.values[1:], axis=0)
    least, most = int(np.min(per_neuron)), int(np.max(per_neuron))
    if least != most:
        raise MisfitError(
            "refractory-count",
            f"{counter.state} counts {least} to {most} steps after a spike, not the same for all neurons",
            "the neurons of one population rest equally long; split it into several",
            rank=4,
        )


def _echoes(subject: Subject, counter: Counter) -> dict[str, tuple[Floats, Floats]]:
    """The states that hold the last spike: scale and offset to make the value of each from the neuron's spikes."""
    region, candidate = subject.region, subject.candidate
    views = (candidate.current, candidate.adaptation)
    own = {counter.state, candidate.reading.membrane, *(view.state for view in views if view is not None)}
    forest = Forest(region.name)
    trees = _run(forest, region, {counter.state: leaf(counter.values[-1])})
    found = {
        tensor: None if subject.event is None else multiple(forest, trees[tensor], trees[subject.event])
        for state, tensor in region.states
        if state not in own
    }
    return {tensor: echo for tensor, echo in found.items() if echo is not None}


def _difference(
    subject: Subject, counter: Counter, index: int, echoes: Mapping[str, tuple[Floats, Floats]], rests: bool
) -> str | None:
    """What is not as it should be while the counter holds one of its values: the name of a state or tensor."""
    region, candidate, reading = subject.region, subject.candidate, subject.candidate.reading
    forest = Forest(region.name)
    special = {counter.state: leaf(counter.values[index])}
    if rests and reading.reset.kind == "hard" and reading.membrane is not None:
        special[reading.membrane] = leaf(reading.reset.value)  # where the spike left it
    trees = _run(forest, region, special)
    step = normal_step(forest, candidate, trees)
    if rests:
        v = FALSE if reading.membrane is None else trees[reading.membrane]
        a = None
        if candidate.adaptation is not None and candidate.neuron.adapt is not None:
            view = candidate.adaptation
            a = forest.add(forest.scale(trees[view.state], view.scale), leaf(view.shift))
            a = forest.scale(a, candidate.neuron.adapt.decay)
        step = NormalStep(FALSE, v, v, step.current, a)
    event = None if subject.event is None else trees[subject.event]
    following = {state: trees[tensor] for state, tensor in region.states if state != counter.state}
    for found in compare(Behaviour(forest, event, following), candidate, trees, step):
        return found.of
    for name, export in subject.exports.items():
        if mismatches(forest, name, trees[name], _exported(forest, export, step)):
            return name
    for name, (scale, offset) in echoes.items():
        assert subject.event is not None
        echo = forest.add(forest.scale(trees[subject.event], scale), leaf(offset))
        if mismatches(forest, name, trees[name], echo):
            return name
    return None if _counts_on(forest, counter, index, trees[counter.tensor], step.spikes) else counter.state


def _exported(forest: Forest, export: Export, step: NormalStep) -> Tree:
    own = {
        "spikes": step.spikes,
        "membrane before": step.before,
        "membrane after": step.after,
        "current": step.current or FALSE,
    }[export.meaning]
    return forest.add(forest.scale(own, export.scale), leaf(export.offset))


def _counts_on(forest: Forest, counter: Counter, index: int, tree: Tree, spikes: Tree) -> bool:
    """Whether the counter goes to its first value where the neuron fires, and on to the next elsewhere."""
    first, following = counter.values[0], counter.values[min(index + 1, len(counter.values) - 1)]
    size = np.max(np.abs(counter.values), axis=0)
    for given, (form, s) in forest.cases(tree, forest.map(forest.positive, spikes)):
        if forest.on_edge(given):
            continue
        if not isinstance(form, Affine) or not isinstance(s, Affine) or form.terms or s.terms:
            return False
        if not _close(form.constant, np.where(s.constant > 0, first, following), size):
            return False
    return True


def _misfit(candidate: Candidate, counter: Counter, of: str) -> MisfitError:
    """Says what does not rest, or rests too."""
    what = f"{of} does not follow from the neuron's rest"
    if of == "the spikes":
        what = "the neuron does not just stay silent"
    elif of == candidate.reading.membrane:
        what = f"{of} does not just stay as the spike left it"
    elif candidate.current is not None and of == candidate.current.state:
        what = f"the current {of} does not go on as ever"
    elif candidate.adaptation is not None and of == candidate.adaptation.state:
        what = f"the adaptation {of} does not go on as ever"
    return MisfitError(
        "refractory-count",
        f"while {counter.state} counts the steps since the last spike, {what}",
        "after a spike the normal form holds the membrane and is silent for some steps; all else goes on",
        rank=4,
    )


def _starts_ready(region: Region, counter: Counter) -> None:
    start = np.asarray(region.initial.get(counter.state, np.zeros(())), np.float64)
    ready = counter.values[counter.steps :]
    if not np.all(np.any(start == ready, axis=0)):
        raise MisfitError(
            "initial-rest",
            f"{counter.state} starts at {number(start)}, so the neuron is not ready before the first step",
            f"let {counter.state} start at {number(ready[-1])}, the value with which the neuron rests no more",
            rank=5,
        )
