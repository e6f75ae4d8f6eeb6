"""The tools beside a cross compiler: what is said where they are missing, or cannot read a program."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from snncc import chip as chips
from snncc.backends.c.mcu.counting import tool_output
from snncc.chip import Chip
from snncc.diagnostics import CompileError


def with_compiler(command: str) -> Chip:
    chip = chips.load("cortex-m4")
    assert chip.compiler
    return replace(chip, compiler=replace(chip.compiler, command=command, install="apt-get install it"))


def test_a_tool_that_is_missing() -> None:
    with pytest.raises(CompileError) as caught:
        tool_output(with_compiler("none-such-gcc"), "nm")
    assert str(caught.value) == (
        "error[no-compiler]: cortex-m4: measuring a program needs 'none-such-nm', which belongs to its compiler and "
        "is not installed\n  = hint: apt-get install it"
    )


def test_a_program_that_a_tool_cannot_read(tmp_path: Path) -> None:
    program = tmp_path / "network"
    program.write_bytes(b"no program")
    with pytest.raises(CompileError) as caught:
        tool_output(with_compiler("gcc"), "nm", str(program))
    (found,) = caught.value.diagnostics
    assert (found.rule, found.where, found.hint) == ("compiler-failed", "cortex-m4", "install it anew")
    assert found.message.startswith("nm cannot read the program: ")
