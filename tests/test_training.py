"""Learning from a stream: naming neurons, tests after each class, and checkpoints that survive a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from snncc import classics, compiler, training
from snncc.analysis.costs import Took
from snncc.checkpoints import CHECKPOINT, Exam
from snncc.courses import Course
from snncc.data import Data
from snncc.diagnostics import CompileError
from snncc.integers import Network, Source
from snncc.plasticity import untaught
from snncc.program import Program
from snncc.semantics import run
from snncc.spike_draws import encoded
from snncc.training import classified, learn, neuron_classes

SHAPE = classics.Shape(16, 8, steps=20, threshold=100.0)
COURSE = Course(steps=20, rate=0.5, dynamic=True, named=4, batch=5)


def program(seed: int = 0) -> Program:
    made = compiler.compile(classics.make("spikedyn", replace(SHAPE, seed=seed)))
    assert isinstance(made, Program)
    return made


def patterns(samples: int, seed: int) -> Data:
    """Two classes: the upper or the lower half is bright."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, samples)
    x = np.where((np.arange(16) < 8)[None] == (y == 0)[:, None], 230, 5).astype(np.uint8)
    return Data(x, np.full(samples, 20), y)


def test_two_patterns_are_told_apart(tmp_path: Path) -> None:
    at = learn(program(), patterns(40, 1), patterns(30, 2), COURSE, tmp_path)
    assert at.position == 40
    assert at.learnt.steps == 40 * 20
    assert [exam.newest for exam in at.exams] == [0, 1]
    assert at.exams[0].earlier is None
    assert at.exams[-1].overall == 1.0
    rows, rest = divmod(at.learning.weight_changes, 16)
    assert rest == 0
    assert 2 * 40 <= rows < 40 * (4 + 1) * 8 // 2  # of neurons that spiked, every five steps and once a sample
    assert at.testing.weight_changes == 0


def test_it_learns_what_the_reference_learns(tmp_path: Path) -> None:
    made, train = program(), patterns(12, 1)
    at = learn(made, train, patterns(4, 2), replace(COURSE, dynamic=False), tmp_path)
    x = encoded(np.clip(train.x / 255.0, 0, 1), np.arange(12), *COURSE.draws)
    expected = run(made.network, x).learnt
    assert expected
    np.testing.assert_array_equal(expected.weights["synapses"], at.learnt.weights["synapses"])
    np.testing.assert_array_equal(expected.adaptations["excitatory"], at.learnt.adaptations["excitatory"])


def test_a_chip_of_many_cores_learns_the_same_and_says_what_it_takes(tmp_path: Path) -> None:
    made, course = program(), replace(COURSE, dynamic=False)
    at = learn(made, patterns(12, 1), patterns(4, 2), course, tmp_path / "host")
    assert at.took == (Took(), Took())
    chip = compiler.compile(classics.make("spikedyn", SHAPE), "mesh64")
    whole = learn(chip, patterns(12, 1), patterns(4, 2), course, tmp_path / "chip")
    np.testing.assert_array_equal(at.learnt.weights["synapses"], whole.learnt.weights["synapses"])
    np.testing.assert_array_equal(at.learnt.adaptations["excitatory"], whole.learnt.adaptations["excitatory"])
    assert (at.exams, at.learning.weight_changes) == (whole.exams, whole.learning.weight_changes)
    learning, testing = whole.took
    assert (learning.samples, testing.samples) == (12, whole.testing.samples)
    assert learning.joules / 12 > 1.2 * testing.joules / testing.samples
    assert learning.seconds / 12 > 1.1 * testing.seconds / testing.samples
    assert learn(chip, patterns(12, 1), patterns(4, 2), course, tmp_path / "chip").took == whole.took


SCRIPT = """
import sys
from pathlib import Path
from tests.test_training import COURSE, learn, patterns, program
learn(program(), patterns(60, 1), patterns(10, 2), COURSE, Path(sys.argv[1]))
"""


