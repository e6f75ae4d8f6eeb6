"""Runs an emitted Lava program in the environment that Lava needs, under watch."""

from __future__ import annotations

import os
import time
import zipfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from snncc.arrays import Array
from snncc.backends.base import Batch, Result, Run, Setting
from snncc.backends.lava.environment import environment
from snncc.backends.lava.learnt import NETWORK, PREFIX, arrays_of, identity, learnt_of, traces_of
from snncc.backends.lava.names import identifiers
from snncc.backends.lava.supervise import Ended, supervise
from snncc.chip import Chip
from snncc.diagnostics import CompileError, fault
from snncc.integers import Network, Output, Population, Source, Synapse, learns
from snncc.linear import synapse_count
from snncc.plasticity import trace_sizes
from snncc.runner import Trace

TIMEOUT_VARIABLE = "SNNCC_LAVA_TIMEOUT"
_SILENCE = 120.0  # seconds without a step done, for any program
_SLOWEST = 1e6  # synapses per second
_PER_PROCESS = 0.02  # seconds that a process may take for a step
_PLAIN = Setting()


def run(
    folder: Path,
    network: Network,
    chip: Chip,  # noqa: ARG001 - part of the interface
    batch: Batch,
    record: bool,
    *,
    setting: Setting = _PLAIN,
) -> Result:
    """Run the artefact's own run.py on a batch. Raises CompileError: `lava-environment`, `lava-failed`."""
    lava = environment(setting.python, setting.notice)
    samples, steps = batch.x.shape[:2]
    shape = next(iter(network.of_kind(Source).values())).shape
    with TemporaryDirectory(prefix="snncc-lava-") as scratch:
        given, taken, before = (Path(scratch, f"{name}.npz") for name in ("input", "result", "before"))
        reward = np.zeros(samples, np.int64) if batch.reward is None else batch.reward
        np.savez(given, x=batch.x.reshape(samples, steps, *shape), lengths=batch.lengths, reward=reward)
        command = [str(lava.python), str(folder.resolve() / "run.py"), str(given), str(taken), "--integers"]
        heard = _Listener(setting)
        command += ["--record"] * record + ["--config", "auto"] * setting.hardware
        if learns(network):
            command += _lesson(network, batch, before)
        begun = time.perf_counter()
        ended = supervise(
            command,
            limit=float("inf"),
            silence=_patience(network, samples, steps),
            folder=Path(scratch),
            variables={"PYTHONDONTWRITEBYTECODE": "1", "TMPDIR": scratch, "PYTHONNOUSERSITE": "1"},
            line=heard,
        )
        seconds = time.perf_counter() - begun
        if heard.refused:
            raise fault("bad-data", folder.name, *heard.refused)
        if ended.why:
            raise _failed(ended, folder)
        trace = _read(taken, network, record, ended)
    return Result(trace, {"seconds": seconds})


def _lesson(network: Network, batch: Batch, before: Path) -> list[str]:
    """The options of a run of a network that learns."""
    traces = batch.traces and not batch.frozen and trace_sizes(network)
    options = [*["--frozen"] * batch.frozen, *["--traces"] * bool(traces)]
    if batch.learnt:
        known: dict[str, Any] = {**arrays_of(network, batch.learnt), NETWORK: identity(network)}
        np.savez(before, **{f"{PREFIX}{name}": value for name, value in known.items()})
        options += ["--learnt", str(before)]
    return options


def ready(setting: Setting) -> Run:
    """Build the environment, if that was not done before, and give what runs programs in it."""
    environment(setting.python, setting.notice)
    return partial(run, setting=setting)


@dataclass
class _Listener:
    """Listens to run.py's lines: `machine NAME` says what it runs on, `refused WHY` that it will not."""

    setting: Setting
    refused: tuple[str, ...] = ()

    def __call__(self, line: str) -> None:
        word, _, rest = line.partition(" ")
        if word == "machine":
            self.setting.machine(rest.strip())
        elif word == "refused":
            self.refused = (rest.strip(), "give x as (samples, *shape), or choose a target that takes graded input")


def _patience(network: Network, samples: int, steps: int) -> float:
    """Seconds that may pass without a part of the steps being done."""
    own = os.environ.get(TIMEOUT_VARIABLE)
    if own:
        try:
            return float(own)
        except ValueError as error:
            message = f"{own!r} is no number of seconds"
            raise fault("lava-environment", TIMEOUT_VARIABLE, message, "give a number, such as 600") from error
    synapses = sum(synapse_count(op.map) for op in network.of_kind(Synapse).values())
    a_step = _PER_PROCESS * len(network.ops) + synapses / _SLOWEST
    return _SILENCE + a_step * (steps + samples * steps)


def _failed(ended: Ended, folder: Path) -> CompileError:
    hint = f"run it yourself to see all of it: uv run {folder / 'run.py'} DATA.npz RESULT.npz"
    if "sign of life" in ended.why:
        hint = f"if the machine is only slow, set {TIMEOUT_VARIABLE} to a number of seconds; else {hint}"
    return fault("lava-failed", str(folder), f"Lava did not finish, and there is no result: {ended.summary}", hint)


def _read(path: Path, network: Network, record: bool, ended: Ended) -> Trace:
    """The result file as a trace; names in it are the program's own."""
    ident = identifiers(network.ops)

    def named(kind: str, names: list[str]) -> dict[str, Array]:
        return {name: found[f"{kind}/{ident[name]}"] for name in names}

    kept = list(network.of_kind(Population)) if record else []
    try:
        with np.load(path, allow_pickle=False) as arrays:
            found = {name: arrays[name].astype(np.int64) for name in arrays}
        learnt = learnt_of(network, found) if learns(network) else None
        outputs = named("out", list(network.of_kind(Output)))
        return Trace(outputs, named("spikes", kept), named("v", kept), learnt, traces_of(network, found))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise fault(
            "lava-failed", path.name, f"Lava left no result that can be read: {ended.summary or error}"
        ) from error
