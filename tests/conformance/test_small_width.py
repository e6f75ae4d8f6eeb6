"""Neurons of 6 bits: all states times all inputs, for every rounding, overflow, comparison, reset and option."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache, partial

import numpy as np
import pytest

from snncc.integers import Population, Source
from snncc.runner import Trace
from tests.conformance import tables
from tests.conformance.backends import (
    Candidate,
    assert_conforms,
    each_candidate,
    each_variant,
    expect,
    on_a_small_device,
)
from tests.conformance.tables import Table

WIDE = Source((1,), 7, signed=True)  # -63..63: a 6-bit state can leave its register at either end
Rows = Callable[[], Iterator[tuple[str, Population]]]
TABLES: Mapping[str, Rows] = {
    **{f"plain-{each}": partial(tables.plain, each) for each in tables.ROUNDINGS},
    **{f"current-{each}": partial(tables.with_current, each) for each in tables.ROUNDINGS},
    "several-spikes": tables.several_spikes,
    "clamped": tables.clamped,
    "resting": tables.resting,
    "adapting": tables.adapting,
    "thresholds": tables.thresholds,
}


def build(name: str, every: int = 1) -> Table:
    return tables.table(dict(list(TABLES[name]())[::every]), WIDE, steps=3)


@lru_cache(maxsize=1)
def reference(name: str) -> tuple[Table, Trace]:
    """Kept while one backend after another is held to it."""
    table = build(name)
    return table, expect(table.network, table.x)


@pytest.mark.parametrize("name", TABLES)
@each_candidate
def test_a_table_of_all_states_and_inputs(candidate: Candidate, name: str) -> None:
    if candidate.slow:
        table = build(name, candidate.every)
        assert_conforms(candidate, table.network, table.thinned())
        return
    table, expected = reference(name)
    assert_conforms(candidate, table.network, table.x, expected=expected)


@pytest.mark.slow
@pytest.mark.parametrize("name", TABLES)
@each_variant
def test_a_table_without_thinning(candidate: Candidate, name: str) -> None:
    table = build(name)
    assert_conforms(candidate, table.network, table.x)


@pytest.mark.slow
@pytest.mark.parametrize("name", TABLES)
@on_a_small_device
def test_a_table_on_a_small_device(candidate: Candidate, name: str) -> None:
    table = build(name, candidate.every)
    assert_conforms(candidate, table.network, table.thinned())


@pytest.mark.parametrize("name", TABLES)
def test_a_table_reaches_what_it_is_for(name: str) -> None:
    """Some neurons fire and some do not, and values arrive beyond the register at both ends."""
    table, expected = reference(name)
    fired = np.concatenate([each.reshape(-1) for each in expected.spikes.values()])
    assert 0.02 < (fired > 0).mean() < 0.98
    held = np.concatenate([each.reshape(-1) for each in expected.membranes.values()])
    assert set(range(-32, 32)) <= set(np.unique(held).tolist())
    assert len(table.x) == 127
