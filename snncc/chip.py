"""Chips as data: limits, capabilities, arithmetic and costs, read from `targets/NAME.toml` or a file of the user's.

No chip number lives in code, and no code asks for a chip's name. A file is checked key by key: every unknown key,
wrong type and impossible value is reported at once, with its line.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from snncc import records
from snncc.arithmetic import Overflow, Register, Rounding
from snncc.device import Device, impossible_device
from snncc.diagnostics import CompileError, Diagnostic, check, fault
from snncc.fabric import (
    Core,
    Energy,
    Fabric,
    Figure,
    Learning,
    Mesh,
    Packing,
    Timing,
    figures,
    impossible_fabric,
    impossible_learning,
    wrong_figure,
)
from snncc.records import Range, Reader

Capability = Literal[
    "graded-input",
    "current",
    "soft-reset",
    "hard-reset",
    "reset-delay",
    "strict-threshold",
    "inclusive-threshold",
    "per-neuron-parameters",
    "bias",
    "minimum",
    "adapt",
    "multi-spike",
    "refractory",
    "initial-state",
    "axon-delays",
    "convolution",
    "lateral",
    "start",
    "learning",
]

MOST_SUM_BITS = 53  # of float64's significand
MOST_PRODUCT_BITS = 62  # of int64, with room for rounding
LEARNT_DECAY_BITS = 24  # of what a threshold has learnt, which decays once a sample: the product may be wide
MOST_VALUE_BITS = 32  # of a weight, of an input, of a shift
MOST_DELAY = 1 << 16


@dataclass(frozen=True)
class Weight:
    """`bits` is the widest signed weight; `exponent` the left shifts (lowest, highest) of a synapse's sum.

    With `sign_modes` a group whose weights all have one sign keeps none: they are up to 2**bits - 1, or down to its
    negative.
    """

    bits: int
    exponent: Range
    sign_modes: bool = False


@dataclass(frozen=True)
class InputPort:
    """The widest graded input that the chip takes; 1 bit means spikes only."""

    bits: int
    signed: bool


@dataclass(frozen=True)
class Delay:
    """The least and the greatest delay of a synapse, in steps."""

    steps: Range


@dataclass(frozen=True)
class Accumulator:
    """Width of the sum of a step's synaptic input, in bits, signed, and the left shifts on its way to the state."""

    bits: int
    input_shift: Range


@dataclass(frozen=True)
class StateArithmetic:
    """A state register: its greatest width, how its decay is quantised and rounded, what happens at its ends.

    The product of a state and its decay factor must fit `product_bits`, signed. A register that is not of two's
    complement leaves the lowest value out (`symmetric`), and may have one more at the top instead (`shifted`).
    """

    bits: int
    decay_bits: Range
    product_bits: int
    rounding: Rounding
    overflow: Overflow
    ends: Literal["twos-complement", "symmetric", "shifted"] = "twos-complement"

    @property
    def register(self) -> Register:
        """The widest register."""
        highest = (1 << (self.bits - 1)) - 1
        lowest = -highest - (self.ends == "twos-complement")
        return Register(lowest, highest + (self.ends == "shifted"), self.overflow)


@dataclass(frozen=True)
class Crossbar:
    """A chip that acts event by event, without steps of its own: one crossbar, and one queue for all its events.

    `rows` is how many neurons and input channels it has together, `queue` how many events wait at most. `spi_cycles`
    is the clock cycles of one bit while it is programmed; host and receiver answer after `gap`, `drop` and `delay`
    cycles. `clock_mhz` turns cycles into time; `operation_pj` is the energy of one synaptic operation.
    """

    rows: Figure
    queue: Figure
    threshold_bits: Figure
    leak_bits: Figure
    spi_cycles: Figure
    gap: Figure
    drop: Figure
    delay: Figure
    clock_mhz: Figure
    operation_pj: Figure


@dataclass(frozen=True)
class Compiler:
    """The C compiler that builds the artefact, its flags, and the command that installs it where it is not common."""

    command: str
    flags: tuple[str, ...]
    install: str = ""


@dataclass(frozen=True)
class Parameters:
    """What a neuron's parameters can be: a threshold is an unsigned number of `threshold_bits` << `threshold_shift`.

    A bias is a signed mantissa of `bias_bits` << one of `bias_exponent`.
    """

    threshold_bits: int
    threshold_shift: int
    bias_bits: int
    bias_exponent: Range

    @property
    def largest_threshold(self) -> int:
        return ((1 << self.threshold_bits) - 1) << self.threshold_shift

    @property
    def largest_bias(self) -> int:
        return ((1 << (self.bias_bits - 1)) - 1) << self.bias_exponent[1]


@dataclass(frozen=True)
class Lava:
    """How Lava is told to simulate the chip, and whether its neurons can be programmed.

    With `simulated_learning` networks learn by a process model of snncc's own, in Lava's simulation and nowhere else.
    """

    run_config: Literal["Loihi1SimCfg", "Loihi2SimCfg"]
    microcode: bool
    simulated_learning: bool = False


