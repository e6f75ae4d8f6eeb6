"""How texts are folded for people, and that nothing is folded for programs."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console
from rich.text import Text

from snncc.cli import screen
from snncc.views import View, add_row, new_table


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


@pytest.mark.parametrize(("width", "line"), [(18, "first  word  3,000"), (17, "first word 3,000")])
def test_a_table_too_wide_for_the_terminal_is_moved_closer_together(
    width: int, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = StringIO()
    console = Console(width=width, force_terminal=True, file=file, color_system=None)
    monkeypatch.setattr(screen, "Console", lambda: console)
    table = new_table("", "name", "what", "#count")
    add_row(table, "first", "word", "3,000")
    screen.Screen(json=False).show(View({}, [table]))
    assert line in [each.rstrip() for each in file.getvalue().splitlines()]
