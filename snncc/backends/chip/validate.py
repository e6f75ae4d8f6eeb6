"""What the emulated chip cannot run, whatever its limits: these are checked elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

from snncc.chip import Chip
from snncc.diagnostics import Diagnostic
from snncc.integers import Network, Source, value_range
from snncc.integers import Population as Population_

_MOST_BITS = 31  # of a value that a packet carries


def validate(network: Network, chip: Chip) -> Iterator[Diagnostic]:
    """Every reason why the network cannot be emitted."""
    if chip.fabric is None:
        hint = "choose a target with many cores: `snncc targets` lists the backend of each"
        yield Diagnostic("no-cores", chip.name, "has no cores that this backend could emulate", hint)
    for name, op in network.ops.items():
        if isinstance(op, (Source, Population_)):
            most = max(map(abs, value_range(op)))
            if most.bit_length() > _MOST_BITS:
                message = f"sends values up to {most:,}; a packet carries {_MOST_BITS} bits and a sign"
                yield Diagnostic("value-too-wide", name, message, "feed fewer levels, or fewer spikes a step")
