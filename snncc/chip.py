"""Chips as data: limits, capabilities, arithmetic and costs, read from `targets/NAME.toml` or a file of the user's.

No chip number lives in code, and no code asks for a chip's name. A file is checked key by key: every unknown key,
wrong type and impossible value is reported at once, with its line.
"""

from __future__ import annotations

import dataclasses
import difflib
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast, get_args, get_origin, get_type_hints

from snncc.diagnostics import CompileError, Diagnostic, check, fault
from snncc.integers import Overflow, Rounding

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

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
]

Range = tuple[int, int]
MOST_SUM_BITS = 53  # of float64's significand


@dataclass(frozen=True)
class Weight:
    """`bits` is the widest signed weight; `exponent` the left shifts (lowest, highest) of a synapse's sum."""

    bits: int
    exponent: Range


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

    The product of a state and its decay factor must fit `product_bits`, signed.
    """

    bits: int
    decay_bits: Range
    product_bits: int
    rounding: Rounding
    overflow: Overflow


@dataclass(frozen=True)
class Compiler:
    """The C compiler that builds the artefact to run it here, and its flags."""

    command: str
    flags: tuple[str, ...]


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
    try:
        text = path.read_text(encoding="utf-8")
        data = tomllib.loads(text)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "it is not UTF-8 text"
        raise fault("bad-chip-file", str(target), f"cannot be read: {reason}") from error
    except tomllib.TOMLDecodeError as error:
        raise fault("bad-chip-file", str(target), f"is not TOML: {error}") from error
    reader = _Reader(str(target), text)
    check(reader.faults(Chip, data, ""))
    chip = cast("Chip", _build(Chip, data))
    check(reader.contradictions(chip))
    return chip


def _unknown(target: str) -> CompileError:
    close = difflib.get_close_matches(target, known(), n=1)
    guess = f"did you mean {close[0]}? " if close else ""
    return fault(
        "unknown-target",
        target,
        "there is no such target",
        f"{guess}known: {', '.join(known())}; or give the path of a .toml file",
    )


@dataclass(frozen=True)
class _Reader:
    """Checks a parsed file against the dataclasses above, with the line of each fault."""

    file: str
    text: str

    def faults(self, kind: type[Any], data: Mapping[str, Any], prefix: str) -> Iterator[Diagnostic]:
        hints = get_type_hints(kind)
        for key in data:
            if key not in hints:
                close = difflib.get_close_matches(key, hints, n=1)
                hint = f"did you mean {close[0]}?" if close else f"known here: {', '.join(hints)}"
                yield self.fault(prefix + key, "unknown key", hint)
        for each in dataclasses.fields(kind):
            if each.name in data:
                yield from self.value_faults(hints[each.name], data[each.name], prefix + each.name)
            elif each.default is dataclasses.MISSING:
                yield self.fault(prefix + each.name, "is missing")

    def value_faults(self, kind: Any, value: Any, where: str) -> Iterator[Diagnostic]:
        inner = _table(kind)
        if inner is not None:
            if isinstance(value, dict):
                yield from self.faults(inner, cast("dict[str, Any]", value), f"{where}.")
            else:
                yield self.fault(where, f"must be a table, not {value!r}")
        elif Ellipsis in get_args(kind):
            if _is_list(value, str):
                yield from self.choice_faults(get_args(get_args(kind)[0]), cast("list[str]", value), where)
            else:
                yield self.fault(where, f"must be a list of strings, not {value!r}")
        elif get_origin(kind) is Literal and isinstance(value, str):
            yield from self.choice_faults(get_args(kind), [value], where)
        else:
            yield from self.plain_faults(kind, value, where)

    def plain_faults(self, kind: Any, value: Any, where: str) -> Iterator[Diagnostic]:
        if kind == Range:
            good, wanted = _is_range(value), "[lowest, highest] with 0 <= lowest <= highest"
        elif kind is int:
            good, wanted = type(value) is int and 1 <= value <= 64, "a whole number from 1 to 64"
        elif kind is bool:
            good, wanted = isinstance(value, bool), "true or false"
        else:
            good, wanted = isinstance(value, str), "a string"
        if not good:
            yield self.fault(where, f"must be {wanted}, not {value!r}")

    def choice_faults(self, choices: tuple[str, ...], values: list[str], where: str) -> Iterator[Diagnostic]:
        """Each value that is not among the choices; any string will do where there are none."""
        for each in values:
            if choices and each not in choices:
                close = difflib.get_close_matches(each, choices, n=1)
                hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(choices)}"
                yield self.fault(where, f"does not know {each!r}", hint)

    def contradictions(self, chip: Chip) -> Iterator[Diagnostic]:
        """What the numbers say together that cannot be."""
        if chip.weight.bits < 2:
            yield self.fault("weight.bits", "must be at least 2: one bit is the sign")
        if chip.accumulator.bits > MOST_SUM_BITS:
            message = f"must be at most {MOST_SUM_BITS}: the reference adds up in float64, exactly"
            yield self.fault("accumulator.bits", message)
        for where, state in (("current", chip.current), ("membrane", chip.membrane)):
            needed = state.bits + state.decay_bits[0]
            if state.bits < 2:
                yield self.fault(f"{where}.bits", "must be at least 2: one bit is the sign")
            if needed > state.product_bits:
                message = (
                    f"must be at least {needed}: a state of {state.bits} bits times a decay of {needed - state.bits}"
                )
                yield self.fault(f"{where}.product_bits", message)

    def fault(self, where: str, message: str, hint: str = "") -> Diagnostic:
        line = self.line(where)
        return Diagnostic("bad-chip-file", f"{self.file}{line}: {where}", message, hint)

    def line(self, where: str) -> str:
        """`:N` for the line that sets a dotted key, or that opens its table; empty if neither is there."""
        *tables, key = where.split(".")
        wanted, table, found = ".".join(tables), "", 0
        for number, raw in enumerate(self.text.splitlines(), 1):
            content = raw.strip()
            if content.startswith("["):
                table = content.split("#")[0].strip().strip("[] ")
                found = number if table in (where, wanted) else found
            elif table == wanted and content.split("=")[0].strip() == key:
                return f":{number}"
        return f":{found}" if found else ""


def _is_list(value: Any, kind: type[Any]) -> bool:
    return isinstance(value, list) and all(type(each) is kind for each in cast("list[Any]", value))


def _is_range(value: Any) -> bool:
    return _is_list(value, int) and len(value) == 2 and 0 <= value[0] <= value[1]


def _table(kind: Any) -> type[Any] | None:
    """The dataclass that a field holds, also where it is optional."""
    for each in (kind, *get_args(kind)):
        if dataclasses.is_dataclass(each) and isinstance(each, type):
            return each
    return None


def _build(kind: type[Any], data: Mapping[str, Any]) -> Any:
    hints = get_type_hints(kind)
    values: dict[str, Any] = {}
    for key, value in data.items():
        inner = _table(hints[key])
        values[key] = _build(inner, value) if inner else tuple(value) if isinstance(value, list) else value
    return kind(**values)
