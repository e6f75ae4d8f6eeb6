"""The page of a search: what it shows of the front, and nothing of a model's that could act there."""

from __future__ import annotations

from snncc.exploring.budget import known_limits
from snncc.exploring.evaluate import Outcome
from snncc.exploring.front import front
from snncc.exploring.search import Search, Searched
from snncc.exploring.study import Found
from snncc.pages.front import page

EVIL = "</script><b>"


def searched(*values: tuple[float, float | None]) -> Searched:
    limits = known_limits("flash<=1KiB,accuracy>=0.9", ("flash", "accuracy"), "avr")
    found = [
        Found(number, {}, Outcome("measured", {"flash": flash, "accuracy": accuracy}))
        if accuracy is not None
        else Found(number, {}, Outcome("compiled", {"flash": flash}))
        for number, (flash, accuracy) in enumerate(values)
    ]
    search = Search(f"{EVIL}.onnx", "avr", "data.npz", "")
    words = {each.number: ("--weight-bits", f"4,{EVIL}={each.number}") for each in found}
    commands = {each.number: f"snncc compile {each.number}" for each in found}
    return Searched(search, limits, front(found, limits), tuple(found), 0.98, words, commands, ())


def test_the_page_has_the_best_point_and_every_command_of_the_front() -> None:
    text = page(searched((900, 0.95), (500, 0.92), (2000, 0.97), (1000, 0.94), (400, None))).decode()
    assert "<dt>flash of the best</dt><dd>900 bytes</dd>" in text
    assert "<dt>points</dt><dd>5</dd>" in text
    for number in (0, 1, 2):
        assert f"<td>snncc compile {number} -o DIR</td>" in text
    assert "snncc compile 3 -o DIR" not in text


def test_a_budget_that_nothing_met_has_a_page() -> None:
    text = page(searched((2000, None), (1500, None))).decode()
    assert "<dt>flash of the closest</dt><dd>1,500 bytes</dd>" in text


def test_names_of_a_model_do_not_act() -> None:
    text = page(searched((900, 0.95))).decode()
    assert "<h2>Front</h2>" in text
    assert EVIL not in text.partition("<main>")[2]
