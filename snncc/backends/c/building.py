"""Builds C programs in temporary folders, with the compiler that a chip names, and keeps them while they are used."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import tempfile
import weakref
from collections.abc import Sequence
from pathlib import Path

from snncc.backends.c.exchange import AGAIN
from snncc.chip import Chip
from snncc.diagnostics import CompileError, fault
from snncc.files import content, reason

Files = tuple[tuple[str, bytes], ...]
_BUILD_LIMIT = 1800.0  # seconds
_HOST = "apt-get install gcc, or brew install gcc; or name another under [compiler] in a target file of your own"


class Build:
    """A folder of files with what was built from them, as long as this object lives; `said` is why that failed."""

    def __init__(self, command: str, arguments: Sequence[str], files: Files) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="snncc-c-"))
        weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        for name, code in files:
            (self.folder / name).parent.mkdir(exist_ok=True)
            (self.folder / name).write_bytes(code)
        line = [command, *arguments]
        try:
            # S603: the compiler that the chip's file names, on code of our own, without a shell
            done = subprocess.run(line, cwd=self.folder, capture_output=True, timeout=_BUILD_LIMIT, check=False)  # noqa: S603
        except subprocess.TimeoutExpired:
            self.said = f"it was stopped after {_BUILD_LIMIT:,.0f} seconds"
            return
        self.said = done.stderr.decode(errors="replace").strip()[-2000:] or "no reason" if done.returncode else ""


@functools.lru_cache(maxsize=8)
def built(command: str, arguments: tuple[str, ...], files: Files) -> Build:
    """Builds are kept, as `simulate` and `verify` run the same program batch after batch."""
    return Build(command, arguments, files)


def compiled(chip: Chip, arguments: tuple[str, ...], files: Files) -> Build:
    """The files, built with the chip's compiler and its flags, and `arguments` after them.

    Raises CompileError: `no-compiler`, `compiler-failed`.
    """
    command, flags = compiler_of(chip)
    build = built(command, (*flags, *arguments), files)
    if build.said:
        raise fault(
            "compiler-failed",
            chip.name,
            f"{command} {' '.join(flags)} cannot build the program: {build.said}",
            "see [compiler] in the target's file; if the compiler and its flags are fine, please report this",
        )
    return build


def compiler_of(chip: Chip) -> tuple[str, tuple[str, ...]]:
    """The path and the flags of the chip's compiler; raises CompileError (`no-compiler`)."""
    compiler = chip.compiler
    command = shutil.which(compiler.command) if compiler else None
    if compiler is None or command is None:
        wanted = f"the C compiler {compiler.command!r}, which is not installed" if compiler else "a C compiler"
        hint = compiler.install if compiler and compiler.install else _HOST
        raise fault("no-compiler", chip.name, f"running this artefact needs {wanted}", hint)
    return command, compiler.flags


@functools.lru_cache(maxsize=8)
def version_of(command: str) -> str | None:
    """The first line of what a compiler says of its version; None if it is not installed, or says none."""
    path = shutil.which(command)
    if path is None:
        return None
    try:
        # S603: as in `Build`
        done = subprocess.run([path, "--version"], capture_output=True, timeout=60, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return None
    return next(iter(done.stdout.decode(errors="replace").splitlines()), None)


def content_of(folder: Path, name: str) -> bytes:
    """A file of an artefact; raises CompileError (`damaged-artefact`)."""
    try:
        return content(folder / name)
    except OSError as error:
        raise fault("damaged-artefact", name, f"cannot be read: {reason(error)}", AGAIN) from error


def no_room(error: OSError) -> CompileError:
    """What to say when a temporary file could not be written."""
    return fault("cannot-write", _scratch(), reason(error), "set TMPDIR to a folder that has room")


def _scratch() -> str:
    """The folder for temporary files, or what it would be if there were one."""
    try:
        return tempfile.gettempdir()
    except OSError:
        return os.environ.get("TMPDIR", "temporary files")
