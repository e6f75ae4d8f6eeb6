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
from typing import Any, Literal, cast, get_args, get_type_hints

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
    return cast("Chip", _build(Chip, data))


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
        elif kind == Range:
            good = _is_list(value, int) and len(value) == 2 and 0 <= value[0] <= value[1]
            if not good:
                yield self.fault(where, f"must be [lowest, highest] with 0 <= lowest <= highest, not {value!r}")
        elif kind is int:
            if type(value) is not int or not 1 <= value <= 64:
                yield self.fault(where, f"must be a whole number from 1 to 64, not {value!r}")
        elif kind is bool or kind is str:
            if type(value) is not kind:
                yield self.fault(where, f"must be {'true or false' if kind is bool else 'a string'}, not {value!r}")
        elif not _is_list(value, str) and not isinstance(value, str):
            yield self.fault(where, f"must be a string or a list of strings, not {value!r}")
        else:
            yield from self.choice_faults(kind, value, where)

    def choice_faults(self, kind: Any, value: Any, where: str) -> Iterator[Diagnostic]:
        listed = get_args(kind)[0] if Ellipsis in get_args(kind) else kind
        choices: tuple[str, ...] = get_args(listed)
        for each in cast("list[str]", value if isinstance(value, list) else [value]):
            if choices and each not in choices:
                close = difflib.get_close_matches(each, choices, n=1)
                hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(choices)}"
                yield self.fault(where, f"does not know {each!r}", hint)

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
