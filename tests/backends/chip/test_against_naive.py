"""The fast machine and the naive chip agree on random chips, networks and placements, in everything that there is.

Spikes, membranes, the cycle of every move and of every delivery, the cycles of every step, all counts and peaks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings

from snncc import chip as chips
from snncc.chip import Figure, Mesh
from snncc.graph import Edge, Graph
from snncc.integers import Output, Population, Source
from snncc.linear import Sparse
from snncc.mapping import cores_of, frozen_cores
from tests.backends.chip.naive import Seen
from tests.backends.chip.naive_compare import first_difference
from tests.backends.chip.naive_learning import COUNTED
from tests.backends.chip.random_chips import Setup, lessons_on_chips, setups
from tests.backends.chip.test_naive import chip, network, neurons, ones

HARDSHIPS = (
    "a packet waits for a link",
    "a packet waits for its synapse unit",
    "a unit waits for its buffer",
    "no room on the other side",
    "ports compete",
    "the pointer decides",
)
EVENTS = ("hop_horizontal", "hop_vertical", "spike", "synapse_dense", "synapse_shared", "synapse_sparse")
OTHERS = ("late start", "lengths differ", "populations on the host", "negative values", "several spikes")


def agree(examples: int) -> Counter[str]:
    """How many examples there were (`all`), and how many of them had what could go wrong."""
    found: Counter[str] = Counter()

    @settings(max_examples=examples)
    @given(setups())
    def same(setup: Setup) -> None:
        difference, seen = first_difference(setup)
        assert not difference, difference
        found.update(["all", *features(setup, seen)])

    same()
    return found


def features(setup: Setup, seen: list[Seen]) -> Iterator[str]:
    for each in (*HARDSHIPS, *EVENTS):
        if any(one.hardship()[each] or one.counts()[each] for one in seen):
            yield each
    populations = setup.network.of_kind(Population)
    values = [value for one in seen for sent in one.sent for name in sent for value in sent[name]]
    ((_, source),) = setup.network.of_kind(Source).items()
    had = {
        "late start": any(op.start for op in populations.values()),
        "lengths differ": len(set(setup.lengths.tolist())) > 1,
        "populations on the host": any((cores < 0).any() for cores in setup.placement.cores.values()),
        "negative values": min(values) < 0,
        "several spikes": max(values) > max(source.highest, 1),
    }
    yield from (name for name in OTHERS if had[name])


def test_random_chips_agree_and_are_crowded() -> None:
    found = agree(30)
    few = {name: found[name] for name in HARDSHIPS if found[name] < 0.15 * found["all"]}
    assert not few, f"of {found['all']} examples too few have {few}"
    assert_all(found, EVENTS)  # what is rarer still is asked of many examples, below


def assert_all(found: Counter[str], names: Iterable[str]) -> None:
    rare = {name for name in names if not found[name]}
    assert not rare, f"no example has {rare}"


def learn_alike(examples: int) -> Counter[str]:
    """How many examples there were (`all`), and how many of them had each event of learning."""
    found: Counter[str] = Counter()

    @settings(max_examples=examples)
    @given(lessons_on_chips())
    def same(setup: Setup) -> None:
        difference, seen = first_difference(setup)
        assert not difference, difference
        found.update(["all", *(each for each in COUNTED if any(one.counts()[f"learning {each}"] for one in seen))])

    same()
    return found


def test_random_chips_learn_alike() -> None:
    found = learn_alike(25)
    few = {name: found[name] for name in COUNTED if found[name] < 0.1 * found["all"]}
    assert not few, f"of {found['all']} examples too few have {few}"


@pytest.mark.slow
def test_many_random_chips_learn_alike() -> None:
    assert_all(learn_alike(600), COUNTED)


@pytest.mark.slow
def test_many_random_chips_agree() -> None:
    assert_all(agree(1000), (*EVENTS, *OTHERS))


@pytest.mark.parametrize("cost", ["axon", "host", "neuron", "hop_local", "hop_horizontal", "link", "packet"])
def test_costs_of_thousands_of_cycles(cost: str) -> None:
    """A machine that skips idle time may keep a calendar of a fixed length; these go beyond any sensible one."""
    net = network(
        {"x": Source((2,)), "a": neurons(2, bias=1), "b": neurons(1)},
        ("x", "a", ones(2, 2), 1),
        ("a", "b", ones(1, 2), 2),
    )
    net = Graph({**net.ops, "y": Output("spikes", "after", "count")}, [*net.edges, Edge("b", "y")])
    slow = replace(chip(2, buffer=2, queue=1, synapse_dense=3), mesh=Mesh(2, 1, 1, (1, 0)))
    assert slow.timing
    slow = replace(slow, timing=replace(slow.timing, **{cost: Figure(5000, assumed=True)}))
    placement = frozen_cores({"a": np.array([0, 1]), "b": np.array([0])})
    x = np.ones((2, 1, 2), np.int64)
    difference, _ = first_difference(Setup(net, slow, placement, x, np.array([1, 1])))
    assert not difference, difference


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_a_whole_chip_full_of_traffic(seed: int) -> None:
    """Every neuron of the network reaches half of the cores, a third of them fire at any time, links are slow."""
    shipped, generator = chips.load("mesh64"), np.random.default_rng(seed)
    assert shipped.mesh
    assert shipped.timing
    cores = cores_of(shipped.mesh)
    shipped = replace(shipped, timing=replace(shipped.timing, link=Figure(2, assumed=True)))
    size = 300
    indptr = np.arange(0, size * 40 + 1, 40)
    targets = np.concatenate([np.sort(generator.permutation(size)[:40]) for _ in range(size)])
    recurrent = Sparse(indptr, targets, generator.integers(-3, 3, len(targets), endpoint=True).astype(np.int8), size)
    quiet = neurons(size)
    crowd = replace(quiet, membrane=replace(quiet.membrane, bias=generator.integers(-1, 1, size, endpoint=True)))
    net = network({"x": Source((20,)), "a": crowd}, ("x", "a", ones(size, 20), 1), ("a", "a", recurrent, 1))
    net = Graph({**net.ops, "y": Output("spikes", "after", "count")}, [*net.edges, Edge("a", "y")])
    placement = frozen_cores({"a": generator.integers(0, cores, size).astype(np.int32)})
    setup = Setup(net, shipped, placement, generator.integers(0, 1, (1, 3, 20), endpoint=True), np.array([3]))
    difference, seen = first_difference(setup)
    assert not difference, difference
    assert all(seen[0].hardship()[each] > 1000 for each in HARDSHIPS), seen[0].hardship()
