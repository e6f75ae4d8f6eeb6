"""Tests of compiled programs: every shipped model gives the reference's bits, and keeps its accuracy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import snncc

MODELS = Path(__file__).parents[1] / "models"
NAMES = sorted(path.stem for path in MODELS.glob("*.onnx"))


def test_dense_residual_recurrent_and_convolutional_models_are_shipped() -> None:
    assert {"digits_dense", "digits_resnet", "fashion_conv", "vowels_rnn"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_model_verifies_and_keeps_its_classes(name: str) -> None:
    program = snncc.compile(MODELS / f"{name}.onnx", samples=MODELS / f"{name}.samples.npz")
    data = program.data(MODELS / f"{name}.npz", limit=60)
    verdict = program.verify(data)
    assert verdict.equal, str(verdict.difference)
    reference = snncc.simulate_float(snncc.import_model(MODELS / f"{name}.onnx"), data)
    assert np.mean(program.simulate(data).classes == reference.classes) >= 0.9


@pytest.mark.slow
@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_model_verifies_over_its_whole_test_file(name: str, bits: int) -> None:
    samples = MODELS / f"{name}.samples.npz"
    program = snncc.compile(MODELS / f"{name}.onnx", samples=samples, weight_bits=bits)
    verdict = program.verify(MODELS / f"{name}.npz")
    assert verdict.equal, str(verdict.difference)


@pytest.mark.parametrize("name", ["digits_dense", "vowels_rnn"])
def test_no_sample_is_told_wherever_it_is_run(name: str) -> None:
    model = snncc.import_model(MODELS / f"{name}.onnx")
    program = snncc.compile(MODELS / f"{name}.onnx")
    none = program.data(MODELS / f"{name}.npz", limit=0)
    runs = (
        lambda: program.simulate(none),
        lambda: program.simulate(none, record=True),
        lambda: program.verify(none),
        lambda: snncc.simulate_float(model, none),
        lambda: program.data(none.x),
    )
    for each in runs:
        with pytest.raises(snncc.CompileError, match="x holds no sample"):
            each()


def test_a_written_program_reads_back_and_gives_the_same(tmp_path: Path) -> None:
    program = snncc.compile(MODELS / "digits_dense.onnx").write(tmp_path / "out")
    again = snncc.open_program(tmp_path / "out")
    assert again.files() == program.files()
    data = MODELS / "digits_dense.npz"
    assert again.simulate(data).scores.tolist() == program.simulate(data).scores.tolist()


def test_arrays_are_taken_as_files_are() -> None:
    program = snncc.compile(MODELS / "digits_dense.onnx")
    with np.load(MODELS / "digits_dense.npz") as file:
        data = program.data(file["x"], y=file["y"], limit=5)
    assert program.simulate(data).samples == 5


def test_data_that_are_complete_take_nothing_beside_them() -> None:
    program = snncc.compile(MODELS / "digits_dense.onnx")
    path = MODELS / "digits_dense.npz"
    data = program.data(path, limit=3)
    assert program.data(data, limit=2).lengths.tolist() == data.lengths[:2].tolist()
    with pytest.raises(snncc.CompileError) as caught:
        program.data(data, steps=2, lengths=[1, 2, 3], y=[0, 0, 0])
    said = (
        "is given beside the data, which say it themselves\n  = hint: leave it out, or give the array x in their place"
    )
    assert str(caught.value) == "\n".join(f"error[bad-option]: {name}: {said}" for name in ("steps", "lengths", "y"))
    with pytest.raises(snncc.CompileError, match="y: is given beside the file, which say it themselves"):
        program.data(path, y=[0, 0, 0])


def test_data_of_another_network_are_refused() -> None:
    data = snncc.compile(MODELS / "digits_dense.onnx").data(MODELS / "digits_dense.npz", limit=3)
    with pytest.raises(snncc.CompileError, match=r"bad-data.*this network needs \(samples, 12\)"):
        snncc.compile(MODELS / "vowels_rnn.onnx").data(data)


def test_an_imported_model_compiles_as_its_file_does() -> None:
    path = MODELS / "digits_dense.onnx"
    model = snncc.import_model(path)
    assert snncc.compile(model).files() == snncc.compile(path).files()
    with pytest.raises(snncc.CompileError, match=r"bad-option.*states: is given beside a model that is imported"):
        snncc.compile(model, states=[("a", "b")])


def test_steps_are_for_static_input_alone() -> None:
    model = snncc.import_model(MODELS / "vowels_rnn.onnx")
    program = snncc.compile(MODELS / "vowels_rnn.onnx", steps=40)
    for data in (program.data, lambda x, steps: snncc.model_data(model, x, steps=steps)):
        with pytest.raises(snncc.CompileError, match=r"bad-option.*--steps: is for static input; x has .* its own, 29"):
            data(MODELS / "vowels_rnn.npz", steps=5)
    assert program.data(MODELS / "vowels_rnn.npz").x.shape[1] == 29


def test_samples_of_different_lengths_are_independent() -> None:
    program = snncc.compile(MODELS / "vowels_rnn.onnx", samples=MODELS / "vowels_rnn.samples.npz")
    data = program.data(MODELS / "vowels_rnn.npz", limit=4)
    together = program.simulate(data).scores
    alone = [program.simulate(data.part(k, k + 1)).scores[0] for k in range(4)]
    assert together.tolist() == [each.tolist() for each in alone]


def test_what_a_chip_cannot_do_is_told_with_what_its_cores_cannot_hold(tmp_path: Path) -> None:
    small = tmp_path / "small.toml"
    shipped = (MODELS.parent / "targets" / "loihi1.toml").read_text()
    small.write_text(shipped.replace("axons_in = { value = 4096", "axons_in = { value = 50"))
    with pytest.raises(snncc.CompileError) as caught:
        snncc.compile(MODELS / "digits_dense.onnx", small, backend="chip")
    told = [(each.rule, each.where) for each in caught.value.diagnostics if each.severity == "error"]
    lacking = [("missing-capability", "lif1"), ("missing-capability", "lif2")]
    assert told == [*lacking, ("too-many-axons-in", "lif2")]
    for method in ("auto", "sequential"):
        with pytest.raises(snncc.CompileError) as caught:
            snncc.compile(MODELS / "digits_dense.onnx", "loihi1", backend="chip", partition=method)
        assert [each.where for each in caught.value.diagnostics if each.severity == "error"] == ["lif1", "lif2"]
