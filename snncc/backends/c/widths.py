"""The C integer types: the narrowest one for a range of values, and literals of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from snncc.arrays import Array

Span = tuple[int, int]


@dataclass(frozen=True)
class CType:
    """An exact-width integer type of `<stdint.h>`."""

    bits: int
    signed: bool

    @property
    def name(self) -> str:
        return f"{'int' if self.signed else 'uint'}{self.bits}_t"

    @property
    def short(self) -> str:
        """Used in the names of kernels."""
        return f"{'i' if self.signed else 'u'}{self.bits}"

    @property
    def bytes(self) -> int:
        return self.bits // 8

    @property
    def span(self) -> Span:
        return (-(1 << self.bits - 1), (1 << self.bits - 1) - 1) if self.signed else (0, (1 << self.bits) - 1)

    @property
    def numpy(self) -> np.dtype[np.generic]:
        """Little-endian, as in the files that the program reads and writes."""
        return np.dtype(f"<{'i' if self.signed else 'u'}{self.bytes}")

    def holds(self, span: Span) -> bool:
        low, high = self.span
        return low <= span[0] and span[1] <= high


INT32, INT64 = CType(32, signed=True), CType(64, signed=True)
_SIGNED = (CType(8, signed=True), CType(16, signed=True), INT32, INT64)
_UNSIGNED = tuple(CType(bits, signed=False) for bits in (8, 16, 32))


def narrowest(span: Span) -> CType:
    """The narrowest signed type that holds a span; what does not fit 64 bits is 64 bits, as in the reference."""
    return next((each for each in _SIGNED if each.holds(span)), INT64)


def narrowest_unsigned(highest: int) -> CType:
    """The narrowest unsigned type for 0..highest, up to 32 bits."""
    return next(each for each in _UNSIGNED if each.holds((0, highest)))


def wire(span: Span) -> CType:
    """What a source or population sends: unsigned where nothing is negative, so that a spike is one `uint8_t`."""
    return narrowest_unsigned(span[1]) if span[0] >= 0 and span[1] < 1 << 32 else narrowest(span)


def span_of(array: Array) -> Span:
    """The least and the greatest element; (0, 0) if there is none."""
    return (int(array.min()), int(array.max())) if array.size else (0, 0)


def join(*spans: Span) -> Span:
    """The least span that encloses all."""
    return min(low for low, _ in spans), max(high for _, high in spans)


def magnitude(span: Span) -> int:
    return max(abs(span[0]), abs(span[1]))


def literal(value: int) -> str:
    """A constant expression of a type wide enough, without the pitfalls of the lowest numbers."""
    if value in (-(1 << 31), -(1 << 63)):
        return f"({literal(value + 1)} - 1)"
    return str(value) if abs(value) < 1 << 31 else f"INT64_C({value})"