@dataclass(frozen=True)
class Chip:
    """A target: everything that the passes and backends may know of it."""

    name: str
    description: str
    backend: str
    capabilities: tuple[Capability, ...]
    weight: Weight
    input: InputPort
    delay: Delay
    accumulator: Accumulator
    current: StateArithmetic
    membrane: StateArithmetic
    compiler: Compiler | None = None
    parameters: Parameters | None = None
    lava: Lava | None = None
    mesh: Mesh | None = None
    core: Core | None = None
    packing: Packing | None = None
    timing: Timing | None = None
    energy: Energy | None = None
    learning: Learning | None = None
    crossbar: Crossbar | None = None
    device: Device | None = None

    @property
    def fabric(self) -> Fabric | None:
        """The cores and what joins them, on a chip that has more than one."""
        if self.mesh and self.core and self.packing and self.timing:
            return Fabric(self.mesh, self.core, self.packing, self.timing, self.energy, self.learning)
        return None


def folder() -> Path:
    """Where the shipped chip files are: inside the installed package, or beside it in a source tree."""
    installed = Path(__file__).parent / "_targets"
    return installed if installed.is_dir() else Path(__file__).parents[1] / "targets"


def known() -> tuple[str, ...]:
    """The names of the shipped chips, sorted."""
    return tuple(sorted(path.stem for path in folder().glob("*.toml")))


def load(target: str | Path) -> Chip:
    """The chip of a shipped name, or of a TOML file given by its path.

    Raises CompileError: `unknown-target`, or `bad-chip-file` once per fault of the file.
    """
    path = Path(target)
    if path.suffix != ".toml":
        path = folder() / f"{target}.toml"
        if str(target) not in known():
            raise _unknown(str(target))
    data, reader = records.load(path, str(target), "bad-chip-file")
    return checked(data, reader)


def checked(data: Mapping[str, Any], reader: Reader) -> Chip:
    """The chip that `data` describe; raises CompileError with every fault that `reader` finds in them."""
    unsound = list(reader.faults(Chip, data))
    said = {each.where for each in unsound}
    impossible = _impossible(reader.readable(Chip, data), reader)
    check([*unsound, *(each for each in impossible if each.where not in said)])
    return records.build(Chip, data)


def _unknown(target: str) -> CompileError:
    close = difflib.get_close_matches(target, known(), n=1)
    guess = f"did you mean {close[0]}? " if close else ""
    return fault(
        "unknown-target",
        target,
        "there is no such target",
        f"{guess}known: {', '.join(known())}; or give the path of a .toml file",
    )


def _impossible(chip: Chip, reader: Reader) -> Iterator[Diagnostic]:
    """Values that cannot be."""
    tables = chip.mesh, chip.core, chip.packing, chip.timing, chip.energy
    yield from _contradictions(chip, reader)
    yield from impossible_fabric(tables, chip.delay.steps[0], reader)
    if (chip.mesh or chip.learning) and chip.capabilities:  # there are none where they could not be read
        learns, simulated = "learning" in chip.capabilities, bool(chip.lava and chip.lava.simulated_learning)
        if simulated and not learns:
            yield reader.fault("lava.simulated_learning", "says nothing without the capability `learning`")
        if chip.learning or not simulated:
            yield from impossible_learning(chip.learning, chip.energy, learns=learns, reader=reader)
    yield from _impossible_crossbar(chip, reader)
    yield from impossible_device(chip.device, chip.compiler.flags if chip.compiler else None, reader)


def _contradictions(chip: Chip, reader: Reader) -> Iterator[Diagnostic]:
    """What the numbers of the arithmetic say together that cannot be."""
    if chip.weight.bits < 2:
        yield reader.fault("weight.bits", "must be at least 2: one bit is the sign")
    for where, most, value, why in (
        ("weight.bits", MOST_VALUE_BITS, chip.weight.bits, ""),
        ("weight.exponent", MOST_VALUE_BITS, chip.weight.exponent[1], ""),
        ("input.bits", MOST_VALUE_BITS, chip.input.bits, ""),
        ("accumulator.bits", MOST_SUM_BITS, chip.accumulator.bits, ": the reference adds up in float64, exactly"),
        ("accumulator.input_shift", MOST_VALUE_BITS, chip.accumulator.input_shift[1], ""),
        ("delay.steps", MOST_DELAY, chip.delay.steps[1], ""),
        ("current.product_bits", MOST_PRODUCT_BITS, chip.current.product_bits, ": the reference multiplies in int64"),
        ("membrane.product_bits", MOST_PRODUCT_BITS, chip.membrane.product_bits, ": the reference multiplies in int64"),
    ):
        if value > most:
            yield reader.fault(where, f"must be at most {most}{why}")
    for where, state in (("current", chip.current), ("membrane", chip.membrane)):
        needed = state.bits + state.decay_bits[0]
        if state.bits < 2:
            yield reader.fault(f"{where}.bits", "must be at least 2: one bit is the sign")
        if needed > state.product_bits:
            message = f"must be at least {needed}: a state of {state.bits} bits times a decay of {needed - state.bits}"
            yield reader.fault(f"{where}.product_bits", message)


def _impossible_crossbar(chip: Chip, reader: Reader) -> Iterator[Diagnostic]:
    """What of an event-driven chip's table cannot be."""
    for key, figure in figures(chip.crossbar):
        whole = key not in ("clock_mhz", "operation_pj")
        yield from wrong_figure(f"crossbar.{key}", figure, reader, whole=whole)
        if figure.value < whole or (key == "clock_mhz" and figure.value == 0):
            yield reader.fault(f"crossbar.{key}.value", "must be at least 1" if whole else "must be more than 0")
