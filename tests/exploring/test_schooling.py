"""What a network that learns is worth to a search is what `snncc learn` finds on its target; its commands make it."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from snncc import classics, compiler, training
from snncc.cli import app
from snncc.courses import Course
from snncc.estimation import estimate
from snncc.exploring import evaluate, schooling, search, study
from snncc.exploring.evaluate import Outcome, Task, digest
from snncc.exploring.search import Search, Searched, explore
from snncc.exploring.space import Point
from snncc.frontends.onnx.dialect.write import onnx_bytes
from snncc.pages import front
from snncc.program import Program
from tests.exploring.test_search import kept

SHAPE = classics.Shape(25, 6, steps=20)
BUDGET = "plastic<=1KiB,updates<=400,accuracy>=0.9"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a small network is that learns, with pictures of two kinds."""
    (tmp_path / "m.onnx").write_bytes(onnx_bytes(classics.make("spikedyn", SHAPE)))
    for name, samples, seed in (("a", 60, 1), ("b", 30, 2)):
        bars(tmp_path / f"{name}.npz", samples, seed)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def bars(path: Path, samples: int, seed: int) -> None:
    """Pictures of 5 x 5 with one bright row: the upper or the lowest."""
    y = np.random.default_rng(seed).integers(0, 2, samples)
    x = np.zeros((samples, 5, 5), np.uint8)
    x[np.arange(samples), np.where(y, 4, 0)] = 255
    np.savez(path, x=x.reshape(samples, 25), y=y)


@contextmanager
def here(workers: int | None, scheduler: str | None) -> Generator[Callable[..., Iterator[tuple[int, Outcome]]]]:
    """Evaluates points in this process."""
    assert (workers, scheduler) == (None, None)

    def outcomes(task: Task, points: Mapping[int, Point], neurons: int) -> Iterator[tuple[int, Outcome]]:
        for number, point in points.items():
            built = evaluate.build(task, point)
            parts = [evaluate.measured(task, built, *each) for each in evaluate.parts_of(task, neurons)]
            yield number, evaluate.finished(task, built, parts)

    yield outcomes


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few points, one after another."""
    for module in (search, study):
        monkeypatch.setattr(module, "BATCH", 2)
    monkeypatch.setattr(search, "pool", here)


def searched(output: str, trials: int, **more: Any) -> Searched:
    given = Search("m.onnx", "host", "a.npz", BUDGET, test="b.npz", rate=1.0)
    return explore(replace(given, **more), output, trials=trials)


def called(*words: str) -> str:
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.usefixtures("quick", "folder")
def test_every_point_is_made_again_and_learns_the_same() -> None:
    found = searched("study=1", 4)
    assert [each.outcome.stage for each in found.found] == ["measured"] * 4
    assert len({each.outcome.digest for each in found.found}) == 4
    assert found.front.best
    for each in found.found:
        build = f"build{each.number}"
        called(*shlex.split(found.commands[each.number])[1:], "-o", build)
        files = {str(path.relative_to(build)): path.read_bytes() for path in Path(build).rglob("*") if path.is_file()}
        assert digest(files) == each.outcome.digest
    best = found.front.best
    words = shlex.split(found.lesson.replace("DIR", f"build{best.number}"))[1:]
    assert words[2:] == ["--input", "a.npz", "--test", "b.npz", "--rate", "1.0"]
    said = json.loads(called(*words, "-o", "run", "--json"))
    assert said["tests"][-1]["accuracy"] == best.outcome.quantities["accuracy"] >= 0.9
    assert said["operations"]["learning"]["weight_changes"] / 60 == best.outcome.quantities["updates"]
    page = front.page(found).decode()
    assert "Accuracy and plastic" in page
    assert "snncc learn DIR --input a.npz --test b.npz --rate 1.0 -o RUN" in page
    assert "as trained" not in page


@pytest.mark.usefixtures("quick", "folder")
def test_a_search_goes_on_and_another_rule_is_another_study() -> None:
    first, more = searched("one", 2, limit=20), searched("one", 4, limit=20)
    assert more.found[:2] == first.found
    assert searched("two", 4, limit=20).found == more.found
    with pytest.raises(compiler.CompileError) as caught:
        searched("one", 2, limit=20, learn=(("synapses", "diehl-cook"),))
    said = [each.message for each in caught.value.diagnostics]
    assert said == ["was begun with another rule", "was begun with another space of choices"]
    with pytest.raises(compiler.CompileError) as caught:
        searched("one", 2)
    assert [each.message for each in caught.value.diagnostics] == ["was begun with another way to learn"]


@pytest.mark.parametrize("target", ["mesh64", "cortex-m4", "avr"])
def test_a_point_is_worth_what_its_target_would_find(target: str, folder: Path) -> None:
    """On the emulated chip; the others' networks run as C on this computer, which is proved to give their bits."""
    made = compiler.compile(folder / "m.onnx", target)
    assert isinstance(made, Program)
    train, test = (made.data(each, limit=20, rate=1.0) for each in ("a.npz", "b.npz"))
    course = Course(rate=1.0, steps=20, batch=7)
    found = schooling.learnt(made, train, test, course)
    own = made if target == "mesh64" else schooling.hosted(made)
    at = training.learn(own, train, test, course, folder / "run")
    assert found["accuracy"] == at.exams[-1].overall
    if target != "mesh64":
        assert found == {"accuracy": found["accuracy"], "updates": at.learning.weight_changes / 20}
        return
    again = estimate(made, train, learnt=at.learnt)
    assert again.joules
    assert found["learning-energy"] == again.joules.value > found["energy"] > 0
    assert found["learning-time"] > found["time"] > 0
    assert found["updates"] == again.events["learning_change"]


