"""Learning against an interpreter written differently: the rule's step at small widths, and random networks."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings

from snncc.integers import Decay, Factor, Normalisation, Plasticity, Population, SpikeTrace, Synapse, Term, learns
from snncc.plasticity import Moment, Plastic, begun, draws, largest_change, learnt_step, mixed, normalised, seen
from snncc.runner import Trace
from snncc.semantics import frozen_network, run
from snncc.wellformed import malformed
from tests.lessons import Lesson, lessons
from tests.reference.interpreter import interpret
from tests.reference.learner import Learner, drawn, scrambled


def same(expected: Trace, found: Trace) -> None:
    assert set(expected.traces) == set(found.traces)
    for kind in ("outputs", "spikes", "membranes", "traces"):
        ours, theirs = getattr(expected, kind), getattr(found, kind)
        for name, values in ours.items():
            np.testing.assert_array_equal(theirs[name], values, err_msg=f"{kind} of {name}")
    if expected.learnt is None:
        assert found.learnt is None
        return
    assert found.learnt is not None
    assert expected.learnt.steps == found.learnt.steps
    for kind in ("weights", "adaptations"):
        ours, theirs = getattr(expected.learnt, kind), getattr(found.learnt, kind)
        assert set(ours) == set(theirs)
        for name, values in ours.items():
            np.testing.assert_array_equal(theirs[name], values, err_msg=f"{kind} of {name}")


@settings(max_examples=150)
@given(lessons())
def test_random_networks_learn_as_the_interpreter_does(lesson: Lesson) -> None:
    assert not malformed(lesson.network)
    x, lengths = lesson.case.x, lesson.case.lengths
    names = tuple(lesson.network.of_kind(Population))
    found = run(lesson.network, x, lengths=lengths, record=names, reward=lesson.reward, traces=True)
    same(interpret(lesson.network, x, lengths, names, lesson.reward), found)


@settings(max_examples=40)
@given(lessons())
def test_learning_goes_on_where_it_stopped(lesson: Lesson) -> None:
    x, lengths = lesson.case.x, lesson.case.lengths
    whole = run(lesson.network, x, lengths=lengths, reward=lesson.reward)
    first = run(lesson.network, x[:1], lengths=lengths[:1], reward=lesson.reward[:1])
    rest = run(lesson.network, x[1:], x.shape[1], lengths[1:], learnt=first.learnt, reward=lesson.reward[1:])
    assert whole.learnt is not None or not learns(lesson.network)
    if whole.learnt and len(x) > 1:
        assert rest.learnt
        assert whole.learnt.steps == rest.learnt.steps
        for name, weight in whole.learnt.weights.items():
            np.testing.assert_array_equal(weight, rest.learnt.weights[name])


@settings(max_examples=40)
@given(lessons())
def test_a_frozen_network_no_longer_learns(lesson: Lesson) -> None:
    learnt = run(lesson.network, lesson.case.x, lengths=lesson.case.lengths).learnt
    if learnt:
        frozen = frozen_network(lesson.network, learnt)
        assert not learns(frozen)
        assert not malformed(frozen)
        for name, weight in learnt.weights.items():
            op = lesson.network[name]
            assert isinstance(op, Synapse)
            assert op.plasticity
            np.testing.assert_array_equal(frozen[name].map.weight, seen(op.plasticity, weight))


TRACE = SpikeTrace(Decay(np.array(3), 3, "floor"), 5, 7)
LATEST = SpikeTrace(Decay(np.array(1), 2, "nearest"), 6, 7, latest=True, cleared=True)
SMALL = [
    Plasticity((TRACE,), (LATEST,), (Term(when, rate, factors),), low, 7, guard, shift, 2, None, 0, stochastic, 9)
    for when, rate, factors, low, guard, shift, stochastic in product(
        ("pre", "post", "period"),
        (-3, 5),
        ((Factor("pre"), Factor("weight", gain=-1, offset=7)), (Factor("post", offset=-2),)),
        (0, -7),
        (0, 2),
        (0, 3),
        (False, True),
    )
]


@pytest.mark.parametrize("number", range(len(SMALL)))
def test_a_step_at_small_widths(number: int) -> None:
    """Every weight, trace and pair of spikes of three bits as one synapse group, on a step that is due and one not."""
    rule = SMALL[number]
    low, high = rule.stored
    for x, s, now in product((0, 1), (0, 1), (0, 1)):
        pre, weight = (each.reshape(-1) for each in np.meshgrid(np.arange(8), np.arange(low, high + 1)))
        learner = Learner(rule, [[int(each) for each in weight] for _ in range(8)])
        learner.pre.values[0] = pre.tolist()
        learner.post.values[0] = list(range(8))
        learner.now = now
        learner.step([x] * len(pre), [s] * 8, 77, 0)
        old = Plastic(np.tile(weight, (8, 1)), (pre,), (np.arange(8),), np.zeros(8, np.bool_))
        new = learnt_step(rule, old, np.full(len(pre), x), np.full(8, s), Moment(now, 77))
        np.testing.assert_array_equal(new.weight, learner.weights)
        np.testing.assert_array_equal(new.pre[0], learner.pre.values[0])
        np.testing.assert_array_equal(new.post[0], learner.post.values[0])


@pytest.mark.parametrize("spiking", [False, True])
@pytest.mark.parametrize("stochastic", [False, True])
@pytest.mark.parametrize("total", [1, 9, 40, 1 << 20])
def test_normalising_at_small_widths(total: int, stochastic: bool, spiking: bool) -> None:
    whole = Normalisation(total, spiking=spiking)
    rule = Plasticity((), (), (), 0, 7, 1, 0, 1, whole, stochastic=stochastic, seed=5)
    weight = np.array(list(product(range(0, 15, 2), repeat=3)))
    learner = Learner(rule, weight.tolist())
    spiked = np.arange(len(weight)) % 3 == 1
    learner.marked = set(np.flatnonzero(spiked).tolist())
    learner.finish(31)
    found = normalised(rule, weight, spiked, 31)
    np.testing.assert_array_equal(found, learner.weights)
    assert ((found == weight).all(axis=1) >= ~spiked).all() or not spiking


def test_only_targets_that_spiked_since_the_last_time_are_normalised() -> None:
    """By hand: a total of 8 every two steps; the other target's weights stay, and a spike counts once."""
    rule = Plasticity((), (), (), 0, 9, normalisation=Normalisation(8, 2, spiking=True), stochastic=False)
    state, seen_weights = begun(rule, np.array([[1, 1], [2, 2]])), []
    for now, spikes in enumerate(([0, 0], [1, 0], [0, 0], [0, 0], [0, 2], [0, 0])):
        state = learnt_step(rule, state, np.zeros(2, np.int64), np.array(spikes), Moment(now, now))
        state = replace(state, weight=state.weight - 1) if now == 1 else state
        seen_weights.append(state.weight.tolist())
    start, first, both = [[1, 1], [2, 2]], [[3, 3], [1, 1]], [[3, 3], [4, 4]]
    assert seen_weights == [start, first, first, first, first, both]


