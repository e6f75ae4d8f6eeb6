"""The bounds on what one event can start: never passed on random networks, reached where they can be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from snncc.events.cascade import cascades
from snncc.events.ops import crossbar
from snncc.events.reference import activity
from tests.events.random_networks import Case, cases
from tests.events.test_reference import example


@given(cases(most=20), st.integers(0, 1 << 32))
@settings(max_examples=150)
def test_no_run_passes_the_bounds(case: Case, seed: int) -> None:
    """Membranes are as high as can be, half of them, so that many neurons fire at the first event."""
    network, random = crossbar(case.network), np.random.default_rng(seed)
    high = np.minimum(network.threshold - 1, network.highest)
    bounds = cascades(network)
    ready = replace(network, initial=np.where(random.random(network.neurons) < 0.5, high, network.initial))
    flat = case.x.reshape(*case.x.shape[:2], -1)
    for matrix in (network, ready):
        found = activity(matrix, case.network.source, flat, case.lengths, logged=True)
        assert found.fullest.max() <= bounds.most
        for log in found.log:
            starts = np.flatnonzero(log[:, 1] >= network.neurons)
            for start, stop in zip(starts, np.append(starts, len(log))[1:], strict=True):
                channel = log[start, 1] - network.neurons
                spikes = np.bincount(log[start + 1 : stop, 1], minlength=network.neurons)
                assert stop - start <= bounds.events[channel]
                assert (spikes <= bounds.spikes[channel]).all()


def test_a_bound_by_hand() -> None:
    """Weight 7 on `a` makes it fire once; `b` then gets 5 and 3, so 8: from just below 5 it fires at most twice."""
    bounds = cascades(crossbar(example([[7, 3], [-7, 0]])))
    assert bounds.spikes.tolist() == [[1, 2], [0, 0]]
    assert bounds.events.tolist() == [4, 1]
    assert bounds.most == 4


def test_a_neuron_fires_at_no_more_events_than_excite_it() -> None:
    assert cascades(crossbar(example([[7, 0]], threshold=1))).spikes.tolist() == [[1, 1]]
