"""Reading records from TOML: each kind of field, each way to get it wrong, and the line that is named."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from snncc import records
from snncc.diagnostics import CompileError
from snncc.records import Count, Range, Steps

NONE = Count(0)


@dataclass(frozen=True)
class Inner:
    cost: float
    count: int = 3
    times: Count = NONE


@dataclass(frozen=True)
class Outer:
    name: str
    kind: Literal["plain", "fancy"]
    tags: tuple[Literal["red", "blue"], ...]
    span: Range
    table: Steps
    inner: Inner
    deeper: Inner | None = None


GOOD = """name = "one"
kind = "plain"
tags = ["red"]
span = [1, 4]
table = [[0, 5], [2, 7]]
[inner]
cost = 2
[deeper]
cost = 0.5
count = 4
"""


def faults(folder: Path, text: str) -> list[str]:
    path = folder / "x.toml"
    path.write_text(text, encoding="utf-8")
    data, reader = records.load(path, "x.toml", "bad-file")
    return [str(each).replace("\n  = hint: ", " | ") for each in reader.faults(Outer, data)]


def test_a_good_file(tmp_path: Path) -> None:
    assert faults(tmp_path, GOOD) == []
    data, _ = records.load(tmp_path / "x.toml", "x.toml", "bad-file")
    built = records.build(Outer, data)
    assert built == Outer("one", "plain", ("red",), (1, 4), ((0, 5), (2, 7)), Inner(2.0), Inner(0.5, 4))
    assert isinstance(built.inner.cost, float)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("cost = 2", "cots = 2", "x.toml:7: inner.cots: unknown key | did you mean cost?"),
        ("cost = 2", "cost = -2", "x.toml:7: inner.cost: must be a number of 0 or more, not -2"),
        ("cost = 2", "cost = inf", "x.toml:7: inner.cost: must be a number of 0 or more, not inf"),
        ("count = 4", "count = 65", "x.toml:10: deeper.count: must be a whole number from 1 to 64, not 65"),
        (
            "count = 4",
            "times = 1048577",
            "x.toml:10: deeper.times: must be a whole number from 0 to 1,048,576, not 1048577",
        ),
        ("[1, 4]", "[4, 1]", "x.toml:4: span: must be [lowest, highest] with 0 <= lowest <= highest, not [4, 1]"),
        (
            "[2, 7]",
            "[0, 7]",
            "x.toml:5: table: must be a list of pairs of whole numbers, the first of each pair rising, "
            "not [[0, 5], [0, 7]]",
        ),
        ('["red"]', '["rad"]', "x.toml:3: tags: does not know 'rad' | did you mean red?"),
        ('"plain"', "1", "x.toml:2: kind: must be a string, not 1"),
        (
            "[inner]\ncost = 2\n",
            "inner = 2\n",
            "x.toml:6: inner: must be a table, not 2 | its keys: cost, count, times",
        ),
    ],
)
def test_each_fault_has_its_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    found = faults(tmp_path, GOOD.replace(old, new, 1))
    assert f"error[bad-file]: {message}" in found


def test_a_missing_key_is_at_the_line_of_its_table(tmp_path: Path) -> None:
    assert faults(tmp_path, GOOD.replace("cost = 2\n", "")) == ["error[bad-file]: x.toml:6: inner.cost: is missing"]


def test_a_fault_within_a_value_in_one_line(tmp_path: Path) -> None:
    text = GOOD.replace("[inner]\ncost = 2\n", "inner = { cost = 'no' }\n")
    assert faults(tmp_path, text) == ["error[bad-file]: x.toml:6: inner.cost: must be a number of 0 or more, not 'no'"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = " + "9" * 5000, "has a whole number of more than 64 bits"),
        ("a = [[0x" + "f" * 5000 + "]]", "has a whole number of more than 64 bits"),
        ("a = " + "[" * 5000, "has tables or lists that lie too deep in others"),
        ("a = " + "[" * 50 + "]" * 50, "has tables or lists that lie too deep in others"),
        ("a." * 5000 + "a = 1", "has tables or lists that lie too deep in others"),
        ("#" * 40_000, "has 40,000 characters; up to 32,768 are read"),
    ],
)
def test_what_no_record_holds_is_refused(text: str, message: str) -> None:
    with pytest.raises(CompileError) as caught:
        records.parse(text, "x.toml", "bad-file")
    assert str(caught.value) == f"error[bad-file]: x.toml: {message}"


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.toml")
    with pytest.raises(CompileError) as caught:
        records.load(tmp_path / "x.toml", "x.toml", "bad-file")
    assert str(caught.value) == "error[bad-file]: x.toml: cannot be read: it is not a regular file"


@pytest.mark.parametrize(
    ("content", "message"), [(b"\xff", "cannot be read: it is not UTF-8 text"), (b"a = ", "is not TOML: ")]
)
def test_what_is_no_toml(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "x.toml").write_bytes(content)
    with pytest.raises(CompileError, match=message):
        records.load(tmp_path / "x.toml", "x.toml", "bad-file")