def test_a_killed_run_goes_on_with_the_same_bits(tmp_path: Path) -> None:
    whole = learn(program(), patterns(60, 1), patterns(10, 2), COURSE, tmp_path / "whole")
    stopped = tmp_path / "stopped"
    running = subprocess.Popen([sys.executable, "-c", SCRIPT, str(stopped)], cwd=Path(__file__).parents[1])
    limit = time.monotonic() + 120
    while not (stopped / CHECKPOINT).exists() and running.poll() is None and time.monotonic() < limit:
        time.sleep(0.01)
    running.send_signal(signal.SIGKILL if os.name == "posix" else signal.SIGTERM)
    running.wait()
    assert (stopped / CHECKPOINT).exists()
    again = learn(program(), patterns(60, 1), patterns(10, 2), COURSE, stopped)
    np.testing.assert_array_equal(whole.learnt.weights["synapses"], again.learnt.weights["synapses"])
    assert whole.exams == again.exams
    assert whole.learning == again.learning
    assert (stopped / CHECKPOINT).read_bytes() == (tmp_path / "whole" / CHECKPOINT).read_bytes()


def test_neurons_are_named_by_what_they_answer_to() -> None:
    answers, labels = np.array([[4, 0, 0, 1], [0, 3, 0, 1]]), np.array([3, 7])
    names = neuron_classes(answers, labels, np.array([3, 7]))
    assert names.tolist() == [3, 7, -1, 3]
    assert classified(np.array([[1, 0, 9, 0], [0, 2, 0, 0], [0, 0, 0, 0]]), names, np.array([3, 7])).tolist() == [
        3,
        7,
        3,
    ]


def test_spikes_depend_on_nothing_but_their_place() -> None:
    x = np.linspace(0, 1, 16)[None].repeat(6, 0)
    whole = encoded(x, np.arange(6), *COURSE.draws)
    np.testing.assert_array_equal(whole[4:], encoded(x[4:], np.arange(4, 6), *COURSE.draws))
    assert not whole[:, :, 0].any()
    assert 0.3 < whole[:, :, -1].mean() < 0.7


def test_what_cannot_be_learnt_is_said(tmp_path: Path) -> None:
    unlabelled = replace(patterns(4, 1), y=None)
    with pytest.raises(CompileError) as caught:
        learn(program(), unlabelled, patterns(4, 2), replace(COURSE, rate=0.0), tmp_path)
    assert [each.rule for each in caught.value.diagnostics] == ["bad-data", "bad-option"]


def test_classes_that_no_test_sample_has_are_said(tmp_path: Path) -> None:
    train, test = patterns(8, 1), patterns(4, 2)
    train, test = replace(train, y=np.arange(8)), replace(test, y=np.full(4, 1))
    with pytest.raises(CompileError) as caught:
        learn(program(), train, test, COURSE, tmp_path)
    assert str(caught.value) == (
        "error[bad-data]: --test: has no sample of the classes 0, 2, 3, 4, 5, 6, ..., which are learnt\n"
        "  = hint: give some of each class, or leave those classes out of --input"
    )
    exam = Exam(8, 3, {0: 0.5, 1: 1.0}, {0: 2, 1: 6})
    assert (exam.of([3]), exam.of([3, 0]), exam.earlier, exam.overall) == (None, 0.5, 0.875, 0.875)


def test_options_that_cannot_be_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "memory", lambda: 1 << 30)
    course = Course(steps=10**9, rate=1.5, dynamic=True, every=5, seed=10**22)
    with pytest.raises(CompileError) as caught:
        learn(program(), patterns(4, 1), patterns(4, 2), course, tmp_path)
    assert str(caught.value) == (
        "error[bad-option]: --batch: 4 samples of 1,000,000,000 steps take 953.7 GiB: more than this machine has\n"
        "  = hint: take a smaller --batch, or fewer --steps\n"
        "error[bad-option]: --rate: 1.5 is no probability from above 0 to 1\n"
        "error[bad-option]: --seed: 10,000,000,000,000,000,000,000 is not within 0 to 4,294,967,295\n"
        "error[bad-option]: --test-every: is given beside --dynamic, which tests after each class\n"
        "  = hint: leave one of them out"
    )


