"""What learning computes, counted from spikes; what is passed over never changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from snncc.integers import Decay, Factor, Normalisation, Plasticity, SpikeTrace, Term
from snncc.plasticity import Moment, begun, learnt_step, stirrers, trace_values
from snncc.workload import Work, changes_of, stirred, traces_of
from tests.lessons import rules

NONE = Decay(np.zeros((), np.int64), 0, "floor")
FLAG = SpikeTrace(NONE, 1, 1, latest=True, cleared=True)
FADING = SpikeTrace(Decay(np.array(1), 1, "floor"), 4, 4, latest=True)
BOTH = Term("period", 3, (Factor("pre", 0), Factor("post", 0)))
RULE = Plasticity((FADING,), (FLAG,), (BOTH,), 0, 15, period=2)
X = np.array([[[1, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0], [0, 1, 0], [0, 0, 0]]])
S = np.array([[[0, 0], [1, 0], [0, 0], [0, 1], [1, 1], [0, 0]]])
LONG = np.array([6])


def test_only_sources_and_targets_with_traces_count() -> None:
    assert (stirrers(RULE, "pre"), stirrers(RULE, "post")) == ((0,), (0,))
    # a trace of 4 is halved: 4 2 1 0; flags of the steps 0..1, 2..3 and 4..5
    assert trace_values(FADING, X, 2)[0, :, 0].tolist() == [4, 2, 1, 0, 0, 0]
    assert stirred(RULE, "pre", X, LONG).tolist() == [[1, 0, 1]]
    assert stirred(RULE, "post", S, LONG).tolist() == [[1, 1, 2]]
    assert changes_of(RULE, X, S, LONG) == 1 * 1 + 0 * 1 + 1 * 2
    assert changes_of(RULE, X, S, np.array([5])) == 1
    assert traces_of(RULE, X, S, LONG) == 6 * 3 + 4


def test_events_and_normalisation_count() -> None:
    always = replace(RULE, terms=(Term("period", 1, (Factor("weight"),)),))
    assert changes_of(always, X, S, LONG) == 3 * 6
    half = replace(RULE, terms=(Term("period", 1, (Factor("post", 0, -1, 1),)), BOTH))
    assert stirrers(half, "post") is None
    events = replace(RULE, terms=(Term("pre", 1, ()), Term("post", 1, ())))
    both = 2  # in one step a source and two targets spike: what joins them changes once
    assert changes_of(events, X, S, LONG) == 2 * 2 + 4 * 3 - both == 14
    assert changes_of(replace(events, normalisation=Normalisation(9)), X, S, LONG) == 14 + 6
    assert changes_of(replace(events, normalisation=Normalisation(9, 2)), X, S, LONG) == 14 + 3 * 6
    # of targets that spiked: both in the sample; one, one and both in the pairs of steps, of which 5 steps have two
    assert changes_of(replace(events, normalisation=Normalisation(9, 0, spiking=True)), X, S, LONG) == 14 + 2 * 3
    assert changes_of(replace(events, normalisation=Normalisation(9, 2, spiking=True)), X, S, LONG) == 14 + 4 * 3
    short, pairs = np.array([5]), Normalisation(9, 2, spiking=True)
    assert changes_of(replace(events, normalisation=pairs), X, S, short) == changes_of(events, X, S, short) + 2 * 3
    assert changes_of(replace(events, normalisation=Normalisation(9, 9, spiking=True)), X, S, LONG) == 14
    assert (Work(1, 2, 3, 4, 5) + Work(1, 1, 1, 1, 1)).total == 2 + 3 + 4 + 5


@settings(max_examples=80)
@given(rules(), st.integers(0, 99))
def test_what_is_passed_over_stays(rule: Plasticity, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rule = replace(rule, normalisation=None)
    x, s = (rng.random((1, 6, size)) < 0.25 for size in (4, 3))
    low, high = rule.stored
    state = begun(rule, rng.integers(low, high, (3, 4), endpoint=True))
    for now in range(6):
        at = Moment(now, now, int(rng.integers(-3, 4)))
        after = learnt_step(rule, state, x[0, now].astype(np.int64), s[0, now].astype(np.int64), at)
        if (now + 1) % rule.period == 0 and any(term.when == "period" for term in rule.terms):
            moved = after.weight != state.weight
            place = (now + 1) // rule.period - 1
            for side, spikes, axis in (("pre", x, 0), ("post", s, 1)):
                assert moved.any(axis=axis).sum() <= stirred(rule, side, spikes, LONG)[0, place]
        state = after
