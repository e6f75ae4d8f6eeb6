"""Templates are filled in whole or not at all, and only HTML is escaped."""

from __future__ import annotations

import jinja2
import pytest

from snncc.backends.templates import fill, tidy


def test_a_missing_name_is_an_error() -> None:
    with pytest.raises(jinja2.UndefinedError, match="'title' is undefined"):
        fill("snncc.backends.chip", "README.md.j2")


def test_only_html_is_escaped() -> None:
    context = {"subtitle": "", "facts": (), "sections": (), "plotly": ""}
    assert "&lt;b&gt;" in fill("snncc.pages", "page.html.j2", title="<b>", **context)
    context = {"title": "<b>", "text": (), "loaded": ()}
    assert "<b>" not in fill("snncc.backends.c", "weights.c.j2", **context)


def test_tidy_text_has_no_blanks_to_spare() -> None:
    assert tidy("\na  \n\n\n\tb\n \n\n") == "\na\n\n\tb\n"
    assert tidy("a\n\n\n\nb", 2) == "a\n\n\nb\n"
    assert tidy("\n\n") == ""
