"""Chip files: what a good one gives, and the exact words for each way to get one wrong."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from snncc import chip
from snncc.diagnostics import CompileError

HOST = (chip.folder() / "host.toml").read_text(encoding="utf-8")


def faults(folder: Path, text: str) -> list[str]:
    """What loading a file with this text says, without the file's path."""
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(CompileError) as caught:
        chip.load(path)
    return [str(each).replace(str(path), "mine.toml") for each in caught.value.diagnostics]


def test_the_host_is_known_and_complete() -> None:
    host = chip.load("host")
    assert "host" in chip.known()
    assert (host.name, host.backend, host.weight.bits) == ("host", "c", 8)
    assert host.membrane.decay_bits == (4, 15)
    assert "convolution" in host.capabilities
    assert host.compiler is not None
    assert host.compiler.command == "cc"


def test_every_shipped_file_loads() -> None:
    assert all(chip.load(name).name == name for name in chip.known())


def test_a_path_loads_like_a_name(tmp_path: Path) -> None:
    path = tmp_path / "copy.toml"
    path.write_text(HOST, encoding="utf-8")
    assert chip.load(path) == chip.load(str(path)) == chip.load("host")


def test_the_compiler_is_optional(tmp_path: Path) -> None:
    path = tmp_path / "copy.toml"
    path.write_text(HOST[: HOST.index("[compiler]")], encoding="utf-8")
    assert chip.load(path).compiler is None


def test_an_unknown_name() -> None:
    with pytest.raises(CompileError) as caught:
        chip.load("hots")
    known = ", ".join(chip.known())
    assert str(caught.value) == (
        "error[unknown-target]: hots: there is no such target\n"
        f"  = hint: did you mean host? known: {known}; or give the path of a .toml file"
    )


def test_a_name_like_no_other() -> None:
    with pytest.raises(CompileError) as caught:
        chip.load("../../etc/passwd")
    assert caught.value.diagnostics[0].hint.startswith("known: ")


def test_a_missing_file() -> None:
    with pytest.raises(CompileError, match=r"nowhere\.toml: cannot be read: No such file or directory"):
        chip.load("nowhere.toml")


def test_a_file_that_is_not_text(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CompileError, match="cannot be read: it is not UTF-8 text"):
        chip.load(path)


def test_a_file_that_is_not_toml(tmp_path: Path) -> None:
    (found,) = faults(tmp_path, "name = = 3")
    assert found.startswith("error[bad-chip-file]: mine.toml: is not TOML: ")


