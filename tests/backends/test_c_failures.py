"""What is said of C programs that were changed, and fail, hang, or give what no reference expects."""

from __future__ import annotations

import sys

import pytest

from snncc.backends.base import Batch
from snncc.backends.c import BACKEND
from snncc.chip import load
from snncc.diagnostics import CompileError

from .c_helpers import emitted, inputs, placed, small

RUN = sys.modules["snncc.backends.c.run"]  # the package has a function of that name
AGAIN = "\n  = hint: compile the model again; if that does not help, please report this"


def said(old: str, new: str) -> str:
    """What is said of a program with other code in its main.c."""
    network = small()
    files = emitted(network)
    main = files["main.c"].decode()
    assert old in main
    batch = Batch(*inputs(network))
    changed = main.replace(old, new, 1).encode()
    with placed({**files, "main.c": changed}) as folder, pytest.raises(CompileError) as caught:
        BACKEND.run(folder, network, load("host"), batch, True)
    return str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("bool record = false;", "bool record = false; abort();", "the C program ended with status -6: without a word"),
        ("bool record = false;", "bool record = false; return 0;", "the C program wrote no output"),
        ('"SNNCCOU1", 8', '"SNNCCOU2", 8', "the C program's output has no header, or that of another network"),
        ("bool record = false;", "bool record = false; argc--;", "the C program ended with status 2: "),
        ("run_sample(&in, &out, steps, record);", "break;", "the C program ended with status 2: "),
    ],
)
def test_a_program_that_fails(old: str, new: str, expected: str) -> None:
    found = said(old, new)
    assert found.startswith(f"error[program-failed]: network.c: {expected}")
    assert found.endswith(AGAIN)


def test_a_program_that_writes_too_little() -> None:
    found = said("close_writer(&out);", "close_writer(&out); truncate(argv[argc - 1], 300);")
    assert found == f"error[program-failed]: network.c: the C program's output ends too early{AGAIN}"


def test_a_program_for_another_network() -> None:
    found = said("close_writer(&out);", "close_writer(&out); truncate(argv[argc - 1], 30);")
    assert found == f"error[program-failed]: network.c: the C program's output is that of another network{AGAIN}"


def test_a_program_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RUN, "_RUN_LIMIT", 0.5)
    found = said("bool record = false;", "bool record = false; for (;;) {}")
    assert found == f"error[program-failed]: network.c: the C program was stopped after 1 seconds{AGAIN}"


def test_a_missing_file() -> None:
    network = small()
    files = {name: content for name, content in emitted(network).items() if name != "main.c"}
    batch = Batch(*inputs(network))
    with placed(files) as folder, pytest.raises(CompileError) as caught:
        BACKEND.run(folder, network, load("host"), batch, False)
    assert str(caught.value) == (
        "error[damaged-artefact]: main.c: cannot be read: No such file or directory\n  = hint: compile the model again"
    )


def test_a_full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(RUN, "write_input", full)
    found = said("bool record", "bool record")
    assert found.startswith("error[cannot-write]: ")
    assert found.endswith(": No space left on device\n  = hint: set TMPDIR to a folder that has room")


def test_a_full_disk_while_building(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(RUN.Path, "write_bytes", full)
    network = small()
    monkeypatch.setattr(RUN, "content_of", lambda folder, name: f"/* {name} that was never built */".encode())
    with pytest.raises(CompileError) as caught:
        BACKEND.run(RUN.Path("nowhere"), network, load("host"), Batch(*inputs(network)), False)
    assert str(caught.value).startswith("error[cannot-write]: ")
    assert str(caught.value).endswith(": No space left on device\n  = hint: set TMPDIR to a folder that has room")


def test_a_compiler_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("snncc.backends.c.building._BUILD_LIMIT", 0.001)
    found = said("bool record = false;", "bool record = false; /* never built */")
    assert found.startswith("error[compiler-failed]: host: ")
    assert " cannot build the program: it was stopped after 0 seconds\n" in found
