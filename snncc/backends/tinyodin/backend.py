"""The tinyODIN backend: lowers networks to events, writes what programs the chip, and runs it on the exact machine."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np

from snncc.backends.base import Batch, EventBackend, Result
from snncc.backends.tinyodin.emit import emit
from snncc.backends.tinyodin.lower import lower
from snncc.backends.tinyodin.readings import readings
from snncc.backends.tinyodin.run import run
from snncc.backends.tinyodin.validate import validate
from snncc.events.ops import EventNetwork


def _run(folder: Path, network: EventNetwork, batch: Batch, record: bool) -> Result:
    """The artefact alone decides what runs."""
    del network
    trace, used = run(folder, batch.x, batch.lengths, record=record)
    figures = {name: float(value) for name, value in asdict(used).items() if name != "fullest"}
    return Result(trace, figures, peaks={"fullest": np.array([used.fullest])})


BACKEND = EventBackend(name="tinyodin", lower=lower, validate=validate, emit=emit, run=_run, readings=readings)
