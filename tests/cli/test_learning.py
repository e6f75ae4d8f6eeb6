"""`snncc new` and `compile --learn`: networks that learn, from the command line to a verified C program."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from snncc import chip as chips
from snncc import compile as compile_model
from snncc.cli import app
from snncc.data import Data
from snncc.diagnostics import CompileError
from snncc.estimation import frames
from snncc.importing import import_model
from snncc.integers import Population, Synapse
from snncc.plasticity import untaught
from snncc.program import Program
from snncc.rules import known

MODELS = Path(__file__).parents[2] / "models"
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
    assert isinstance(program, Program)
    changed = found.learnt.weights["synapses"] != untaught(program.network).weights["synapses"]
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
    assert "error[bad-option]: --neurons: 0 is not within 1 to 8,192" in said
    assert "error[bad-option]: --bits: 9 is not within 1 to 8" in said
    assert not (tmp_path / "x.onnx").exists()


@pytest.mark.parametrize("seed", [-1, 1 << 32])
def test_seeds_have_32_bits(seed: int, tmp_path: Path) -> None:
    said = f"error[bad-option]: --seed: {seed:,} is not within 0 to 4,294,967,295\n"
    assert called("new", "spikedyn", f"--seed={seed}", "-o", str(tmp_path / "x.onnx")) == (2, said)
    model, build = made(tmp_path, "spikedyn"), tmp_path / "build"
    assert called("compile", str(model), f"--seed={seed}", "-o", str(build)) == (2, said)
    assert not build.exists()


def test_a_layer_has_one_rule(tmp_path: Path) -> None:
    names = ("synapses", "reward"), ("synapses", "fspinn")
    with pytest.raises(CompileError) as caught:
        compile_model(made(tmp_path, "spikedyn"), learn=names)
    assert str(caught.value) == (
        "error[bad-option]: --learn: synapses is to learn by reward and by fspinn; it can have one rule\n"
        "  = hint: leave one of them out"
    )


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
            "  = hint: did you mean reward? known: diehl-cook, fspinn, pair-stdp, reward, spikedyn; "
            "or give the path of a .toml file",
        ),
    ],
)
def test_what_cannot_be_taught_is_named(learn: tuple[str, str], expected: str, tmp_path: Path) -> None:
    with pytest.raises(CompileError) as caught:
        compile_model(made(tmp_path, "spikedyn"), learn=[learn])
    assert str(caught.value) == expected


def test_targets_that_cannot_learn_say_so(tmp_path: Path) -> None:
    own = (chips.folder() / "loihi2.toml").read_text()
    (tmp_path / "mute.toml").write_text(re.sub(r'(?m)^    "learning",.*$|^simulated_learning.*$', "", own))
    with pytest.raises(CompileError) as caught:
        compile_model(made(tmp_path, "spikedyn", "--bits", "4"), tmp_path / "mute.toml")
    text = str(caught.value)
    assert "error[missing-capability]: synapses: needs learning, which loihi2 lacks" in text
    assert "error[missing-capability]: excitatory: needs learning, which loihi2 lacks" in text
    assert "compile without --learn, or choose a target that learns, as host and mesh64 do" in text


def test_loihi_s_own_learning_is_not_pretended(tmp_path: Path) -> None:
    """It learns in Lava's simulation: with a warning, with --stock-only not, and neither emulated nor estimated."""
    model = made(tmp_path, "spikedyn", "--bits", "4")
    how = "by a process model of snncc's own: in Lava's simulation on a computer, not on a Loihi's learning engine"
    weights, threshold = f"synapses: its weights learn {how}", f"excitatory: its threshold learns {how}"
    status, said = called("compile", str(model), "-t", "loihi2", "-o", str(tmp_path / "build"))
    assert status == 0, said
    assert f"warning[simulated-learning]: {weights}\n" in said
    assert f"warning[simulated-learning]: {threshold}\n" in said
    status, said = called("compile", str(model), "-t", "loihi2", "--stock-only", "-o", str(tmp_path / "b"))
    assert status == 2
    assert f"error[not-stock]: {weights}\n" in said
    assert f"error[not-stock]: {threshold}\n" in said
    status, said = called("compile", str(model), "-t", "loihi2", "--backend", "chip", "-o", str(tmp_path / "b"))
    assert status == 2
    hint = "  = hint: compile without --learn, or choose a target that learns, as host and mesh64 do\n"
    nothing = "loihi2 says nothing of learning on its cores: it has no table `learning`"
    assert f"error[cannot-learn]: synapses: its weights learn, and {nothing}\n{hint}" in said
    assert f"error[cannot-learn]: excitatory: its threshold learns, and {nothing}\n{hint}" in said
    assert called("estimate", str(tmp_path / "build")) == (
        2,
        "error[no-estimate]: loihi2: learns in Lava's simulation only: its file says nothing of what learning takes of "
        "its cores\n  = hint: choose a target that says it, as mesh64 does\n",
    )


