"""What a run of learning leaves on disk: which network may go on from it, and what is refused, with nothing lost."""

from __future__ import annotations

import json
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snncc import classics, compiler
from snncc.analysis.costs import Took
from snncc.checkpoints import CHECKPOINT, Exam, Mark, Progress, identity, learnt_in, restored, save
from snncc.diagnostics import CompileError
from snncc.integers import Learnt
from snncc.learning_views import reached
from snncc.plasticity import untaught
from snncc.program import Program
from snncc.training import learn
from snncc.workload import Work
from tests.test_training import COURSE, SHAPE, patterns, program

MARK = Mark(7, 8, (("--rate", "0.5"),))


def test_a_checkpoint_of_another_run_or_a_damaged_one_is_refused(tmp_path: Path) -> None:
    learn(program(), patterns(10, 1), patterns(4, 2), COURSE, tmp_path)
    before = (tmp_path / CHECKPOINT).read_bytes()
    some = replace(COURSE, named=5, rate=0.25), "other options: --rate 0.5, not 0.25, --labels-for-readout 4, not 5"
    for number, seed, course, why in (
        (1, 1, COURSE, "another program"),
        (0, 3, COURSE, "other data"),
        (0, 1, *some),
        (1, 3, replace(COURSE, seed=9), "another program and other data and other options: --seed 0, not 9"),
    ):
        with pytest.raises(CompileError) as caught:
            learn(program(number), patterns(10, seed), patterns(4, 2), course, tmp_path)
        assert str(caught.value) == (
            f"error[bad-checkpoint]: {tmp_path / CHECKPOINT}: is of {why}\n"
            "  = hint: give another folder to begin anew, or the same data, options and program to go on"
        )
    assert (tmp_path / CHECKPOINT).read_bytes() == before, "nothing may be lost"
    network, body = program().network, len(before.split(b"\n", 2)[2])
    path = tmp_path / CHECKPOINT
    for damaged, why in (
        (before[:-1], f": {body - 1:,} of {body:,} bytes"),
        (before[:40], ""),
        (b"", ""),
        (before.replace(b'"position": 10', b'"position": 11'), ": its checksum is another one"),
    ):
        path.write_bytes(damaged)
        with pytest.raises(CompileError) as caught:
            restored(network, tmp_path, MARK, 10)
        assert str(caught.value).splitlines()[0] == f"error[bad-checkpoint]: {path}: is damaged{why}"


def test_a_checkpoint_of_right_sums_and_wrong_content_is_refused(tmp_path: Path) -> None:
    network = program().network
    for line in (b'{"crc": 1, "bytes": "x"}', b'{"crc": 1, "bytes": 1e999}', b"[" * 100_000):
        (tmp_path / CHECKPOINT).write_bytes(line + b"\n{}\n")
        with pytest.raises(CompileError, match=r"error\[bad-checkpoint\].*is damaged"):
            restored(network, tmp_path, MARK, 10)
    for text in (b"[]", b"{}", b"[" * 100_000, b'{"weights": 3}', b'{"weights": {}, "adaptations": {}, "exams": [3]}'):
        head = json.dumps({"crc": zlib.crc32(text), "bytes": 0}).encode()
        (tmp_path / CHECKPOINT).write_bytes(head + b"\n" + text + b"\n")
        with pytest.raises(CompileError, match=r"error\[bad-checkpoint\].*is damaged"):
            restored(network, tmp_path, MARK, 10)
    save(network, Progress(5, untaught(network)), tmp_path, MARK)
    assert restored(network, tmp_path, MARK, 10).position == 5
    other = compiler.compile(classics.make("spikedyn", replace(SHAPE, neurons=9)))
    assert isinstance(other, Program)
    with pytest.raises(CompileError, match="is of another program"):
        restored(other.network, tmp_path, MARK, 10)


def test_the_same_network_of_another_target_is_the_same() -> None:
    kinds = {kind: classics.make(kind, SHAPE) for kind in ("spikedyn", "diehl-cook")}
    found = {
        (kind, target): identity(made.network)
        for kind, model in kinds.items()
        for target in ("host", "cortex-m4", "mesh64")
        if isinstance(made := compiler.compile(model, target), Program)
    }
    assert len(found) == 6
    assert len(set(found.values())) == 2
    network = program().network
    assert identity(program(1).network) != identity(network), "it begins with other weights"


def test_what_was_learnt_is_taken_by_the_network_that_learnt_it(tmp_path: Path) -> None:
    made, folder = program(), tmp_path / "run"
    with pytest.raises(CompileError) as caught:
        learnt_in(made.network, folder)
    assert str(caught.value) == (
        f"error[no-checkpoint]: {folder}: is not there\n  = hint: learn first: snncc learn DIR -o {folder}"
    )
    folder.mkdir()
    with pytest.raises(CompileError, match=r"error\[no-checkpoint\].*: has no checkpoint.json"):
        learnt_in(made.network, folder)
    at = learn(made, patterns(10, 1), patterns(4, 2), COURSE, folder)
    chip = compiler.compile(classics.make("spikedyn", SHAPE), "mesh64")
    assert isinstance(chip, Program)
    found = learnt_in(chip.network, folder)
    np.testing.assert_array_equal(found.learnt.weights["synapses"], at.learnt.weights["synapses"])
    assert found.exams == at.exams
    assert len(found.exams[-1].names) == 8
    with pytest.raises(CompileError) as caught:
        learnt_in(program(1).network, folder)
    assert str(caught.value) == (
        f"error[bad-checkpoint]: {folder / CHECKPOINT}: is of another network than this program's\n"
        "  = hint: give the program that learnt there, or the same model compiled with the same options"
    )


