"""What goes wrong on a worker is told from a scheduler that is gone; a point that takes too much memory is skipped."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from typing import Any

import distributed
import pytest

from snncc.diagnostics import CompileError
from snncc.exploring import workers
from snncc.exploring.evaluate import LOST, Outcome
from snncc.exploring.workers import AGAIN, _evaluated, _result, _run


class Failed:
    """A future whose task, or whose connection, failed."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def result(self) -> None:
        raise self.error


def full_disk() -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_workers_full_disk_is_its_own() -> None:
    with distributed.Client(processes=False, n_workers=1, threads_per_worker=1, dashboard_address=None) as client:
        (address,) = client.scheduler_info()["workers"]
        future = client.submit(_run, full_disk)
        with pytest.raises(CompileError) as found:
            _result(distributed, future)
    (said,) = found.value.diagnostics
    assert str(said) == (
        f"error[cannot-write]: worker {address}: No space left on device\n"
        "  = hint: the same command goes on where this one stopped: nothing that was found is lost"
    )


@pytest.mark.parametrize(
    "error", [distributed.comm.CommClosedError("lost"), distributed.client.FutureCancelledError("a", "b")]
)
def test_a_scheduler_that_is_gone(error: Exception) -> None:
    with pytest.raises(CompileError) as found:
        _result(distributed, Failed(error))
    (said,) = found.value.diagnostics
    assert (said.rule, said.where, said.hint) == ("workers-lost", "scheduler", f"start it; {AGAIN}")
    assert said.message == f"the Dask scheduler is gone: {error}"


def test_what_takes_too_much_memory_is_recorded() -> None:
    assert _result(distributed, Failed(MemoryError("Unable to allocate 9 GiB"))) == Outcome(
        LOST, refusal="a worker had too little memory for it: Unable to allocate 9 GiB"
    )
    assert _result(distributed, Failed(MemoryError())).refusal == "a worker had too little memory for it"
    killed = distributed.scheduler.KilledWorker("task", None, 3)  # type: ignore[arg-type]
    assert _result(distributed, Failed(killed)) == Outcome(
        LOST, refusal="4 workers were lost while they evaluated it: is there memory enough?"
    )


def test_a_point_is_lost_only_if_it_is_so_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[int]] = []

    def beside(_one: Any, _two: Any, _task: Any, points: Mapping[int, Any], _n: int) -> Iterator[tuple[int, Outcome]]:
        asked.append(list(points))
        for number in points:
            heavy = number == 2 or (number == 1 and len(points) > 1)
            yield number, Outcome(LOST if heavy else "measured")

    monkeypatch.setattr(workers, "_side_by_side", beside)
    found = _evaluated(None, None, nullcontext, None, {0: {}, 1: {}, 2: {}}, 1)  # type: ignore[arg-type]
    assert [(number, each.stage) for number, each in found] == [(0, "measured"), (1, "measured"), (2, LOST)]
    assert asked == [[0, 1, 2], [1], [2]]
