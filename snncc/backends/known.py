"""The list of backends: a new one is a folder beside this file, and a line in it."""

from __future__ import annotations

from snncc.backends.base import Backend, EventBackend
from snncc.backends.c import BACKEND as C
from snncc.backends.chip import BACKEND as CHIP
from snncc.backends.lava import BACKEND as LAVA
from snncc.backends.tinyodin.backend import BACKEND as TINYODIN
from snncc.diagnostics import fault

BACKENDS: tuple[Backend | EventBackend, ...] = (C, CHIP, LAVA, TINYODIN)


def backend_named(name: str) -> Backend | EventBackend:
    """The backend of a name; raises CompileError (`unknown-backend`)."""
    for backend in BACKENDS:
        if backend.name == name:
            return backend
    known = ", ".join(each.name for each in BACKENDS)
    raise fault("unknown-backend", name, "there is no such backend", f"known: {known}")
