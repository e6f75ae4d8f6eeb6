"""A search finds the same however often it is killed, on whatever workers; its commands give its bytes."""

from __future__ import annotations

import json
import os
import random
import shlex
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from typer.testing import CliRunner

from snncc.cli import app
from snncc.exploring.evaluate import digest
from snncc.exploring.search import Search, command

MODELS = Path(__file__).parents[2] / "models"
MODEL = MODELS / "digits_stock.onnx"
BUDGET = "weights<=3KiB,accuracy>=0.9"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Few samples, so that points are quick."""
    path = tmp_path_factory.mktemp("data") / "few.npz"
    with np.load(MODELS / "digits_stock.samples.npz") as whole:
        np.savez(path, x=whole["x"][:40], y=whole["y"][:40])
    return path


def arguments(folder: Path, data: Path, *more: object, budget: str = BUDGET) -> list[str]:
    needed = ["--budget", budget, "-d", str(data), "-o", str(folder)]
    return ["explore", str(MODEL), "-t", "mesh64", *needed, *map(str, more)]


def started(folder: Path, data: Path, *more: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "snncc", *arguments(folder, data, "--json", *more)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def finished(process: subprocess.Popen[str]) -> dict[str, Any]:
    said, wrong = process.communicate(timeout=600)
    assert process.returncode == 0, wrong
    return json.loads(said)


def kept(folder: Path) -> dict[int, str]:
    """The outcomes in a study's database, by number, as text."""
    path = folder / "study.db"
    if not path.is_file():
        return {}
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30) as database:
        query = (
            "select number, value_json from trials join trial_user_attributes using (trial_id) where key = 'outcome'"
        )
        return dict(database.execute(query).fetchall())


def killed(folder: Path, data: Path, count: int, *more: object) -> bool:
    """Start a search, and kill it with no warning once so many outcomes are kept; whether there was time to."""
    process = started(folder, data, *more)
    while len(kept(folder)) < count and process.poll() is None:
        time.sleep(0.02)
    alive = process.poll() is None
    if alive:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    return alive


def lose_a_worker(process: subprocess.Popen[str]) -> bool:
    """Kill one of a search's workers as soon as there is one at work; whether there was time to."""
    while process.poll() is None:
        children = psutil.Process(process.pid).children(recursive=True)
        busy = [each for each in children if "spawn_main" in " ".join(each.cmdline()) and each.cpu_times().user > 1.5]
        if busy:
            busy[0].kill()
            return True
        time.sleep(0.02)
    return False


def best_of(found: dict[str, Any]) -> dict[str, Any]:
    return next(each for each in found["points"] if each["number"] == found["best"])


