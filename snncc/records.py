"""Fills frozen dataclasses from a TOML file; unknown, missing and wrong keys are faults with their lines."""

from __future__ import annotations

import dataclasses
import difflib
import math
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NewType, TypeVar, cast, get_args, get_origin, get_type_hints

from snncc import files
from snncc.diagnostics import Diagnostic, fault

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

T = TypeVar("T")
Range = tuple[int, int]
Place = NewType("Place", tuple[int, int])  # column and row
Steps = tuple[tuple[int, int], ...]
Count = NewType("Count", int)
MOST_COUNT = 1 << 20
_LONGEST = 1 << 15  # characters of a file
_DEEPEST = 16  # tables and lists within each other


@dataclass(frozen=True)
class Reader:
    """Checks a parsed file against dataclasses; `rule` names the faults."""

    file: str
    text: str
    rule: str

    def faults(self, kind: type[Any], data: Mapping[str, Any], prefix: str = "") -> Iterator[Diagnostic]:
        """What keeps `data` from being a record of class `kind`."""
        hints = get_type_hints(kind)
        for key in data:
            if key not in hints:
                close = difflib.get_close_matches(key, hints, n=1)
                hint = f"did you mean {close[0]}?" if close else f"known here: {', '.join(hints)}"
                yield self.fault(prefix + key, "unknown key", hint)
        for each in dataclasses.fields(kind):
            if each.name in data:
                yield from self._value_faults(hints[each.name], data[each.name], prefix + each.name)
            elif each.default is dataclasses.MISSING:
                yield self.fault(prefix + each.name, "is missing")

    def _value_faults(self, kind: Any, value: Any, where: str) -> Iterator[Diagnostic]:
        inner = _table(kind)
        if inner is not None:
            if isinstance(value, dict):
                yield from self.faults(inner, cast("dict[str, Any]", value), f"{where}.")
            else:
                wanted = ", ".join(each.name for each in dataclasses.fields(inner))
                yield self.fault(where, f"must be a table, not {value!r}", f"its keys: {wanted}")
        elif kind not in (Range, Steps) and Ellipsis in get_args(kind):
            if _is_list(value, str):
                yield from self._choice_faults(get_args(get_args(kind)[0]), cast("list[str]", value), where)
            else:
                yield self.fault(where, f"must be a list of strings, not {value!r}")
        elif get_origin(kind) is Literal and isinstance(value, str):
            yield from self._choice_faults(get_args(kind), [value], where)
        else:
            yield from self._plain_faults(kind, value, where)

    def _plain_faults(self, kind: Any, value: Any, where: str) -> Iterator[Diagnostic]:
        if kind is Place:
            good, wanted = _is_place(value), "[column, row], two whole numbers from 0 on"
        elif kind == Range:
            good, wanted = _is_range(value), "[lowest, highest] with 0 <= lowest <= highest"
        elif kind == Steps:
            good, wanted = _is_steps(value), "a list of pairs of whole numbers, the first of each pair rising"
        elif kind is int:
            good, wanted = type(value) is int and 1 <= value <= 64, "a whole number from 1 to 64"
        elif kind is Count:
            good, wanted = type(value) is int and 0 <= value <= MOST_COUNT, f"a whole number from 0 to {MOST_COUNT:,}"
        elif kind is float:
            good = type(value) in (int, float) and math.isfinite(value) and value >= 0
            wanted = "a number of 0 or more"
        elif kind is bool:
            good, wanted = isinstance(value, bool), "true or false"
        else:
            good, wanted = isinstance(value, str), "a string"
        if not good:
            yield self.fault(where, f"must be {wanted}, not {value!r}")

    def _choice_faults(self, choices: tuple[str, ...], values: list[str], where: str) -> Iterator[Diagnostic]:
        """Each value that is not among the choices; any string will do where there are none."""
        for each in values:
            if choices and each not in choices:
                close = difflib.get_close_matches(each, choices, n=1)
                hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(choices)}"
                yield self.fault(where, f"does not know {each!r}", hint)

    def readable(self, kind: type[T], data: Mapping[str, Any]) -> T:
        """A record of what is good in `data`; for the rest stand NaN, of which no comparison holds, and "?".

        So what is wrong with the values of a file can be said together with what is wrong with its keys.
        """
        hints = get_type_hints(kind)
        values: dict[str, Any] = {}
        for each in dataclasses.fields(cast("Any", kind)):
            hint, given, needed = hints[each.name], data.get(each.name), each.default is dataclasses.MISSING
            inner = _table(hint)
            if inner is not None and (needed or given is not None):
                values[each.name] = self.readable(inner, given if isinstance(given, dict) else {})
            elif given is not None and not any(self._value_faults(hint, given, "")):
                values[each.name] = _built(hint, given)
            elif needed or given is not None:
                values[each.name] = _unread(hint)
        return kind(**values)

    def fault(self, where: str, message: str, hint: str = "") -> Diagnostic:
        """A fault of this file at a dotted key."""
        line = self._line(where)
        return Diagnostic(self.rule, f"{self.file}{f':{line}' if line else ''}: {where}", message, hint)

    def _line(self, where: str) -> int:
        """The line that sets a dotted key, or that opens its table; else that of the table around it, else 0."""
        *tables, key = where.split(".")
        wanted, table, found = ".".join(tables), "", 0
        for number, raw in enumerate(self.text.splitlines(), 1):
            content = raw.strip()
            if content.startswith("["):
                table = content.split("#")[0].strip().strip("[] ")
                found = number if table in (where, wanted) else found
            elif table == wanted and content.split("=")[0].strip() == key:
                return number
        return found if found or not tables else self._line(wanted)