def test_loihi_has_a_sign_for_a_whole_group(tmp_path: Path) -> None:
    """Inhibition beside weights of 8 bits is as fine as it is because all of it is negative."""
    model = tmp_path / "m.onnx"
    assert called("new", "spikedyn", "--neurons", "20", "-o", str(model))[0] == 0
    program = compile_model(model, "loihi2")
    assert isinstance(program, Program)
    lateral = program.network["lateral"]
    assert isinstance(lateral, Synapse)
    assert lateral.exponent == 7
    assert -255 <= lateral.map.weight.min() < -128
    assert lateral.map.weight.max() == 0


def test_what_loihi_1_cannot_learn_is_named(tmp_path: Path) -> None:
    """Synapses learn in its simulation too; neurons whose threshold learns it has none."""
    with pytest.raises(CompileError) as caught:
        compile_model(made(tmp_path, "spikedyn", "--bits", "4"), "loihi1")
    assert [(each.rule, each.where, each.severity) for each in caught.value.diagnostics] == [
        ("missing-capability", "excitatory", "error"),
        ("simulated-learning", "synapses", "warning"),
        ("simulated-learning", "excitatory", "warning"),
        ("not-stock", "excitatory", "error"),
    ]
    assert "needs microcode on Loihi, as Lava's LIF has no such neuron: its threshold learns;" in str(caught.value)
    program = compile_model(MODELS / "digits_stock.onnx", "loihi1", learn=[("fc2", "reward")])
    assert [each.rule for each in program.warnings if each.severity == "error"] == []


@pytest.mark.parametrize("kind", KINDS)
def test_an_emulated_chip_learns_the_reference_s_bits(kind: str, tmp_path: Path) -> None:
    x = (np.random.default_rng(3).random((3, 40, 25)) < np.linspace(0, 0.6, 25)).astype(np.uint8)
    program = compile_model(made(tmp_path, kind), "mesh64").write(tmp_path / "build")
    assert isinstance(program, Program)
    verdict = program.verify(x)
    assert verdict.equal, verdict.difference
    assert verdict.values > 25 * 6  # weights among them
    np.savez(tmp_path / "x.npz", x=x, y=np.array([0, 1, 1]))
    files = "--input", str(tmp_path / "x.npz"), "--test", str(tmp_path / "x.npz"), "-o", str(tmp_path / "run")
    status, said = called("learn", str(tmp_path / "build"), *files)
    assert status == 0, said
    assert "a sample takes" in said
    assert " uJ" in said or " nJ" in said
    assert b"energy on the chip" in (tmp_path / "run" / "report.html").read_bytes()
    spent = program.simulate(x).spent
    assert spent
    assert spent.joules
    assert spent.joules.parts["learning_change"] > 0


def test_what_learning_takes_is_estimated(tmp_path: Path) -> None:
    model = made(tmp_path, "spikedyn")
    x = (np.random.default_rng(3).random((3, 40, 25)) < 0.3).astype(np.uint8)
    np.savez(tmp_path / "x.npz", x=x, y=np.array([0, 1, 1]))
    data = str(tmp_path / "x.npz")
    how = "-t", "mesh64", "--samples", data, "--learn", "synapses=diehl-cook"
    status, said = called("estimate", str(model), *how)
    assert status == 0, said
    assert "of that, learning, change" in said
    assert called("compile", str(model), "-t", "mesh64", "-o", str(tmp_path / "build"))[0] == 0
    status, said = called("estimate", str(tmp_path / "build"), "--learn", "synapses=diehl-cook")
    assert status == 2
    assert "--learn" in said


