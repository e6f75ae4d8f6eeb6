"""`--convert rate` from a file to a program: options, and a network whose rates keep its classes on every target."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import snncc
from snncc.cli import app
from snncc.diagnostics import CompileError

from .frontends.onnx.ann_graphs import branched, pooled
from .frontends.onnx.step_graphs import runtime, two_layers


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(each) for each in arguments])


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A network with a max pool, and samples with the classes that it gives them."""
    folder = tmp_path_factory.mktemp("ann")
    graph = pooled(kernel_shape=[2, 2], strides=[2, 2])
    x = np.random.default_rng(1).normal(size=(40, 2, 7, 6)).astype(np.float32)
    session = runtime(graph.model())
    y = np.array([session.run(None, {"x": each[None]})[0].argmax() for each in x])
    np.savez(folder / "samples.npz", x=x, y=y)
    return graph.save(folder), folder / "samples.npz"


@pytest.mark.parametrize("target", ["host", "mesh64"])
def test_a_network_with_a_max_pool_runs_on_a_target(target: str, files: tuple[Path, Path], tmp_path: Path) -> None:
    model, samples = files
    folder = tmp_path / "build"
    options = "--convert", "rate", "--samples", samples, "--steps", 48, "--target", target
    done = run("compile", model, *options, "-o", folder, "--json")
    assert done.exit_code == 0, done.output
    ordinary, rates = json.loads(done.stdout)["fidelity"]
    assert (ordinary["accuracy"], ordinary["changed"]) == (1.0, 0.0)
    assert rates["accuracy"] >= 0.95
    simulated = json.loads(run("simulate", folder, "-i", samples, "--json").stdout)
    assert simulated["accuracy"] >= 0.9
    verified = run("verify", folder, "-i", samples, "--limit", 4)
    assert verified.exit_code == 0, verified.output


def test_a_branched_network_keeps_its_classes(tmp_path: Path) -> None:
    model = branched().save(tmp_path)
    x = np.random.default_rng(1).normal(size=(40, 2, 7, 6)).astype(np.float32)
    conversion = snncc.Conversion("rate", x, 64)
    imported = snncc.import_model(model, conversion=conversion)
    assert imported.fidelity[1].changed <= 0.1
    program = snncc.compile(imported, samples=x)
    found, floats = program.simulate(x), snncc.simulate_float(imported, snncc.model_data(imported, x))
    assert np.mean(found.classes == floats.classes) >= 0.9


def test_check_and_simulate_convert_too(files: tuple[Path, Path]) -> None:
    model, samples = files
    options = "--convert", "rate", "--samples", samples
    checked = run("check", model, *options, "--target-accuracy", 0.9, "--json")
    assert checked.exit_code == 0, checked.output
    steps = json.loads(checked.stdout)["steps"]
    assert 1 < steps < 256
    simulated = json.loads(run("simulate", model, *options, "--steps", steps, "-i", samples, "--json").stdout)
    assert simulated["accuracy"] >= 0.9


def test_the_same_input_gives_the_same_bytes(files: tuple[Path, Path], tmp_path: Path) -> None:
    model, samples = files
    for name in ("a", "b"):
        run("compile", model, "--convert", "rate", "--samples", samples, "--steps", 8, "-o", tmp_path / name)
    first, second = (
        {path.name: path.read_bytes() for path in (tmp_path / name).rglob("*") if path.is_file()} for name in ("a", "b")
    )
    assert first
    assert first == second


def test_options_that_are_missing_or_wrong_are_all_named(files: tuple[Path, Path], tmp_path: Path) -> None:
    done = run("compile", files[0], "--convert", "latency", "--target-accuracy", 7, "-o", tmp_path / "out")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == (
        "error[bad-option]: --convert: 'latency' is no way to convert a network; there is 'rate'\n"
        "error[samples-needed]: --convert: thresholds are balanced on samples, and there are none\n"
        "  = hint: give inputs from the training data: --samples FILE.npz\n"
        "error[bad-option]: --target-accuracy: is 7; an accuracy lies between 0 and 1\n"
    )
    done = run("check", files[0], "--convert", "rate", "--samples", files[1])
    assert done.exit_code == 1
    assert done.stderr == (
        "error[steps-needed]: --convert: the number of steps that rates are taken over is open\n"
        "  = hint: give --steps N; or --target-accuracy, from 0 to 1, and as few steps are taken as that needs\n"
    )
    done = run("check", files[0], "--target-accuracy", 0.5)
    assert done.exit_code == 2
    assert "needs --convert rate" in done.stderr


def test_states_are_not_paired_in_an_ordinary_network(files: tuple[Path, Path]) -> None:
    with pytest.raises(CompileError, match=r"error\[bad-option\]: --convert: an ordinary network has neither states"):
        snncc.import_model(files[0], [("a", "b")], conversion=snncc.Conversion("rate", files[1], 8))


def test_a_spiking_network_is_refused(files: tuple[Path, Path], tmp_path: Path) -> None:
    done = run("check", two_layers().save(tmp_path), "--convert", "rate", "--samples", files[1], "--steps", 8)
    assert done.exit_code == 1
    assert "error[already-spiking]" in done.stderr
