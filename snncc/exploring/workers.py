"""Evaluates points side by side on Dask: on processes of this machine, or on a cluster that is there already."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Any

from snncc.diagnostics import CompileError, fault
from snncc.exploring import evaluate
from snncc.exploring.evaluate import Outcome, Task
from snncc.exploring.space import Point

_PATIENCE = "20s"  # for a scheduler to answer
Pool = Callable[[Task, Mapping[int, Point], int], Iterator[tuple[int, Outcome]]]


@contextmanager
def pool(workers: int | None, scheduler: str | None) -> Generator[Pool]:
    """Evaluates points by number, and gives each outcome as it comes; `scheduler` is the address of a cluster's.

    What is found does not depend on where, or in which order. Raises CompileError: `missing-package`, `no-scheduler`,
    `workers-lost`.
    """
    distributed = _distributed()
    with TemporaryDirectory(prefix="snncc-dask-", ignore_cleanup_errors=True) as scratch:
        client = _client(distributed, scheduler, workers, scratch)
        try:
            yield lambda task, points, neurons: _evaluated(distributed, client, task, points, neurons)
        finally:
            cluster = client.cluster
            client.close()
            if scheduler is None and cluster is not None:
                cluster.close()


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
    distributed: Any, client: Any, task: Task, points: Mapping[int, Point], neurons: int
) -> Iterator[tuple[int, Outcome]]:
    """Each point in tasks of its own: building, then each part of the data."""
    data = evaluate.data_of(task)
    parts = evaluate.parts_of(data, neurons)
    ends: dict[Any, int] = {}
    options = {"pure": False, "retries": 0}
    for number, point in points.items():
        built = client.submit(evaluate.build, task, point, **options)
        counts = [client.submit(evaluate.right, task, built, first, end, **options) for first, end in parts]
        ends[client.submit(evaluate.finished, built, counts, len(data.x), **options)] = number
    for future in distributed.as_completed(ends):
        yield ends[future], _result(distributed, future)


def _result(distributed: Any, future: Any) -> Outcome:
    try:
        return future.result()
    except distributed.scheduler.KilledWorker as error:
        message = f"{error.allowed_failures + 1} workers were lost while they evaluated one point"
        hint = "is there memory enough? try fewer --workers; the same command goes on where this one stopped"
        raise fault("workers-lost", str(error.last_worker.address), message, hint) from error
    except (distributed.client.FutureCancelledError, OSError) as error:
        hint = "start it again; the same command goes on where this one stopped"
        raise fault("workers-lost", "scheduler", f"the Dask scheduler is gone: {error}", hint) from error