@pytest.mark.parametrize(
    ("target", "fewer"), [("host", {"prune_neurons": 0.25}), ("mesh64", {}), ("mesh64", {"prune": 0.5})]
)
def test_the_last_layer_of_a_trained_network_learns(target: str, fewer: dict[str, Any]) -> None:
    with np.load(MODELS / "digits_dense.samples.npz") as whole:
        reward = np.random.default_rng(1).integers(-3, 4, (40, 16))
        samples = Data(whole["x"][:40], np.full(40, 16), whole["y"][:40], reward)
    program = compile_model(MODELS / "digits_dense.onnx", target, samples=samples, learn=[("fc2", "reward")], **fewer)
    assert isinstance(program, Program)
    assert not any(each.rule == "clipped-weights" for each in program.warnings)
    synapse = program.network["fc2"]
    assert isinstance(synapse, Synapse)
    assert synapse.plasticity
    assert (np.abs(synapse.map.weight).max(), synapse.plasticity.highest) == (127, 127)
    few = program.data(samples, limit=6)
    verdict = program.verify(few)
    assert verdict.equal, verdict.difference
    found = program.expected(frames(program.source, few), few.lengths, reward=few.reward).learnt
    assert found
    changed = found.weights["fc2"] != untaught(program.network).weights["fc2"]
    assert changed.mean() > 0.02, "hardly anything was learnt"
    accuracy = program.simulate(replace(samples, reward=None)).accuracy
    assert accuracy is not None, "its neurons stand for the classes that it was trained for"
    assert accuracy > 0.8


def test_weights_that_a_rule_does_not_reach_are_counted() -> None:
    program = compile_model(MODELS / "digits_dense.onnx", learn=[("fc2", "diehl-cook")])
    assert [str(each) for each in program.warnings if each.rule == "clipped-weights"] == [
        "warning[clipped-weights]: fc2: 665 of its 1,280 weights are below 0, where the rule's end: they begin there\n"
        "  = hint: take a rule whose weights have a sign: [weight] signed = true"
    ]


def bars(path: Path, samples: int, seed: int, *, labels: bool = True) -> str:
    """Pictures of 5 x 5 with one bright row: the upper or the lowest."""
    y = np.random.default_rng(seed).integers(0, 2, samples)
    x = np.zeros((samples, 5, 5), np.uint8)
    x[np.arange(samples), np.where(y, 4, 0)] = 255
    if labels:
        np.savez(path, x=x.reshape(samples, 25), y=y)
    else:
        np.savez(path, x=x.reshape(samples, 25))
    return str(path)


def test_learn_reports_and_goes_on(tmp_path: Path) -> None:
    assert called("compile", str(made(tmp_path, "spikedyn", "--steps", "40")), "-o", str(tmp_path / "build"))[0] == 0
    files = "--input", bars(tmp_path / "a.npz", 30, 1), "--test", bars(tmp_path / "b.npz", 20, 2)
    learn = ("learn", str(tmp_path / "build"), *files, "-o", str(tmp_path / "run"), "--rate", "1")
    status, said = called(*learn, "--dynamic", "--json")
    assert status == 0, said
    found = json.loads(said)
    assert (found["samples"], found["steps"]) == (30, 1200)
    assert [each["earlier"] is None for each in found["tests"]] == [True, False]
    assert found["tests"][0]["newest"] == 1.0
    assert found["operations"]["learning"]["samples"] == 30
    assert found["operations"]["testing"]["weight_changes"] == 0
    kept = {name: (tmp_path / "run" / name).read_bytes() for name in ("checkpoint.json", "report.html")}
    status, said = called(*learn, "--dynamic")
    assert status == 0, said
    assert "earlier classes" in said
    assert "a sample takes" not in said
    assert kept == {name: (tmp_path / "run" / name).read_bytes() for name in kept}
    page = kept["report.html"].decode()
    for words in ("Receptive fields of synapses", "Weights of synapses", "newest class", "weights computed anew"):
        assert words in page
    status, said = called(*learn, "--dynamic", "--test-every", "5")
    assert status == 2
    assert "error[bad-option]: --test-every: is given beside --dynamic" in said
    status, said = called(*learn)
    assert status == 2
    assert "checkpoint.json: is of other options: --dynamic True, not False" in " ".join(said.split())
    status, said = called(*learn[:-4], "-o", str(tmp_path / "other"))
    assert status == 0, said
    assert "newest" not in said


