"""The shipped microcontrollers, and the steps from a network to its run in an emulator."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from snncc import chip as chips
from snncc.analysis.proof import prove
from snncc.arrays import Array
from snncc.backends.base import Batch, Job, Result
from snncc.backends.c.mcu import BACKEND
from snncc.chip import Chip
from snncc.integers import Network, Population
from snncc.semantics import run

NAMES = tuple(name for name in chips.known() if chips.load(name).device)


def tools(name: str) -> tuple[str, ...]:
    """What must be installed to run a program of this target."""
    found = chips.load(name)
    assert found.compiler
    assert found.device
    return found.compiler.command, found.device.emulator.command


def needs(name: str) -> pytest.MarkDecorator:
    """Skips a test where the tools are missing, but never in CI, which installs them."""
    missing = [each for each in tools(name) if shutil.which(each) is None]
    skipped = bool(missing) and "SNNCC_CI" not in os.environ
    return pytest.mark.skipif(skipped, reason=f"not installed: {', '.join(missing)}")


each_device = pytest.mark.parametrize("name", [pytest.param(name, marks=needs(name)) for name in NAMES])

ALIKE = ("cortex-m7", "cortex-m0plus")  # their code is that of another one: nightly is often enough for long tests
each_kind = pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[needs(name), *[pytest.mark.slow] * (name in ALIKE)]) for name in NAMES],
)


def emitted(network: Network, chip: Chip, title: str = "a model") -> Mapping[str, bytes]:
    return BACKEND.emit(Job(title, network, prove(network, 12), chip))


def place(files: Mapping[str, bytes], folder: Path) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def ran(network: Network, chip: Chip, x: Array, lengths: Array | None = None, record: bool = True) -> Result:
    """The run of a network's program; `x` is (samples, steps, *shape)."""
    own = np.full(len(x), x.shape[1]) if lengths is None else lengths
    with TemporaryDirectory() as scratch:
        place(emitted(network, chip), Path(scratch))
        return BACKEND.run(Path(scratch), network, chip, Batch(x.reshape(*x.shape[:2], -1), own), record)


def differences(network: Network, chip: Chip, x: Array, lengths: Array | None = None) -> list[str]:
    """The outputs and populations that differ from the reference."""
    own = np.full(len(x), x.shape[1]) if lengths is None else lengths
    expected = run(network, x, lengths=own, record=tuple(network.of_kind(Population)))
    found = ran(network, chip, x, own).trace
    wrong: list[str] = []
    for kind in ("outputs", "spikes", "membranes"):
        ours, theirs = getattr(found, kind), getattr(expected, kind)
        assert set(ours) == set(theirs)
        wrong += [f"{kind} {name}" for name in theirs if not np.array_equal(ours[name], theirs[name])]
    return wrong
