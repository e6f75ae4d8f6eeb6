"""Placing on the mesh: every part on a core of its own, as close to what it exchanges as a search finds."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snncc.arrays import Array
from snncc.chip import Mesh
from snncc.mapping import cores_of, tile_of
from snncc.passes.place import Flow, hilbert, hops, place


def flow_of(matrix: Array, host: Array) -> Flow:
    sender, to = np.nonzero(matrix)
    start = np.concatenate([[0], np.cumsum(np.bincount(sender, minlength=len(matrix)))])
    return Flow(start, to.astype(np.int32), matrix[sender, to].astype(np.float64), host.astype(np.float64))


@st.composite
def meshes(draw: Any) -> Mesh:
    columns, rows, cores = draw(st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(1, 3)))
    return Mesh(columns, rows, cores, (draw(st.integers(0, columns - 1)), draw(st.integers(0, rows - 1))))


def naive_hops(matrix: Array, host: Array, home: Array, mesh: Mesh) -> float:
    total = 0.0
    for a, here in enumerate(home):
        x, y = tile_of(int(here), mesh)
        total += host[a] * (abs(x - mesh.host[0]) + abs(y - mesh.host[1]))
        for b, there in enumerate(home):
            u, v = tile_of(int(there), mesh)
            total += matrix[a, b] * (abs(x - u) + abs(y - v))
    return float(total)


@given(meshes())
def test_a_hilbert_curve_visits_every_core_once(mesh: Mesh) -> None:
    assert sorted(hilbert(mesh).tolist()) == list(range(cores_of(mesh)))


@pytest.mark.parametrize("side", [2, 4, 8, 16])
def test_a_hilbert_curve_goes_from_tile_to_next_tile(side: int) -> None:
    tiles = [tile_of(int(core), Mesh(side, side, 1, (0, 0))) for core in hilbert(Mesh(side, side, 1, (0, 0)))]
    assert tiles[0] == (0, 0)
    assert all(abs(a - c) + abs(b - d) == 1 for (a, b), (c, d) in pairwise(tiles))


@given(meshes(), st.integers(0, 1 << 32))
def test_places_are_cores_of_their_own_and_hops_are_counted(mesh: Mesh, seed: int) -> None:
    random = np.random.default_rng(seed)
    parts = int(random.integers(1, cores_of(mesh), endpoint=True))
    matrix = random.integers(0, 9, (parts, parts)) * (random.random((parts, parts)) < 0.3)
    host = random.integers(0, 5, parts)
    home = place(flow_of(matrix, host), mesh, seed % 7)
    assert len(set(home.tolist())) == parts
    assert set(home.tolist()) <= set(range(cores_of(mesh)))
    found = hops(flow_of(matrix, host), home, mesh)
    assert found == naive_hops(matrix, host, home, mesh)
    for first in (hilbert(mesh), np.arange(cores_of(mesh))):
        assert found <= naive_hops(matrix, host, first[:parts], mesh)
    assert place(flow_of(matrix, host), mesh, seed % 7).tolist() == home.tolist()


def test_a_chain_lies_along_a_way_from_the_host() -> None:
    matrix = np.zeros((9, 9), np.int64)
    matrix[np.arange(8), np.arange(1, 9)] = 3
    host = np.eye(9, dtype=np.int64)[0] * 7
    mesh = Mesh(3, 3, 1, (2, 2))
    assert hops(flow_of(matrix, host), place(flow_of(matrix, host), mesh, 0), mesh) == 3 * 8


def test_what_the_host_feeds_most_is_nearest_to_it() -> None:
    mesh = Mesh(4, 1, 1, (3, 0))
    none = np.zeros((4, 4), np.int64)
    assert place(flow_of(none, np.array([1, 5, 2, 9])), mesh, 0).tolist() == [0, 2, 1, 3]
