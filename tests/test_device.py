"""Microcontrollers as data: what of their files is wrong is said with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from snncc import chip as chips
from snncc.diagnostics import CompileError

SHIPPED = chips.folder() / "cortex-m4.toml"


def faults(tmp_path: Path, old: str, new: str) -> str:
    text = SHIPPED.read_text()
    assert text.count(old) >= 1
    path = tmp_path / "mine.toml"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(CompileError) as caught:
        chips.load(path)
    return str(caught.value).replace(str(path), "mine.toml")


def line_of(start: str) -> int:
    return next(n for n, line in enumerate(SHIPPED.read_text().splitlines(), 1) if line.startswith(start))


@pytest.mark.parametrize(
    ("old", "new", "key", "expected"),
    [
        (
            'core = "cortex-m4"',
            'core = "cortex-m44"',
            "core",
            "device.core: does not know 'cortex-m44'\n  = hint: did you mean cortex-m4?",
        ),
        (
            '"-mcpu=cortex-m4"',
            '"-mcpuu=cortex-m4"',
            "flags",
            "compiler.flags: does not know '-mcpuu=cortex-m4'\n  = hint: did you mean -mcpu=?",
        ),
        (
            '"simd16"',
            '"simd"',
            "features",
            "device.features: does not know 'simd'\n  = hint: did you mean simd16?",
        ),
        ("word_bits = 32", "word_bits = 24", "word_bits", "device.word_bits: must be 8, 16 or 32, not 24"),
        ('ram = "0x20000000"', 'ram = "here"', "ram =", ""),
    ],
)
def test_what_is_unknown_is_named_with_its_line(tmp_path: Path, old: str, new: str, key: str, expected: str) -> None:
    said = faults(tmp_path, old, new)
    if expected:
        assert f"error[bad-chip-file]: mine.toml:{line_of(key)}: {expected}" in said
    else:
        assert "device.emulator.ram: must be an address like 0x20000000, not 'here'" in said


def test_a_device_needs_a_compiler(tmp_path: Path) -> None:
    text = SHIPPED.read_text()
    begin, end = text.index("[compiler]"), text.index("[device]")
    said = faults(tmp_path, text[begin:end], "")
    assert said == (
        "error[bad-chip-file]: mine.toml: compiler: is missing\n"
        "  = hint: a microcontroller's program is built by its cross compiler"
    )


def test_features_that_exclude_each_other(tmp_path: Path) -> None:
    assert "device.features: has 'simd16' without 'words'" in faults(tmp_path, '"words", "simd16"', '"simd16"')
    said = faults(tmp_path, "word_bits = 32", "word_bits = 8")
    assert "device.features: has 'words', which need word_bits = 32" in said


def test_figures_need_a_source(tmp_path: Path) -> None:
    said = faults(tmp_path, 'source = "PlatformIO documentation, board black_f407ze: STM32F407ZET6"', "assumed = false")
    assert f"mine.toml:{line_of('flash')}: device.flash: has no source" in said


@pytest.mark.parametrize(
    ("target", "old", "new", "expected"),
    [
        (
            "cortex-m4",
            "cycles_per_instruction = { value = 1.3,",
            "cycle_pj = { value = 800,",
            "device.cycle_pj: needs device.cycles_per_instruction: the emulator counts instructions",
        ),
        (
            "cortex-m4",
            "cycles_per_instruction = { value = 1.3,",
            "cycles_per_instruction = { value = 0,",
            "device.cycles_per_instruction.value: must be more than 0",
        ),
        (
            "cortex-m4",
            "cycles_per_instruction = { value = 1.3, assumed = true }",
            "cycles_per_instruction = { value = 1.3 }",
            "device.cycles_per_instruction: has no source\n  = hint: give its source, or assumed = true",
        ),
        (
            "avr",
            "cycle_pj = { value = 3250,",
            "cycles_per_instruction = { value = 1.5,",
            "device.cycles_per_instruction: is of no use: device.emulator.counts has 'cycles'",
        ),
    ],
)
def test_costs_that_cannot_be(tmp_path: Path, target: str, old: str, new: str, expected: str) -> None:
    text = (chips.folder() / f"{target}.toml").read_text()
    assert text.count(old) == 1
    path = tmp_path / "mine.toml"
    path.write_text(text.replace(old, new))
    with pytest.raises(CompileError) as caught:
        chips.load(path)
    line = 1 + text[: text.index(old)].count("\n")
    assert str(caught.value) == f"error[bad-chip-file]: {path}:{line}: {expected}"


def test_costs_are_all_there_and_not_below_nothing(tmp_path: Path) -> None:
    at = line_of("stretch = {")
    assert faults(tmp_path, "\nstretch = {", "\nstretches = {").splitlines() == [
        f"error[bad-chip-file]: mine.toml:{at}: device.costs.stretches: unknown key",
        "  = hint: did you mean stretch?",
        f"error[bad-chip-file]: mine.toml:{at - 1}: device.costs.stretch: is missing",
    ]
    value = SHIPPED.read_text().splitlines()[at - 1].split()[5].rstrip(",")
    said = faults(tmp_path, f"stretch = {{ value = {value}", "stretch = { value = -1")
    assert (
        said
        == f"error[bad-chip-file]: mine.toml:{at}: device.costs.stretch.value: must be a number of 0 or more, not -1"
    )
