"""Tables of equal content are in the program once, and the program gives the same bits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from snncc import chip as chips
from snncc.analysis.proof import prove
from snncc.backends.c.mcu.emit import plan_for
from snncc.backends.c.mcu.sizes import constants
from snncc.backends.c.plan import Plan
from snncc.graph import Graph
from snncc.integers import Network, Plasticity, Population, Source, Synapse, Term
from snncc.linear import Conv, Dense, LinearMap
from tests.backends.c_helpers import chained, differences, emitted, lif

WEIGHT = np.random.default_rng(2).integers(-20, 40, (8, 8)).astype(np.int8)


def tied(second: LinearMap) -> Network:
    """Two layers whose neurons have biases of the same kind; only the maps may differ."""
    one = lif((8,))
    hidden = replace(one, membrane=replace(one.membrane, bias=np.arange(8)))
    layers: Mapping[str, tuple[LinearMap, Population]] = {"a": (Dense(WEIGHT), hidden), "b": (second, hidden)}
    return chained(Source((8,)), layers)


def written(network: Network) -> str:
    """The definitions of its tables."""
    return emitted(network)["weights.c"].decode()


def test_tied_weights_and_parameters_stand_in_the_program_once() -> None:
    network = tied(Dense(WEIGHT))
    text = written(network)
    assert text.count("_weight[") == 1
    assert text.count("_bias[") == 1
    x = np.random.default_rng(1).integers(0, 2, (3, 20, 8))
    assert differences(network, x) == []


def test_other_weights_keep_tables_of_their_own() -> None:
    text = written(tied(Dense(WEIGHT[::-1])))
    assert text.count("_weight[") == 2
    assert text.count("_bias[") == 1


def test_what_is_shared_counts_once() -> None:
    one, two = tied(Dense(WEIGHT)), tied(Dense(WEIGHT[::-1]))
    m4 = chips.load("cortex-m4")
    for plans in (
        [Plan(each, prove(each, 12)) for each in (one, two)],
        [plan_for(each, prove(each, 32), m4) for each in (one, two)],
    ):
        (weights, tables), (more, same) = map(constants, plans)
        assert 2 * weights == more > 0
        assert tables == same > 0


def test_convolutions_that_walk_alike_share_the_walk_only() -> None:
    rng = np.random.default_rng(4)
    convs = [Conv(rng.integers(-9, 30, (2, 2, 3, 3)), (2, 5, 5), (1, 1), (1, 1, 1, 1)) for _ in range(2)]
    network = chained(Source((2, 5, 5)), {name: (conv, lif((2, 5, 5))) for name, conv in zip("ab", convs, strict=True)})
    text = written(network)
    assert text.count("_run_out[") == 1
    assert all(f" snn_to_{name}_weight[" in text for name in "ab")
    x = rng.integers(0, 2, (2, 12, 2, 5, 5))
    assert differences(network, x) == []


def test_a_change_that_fits_32_bits_alone_is_added_to_a_weight_in_64() -> None:
    rule = Plasticity((), (), (Term("post", (1 << 31) - 300, ()),), 0, 255)
    assert [wide_of(rule, rate) for rate in ((1 << 31) - 300, (1 << 31) - 256)] == [32, 64]


def wide_of(rule: Plasticity, rate: int) -> int:
    """The bits in which the C program adds a group's changes."""
    rule = replace(rule, terms=(replace(rule.terms[0], rate=rate),))
    learning = Synapse(Dense(np.abs(WEIGHT)), plasticity=rule)
    plain = chained(Source((8,)), {"a": (Dense(np.abs(WEIGHT)), lif((8,)))})
    network = Graph({**plain.ops, "to a": learning}, plain.edges)
    (lesson,) = Plan(network, prove(network, 12)).lessons
    return lesson.wide.bits
