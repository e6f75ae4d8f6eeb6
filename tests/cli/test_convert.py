"""`snncc convert` to ONNX: written whole, read back, and with an ordinary network made spiking on the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from typer.testing import CliRunner

import snncc
from snncc.cli import app

from ..frontends.onnx.ann_graphs import pooled
from ..frontends.onnx.dialect.test_dialect import assert_same

MODELS = Path(__file__).parents[2] / "models"


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(each) for each in arguments])


def test_a_network_is_written_and_reads_back(tmp_path: Path) -> None:
    output = tmp_path / "written.onnx"
    done = run("convert", MODELS / "digits_resnet.onnx", output)
    assert (done.exit_code, done.stderr) == (0, "")
    assert_same(snncc.import_model(MODELS / "digits_resnet.onnx").graph, snncc.import_model(output).graph)
    compiled = run("compile", output, "--samples", MODELS / "digits_resnet.samples.npz", "-o", tmp_path / "build")
    assert compiled.exit_code == 0, compiled.output


def test_it_goes_to_nir_and_back(tmp_path: Path) -> None:
    first, second, third = (tmp_path / name for name in ("a.onnx", "b.nir", "c.onnx"))
    assert run("convert", MODELS / "digits_dense.onnx", first).exit_code == 0
    assert run("convert", first, second, "--dt", 1e-3).exit_code == 0
    assert run("convert", second, third, "--dt", 1e-3).exit_code == 0
    x = MODELS / "digits_dense.npz"
    one, other = (
        snncc.simulate_float(model, snncc.model_data(model, x))
        for model in (snncc.import_model(first), snncc.import_model(third))
    )
    np.testing.assert_array_equal(one.classes, other.classes)


def test_an_ordinary_network_is_converted_on_the_way(tmp_path: Path) -> None:
    x = np.random.default_rng(1).normal(size=(20, 2, 7, 6)).astype(np.float32)
    np.savez(tmp_path / "samples.npz", x=x)
    model = pooled().save(tmp_path)
    output = tmp_path / "spiking.onnx"
    options = "--convert", "rate", "--samples", tmp_path / "samples.npz", "--steps", 16
    done = run("convert", model, output, *options)
    assert done.exit_code == 0, done.output
    written = snncc.import_model(output)
    assert written.steps == 16
    direct = snncc.import_model(model, conversion=snncc.Conversion("rate", tmp_path / "samples.npz", 16))
    assert_same(direct.graph, written.graph)


def test_options_that_would_do_nothing_are_refused(tmp_path: Path) -> None:
    output = tmp_path / "out.onnx"
    done = run("convert", MODELS / "digits_dense.onnx", output, "--dt", 1)
    assert done.stderr == (
        "error[bad-option]: --dt: is the time of a step in a .nir file; neither file is one\n  = hint: leave it out\n"
    )
    done = run("convert", MODELS / "digits_dense.onnx", output, "--steps", 4)
    assert done.exit_code == 2
    assert "needs --convert rate" in done.stderr
    assert not output.exists()
