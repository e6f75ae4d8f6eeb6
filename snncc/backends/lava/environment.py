"""Makes the Python environment that Lava needs: Python 3.10 and lava-nc, built by uv on first use, kept in a cache.

Lava's last release runs on Python 3.10 alone, with numpy 1, so snncc runs it in another process. torch stays out of
that environment: Lava's convolutions would use it, in float32.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from snncc.backends.lava.supervise import Ended, supervise
from snncc.diagnostics import CompileError, fault

PYTHON = "3.10"
REQUIREMENTS = ("lava-nc==0.10.0",)
PYTHON_VARIABLE = "SNNCC_LAVA_PYTHON"
CACHE_VARIABLE = "SNNCC_CACHE"
_BUILD_LIMIT = 900.0  # seconds; some 70 MB are downloaded
_ASK_LIMIT = 30.0
_MARK = "built-by-snncc"

Notice = Callable[[str], None]


def silent(_: str) -> None:
    """Shows nothing; the text says what is going on."""


@dataclass(frozen=True)
class Environment:
    """A built environment: its interpreter."""

    python: Path


def environment(python: str | None = None, notice: Notice = silent) -> Environment:
    """The environment, built first if need be; `python` is the path of a Python 3.10 that the user asks for.

    One that has Lava already is used as it is: only such a one can have Lava's extension for Loihi.
    Python 3.10 is taken from the option, from the variable SNNCC_LAVA_PYTHON, from the path, from pyenv's folder, or
    downloaded by uv, in this order. Raises CompileError: `lava-environment`.
    """
    asked = python or os.environ.get(PYTHON_VARIABLE)
    if asked:
        wrong = _not_python(Path(asked))
        if wrong:
            where = "--lava-python" if python else PYTHON_VARIABLE
            raise fault("lava-environment", where, f"{asked} {wrong}", f"give the path of a Python {PYTHON}")
        if _runs(Path(asked), "import lava.magma.core"):
            return Environment(Path(asked))
    folder = cache() / f"lava-{_key(asked)}"
    interpreter = folder / "bin" / "python"
    if not ((folder / _MARK).exists() and interpreter.exists()):
        _build(folder, Path(asked) if asked else next(_interpreters(), None), notice)
    return Environment(interpreter)


def cache() -> Path:
    """Where environments are kept: $SNNCC_CACHE, else the user's cache folder."""
    own = os.environ.get(CACHE_VARIABLE)
    if own:
        return Path(own)
    shared = os.environ.get("XDG_CACHE_HOME")
    return Path(shared if shared else Path.home() / ".cache") / "snncc"


def _key(asked: str | None) -> str:
    """Environments differ in what they hold, and in the interpreter if the user asked for one."""
    text = "\n".join((*REQUIREMENTS, str(Path(asked).resolve()) if asked else PYTHON))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _interpreters() -> Iterator[Path]:
    """Python 3.10 on this machine: on the path, then in pyenv's folder."""
    for name in (f"python{PYTHON}", "python3", "python"):
        found = shutil.which(name)
        if found and not _not_python(Path(found)):
            yield Path(found)
    versions = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    for each in sorted(versions.glob(f"{PYTHON}.*/bin/python"), reverse=True):
        if not _not_python(each):
            yield each


def _not_python(path: Path) -> str:
    """Why a path is no Python 3.10 that runs; nothing if it is one. An inactive pyenv shim does not run."""
    program = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        done = subprocess.run(  # noqa: S603  a Python that the user or uv named
            [str(path), "-c", program], capture_output=True, text=True, timeout=_ASK_LIMIT, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"does not run: {error}"
    said = done.stdout.strip()
    if done.returncode:
        return "does not run: " + (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
    return "" if said == PYTHON else f"is Python {said[:20]}, not {PYTHON}"


def _runs(path: Path, program: str) -> bool:
    try:
        # S603: a Python that the user or uv named, without a shell
        done = subprocess.run([str(path), "-c", program], capture_output=True, timeout=_ASK_LIMIT, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def find_uv() -> str:
    """The uv program: beside this Python, installed as its package, or on the path. Raises CompileError."""
    beside = Path(sys.executable).parent / "uv"
    if beside.exists():
        return str(beside)
    try:
        return str(importlib.import_module("uv").find_uv_bin())
    except (ImportError, FileNotFoundError):
        pass
    found = shutil.which("uv")
    if found:
        return found
    message = "running Lava needs uv, which builds its environment, and there is none"
    raise fault("lava-environment", "uv", message, "pip install uv")


def _build(folder: Path, python: Path | None, notice: Notice) -> None:
    """Build beside the final place and rename: a crash leaves nothing half built, two builders do no harm."""
    uv = find_uv()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f"{folder.name}-building-", dir=folder.parent))
    except OSError as error:
        hint = f"set {CACHE_VARIABLE} to a folder that can be written"
        raise fault("lava-environment", str(folder.parent), f"cannot be written: {error.strerror}", hint) from error
    try:
        notice(
            f"building Lava's environment, once: Python {PYTHON}" + (f" from {python}" if python else " by download")
        )
        _uv([uv, "venv", "--relocatable", "--python", str(python or PYTHON), str(scratch / "env")], _no_python)
        interpreter = str(scratch / "env" / "bin" / "python")
        notice(f"building Lava's environment, once: {', '.join(REQUIREMENTS)} (some 70 MB)")
        _uv([uv, "pip", "install", "--compile-bytecode", "--python", interpreter, *REQUIREMENTS], _no_packages)
        (scratch / "env" / _MARK).write_text("\n".join(REQUIREMENTS) + "\n", encoding="utf-8")
        _settle(scratch / "env", folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _settle(built: Path, folder: Path) -> None:
    """Move the environment to its place, unless another process was faster."""
    if not ((folder / _MARK).exists() and (folder / "bin" / "python").exists()):
        shutil.rmtree(folder, ignore_errors=True)
    try:
        built.rename(folder)
    except OSError:
        if not (folder / _MARK).exists():
            raise


def _uv(command: list[str], explain: Callable[[Ended], CompileError]) -> None:
    ended = supervise(command, limit=_BUILD_LIMIT)
    if ended.why:
        raise explain(ended)


def _no_python(ended: Ended) -> CompileError:
    hint = (
        f"install Python {PYTHON} (pyenv install {PYTHON}, or uv python install {PYTHON}) and give its path by "
        f"--lava-python or {PYTHON_VARIABLE}"
    )
    message = f"Lava runs on Python {PYTHON} alone; there is none here, and uv could not get it: {ended.summary}"
    return fault("lava-environment", f"Python {PYTHON}", message, hint)


def _no_packages(ended: Ended) -> CompileError:
    message = f"uv could not install {', '.join(REQUIREMENTS)}: {ended.summary}"
    hint = f"the first run needs a network or a package index; later ones use {cache()}"
    return fault("lava-environment", REQUIREMENTS[0], message, hint)
