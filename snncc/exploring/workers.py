"""Evaluates points side by side on Dask: on processes of this machine, or on a cluster that is there already."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from tempfile import TemporaryDirectory
from typing import Any

from snncc import files
from snncc.backends.c.building import no_room
from snncc.diagnostics import CompileError, fault
from snncc.exploring import evaluate
from snncc.exploring.evaluate import LOST, Outcome, Task
from snncc.exploring.space import Point

_PATIENCE = "20s"  # for a scheduler to answer
AGAIN = "the same command goes on where this one stopped: nothing that was found is lost"
Pool = Callable[[Task, Mapping[int, Point], int], Iterator[tuple[int, Outcome]]]


@contextmanager
def pool(workers: int | None, scheduler: str | None) -> Generator[Pool]:
    """Evaluates points by number, and gives each outcome as it comes; `scheduler` is the address of a cluster's.

    What is found does not depend on where, or in which order. Raises CompileError: `missing-package`, `no-scheduler`,
    `workers-lost`, `cannot-write`, and what is wrong with files and tools where points are evaluated.
    """
    distributed = _distributed()
    with _scratch() as scratch, _connected(distributed, scheduler, workers, scratch) as client:

        def alone() -> AbstractContextManager[Any]:
            return nullcontext(client) if scheduler else _connected(distributed, None, 1, scratch)

        yield lambda task, points, neurons: _evaluated(distributed, client, alone, task, points, neurons)


@contextmanager
def _connected(distributed: Any, scheduler: str | None, workers: int | None, scratch: str) -> Generator[Any]:
    client = _client(distributed, scheduler, workers, scratch)
    try:
        yield client
    finally:
        cluster = client.cluster
        client.close()
        if scheduler is None and cluster is not None:
            cluster.close()


def _scratch() -> TemporaryDirectory[str]:
    try:
        return TemporaryDirectory(prefix="snncc-dask-", ignore_cleanup_errors=True)
    except OSError as error:
        raise no_room(error) from error


def _distributed() -> Any:
    try:
        import distributed
    except ImportError as error:
        raise missing(error) from error
    return distributed


def missing(error: ImportError) -> CompileError:
    """The fault of a plain installation, which does not search."""
    hint = "pip install 'snncc[explore]'"
    return fault("missing-package", "explore", f"needs {error.name}, which is not installed", hint)


def _client(distributed: Any, scheduler: str | None, workers: int | None, scratch: str) -> Any:
    if scheduler is None:
        cluster = distributed.LocalCluster(
            n_workers=workers or max(1, os.cpu_count() or 1),
            threads_per_worker=1,
            processes=True,
            dashboard_address=":0",
            memory_limit=0,
            local_directory=scratch,
            silence_logs=50,
        )
        return distributed.Client(cluster)
    try:
        return distributed.Client(scheduler, timeout=_PATIENCE)
    except (OSError, ValueError, TimeoutError) as error:
        message = f"no Dask scheduler answers there: {error}"
        raise fault(
            "no-scheduler", scheduler, message, "start one with `dask scheduler`, or leave out --scheduler"
        ) from error


def _evaluated(
    distributed: Any,
    client: Any,
    alone: Callable[[], AbstractContextManager[Any]],
    task: Task,
    points: Mapping[int, Point],
    neurons: int,
) -> Iterator[tuple[int, Outcome]]:
    """Each point; one that memory did not suffice for beside others is tried again alone before it counts as lost.

    A lost worker takes points with it that are not to blame; `alone` gives a client whose workers have nothing else.
    """
    lost: list[int] = []
    for number, outcome in _side_by_side(distributed, client, task, points, neurons):
        if outcome.stage == LOST and len(points) > 1:
            lost.append(number)
        else:
            yield number, outcome
    for number in sorted(lost):
        with alone() as one:
            yield from _side_by_side(distributed, one, task, {number: points[number]}, neurons)


def _side_by_side(
    distributed: Any, client: Any, task: Task, points: Mapping[int, Point], neurons: int
) -> Iterator[tuple[int, Outcome]]:
    """Each point in tasks of its own: building, then each part of the data."""
    parts = evaluate.parts_of(task, neurons)
    ends: dict[Any, int] = {}
    begun: list[Any] = []
    options = {"pure": False, "retries": 0}
    for number, point in points.items():
        built = client.submit(_run, evaluate.build, task, point, **options)
        found = [client.submit(_run, evaluate.measured, task, built, first, end, **options) for first, end in parts]
        ends[client.submit(_run, evaluate.finished, task, built, found, **options)] = number
        begun += [built, *found]
    lost = False
    for future in distributed.as_completed(ends):
        outcome = _result(distributed, future)
        lost |= outcome.stage == LOST
        yield ends[future], outcome
    if lost:
        client.cancel(begun)  # else what a loss left undone would be done beside the next points


def _run(work: Callable[..., Any], *given: Any) -> Any:
    """Do a task on a worker; what the system refuses it there is no fault of the connection."""
    try:
        return work(*given)
    except OSError as error:
        from distributed import get_worker

        raise fault("cannot-write", f"worker {get_worker().address}", files.reason(error), AGAIN) from error


def _result(distributed: Any, future: Any) -> Outcome:
    try:
        return future.result()
    except distributed.scheduler.KilledWorker as error:
        count = error.allowed_failures + 1
        return Outcome(LOST, refusal=f"{count} workers were lost while they evaluated it: is there memory enough?")
    except MemoryError as error:
        return Outcome(LOST, refusal=f"a worker had too little memory for it: {error}".removesuffix(": "))
    except (distributed.client.FutureCancelledError, OSError) as error:
        raise fault(
            "workers-lost", "scheduler", f"the Dask scheduler is gone: {error}", f"start it; {AGAIN}"
        ) from error
