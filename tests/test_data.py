"""Tests of reading data files: what is accepted, every message, and damaged files."""

from __future__ import annotations

import contextlib
import io
import os
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snncc import data
from snncc.arrays import Array
from snncc.data import Data
from snncc.diagnostics import CompileError
from snncc.integers import Source
from snncc.runner import Trace


def saved(folder: Path, **arrays: Any) -> Path:
    path = folder / "data.npz"
    np.savez(path, **arrays)
    return path


def message(path: Path, shape: tuple[int, ...] = (4,), steps: int | None = 3) -> str:
    with pytest.raises(CompileError) as caught:
        data.load(path, shape, steps)
    return str(caught.value).replace(str(path), "data.npz")


def test_a_sequence_has_its_own_steps(tmp_path: Path) -> None:
    x = np.arange(24.0).reshape(2, 3, 4)
    read = data.load(saved(tmp_path, x=x, y=[0, 1], lengths=[3, 2]), (4,), None)
    assert read.steps == 3
    assert read.lengths.tolist() == [3, 2]
    assert read.y is not None
    assert read.y.tolist() == [0, 1]


def test_static_input_takes_the_given_steps(tmp_path: Path) -> None:
    read = data.load(saved(tmp_path, x=np.ones((2, 4))), (4,), 7)
    assert read.reward is None
    assert read.lengths.tolist() == [7, 7]


def test_limit_takes_the_first_samples(tmp_path: Path) -> None:
    read = data.load(saved(tmp_path, x=np.arange(12.0).reshape(3, 4), y=[5, 6, 7]), (4,), 1, limit=2)
    assert read.x.shape == (2, 4)
    assert read.y is not None
    assert read.y.tolist() == [5, 6]


WRITE_IT = "write it with numpy.savez(FILE, x=..., y=...)"


def test_all_faults_of_values_are_reported_at_once(tmp_path: Path) -> None:
    x = np.ones((2, 3, 4))
    x[0, 2, 1], x[1, 1, 1] = np.nan, np.inf
    assert message(saved(tmp_path, x=x, y=[0, -1], lengths=[-1, 9])) == (
        "error[bad-data]: data.npz: x holds 2 values that are not finite, the first at [0, 2, 1]\n"
        "  = hint: clean or leave out those samples\n"
        "error[bad-data]: data.npz: lengths must lie in 1..3; found -1..9\n"
        "  = hint: they count the steps of each sample that are real\n"
        "error[bad-data]: data.npz: y holds the class -1\n"
        "  = hint: classes count from 0"
    )


def test_all_faults_of_form_are_reported_at_once(tmp_path: Path) -> None:
    x = np.ones((2, 3, 5), complex)
    assert message(saved(tmp_path, x=x, y=[0.5, 1.0], lengths=[[1]])) == (
        "error[bad-data]: data.npz: x has shape (2, 3, 5); this network needs (samples, 4) or (samples, steps, 4)\n"
        "  = hint: reshape x; `snncc check` shows the network's input\n"
        "error[bad-data]: data.npz: x has dtype complex128; it must be of numbers\n"
        f"  = hint: convert it: {WRITE_IT}\n"
        "error[bad-data]: data.npz: y has shape (2,) and dtype float64; it must be (2,) whole numbers\n"
        "  = hint: it is the class of each sample\n"
        "error[bad-data]: data.npz: lengths has shape (1, 1) and dtype int64; it must be (2,) whole numbers\n"
        "  = hint: it is the number of steps of each sample"
    )


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((0, 3, 4), "x holds no sample\n  = hint: it needs one at least"),
        ((0, 4), "x holds no sample\n  = hint: it needs one at least"),
        ((2, 0, 4), "x holds no time step\n  = hint: it needs one at least"),
        (
            (),
            "x has shape (); this network needs (samples, 4) or (samples, steps, 4)\n"
            "  = hint: reshape x; `snncc check` shows the network's input",
        ),
    ],
)
def test_empty_data_are_refused(tmp_path: Path, shape: tuple[int, ...], expected: str) -> None:
    assert message(saved(tmp_path, x=np.ones(shape))) == f"error[bad-data]: data.npz: {expected}"


