"""Puts facts, tables and pictures on one self-contained HTML page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from snncc.backends.templates import fill
from snncc.pages.figures import Figure


@dataclass(frozen=True)
class Table:
    """Rows under a head; every cell is text."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, eq=False)
class Section:
    """A heading, a sentence that says what is to be seen, and a picture or a table; `wide` takes the whole width."""

    heading: str
    note: str
    content: Figure | Table
    wide: bool = False


def render(title: str, subtitle: str, facts: Sequence[tuple[str, str]], sections: Sequence[Section]) -> bytes:
    """The page. It holds plotly itself, and loads nothing."""
    from plotly.offline import get_plotlyjs  # heavy, and wanted by this function alone

    alone = _alone(sections)
    blocks = [
        {
            "heading": each.heading,
            "note": each.note,
            "wide": each.wide or number in alone,
            "table": each.content if isinstance(each.content, Table) else None,
            "figure": None if isinstance(each.content, Table) else _script(each.content),
        }
        for number, each in enumerate(sections)
    ]
    context = {"title": title, "subtitle": subtitle, "facts": facts, "sections": blocks, "plotly": get_plotlyjs()}
    return fill("snncc.pages", "page.html.j2", **context).encode()


def _alone(sections: Sequence[Section]) -> set[int]:
    """Sections of half the width that would have no neighbour, by number."""
    found: set[int] = set()
    left = False  # whether one waits for its neighbour
    for number, each in enumerate(sections):
        if each.wide and left:
            found.add(number - 1)
        left = not each.wide and not left
    return found | ({len(sections) - 1} if left else set())


def _script(figure: Figure) -> str:
    """JSON that cannot end the script that it stands in."""
    text = json.dumps(figure, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text
