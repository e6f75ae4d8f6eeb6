"""Places of neurons, and boxes cut through them: on networks where one can say what the best cut is."""

from __future__ import annotations

import numpy as np
import pytest

from snncc.arrays import Array
from snncc.integers import Network, Population
from snncc.linear import Conv, Dense
from snncc.passes.partition.atoms import atoms_of
from snncc.passes.partition.bisect import connectivity
from snncc.passes.partition.geometric import geometric
from snncc.passes.partition.layout import CHANNEL, COLUMN, DEPTH, ROW, cells_of, orders_of, places_of
from snncc.passes.partition.segments import Space, runs_of, sketched
from tests.chips import chain, convolution, size_of


def space_of(network: Network, capacity: int, most: int = 4) -> tuple[Space, Array]:
    """The space of a network of which so many neurons fit a part, and the atom of every neuron."""
    atoms = atoms_of(network, frozenset(), None, dict.fromkeys(network.of_kind(Population), most))
    places = places_of(network, atoms)
    depth = np.unique(places[:, DEPTH], return_inverse=True)[1].reshape(-1)
    own = np.where(atoms.own >= 0, depth[np.maximum(atoms.own, 0)], -1)
    kernel = np.zeros(int(depth.max()) + 1)
    orders, axes = orders_of(places)
    return Space(atoms.nets, atoms.size / capacity, depth, orders, own, kernel, axes), atoms.of


def cut(network: Network, capacity: int, most: int) -> tuple[float, int, Array]:
    """The connectivity in events of one neuron, the parts, and the part of every neuron."""
    atoms = atoms_of(network, frozenset(), None, dict.fromkeys(network.of_kind(Population), 4))
    space, of = space_of(network, capacity)
    part, used = geometric(space, lambda side: cells_of(network, atoms, side), most)
    assert np.bincount(part, atoms.size).max() <= capacity
    return connectivity(space.nets, part, used) / 1000, used, np.append(part, -1)[np.minimum(of, len(part))]


def test_neurons_lie_where_their_windows_are() -> None:
    network = chain(convolution((2, 8, 6), 3, 3), convolution((3, 8, 6), 4, 5, stride=2))
    atoms = atoms_of(network, frozenset(), None, {"p1": 1, "p2": 1})
    places = places_of(network, atoms)
    assert len(np.unique(places[:144, DEPTH])) == len(np.unique(places[144:, DEPTH])) == 1
    last = places[atoms.of[atoms.first[2] :]].reshape(4, 4, 3, 4)
    assert last[0, :, 0, ROW].tolist() == [0, 2, 4, 6]
    assert last[0, 0, :, COLUMN].tolist() == [0, 2, 4]
    np.testing.assert_allclose(last[:, 0, 0, CHANNEL], [0.125, 0.375, 0.625, 0.875])


def test_pooled_maps_lie_between_what_they_pool() -> None:
    network = chain(convolution((1, 8, 8), 1, 3), Dense(np.ones((5, 64), np.int8)))
    assert np.ptp(places_of(network, atoms_of(network, frozenset(), None, {"p2": 1}))[-5:, ROW]) == 0


def test_cells_are_squares_of_a_population() -> None:
    network = chain(convolution((1, 4, 4), 1, 3), convolution((1, 4, 4), 2, 1))
    atoms = atoms_of(network, frozenset(), None, {"p1": 1, "p2": 1})
    cells = cells_of(network, atoms, 2)
    of = cells[atoms.of[atoms.first[1] :]]
    assert len(np.unique(cells)) == 4 + 8
    first = of[:16].reshape(4, 4)
    assert len({int(each) for each in first[:2, :2].flat}) == 1
    assert first[0, 1] != first[0, 2]


