"""Classes out of neurons with names: the answers of a run's own tests, from the program alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from snncc.chip import load
from snncc.diagnostics import CompileError
from snncc.freezing import content, frozen
from snncc.integers import Output, Population, Synapse
from snncc.passes.naming import answering
from snncc.semantics import frozen_network, run
from snncc.spike_draws import encoded
from snncc.training import classified, learn
from tests.test_training import COURSE, patterns, program


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_highest_mean_of_the_neurons_of_a_class_wins(seed: int, tmp_path: Path) -> None:
    taught = program()
    at = learn(taught, patterns(20, seed), patterns(8, 9), COURSE, tmp_path)
    names = (0, 1, -1, 1, 3, 3, 3, 0)
    still = frozen(taught, at.learnt, names=names)
    test = patterns(40, 5)
    x = encoded(test.x / 255.0, np.arange(40), *COURSE.draws)
    trace = run(still.network, x)
    expected = classified(trace.outputs["output"].sum(axis=1), np.array(names), np.array([0, 1, 3]))
    assert next(iter(still.network.of_kind(Output))) == "class"
    np.testing.assert_array_equal(trace.outputs["class"][:, -1].argmax(axis=1), expected)
    found = still.simulate(still.data(x, y=expected))
    assert found.accuracy == 1.0


def test_weights_go_with_one_over_the_neurons_of_a_class(tmp_path: Path) -> None:
    taught = program()
    at = learn(taught, patterns(20, 1), patterns(8, 9), COURSE, tmp_path)
    network = frozen_network(taught.network, at.learnt)
    named = answering(network, (2, 0, 0, 0, 2, -1, -1, 4), load("host"))["to classes"]
    assert isinstance(named, Synapse)
    assert named.map.weight.tolist() == [
        [0, 2, 2, 2, 0, 0, 0, 0],
        [0] * 8,
        [3, 0, 0, 0, 3, 0, 0, 0],
        [0] * 8,
        [0, 0, 0, 0, 0, 0, 0, 6],
    ]


@pytest.mark.parametrize(("target", "shift"), [("host", 0), ("loihi2", 6)])
def test_sums_are_shifted_as_the_chip_shifts_them(target: str, shift: int, tmp_path: Path) -> None:
    taught = program()
    at = learn(taught, patterns(5, 1), patterns(8, 9), COURSE, tmp_path)
    sums = answering(frozen_network(taught.network, at.learnt), (0,) * 8, load(target))["classes"]
    assert isinstance(sums, Population)
    assert sums.input_shift == shift


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ((), "the run has not named its neurons yet\n  = hint: let the run come to its first test: --test-every"),
        (
            (1, 2),
            "the run named 2 neurons; excitatory has 8 that may fire\n"
            "  = hint: let the population that learns be the first output",
        ),
        ((-1,) * 8, "none of the neurons got a name: all were silent\n  = hint: learn more samples"),
        ((0,) * 7 + (4096,), "the highest class is 4,096; 4,095 is possible\n  = hint: number the classes from 0 on"),
    ],
)
def test_names_that_say_nothing_are_refused(names: tuple[int, ...], said: str) -> None:
    network = program().network
    with pytest.raises(CompileError) as caught:
        answering(network, names, load("host"))
    assert str(caught.value) == f"error[bad-option]: --classes: {said}"


def test_a_save_has_no_classes(tmp_path: Path) -> None:
    taught = program()
    at = learn(taught, patterns(20, 1), patterns(8, 9), COURSE, tmp_path)
    with pytest.raises(CompileError) as caught:
        content(taught, at.learnt, Path("m.learnt"), (0,) * 8)
    assert str(caught.value) == (
        "error[bad-option]: --classes: a save has no outputs\n"
        "  = hint: leave it out, or write a folder or an .onnx file"
    )
