"""The generated C of one small network, kept as files to be read; SNNCC_UPDATE_GOLDEN=1 writes them anew."""

from __future__ import annotations

import os
from pathlib import Path

from tests.backends.c_helpers import emitted, small

GOLDEN = Path(__file__).parents[1] / "golden" / "c"


def test_the_files_are_those_that_were_read() -> None:
    files = emitted(small(), "digits of a golden age")
    if os.environ.get("SNNCC_UPDATE_GOLDEN") == "1":
        for name, content in files.items():
            (GOLDEN / name).write_bytes(content)
    assert {path.name: path.read_text() for path in GOLDEN.iterdir()} == {
        name: content.decode() for name, content in files.items()
    }


def test_the_same_job_gives_the_same_bytes() -> None:
    assert emitted(small()) == emitted(small())
