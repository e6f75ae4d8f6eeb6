"""Which frontend reads a file, and what is said of files that none reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from snncc.diagnostics import CompileError
from snncc.frontends import read_model


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "net.h5",
            "error[unknown-format]: net.h5: has the suffix '.h5'; models are read from .onnx, .nir and .net files\n"
            "  = hint: export the model to ONNX",
        ),
        ("net", "error[cannot-read]: net: No such file or directory\n  = hint: models are .onnx, .nir or .net files"),
    ],
)
def test_what_no_frontend_reads(tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(CompileError) as caught:
        read_model(tmp_path / name)
    assert str(caught.value) == said


def test_a_net_file_takes_no_states(tmp_path: Path) -> None:
    with pytest.raises(CompileError) as caught:
        read_model(tmp_path / "network.net", [("v", "v_next")])
    assert str(caught.value) == (
        "error[bad-option]: --state: a .net file has no state inputs to pair\n"
        "  = hint: leave out --state: a .net file says itself what each layer keeps"
    )
