"""Static values become spikes by draws that depend on nothing but the seed, the sample, the step and the channel."""

from __future__ import annotations

import numpy as np

from snncc.plasticity import draws
from snncc.spike_draws import encoded


def test_static_values_become_spikes_by_the_draws() -> None:
    x, first = np.random.default_rng(1).random((3, 50)), np.array([0, 5, 300_000_000])
    rate, seed = 0.25, (1 << 32) - 1
    found = encoded(x, first, 7, rate, seed)
    limit = np.rint(x * rate * (1 << 24))
    for spikes, number, own in zip(found, first.tolist(), limit, strict=True):
        drawn = draws(seed ^ 0x5350494B, number * 7 + np.arange(7)[:, None], 0, np.arange(50), 24)
        np.testing.assert_array_equal(spikes, drawn < own)


def test_narrow_floats_become_the_spikes_of_their_values() -> None:
    x, first = np.random.default_rng(2).random((2, 40)).astype(np.float16), np.arange(2)
    for rate in (0.25, 0.3, 1.0):
        found = encoded(x, first, 9, rate, 3)
        assert found.any()
        np.testing.assert_array_equal(found, encoded(x.astype(np.float32), first, 9, rate, 3))
