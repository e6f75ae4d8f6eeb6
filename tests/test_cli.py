"""Tests of the command line: the main job on shipped models, exit statuses, JSON, and what errors look like."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from snncc.cli import app

MODELS = Path(__file__).parents[1] / "models"
DENSE = str(MODELS / "digits_dense.onnx")
DATA = str(MODELS / "digits_dense.npz")
SAMPLES = str(MODELS / "digits_dense.samples.npz")


def snncc(*arguments: str | Path) -> Any:
    return CliRunner().invoke(app, [str(each) for each in arguments])


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli") / "digits"
    done = snncc("compile", DENSE, "--samples", SAMPLES, "-o", folder)
    assert done.exit_code == 0, done.output
    return folder


def test_compile_prints_populations_synapses_and_proof(tmp_path: Path) -> None:
    done = snncc("compile", DENSE, "--samples", SAMPLES, "-o", tmp_path / "out")
    assert done.exit_code == 0
    for expected in ("lif1", "LIF, soft reset", "dense 64→128", "safe", "138 neurons, 9,472 synapses"):
        assert expected in done.output


def test_simulate_reports_the_accuracy(compiled: Path) -> None:
    done = snncc("simulate", compiled, "--input", DATA, "--json")
    assert done.exit_code == 0
    result = json.loads(done.output)
    assert result["samples"] == 360
    assert result["accuracy"] > 0.97


def test_simulate_of_a_model_is_the_float_reference() -> None:
    done = snncc("simulate", DENSE, "--input", DATA, "--json")
    assert done.exit_code == 0
    card = json.loads((MODELS / "digits_dense.json").read_text())
    assert json.loads(done.output)["accuracy"] == pytest.approx(card["accuracy"]["file"], abs=1e-4)


def test_verify_finds_no_difference(compiled: Path) -> None:
    done = snncc("verify", compiled, "--input", DATA, "--limit", "20")
    assert done.exit_code == 0
    assert done.output.startswith("equal: 20 samples")


def test_verify_finds_a_changed_program(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    assert snncc("compile", DENSE, "-o", folder).exit_code == 0
    source = folder / "network.c"
    changed = source.read_text().replace("v > threshold", "v >= threshold + 40")
    assert changed != source.read_text()
    source.write_text(changed)
    done = snncc("verify", folder, "--input", DATA, "--limit", "10")
    assert done.exit_code == 1
    assert done.output.startswith("different: 10 samples")
    assert "of neuron" in done.output


def test_record_all_saves_outputs_spikes_and_membranes(compiled: Path, tmp_path: Path) -> None:
    saved = tmp_path / "trace.npz"
    done = snncc("simulate", compiled, "-i", DATA, "--limit", "3", "--record", saved, "--record-all")
    assert done.exit_code == 0
    with np.load(saved) as trace:
        assert {name: trace[name].shape for name in trace.files} == {
            "out/y": (3, 16, 10),
            "spikes/lif1": (3, 16, 128),
            "v/lif1": (3, 16, 128),
            "spikes/lif2": (3, 16, 10),
            "v/lif2": (3, 16, 10),
        }


def test_check_shows_what_was_recognised() -> None:
    done = snncc("check", DENSE)
    assert done.exit_code == 0
    assert "LIF neuron" in done.output


def test_an_unreadable_model_is_an_error_with_status_2(tmp_path: Path) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"not a model")
    done = snncc("compile", path, "-o", tmp_path / "out")
    assert done.exit_code == 2
    assert "error[" in done.stderr
    assert not (tmp_path / "out").exists()
    assert snncc("check", path).exit_code == 1


def test_errors_come_as_json_too(tmp_path: Path) -> None:
    done = snncc("compile", DENSE, "--target", "hots", "-o", tmp_path / "out", "--json")
    assert done.exit_code == 2
    assert json.loads(done.output)["diagnostics"][0]["hint"].startswith("did you mean host?")


def test_bad_data_is_an_error_with_status_2(compiled: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "bad.npz", x=np.zeros((2, 63)))
    for command in ("simulate", "verify"):
        done = snncc(command, compiled, "--input", tmp_path / "bad.npz")
        assert done.exit_code == 2
        assert "this network needs (samples, 64)" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("compile", DENSE, "-o", "out", "--weight-bits", "9"),
        ("compile", DENSE, "-o", "out", "--decoder", "vote"),
        ("compile", DENSE, "-o", "out", "--state", "mem1"),
        ("compile", DENSE),
        ("simulate", DENSE, "-i", DATA, "--record-all"),
    ],
)
def test_bad_use_has_status_2(arguments: tuple[str, ...]) -> None:
    assert snncc(*arguments).exit_code == 2


def test_targets_are_listed() -> None:
    done = snncc("targets", "--json")
    assert "host" in [each["name"] for each in json.loads(done.output)["targets"]]


def test_dump_writes_each_stage(tmp_path: Path) -> None:
    assert snncc("compile", DENSE, "-o", tmp_path / "out", "--dump", tmp_path / "dump").exit_code == 0
    names = sorted(path.name for path in (tmp_path / "dump").iterdir())
    assert names == ["1-imported.txt", "2-legal.txt", "3-integer.txt"]
