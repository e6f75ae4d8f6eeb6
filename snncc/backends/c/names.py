"""Turns a model's untrusted names into C identifiers and into text that cannot leave a comment."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

_LONGEST_IDENTIFIER = 40
_LONGEST_TEXT = 60


def identifiers(names: Iterable[str]) -> Mapping[str, str]:
    """One C identifier per name: ASCII, unique, no leading digit or underscore, at most 40 characters.

    Generated code only uses them with a suffix (`hidden_v`), so that none can be a keyword or a macro.
    """
    taken: set[str] = set()
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
    return plain if plain and plain[0].isalpha() else f"n{plain}"


def text(name: str) -> str:
    """A name for comments and Markdown: printable ASCII without anything that either language could act on."""
    plain = re.sub(r"[^A-Za-z0-9 ._/:+,=#-]", "_", name[:_LONGEST_TEXT])
    return plain + ("..." if len(name) > _LONGEST_TEXT else "")
