"""Tests of writing files and folders whole or not at all, also where the disk fills up, and of unfit places."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from snncc import files
from snncc.diagnostics import CompileError

MARK = "mark"


def said(folder: Path, call: object, *arguments: object) -> str:
    assert callable(call)
    with pytest.raises(CompileError) as caught:
        call(*arguments)
    return str(caught.value).replace(str(folder), "DIR")


def test_what_is_at_a_path(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    found = {name: files.kind(tmp_path / name) for name in ("file", ".", "loop", "pipe", "none", "x" * 300, "a\0b")}
    assert list(found.values()) == ["file", "folder", "nothing", "something else", *["nothing"] * 3]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "none/t.npz",
            "error[cannot-write]: DIR/none/t.npz: there is no folder DIR/none\n  = hint: make that folder first",
        ),
        (".", "error[cannot-write]: DIR: it is a folder\n  = hint: give the name of a file"),
        ("x" * 300, f"error[cannot-write]: DIR/{'x' * 300}: File name too long"),
    ],
)
def test_places_for_no_file(tmp_path: Path, name: str, expected: str) -> None:
    assert said(tmp_path, files.replace_file, tmp_path / name, b"") == expected
    assert list(tmp_path.iterdir()) == []


def test_a_file_has_the_usual_permissions(tmp_path: Path) -> None:
    files.replace_file(tmp_path / "mine", b"a")
    (tmp_path / "usual").write_bytes(b"a")
    assert (tmp_path / "mine").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_a_file_is_on_the_disk_before_its_name_is_and_then_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a loss of power would find it: what was synced, and what the file of that name held by then."""
    path, replace, sync = tmp_path / "out", Path.replace, os.fsync
    path.write_bytes(b"old")
    done: list[tuple[str, bytes]] = []

    def synced(handle: int) -> None:
        sync(handle)
        what = "folder" if os.path.samestat(os.fstat(handle), tmp_path.stat()) else "file"
        if what == "file":
            assert os.fstat(handle).st_size == len(b"newer")
        done.append((what, path.read_bytes()))

    def replaced(scratch: Path, target: Path) -> Path:
        done.append(("name", path.read_bytes()))
        return replace(scratch, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", replaced)
    files.replace_file(path, b"newer")
    assert done == [("file", b"old"), ("name", b"old"), ("folder", b"newer")]


def test_a_file_is_written_where_folders_cannot_be_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sync = os.fsync

    def refusing(handle: int) -> None:
        if os.path.samestat(os.fstat(handle), tmp_path.stat()):
            raise OSError(22, "Invalid argument")
        sync(handle)

    monkeypatch.setattr(os, "fsync", refusing)
    files.replace_file(tmp_path / "out", b"new")
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("out", b"new")]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("file/out", "error[cannot-write]: DIR/file/out: File exists"),
        ("x" * 300, f"error[cannot-write]: DIR/{'x' * 300}: File name too long"),
        (
            "file",
            "error[output-exists]: DIR/file: is there already and is no snncc artefact\n"
            "  = hint: choose another folder, or empty it first",
        ),
    ],
)
def test_places_for_no_folder(tmp_path: Path, name: str, expected: str) -> None:
    (tmp_path / "file").write_bytes(b"mine")
    assert said(tmp_path, files.replace_folder, tmp_path / name, {MARK: b""}, MARK) == expected
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_the_working_folder_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert said(tmp_path, files.place_for_folder, Path(), MARK) == (
        "error[cannot-write]: .: it is the working folder\n  = hint: name a folder inside it: -o build/NAME"
    )


def test_an_older_folder_comes_back_if_the_new_one_cannot_take_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    files.replace_folder(out, {MARK: b"old"}, MARK)
    rename = Path.rename

    def refusing(path: Path, target: Path) -> Path:
        if path.name == "new":
            raise OSError(30, "Read-only file system")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refusing)
    expected = "error[cannot-write]: DIR/out: Read-only file system"
    assert said(tmp_path, files.replace_folder, out, {MARK: b"new"}, MARK) == expected
    assert (out / MARK).read_bytes() == b"old"
    assert [each.name for each in tmp_path.iterdir()] == ["out"]


FILLING = """
import resource, sys
from pathlib import Path
from snncc import files
from snncc.diagnostics import CompileError
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))
out = Path(sys.argv[1], "out")
try:
    if sys.argv[2] == "file":
        files.replace_file(out, bytes(1 << 20))
    else:
        files.replace_folder(out, {"mark": b"", "a/b": bytes(1 << 10), "c": bytes(1 << 20)}, "mark")
except CompileError as error:
    print(error)
"""


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_disk_that_fills_up_leaves_nothing_behind(tmp_path: Path, kind: str) -> None:
    """A limit on the size of files fails half-way through writing, as a full disk does."""
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
    arguments = [sys.executable, "-c", FILLING, str(tmp_path), kind]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert done.stdout == f"error[cannot-write]: {tmp_path}/out: File too large\n"
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_made_where_one_can_be(tmp_path: Path) -> None:
    files.make_folder(tmp_path / "a" / "b")
    files.make_folder(tmp_path / "a" / "b")
    assert files.kind(tmp_path / "a" / "b") == "folder"
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(CompileError) as caught:
        files.make_folder(tmp_path / "file")
    assert str(caught.value) == f"error[cannot-write]: {tmp_path / 'file'}: File exists"
