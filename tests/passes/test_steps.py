"""The fewest steps: what was allowed is not exceeded, the choice is exact, and every backend takes the program."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import snncc
from snncc.cli import app
from snncc.compiler import compiled
from snncc.data import Data
from snncc.diagnostics import CompileError
from snncc.explanation import explain
from snncc.importing import import_model, model_data
from snncc.layers import Linear, Neuron
from snncc.pace import Adapted, FewerSteps, Pace
from snncc.passes.legalise import legalise
from snncc.passes.steps import Found, Wanted, _fewest, _loss, _trials, fewer_steps, taking, wanted
from snncc.preparation import Choices, settled
from snncc.program import Program
from snncc.semantics import run_float
from tests.passes.float_nets import net, random_net

MODELS = Path(__file__).parents[2] / "models"
VOWELS, SAMPLES = MODELS / "vowels_rnn.onnx", MODELS / "vowels_rnn.samples.npz"


@pytest.fixture(scope="module")
def vowels() -> Program:
    program = snncc.compile(VOWELS, "host", samples=SAMPLES, steps="auto")
    assert isinstance(program, Program)
    return program


def test_a_long_sequence_takes_half_of_its_steps_or_less(vowels: Program) -> None:
    """The bar: with two points of loss allowed, at least two times fewer; on the test set as on the samples."""
    model = import_model(VOWELS)
    assert vowels.fewer
    assert vowels.steps == vowels.fewer.steps
    assert 2 * vowels.fewer.steps <= vowels.fewer.of == model.steps
    before, after = vowels.fidelity
    assert before.accuracy is not None
    assert after.accuracy is not None
    assert before.accuracy - after.accuracy <= 0.02
    graph, test = legalise(model.graph), model_data(model, MODELS / "vowels_rnn.npz")
    read = taking(test, graph, vowels.fewer)
    assert 2 * read.lengths.sum() <= test.lengths.sum()
    trials = _trials(graph, test, model.decoder, 29)
    assert _loss(trials, vowels.fewer) <= 2.0


def test_the_artefact_reads_files_at_its_own_pace(vowels: Program, tmp_path: Path) -> None:
    written = vowels.write(tmp_path / "program")
    opened = snncc.open_program(tmp_path / "program")
    assert opened.fewer == vowels.fewer
    assert b"A SAMPLE'S STEPS ARE NOT ALL READ: for the model's 29, the first of every 5" in vowels.files()["network.h"]
    test = MODELS / "vowels_rnn.npz"
    data = opened.data(test, limit=30)
    assert vowels.fewer
    assert data.pace == vowels.fewer.pace
    assert data.x.shape[1] == -(-29 // vowels.fewer.pace.every)
    assert opened.verify(test).equal
    raw = model_data(import_model(VOWELS), test, limit=30)
    assert np.array_equal(written.simulate(raw).classes, opened.simulate(data).classes)


def test_where_accuracy_went_says_what_fewer_steps_cost(vowels: Program) -> None:
    model, test = import_model(VOWELS), MODELS / "vowels_rnn.npz"
    whole = model_data(model, test)
    found = explain(vowels, model, vowels.data(test), whole=whole)
    assert [each.stage for each in found.stages] == ["float", "fewer steps", "rlif1", "syn2", "li3"]
    assert found.stages[0].accuracy == snncc.simulate_float(model, whole).accuracy
    assert found.stages[-1].accuracy == vowels.simulate(test).accuracy
    assert found.stages[1].changed > 0


def test_on_a_mesh_it_is_the_same_network(vowels: Program) -> None:
    choices = Choices(steps=Found(vowels.fewer, None, 0.0, 29, 2.0))
    mesh = compiled(import_model(VOWELS), snncc.chip.load("mesh64"), choices, SAMPLES)
    test = MODELS / "vowels_rnn.npz"
    assert np.array_equal(
        mesh.simulate(mesh.data(test, limit=40)).classes, vowels.simulate(vowels.data(test, limit=40)).classes
    )
    assert mesh.verify(mesh.data(test, limit=10)).equal


def test_static_input_takes_fewer_too() -> None:
    """Adapted neurons keep within three steps what those that stay lose: 16 steps were trained."""
    model = import_model(MODELS / "digits_stock.onnx")
    graph, samples = legalise(model.graph), model_data(model, MODELS / "digits_stock.samples.npz")
    found = fewer_steps(graph, samples, "count", 16, Wanted(3))
    assert found.fewer
    assert (found.fewer.steps, found.fewer.of, found.fewer.pace) == (3, 16, Pace())
    assert found.accuracy
    assert found.accuracy[0] - found.accuracy[1] <= 0.02
    trials = _trials(graph, samples, "count", 16)
    assert _loss(trials, FewerSteps(16, 3)) > 10
    assert fewer_steps(graph, samples, "count", 16, Wanted(3)).fewer == found.fewer


def test_sums_are_exact_in_any_order() -> None:
    """Inputs and neurons in another order change no score."""
    graph = random_net(5, 40, 30, 6)
    x = np.random.default_rng(1).random((20, 7, 40))
    data = Data(x, np.full(20, 7))
    order, inner = (np.random.default_rng(seed).permutation(count) for seed, count in ((2, 40), (3, 30)))
    first, second = graph["w0"], graph["w1"]
    assert isinstance(first, Linear)
    assert isinstance(second, Linear)
    turned = net(first.map.weight[inner][:, order], second.map.weight[:, inner])
    fewer = FewerSteps(7, 4, 2.0, Pace(2, "largest"), (Adapted("p0", 1.25, 2**0.5),))
    one, other = (
        _trials(each, replace(data, x=values), "count", 7) for each, values in ((graph, x), (turned, x[:, :, order]))
    )
    assert np.array_equal(one.reference, other.reference)
    assert np.array_equal(one.scores(fewer), other.scores(fewer))


def test_trials_are_of_the_network_itself() -> None:
    graph = random_net(5, 40, 30, 6)
    x = np.random.default_rng(1).random((20, 7, 40)).astype(np.float32)
    trials = _trials(graph, Data(x, np.full(20, 7)), None, 7)
    counts = run_float(graph, x).outputs["y"].sum(axis=1)
    assert np.abs(trials.reference / trials.reference.max() - counts / counts.max()).max() < 0.1
    assert np.mean(trials.reference.argmax(axis=1) == counts.argmax(axis=1)) > 0.9


@pytest.mark.parametrize("last", range(-1, 9))
def test_the_fewest_are_found_by_halves(last: int) -> None:
    counts = list(range(20, 11, -1))
    tried: list[int] = []

    def good(steps: int) -> bool:
        tried.append(steps)
        return steps >= 20 - last

    assert _fewest(counts, good) == (None if last < 0 else 20 - last)
    assert len(tried) <= 4


def test_without_labels_it_is_classes_that_may_change() -> None:
    model = import_model(MODELS / "digits_dense.onnx")
    graph = legalise(model.graph)
    samples = replace(model_data(model, MODELS / "digits_dense.samples.npz"), y=None)
    found = fewer_steps(graph, samples, "count", 16, Wanted(None), 3.0)
    assert found.fewer
    assert found.fewer.steps < 8
    assert found.accuracy is None
    assert 0 < found.changed <= 0.03


def test_nothing_is_promised_that_cannot_be_had() -> None:
    graph = net(np.eye(2, dtype=np.float32), neuron=Neuron((), np.asarray(1.0), np.asarray(3.5)))
    x = np.zeros((2, 4, 2))
    x[0, :, 0] = x[1, :, 1] = 1  # each needs all four steps to fire: one would need other neurons than these
    data = Data(np.tile(x, (50, 1, 1)), np.full(100, 4), np.tile([0, 1], 50))
    hard = fewer_steps(graph, data, None, 4, Wanted(None), 0.0)
    assert hard.fewer
    assert hard.accuracy == (1.0, 1.0)
    assert str(next(Found(None, None, 0.0, 4, 2.0).warnings())) == (
        "warning[fewer-steps]: --steps: every number tried below 4 loses more than 2 points on the samples: all are "
        "taken\n  = hint: allow more with --loss POINTS, or train with fewer steps"
    )


def no_loss_seen(y: np.ndarray | None, count: int = 100, loss: float = 2.0, of: int = 1) -> list[str]:
    """What is said of samples of two classes, one neuron for each; `of` scales the inputs."""
    graph = net(np.eye(2, dtype=np.float32), neuron=Neuron((), np.asarray(1.0), np.asarray(1.0)))
    x = np.zeros((count, 3, 2))
    x[np.arange(count), :, np.arange(count) % 2] = of
    with pytest.raises(CompileError) as caught:
        fewer_steps(graph, Data(x, np.full(count, 3), y), None, 3, Wanted(None), loss)
    return str(caught.value).split("\n")


def test_samples_that_show_no_loss_are_refused() -> None:
    """Each would have let a single step pass."""
    true = np.arange(100) % 2
    assert no_loss_seen(true[:20], 20, 4.0) == [
        "error[few-samples]: --steps: a loss of 4 points cannot be seen on 20 samples: it takes 25",
        "  = hint: give more samples, allow more with --loss 5, or say how many steps: --steps auto:N",
    ]
    assert no_loss_seen(None, 1) == [
        "error[few-samples]: --steps: a loss of 2 points cannot be seen on 1 sample: it takes 50",
        "  = hint: give more samples, or say how many steps: --steps auto:N",
        "error[few-samples]: --steps: the model decides the class 0 for all samples, which takes no steps to tell",
        "  = hint: give samples of all classes, with their labels in y, scaled as in training; or --steps auto:N",
    ]
    assert no_loss_seen(1 - true) == [
        "error[few-samples]: --steps: the model is right on 0 of 100 samples, and class 0 for all would be on 50: no "
        "loss shows on them",
        "  = hint: give samples of all classes, with their labels in y, scaled as in training; or --steps auto:N",
    ]
    assert no_loss_seen(true, of=0)[0] == (
        "error[few-samples]: --steps: the model is right on 50 of 100 samples, and class 0 for all would be on 50: no "
        "loss shows on them"
    )
    assert no_loss_seen(true + 1) == [
        "error[bad-data]: y: y holds the class 2; the output y has 2 neurons",
        "  = hint: classes count from 0, one for each neuron of the output",
    ]


@pytest.mark.parametrize(("loss", "shown"), [("2", "'2'"), (True, "True"), (100.0, "100"), (float("inf"), "inf")])
def test_what_is_no_loss_is_refused(loss: object, shown: str) -> None:
    with pytest.raises(CompileError) as caught:
        snncc.compile(MODELS / "digits_dense.onnx", steps="auto", loss=loss)  # type: ignore[arg-type]
    assert str(caught.value) == (
        f"error[fewer-steps]: --loss: is {shown}; points of accuracy lie in 0..100\n  = hint: give 2, say"
    )


def test_what_the_option_says() -> None:
    assert [wanted(each) for each in (None, 8, "8", " auto ", "auto:3")] == [None, 8, 8, Wanted(None), Wanted(3)]
    assert [wanted(each) for each in ("0" * 5000 + "4", "auto:" + "0" * 9 + "12")] == [4, Wanted(12)]
    for text in ("0", "auto:0", "auto:", "fast", "-3", "99999999999999999999", "auto:9999999", "\uff11"):
        with pytest.raises(CompileError) as caught:
            wanted(text)
        assert str(caught.value) == (
            f"error[fewer-steps]: --steps: is {text!r}; a number of steps lies in 1..1,000,000\n"
            "  = hint: give a number of steps; or auto, for as few as samples allow; or auto:N, for N with adapted "
            "neurons"
        )


def test_choices_are_settled_once() -> None:
    model, samples = import_model(MODELS / "digits_dense.onnx"), MODELS / "digits_dense.samples.npz"
    choices = settled(model, Choices(steps="auto:4"), samples)
    assert isinstance(choices.steps, Found)
    assert settled(model, choices, samples) is choices
    host = snncc.chip.load("host")
    one, other = (compiled(model, host, each, samples).files() for each in (Choices(steps="auto:4"), choices))
    assert one == other


RUN = CliRunner()
REFUSED = [
    (["--steps", "auto"], "error[samples-needed]: --steps: neurons are adapted to fewer steps on samples"),
    (["--steps", "auto:17"], "error[fewer-steps]: --steps: asks for 17 steps; the model has 16"),
    (["--steps", "auto", "--loss", "-1"], "error[fewer-steps]: --loss: is -1; points of accuracy lie in 0..100"),
    (["--steps", "auto", "--loss", "nan"], "error[fewer-steps]: --loss: is nan; points of accuracy lie in 0..100"),
    (["--loss", "1"], "error[bad-option]: --loss: is for --steps auto, which is not given = hint: leave it out"),
    (["--loss", "1", "--steps", "auto:4"], "error[bad-option]: --loss: is for --steps auto, which is not given"),
    (["--steps", "auto", "--loss", "101"], "error[fewer-steps]: --loss: is 101; points of accuracy lie in 0..100"),
    (["--steps", "soon"], "error[fewer-steps]: --steps: is 'soon'; a number of steps lies in 1..1,000,000"),
]


@pytest.mark.parametrize(("options", "says"), REFUSED)
def test_the_command_line_says_what_is_wrong(options: list[str], says: str, tmp_path: Path) -> None:
    given = [] if options == ["--steps", "auto"] else ["--samples", str(MODELS / "digits_dense.samples.npz")]
    words = ["compile", str(MODELS / "digits_dense.onnx"), "-o", str(tmp_path / "p"), *given, *options]
    result = RUN.invoke(app, words)
    assert result.exit_code == 2
    assert says in " ".join(result.stderr.split())
    assert not (tmp_path / "p").exists()


def test_the_command_line_shows_what_was_done(tmp_path: Path) -> None:
    samples, model = (str(MODELS / f"digits_dense.{end}") for end in ("samples.npz", "onnx"))
    words = ["compile", model, "-o", str(tmp_path / "p"), "--samples", samples, "--steps", "auto:4"]
    shown = RUN.invoke(app, words).stdout
    assert "4 steps for the model's 16" in shown
    assert "1 step for the model's 16" in RUN.invoke(app, [*words[:-1], "auto:1"]).stdout
    assert "in floats, 4 steps" in shown
    plain = json.loads(RUN.invoke(app, [*words, "--json"]).stdout)
    assert plain["fewer"]["of"] == 16
    assert list(itertools.pairwise(each["stage"] for each in plain["fidelity"])) == [
        ("in floats, 16 steps", "in floats, 4 steps")
    ]
