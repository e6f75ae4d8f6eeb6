"""`snncc new` and `compile --learn`: networks that learn, from the command line to a verified C program."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from snncc import compile as compile_model
from snncc.cli import app
from snncc.diagnostics import CompileError
from snncc.importing import import_model
from snncc.integers import Population, Synapse
from snncc.rules import known

KINDS = ("spikedyn", "fspinn", "diehl-cook")


def called(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, result.output


def made(folder: Path, kind: str, *more: str) -> Path:
    model = folder / f"{kind}.onnx"
    status, said = called("new", kind, "--inputs", "25", "--neurons", "6", "-o", str(model), *more)
    assert status == 0, said
    return model


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bits", ["4", "8"])
def test_new_networks_learn_the_reference_s_bits(kind: str, bits: str, tmp_path: Path) -> None:
    model = made(tmp_path, kind, "--bits", bits)
    x = (np.random.default_rng(3).random((4, 60, 25)) < np.linspace(0, 0.6, 25)).astype(np.uint8)
    np.savez(tmp_path / "data.npz", x=x)
    assert called("compile", str(model), "-o", str(tmp_path / "build"))[0] == 0
    status, said = called("verify", str(tmp_path / "build"), "--input", str(tmp_path / "data.npz"), "--json")
    assert status == 0, said
    assert json.loads(said)["equal"]
    program = compile_model(model)
    found = program.expected(x, np.full(4, 60))
    assert found.learnt
    changed = found.learnt.weights["synapses"] != program.network["synapses"].map.weight
    assert changed.mean() > 0.2, "hardly anything was learnt"
    assert found.learnt.adaptations["excitatory"].any()


def test_new_brings_the_same_bytes_and_its_rule(tmp_path: Path) -> None:
    model = made(tmp_path, "spikedyn")
    assert model.read_bytes() == made(tmp_path, "spikedyn").read_bytes()
    assert model.read_bytes() != made(tmp_path, "spikedyn", "--seed", "1").read_bytes()
    assert set(import_model(model).learn) == {"synapses"}
    assert "spikedyn" in known()


def test_new_says_what_it_cannot_make(tmp_path: Path) -> None:
    status, said = called("new", "hopfield", "-o", str(tmp_path / "x.onnx"))
    assert status == 2
    assert "error[unknown-network]: hopfield: there is no such network" in said
    assert "known: spikedyn, fspinn, diehl-cook" in said
    status, said = called("new", "spikedyn", "--neurons", "0", "--bits", "9", "-o", str(tmp_path / "x.onnx"))
    assert status == 2
    assert "error[bad-option]: --neurons: 0 is not within 1 to 16,384" in said
    assert "error[bad-option]: --bits: 9 is not within 1 to 8" in said
    assert not (tmp_path / "x.onnx").exists()


def test_any_layer_can_learn_another_rule(tmp_path: Path) -> None:
    program = compile_model(made(tmp_path, "spikedyn"), learn=[("synapses", "diehl-cook")])
    synapse, population = program.network["synapses"], program.network["excitatory"]
    assert isinstance(synapse, Synapse)
    assert isinstance(population, Population)
    assert synapse.plasticity
    assert [term.when for term in synapse.plasticity.terms] == ["post"]
    assert population.adapt
    assert population.adapt.learnt


@pytest.mark.parametrize(
    ("learn", "expected"),
    [
        (
            ("synapse", "reward"),
            "error[unknown-layer]: --learn: there are no synapses and no population called synapse\n"
            "  = hint: did you mean synapses? there are synapses, lateral, excitatory",
        ),
        (
            ("excitatory", "reward"),
            "error[unknown-layer]: --learn: excitatory is fed by synapses, lateral: name one of them",
        ),
        (
            ("synapses", "rewards"),
            "error[unknown-rule]: rewards: there is no such rule\n"
            "  = hint: did you mean reward? known: diehl-cook, fspinn, reward, spikedyn; "
            "or give the path of a .toml file",
        ),
    ],
)
def test_what_cannot_be_taught_is_named(learn: tuple[str, str], expected: str, tmp_path: Path) -> None:
    with pytest.raises(CompileError) as caught:
        compile_model(made(tmp_path, "spikedyn"), learn=[learn])
    assert str(caught.value) == expected


@pytest.mark.parametrize("target", ["cortex-m4", "mesh64", "loihi2"])
def test_targets_that_cannot_learn_say_so(target: str, tmp_path: Path) -> None:
    with pytest.raises(CompileError) as caught:
        compile_model(made(tmp_path, "spikedyn", "--bits", "4"), target)
    text = str(caught.value)
    assert f"error[missing-capability]: synapses: needs learning, which {target} lacks" in text
    assert f"error[missing-capability]: excitatory: needs learning, which {target} lacks" in text
    assert "error[cannot-learn]: synapses: its weights would have to be learnt on the device, which the " in text
