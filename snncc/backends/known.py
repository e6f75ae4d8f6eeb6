"""The list of backends: a new one is a folder beside this file, and a line in it."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

from snncc.backends.base import Backend, EventBackend
from snncc.diagnostics import fault

# Where each one's BACKEND is: only what is used is imported, as some take half a second.
BACKENDS: Mapping[str, str] = {
    "c": "snncc.backends.c",
    "chip": "snncc.backends.chip",
    "lava": "snncc.backends.lava",
    "mcu": "snncc.backends.c.mcu",
    "tinyodin": "snncc.backends.tinyodin.backend",
}


def backend_named(name: str) -> Backend | EventBackend:
    """The backend of a name; raises CompileError (`unknown-backend`)."""
    if name not in BACKENDS:
        raise fault("unknown-backend", name, "there is no such backend", f"known: {', '.join(BACKENDS)}")
    return import_module(BACKENDS[name]).BACKEND