def test_draws_are_those_of_the_interpreter_and_of_every_other_machine() -> None:
    index = np.array([0, 1, 2, 783, 313_599, (1 << 32) - 1])
    for seed, count, purpose, bits in product((0, 7, (1 << 32) - 1), (0, 5, (1 << 31) + 3), (0, 1), (1, 12, 31)):
        expected = [drawn(seed, 2 * count + purpose, int(each), bits) for each in index]
        assert draws(seed, count, purpose, index, bits).tolist() == expected
    assert [int(mixed(np.array(each))) for each in (0, 1, 2)] == [scrambled(each) for each in (0, 1, 2)]
    assert draws(0, 0, 0, index[:3], 32).tolist() == [0, 33350994, 83415710]


def test_draws_are_even() -> None:
    """Over the synapses of a step, and over the steps of a synapse: each bit within five deviations, pairs too."""
    index = np.arange(1 << 16)
    for values in (draws(3, 8, 0, index, 12), np.array([int(draws(3, c, 0, 17, 12)) for c in range(1 << 12)])):
        assert abs(values.mean() / 4096 - 0.5) < 5 * 0.2887 / np.sqrt(len(values))
        follow = np.corrcoef(values[:-1], values[1:])[0, 1]
        assert abs(follow) < 5 / np.sqrt(len(values))


def test_the_bound_of_changes_holds() -> None:
    for rule in SMALL:
        assert largest_change(rule) >= abs(rule.terms[0].rate)
        assert largest_change(rule) < 1 << 20
