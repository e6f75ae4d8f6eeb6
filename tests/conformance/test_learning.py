"""Random networks that learn, on each backend that can: spikes, membranes, traces, weights, thresholds, bit for bit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import HealthCheck, given, reject, settings

from snncc.analysis.proof import prove
from snncc.backends.base import Batch, Job, unteachable
from snncc.diagnostics import CompileError
from snncc.integers import Learnt, Population, Synapse, learns
from snncc.passes.retime import retime
from snncc.runner import Trace
from snncc.semantics import frozen_network, run
from snncc.verify import compare
from tests.backends.mcu.devices import needs, place
from tests.conformance.backends import CANDIDATES, LATE, SLOWLY_BUILT, SMALL, Candidate, dealt, each_variant
from tests.lessons import Lesson, lessons

TEACHABLE = [each for each in CANDIDATES if each.backend.learns]
PROMPT = [each for each in TEACHABLE if each.chip.delay.steps[0] < LATE.delay.steps[0]]
DEVICES = [each for each in SLOWLY_BUILT if each.backend.learns]


def late(candidate: Candidate) -> Candidate:
    return replace(candidate, label=f"{candidate.label}, a step late", chip=replace(candidate.chip, delay=LATE.delay))


def each_of(candidates: list[Candidate]) -> pytest.MarkDecorator:
    marked = [
        pytest.param(each, id=each.label, marks=needs(each.chip.name) if each.chip.device else ())
        for each in candidates
    ]
    return pytest.mark.parametrize("candidate", marked)


def taught(candidate: Candidate, lesson: Lesson, learnt: Learnt | None, *, frozen: bool = False) -> Trace:
    network = retime(lesson.network, candidate.chip)
    refused = list(candidate.backend.validate(network, candidate.chip))
    if any(each.rule == "late-learning" for each in refused):
        reject()
    assert not refused
    mapping = dealt(network, candidate.chip) if candidate.backend.mapped else None
    x, lengths = lesson.case.x, lesson.case.lengths
    with TemporaryDirectory() as scratch:
        job = Job("lesson", network, prove(network), candidate.chip, mapping)
        place(candidate.backend.emit(job), Path(scratch))
        batch = Batch(x.reshape(*x.shape[:2], -1), lengths, learnt, lesson.reward, frozen, traces=not frozen)
        return candidate.backend.run(Path(scratch), network, candidate.chip, batch, True).trace


def holds(candidate: Candidate, examples: int) -> None:
    # A chip that delivers a step later cannot take most networks with cycles: many are drawn in vain.
    @settings(max_examples=examples, suppress_health_check=[HealthCheck.filter_too_much])
    @given(lessons())
    def conforms(lesson: Lesson) -> None:
        try:
            retime(lesson.network, candidate.chip)
        except CompileError:
            reject()
        names, x, lengths = tuple(lesson.network.of_kind(Population)), lesson.case.x, lesson.case.lengths
        how = {"lengths": lengths, "record": names, "reward": lesson.reward, "traces": True}
        expected = run(lesson.network, x, **how)
        found = taught(candidate, lesson, None)
        assert set(found.traces) == set(expected.traces)
        difference = compare(expected, found, names).difference
        assert difference is None, f"{difference}, {lesson.network.text()}"
        if expected.learnt:
            again = run(lesson.network, x, **how, learnt=expected.learnt)
            assert compare(again, taught(candidate, lesson, found.learnt), names).difference is None
            still = run(frozen_network(lesson.network, expected.learnt), x, lengths=lengths, record=names)
            frozen = taught(candidate, lesson, found.learnt, frozen=True)
            assert compare(replace(still, learnt=expected.learnt), frozen, names).difference is None

    conforms()


@each_of([*(each for each in TEACHABLE if not each.slow), *(late(each) for each in PROMPT if not each.chip.device)])
def test_random_networks_learn_the_same_bits(candidate: Candidate) -> None:
    holds(candidate, 2 if candidate.chip.device else 12)


@pytest.mark.slow
@each_of([*TEACHABLE, *map(late, PROMPT), *DEVICES, SMALL])
def test_many_random_networks_learn_the_same_bits(candidate: Candidate) -> None:
    holds(candidate, 20 if candidate.chip.device else 40 if candidate.slow else 150)


@each_variant
def test_a_backend_that_cannot_learn_refuses(candidate: Candidate) -> None:
    @settings(max_examples=5)
    @given(lessons())
    def refuses(lesson: Lesson) -> None:
        found = list(unteachable(candidate.backend, lesson.network))
        assert bool(found) == (learns(lesson.network) and not candidate.backend.learns)
        for each in found:
            what = "weights" if isinstance(lesson.network[each.where], Synapse) else "threshold"
            assert each.rule == "cannot-learn"
            assert each.message == (
                f"its {what} would have to be learnt on the device, which the {candidate.backend.name} backend has "
                "no code for"
            )

    refuses()


def test_a_difference_of_weights_is_found() -> None:
    spikes = {"p": np.zeros((1, 1, 1), np.int64)}
    ours = Trace({"y": spikes["p"]}, spikes, spikes, Learnt(4, {"w": np.array([[1, 2], [3, 4]])}, {"p": np.array([7])}))
    assert compare(ours, ours, ["p"]).values == 3 + 5
    other = replace(ours, learnt=replace(ours.learnt, weights={"w": np.array([[1, 2], [3, 5]])}))
    difference = compare(ours, other, ["p"], first_sample=6).difference
    assert str(difference) == (
        "w: weight of synapse 1 -> 1 after sample 6: the reference gives 4, the target 5 (as stored)"
    )
    assert compare(ours, replace(ours, learnt=None), ["p"]).differing == 5
    raised = replace(ours, learnt=replace(ours.learnt, adaptations={"p": np.array([8])}))
    assert str(compare(ours, raised, ["p"]).difference) == (
        "p: learnt threshold of neuron 0 after sample 0: the reference gives 7, the target 8"
    )


def test_a_difference_of_traces_is_found_and_none_is_looked_for_where_none_are_given() -> None:
    spikes, name = {"p": np.zeros((1, 2, 1), np.int64)}, "w, trace 1 of its sources"
    ours = Trace({"y": spikes["p"]}, spikes, spikes, None, {name: np.arange(6).reshape(1, 2, 3)})
    verdict = compare(ours, ours, ["p"])
    assert (verdict.equal, verdict.values, verdict.traces) == (True, 6 + 6, 6)
    blind = compare(ours, replace(ours, traces={}), ["p"])
    assert (blind.equal, blind.values, blind.traces) == (True, 6, 0)
    other = replace(ours, traces={name: np.array([[[0, 1, 2], [3, 9, 5]]])})
    verdict = compare(ours, other, ["p"], first_sample=6)
    assert (verdict.differing, str(verdict.difference)) == (
        1,
        f"{name}: at neuron 1 after step 1 of sample 6: the reference gives 4, the target 9",
    )