def test_what_cannot_become_spikes_is_said(tmp_path: Path) -> None:
    train, test = patterns(4, 1), patterns(4, 2)
    wide = replace(train, x=train.x.astype(np.int64))
    with pytest.raises(CompileError) as caught:
        learn(program(), wide, replace(test, x=test.x / 255.0 - 1.0), COURSE, tmp_path)
    assert str(caught.value) == (
        "error[bad-data]: --input: x lies in 5..230; what is turned into spikes lies in 0..1\n"
        "  = hint: scale it, or give bytes (uint8): 255 counts as 1\n"
        "error[bad-data]: --test: x lies in -0.980392..-0.0980392; what is turned into spikes lies in 0..1\n"
        "  = hint: scale it, or give bytes (uint8): 255 counts as 1"
    )
    assert not list(tmp_path.iterdir())


def test_bytes_fractions_and_spikes_that_are_given_learn_the_same(tmp_path: Path) -> None:
    train, test = patterns(12, 1), patterns(4, 2)
    spikes = encoded(train.x / 255.0, np.arange(12), *COURSE.draws)
    given = (train, replace(train, x=train.x / 255.0), replace(train, x=spikes))
    weights = [
        learn(program(), each, test, replace(COURSE, dynamic=False), tmp_path / str(number)).learnt.weights["synapses"]
        for number, each in enumerate(given)
    ]
    np.testing.assert_array_equal(weights[0], weights[1])
    np.testing.assert_array_equal(weights[0], weights[2])


def test_a_network_that_reads_values_learns_from_values(tmp_path: Path) -> None:
    """Values from 0 to 15, the same in every step: they never become spikes."""
    spiking, train = program(), patterns(6, 1)
    ops = {**spiking.network.ops, spiking.network.incoming("synapses")[0].source: Source((16,), 4, scale=17.0)}
    made = replace(spiking, network=Network(ops, spiking.network.edges))
    at = learn(made, train, train, replace(COURSE, dynamic=False), tmp_path)
    x = np.broadcast_to(np.where(train.x == 230, 14, 0)[:, None], (6, 20, 16))
    expected = run(made.network, x).learnt
    assert expected
    np.testing.assert_array_equal(expected.weights["synapses"], at.learnt.weights["synapses"])
    assert (expected.weights["synapses"] != untaught(made.network).weights["synapses"]).any()


def test_a_rule_learns_from_the_rewards_that_data_have(tmp_path: Path) -> None:
    made = compiler.compile(classics.make("spikedyn", SHAPE), learn=[("synapses", "reward")])
    assert isinstance(made, Program)
    train, course = patterns(12, 1), replace(COURSE, dynamic=False)
    assert train.y is not None
    with pytest.raises(CompileError) as caught:
        learn(made, train, train, course, tmp_path)
    assert str(caught.value) == (
        "error[bad-data]: --input: has no array reward, and the rule of synapses asks for one\n"
        "  = hint: give the reward of each sample, (samples,), or of each step, (samples, steps), in whole numbers"
    )
    given = made.data(train.x, y=train.y, reward=np.where(train.y, 3, -2), steps=20)
    at = learn(made, given, train, course, tmp_path)
    expected = run(made.network, encoded(train.x / 255.0, np.arange(12), *COURSE.draws), reward=given.reward).learnt
    assert expected
    np.testing.assert_array_equal(expected.weights["synapses"], at.learnt.weights["synapses"])
    assert (expected.weights["synapses"] != untaught(made.network).weights["synapses"]).any()
    with pytest.raises(CompileError, match=r"checkpoint.json: is of other data\n"):
        learn(made, made.data(train.x, y=train.y, reward=train.y, steps=20), train, course, tmp_path)
    with pytest.raises(CompileError) as caught:
        made.data(train.x, reward=np.full(12, 4), steps=20)
    assert str(caught.value) == (
        "error[bad-data]: reward: reward lies in 4..4; the rule of synapses takes -3 to 3\n"
        "  = hint: scale it, or compile with a rule whose reward is greater"
    )
