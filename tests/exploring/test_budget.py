"""Budgets are read as they are meant, and what is wrong with one is said all at once."""

from __future__ import annotations

import pytest

from snncc.diagnostics import CompileError
from snncc.exploring.budget import Limit, known_limits, parsed, shown

KNOWN = ("flash", "ram", "weights", "accuracy")
FORM = 'give limits with commas between, as in "flash<=64KiB,time<=5ms,accuracy>=0.95"'


def test_limits_have_units() -> None:
    found = parsed("flash<=64KiB, energy<=5uJ,time <= 1.5 ms,cores<=2,accuracy>=95%,ram<=2kB,weights<=100")
    values = {each.quantity: each.value for each in found}
    assert values == pytest.approx(
        {"flash": 65536, "energy": 5e-6, "time": 1.5e-3, "cores": 2, "accuracy": 0.95, "ram": 2000, "weights": 100}
    )
    assert [each.text for each in found][:2] == ["flash<=64KiB", "energy<=5uJ"]
    learning = parsed("learning-energy<=9uJ,learning-time <= 2ms,updates<=0.5M,plastic<=40KiB")
    assert [each.value for each in learning] == pytest.approx([9e-6, 2e-3, 500_000, 40960])


def test_everything_wrong_is_said_at_once() -> None:
    with pytest.raises(CompileError) as found:
        parsed("flash=3,flash<=64KB,accuracy<=0.9,energy>=1J,accuracy>=95,,ram<=1,ram<=2")
    assert [(each.message, each.hint) for each in found.value.diagnostics] == [
        ("'flash=3' is no limit", FORM),
        ("'flash<=64KB' has the unit 'KB'", "flash takes none, B, kB, MB, KiB, MiB"),
        ("'accuracy<=0.9' asks for the worse of two programs", "write accuracy>=..."),
        ("'energy>=1J' asks for the worse of two programs", "write energy<=..."),
        ("'accuracy>=95' asks for more than all samples", "an accuracy lies between 0 and 1; 95% is 0.95"),
        ("'' is no limit", FORM),
        ("ram is limited twice", FORM),
    ]
    assert {(each.rule, each.where) for each in found.value.diagnostics} == {("budget", "--budget")}


def test_a_target_has_what_a_budget_limits() -> None:
    assert [each.quantity for each in known_limits("flash<=1", KNOWN, "avr")] == ["flash", "accuracy"]
    with pytest.raises(CompileError) as found:
        known_limits("flsh<=1,energy<=1J", KNOWN, "avr")
    assert [str(each) for each in found.value.diagnostics] == [
        "error[budget]: --budget: avr has no flsh that a search could limit\n"
        "  = hint: did you mean flash? there are flash, ram, weights, accuracy",
        "error[budget]: --budget: avr has no energy that a search could limit\n"
        "  = hint: there are flash, ram, weights, accuracy",
    ]
    with pytest.raises(CompileError, match="limits nothing that a program takes"):
        known_limits("accuracy>=0.9", KNOWN, "avr")


def test_a_limit_is_a_number_that_programs_can_miss() -> None:
    with pytest.raises(CompileError) as found:
        parsed("synapses<=1e999B,flash<=0,ram<=1e-400,energy<=1e-25uJ,cores<=1e31")
    assert [(each.message, each.hint) for each in found.value.diagnostics] == [
        (f"{text!r} is {value}: a limit that no program or every one meets", "a limit lies between 1e-30 and 1e+30")
        for text, value in [
            ("synapses<=1e999B", "inf"),
            ("flash<=0", "0"),
            ("ram<=1e-400", "0"),
            ("energy<=1e-25uJ", "1e-31"),
            ("cores<=1e31", "1e+31"),
        ]
    ]
    assert [each.value for each in parsed("accuracy>=0,flash<=1e-9")] == [0.0, 1e-9]


def test_a_violation_is_a_part_of_the_bound() -> None:
    assert Limit("flash", "<=", 100, "").violation(150) == 0.5
    assert Limit("flash", "<=", 100, "").violation(50) == -0.5
    assert Limit("accuracy", ">=", 0.8, "").violation(0.6) == pytest.approx(0.25)
    assert Limit("accuracy", ">=", 0.0, "").violation(0.6) == -0.6


def test_values_are_shown_with_their_units() -> None:
    assert shown("accuracy", 0.975) == "97.50%"
    assert shown("energy", 4.52e-7) == "452 nJ"
    assert shown("time", 2.0) == "2 s"
    assert shown("learning-energy", 4.52e-7) == "452 nJ"
    assert shown("learning-time", 2.0) == "2 s"
    assert shown("updates", 83_104.5) == "83,104"
    assert shown("cores", 3) == "3"
    assert shown("flash", 12345) == "12,345 bytes"
