"""The command line on other people's models, which are no spiking networks: clear words, and nothing written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from snncc.cli import app

FOLDER = Path(__file__).parents[2] / "shared" / "data"
ANN = FOLDER / "onnx_mnist8" / "model.onnx"
QUANTISED = FOLDER / "qonnx_zoo" / "MNIST"
pytestmark = pytest.mark.skipif(not ANN.exists(), reason=f"no models in {FOLDER}")


def custom(nodes: str, op: str) -> str:
    return (
        f"error[custom-op]: {nodes}: onnx.brevitas::{op} is a custom op, and the file does not say what it computes\n"
        "  = hint: export it as a function of the model (FunctionProto), or in terms of standard ONNX ops\n"
    )


EXPECTED = {
    ANN: (
        "error[no-spiking-neurons]: model.onnx: is an ordinary neural network (ANN) with 2 Relu, 2 MaxPool: nothing in "
        "it keeps a state from step to step, compares it with a threshold and fires\n"
        "  = hint: train a spiking network; or let spike rates stand for its values: --convert rate --samples FILE "
        "--steps N\n"
    ),
    QUANTISED / "TFC_1W1A.onnx": custom(
        ", ".join(f"BipolarQuant_{n}" for n in (11, 14, 19, 22, 27, 30, 35, 38)), "BipolarQuant"
    ),
    QUANTISED / "TFC_1W2A.onnx": custom(", ".join(f"Quant_{n}" for n in range(13, 44, 10)), "Quant")
    + custom(", ".join(f"BipolarQuant_{n}" for n in range(16, 47, 10)), "BipolarQuant"),
    QUANTISED / "TFC_2W2A.onnx": custom(", ".join(f"Quant_{n}" for n in (13, 18, 25, 30, 37, 42, 49, 54)), "Quant"),
}
each_model = pytest.mark.parametrize("path", EXPECTED, ids=lambda path: path.stem)


def snncc(*arguments: str | Path) -> Any:
    return CliRunner().invoke(app, [str(each) for each in arguments])


def test_every_file_is_known() -> None:
    assert {*ANN.parent.rglob("*.onnx"), *QUANTISED.parent.rglob("*.onnx")} == EXPECTED.keys()


@each_model
def test_check_says_why_not(path: Path) -> None:
    done = snncc("check", path)
    assert (done.exit_code, done.stderr) == (1, EXPECTED[path])
    title, columns, *rows = done.stdout.splitlines()
    assert title == f"{path.stem}: what was recognised"
    assert columns.split()[:3] == ["node", "is", "shape"]
    assert any("custom-op: " in each for each in rows) == (path != ANN)


@each_model
def test_compile_says_why_not_and_writes_nothing(path: Path, tmp_path: Path) -> None:
    done = snncc("compile", path, "-o", tmp_path / "out")
    assert (done.exit_code, done.stderr, done.stdout) == (2, EXPECTED[path], "")
    assert list(tmp_path.iterdir()) == []


@each_model
def test_simulate_says_why_not(path: Path) -> None:
    done = snncc("simulate", path, "-i", "none.npz")
    assert (done.exit_code, done.stderr, done.stdout) == (2, EXPECTED[path], "")


@each_model
def test_json_has_every_node(path: Path) -> None:
    done = snncc("check", path, "--json")
    found = json.loads(done.stdout)["diagnostics"]
    assert done.exit_code == 1
    assert all(each["hint"] and each["severity"] == "error" for each in found)
    assert len(found) == (1 if path == ANN else 8)


@pytest.mark.parametrize("path", sorted(ANN.parent.rglob("*.pb")), ids=lambda path: "/".join(path.parts[-2:]))
def test_a_tensor_is_no_model(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "tensor.onnx"
    copy.write_bytes(path.read_bytes())
    assert snncc("check", path).stderr == (
        f"error[unknown-format]: {path.name}: has the suffix '.pb'; models are read from .onnx, .nir and .net files\n"
        "  = hint: export the model to ONNX\n"
    )
    done = snncc("check", copy)
    assert done.exit_code == 1
    assert done.stderr.startswith("error[corrupt-model]: tensor.onnx: ")
