"""Runs a worker over many cases, and goes on behind a case that kills or hangs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from .worker import PATIENCE

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Hunt:
    """How many cases were run, and each escape with how to see it again."""

    cases: int
    escapes: tuple[str, ...]


def hunt(kind: str, first: int, count: int, seconds: int = 1_000_000) -> Hunt:
    """Run the cases `first`, `first` + 1, ... of a kind: so many, or for so long."""
    done, escapes = 0, list[str]()
    end = time.monotonic() + seconds
    while done < count and time.monotonic() < end:
        left = max(1, int(end - time.monotonic()))
        lines, died = _work(kind, first + done, count - done, left)
        seeds = [each["seed"] for each in lines if "seed" in each and "escape" not in each]
        escapes += [f"{kind} {each['seed']}: {each['escape']}" for each in lines if "escape" in each]
        done += len(seeds)
        if not died:
            break
        escapes.append(f"{kind} {seeds[-1] if seeds else '(start)'}: {died}")
        if not seeds:
            break
    return Hunt(done, tuple(escapes))


def _work(kind: str, first: int, count: int, seconds: int) -> tuple[list[dict[str, object]], str]:
    """What a worker said, and how it died if it did."""
    arguments = [sys.executable, "-W", "error", "-m", "tests.fuzzing.worker", kind, *map(str, (first, count, seconds))]
    one_thread = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    worker = subprocess.Popen(
        arguments, cwd=ROOT, env={**os.environ, **one_thread}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        said, complained = worker.communicate(timeout=seconds + 2 * PATIENCE)
        died = f"the worker ended with status {worker.returncode}\n{complained[-4000:]}" if worker.returncode else ""
    except subprocess.TimeoutExpired:
        worker.kill()
        said, _ = worker.communicate()
        died = "the worker hung, where no signal reaches"
    return [json.loads(line) for line in said.splitlines() if line.endswith("}")], died