def test_freeze_writes_what_was_learnt_and_says_what_is_missing(tmp_path: Path) -> None:
    model, build, still = made(tmp_path, "spikedyn"), tmp_path / "build", tmp_path / "still"
    assert called("compile", str(model), "-o", str(build))[0] == 0
    run, data = tmp_path / "run", bars(tmp_path / "train.npz", 12, 1)
    status, said = called("freeze", str(build), "--run", str(run), "-o", str(still))
    assert (status, said) == (
        2,
        f"error[no-checkpoint]: {run}: is not there\n  = hint: learn first: snncc learn DIR -o {run}\n",
    )
    assert called("learn", str(build), "--input", data, "--test", data, "-o", str(run), "--steps", "20")[0] == 0
    (still / "mine").mkdir(parents=True)
    status, said = called("freeze", str(build), "--run", str(run), "-o", str(still))
    assert (status, said.splitlines()[0]) == (
        2,
        f"error[output-exists]: {still}: is there already and is no snncc artefact",
    )
    (still / "mine").rmdir()
    before = (build / "network.c").read_bytes()
    status, said = called("freeze", str(build), "--run", str(run), "-o", str(build))
    assert (status, said.splitlines()[0]) == (2, f"error[output-exists]: {build}: is the program that learns")
    assert (build / "network.c").read_bytes() == before
    status, said = called("freeze", str(build), "--run", str(run), "-o", str(still))
    assert status == 0, said
    assert said.splitlines()[-1] == f"wrote {still}; next: snncc verify {still} --input DATA.npz"
    status, said = called("verify", str(still), "--input", data, "--steps", "20", "--rate", "0.25", "--json")
    assert status == 0, said
    assert json.loads(said)["equal"]
    model = tmp_path / "learnt.onnx"
    status, said = called("freeze", str(build), "--run", str(run), "-o", str(model))
    far = "the run has learnt 12 samples\n"
    assert (status, said) == (0, f"{far}wrote {model}; next: snncc compile {model} -o DIR\n")
    assert called("compile", str(model), "--target", "loihi2", "-o", str(tmp_path / "loihi"))[0] == 0
    status, said = called("freeze", str(build), "--run", str(run), "-o", str(tmp_path / "named"), "--classes")
    assert status == 0, said
    assert "classes" in said
    save = tmp_path / "it.learnt"
    assert called("freeze", str(build), "--run", str(run), "-o", str(save)) == (0, f"{far}wrote {save}\n")
    assert save.read_bytes()[:8] == b"SNNCCLN2"
    status, said = called("freeze", str(still), "--run", str(run), "-o", str(tmp_path / "other"))
    none = "spikedyn: was compiled without anything that learns"
    assert (status, said.splitlines()[0]) == (2, f"error[cannot-freeze]: {none}")
    status, said = called("learn", str(still), "--input", data, "--test", data, "-o", str(tmp_path / "again"))
    assert (status, said) == (2, f"error[cannot-learn]: {none}\n  = hint: compile it with --learn LAYER=RULE\n")


def test_learn_says_what_is_missing(tmp_path: Path) -> None:
    assert called("compile", str(made(tmp_path, "spikedyn")), "-o", str(tmp_path / "build"))[0] == 0
    data = bars(tmp_path / "a.npz", 4, 1, labels=False)
    status, said = called(
        "learn", str(tmp_path / "build"), "--input", data, "--test", data, "-o", str(tmp_path / "run")
    )
    assert status == 2
    assert "error[bad-data]: --input, --test: has no labels y" in said
    assert not (tmp_path / "run").exists()


def test_verify_says_what_of_learning_differs(tmp_path: Path) -> None:
    """One learns otherwise than the reference that stands beside it: a weight's draw, a trace's jump."""
    x = (np.random.default_rng(3).random((1, 40, 25)) < 0.5).astype(np.uint8)
    np.savez(tmp_path / "x.npz", x=x)
    build = tmp_path / "build"
    for old, new, expected in (
        ("snn_mixed(2u * count + 1u)", "snn_mixed(2u * count + 7u)", "synapses: weight of synapse "),
        ("x[j] > 0 ? 4095 : value", "x[j] > 0 ? 4094 : value", "synapses, trace 1 of its sources: at neuron "),
    ):
        assert called("compile", str(made(tmp_path, "spikedyn")), "-o", str(build))[0] == 0
        code = (build / "network.c").read_text()
        assert old in code
        (build / "network.c").write_text(code.replace(old, new))
        status, said = called("verify", str(build), "--input", str(tmp_path / "x.npz"))
        assert (status, said.splitlines()[1].strip().startswith(expected)) == (1, True), said
        assert "spikes, membranes, outputs, traces and what was learnt compared" in said


def test_a_network_that_learns_is_to_be_learnt_next(tmp_path: Path) -> None:
    build = tmp_path / "build"
    said = called("compile", str(made(tmp_path, "spikedyn")), "-o", str(build))[1]
    assert said.splitlines()[-1] == f"wrote {build}; next: snncc learn {build} --input TRAIN.npz --test TEST.npz -o RUN"
    model = tmp_path / "spikedyn.onnx"
    files = "--input", str(model), "--test", str(model), "-o", str(tmp_path / "run")
    assert called("learn", str(model), *files)[1] == (
        f"error[not-an-artefact]: {model}: is a file, not the folder of a program\n"
        "  = hint: compile a model: snncc compile MODEL -o DIR\n"
    )
