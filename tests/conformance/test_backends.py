"""The conformance suite itself: it covers every backend, and says where one that lies goes wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from snncc.backends.base import Backend, Batch, Result
from snncc.backends.known import BACKENDS, backend_named
from snncc.chip import Chip
from snncc.integers import Network, Source
from tests.conformance import tables
from tests.conformance.backends import CANDIDATES, INTERPRETER, Candidate, assert_conforms

POPULATIONS = {name: op for name, op in tables.plain("zero") if name.endswith("True_soft")}


def test_every_backend_is_held_to_the_reference() -> None:
    covered = [each.backend for each in CANDIDATES]
    stepwise = [each for each in map(backend_named, BACKENDS) if isinstance(each, Backend)]
    assert {each.name for each in stepwise} >= {"c", "lava", "mcu"}
    assert all(each in covered for each in stepwise)


def test_a_backend_has_the_name_under_which_it_is_known() -> None:
    assert [backend_named(name).name for name in BACKENDS] == list(BACKENDS)


@pytest.mark.parametrize("kind", ["spikes", "membranes"])
def test_a_backend_that_lies_is_found_out(kind: str) -> None:
    def lie(folder: Path, network: Network, chip: Chip, batch: Batch, record: bool) -> Result:
        result = INTERPRETER.run(folder, network, chip, batch, record)
        getattr(result.trace, kind)["zero_wrap_True_soft"][1, 2, 77] += 1
        return result

    candidate = Candidate("liar", replace(INTERPRETER, run=lie), CANDIDATES[0].chip)
    small = tables.table(POPULATIONS, Source((1,), 2, signed=True), steps=3)
    with pytest.raises(pytest.fail.Exception, match=r"zero_wrap_True_soft: .* of neuron 77 at step 2 of sample 1"):
        assert_conforms(candidate, small.network, small.x)


def test_a_backend_that_leaves_a_population_out_is_found_out() -> None:
    def omit(folder: Path, network: Network, chip: Chip, batch: Batch, record: bool) -> Result:
        trace = INTERPRETER.run(folder, network, chip, batch, record).trace
        return Result(replace(trace, spikes={}))

    candidate = Candidate("omitter", replace(INTERPRETER, run=omit), CANDIDATES[0].chip)
    small = tables.table(POPULATIONS, Source((1,)), steps=2)
    with pytest.raises(AssertionError, match="omitter gives other spikes"):
        assert_conforms(candidate, small.network, small.x)


def test_thinning_keeps_the_extremes() -> None:
    full = tables.table(POPULATIONS, Source((1,), 7, signed=True), steps=2)
    kept = full.thinned()[:, 0, 0]
    assert {-63, -62, -1, 0, 1, 62, 63} <= set(kept.tolist())
    assert len(kept) < len(full.x) / 4
    assert np.array_equal(np.sort(full.x[:, 1, 0]), np.arange(-63, 64))
