"""Damage to any file: bytes changed, cut out, put in, and parts of another file."""

from __future__ import annotations

import random
from collections.abc import Callable

INTEGERS = (-(1 << 63), -(1 << 31), -2, -1, 0, 1, 2, 3, 7, 255, 1 << 16, (1 << 31) - 1, 1 << 40, (1 << 63) - 1)
REALS = (0.0, -0.0, -1.5, 1e-45, 1e-30, 0.999999, 1e30, 3.5e38, float("inf"), float("-inf"), float("nan"))
NAMES = (
    "",
    " ",
    "int",
    "CON",
    "..",
    "../../outside",
    "/etc/passwd",
    "a\nb",
    'quote"and\\',
    "*/ int evil; /*",
    '"""',
    "{{ 7 * 7 }}",
    "{% raw %}",
    "%s%n$(touch evil)`touch evil`",
    "[red]rich[/red]",
    "[/]",
    "\x1b[2J\x1b]0;title\x07",
    "\u202eright to left",
    "\ud83e\udde0".encode("utf-16", "surrogatepass").decode("utf-16"),
    "na\u00efve",
    "\0",
    "x" * 5000,
    "=HYPERLINK()",
    "#define",
    "??/",
)


def bad_bytes(data: bytes, other: bytes, rng: random.Random) -> bytes:
    """One or a few changes that know nothing of the file's format."""
    damaged = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 2, 4, 16])):
        rng.choice(_CHANGES)(damaged, other, rng)
    return bytes(damaged)


def _set(data: bytearray, _: bytes, rng: random.Random) -> None:
    if data:
        data[rng.randrange(len(data))] = rng.randrange(256)


def _flip(data: bytearray, _: bytes, rng: random.Random) -> None:
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _cut(data: bytearray, _: bytes, rng: random.Random) -> None:
    start = rng.randrange(len(data) + 1)
    del data[start : start + rng.choice([1, 2, 8, 64, 1024])]


def _truncate(data: bytearray, _: bytes, rng: random.Random) -> None:
    del data[rng.randrange(len(data) + 1) :]


def _insert(data: bytearray, _: bytes, rng: random.Random) -> None:
    at = rng.randrange(len(data) + 1)
    data[at:at] = rng.randbytes(rng.choice([1, 2, 8, 64]))


def _number(data: bytearray, _: bytes, rng: random.Random) -> None:
    """An absurd number in four or eight bytes, as headers hold sizes and offsets."""
    width = rng.choice([2, 4, 8])
    at = rng.randrange(max(1, len(data) - width))
    data[at : at + width] = (rng.choice(INTEGERS) % (1 << 8 * width)).to_bytes(width, "little")


def _splice(data: bytearray, other: bytes, rng: random.Random) -> None:
    """A part of another file of the same format."""
    start, length = rng.randrange(len(other) + 1), rng.choice([4, 32, 256, 4096])
    at = rng.randrange(len(data) + 1)
    data[at : at + rng.choice([0, length])] = other[start : start + length]


def _repeat(data: bytearray, _: bytes, rng: random.Random) -> None:
    at = rng.randrange(len(data) + 1)
    data[at:at] = data[at : at + rng.choice([1, 16, 256])]


_CHANGES: tuple[Callable[[bytearray, bytes, random.Random], None], ...] = (
    *(_set, _flip, _cut, _truncate, _insert, _number, _splice, _repeat),
)