def line_of(text: str) -> int:
    return next(number for number, line in enumerate(HOST.splitlines(), 1) if line.startswith(text))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "bits = 8            # the widest; --weight-bits chooses fewer",
            "bits = 0",
            f":{line_of('bits = 8 ')}: weight.bits: must be a whole number from 1 to 64, not 0",
        ),
        ("signed = true", "signed = 1", f":{line_of('signed')}: input.signed: must be true or false, not 1"),
        (
            "signed = true",
            "signd = true",
            f":{line_of('signed')}: input.signd: unknown key\n  = hint: did you mean signed?",
        ),
        (
            "steps = [0, 255]",
            "steps = [5, 2]",
            f":{line_of('steps')}: delay.steps: must be [lowest, highest] with 0 <= lowest <= highest, not [5, 2]",
        ),
        (
            "steps = [0, 255]",
            "steps = [0, true]",
            f":{line_of('steps')}: delay.steps: must be [lowest, highest] with 0 <= lowest <= highest, not [0, True]",
        ),
        ('backend = "c"', "backend = 3", f":{line_of('backend')}: backend: must be a string, not 3"),
        (
            'rounding = "nearest"\noverflow = "saturate"\n\n[membrane]',
            'rounding = "neerest"\noverflow = "saturate"\n\n[membrane]',
            f":{line_of('rounding')}: current.rounding: does not know 'neerest'\n  = hint: did you mean nearest?",
        ),
        (
            'rounding = "nearest"\noverflow = "saturate"\n\n[membrane]',
            'rounding = ["floor"]\noverflow = "saturate"\n\n[membrane]',
            f":{line_of('rounding')}: current.rounding: must be a string, not ['floor']",
        ),
        (
            '"convolution", ',
            '"convolutions", ',
            f":{line_of('capabilities')}: capabilities: does not know 'convolutions'\n"
            "  = hint: did you mean convolution?",
        ),
        (
            "flags = [",
            'flags = "-O3"\nmore = [',
            f":{line_of('flags')}: compiler.flags: must be a list of strings, not '-O3'",
        ),
        (
            "bits = 32\ninput_shift",
            "bits = 60\ninput_shift",
            f":{line_of('bits = 32')}: accumulator.bits: must be at most 53: the reference adds up in float64, exactly",
        ),
    ],
)
def test_one_wrong_value(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in HOST
    found = faults(tmp_path, HOST.replace(old, new, 1))
    assert f"error[bad-chip-file]: mine.toml{said}" in found


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[input]\nbits = 8", "[input]\nbits = 63", "input.bits: must be at most 32"),
        ("exponent = [0, 15]", "exponent = [0, 999]", "weight.exponent: must be at most 32"),
        ("input_shift = [0, 12]", "input_shift = [0, 33]", "accumulator.input_shift: must be at most 32"),
        ("steps = [0, 255]", "steps = [0, 1000000]", "delay.steps: must be at most 65536"),
        (
            "product_bits = 32",
            "product_bits = 63",
            "current.product_bits: must be at most 62: the reference multiplies in int64",
        ),
    ],
)
def test_limits_beyond_the_reference_s_own(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in HOST
    (found,) = faults(tmp_path, HOST.replace(old, new, 1))
    assert found.partition(": ")[2].partition(": ")[2] == said


def test_a_product_too_narrow_for_its_factors(tmp_path: Path) -> None:
    text = HOST.replace("product_bits = 32", "product_bits = 20")
    assert faults(tmp_path, text) == [
        f"error[bad-chip-file]: mine.toml:{line_of('product_bits')}: current.product_bits: must be at least 28: "
        "a state of 24 bits times a decay of 4",
        f"error[bad-chip-file]: mine.toml:{line_of('product_bits') + 7}: membrane.product_bits: must be at least 28: "
        "a state of 24 bits times a decay of 4",
    ]


def test_everything_is_said_at_once(tmp_path: Path) -> None:
    found = faults(tmp_path, 'name = "x"\nweight = 3\nspeed = 9\n[input]\nbits = 1\n')
    assert found == [
        "error[bad-chip-file]: mine.toml:3: speed: unknown key\n"
        f"  = hint: known here: {', '.join(each.name for each in dataclasses.fields(chip.Chip))}",
        "error[bad-chip-file]: mine.toml: description: is missing",
        "error[bad-chip-file]: mine.toml: backend: is missing",
        "error[bad-chip-file]: mine.toml: capabilities: is missing",
        "error[bad-chip-file]: mine.toml:2: weight: must be a table, not 3\n"
        "  = hint: its keys: bits, exponent, sign_modes",
        "error[bad-chip-file]: mine.toml:4: input.signed: is missing",
        "error[bad-chip-file]: mine.toml: delay: is missing",
        "error[bad-chip-file]: mine.toml: accumulator: is missing",
        "error[bad-chip-file]: mine.toml: current: is missing",
        "error[bad-chip-file]: mine.toml: membrane: is missing",
    ]


TINYODIN = (chip.folder() / "tinyodin.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("rows = { value = 256,", "rows = { value = 2.5,", "crossbar.rows.value: must be a whole number, not 2.5"),
        ("rows = { value = 256,", "rows = { value = 0,", "crossbar.rows.value: must be at least 1"),
        ("clock_mhz = { value = 75,", "clock_mhz = { value = 0,", "crossbar.clock_mhz.value: must be more than 0"),
        (
            "gap = { value = 1, assumed = true }",
            "gap = { value = 1 }",
            "crossbar.gap: has no source\n  = hint: give its source, or assumed = true",
        ),
        ("queue = {", "queues = {", "crossbar.queues: unknown key\n  = hint: did you mean queue?"),
    ],
)
def test_a_crossbar_that_cannot_be(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in TINYODIN
    found = faults(tmp_path, TINYODIN.replace(old, new))
    assert said in [each.split(": ", 2)[2] for each in found]
