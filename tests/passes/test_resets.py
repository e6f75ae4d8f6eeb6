"""Hard resets in place of soft ones, and what they cost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import snncc
from snncc.cli import app
from snncc.importing import import_model, model_data
from snncc.layers import HardReset, Neuron
from snncc.passes.legalise import legalise
from snncc.passes.resets import cost, hardly_reset, softly_reset

MODELS = Path(__file__).parents[2] / "models"


def test_soft_and_late_resets_become_hard_ones() -> None:
    graph = legalise(import_model(MODELS / "digits_resnet.onnx").graph)
    assert softly_reset(graph) == ("v_stem", "v_conv3", "v_out")
    changed = hardly_reset(graph)
    assert softly_reset(changed) == ()
    assert all(isinstance(op.reset, HardReset) for op in changed.of_kind(Neuron).values())
    assert changed["v_res1"] is graph["v_res1"]


def test_the_cost_is_said() -> None:
    model = import_model(MODELS / "digits_dense.onnx")
    graph = legalise(model.graph)
    samples = model_data(model, MODELS / "digits_dense.samples.npz")
    assert str(cost(graph, samples, "count")) == (
        "warning[hard-reset]: lif1, lif2: their soft resets became hard ones, as --allow-hard-reset says: accuracy on "
        "the 200 samples goes from 100.0% to 100.0%, in floats\n"
        "  = hint: train with hard resets, for which no accuracy is lost"
    )
    unlabelled = model_data(model, np.load(MODELS / "digits_dense.samples.npz")["x"])
    assert "of the 200 samples keep their class" in cost(graph, unlabelled, "count").message
    assert cost(graph, None, "count").hint == "give --samples to see what that costs, or train with hard resets"


@pytest.mark.parametrize("name", ["digits_stock", "fashion_conv"])
def test_two_models_are_stock(name: str) -> None:
    samples = MODELS / f"{name}.samples.npz"
    program = snncc.compile(MODELS / f"{name}.onnx", "loihi2", samples=samples, stock_only=True)
    assert not {each.rule for each in program.warnings} & {"microcode", "hard-reset"}


def test_the_command_line_refuses_microcode_or_makes_do(tmp_path: Path) -> None:
    def compiled(*options: str) -> tuple[int, str]:
        model = str(MODELS / "digits_dense.onnx")
        samples = str(MODELS / "digits_dense.samples.npz")
        result = CliRunner().invoke(
            app, ["compile", model, "--samples", samples, "-o", str(tmp_path / "out"), *options]
        )
        return result.exit_code, result.stderr

    status, said = compiled("--target", "loihi2", "--stock-only")
    assert status == 2
    assert "error[not-stock]: lif1, lif2: needs microcode on Loihi, as Lava's LIF has no such neuron: its reset" in said
    assert not (tmp_path / "out").exists()
    assert compiled("--target", "loihi2", "--stock-only", "--allow-hard-reset")[0] == 0
    status, said = compiled("--target", "host", "--stock-only")
    assert (status, said) == (2, "error[bad-option]: --stock-only: the c backend knows no stock neurons\n")
