"""Where Lava's environment comes from, and what is said where it cannot be made."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from snncc.backends.lava import environment as environments
from snncc.backends.lava.environment import environment
from snncc.diagnostics import CompileError


def failure(**options: str) -> str:
    with pytest.raises(CompileError) as caught:
        environment(**options)
    return str(caught.value)


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IEXEC)
    return path


def test_it_is_built_once_and_holds_lava_without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    first = environment()
    monkeypatch.setenv("PATH", "/nowhere")
    assert environment() == first
    check = (
        "import lava.magma.core, sys, importlib.util; assert not importlib.util.find_spec('torch'); print(sys.version)"
    )
    said = subprocess.run([first.python, "-c", check], capture_output=True, text=True, check=True).stdout
    assert said.startswith("3.10.")


def test_an_interpreter_that_has_lava_is_used_as_it_is() -> None:
    first = environment()
    assert environment(str(first.python)) == first


def test_the_option_and_the_variable_name_an_interpreter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = f"is Python {sys.version_info[0]}.{sys.version_info[1]}, not 3.10"
    if sys.version_info[:2] != (3, 10):
        assert failure(python=sys.executable) == (
            f"error[lava-environment]: --lava-python: {sys.executable} {own}\n  = hint: give the path of a Python 3.10"
        )
    monkeypatch.setenv(environments.PYTHON_VARIABLE, str(tmp_path / "python"))
    assert failure() == (
        f"error[lava-environment]: SNNCC_LAVA_PYTHON: {tmp_path}/python does not run: "
        f"[Errno 2] No such file or directory: '{tmp_path}/python'\n"
        "  = hint: give the path of a Python 3.10"
    )


def test_interpreters_are_looked_for_on_the_path_then_in_pyenvs_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path / "bin" / "python3.10", "echo 'pyenv: python3.10: command not found' >&2; exit 127")
    real = program(tmp_path / "path" / "python3", "echo 3.10")
    newest = program(tmp_path / "pyenv" / "versions" / "3.10.13" / "bin" / "python", "echo 3.10")
    older = program(tmp_path / "pyenv" / "versions" / "3.10.0" / "bin" / "python", "echo 3.10")
    program(tmp_path / "pyenv" / "versions" / "3.11.7" / "bin" / "python", "echo 3.11")
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{tmp_path}/path:/usr/bin:/bin")
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    assert list(environments._interpreters()) == [real, newest, older]


def test_no_uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(environments.CACHE_VARIABLE, str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setitem(sys.modules, "uv", None)
    assert failure() == (
        "error[lava-environment]: uv: running Lava needs uv, which builds its environment, and there is none\n"
        "  = hint: pip install uv"
    )


def test_no_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uv = program(tmp_path / "uv", 'echo "error: No interpreter found for Python 3.10"; exit 2')
    monkeypatch.setenv(environments.CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(environments, "find_uv", lambda: str(uv))
    monkeypatch.setattr(environments, "_interpreters", lambda: iter(()))
    assert failure() == (
        "error[lava-environment]: Python 3.10: Lava runs on Python 3.10 alone; there is none here, and uv could not "
        "get it: it ended with status 2: error: No interpreter found for Python 3.10\n"
        "  = hint: install Python 3.10 (pyenv install 3.10, or uv python install 3.10) and give its path by "
        "--lava-python or SNNCC_LAVA_PYTHON"
    )
    assert list((tmp_path / "cache").iterdir()) == []


def test_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real uv, cut off from every index."""
    monkeypatch.setenv(environments.CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "empty"))
    monkeypatch.setenv("UV_OFFLINE", "1")
    notices: list[str] = []
    with pytest.raises(CompileError) as caught:
        environment(notice=notices.append)
    said = str(caught.value)
    assert said.startswith("error[lava-environment]: lava-nc==0.10.0: uv could not install lava-nc==0.10.0: it ended")
    assert said.endswith(f"hint: the first run needs a network or a package index; later ones use {tmp_path / 'cache'}")
    assert notices[0].startswith("building Lava's environment, once: Python 3.10 from ")
    assert notices[1] == "building Lava's environment, once: lava-nc==0.10.0 (some 70 MB)"
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_cache_in_the_place_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cache").write_text("")
    monkeypatch.setenv(environments.CACHE_VARIABLE, str(tmp_path / "cache"))
    assert failure() == (
        f"error[lava-environment]: {tmp_path}/cache: cannot be written: File exists\n"
        "  = hint: set SNNCC_CACHE to a folder that can be written"
    )
