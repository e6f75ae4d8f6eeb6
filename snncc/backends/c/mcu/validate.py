"""Which targets a program for a microcontroller can be emitted for, and which networks."""

from __future__ import annotations

from collections.abc import Iterator

from snncc.backends.c.validate import expressible
from snncc.chip import Chip
from snncc.diagnostics import Diagnostic
from snncc.integers import Network


def validate(network: Network, chip: Chip) -> Iterator[Diagnostic]:
    """Every reason why the network cannot be emitted."""
    if chip.device is None:
        hint = f"leave out --backend: {chip.name} has {chip.backend}"
        yield Diagnostic("wrong-backend", "mcu", f"is for microcontrollers; {chip.name} has no [device]", hint)
    yield from expressible(network)
