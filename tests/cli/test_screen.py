"""How texts are folded for people, and that nothing is folded for programs."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console
from rich.text import Text

from snncc.cli import screen


def printed(text: str, width: int, *, terminal: bool) -> list[str]:
    """The lines on a terminal of so many columns, or in a file."""
    file = StringIO()
    console = Console(file=file, width=width, force_terminal=terminal, color_system=None)
    screen._print_wrapped(console, Text(text))
    return file.getvalue().splitlines()


def test_a_text_that_fits_stays_on_its_line() -> None:
    assert printed("one two six", 11, terminal=True) == ["one two six"]


@pytest.mark.parametrize("width", [12, 13, 14, 30])
def test_a_longer_text_is_folded_between_words_with_a_hanging_indent(width: int) -> None:
    words = "one two three four five six seven eight nine ten"
    first, *others = printed(words, width, terminal=True)
    assert others
    assert all(line.startswith("    ") and not line[4:].startswith(" ") for line in others)
    assert all(len(line) <= width and line == line.rstrip() for line in (first, *others))
    assert " ".join([first, *(line.strip() for line in others)]) == words


def test_a_file_gets_whole_lines() -> None:
    assert printed("one two\nthree four", 5, terminal=False) == ["one two", "three four"]
