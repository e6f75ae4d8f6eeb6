"""Tests of reading data files: what is accepted, every message, and damaged files."""

from __future__ import annotations

import contextlib
import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snncc import data
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
    assert read.lengths.tolist() == [7, 7]


def test_limit_takes_the_first_samples(tmp_path: Path) -> None:
    read = data.load(saved(tmp_path, x=np.arange(12.0).reshape(3, 4), y=[5, 6, 7]), (4,), 1, limit=2)
    assert read.x.shape == (2, 4)
    assert read.y is not None
    assert read.y.tolist() == [5, 6]


def test_all_faults_are_reported_at_once(tmp_path: Path) -> None:
    x = np.ones((2, 3, 4))
    x[0, 0, 0], x[1, 1, 1] = np.nan, np.inf
    assert message(saved(tmp_path, x=x, y=[0.5, 1.0], lengths=[0, 9])) == (
        "error[bad-data]: data.npz: x holds 2 values that are not finite\n"
        "error[bad-data]: data.npz: y has shape (2,) and dtype float64; it must be (2,) whole numbers\n"
        "error[bad-data]: data.npz: lengths must lie in 1..3; found 0..9"
    )


def test_a_wrong_shape_says_what_is_needed(tmp_path: Path) -> None:
    assert message(saved(tmp_path, x=np.ones((2, 3, 5)))) == (
        "error[bad-data]: data.npz: x has shape (2, 3, 5); this network needs (samples, 4) or (samples, steps, 4)\n"
        "  = hint: reshape x; `snncc check` shows the network's input"
    )


def test_static_input_without_steps_asks_for_them(tmp_path: Path) -> None:
    assert message(saved(tmp_path, x=np.ones((2, 4))), steps=None) == (
        "error[bad-data]: data.npz: x is static, and the number of steps is not known\n  = hint: give --steps N"
    )


def test_a_file_without_x_lists_what_it_holds(tmp_path: Path) -> None:
    assert message(saved(tmp_path, y=[1])) == (
        "error[bad-data]: data.npz: has no array x (it holds y)\n  = hint: x is (samples, steps, *shape)"
    )


def test_a_missing_file() -> None:
    assert message(Path("nowhere/data.npz")).startswith(
        "error[bad-data]: data.npz: cannot be read: No such file or directory"
    )


def test_pickled_arrays_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    np.savez(path, x=np.array([{}], dtype=object))
    assert "is not an .npz file of plain arrays" in message(path)


def test_a_header_that_promises_more_than_the_file_holds_allocates_nothing(tmp_path: Path) -> None:
    content = io.BytesIO()
    np.lib.format.write_array_header_1_0(content, {"descr": "<f8", "fortran_order": False, "shape": (1 << 45, 4)})
    path = tmp_path / "data.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", content.getvalue())
    assert "is not an .npz file of plain arrays" in message(path)


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


def test_a_place_that_cannot_be_written_is_a_compile_error(tmp_path: Path) -> None:
    with pytest.raises(CompileError, match=r"cannot-write.*No such file or directory"):
        data.replace_file(tmp_path / "nowhere" / "t.npz", b"")
