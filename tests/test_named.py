"""What neurons were named for goes from a run into the frozen program, which then answers as the run's test did."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from snncc import classics, compiler
from snncc.artefact import read
from snncc.checkpoints import named_in
from snncc.data import Data
from snncc.diagnostics import CompileError
from snncc.estimation import estimate
from snncc.freezing import frozen
from snncc.importing import simulate_float
from snncc.named import UNNAMED, Named
from snncc.plasticity import untaught
from snncc.program import Program
from snncc.spike_draws import encoded
from snncc.training import learn
from tests.test_training import COURSE, SHAPE, patterns, program

NAMED = Named((3, 7, -1, 3, -1, -1, -1, 7), (1, 3, 7))


def spiking(data: Data) -> Data:
    x = encoded(data.x / 255.0, np.arange(len(data.x)), *COURSE.draws)
    assert data.y is not None
    return Data(x, data.lengths, 3 + 6 * data.y)  # classes that no neuron has the number of


def test_a_frozen_program_answers_as_the_run_did(tmp_path: Path) -> None:
    train, test = spiking(patterns(12, 1)), spiking(patterns(20, 2))
    taught = program()
    at = learn(taught, train, test, replace(COURSE, dynamic=False), tmp_path / "run")
    still = frozen(taught, at.learnt, named=named_in(at)).write(tmp_path / "still")
    found = compiler.open_program(tmp_path / "still")
    assert found.named == still.named == Named(at.exams[-1].names, (3, 9))
    run = found.simulate(test)
    assert run.accuracy == at.exams[-1].overall
    assert set(run.classes.tolist()) <= {3, 9}
    assert estimate(still, test).accuracy == run.accuracy
    for unknown in (frozen(taught, at.learnt), taught):
        assert unknown.judging == UNNAMED
        assert unknown.simulate(test).accuracy is None
        assert estimate(unknown, test).accuracy is None
    assert named_in(replace(at, exams=())) == UNNAMED
    assert frozen(taught, at.learnt, names=at.exams[-1].names).named is None, "it answers with classes itself"


def test_programs_for_lava_say_no_accuracy_of_neurons_that_are_no_classes() -> None:
    taught = compiler.compile(classics.make("spikedyn", SHAPE), "loihi2")
    assert isinstance(taught, Program)
    still = frozen(taught, untaught(taught.network))
    for made, judged in ((taught, False), (still, False), (replace(still, named=None), True)):
        code = made.files()["run.py"].decode()
        assert ("argmax(axis=1) == labels" in code, "no accuracy: the number" in code) == (judged, not judged)


def test_a_model_that_is_to_learn_has_no_accuracy_before() -> None:
    data = spiking(patterns(4, 2))
    assert simulate_float(classics.make("spikedyn", SHAPE), data).accuracy is None


def test_classes_are_those_whose_neurons_spike_most() -> None:
    scores = np.array([[1, 0, 9, 0, 0, 0, 0, 0], [0, 2, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0, 0]])
    found = NAMED.answers(scores)
    assert found is not None
    assert found.tolist() == [3, 7, 1]
    assert UNNAMED.answers(scores) is None


@pytest.mark.parametrize(
    ("named", "why"),
    [
        (Named(NAMED.neurons[:7], NAMED.classes), "names 7 neurons; the first output has 8"),
        (Named(NAMED.neurons, ()), "names neurons, and has no classes"),
        (replace(NAMED, classes=tuple(range(20_000))), "has 20,000 classes; 16,384 are possible"),
        (replace(NAMED, classes=(7, 3, 1)), "has classes that are not in order"),
        (replace(NAMED, classes=(3, 3, 7)), "has classes that are not in order"),
        (replace(NAMED, classes=(-1, 3, 7)), "has classes that are not in order"),
        (replace(NAMED, classes=(1, 3, 1 << 62)), "has classes that are not in order"),
        (replace(NAMED, classes=(1, 3)), "names neurons for classes that there are not"),
        (Named((0.5,) * 8, (1,)), "named.neurons: '0.5' does not belong there"),  # type: ignore[arg-type]
    ],
)
def test_names_of_a_folder_are_checked(named: Named, why: str, tmp_path: Path) -> None:
    still = frozen(program(), untaught(program().network), named=NAMED)
    assert read(still.write(tmp_path / "good").folder or tmp_path)[3] == NAMED
    folder = replace(still, named=named).write(tmp_path / "bad").folder
    assert folder
    with pytest.raises(CompileError) as caught:
        read(folder)
    assert f"error[damaged-artefact]: reference/network.json: {why}" in str(caught.value).splitlines()
    plain = json.loads((folder / "reference" / "network.json").read_text())
    assert plain["named"]["kind"] == "Named"