def refused(*more: str, model: str = "m.onnx", budget: str = BUDGET) -> str:
    done = CliRunner().invoke(app, ["explore", model, "--budget", budget, "-d", "a.npz", "-o", "study", *more])
    assert done.exit_code == 2
    assert not Path("study").exists()
    return done.stderr


@pytest.mark.usefixtures("folder")
def test_what_cannot_be_searched_is_said_before_anything_is_run() -> None:
    np.savez("bare.npz", x=np.zeros((2, 25)))
    np.savez("other.npz", x=np.zeros((2, 25)), y=np.array([0, 7]))
    hint = "  = hint: give some of each class, or leave those classes out of --data\n"
    known = "constants, state, weights, plastic, updates, accuracy"
    assert refused() == (
        "error[bad-option]: --test: is missing: how much a network has learnt is tested with samples that it did not "
        "learn\n  = hint: give labelled ones: --test FILE.npz\n"
    )
    assert refused("--test", "other.npz") == (
        f"error[bad-data]: --test: has no sample of the classes 1, which are learnt\n{hint}"
    )
    assert refused("--test", "bare.npz") == (
        "error[bad-data]: --test: has no labels y\n  = hint: a few name the neurons, and those of the test judge\n"
    )
    assert refused("--test", "b.npz", "--rate", "2") == (
        "error[bad-option]: --rate: 2 is no probability from above 0 to 1\n"
    )
    assert refused("--test", "b.npz", "--learn", "synapses=reward") == (
        "error[bad-data]: --data: has no array reward, and the rule of synapses asks for one\n"
        "  = hint: give the reward of each sample, (samples,), or of each step, (samples, steps), in whole numbers\n"
    )
    assert refused("--test", "b.npz", budget="energy<=1uJ") == (
        f"error[budget]: --budget: host has no energy that a search could limit\n  = hint: there are {known}\n"
    )
    assert refused("--test", "b.npz", "--learn", "synapses=a", "--learn", "synapses=b") == (
        "error[bad-option]: --learn: synapses is to learn by a and by b; it can have one rule\n"
        "  = hint: leave one of them out\n"
    )
    trained = str(Path(__file__).parents[2] / "models" / "digits_stock.onnx")
    leave = "  = hint: leave it out, or let a layer learn: --learn LAYER=RULE\n"
    assert refused("--test", "b.npz", "--limit", "3", model=trained, budget="weights<=1KiB") == (
        f"error[bad-option]: --test, --limit: only for networks that learn; this one is as it was trained\n{leave}"
    )


def test_groups_that_no_option_can_name_are_told(folder: Path) -> None:
    text = (folder / "m.onnx").read_bytes().replace(b"synapses", b"synap=es")
    (folder / "odd.onnx").write_bytes(text)
    assert refused("--test", "b.npz", model="odd.onnx") == (
        "error[cannot-explore]: synap=es: has an = in its name, which --learn LAYER=RULE cannot hold\n"
        "  = hint: rename it in the model\n"
    )


@pytest.mark.usefixtures("quick", "folder")
def test_what_no_point_reaches_is_said() -> None:
    found = searched("study", 2, limit=20, budget="plastic<=30B,accuracy>=0.5")
    assert {each.outcome.stage for each in found.found} == {"compiled"}
    assert found.front.best is None
    (fault,) = found.faults
    assert fault.message.startswith("the least of 2 compiled points is ")
    assert "--learn synapses=study/rules/0-bits" in fault.message


@pytest.mark.slow
def test_a_killed_search_of_what_learns_goes_on(folder: Path) -> None:
    words = [sys.executable, "-m", "snncc", "explore", "m.onnx", "-t", "mesh64", "--budget", "plastic<=1KiB"]
    words += ["-d", "a.npz", "--test", "b.npz", "--trials", "8", "--json"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen([*words, "--workers", "1", "-o", "study"], start_new_session=True, env=environment)
    limit = time.monotonic() + 300
    while len(kept(folder / "study")) < 3 and process.poll() is None and time.monotonic() < limit:
        time.sleep(0.02)
    assert process.poll() is None
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    before = kept(folder / "study")
    assert 3 <= len(before) < 8
    after = subprocess.run([*words, "--workers", "2", "-o", "study"], capture_output=True, env=environment, check=False)
    assert before.items() <= kept(folder / "study").items()
    (folder / "study").rename(folder / "killed")
    whole = subprocess.run([*words, "--workers", "1", "-o", "study"], capture_output=True, env=environment, check=False)
    assert after.returncode == whole.returncode == 0
    assert after.stdout == whole.stdout
