"""Where neurons lie: numbers on cores, and lanes."""

from __future__ import annotations

import numpy as np

from snncc.backends.chip.layout import lanes, places


def test_neurons_are_numbered_by_population_and_index_on_each_core() -> None:
    first, nothing, second = places([np.array([1, 0, 1, 1]), None, np.array([0, 1, 2])], 3)
    assert nothing is None
    assert first is not None
    assert second is not None
    assert first.number.tolist() == [0, 0, 1, 2]
    assert second.number.tolist() == [1, 3, 0]
    assert first.order.tolist() == [1, 0, 2, 3]
    assert first.counts.tolist() == [1, 3, 0]
    assert second.base.tolist() == [1, 3, 0]


def test_lanes_go_core_by_core_and_then_by_index() -> None:
    (place,) = places([np.array([1, 0, 1, 0])], 2)
    assert place is not None
    assert lanes(place, None).tolist() == [2, 0, 3, 1]


def test_lanes_of_channels_lie_beside_each_other() -> None:
    home = np.array([0, 0, 1, 1] * 2)  # two channels of 1 x 4: the left half on one core, the right half on another
    (place,) = places([home], 2)
    assert place is not None
    assert lanes(place, (2, 1, 4)).tolist() == [0, 2, 4, 6, 1, 3, 5, 7]
