"""A page stands alone, and nothing that it is given can become a part of its code."""

from __future__ import annotations

import re

from snncc.pages.figures import bars
from snncc.pages.page import Section, Table, render

EVIL = "</script><script>alert(1)</script>"


def page(name: str) -> str:
    sections = [
        Section("Energy", "of a sample", bars({name: 1.0}, "pJ", {})),
        Section("Resources", "used and allowed", Table(("what", "used"), ((name, "3"),)), wide=True),
    ]
    return render(name, f"about {name}", [(name, name)], sections).decode()


def without_plotly(text: str) -> str:
    start = text.index("<script>")
    return text[:start] + text[text.index("</script>\n</head>") :]


def test_it_shows_what_it_is_given() -> None:
    text = without_plotly(page("energy"))
    assert "<h1>energy</h1>" in text
    assert text.count("Plotly.newPlot(") == 1
    assert "<td>energy</td><td>3</td>" in text


def test_it_loads_nothing() -> None:
    assert not re.search(r"\b(src|href)=", without_plotly(page("energy")))


def test_names_stay_text() -> None:
    text = without_plotly(page(EVIL))
    assert "alert(1)</script>" not in text
    assert "<script>alert" not in text


def test_the_same_input_gives_the_same_bytes() -> None:
    assert page("a") == page("a")


def test_a_section_of_half_the_width_that_has_no_neighbour_takes_all_of_it() -> None:
    table = Table(("what",), (("that",),))
    halves = {"a", "b", "c", "e", "f", "g"}
    sections = [Section(name, "", table, wide=name not in halves) for name in "abcdefgh"]
    text = without_plotly(render("t", "", [], sections).decode())
    shown = dict(zip("abcdefgh", re.findall(r"<section( class=\"wide\")?>", text), strict=True))
    assert [name for name, wide in shown.items() if wide] == ["c", "d", "g", "h"]