def test_values_that_no_network_learns_are_refused(tmp_path: Path) -> None:
    network = program().network
    begun = untaught(network)
    for weights, adaptations, why in (
        ({"synapses": np.full((8, 16), 256)}, begun.adaptations, "weights of synapses lie outside 0..255"),
        (begun.weights, {"excitatory": np.full(8, -1)}, "thresholds of excitatory lie outside 0..16,656"),
        ({"synapses": np.zeros((16, 8), np.int64)}, begun.adaptations, "its weights are of other groups or sizes"),
        (begun.weights, {}, "its thresholds are of other groups or sizes"),
    ):
        save(network, Progress(5, Learnt(3, weights, adaptations)), tmp_path, MARK)
        for take in (lambda: restored(network, tmp_path, MARK, 10), lambda: learnt_in(network, tmp_path)):
            with pytest.raises(CompileError) as caught:
                take()
            first = str(caught.value).splitlines()[0]
            assert first == f"error[bad-checkpoint]: {tmp_path / CHECKPOINT}: is damaged: {why}"


EXAM = Exam(5, 1, {0: 0.5, 1: 1.0}, {0: 2, 1: 6}, (0, 1, -1, 0, 0, 1, 1, 0))
AT: dict[str, Any] = {"position": 5, "exams": (EXAM,)}


@pytest.mark.parametrize(
    "more",
    [
        {"position": "5"},
        {"position": -1},
        {"position": 1 << 63},
        {"steps": 1 << 63},
        {"steps": True},
        {"learning": Work(samples=-1)},
        {"learning": Work(samples=1 << 63)},
        {"testing": Work(trace_steps=None)},  # type: ignore[arg-type]
        {"took": (Took(), Took(seconds=float("nan")))},
        {"took": (Took(joules=-1.0), Took())},
        {"took": (Took(), Took(), Took())},
        {"exams": (replace(EXAM, samples=6),)},
        {"exams": (replace(EXAM, samples=0),)},
        {"exams": (replace(EXAM, samples=2.5),)},
        {"exams": (replace(EXAM, newest="1"),)},
        {"exams": (replace(EXAM, newest=-1),)},
        {"exams": (replace(EXAM, accuracy=dict.fromkeys(range(2))),)},
        {"exams": (replace(EXAM, accuracy={0: 0.5, 1: 1.01}),)},
        {"exams": (replace(EXAM, accuracy={0: 0.5, 1: float("nan")}),)},
        {"exams": (replace(EXAM, accuracy={0: 0.5}),)},
        {"exams": (replace(EXAM, accuracy={"0": 0.5, 1: 1.0}),)},
        {"exams": (replace(EXAM, counts={0: 2, 1: 0}),)},
        {"exams": (replace(EXAM, counts={0: 2, 1: 1 << 63}),)},
        {"exams": (replace(EXAM, names=(0, 1, -2, 0, 0, 1, 1, 0)),)},
        {"exams": (replace(EXAM, names=(0, 1, None, 0, 0, 1, 1, 0)),)},
    ],
)
def test_what_no_run_comes_to_is_refused(more: dict[str, Any], tmp_path: Path) -> None:
    network = program().network
    begun = untaught(network)
    save(network, Progress(learnt=begun, **AT), tmp_path, MARK)
    assert restored(network, tmp_path, MARK, 5).exams == (EXAM,)
    learnt = replace(begun, steps=more.get("steps", 100))
    changed = {key: value for key, value in more.items() if key != "steps"}
    save(network, Progress(**{"learnt": learnt, **AT, **changed}), tmp_path, MARK)
    for take in (lambda: restored(network, tmp_path, MARK, 5), lambda: learnt_in(network, tmp_path)):
        with pytest.raises(CompileError) as caught:
            take()
        assert str(caught.value).splitlines()[0] == f"error[bad-checkpoint]: {tmp_path / CHECKPOINT}: is damaged"


@pytest.mark.parametrize(
    ("at", "why"),
    [
        ({"position": 6}, "6 samples of 5 are learnt"),
        ({"exams": ()}, "what was learnt in the end is not tested"),
        ({"exams": (replace(EXAM, samples=4),)}, "what was learnt in the end is not tested"),
        ({"exams": (replace(EXAM, names=(0, 1)),)}, "its tests are of another number of neurons"),
    ],
)
def test_a_run_cannot_be_further_than_its_stream_or_end_untested(at: dict[str, Any], why: str, tmp_path: Path) -> None:
    network = program().network
    save(network, Progress(learnt=untaught(network), **{**AT, **at}), tmp_path, MARK)
    with pytest.raises(CompileError) as caught:
        restored(network, tmp_path, MARK, 5)
    assert str(caught.value).splitlines()[0] == f"error[bad-checkpoint]: {tmp_path / CHECKPOINT}: is damaged: {why}"


def test_how_far_a_run_has_come_is_said_in_words() -> None:
    at = Progress(1_005, untaught(program().network))
    said = "the run has learnt 1,005 samples"
    assert reached(at) == f"{said}; nothing of that was tested"
    assert reached(replace(at, exams=(EXAM,))) == f"{said}; its last test was after 5"
    assert reached(replace(at, exams=(EXAM, replace(EXAM, samples=1_005)))) == said
