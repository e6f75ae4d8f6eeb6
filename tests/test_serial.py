"""Tests of how networks and chips are written and read back, and of what damaged files lead to."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import numpy as np
import pytest

from snncc import chip
from snncc.diagnostics import CompileError
from snncc.graph import op_text
from snncc.integers import (
    Adapt,
    Current,
    Decay,
    Fire,
    HardReset,
    IntOp,
    Membrane,
    Output,
    Population,
    Register,
    SoftReset,
    Source,
    Synapse,
)
from snncc.linear import Conv, Dense, Sparse
from snncc.serial import Reader, Writer

REGISTER = Register(-100, 100, "wrap")
DECAY = Decay(np.array(5), 8, "floor")
OPS: list[Any] = [
    Source((3, 4), 8, True, 0.1),
    Output("membrane", "before", "max", 3),
    Synapse(Dense(np.arange(-6, 6, dtype=np.int8).reshape(3, 4)), 2),
    Synapse(Conv(np.ones((4, 1, 3, 3), np.int16), (2, 8, 8), (2, 1), (1, 1, 0, 0), (1, 2), 2)),
    Synapse(Sparse(np.array([0, 1, 3]), np.array([2, 0, 1]), np.array([1, 2, 3], np.int8), 5), 0, np.array([0, 7])),
    Population((3,), Membrane(DECAY, REGISTER, np.array([1, 2, 3])), Fire(np.array(3), True), HardReset(np.array(-1))),
    Population(
        (2, 1, 2),
        Membrane(DECAY, REGISTER, minimum=np.array(-4), initial=np.array([[[1]], [[2]]])),
        Fire(np.array(3), False, 4),
        SoftReset(np.array(3), 1),
        Current(DECAY, REGISTER),
        Adapt(DECAY, REGISTER, np.array(2)),
        refractory=2,
        input_shift=3,
        start=1,
        scale=2.5,
    ),
]


def written(value: Any) -> tuple[Any, bytes]:
    writer = Writer()
    plain = json.loads(json.dumps(writer.plain(value)))
    return plain, bytes(writer.blob)


@pytest.mark.parametrize("op", OPS, ids=lambda op: type(op).__name__)
def test_an_op_reads_back_the_same(op: Any) -> None:
    plain, blob = written(op)
    assert op_text(Reader("f", blob).value(IntOp, plain, "op")) == op_text(op)


def test_a_chip_reads_back_equal() -> None:
    host = chip.load("host")
    plain, blob = written(host)
    assert Reader("f", blob).value(chip.Chip, plain, "chip") == host


def test_array_bytes_are_aligned_and_little_endian() -> None:
    writer = Writer()
    writer.plain(np.array([1], np.int8))
    where = writer.plain(np.array([258], np.int16))
    assert where == {"dtype": "int16", "shape": [1], "offset": 16}
    assert bytes(writer.blob[16:]) == b"\x02\x01"


def test_an_array_longer_than_the_bytes_is_refused() -> None:
    plain, blob = written(OPS[2])
    plain["map"]["weight"]["shape"] = [1 << 40, 1 << 40]
    with pytest.raises(CompileError, match=r"op.map.weight: .* does not belong there"):
        Reader("f", blob).value(IntOp, plain, "op")


def test_the_message_names_file_field_and_value() -> None:
    plain, blob = written(OPS[0])
    plain["bits"] = "eight"
    with pytest.raises(CompileError) as caught:
        Reader("network.json", blob).value(IntOp, plain, "x")
    assert str(caught.value) == (
        "error[damaged-artefact]: network.json: x.bits: 'eight' does not belong there\n"
        "  = hint: compile the model again"
    )


def mutations(plain: Any) -> list[Any]:
    """Every copy of a JSON value with one of its parts replaced by something that does not belong there."""
    strange: list[Any] = [None, -1, 1 << 70, 1.5, "x", [], {}, True, {"kind": "Nothing"}]
    found: list[Any] = list(strange)
    if isinstance(plain, dict):
        for key, value in plain.items():
            found += [{**plain, key: each} for each in mutations(value)]
            found.append({name: each for name, each in plain.items() if name != key})
    if isinstance(plain, list):
        for index, value in enumerate(plain):
            found += [[*plain[:index], each, *plain[index + 1 :]] for each in mutations(value)]
    return found


@pytest.mark.parametrize("op", OPS, ids=lambda op: type(op).__name__)
def test_whatever_is_damaged_reads_or_is_a_compile_error(op: Any) -> None:
    plain, blob = written(op)
    for damaged in mutations(plain):
        with contextlib.suppress(CompileError):
            Reader("f", blob).value(IntOp, damaged, "op")
