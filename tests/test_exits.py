"""When a sample is decided: exactly when no future can change its class; and what cannot end early is refused."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import snncc
from snncc.cli import app
from snncc.diagnostics import CompileError
from snncc.exits import decided, rhythm
from snncc.integers import Decay, Fire, Membrane, Population, Register
from snncc.program import Program

MODELS = Path(__file__).parents[1] / "models"


def population(classes: int, most: int, refractory: int) -> Population:
    membrane = Membrane(Decay(np.asarray(0), 0, "floor"), Register(16, "saturate"))
    return Population((classes,), membrane, Fire(np.asarray(1), True, most), refractory=refractory)


def futures(classes: int, left: int, most: int, refractory: int) -> list[tuple[int, ...]]:
    """All sums of spikes that neurons can still reach, each on its own."""
    own = {0}
    for train in itertools.product(range(most + 1), repeat=left):
        fired = [step for step, count in enumerate(train) if count]
        if all(later - sooner > refractory for sooner, later in itertools.pairwise(fired)):
            own.add(sum(train))
    return list(itertools.product(sorted(own), repeat=classes))


@pytest.mark.parametrize(("most", "refractory"), [(1, 0), (2, 0), (1, 1), (2, 2)])
def test_a_sample_is_decided_when_no_future_can_change_its_class(most: int, refractory: int) -> None:
    """Three classes, all counts up to 5, up to four steps to come."""
    neurons = population(3, most, refractory)
    counts = np.array(list(itertools.product(range(6), repeat=3)))
    for left in range(5):
        ends = np.array(futures(3, left, most, refractory))
        classes = (counts[:, None] + ends[None]).argmax(axis=2)
        certain = (classes == classes[:, :1]).all(axis=1)
        assert np.array_equal(decided(counts, np.full(len(counts), left), neurons), certain)
    assert rhythm(neurons) == (most, 1 + refractory)


def test_one_class_is_decided_at_once() -> None:
    assert decided(np.array([[0]]), np.array([9]), population(1, 1, 0)).tolist() == [True]


@pytest.fixture(scope="module", params=["host", "mesh64"])
def program(request: pytest.FixtureRequest) -> Program:
    given = MODELS / "digits_dense.onnx", request.param
    found = snncc.compile(*given, samples=MODELS / "digits_dense.samples.npz", early_exit=True)
    assert isinstance(found, Program)
    return found


def test_a_shipped_model_takes_fewer_steps_and_keeps_its_classes(program: Program, tmp_path: Path) -> None:
    data = program.data(MODELS / "digits_dense.npz", limit=60)
    found, whole = program.simulate(data), program.simulate(data, record=True)
    assert np.array_equal(found.classes, whole.classes)
    taken = {each.key: each.value for each in found.readings}["steps_taken"]
    assert 8 < taken < 14
    assert "steps_taken" not in {each.key for each in whole.readings}
    assert program.verify(data.part(0, 10)).equal
    if found.spent:
        assert whole.spent
        assert found.spent.joules
        assert whole.spent.joules
        assert found.spent.steps == pytest.approx(taken + whole.spent.steps - 16)
        assert found.spent.joules.value < 0.95 * whole.spent.joules.value
        assert found.spent.cycles < whole.spent.cycles
    program.write(tmp_path / "p")
    opened = snncc.open_program(tmp_path / "p")
    assert np.array_equal(opened.simulate(data).scores, found.scores)


def test_the_code_says_it_to_who_calls_it(program: Program) -> None:
    header = program.files().get("network.h", b"").decode()
    assert ("snn_decide" in header) == (program.backend.name == "c")
    assert ("#define SNN_CLASSES 10u" in header) == (program.backend.name == "c")


RUN = CliRunner()
REFUSED = [
    (
        "vowels_rnn",
        ["--target", "host"],
        "error[early-exit]: y: reads membranes (decoder: max), which one step can change by any amount\n"
        "  = hint: train with a read-out of spikes that are counted, or leave out --early-exit",
    ),
    (
        "digits_dense",
        ["--decoder", "last"],
        "error[early-exit]: y: reads spikes, but its decoder is last; only counts are decided early\n"
        "  = hint: compile with --decoder count, or leave out --early-exit",
    ),
    (
        "digits_dense",
        ["--target", "loihi2"],
        "error[bad-option]: --early-exit: the lava backend runs every sample to its end\n"
        "  = hint: leave it out, or choose another target or --backend",
    ),
    (
        "digits_odin",
        ["--target", "tinyodin"],
        "error[bad-option]: --early-exit: tinyodin runs every sample to its end\n  = hint: leave it out",
    ),
]


@pytest.mark.parametrize(("name", "options", "says"), REFUSED)
def test_what_cannot_end_early_is_refused(name: str, options: list[str], says: str, tmp_path: Path) -> None:
    words = ["compile", str(MODELS / f"{name}.onnx"), "-o", str(tmp_path / "p"), "--early-exit", *options]
    result = RUN.invoke(app, words)
    assert result.exit_code == 2
    assert says in result.stderr
    assert not (tmp_path / "p").exists()


def test_an_artefact_that_promises_what_it_cannot_do_is_refused(tmp_path: Path) -> None:
    snncc.compile(MODELS / "vowels_rnn.onnx").write(tmp_path / "p")
    path = tmp_path / "p" / "reference" / "artefact.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps({**manifest, "early_exit": True}))
    with pytest.raises(CompileError) as caught:
        snncc.open_program(tmp_path / "p")
    assert [each.rule for each in caught.value.diagnostics] == ["early-exit"]
