"""The Lava backend: a Lava program of stock processes where they are exact, and of its own where they are not."""

from __future__ import annotations

from snncc.backends.base import Backend
from snncc.backends.lava.emit import emit
from snncc.backends.lava.notes import notes
from snncc.backends.lava.run import ready, run
from snncc.backends.lava.validate import validate

BACKEND = Backend("lava", validate, emit, run, notes=notes, shuns=("per-neuron-parameters",), ready=ready, learns=True)
