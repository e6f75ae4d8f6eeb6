"""Tests of the command line: the main job on shipped models, exit statuses, JSON, and what errors look like."""

from __future__ import annotations

import json
import re
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from rich.console import Console
from typer.testing import CliRunner

from snncc.cli import app
from snncc.frontends import Finding
from snncc.views import recognised

MODELS = Path(__file__).parents[1] / "models"
CELLS = Path(__file__).parent / "data" / "onnx_cells"
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
        ("compile", DENSE, "-o", "out", "--weight-bits", "4,fc9=2"),
        ("compile", DENSE, "-o", "out", "--prune", "1"),
        ("compile", DENSE, "-o", "out", "--prune-neurons", "0.5,fc9=0.5"),
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


def overflowing(folder: Path, *options: str) -> Any:
    """An integrate-and-fire neuron without a lower bound, for more steps than any register takes."""
    np.savez(folder / "samples.npz", x=np.full((2, 30, 5), -0.5, np.float32))
    given = ("--steps", "1000000", "--samples", folder / "samples.npz", *options)
    return snncc("compile", CELLS / "sj_if_soft_dyn.onnx", "-o", folder / "out", *given)


def test_what_may_overflow_is_a_warning_with_witness_and_margin(tmp_path: Path) -> None:
    done = overflowing(tmp_path)
    assert done.exit_code == 0
    assert "  may overflow\n" in done.stdout
    assert re.search(
        r"\nwarning\[may-overflow\]: v: its membrane may overflow: [\d,]+ steps of any input are proved safe; then "
        r"neuron 0 may pass -[\d,]+ by its bias, its resets or negative input; on the samples it held "
        r"-[\d,]+\.\.-?[\d,]+, \d+% of that\n  = hint: declare at most [\d,]+ steps with --steps\n",
        done.stdout,
    ), done.stdout


def test_a_proof_that_is_required_and_not_there_is_an_error(tmp_path: Path) -> None:
    done = overflowing(tmp_path, "--require-proof")
    assert done.exit_code == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error[may-overflow]: v: its membrane may overflow: ")
    assert not (tmp_path / "out").exists()


def test_tables_that_are_piped_have_no_trailing_space() -> None:
    lines = snncc("check", DENSE).stdout.splitlines()
    assert all(line == line.rstrip() for line in lines)
    row = next(line for line in lines if line.startswith("lif1  LIF neuron  128    fc1  "))
    assert row.endswith("v <- 0.9 v + x; s = v > 1; reset by 1 a step later")


def test_check_says_how_far_neurons_are_from_the_file() -> None:
    layers = json.loads(snncc("check", DENSE, "--json").stdout)["layers"]
    errors = {each["node"]: each["fit_error"] for each in layers}
    assert {name for name, error in errors.items() if error is not None} == {"lif1", "lif2"}
    assert all(0 <= error < 1e-6 for error in errors.values() if error is not None)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("check", "none.onnx"), "error[cannot-read]: none.onnx: No such file or directory\n"),
        (
            ("check", "none"),
            "error[cannot-read]: none: No such file or directory\n  = hint: models are .onnx, .nir or .net files\n",
        ),
        (
            ("check", MODELS),
            "error[cannot-read]: models: is a folder\n  = hint: give a model, an .onnx, .nir or .net file\n",
        ),
        (("check", DENSE, "-t", "hots"), "error[unknown-target]: hots: there is no such target\n"),
        (
            ("compile", DENSE, "-o", MODELS),
            f"error[output-exists]: {MODELS}: is there already and is no snncc artefact\n"
            "  = hint: choose another folder, or empty it first\n",
        ),
        (
            ("simulate", DENSE, "-i", DATA, "--record", "none/trace.npz"),
            f"error[cannot-write]: none/trace.npz: there is no folder {Path.cwd() / 'none'}\n"
            "  = hint: make that folder first\n",
        ),
        (
            ("simulate", MODELS, "-i", DATA),
            f"error[not-an-artefact]: {MODELS}: has no reference/artefact.json\n"
            "  = hint: compile a model: snncc compile MODEL -o DIR\n",
        ),
        (
            ("verify", "x" * 300, "-i", DATA),
            f"error[not-an-artefact]: {'x' * 300}: is not there\n"
            "  = hint: compile a model: snncc compile MODEL -o DIR\n",
        ),
        (
            ("simulate", DENSE, "-i", MODELS),
            f"error[bad-data]: {MODELS}: cannot be read: it is a folder\n  = hint: data files are .npz files\n",
        ),
    ],
)
def test_places_that_are_no_good_have_status_2(arguments: tuple[str | Path, ...], said: str) -> None:
    done = snncc(*arguments)
    assert done.exit_code == 2
    assert done.stderr.startswith(said)


def test_check_shows_what_was_recognised_of_a_refused_file_too(tmp_path: Path) -> None:
    model = onnx.load(DENSE)
    last = next(node for node in model.graph.node if node.op_type == "Gemm" and "fc2" in node.name)
    node = onnx.helper.make_node("Softmax", [last.input[0]], ["bent"], name="bend")
    model.graph.node.insert(list(model.graph.node).index(last), node)
    last.input[0] = "bent"
    path = tmp_path / "net.onnx"
    onnx.save(model, path)
    done = snncc("check", path)
    assert done.exit_code == 1
    rows = {line.split()[0]: line for line in done.stdout.splitlines()[2:] if line}
    assert rows["bend"].split(None, 4)[1:4] == ["not", "recognised", "lif1"]
    assert rows["bend"].endswith("unsupported-op: Softmax is not supported here")
    assert all("LIF neuron" in rows[name] and "reset by 1" in rows[name] for name in ("lif1", "lif2"))
    assert done.stderr.startswith("error[unsupported-op]: bend: Softmax is not supported here\n")
    found = json.loads(snncc("check", path, "--json").stdout)
    assert [each["node"] for each in found["layers"] if each["rule"]] == ["bend"]
    assert [each["rule"] for each in found["diagnostics"]] == ["unsupported-op"]


def test_rows_that_are_alike_are_counted() -> None:
    view = recognised("net", [Finding(f"add{i}", "elementwise", parameters="Add") for i in range(9)])
    text = StringIO()
    Console(file=text, width=80).print(*view.shown)
    assert [line.split("  ")[0] for line in text.getvalue().splitlines()[2:5]] == ["add0", "add1", "add2 and 6 more"]
    assert len(view.plain["layers"]) == 9


def test_a_pruned_program_is_verified_and_recorded_by_the_neurons_of_the_model(tmp_path: Path) -> None:
    folder, record = tmp_path / "out", tmp_path / "record.npz"
    pruning = ("--prune", "0.5", "--prune-neurons", "0.25")
    assert snncc("compile", DENSE, "--samples", SAMPLES, *pruning, "-o", folder).exit_code == 0
    assert snncc("verify", folder, "--input", DATA, "--limit", "5").exit_code == 0
    done = snncc("simulate", folder, "--input", DATA, "--limit", "5", "--record", record, "--record-all")
    assert done.exit_code == 0
    with np.load(record) as arrays:
        hidden = arrays["spikes/lif1"]
    assert hidden.shape[2] == 128
    assert (~hidden.any(axis=(0, 1))).sum() >= 32
    assert snncc("explain", folder, "--model", DENSE, "--data", DATA, "--limit", "5").exit_code == 0
