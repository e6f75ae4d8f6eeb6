"""Lava's own LIF, Dense, Sparse and Conv against the reference: at full width, and in random networks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings

from snncc.analysis.proof import prove
from snncc.arrays import Array
from snncc.backends.lava import BACKEND
from snncc.backends.lava.plan import Plan
from snncc.backends.lava.stock import lif
from snncc.graph import Edge, Graph
from snncc.integers import Decay, IntOp, Network, Output, Population, Source, Synapse
from snncc.linear import Sparse
from tests.backends.lava import loihi
from tests.conformance.backends import LATE, Candidate, assert_conforms, expect
from tests.networks import Case

LAVA = Candidate("lava", BACKEND, LATE)
EDGE = 1 << 23  # just beyond the registers
VTH = 1 << 22


def inputs() -> Array:
    """What neurons get in their first step, in units of 64: around 0, every multiple of 4096, vth, and the ends."""
    multiples = np.arange(-EDGE, EDGE + 1, 4096)
    marks = [0, VTH, -VTH, EDGE, -EDGE, 2 * EDGE, -2 * EDGE, 3 * EDGE]
    found = np.concatenate([multiples, *(np.arange(-3, 4) * 64 + mark for mark in marks)])
    return np.unique(found) >> 6


def wide(amounts: tuple[int | None, int]) -> Network:
    """One neuron an input and bias; a bias puts its membrane between the multiples of 64."""
    du, dv = amounts
    count = len(inputs()) * len(BIASES)
    bias = np.tile(BIASES, len(inputs()))
    one_each = Sparse(np.arange(count + 1), np.arange(count), np.ones(count, np.int8), count)
    ops: dict[str, IntOp] = {
        "x": Source((count,), 20, signed=True),
        "w": Synapse(one_each),
        "p": replace(loihi.lif((count,), VTH, du=du, dv=dv, bias=bias), start=1),
        "y": Output("spikes", "after", "count", latency=1),
    }
    return Graph(ops, [Edge("x", "w", 1), Edge("w", "p"), Edge("p", "y")])


BIASES = np.array([0, -2, -1, 1, 2, 33, -31])


@pytest.mark.parametrize("amounts", [(None, 0), (1, 1), (410, 410), (2048, 4095), (4095, 2047), (4096, 100)])
def test_stock_lif_at_full_width(amounts: tuple[int | None, int]) -> None:
    """Each state of interest is reached in the first step, decays in the second, and meets another in the third."""
    network = wide(amounts)
    if amounts[0] is None:  # inputs that would wrap have a current in Lava only
        shape = next(iter(network.of_kind(Source).values())).shape
        network = Graph({**network.ops, "x": Source(shape, 18, signed=True)}, network.edges)
    assert not isinstance(lif(_population(network), prove(network).populations["p"]), tuple)
    source = next(iter(network.of_kind(Source).values()))
    first = np.clip(np.repeat(inputs(), len(BIASES)), source.lowest, source.highest)
    x = np.stack([first, np.zeros_like(first), np.roll(first, 1), -first])[None]
    expected = expect(network, x)
    assert expected.spikes["p"].any()
    assert expected.membranes["p"].min() == -EDGE + 1 or amounts[0] == 2048
    assert_conforms(LAVA, network, x, expected=expected)


def _population(network: Network) -> Population:
    return network.of_kind(Population)["p"]


def holds(examples: int) -> Counter[str]:
    """How often each kind of process took part."""
    seen: Counter[str] = Counter()

    @settings(max_examples=examples)
    @given(loihi.cases())
    def conforms(case: Case) -> None:
        seen.update(_kinds(case.network))
        assert_conforms(LAVA, case.network, case.x, case.lengths)

    conforms()
    return seen


def _kinds(network: Network) -> Iterator[str]:
    plan = Plan(network, prove(network))
    yield from (each.form for each in plan.connections)
    yield from ("stock" if each.stock else "own" for each in plan.cells)
    yield "pause" if plan.timing.pause else "no pause"


def test_random_networks_of_stock_processes() -> None:
    seen = holds(6)
    assert {"Dense", "DelayDense", "Sparse", "DelaySparse", "Conv", "stock", "own", "pause", "no pause"} <= set(seen)


@pytest.mark.slow
def test_many_random_networks_of_stock_processes() -> None:
    holds(300)


def test_a_decay_of_no_bits_that_only_some_neurons_have() -> None:
    """Some keep their state and others clear it: no rounding, but numbers of their own."""
    decay = Decay(np.array([0, 1]), 0, "zero")
    network = wide((1, 1))
    count = _population(network).size
    membrane = replace(_population(network).membrane, decay=replace(decay, amount=np.resize([0, 1], count)))
    network = Graph({**network.ops, "p": replace(_population(network), membrane=membrane)}, network.edges)
    first = np.repeat(inputs(), len(BIASES))
    assert_conforms(LAVA, network, np.stack([first, first])[None])
