"""Tests of how faults look, and of the exception that carries them."""

from __future__ import annotations

import pickle

import pytest

from snncc.diagnostics import CompileError, Diagnostic, check, errors, fault, warnings

ERROR = Diagnostic("too-many-axons", "conv3", "needs 5,120 input axons; a core holds 4,096", "prune conv3")
WARNING = Diagnostic("may-overflow", "fc1", "its membrane may overflow", severity="warning")


def test_a_diagnostic_names_rule_place_and_way_out() -> None:
    assert str(ERROR) == (
        "error[too-many-axons]: conv3: needs 5,120 input axons; a core holds 4,096\n  = hint: prune conv3"
    )


def test_without_a_hint_there_is_one_line() -> None:
    assert str(WARNING) == "warning[may-overflow]: fc1: its membrane may overflow"


def test_an_exception_carries_all_diagnostics() -> None:
    error = CompileError(each for each in (ERROR, WARNING))
    assert error.diagnostics == (ERROR, WARNING)
    assert str(error) == f"{ERROR}\n{WARNING}"


def test_an_exception_without_a_diagnostic_is_a_bug() -> None:
    with pytest.raises(ValueError, match="needs a diagnostic"):
        CompileError([])


def test_an_exception_comes_whole_from_another_process() -> None:
    error = CompileError([ERROR, WARNING])
    back = pickle.loads(pickle.dumps(error))
    assert (back.diagnostics, str(back)) == (error.diagnostics, str(error))


def test_a_fault_is_one_error() -> None:
    (found,) = fault("rule", "here", "is wrong", "do this").diagnostics
    assert found == Diagnostic("rule", "here", "is wrong", "do this", "error")


def test_errors_and_warnings_are_told_apart() -> None:
    assert errors([WARNING, ERROR]) == (ERROR,)
    assert warnings([WARNING, ERROR]) == (WARNING,)


def test_a_check_returns_warnings_and_raises_with_everything() -> None:
    assert check(each for each in (WARNING,)) == (WARNING,)
    assert check([]) == ()
    with pytest.raises(CompileError) as caught:
        check([WARNING, ERROR])
    assert caught.value.diagnostics == (WARNING, ERROR)
