"""What was learnt as a program that no longer learns: the same spikes, the same integers, and no weights that are 0."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from snncc import classics, compiler
from snncc.backends.base import Batch
from snncc.diagnostics import CompileError
from snncc.freezing import content, frozen, is_file, place_for
from snncc.importing import import_model
from snncc.integers import Learnt, Population, Synapse, learns
from snncc.layers import Affine, Neuron, Output
from snncc.passes.legalise import legalise
from snncc.plasticity import untaught
from snncc.program import Program
from snncc.semantics import frozen_network, run, run_float
from tests.test_training import SHAPE, program

SPIKES = (np.random.default_rng(5).random((6, 20, 16)) < np.linspace(0.0, 0.7, 16)).astype(np.uint8)


def made(kind: str, target: str) -> Program:
    found = compiler.compile(classics.make(kind, SHAPE), target)
    assert isinstance(found, Program)
    return found


def lately(taught: Program) -> Learnt:
    """Something learnt, of whose weights most are 0, and some are the greatest."""
    rng, begun = np.random.default_rng(7), untaught(taught.network)
    weights = {
        k: np.where(rng.random(w.shape) < 0.7, 0, rng.choice([9, 130, 255], w.shape)) for k, w in begun.weights.items()
    }
    return Learnt(60, weights, {k: rng.integers(0, 900, a.shape) for k, a in begun.adaptations.items()})


@pytest.mark.parametrize("target", ["host", "mesh64"])
@pytest.mark.parametrize("kind", ["spikedyn", "diehl-cook"])
def test_its_spikes_are_those_of_the_network_that_learnt(kind: str, target: str, tmp_path: Path) -> None:
    taught = made(kind, target)
    learnt = lately(taught)
    still = frozen(taught, learnt).write(tmp_path / "still")
    assert not learns(still.network)
    opened = compiler.open_program(tmp_path / "still")
    batch = Batch(SPIKES, np.array([20, 20, 7, 20, 1, 20]))
    with taught.placed() as folder:
        before = replace(batch, learnt=learnt, frozen=True)
        expected = taught.backend.run(folder, taught.network, taught.chip, before, True).trace
    found = opened.found(tmp_path / "still", batch, True).trace
    assert expected.spikes["excitatory"].any()
    for name, spikes in expected.spikes.items():
        np.testing.assert_array_equal(found.spikes[name], spikes)
        np.testing.assert_array_equal(found.membranes[name], expected.membranes[name])
    assert opened.verify(SPIKES).equal


@pytest.mark.parametrize("kind", ["spikedyn", "diehl-cook"])
def test_thresholds_of_a_chip_whose_own_have_fewer_bits_are_not_rounded(kind: str) -> None:
    taught = made(kind, "loihi2")
    learnt = lately(taught)
    learnt = replace(learnt, adaptations={name: a * 7 for name, a in learnt.adaptations.items()})
    network = frozen(taught, learnt).network
    before, after = taught.network["excitatory"], network["excitatory"]
    assert isinstance(before, Population)
    assert isinstance(after, Population)
    assert before.fire
    assert after.fire
    raised = after.fire.threshold - before.fire.threshold
    assert (raised % 64).any()
    np.testing.assert_array_equal(raised, learnt.adaptations["excitatory"])
    spikes = np.tile(SPIKES, (4, 1, 1))
    expected, found = (
        run(each, spikes, record=("excitatory",)) for each in (frozen_network(taught.network, learnt), network)
    )
    assert expected.spikes["excitatory"].any()
    np.testing.assert_array_equal(found.spikes["excitatory"], expected.spikes["excitatory"])
    np.testing.assert_array_equal(found.membranes["excitatory"], expected.membranes["excitatory"])


def test_weights_that_are_zero_are_not_stored() -> None:
    chip, host = (made("spikedyn", target) for target in ("mesh64", "host"))
    learnt = lately(chip)
    left = int(np.count_nonzero(learnt.weights["synapses"]))
    assert left < 128 * 0.4
    few = replace(learnt, weights={"synapses": learnt.weights["synapses"] * (np.arange(16) < 2)})
    stored, full = (frozen(chip, each).footprint() for each in (few, learnt))
    assert stored
    assert full
    assert stored.needed("synapses") < full.needed("synapses")
    code = frozen(host, few).files()["weights.c"].decode()
    assert "snn_synapses_first" in code
    assert "snn_synapses_first" not in host.files()["weights.c"].decode()
    synapse = frozen(host, learnt).network["synapses"]
    assert isinstance(synapse, Synapse)
    assert synapse.map.weight.dtype == np.int16


def test_thresholds_beyond_a_register_are_never_reached() -> None:
    taught = program()
    learnt = lately(taught)
    op = taught.network["excitatory"]
    assert isinstance(op, Population)
    assert op.fire
    assert op.adapt
    room = op.membrane.register.hi - int(op.fire.threshold)
    most = replace(op, adapt=replace(op.adapt, register=replace(op.adapt.register, hi=room + 9)))
    taught = replace(
        taught, network=type(taught.network)({**taught.network.ops, "excitatory": most}, taught.network.edges)
    )
    high = np.array([room - 1, room, room + 1, room + 9, 0, 5, 9, 100])
    still = frozen(taught, replace(learnt, adaptations={"excitatory": high})).network["excitatory"]
    assert isinstance(still, Population)
    assert still.fire
    assert not still.fire.inclusive
    end = op.membrane.register.hi
    assert (still.fire.threshold - end).tolist()[:4] == [-2, -1, 0, 0]
    assert (still.fire.threshold[4:] - op.fire.threshold).tolist() == [-1, 4, 8, 99]


def test_what_never_learnt_cannot_be_frozen(tmp_path: Path) -> None:
    taught = program()
    still = frozen(taught, lately(taught))
    with pytest.raises(CompileError) as caught:
        frozen(still, lately(taught))
    assert str(caught.value) == (
        "error[cannot-freeze]: spikedyn: was compiled without anything that learns\n"
        "  = hint: give the folder of a program that snncc learn has run"
    )


def test_a_model_of_it_learns_no_more_and_compiles_for_any_target(tmp_path: Path) -> None:
    taught = program()
    learnt = lately(taught)
    path = tmp_path / "learnt.onnx"
    path.write_bytes(content(taught, learnt, path))
    model = import_model(path)
    assert not model.learn
    assert model.steps == 20
    neuron, weight = model.graph["excitatory"], model.graph["synapses"]
    assert isinstance(neuron, Neuron)
    assert isinstance(weight, Affine)
    assert neuron.threshold is not None
    np.testing.assert_array_equal(np.rint(weight.weight * 255), learnt.weights["synapses"])
    op = taught.network["excitatory"]
    assert isinstance(op, Population)
    raised = (neuron.threshold - neuron.threshold.min()) * op.scale
    high = learnt.adaptations["excitatory"]
    np.testing.assert_allclose(raised, high - high.min(), atol=1e-6)
    expected = run(frozen(taught, learnt).network, SPIKES).outputs["output"].sum(axis=1)
    found = run_float(legalise(model.graph), SPIKES).outputs["output"].sum(axis=1)
    assert expected.any()
    np.testing.assert_array_equal(found, expected)
    again = compiler.compile(model, "loihi2")
    assert isinstance(again, Program)
    assert not learns(again.network)


def test_it_answers_with_classes_on_a_chip_and_as_a_model(tmp_path: Path) -> None:
    chip = made("spikedyn", "mesh64")
    learnt, names = lately(chip), (0, 1, 1, -1, 0, 2, 2, 2)
    still = frozen(chip, learnt, names=names).write(tmp_path / "still")
    assert compiler.open_program(tmp_path / "still").verify(SPIKES).equal
    (tmp_path / "m.onnx").write_bytes(content(chip, learnt, tmp_path / "m.onnx", names))
    found = still.simulate(SPIKES)
    again = run_float(legalise(import_model(tmp_path / "m.onnx").graph), SPIKES)
    np.testing.assert_array_equal(found.classes, again.outputs["class"][:, -1].argmax(axis=1))
    assert next(iter(import_model(tmp_path / "m.onnx").graph.of_kind(Output))) == "class", "the first output classifies"


def test_other_formats_are_refused() -> None:
    assert is_file(Path("m.onnx"))
    assert not is_file(Path("v1.2"))
    with pytest.raises(CompileError) as caught:
        is_file(Path("there/m.NIR"))
    assert str(caught.value) == (
        "error[unknown-format]: m.NIR: has the suffix '.nir'; "
        "what was learnt is written to .onnx and .learnt files and to folders\n"
        "  = hint: write an .onnx file, and turn that into others: snncc convert"
    )


def test_what_learns_is_not_replaced_by_what_learns_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build, run = tmp_path / "all" / "build", tmp_path / "all" / "run"
    program().write(build)
    program().write(tmp_path / "all" / "build" / "inner" / "older")
    run.mkdir()
    (tmp_path / "link").symlink_to(build)
    (tmp_path / "round").symlink_to(tmp_path / "round")
    monkeypatch.chdir(run)
    for output, why in (
        (build, "is the program that learns"),
        (tmp_path / "link", "is the program that learns"),
        (Path("../build"), "is the program that learns"),
        (build / "still", "lies in the program that learns"),
        (build / "inner" / "older", "lies in the program that learns"),
        (tmp_path / "all", "holds the program that learns"),
        (run, "is the run in which it learnt"),
    ):
        with pytest.raises(CompileError) as caught:
            place_for(output, build, run)
        assert str(caught.value) == (
            f"error[output-exists]: {output}: {why}\n"
            "  = hint: choose a folder beside it: a frozen program learns no more"
        )
    for output in (build / "learnt.onnx", run / "still", tmp_path / "still", tmp_path / "round"):
        place_for(output, build, run)
    with pytest.raises(CompileError, match=r"error\[cannot-write\].*: there is no folder"):
        place_for(tmp_path / "none" / "m.learnt", build, run)