@pytest.mark.slow
def test_a_killed_search_goes_on(data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "killed"
    assert killed(folder, data, 3, "--trials", 8, "--workers", 1)
    before = kept(folder)
    found = finished(started(folder, data, "--trials", 8, "--workers", 1))
    assert before.items() <= kept(folder).items()
    assert [each["number"] for each in found["points"]] == list(range(8))
    assert same_bytes(best_of(found), tmp_path)
    assert b"Accuracy and weights" in (folder / "front.html").read_bytes()


@pytest.mark.slow
def test_kills_and_workers_and_losing_one_change_nothing(data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "killed"
    assert killed(folder, data, 3, "--trials", 16, "--workers", 2)
    found = finished(started(folder, data, "--trials", 16, "--workers", 2))
    process = started(tmp_path / "whole", data, "--trials", 16, "--workers", 1)
    assert lose_a_worker(process)
    assert finished(process) == found


def same_bytes(point: dict[str, Any], folder: Path) -> bool:
    """Whether the command of a point gives the bytes and figures that the search saw."""
    place = folder / f"point{point['number']}"
    done = CliRunner().invoke(app, [*shlex.split(point["command"])[1:], "-o", str(place)])
    assert done.exit_code == 0, done.output
    content = {str(each.relative_to(place)): each.read_bytes() for each in place.rglob("*") if each.is_file()}
    return digest(content) == point["outcome"]["digest"]


@pytest.mark.slow
def test_ten_kills_lose_nothing_and_every_point_is_made_again(data: Path, tmp_path: Path) -> None:
    folder, kills = tmp_path / "killed", 0
    rng = random.Random(5)
    while kills < 10:
        before = kept(folder)
        count = len(before) + (rng.random() < 0.8) * rng.randint(1, 3)
        if not killed(folder, data, max(1, count), "--trials", 48, "--workers", 2):
            break
        kills += 1
        assert before.items() <= kept(folder).items()
    assert kills == 10
    found = finished(started(folder, data, "--trials", 48, "--workers", 2))
    assert finished(started(tmp_path / "whole", data, "--trials", 48, "--workers", 1)) == found
    measured = [each for each in found["points"] if each["number"] in found["front"]]
    assert measured
    assert all(same_bytes(each, tmp_path) for each in measured)


@pytest.mark.slow
def test_a_clusters_scheduler_gives_the_same(data: Path, tmp_path: Path) -> None:
    from distributed import LocalCluster

    found = finished(started(tmp_path / "own", data, "--trials", 8, "--workers", 2))
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        address = cluster.scheduler_address
        assert finished(started(tmp_path / "theirs", data, "--trials", 8, "--scheduler", address)) == found


def refused(*given: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, list(given))
    return done.exit_code, done.stderr


@pytest.mark.slow
def test_an_impossible_budget_is_explained(data: Path, tmp_path: Path) -> None:
    done = finished_text(tmp_path / "study", data, "weights<=500B,accuracy>=0.9")
    assert done.returncode == 1
    outcomes = kept(tmp_path / "study")
    found = {number: json.loads(each)["quantities"]["weights"] for number, each in outcomes.items()}
    best = min(found, key=lambda number: (found[number], number))
    command = done.stdout.splitlines()[-1].strip().removesuffix(" -o DIR")
    words = command.partition(f"{data} ")[2]
    assert done.stderr == (
        f"error[impossible-budget]: weights<=500B: the least of 8 compiled points is {found[best]:,.0f} bytes: point "
        f"{best}, {words}\n"
        "  = hint: choose a larger budget, search on with --trials N, or train a smaller network\n"
    )
    point = {"command": command, "number": best, "outcome": json.loads(outcomes[best])}
    assert same_bytes(point, tmp_path)
    lines = done.stdout.splitlines()
    assert lines[-3].startswith("8 points: 8 given up by the analytical models; the model as trained has ")
    assert lines[-2].startswith("the closest to the budget is point ")
    assert " (given up by the analytical models): synapses " in lines[-2]
    again = f"  snncc compile {MODEL} --target mesh64 --samples {data} --weight-bits "
    assert lines[-1].startswith(again)


def finished_text(folder: Path, data: Path, budget: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "snncc", *arguments(folder, data, "--trials", 8, "--workers", 1, budget=budget)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_what_cannot_be_searched_is_said_before_anything_is_run(data: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare.npz"
    np.savez(bare, x=np.zeros((2, 64)))
    wrong = tmp_path / "wrong.npz"
    np.savez(wrong, x=np.zeros((2, 63)), y=np.zeros(2, int))
    odd = tmp_path / "odd.npz"
    np.savez(odd, x=np.zeros((2, 64)), y=np.array([0, 77]))
    far = f"error[bad-data]: {odd}: y holds the class 77; the output y has 10 neurons\n  = hint: classes count"
    folder = tmp_path / "study"
    cases = [
        (arguments(folder, odd), far),
        (arguments(folder, data, "--samples", odd), far),
        (
            arguments(folder, data, "--samples", wrong),
            f"error[bad-data]: {wrong}: x has shape (2, 63); this network needs (samples, 64) or (samples, ",
        ),
        (
            arguments(folder, data, budget="synapses<=1e999B"),
            "error[budget]: --budget: 'synapses<=1e999B' is inf: a limit that no program or every one meets\n",
        ),
        (arguments(folder, bare), f"error[bad-data]: {bare}: has no labels y, and a search is for accuracy\n"),
        (arguments(folder, wrong), f"error[bad-data]: {wrong}: x has shape (2, 63); this network needs (samples, 64)"),
        (arguments(folder, tmp_path / "none"), f"error[cannot-read]: {tmp_path / 'none'}: No such file or directory"),
        (
            arguments(folder, data, "--seed", 1 << 32),
            "error[bad-option]: --seed: 4,294,967,296 is not within 0 to 4,294,967,295\n",
        ),
        (arguments(folder, data, "-t", "mesh32"), "error[unknown-target]: mesh32: "),
        (arguments(folder, data, "-t", "tinyodin"), "error[no-estimate]: tinyodin: acts event by event"),
        (
            arguments(folder, data, budget="flash<=1"),
            "error[budget]: --budget: mesh64 has no flash that",
        ),
    ]
    for given, text in cases:
        code, said = refused(*given)
        assert code == 2
        assert said.startswith(text), said
    assert not folder.exists()


def test_commands_say_at_which_rate_samples_are_read() -> None:
    """What learns is compiled without samples, unless there are any for the scales."""
    plain = Search("m.onnx", "host", "d.npz", BUDGET, rate=0.5)
    assert command(plain, ["--steps", "9"]) == (
        "snncc compile m.onnx --target host --samples d.npz --rate 0.5 --steps 9"
    )
    learns = replace(plain, test="t.npz")
    assert command(learns, []) == "snncc compile m.onnx --target host"
    both = replace(learns, samples="s.npz")
    assert command(both, []) == "snncc compile m.onnx --target host --samples s.npz --rate 0.5"


def test_what_is_missing_of_python_is_named(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    code, said = refused(*arguments(tmp_path / "study", data))
    assert (code, said) == (
        2,
        "error[missing-package]: explore: needs optuna, which is not installed\n"
        "  = hint: pip install 'snncc[explore]'\n",
    )
