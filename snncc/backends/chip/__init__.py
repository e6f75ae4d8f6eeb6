"""The chip backend: a program for a chip of many cores, and a machine that runs it cycle by cycle."""

from __future__ import annotations

from snncc.backends.base import Backend
from snncc.backends.chip.emit import emit
from snncc.backends.chip.memory import footprint
from snncc.backends.chip.perfetto import timeline
from snncc.backends.chip.run import placed, run
from snncc.backends.chip.validate import validate

BACKEND = Backend(
    name="chip",
    validate=validate,
    emit=emit,
    run=run,
    mapped=True,
    placed=placed,
    timeline=timeline,
    footprint=footprint,
    learns=True,
    exits=True,
)
