"""A microcontroller as its file describes it: its core, its memories, and the tools that build and run its programs."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from snncc.diagnostics import Diagnostic
from snncc.fabric import Figure, figures, wrong_figure
from snncc.records import Reader

Family = Literal["cortex-m", "riscv", "avr"]
Feature = Literal["simd16", "words", "progmem"]

CORES: Mapping[Family, tuple[str, ...]] = {
    "cortex-m": ("cortex-m0", "cortex-m0plus", "cortex-m3", "cortex-m4", "cortex-m7", "cortex-m23", "cortex-m33"),
    "riscv": ("rv32imc", "rv32imac", "rv32imafc"),
    "avr": ("avr5",),
}
_FLAGS = (
    *("-std=", "-O0", "-O1", "-O2", "-O3", "-Os", "-g", "-mcpu=", "-mthumb", "-mfloat-abi=", "-mfpu=", "-march="),
    *("-mabi=", "-misa-spec=", "--specs=", "-mcmodel=", "-msmall-data-limit=", "-mmcu=", "-mcall-prologues", "-mrelax"),
    *("-ffunction-sections", "-fdata-sections", "-ffreestanding", "-fno-common", "-fno-builtin", "-fshort-enums"),
    *("-fno-tree-loop-distribute-patterns", "-funroll-loops", "-fno-unroll-loops", "-fomit-frame-pointer"),
    *("-fno-jump-tables", "-fno-ivopts", "-Wall", "-Wextra", "-Werror", "-pedantic", "-DF_CPU="),
)
_FRACTIONS = ("clock_mhz", "code_per_token", "dense_mac", "cycles_per_instruction", "cycle_pj")
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{8}")


@dataclass(frozen=True)
class Emulator:
    """The program that runs the device's code on this computer.

    `{program}` in `arguments` stands for what was built. `channel` is how data get in and out: by semihosting, or out
    by the first serial port, and in as constants. `counts` says what is counted: instructions, or a timer's cycles.
    `flash` and `ram` are where its memories begin. `install` is the command that installs it.
    """

    command: str
    arguments: tuple[str, ...]
    channel: Literal["semihosting", "serial"]
    counts: Literal["instructions", "cycles"]
    install: str
    flash: str = ""
    ram: str = ""


@dataclass(frozen=True)
class Costs:
    """What things take of what the emulator counts: a stretch of sums that a source adds to, each of its synaptic
    events, and a step of a neuron.

    Events are those of spikes or of graded values; they are `wide` where sums take more than 16 bits. `packed` is what
    one takes besides where its weight shares a byte or a word with others.
    """

    stretch: Figure
    spike: Figure
    wide_spike: Figure
    graded: Figure
    wide_graded: Figure
    packed: Figure
    neuron: Figure


@dataclass(frozen=True)
class Device:
    """A microcontroller; `word_bits` is the width of its registers, flash and RAM are in bytes.

    Of its features `simd16` is ARM's DSP extension (two sums of 16 bits in a register), `words` that a 32-bit word is
    loaded and added at once, `progmem` that constants lie in an address space of their own.

    Where the compiler is not installed, code is estimated at `code_per_token` bytes a word or operator of it, and a
    step's stack at `usual_stack` bytes; `library_stack` is what the compiler's own functions take of it.
    `dense_mac` is what a multiply-accumulate takes in a kernel that takes all inputs, in what the emulator counts.
    Where that is instructions, `cycles_per_instruction` is their mean; `cycle_pj` is the energy of a cycle. Without
    `costs` nothing is said of a program's time before it runs.
    """

    family: Family
    core: str
    word_bits: int
    features: tuple[Feature, ...]
    flash: Figure
    ram: Figure
    clock_mhz: Figure
    code_per_token: Figure
    usual_stack: Figure
    library_stack: Figure
    dense_mac: Figure
    emulator: Emulator
    cycles_per_instruction: Figure | None = None
    cycle_pj: Figure | None = None
    costs: Costs | None = None

    @property
    def words(self) -> bool:
        return "words" in self.features


def impossible_device(device: Device | None, flags: tuple[str, ...] | None, reader: Reader) -> Iterator[Diagnostic]:
    """What of a microcontroller's table cannot be; `flags` are those of its compiler, None if it has none."""
    if device is None:
        return
    for key, figure in figures(device):
        yield from wrong_figure(f"device.{key}", figure, reader, whole=key not in _FRACTIONS)
        if figure.value <= 0:
            yield reader.fault(f"device.{key}.value", "must be more than 0")
    for key, figure in figures(device.costs) if device.costs else ():
        yield from wrong_figure(f"device.costs.{key}", figure, reader, whole=False)
    yield from _impossible_core(device, reader)
    yield from _impossible_costs(device, reader)
    for key in ("flash", "ram"):
        address = getattr(device.emulator, key)
        if device.emulator.channel == "semihosting" and not _ADDRESS.fullmatch(address):
            yield reader.fault(f"device.emulator.{key}", f"must be an address like 0x20000000, not {address!r}")
    if flags is None:
        yield reader.fault("compiler", "is missing", "a microcontroller's program is built by its cross compiler")
    for flag in flags or ():
        if not any(flag == known or (known.endswith("=") and flag.startswith(known)) for known in _FLAGS):
            yield reader.fault("compiler.flags", f"does not know {flag!r}", _closest(flag, _FLAGS))


def _impossible_core(device: Device, reader: Reader) -> Iterator[Diagnostic]:
    known = CORES.get(device.family, ())
    if known and device.core not in known:
        yield reader.fault("device.core", f"does not know {device.core!r}", _closest(device.core, known))
    if device.word_bits not in (8, 16, 32):
        yield reader.fault("device.word_bits", f"must be 8, 16 or 32, not {device.word_bits}")
    if device.words and device.word_bits in (8, 16):
        yield reader.fault("device.features", "has 'words', which need word_bits = 32")
    if "simd16" in device.features and not device.words:
        yield reader.fault("device.features", "has 'simd16' without 'words'")


def _impossible_costs(device: Device, reader: Reader) -> Iterator[Diagnostic]:
    cycles, counts = device.cycles_per_instruction, device.emulator.counts
    if cycles and counts == "cycles":
        yield reader.fault("device.cycles_per_instruction", "is of no use: device.emulator.counts has 'cycles'")
    if device.cycle_pj and not cycles and counts == "instructions":
        message = "needs device.cycles_per_instruction: the emulator counts instructions"
        yield reader.fault("device.cycle_pj", message)


def _closest(given: str, known: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(given, known, n=1, cutoff=0.5)
    return f"did you mean {close[0]}?" if close else f"known: {', '.join(known)}"