def test_static_input_without_steps_asks_for_them(tmp_path: Path) -> None:
    assert message(saved(tmp_path, x=np.ones((2, 4))), steps=None) == (
        "error[bad-data]: data.npz: x is static, and the number of steps is not known\n  = hint: give --steps N"
    )


def test_a_file_without_x_lists_what_it_holds(tmp_path: Path) -> None:
    assert message(saved(tmp_path, y=[1], images=np.ones(3))) == (
        "error[bad-data]: data.npz: has no array x (it holds images, y)\n"
        f"  = hint: x is (samples, steps, *shape): {WRITE_IT}"
    )


def test_pickled_arrays_are_not_unpickled(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    np.savez(path, x=np.array([{}], dtype=object), y=np.array([None]))
    assert message(path) == (
        "error[bad-data]: data.npz: x has shape (1,); this network needs (samples, 4) or (samples, steps, 4)\n"
        "  = hint: reshape x; `snncc check` shows the network's input\n"
        f"error[bad-data]: data.npz: x has dtype object; it must be of numbers\n  = hint: convert it: {WRITE_IT}\n"
        "error[bad-data]: data.npz: y has shape (1,) and dtype object; it must be (1,) whole numbers\n"
        "  = hint: it is the class of each sample"
    )


def unreadable(path: Path) -> None:
    raise PermissionError(13, "Permission denied")


def test_what_is_no_file_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = "error[bad-data]: data.npz: cannot be read: "
    path = tmp_path / "data.npz"
    assert message(path) == f"{said}No such file or directory"
    path.symlink_to(path)
    assert message(path) == f"{said}Too many levels of symbolic links"
    path.unlink()
    path.mkdir()
    assert message(path) == f"{said}it is a folder"
    path.rmdir()
    os.mkfifo(path)
    assert message(path) == f"{said}it is not a regular file"
    path.unlink()
    saved(tmp_path, x=np.ones((2, 4)))
    monkeypatch.setattr(Path, "open", lambda path, mode: unreadable(path))
    assert message(path) == f"{said}Permission denied"


@pytest.mark.parametrize("content", [b"", b"PK", b"not a zip file", b"\x93NUMPY\x01\x00"])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "data.npz"
    path.write_bytes(content)
    assert message(path) == (
        f"error[bad-data]: data.npz: is not an .npz file, or only a part of one\n  = hint: {WRITE_IT}"
    )


def member(shape: tuple[int, ...], values: bytes, descr: str = "<f4") -> bytes:
    content = io.BytesIO()
    np.lib.format.write_array_header_1_0(content, {"descr": descr, "fortran_order": False, "shape": shape})
    return content.getvalue() + values


def zipped(folder: Path, **members: bytes) -> Path:
    path = folder / "data.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return path


def test_a_header_that_promises_more_than_the_file_holds_allocates_nothing(tmp_path: Path) -> None:
    assert message(zipped(tmp_path, x=member((1 << 45, 4), b""), y=b"\x93NUMPY\x01\x00\x02\x00{}")) == (
        "error[bad-data]: data.npz: x is damaged: it promises 562,949,953,421,312 bytes, and holds 0\n"
        f"  = hint: {WRITE_IT}\n"
        "error[bad-data]: data.npz: y is damaged: Header does not contain the correct keys: []\n"
        f"  = hint: {WRITE_IT}"
    )


def test_zeros_that_unpack_to_too_much_are_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = zipped(tmp_path, x=member((1 << 20, 4), bytes(1 << 24)))
    assert path.stat().st_size < 1 << 17
    monkeypatch.setattr(data, "memory", lambda: 1 << 23)
    tracemalloc.start()
    try:
        said = message(path)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
    assert said == (
        "error[bad-data]: data.npz: x.npy takes 0.0 GiB: more than this machine has\n"
        "  = hint: take fewer samples with --limit, or cut the file into parts"
    )
    assert data.load(path, (4,), 1, limit=1000).x.shape == (1000, 4)


def test_zeros_of_another_shape_are_not_unpacked(tmp_path: Path) -> None:
    path = zipped(tmp_path, x=member((1 << 20, 5), bytes(5 << 22)))
    tracemalloc.start()
    try:
        assert "x has shape (1048576, 5)" in message(path)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_arrays_by_columns_and_of_other_byte_orders_are_read(tmp_path: Path) -> None:
    x = np.arange(24, dtype=">i2").reshape(2, 3, 4)
    for limit in (None, 1):
        read = data.load(saved(tmp_path, x=np.asfortranarray(x)), (4,), None, limit)
        assert read.x.tolist() == x.tolist()[:limit]


def test_damaged_files_read_or_are_compile_errors(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    np.savez_compressed(path, x=np.ones((2, 3, 4)), y=[0, 1])
    good = path.read_bytes()
    random = np.random.default_rng(0)
    for _ in range(300):
        damaged = bytearray(good[: random.integers(1, len(good) + 1)])
        for place in random.integers(0, len(damaged), 3):
            damaged[place] = random.integers(256)
        path.write_bytes(damaged)
        with contextlib.suppress(CompileError):
            data.load(path, (4,), 3)


def test_inputs_are_rounded_half_to_even_and_saturated() -> None:
    source = Source((6,), bits=4, signed=True, scale=0.5)
    x = np.array([[0.25, 0.75, -0.25, 3.5, 99.0, -99.0]])
    assert data.to_integers(source, x).tolist() == [[0, 2, 0, 7, 7, -7]]


def test_inputs_beyond_every_number_are_saturated() -> None:
    source = Source((2,), bits=4, signed=True, scale=1e-300)
    assert data.to_integers(source, np.array([[1e300, -1e300]])).tolist() == [[7, -7]]


def test_parts_cover_the_data_in_order() -> None:
    whole = Data(np.arange(10)[:, None], np.full(10, 1 << 10))
    cut = list(data.parts(whole, values_per_step=1 << 12))
    assert [len(each.x) for each in cut] == [2] * 5
    assert np.concatenate([each.x for each in cut]).tolist() == whole.x.tolist()


def test_a_trace_is_saved_under_the_documented_names(tmp_path: Path) -> None:
    value = np.arange(6).reshape(1, 2, 3)
    data.save_trace(tmp_path / "t.npz", Trace({"y": value}, {"p": value + 1}, {"p": value + 2}))
    with np.load(tmp_path / "t.npz") as read:
        assert {name: int(read[name][0, 0, 0]) for name in read.files} == {"out/y": 0, "spikes/p": 1, "v/p": 2}
    assert [each.name for each in tmp_path.iterdir()] == ["t.npz"]


@pytest.mark.parametrize("static", [False, True])
def test_rewards_are_of_samples_or_of_steps(static: bool, tmp_path: Path) -> None:
    x, each = np.ones((2, 4) if static else (2, 3, 4)), np.array([[1, 2, 3], [0, -1, 0]], np.int8)
    found = data.load(saved(tmp_path, x=x, reward=each), (4,), 3).part(1, 2).reward
    assert found is not None
    assert (found.dtype, found.tolist()) == (np.int64, [[0, -1, 0]])
    found = data.load(saved(tmp_path, x=x, reward=[5, -7]), (4,), 3, limit=1).reward
    assert found is not None
    assert found.tolist() == [[5, 5, 5]]


@pytest.mark.parametrize(
    ("reward", "expected"),
    [
        (
            np.ones((2, 4), np.int64),
            "reward has shape (2, 4) and dtype int64; it must be (2,) or (2, 3) whole numbers\n"
            "  = hint: it is the reward of each sample, or of each of its steps",
        ),
        (
            np.ones(2),
            "reward has shape (2,) and dtype float64; it must be (2,) or (2, 3) whole numbers\n"
            "  = hint: it is the reward of each sample, or of each of its steps",
        ),
        (
            np.array([0, 1 << 63], np.uint64),
            "reward lies in 0..9,223,372,036,854,775,808; no rule takes more than 65,535\n  = hint: scale it",
        ),
    ],
)
def test_rewards_that_cannot_be_are_said(reward: Array, expected: str, tmp_path: Path) -> None:
    path = saved(tmp_path, x=np.ones((2, 3, 4)), reward=reward)
    with pytest.raises(CompileError) as caught:
        data.load(path, (4,), None)
    assert str(caught.value) == f"error[bad-data]: {path}: {expected}"
