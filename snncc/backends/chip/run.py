"""Runs an emitted program on the emulated chip."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np

from snncc.backends.base import Batch, Result
from snncc.backends.chip import image as stored
from snncc.backends.chip import machine as machines
from snncc.backends.chip.check import check
from snncc.backends.chip.counts import counts, peaks
from snncc.chip import Chip
from snncc.diagnostics import fault
from snncc.integers import Network, Population
from snncc.layers import size
from snncc.mapping import HOST, Placement, frozen_cores


def run(folder: Path, network: Network, chip: Chip, batch: Batch, record: bool) -> Result:
    """Load the program in a folder, and run it.

    Raises CompileError: `damaged-artefact`, `no-cores`.
    """
    machine = load(folder, network, chip)
    early = batch.early and not record
    trace, taken = machines.run_until_decided(machine, batch) if early else (machines.run(machine, batch, record), None)
    return Result(trace, counts=counts(machine), peaks=peaks(machine), taken=taken)


def placed(folder: Path) -> Placement:
    """Where the neurons of the program in a folder lie. Raises CompileError (`damaged-artefact`)."""
    image = _image(stored.contents(folder))
    populations = [each for each in image.senders if isinstance(each.op, Population)]
    host = {each.name: np.full(size(each.op.shape), HOST, np.int32) for each in populations}
    return frozen_cores({each.name: host[each.name] if each.cores is None else each.cores for each in populations})


def load(folder: Path, network: Network, chip: Chip) -> machines.Machine:
    """A machine with the program in a folder, at rest. Raises CompileError: `damaged-artefact`, `no-cores`."""
    if chip.timing is None:
        raise fault("no-cores", chip.name, "has no cores to run a program on", "choose a target with many cores")
    image = _image(stored.contents(folder))
    check(image, network, chip)
    return machines.machine(image, network, chip)


@functools.lru_cache(maxsize=1)
def _image(contents: stored.Contents) -> stored.Image:
    """A program is kept, as `simulate` and `verify` run it batch after batch."""
    return stored.parsed(contents)
