"""The backend for microcontrollers: C for devices with little flash and RAM, run in their emulators."""

from __future__ import annotations

from snncc.backends.base import Backend
from snncc.backends.c.learnt import learnt_bytes
from snncc.backends.c.mcu.costs import spending
from snncc.backends.c.mcu.emit import emit
from snncc.backends.c.mcu.emulate import run
from snncc.backends.c.mcu.memory import fits, footprint
from snncc.backends.c.mcu.profile import profile
from snncc.backends.c.mcu.readings import readings
from snncc.backends.c.mcu.validate import validate

BACKEND = Backend(
    name="mcu",
    validate=validate,
    emit=emit,
    run=run,
    readings=readings,
    footprint=footprint,
    fits=fits,
    profile=profile,
    spending=spending,
    saved=learnt_bytes,
    layouts=("arduino",),
    learns=True,
    exits=True,
)
