"""Turns a model's untrusted names into Python attributes and into text that cannot leave a comment or a docstring."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable, Mapping

_LONGEST_IDENTIFIER = 40
_LONGEST_TEXT = 60
_TAKEN = frozenset(
    {"processes", "recorder", "source", "self", "clear", "show", "to_chip"}
)  # members of the emitted class


def identifiers(names: Iterable[str]) -> Mapping[str, str]:
    """One Python identifier per name: ASCII, lower case apart, unique, no keyword, at most 40 characters.

    They also name files, so two do not differ in case alone.
    """
    taken = set(_TAKEN)
    result: dict[str, str] = {}
    for name in names:
        base = _identifier(name)
        unique, count = base, 1
        while unique.lower() in taken:
            count += 1
            unique = f"{base[: _LONGEST_IDENTIFIER - 8]}_{count}"
        taken.add(unique.lower())
        result[name] = unique
    return result


def _identifier(name: str) -> str:
    plain = re.sub(r"[^A-Za-z0-9]+", "_", name[: 4 * _LONGEST_IDENTIFIER]).strip("_")[:_LONGEST_IDENTIFIER].strip("_")
    plain = plain if plain and plain[0].isalpha() else f"n{plain}"
    return f"{plain}_" if keyword.iskeyword(plain) or keyword.issoftkeyword(plain) else plain


def text(name: str) -> str:
    """A name for comments, docstrings and Markdown: printable ASCII that none of them could act on."""
    plain = re.sub(r"[^A-Za-z0-9 ._/:+,=#-]", "_", name[:_LONGEST_TEXT])
    return plain + ("..." if len(name) > _LONGEST_TEXT else "")
