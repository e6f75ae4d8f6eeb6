"""Rules: the shipped ones, how factors are read, and what a file says that cannot be, with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from snncc import rules
from snncc.diagnostics import CompileError
from snncc.rules import FactorRule, factor

GOOD = """\
description = "d"
source = "s"
period = 2

[weight]
bits = 4

[trace.x]
of = "pre"
kind = "latest"
time_constant = 20.0

[trace.n]
of = "post"
kind = "count"

[term.up]
on = "post"
up = 0.5
factors = ["x - 0.4", "1 - w"]

[term.down]
on = "period"
down = 0.25
factors = ["ceil(most n / 8)", "w"]
"""


@pytest.mark.parametrize("name", rules.known())
def test_shipped_rules_cite_their_equations(name: str) -> None:
    rule = rules.load(name)
    text = rules.text_of(name)
    assert rule.description
    assert any(each in rule.source for each in ("doi.org/", "arxiv.org/"))
    head = text[: text.index("description")]
    assert "dw" in head, "the equations are not in the file"
    assert all(line.startswith("#") for line in head.strip().splitlines())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x", FactorRule("x")),
        (" 1 - w ", FactorRule("w", sign=-1, offset=1.0)),
        ("0.5 + w", FactorRule("w", offset=0.5)),
        ("x - 4e-1", FactorRule("x", offset=-0.4)),
        ("most y + 2", FactorRule("y", most=True, offset=2.0)),
        ("ceil(most n / 20)", FactorRule("n", most=True, divisor=20)),
        ("1 - x - 2", None),
        ("x * y", None),
        ("", None),
        ("ceil(n / 2)", None),
    ],
)
def test_factors(text: str, expected: FactorRule | None) -> None:
    assert factor(text) == expected


def test_a_good_file() -> None:
    rule = rules.parsed(GOOD, "mine")
    assert (rule.weight.lowest, rule.weight.highest, rule.period) == (0, 15, 2)
    assert [term.rate for term in rule.terms.values()] == [0.5, -0.25]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("bits = 4", "bits = 4\nbounds = [0, 16]", "mine:7: weight.bounds: end at 16; 4 bits, unsigned, hold 1 to 15"),
        (
            "bits = 4",
            "bits = 4\nsigned = true\nbounds = [0, 8]",
            "mine:8: weight.bounds: end at 8; 4 bits, signed, hold 1 to 7",
        ),
        ("bits = 4", "bits = 9", "mine:6: weight.bits: must be 1 to 8"),
        ("bits = 4", "bit = 4", "mine:6: weight.bit: unknown key\n  = hint: did you mean bits?"),
        (
            "bits = 4",
            "bits = 8\nguard = 9",
            "mine:7: weight.guard: must be at most 8: a stored weight has up to 16 bits",
        ),
        (
            "bits = 4",
            "bits = 4\nsigned = true\nnormalise = 0.5",
            "mine:8: weight.normalise: must be at most 1, of weights that are not signed",
        ),
        (
            '"1 - w"]',
            '"1 - z"]',
            "mine:20: term.up.factors: there is no trace 'z'\n  = hint: known: x, n, w",
        ),
        (
            '"1 - w"]',
            '"reward"]',
            "mine:20: term.up.factors: there is no trace 'reward'\n"
            "  = hint: say how great it can be: reward = 3, before the first table",
        ),
        (
            '"1 - w"]',
            '"1 ** w"]',
            "mine:20: term.up.factors: cannot be read: '1 ** w'\n"
            "  = hint: a factor is NAME, most NAME or ceil(most NAME / 8), with a number before or after it: "
            "1 - w, x - 0.4",
        ),
        (
            "up = 0.5",
            "up = 2.5",
            "mine:19: term.up.up: may change a weight by 1.5 of its range at once; up to 1 is stable\n"
            "  = hint: make it at most 1.7",
        ),
        ("up = 0.5", "", "mine:17: term.up: needs one of up and down, greater than 0"),
        (
            'kind = "latest"',
            'kind = "last"',
            "mine:10: trace.x.kind: does not know 'last'\n  = hint: did you mean latest?",
        ),
        (
            "time_constant = 20.0",
            "time_constant = 0.5",
            "mine:11: trace.x.time_constant: must be at least 1 step, not 0.5: a trace that is gone at once has no use",
        ),
        (
            '"ceil(most n / 8)"',
            '"ceil(most x / 8)"',
            "mine:25: term.down.factors: ceil(most NAME / NUMBER) is of a count, by a number from 1 on",
        ),
        (
            "down = 0.25",
            'down = 0.25\nper = "x"',
            "mine:25: term.down.per: x differs from synapse to synapse; divide by most of a trace",
        ),
        ("[trace.n]", "[trace.w]", "mine:13: trace.w: is no name that factors can have"),
        ("period = 2", "period = 2\n[", "mine: is not TOML:"),
    ],
)
def test_what_cannot_be_is_named_with_its_line(old: str, new: str, expected: str) -> None:
    with pytest.raises(CompileError) as caught:
        rules.parsed(GOOD.replace(old, new, 1), "mine")
    assert f"error[bad-rule-file]: {expected}" in str(caught.value)


def test_all_faults_at_once(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(GOOD.replace("bits = 4", "bits = 9").replace("1 - w", "1 - z").replace("20.0", "0.0"))
    with pytest.raises(CompileError) as caught:
        rules.load(path)
    assert len(caught.value.diagnostics) == 3
