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
down = 0.025
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
    assert [term.rate for term in rule.terms.values()] == [0.5, -0.025]


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
            "mine:25: term.down.factors: ceil(most NAME / NUMBER) is of a count, by a number from 1 to 255",
        ),
        (
            "down = 0.025",
            'down = 0.025\nper = "x"',
            "mine:25: term.down.per: x differs from synapse to synapse; divide by most of a trace",
        ),
        (
            "down = 0.025",
            'down = 0.025\nper = "most x"',
            "mine:24: term.down.down: may change a weight by 3276 of its range at once; up to 1 is stable\n"
            "  = hint: make it at most 7.6e-06; or divide by what does not fade to 0: most x + 1",
        ),
        (
            "down = 0.025",
            'down = 0.05\nper = "most n - 4"',
            "mine:24: term.down.down: may change a weight by 1.6 of its range at once; up to 1 is stable\n"
            "  = hint: make it at most 0.031",
        ),
        (
            "most n / 8",
            "most n / 256",
            "mine:25: term.down.factors: ceil(most NAME / NUMBER) is of a count, by a number from 1 to 255",
        ),
        (
            "most n / 8",
            "most n / 99999999999",
            "mine:25: term.down.factors: cannot be read: 'ceil(most n / 99999999999)'",
        ),
        ("x - 0.4", "x - 1e999", "mine:20: term.up.factors: the number inf is more than 65,536"),
        (
            '"1 - w"]',
            '"1 - w"' + ', "x"' * 200 + "]",
            "mine:20: term.up.factors: are 202; a term has up to 8",
        ),
        (
            '"ceil(most n / 8)"',
            '"ceil(most n / 8)", "n"',
            "mine:24: term.down.down: may change a weight by 204 of its range at once; up to 1 is stable\n"
            "  = hint: make it at most 0.00012",
        ),
        (
            "down = 0.025",
            'up = 0.03\nfactors = ["ceil(most n / 8)"]\n\n[term.more]\non = "period"\nup = 0.02',
            "mine:29: term.more.up: may, with down, change a weight by 1.6 of its range at once; up to 1 is stable\n"
            "  = hint: lower their rates",
        ),
        (
            '"x - 0.4", ',
            "",
            "mine:8: trace.x: is used by no term\n  = hint: name it among a term's factors, or leave it out",
        ),
        (
            "period = 2",
            "period = 2\nreward = 3",
            "mine:4: reward: is used by no term\n  = hint: name it among a term's factors, or leave it out",
        ),
        ("period = 2", "period = 0", "mine:3: period: must be at least 1 step"),
        ("period = 2", "period = -1", "mine:3: period: must be a whole number from 0 to 1,048,576, not -1"),
        ("period = 2", "period = 2\nreward = 65536", "mine:4: reward: must be at most 65,535"),
        (
            "bits = 4",
            "bits = 4\nnormalise_every = 7",
            "mine:7: weight.normalise_every: says when, but weight.normalise does not say to what",
        ),
        (
            "bits = 4",
            'bits = 4\nnormalise_targets = "spiking"',
            "mine:7: weight.normalise_targets: says which, but weight.normalise does not say to what",
        ),
        (
            "bits = 4",
            'bits = 4\nnormalise_targets = "spikes"',
            "mine:7: weight.normalise_targets: does not know 'spikes'\n  = hint: did you mean spiking?",
        ),
        ("bits = 4", "bits = 4\nmaximum = 1e-320", "mine:7: weight.maximum: must be 0, or from 1e-30 to 1e+30"),
        (
            "bits = 4",
            "bits = 4\nmaximum = 1" + "0" * 400 + ".0",
            "mine:7: weight.maximum: must be a number of 0 or more, not inf",
        ),
        ("bits = 4", "bits = 4\nmaximum = 1" + "0" * 400, "mine: has a whole number of more than 64 bits"),
        (
            "[term.up]",
            "[threshold]\njump = 1e300\ndecay = 2\nmost = 1e5\n\n[term.up]",
            "mine:20: threshold.most: must be at most 65,536\n"
            "error[bad-rule-file]: mine:18: threshold.jump: must be more than 0, and at most threshold.most, 100000\n"
            "error[bad-rule-file]: mine:19: threshold.decay: must be at most 1",
        ),
        ("[trace.n]", "[trace.w]", "mine:13: trace.w: is no name that factors can have"),
        ("period = 2", "period = 2\n[", "mine: is not TOML:"),
    ],
)
def test_what_cannot_be_is_named_with_its_line(old: str, new: str, expected: str) -> None:
    with pytest.raises(CompileError) as caught:
        rules.parsed(GOOD.replace(old, new, 1), "mine")
    assert f"error[bad-rule-file]: {expected}" in str(caught.value)


@pytest.mark.parametrize(
    ("per", "rate"), [("most n", 0.03125), ("most n + 4", 0.125), ("most x + 1", 0.03125), ("2 + most x", 0.0625)]
)
def test_what_a_term_is_divided_by_at_least_counts_for_its_stability(per: str, rate: float) -> None:
    """The factors of the term are at most 32."""
    rules.parsed(GOOD.replace("down = 0.025", f'down = {rate}\nper = "{per}"'), "mine")
    with pytest.raises(CompileError, match="of its range at once"):
        rules.parsed(GOOD.replace("down = 0.025", f'down = {rate * 1.01}\nper = "{per}"'), "mine")


def test_keys_that_count_have_limits_of_their_own() -> None:
    text = GOOD.replace("period = 2", "period = 1000\nreward = 65535").replace('"w"]', '"w"]\nper = "reward"')
    head = rules.parsed(text.replace("bits = 4", "bits = 4\nguard = 0\nnormalise = 0.5\nnormalise_every = 100"), "mine")
    assert (head.period, head.reward, head.weight.guard, head.weight.normalise_every) == (1000, 65535, 0, 100)


def test_all_faults_at_once(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(GOOD.replace("bits = 4", "bits = 9").replace("1 - w", "1 - z").replace("20.0", "0.0"))
    with pytest.raises(CompileError) as caught:
        rules.load(path)
    assert len(caught.value.diagnostics) == 3
