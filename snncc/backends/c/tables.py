"""Constant arrays of the generated program: as C text, or, where that would be too long, in a file beside it."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from snncc.arrays import Array
from snncc.backends.c.widths import CType

TEXT_LIMIT = 1 << 18  # bytes of all tables up to which they are C text: gcc takes 6 s for a million numbers
_SMALL = 1 << 12  # bytes of one table that is C text in any case
_LINE = 110  # characters of numbers in a line of text
_HEADER = struct.Struct("<8sIQ")
_MAGIC = b"SNNCCWT1"


@dataclass(frozen=True, eq=False)
class Table:
    """A one-dimensional array `name` of one C type; `values` has the type's own dtype."""

    name: str
    type: CType
    values: Array
    comment: str = ""

    @property
    def bytes(self) -> int:
        return self.type.bytes * len(self.values)

    @property
    def length(self) -> int:
        """Of the C array, which cannot be empty."""
        return max(1, len(self.values))

    def lines(self) -> list[str]:
        """The values as C text, in lines of bounded length."""
        numbers = [_number(value) for value in self.values.tolist()] or ["0"]
        result, line = list[str](), ""
        for number in numbers:
            if len(line) + len(number) > _LINE:
                result.append(line.rstrip())
                line = ""
            line += number + ", "
        return [*result, line.rstrip(", ")]


def table(name: str, kind: CType, values: Array, comment: str = "") -> Table:
    return Table(name, kind, np.ascontiguousarray(values.reshape(-1), kind.numpy), comment)


def _number(value: int) -> str:
    if value == -(1 << 63):
        return "(-INT64_C(9223372036854775807) - 1)"
    if value == -(1 << 31):
        return "(-2147483647 - 1)"
    return str(value) if -(1 << 31) < value < 1 << 32 else f"INT64_C({value})"


@dataclass(frozen=True, eq=False)
class Storage:
    """Which tables are C text, and which are loaded from `weights.bin` before the first step."""

    text: tuple[Table, ...]
    loaded: tuple[Table, ...]

    @property
    def bytes(self) -> int:
        """Of `weights.bin`."""
        return _HEADER.size + sum(each.bytes for each in self.loaded)


def store(tables: Sequence[Table]) -> Storage:
    """All as text if that is short enough to compile quickly, else only the small ones."""
    if sum(each.bytes for each in tables) <= TEXT_LIMIT:
        return Storage(tuple(tables), ())
    small = tuple(each for each in tables if each.bytes <= _SMALL)
    return Storage(small, tuple(each for each in tables if each.bytes > _SMALL))


def blob(loaded: Sequence[Table]) -> tuple[bytes, bytes]:
    """`weights.bin`: its header of magic, CRC-32 and length of the body; and each table in order, little-endian."""
    body = b"".join(each.values.tobytes() for each in loaded)
    return _HEADER.pack(_MAGIC, zlib.crc32(body), len(body)), body