def load(path: Path, name: str, rule: str) -> tuple[Mapping[str, Any], Reader]:
    """The parsed file, and a reader for it that calls it `name`; raises CompileError (`rule`)."""
    try:
        text = files.content(path).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = files.reason(error) if isinstance(error, OSError) else "it is not UTF-8 text"
        raise fault(rule, name, f"cannot be read: {reason}") from error
    return parse(text, name, rule), Reader(name, text, rule)


def parse(text: str, name: str, rule: str) -> Mapping[str, Any]:
    """The tables of a TOML text that is called `name`; raises CompileError (`rule`)."""
    if len(text) > _LONGEST:
        raise fault(rule, name, f"has {len(text):,} characters; up to {_LONGEST:,} are read")
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise fault(rule, name, f"is not TOML: {error}") from error
    except RecursionError as error:
        raise fault(rule, name, _TOO_DEEP) from error
    except ValueError as error:  # what Python says of thousands of digits
        raise fault(rule, name, _TOO_LONG) from error
    if wrong := _beyond(data):
        raise fault(rule, name, wrong)
    return data


_TOO_DEEP = "has tables or lists that lie too deep in others"
_TOO_LONG = "has a whole number of more than 64 bits"


def _beyond(data: Any) -> str:
    """What of parsed values is more than any record has, and could not even be printed; "" for nothing."""
    level = [data]
    for _ in range(_DEEPEST):
        if any(type(each) is int and not -(1 << 63) <= each < 1 << 63 for each in level):
            return _TOO_LONG
        inner = [each.values() if isinstance(each, dict) else each for each in level if isinstance(each, (dict, list))]
        level = [each for values in inner for each in cast("Iterable[Any]", values)]
    return _TOO_DEEP if level else ""


def build(kind: type[T], data: Mapping[str, Any]) -> T:
    """A record of class `kind` from data without faults."""
    hints = get_type_hints(kind)
    return kind(**{key: _built(hints[key], value) for key, value in data.items()})


def _built(kind: Any, value: Any) -> Any:
    inner = _table(kind)
    if inner is not None:
        return build(inner, value)
    if isinstance(value, list):
        return tuple(_built(None, each) for each in cast("list[Any]", value))
    return float(value) if kind is float else value


def _unread(kind: Any) -> Any:
    """What stands for a value that could not be read."""
    if kind in (Range, Place):
        return (math.nan, math.nan)
    if kind == Steps:
        return ((math.nan, math.nan),)
    if Ellipsis in get_args(kind):
        return ()
    return math.nan if kind in (int, float, bool, Count) else "?"


def _is_list(value: Any, kind: type[Any]) -> bool:
    return isinstance(value, list) and all(type(each) is kind for each in cast("list[Any]", value))


def _is_place(value: Any) -> bool:
    return _is_list(value, int) and len(value) == 2 and min(value) >= 0


def _is_range(value: Any) -> bool:
    return _is_list(value, int) and len(value) == 2 and 0 <= value[0] <= value[1]


def _is_steps(value: Any) -> bool:
    if not _is_list(value, list) or not value:
        return False
    pairs = cast("list[list[Any]]", value)
    good = all(_is_list(pair, int) and len(pair) == 2 and min(pair) >= 0 for pair in pairs)
    return good and all(a[0] < b[0] for a, b in pairwise(pairs))


def _table(kind: Any) -> type[Any] | None:
    """The dataclass that a field holds, also where it is optional."""
    for each in (kind, *get_args(kind)):
        if dataclasses.is_dataclass(each) and isinstance(each, type):
            return each
    return None
