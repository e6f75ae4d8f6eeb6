"""NIR files through the command line: convert, check, compile, simulate, and what goes wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from typer.testing import CliRunner

from snncc.cli import app
from tests.frontends.nir.files import chain, lif, linear, write

ROOT = Path(__file__).parents[3]
DENSE = ROOT / "models" / "digits_dense.onnx"
DATA = ROOT / "models" / "digits_dense.npz"


def snncc(*arguments: str | Path) -> Any:
    return CliRunner().invoke(app, [str(each) for each in arguments])


def test_a_converted_model_is_as_good(tmp_path: Path) -> None:
    done = snncc("convert", DENSE, tmp_path / "net.nir")
    assert done.exit_code == 0, done.output
    assert done.output == f"wrote {tmp_path / 'net.nir'}\n"
    rows = [json.loads(snncc("simulate", each, "-i", DATA, "--json").output) for each in (DENSE, tmp_path / "net.nir")]
    assert rows[0]["accuracy"] == rows[1]["accuracy"]


def test_options_of_a_file_that_leaves_them_open(tmp_path: Path) -> None:
    path = write(tmp_path / "a.nir", *chain(3, {"w": linear(np.ones((2, 3))), "lif": lif(2)}, 2))
    np.savez(tmp_path / "x.npz", x=np.ones((1, 9, 3)))
    options = ("--nir-style", "norse", "--dt", "1e-3")
    assert "v <- 0.8 v + x; s = v > 1; reset to 0" in snncc("check", path, *options).output
    assert snncc("compile", path, "-o", tmp_path / "out", *options).exit_code == 0
    assert snncc("verify", tmp_path / "out", "-i", tmp_path / "x.npz").exit_code == 0
    assert snncc("simulate", path, "-i", tmp_path / "x.npz", *options).exit_code == 0
    assert snncc("convert", path, tmp_path / "b.nir", *options).exit_code == 0
    assert snncc("check", tmp_path / "b.nir").exit_code == 0
    assert snncc("check", path).exit_code == 1
    assert snncc("check", path, "--nir-style", "nest").exit_code == 1
    done = snncc("simulate", tmp_path / "out", "-i", tmp_path / "x.npz", "--dt", "1e-3")
    assert done.exit_code == 2
    assert "is fixed in a compiled folder" in done.output


def test_what_cannot_be_converted(tmp_path: Path) -> None:
    done = snncc("convert", DENSE, tmp_path / "net.txt")
    assert done.exit_code == 2
    assert done.output == (
        "error[unknown-format]: net.txt: has the suffix '.txt'; networks are written to .nir and .onnx files\n"
        "  = hint: choose another name\n"
    )
    done = snncc("convert", DENSE, tmp_path / "net.nir", "--dt", "-1")
    assert done.output == "error[bad-option]: --dt: is -1; a step takes a positive time\n"
    done = snncc("convert", ROOT / "models" / "vowels_rnn.onnx", tmp_path / "net.nir")
    assert done.exit_code == 2
    assert "error[nir-cannot-express]: syn2: rests after a spike, steps: 1\n" in done.output
    assert not list(tmp_path.iterdir())
