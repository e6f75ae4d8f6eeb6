"""Cutting, refining and joining on random hypergraphs: nothing is lost, no part too full, and no step back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snncc.arrays import Array, Floats
from snncc.passes.partition.atoms import Nets
from snncc.passes.partition.balance import balance
from snncc.passes.partition.bisect import STYLES, Style, bisect, connectivity, restricted
from snncc.passes.partition.irregular import by_mtkahypar, multilevel, worthwhile
from snncc.passes.partition.levels import contracted, improve, shuffled
from snncc.passes.partition.refine import ROOM, refine
from snncc.passes.partition.segments import fewest_parts
from tests.passes.partition.hypergraphs import cost, hypergraphs, lists_of, nets_of


def load(part: Array, size: Floats) -> Floats:
    return np.bincount(part, size)


def some_cut(nets: Nets, size: Floats) -> tuple[Array, int]:
    """A cut that fits, or comes as close as planes do."""
    parts = fewest_parts(size) + 1
    line = np.arange(len(size), dtype=np.int32)[None]
    return bisect(nets, size, line, parts, STYLES[1]), parts


@given(hypergraphs(), st.sampled_from(STYLES))
def test_planes_cut_into_the_given_number_of_parts(case: tuple[Nets, Floats], style: object) -> None:
    nets, size = case
    for parts in (1, 2, 5):
        orders = np.array([np.arange(len(size)), shuffled(len(size), parts)], np.int32)
        part = bisect(nets, size, orders, parts, style)  # type: ignore[arg-type]
        assert part.shape == size.shape
        assert set(part.tolist()) <= set(range(parts))


def _plainly(nets: Nets, size: Floats, orders: list[list[int]], parts: int, style: Style) -> dict[int, int]:
    """The parts that planes cut, each cost counted from the nets."""
    if parts == 1 or not orders[0]:
        return dict.fromkeys(orders[0], 0)
    total = sum(size[vertex] for vertex in orders[0])
    kept = (1 - style.slack) * max(0, parts - total)
    fewest = max(1, min(parts // 2, int(np.ceil(parts * style.least))))
    halves: list[tuple[float, int, int, int]] = []
    near: list[tuple[float, int]] = [(np.inf, 1)]
    for number, order in enumerate(orders):
        for cut in range(1, len(order)):
            load, left = sum(size[vertex] for vertex in order[:cut]), 0
            while load * parts >= (left + 0.5) * total:
                left += 1
            share, off = left / parts, abs(load - total * left / parts)
            room = left - load - kept * share, parts - left - (total - load) - kept * (1 - share)
            if not fewest <= left <= parts - fewest:
                continue
            if min(room) >= -1e-9:
                inside = [len(set(order[:cut]).intersection(pins)) for pins in lists_of(nets)]
                there = [len(set(order).intersection(pins)) for pins in lists_of(nets)]
                cost = sum(w for w, some, all_ in zip(nets.weight, inside, there, strict=True) if 0 < some < all_)
                price = cost / (4 * share * (1 - share)) ** style.exponent * (1 + 1e-6 * off)
                halves.append((price, number, cut, left))
            elif number == 0 and left == parts // 2:
                near.append((off, cut))
    fallback = 0.0, 0, min(min(near)[1], len(orders[0]) - 1), parts // 2
    _, number, cut, left = min(halves, default=fallback)
    before = set(orders[number][:cut])
    first = [[vertex for vertex in order if vertex in before] for order in orders]
    second = [[vertex for vertex in order if vertex not in before] for order in orders]
    found = _plainly(nets, size, first, left, style)
    return found | {vertex: left + part for vertex, part in _plainly(nets, size, second, parts - left, style).items()}


@given(hypergraphs(), st.sampled_from(STYLES), st.integers(2, 7))
def test_planes_are_those_that_counting_every_net_finds(case: tuple[Nets, Floats], style: Style, parts: int) -> None:
    """As good, that is: where two cuts cost the same up to rounding, either will do."""
    nets, size = case
    orders = np.array([np.arange(len(size)), shuffled(len(size), parts)], np.int32)
    part = bisect(nets, size, orders, parts, style)
    plain = _plainly(nets, size, orders.tolist(), parts, style)
    assert part.tolist() == [plain[vertex] for vertex in range(len(size))]


def test_a_plane_goes_where_least_is_cut() -> None:
    """Two cliques of four on a line; sizes leave room for five and three, yet four and four cuts one net only."""
    nets = nets_of([[0, 1, 2, 3], [0, 2], [1, 3], [3, 4], [4, 5, 6, 7], [5, 7]])
    part = bisect(nets, np.full(8, 0.2), np.arange(8, dtype=np.int32)[None], 2, STYLES[1])
    assert part.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]


@given(hypergraphs())
def test_connectivity_counts_parts_but_one(case: tuple[Nets, Floats]) -> None:
    nets, size = case
    part, parts = some_cut(nets, size)
    assert connectivity(nets, part, parts) == cost(nets, part)


@given(hypergraphs())
def test_refining_never_costs_and_never_overfills(case: tuple[Nets, Floats]) -> None:
    nets, size = case
    part, parts = some_cut(nets, size)
    before = np.maximum(load(part, size), ROOM)
    better = refine(nets, size, part, parts)
    assert cost(nets, better) <= cost(nets, part)
    assert (np.bincount(better, size, len(before))[: len(before)] <= before + 1e-9).all()


def test_refining_finds_moves_that_only_pay_together() -> None:
    """Vertices 0..3 belong to part 1 with 4..7, but any one of them alone would cost as much as it brings."""
    nets = nets_of([[0, 1, 2, 3], [0, 1, 2, 3, 4], [0, 5], [1, 6], [2, 7], [3, 4]])
    part = refine(nets, np.full(8, 0.1), np.array([0] * 4 + [1] * 4, np.int32), 2)
    assert cost(nets, part) == 0


@given(hypergraphs(), st.integers(1, 9))
def test_moving_groups_never_costs_and_never_overfills(case: tuple[Nets, Floats], count: int) -> None:
    nets, size = case
    part, parts = some_cut(nets, size)
    before = np.maximum(load(part, size), ROOM)
    groups = np.arange(len(size), dtype=np.int32) % count
    better = improve(nets, size, part, parts, groups)
    assert cost(nets, better) <= cost(nets, part)
    assert (np.bincount(better, size, len(before))[: len(before)] <= before + 1e-9).all()


def test_a_group_moves_as_one() -> None:
    """Each vertex of 0..3 shares more with its own group than with the three vertices of the other part."""
    nets = nets_of([[0, 1], [1, 2], [2, 3], [3, 0], [0, 2], [1, 3], [0, 4], [1, 5], [2, 6], [3, 4]] * 2)
    before = np.array([0] * 4 + [1] * 3, np.int32)
    size = np.full(7, 0.1)
    after = improve(nets, size, before, 2, np.array([0] * 4 + [1, 2, 3], np.int32))
    assert (cost(nets, before), cost(nets, after)) == (8, 0)


@given(hypergraphs())
def test_balancing_takes_out_what_is_too_much(case: tuple[Nets, Floats]) -> None:
    nets, size = case
    parts = 2 * fewest_parts(size) + 2
    part = balance(nets, size, np.zeros(len(size), np.int32), parts)
    assert (load(part, size) <= ROOM).all()


@given(hypergraphs(), st.integers(0, 1 << 32))
def test_joined_vertices_cost_the_same(case: tuple[Nets, Floats], seed: int) -> None:
    nets, size = case
    random = np.random.default_rng(seed)
    joined = np.unique(random.integers(0, max(1, len(size) // 3), len(size)), return_inverse=True)[1].astype(np.int32)
    coarse, bulk, origin = contracted(nets, size, joined)
    part = random.integers(0, 4, len(bulk)).astype(np.int32)
    assert cost(coarse, part) == cost(nets, part[joined])
    np.testing.assert_allclose(bulk, np.bincount(joined, size))
    firsts = [joined[nets.pins[nets.start[net]]] for net in origin]
    assert firsts == [pins[0] for pins in lists_of(coarse)]


@given(hypergraphs(), st.integers(0, 1 << 32))
def test_a_restriction_keeps_nets_of_two_pins_and_more(case: tuple[Nets, Floats], seed: int) -> None:
    nets, size = case
    chosen = np.random.default_rng(seed).random(len(size)) < 0.6
    inner, vertices = restricted(nets, chosen)
    assert vertices.tolist() == np.nonzero(chosen)[0].tolist()
    expected = [[pin for pin in pins if chosen[pin]] for pins in lists_of(nets)]
    assert [vertices[pins].tolist() for pins in lists_of(inner)] == [pins for pins in expected if len(pins) > 1]


@pytest.mark.parametrize("method", [multilevel, by_mtkahypar])
def test_modules_are_found_whatever_the_ids(method: object) -> None:
    """Eight modules of sixteen, each a core: most of what a vertex sends stays in its module."""
    if method is by_mtkahypar:
        pytest.importorskip("mtkahypar")
    random = np.random.default_rng(3)
    module = random.permutation(128) % 8
    nets = nets_of(
        [
            list(
                dict.fromkeys(
                    [v, *np.nonzero(random.random(128) < np.where(module == module[v], 0.6, 0.01))[0].tolist()]
                )
            )
            for v in range(128)
        ]
    )
    part = method(nets, np.full(128, 1 / 16), 8, 0)  # type: ignore[operator]
    assert (load(part, np.full(128, 1 / 16)) <= ROOM).all()
    assert len({(int(a), int(b)) for a, b in zip(module, part, strict=True)}) == 8


@given(hypergraphs(), st.integers(0, 5))
def test_cuts_without_a_geometry_use_the_parts_there_are(case: tuple[Nets, Floats], seed: int) -> None:
    nets, size = case
    parts = 2 * fewest_parts(size)
    part = multilevel(nets, size, parts, seed)
    assert part.shape == size.shape
    assert set(part.tolist()) <= set(range(parts))
    assert (load(part, size) <= ROOM).all()


def test_permutations_are_those_of_the_seed() -> None:
    assert sorted(shuffled(9, 1).tolist()) == list(range(9))
    assert shuffled(6, 0).tolist() == [0, 3, 1, 5, 4, 2]
    assert shuffled(6, 1).tolist() != shuffled(6, 0).tolist()


def test_a_large_network_without_structure_is_not_cut_by_nets() -> None:
    """Ten thousand vertices that send to sixty each: anywhere, or within a group of a hundred with shuffled ids."""
    random, count = np.random.default_rng(0), 10_000
    anywhere = random.integers(0, count, (count, 60))
    ids = random.permutation(count)
    grouped = ids[(np.argsort(ids)[:, None] // 100 * 100) + random.integers(0, 100, (count, 60))]
    found = []
    for targets in (anywhere, grouped):
        pins = np.concatenate([np.arange(count)[:, None], targets], axis=1).astype(np.int32)
        nets = Nets(np.arange(0, 61 * count + 1, 61), pins.reshape(-1), np.ones(count))
        found.append(worthwhile(nets, count, 0))
    assert found == [False, True]
    assert worthwhile(nets_of([[0, 1], [2, 3]]), 4, 0)
