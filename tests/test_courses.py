"""Static values become spikes by draws that depend on nothing but the seed, the sample, the step and the channel."""

from __future__ import annotations

import numpy as np

from snncc.courses import Course, encoded
from snncc.plasticity import draws


def test_static_values_become_spikes_by_the_draws() -> None:
    x, first = np.random.default_rng(1).random((3, 50)), np.array([0, 5, 300_000_000])
    course = Course(steps=7, seed=(1 << 32) - 1)
    found = encoded(x, first, course)
    limit = np.rint(x * course.rate * (1 << 24))
    for spikes, number, own in zip(found, first.tolist(), limit, strict=True):
        drawn = draws(course.seed ^ 0x5350494B, number * 7 + np.arange(7)[:, None], 0, np.arange(50), 24)
        np.testing.assert_array_equal(spikes, drawn < own)
