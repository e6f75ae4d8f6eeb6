"""Which files an artefact for a device has, and from which templates they come."""

from __future__ import annotations

from collections.abc import Mapping

from snncc.chip import Chip
from snncc.device import Device


def device_of(chip: Chip) -> Device:
    """The device of a chip that `validate` has let through."""
    assert chip.device is not None
    return chip.device


def templates(device: Device) -> Mapping[str, str]:
    """The template of each file of an artefact."""
    board = f"board_{device.emulator.channel}.c"
    files = {"network.h": "network.h", "network.c": "network.c", "bare_metal/board.h": "board.h"}
    files |= {"bare_metal/board.c": board, "bare_metal/run.c": "run.c"}
    if device.emulator.channel == "semihosting":
        files |= {"bare_metal/startup.c": "startup.c", "bare_metal/link.ld": "link.ld"}
    return files


def sources(device: Device) -> tuple[str, ...]:
    """The files that the program which runs samples is built from."""
    return tuple(name for name in templates(device) if name != "bare_metal/selftest.c")
