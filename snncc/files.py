"""Files and folders that users name: what is there, and how to write a file or a folder whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Literal

from snncc.diagnostics import CompileError, fault

Kind = Literal["file", "folder", "nothing", "something else"]


def kind(path: Path) -> Kind:
    """What is at a path, links followed; what cannot be looked at counts as nothing."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):  # ValueError: a name with a zero byte in it
        return "nothing"
    return "file" if stat.S_ISREG(mode) else "folder" if stat.S_ISDIR(mode) else "something else"


def opened(path: Path) -> BinaryIO:
    """A regular file, to read; raises OSError for anything else: a device or a pipe may never end."""
    try:
        mode = path.stat().st_mode
    except ValueError as error:
        raise OSError(errno.EINVAL, str(error)) from error
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "it is a folder" if stat.S_ISDIR(mode) else "it is not a regular file")
    return path.open("rb")


def content(path: Path) -> bytes:
    """What a regular file holds; raises OSError as `opened` does."""
    with opened(path) as file:
        return file.read()


def reason(error: Exception) -> str:
    """What the system says about a failure, without the path."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def place_for_file(path: Path) -> None:
    """Raise CompileError (`cannot-write`) if a file could not be put there, before the work for it is done."""
    if kind(path) == "folder":
        raise cannot_write(path, "it is a folder", "give the name of a file")
    if kind(path.absolute().parent) != "folder":
        raise cannot_write(path, f"there is no folder {path.absolute().parent}", "make that folder first")


def place_for_folder(path: Path, mark: str) -> None:
    """Raise CompileError unless a folder may be put there: nothing, an empty folder, or one that holds a file `mark`.

    `output-exists` for what may not be overwritten, `cannot-write` for a place that no folder can take.
    """
    there = kind(path)
    try:
        if there != "nothing" and path.resolve() == Path.cwd():
            raise cannot_write(path, "it is the working folder", "name a folder inside it: -o build/NAME")
        taken = there not in ("nothing", "folder") or (there == "folder" and any(path.iterdir()))
    except OSError as error:
        raise cannot_write(path, reason(error)) from error
    if taken and kind(path / mark) != "file":
        message = "is there already and is no snncc artefact"
        raise fault("output-exists", str(path), message, "choose another folder, or empty it first")


def cannot_write(path: Path, why: str, hint: str = "") -> CompileError:
    return fault("cannot-write", str(path), why, hint)


def make_folder(path: Path) -> None:
    """Make a folder if it is not there; raises CompileError (`cannot-write`)."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(path, reason(error)) from error


def replace_file(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, and onto the disk: a loss of power leaves the new file, or the older one.

    Raises CompileError (`cannot-write`).
    """
    place_for_file(path)
    try:
        handle, name = tempfile.mkstemp(dir=path.absolute().parent, prefix=f".{path.name[:32]}-")
        scratch = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())  # else the new name could reach the disk before the content does
            scratch.chmod(0o666 & ~_umask())
            scratch.replace(path)
            _sync_names(path.absolute().parent)
        finally:
            scratch.unlink(missing_ok=True)
    except OSError as error:
        raise cannot_write(path, reason(error)) from error


def _sync_names(folder: Path) -> None:
    """Have the names of a folder's files written to the disk.

    Not every system can (Windows opens no folders, some network drives refuse): there the older file may come back.
    """
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _umask() -> int:
    """What newly made files are not allowed; it can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def replace_folder(path: Path, files: Mapping[str, bytes], mark: str) -> None:
    """Write a folder of files by one rename; an older one at that place is replaced if it holds a file `mark`.

    Raises CompileError: as `place_for_folder`, and `cannot-write` with nothing changed.
    """
    place_for_folder(path, mark)
    parent = path.absolute().parent
    try:
        parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{path.name[:32]}-", dir=parent))
        try:
            _fill(scratch / "new", files)
            _swap(scratch / "new", path, scratch / "old")
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    except OSError as error:
        raise cannot_write(path, reason(error)) from error


def _fill(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _swap(fresh: Path, path: Path, old: Path) -> None:
    """Put a folder in another's place; the old one comes back if that fails."""
    if kind(path) == "nothing":
        fresh.rename(path)
        return
    path.rename(old)
    try:
        fresh.rename(path)
    except OSError:
        with suppress(OSError):
            old.rename(path)
        raise
