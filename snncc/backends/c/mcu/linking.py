"""Says in numbers by how much a program is too big for a device's memories, where the linker found it so."""

from __future__ import annotations

import re
from collections.abc import Iterator

from snncc.backends.c.mcu.artefact import device_of
from snncc.chip import Chip
from snncc.diagnostics import Diagnostic

_OVERFLOW = re.compile(r"region [`']?(\w+)'? overflowed by (\d+) bytes?")
_OUTSIDE = re.compile(r"address 0x([0-9a-f]+) of \S+ section [`']?\.\w+'? is not within region [`']?data'?")
_STACK = "RAM leaves too little for the stack"
_MEMORIES = {"FLASH": "flash", "text": "flash", "RAM": "ram", "data": "ram"}
_NAMES = {"flash": "flash", "ram": "RAM"}
STACK = 512  # bytes that the linker's script keeps free for it
_AVR_RAM = 0x800100  # where avr-ld has the RAM of an ATmega


def overflows(said: str, chip: Chip) -> tuple[Diagnostic, ...]:
    """Each memory that the program which runs samples overflows, all at once; none if `said` is of something else."""
    lacking: dict[str, int] = {}
    for region, excess in _OVERFLOW.findall(said):
        if region in _MEMORIES:
            lacking[_MEMORIES[region]] = int(excess)
    ends = [int(address, 16) for address in _OUTSIDE.findall(said)]
    if ends:
        lacking["ram"] = max(ends) - _AVR_RAM - int(device_of(chip).ram.value)
    return tuple(_each(lacking, _STACK in said, chip))


def _each(lacking: dict[str, int], stack: bool, chip: Chip) -> Iterator[Diagnostic]:
    hint = (
        "the network by itself fits; run samples on a copy of the target's file with more of it, as far as the "
        "emulator's board has it, or choose a larger target"
    )
    device, program = device_of(chip), "the program that runs samples, which moves data besides,"
    for memory, excess in sorted(lacking.items()):
        there = int(getattr(device, memory).value)
        message = f"{program} needs {there + excess:,} bytes of {_NAMES[memory]}; {chip.name} has {there:,}"
        yield Diagnostic(f"{memory}-too-small", chip.name, f"{message}: {excess:,} too many", hint)
    if stack and "ram" not in lacking:
        message = f"{program} leaves less than {STACK:,} bytes of RAM for its stack"
        yield Diagnostic("ram-too-small", chip.name, message, hint)
