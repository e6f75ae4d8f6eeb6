"""Deploying: on hardware where there is some, which is said, and refused where there can be none."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from snncc.cli import app

MODEL = "models/digits_dense"
ROOT = Path(__file__).parents[1]


def snncc(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The digits as a Lava program."""
    place = tmp_path_factory.mktemp("lava") / "digits"
    model = ROOT / f"{MODEL}.onnx"
    status, _, errors = snncc("compile", str(model), "--target", "loihi2", "-o", str(place))
    assert status == 0, errors
    return place


def test_a_lava_program_runs_on_the_simulator_and_says_so(folder: Path, tmp_path: Path) -> None:
    data, kept = str(ROOT / f"{MODEL}.npz"), tmp_path / "out.npz"
    status, out, _ = snncc("deploy", str(folder), "--input", data, "--limit", "10", "--record", str(kept))
    assert status == 0
    said = "ran on Lava's simulator (Loihi2SimCfg): Lava's Loihi extension is not installed, so there is no hardware"
    assert said in " ".join(out.split())
    assert all(len(values) == 10 for values in np.load(kept).values())


def test_what_learns_runs_on_no_hardware(tmp_path: Path) -> None:
    place, data = str(tmp_path / "taught"), str(ROOT / f"{MODEL}.npz")
    model = str(ROOT / f"{MODEL}.onnx")
    assert snncc("compile", model, "--target", "loihi2", "--learn", "fc2=reward", "-o", place)[0] == 0
    status, out, _ = snncc("deploy", place, "--input", data, "--limit", "2")
    assert status == 0
    said = "ran on Lava's simulator (Loihi2SimCfg): it learns by process models of snncc's own, which no hardware runs"
    assert said in " ".join(out.split())


def test_json_names_the_machine(folder: Path) -> None:
    data = str(ROOT / f"{MODEL}.npz")
    status, out, _ = snncc("deploy", str(folder), "--input", data, "--limit", "5", "--json")
    found = json.loads(out)
    assert (status, found["machine"], found["hardware"], found["samples"]) == (0, "Loihi2SimCfg", False, 5)


def test_a_program_of_another_backend_cannot_be_deployed(tmp_path: Path) -> None:
    place, model = tmp_path / "c", str(ROOT / f"{MODEL}.onnx")
    assert snncc("compile", model, "-o", str(place))[0] == 0
    status, _, errors = snncc("deploy", str(place), "--input", str(ROOT / f"{MODEL}.npz"))
    assert status == 2
    assert errors == (
        "error[not-deployable]: digits_dense: is a program of the c backend, which has no hardware\n"
        "  = hint: snncc simulate runs it; compile with --target loihi2 for a program that can be deployed\n"
    )


def test_a_python_that_is_none(folder: Path) -> None:
    data = str(ROOT / f"{MODEL}.npz")
    status, _, errors = snncc("verify", str(folder), "--input", data, "--lava-python", "/bin/true")
    assert status == 2
    assert errors == (
        "error[lava-environment]: --lava-python: /bin/true is Python , not 3.10\n"
        "  = hint: give the path of a Python 3.10\n"
    )
