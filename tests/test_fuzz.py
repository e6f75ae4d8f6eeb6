"""The whole command line on damaged files: only success and diagnostics, in little memory and little time.

To see an escape again: `python -W error -m tests.fuzzing.worker KIND SEED 1`.
"""

from __future__ import annotations

import os
import time

import pytest

from .fuzzing.cases import KINDS
from .fuzzing.hunt import hunt

QUICK = {"model": 25, "artefact": 8, "data": 8, "chip": 10, "net": 10, "nir": 15, "ann": 8, "dialect": 8}
SECONDS = int(os.environ.get("SNNCC_FUZZ_SECONDS", "120"))  # for each kind of the long hunt


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files_give_success_or_a_diagnostic(kind: str) -> None:
    found = hunt(kind, 0, QUICK[kind])
    assert not found.escapes, "\n\n".join(found.escapes)
    assert found.cases == QUICK[kind]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_many_more_damaged_files(kind: str) -> None:
    first = int(time.time()) * 1000  # others every time; an escape names its seed
    found = hunt(kind, first, 1_000_000_000, SECONDS)
    assert not found.escapes, "\n\n".join(found.escapes[:20])
    assert found.cases > SECONDS


def test_a_worker_that_dies_is_an_escape(monkeypatch: pytest.MonkeyPatch) -> None:
    found = hunt("no such kind", 7, 3)
    assert found.cases == 3
    assert all("cannot make the case" in each for each in found.escapes)
    assert len(found.escapes) == 3
    monkeypatch.setattr("sys.executable", "/bin/false")
    assert hunt("model", 7, 3).escapes[0].startswith("model (start): the worker ended with status 1")
