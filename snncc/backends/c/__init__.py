"""The C backend: a C99 program with constant weights, no heap and no floats."""

from __future__ import annotations

from snncc.backends.base import Backend
from snncc.backends.c.emit import emit
from snncc.backends.c.learnt import learnt_bytes
from snncc.backends.c.memory import footprint
from snncc.backends.c.run import run
from snncc.backends.c.validate import validate

BACKEND = Backend(
    name="c",
    validate=validate,
    emit=emit,
    run=run,
    footprint=footprint,
    saved=learnt_bytes,
    learns=True,
    exits=True,
)