@pytest.mark.parametrize(("taps", "shape"), [((1, 5), (1, 4)), ((5, 1), (4, 1)), ((3, 5), (2, 2))])
def test_cells_are_long_where_windows_are(taps: tuple[int, int], shape: tuple[int, int]) -> None:
    network = chain(Conv(np.ones((1, 1, *taps), np.int8), (1, 8, 8), padding=(taps[0] // 2, taps[1] // 2) * 2))
    atoms = atoms_of(network, frozenset(), None, {"p1": 1})
    cells = cells_of(network, atoms, 2)[atoms.of[atoms.first[1] :]].reshape(8, 8)
    assert len(np.unique(cells)) == 16
    assert len(np.unique(cells[: shape[0], : shape[1]])) == 1


def test_rows_that_do_not_meet_are_kept_apart() -> None:
    """Three layers whose windows are one row high: each four of 32 rows have a core, and it sends nothing."""
    row = Conv(np.ones((1, 1, 1, 5), np.int8), (1, 32, 32), padding=(0, 2, 0, 2))
    price, used, part = cut(chain(row, row, row), 3 * 4 * 32, 8)
    assert (price, used) == (0, 8)
    assert (part[1024:].reshape(3, 8, 4, 32) == part[1024:].reshape(3, 8, 4, 32)[:1, :, :1, :1]).all()


def test_threads_do_not_change_a_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    network = chain(*[convolution((1, 32, 32), 1, 5)] * 4)
    found = []
    for threads in (1, 5):
        monkeypatch.setattr("os.cpu_count", lambda threads=threads: threads)
        found.append(cut(network, 256, 16)[2].tolist())
    assert found[0] == found[1]


def test_layers_share_tiles_where_that_costs_least() -> None:
    """Eight maps of 32 x 32 and 5 x 5 windows, 64 neurons a core: known from 16 tiles of 2 layers and others."""
    network = chain(*[convolution((1, 32, 32), 1, 5)] * 4)
    assert size_of(network) == 4096
    price, used, part = cut(network, 256, 16)
    assert used <= 16
    in_order = np.arange(4096) // 256
    assert price < 0.75 * _price(network, in_order, 16)
    assert len(part) == 4096 + 1024


def _price(network: Network, core: Array, parts: int) -> float:
    atoms = atoms_of(network, frozenset(), None, dict.fromkeys(network.of_kind(Population), 1))
    part = np.zeros(len(atoms.size), np.int32)
    part[atoms.of[atoms.first[1] :]] = core
    return connectivity(atoms.nets, part, parts) / 1000


@pytest.mark.parametrize("groups", [1, 8])
def test_channels_that_do_not_meet_are_kept_apart(groups: int) -> None:
    """Depthwise layers of 8 maps of 8 x 8 on 8 cores: a core each, and nothing is sent but the input."""
    network = chain(*[convolution((8, 8, 8), 8, 3, groups=groups)] * 3)
    price, used, part = cut(network, 3 * 64, 8)
    assert used == 8
    if groups == 8:
        assert price == 0
        assert len(np.unique(part[512:].reshape(3, 8, 64).transpose(1, 0, 2).reshape(8, -1))) == 8
    else:
        assert price > 0


def test_runs_cover_every_layer_once_and_keep_to_the_parts() -> None:
    network = chain(*[convolution((2, 16, 16), 2, 3)] * 5)
    space, _ = space_of(network, 100)
    for most in (26, 30):
        runs = runs_of(space, most, roomy=True)
        assert [runs[0].low, *(run.high for run in runs)] == [run.low for run in runs] + [5]
        assert sum(run.parts for run in runs) <= most


def test_a_sketch_weighs_as_much_as_what_it_stands_for() -> None:
    network = chain(*[convolution((2, 16, 16), 2, 3)] * 2)
    space, _ = space_of(network, 100)
    atoms = atoms_of(network, frozenset(), None, dict.fromkeys(network.of_kind(Population), 4))
    small = sketched(space, cells_of(network, atoms, 4))
    assert len(small.size) == 2 * 16
    np.testing.assert_allclose(small.size.sum(), space.size.sum())
    assert sorted(small.orders[0].tolist()) == list(range(32))


def test_orders_begin_with_one_for_each_axis_in_use() -> None:
    """Twelve places in two rows, three columns and two channels: all at one depth, which nothing is sorted by."""
    places = np.zeros((12, 4))
    places[:, ROW], places[:, COLUMN], places[:, CHANNEL] = np.indices((2, 3, 2)).reshape(3, -1)
    orders, axes = orders_of(places)
    assert (len(orders), axes) == (5, 3)
    for order, axis in zip(orders, (ROW, COLUMN, CHANNEL, ROW, COLUMN), strict=True):
        assert sorted(order.tolist()) == list(range(12))
        assert (np.diff(places[order, axis]) >= 0).all()
