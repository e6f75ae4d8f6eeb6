"""A rule's file says what the rule is, whatever was chosen about it; what there is to choose begins with its own."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snncc import rules
from snncc.diagnostics import CompileError
from snncc.exploring.lessons import BITS, GUARD, PERIOD, TRACES, Taught, changed, checked, file_name, levers, text_of


@pytest.mark.parametrize("name", rules.known())
def test_a_rule_written_as_a_file_is_the_same_rule(name: str) -> None:
    rule = rules.load(name)
    assert rules.parsed(text_of(rule), name) == rule


@given(st.text(st.characters(exclude_categories=["Cs"])), st.floats(1.0, 1e9), st.integers(1, 16))
def test_any_text_and_number_can_be_written(text: str, number: float, bits: int) -> None:
    rule = rules.load("reward")
    traces = {name: replace(each, time_constant=number, bits=bits) for name, each in rule.traces.items()}
    odd = replace(rule, description=text, source=text, traces=traces)
    assert rules.parsed(text_of(odd), "odd") == odd


def test_what_there_is_to_choose() -> None:
    assert levers(replace(rules.load("spikedyn"), period=5)) == {
        BITS: (8, 7, 6, 5, 4, 3, 2, 1),
        GUARD: (0, 2, 4, 8),
        PERIOD: (5, 10, 20, 2),
        TRACES: (12, 8, 6, 4),
    }
    assert levers(rules.load("reward"))[BITS] == (8, 7, 6, 5, 4, 3, 2)  # a sign takes one
    assert PERIOD not in levers(rules.load("diehl-cook"))
    four = replace(rules.load("fspinn"), period=1)
    four = replace(four, weight=replace(four.weight, bits=4, guard=3))
    assert levers(four)[BITS][:3] == (4, 8, 7)
    assert levers(four)[GUARD] == (3, 0, 2, 4, 8)
    assert levers(four)[PERIOD] == (1, 2, 4)


@pytest.mark.parametrize("name", rules.known())
def test_the_own_values_are_no_change(name: str) -> None:
    rule = rules.load(name)
    own = {lever: values[0] for lever, values in levers(rule).items()}
    assert checked(Taught("a", rules.text_of(name)), own) == rule


def test_bits_take_bounds_along() -> None:
    text = rules.text_of("spikedyn").replace("bits = 8\n", "bits = 8\nbounds = [17, 204]\n", 1)
    chosen = {BITS: 4, GUARD: 2, PERIOD: 10, TRACES: 6}
    found = changed(Taught("a", text), chosen)
    assert (found.weight.bits, found.weight.guard, found.weight.bounds) == (4, 2, (1, 12))
    assert (found.period, found.traces["x"].bits) == (10, 6)
    assert file_name(1, chosen) == "1-bits4-guard2-period10-traces6.toml"


def test_what_no_rule_can_be_is_said() -> None:
    text = rules.text_of("spikedyn").replace("bits = 8\n", "bits = 4\nguard = 12\n", 1)
    with pytest.raises(CompileError) as caught:
        checked(Taught("syn", text), {BITS: 8, GUARD: 12, PERIOD: 5, TRACES: 12})
    (found,) = caught.value.diagnostics
    assert (found.rule, found.message) == (
        "bad-rule-file",
        "must be at most 8: a stored weight has up to 16 bits",
    )
    assert found.where == "the rule of syn:7: weight.guard"
