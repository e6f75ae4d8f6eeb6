"""A study's points depend on its seed alone, wherever it was interrupted; and what is wrong with one is said."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from snncc.diagnostics import CompileError
from snncc.exploring.budget import Limit
from snncc.exploring.evaluate import Outcome
from snncc.exploring.space import Dimension, Point
from snncc.exploring.study import BATCH, Study, opened

SPACE = tuple(Dimension(f"bits of {name}", (8, 4, 2, "ternary"), "weight_bits", "--weight-bits") for name in "abc")
LIMITS = (Limit("weights", "<=", 12.0, "weights<=12"), Limit("accuracy", ">=", 0.5, "accuracy>=0.5"))
STARTS: tuple[Point, ...] = ({"bits of a": 8, "bits of b": 8, "bits of c": 8},)
IDENTITY = {"model": "m", "seed": 1}


def study(folder: Path, seed: int = 1, identity: Mapping[str, Any] = IDENTITY) -> Study:
    return opened(folder, identity, SPACE, LIMITS, STARTS, seed)


def outcome(point: Point) -> Outcome:
    bits = {8: 8.0, 4: 4.0, 2: 2.0, "ternary": 1.5}
    total = sum(bits[value] for value in point.values())  # type: ignore[index]
    if total > 20:
        return Outcome("compiled", {"weights": total})
    return Outcome("measured", {"weights": total, "accuracy": total / 24}, digest="d")


def finish(folder: Path, trials: int, seed: int = 1) -> list[tuple[int, Point]]:
    here = study(folder, seed)
    while points := here.batch(trials):
        for number in sorted(points, reverse=True):
            here.tell(number, outcome(points[number]))
    return [(each.number, each.point) for each in here.found()]


def test_points_depend_on_the_seed_alone(tmp_path: Path) -> None:
    whole = finish(tmp_path / "whole", 12)
    assert len(whole) == 2 * BATCH
    assert whole[0] == (0, STARTS[0])
    assert len({tuple(point.items()) for _, point in whole}) > BATCH
    assert finish(tmp_path / "other", 12, seed=2) != whole
    finish(tmp_path / "short", 8)
    assert finish(tmp_path / "short", 12) == whole


class Killed(BaseException):
    """In place of a signal."""


@pytest.mark.parametrize(
    ("name", "after"),
    [
        pytest.param("create_new_trial", True),
        pytest.param("set_trial_state_values", False, marks=pytest.mark.slow),
        pytest.param("create_new_trial", False, marks=pytest.mark.slow),
        pytest.param("set_trial_user_attr", False, marks=pytest.mark.slow),
        pytest.param("set_trial_user_attr", True, marks=pytest.mark.slow),
        pytest.param("set_trial_state_values", True, marks=pytest.mark.slow),
    ],
)
def test_an_interruption_changes_nothing(
    name: str, after: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before and after writing accesses of each kind to the database."""
    whole = finish(tmp_path / "whole", 16)
    storage: Any = type(study(tmp_path / "whole").database._storage)
    own, count, kills = getattr(storage, name), 0, 0

    def broken(self: Any, *values: Any, **named: Any) -> Any:
        nonlocal count
        count += 1
        if count % 7 == 6 and not after:
            raise Killed
        result = own(self, *values, **named)
        if count % 7 == 6:
            raise Killed
        return result

    monkeypatch.setattr(storage, name, broken)
    while True:
        try:
            found = finish(tmp_path / "killed", 16)
            break
        except Killed:
            kills += 1
    assert kills > 1
    assert found == whole


def faults(folder: Path, **named: Any) -> list[str]:
    with pytest.raises(CompileError) as found:
        study(folder, **named)
    return [str(each) for each in found.value.diagnostics]


def test_another_study_is_not_gone_on_with(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    study(folder)
    hint = f"choose another folder for another study: -o FOLDER; {folder} can only be gone on with as it was begun"
    assert faults(folder, identity={"model": "n", "seed": 2}) == [
        f"error[another-study]: {folder}: was begun with another model\n  = hint: {hint}",
        f"error[another-study]: {folder}: was begun with another seed\n  = hint: {hint}",
    ]


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    assert faults(tmp_path) == [
        f"error[output-exists]: {tmp_path}: is there already and is no study: it holds thesis.tex\n"
        "  = hint: choose another folder, or empty it first"
    ]
    assert [each.name for each in tmp_path.iterdir()] == ["thesis.tex"]


def test_what_a_kill_leaves_of_a_new_folder_is_made_again(tmp_path: Path) -> None:
    (tmp_path / ".study.db").write_bytes(b"half")
    (tmp_path / "study.db").write_bytes(b"half")
    assert study(tmp_path).found() == []


def test_a_damaged_study_is_told(tmp_path: Path) -> None:
    hint = "\n  = hint: begin another study: -o FOLDER"
    study(tmp_path / "a")
    (tmp_path / "a/study.db").write_bytes(b"no database" * 1000)
    assert faults(tmp_path / "a") == [
        f"error[damaged-study]: {tmp_path / 'a'}: study.db cannot be used: file is not a database{hint}"
    ]
    study(tmp_path / "b")
    (tmp_path / "b/study.json").write_text("{")
    assert faults(tmp_path / "b") == [f"error[damaged-study]: {tmp_path / 'b'}: study.json is not JSON{hint}"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("update trial_user_attributes set value_json = '{\"stage\": 3}'", "the outcome of point 0: 3, {}"),
        ("update trial_user_attributes set value_json = '7'", "the outcome of point 0: "),
        ("update trial_params set param_value = 7 where param_name = 'bits of a'", "tuple index out of range"),
        ("delete from trial_params where param_name = 'bits of a'", "point 0 is none of this search: {'bits of b': "),
        ("delete from trial_user_attributes", "point 0 is finished and has no outcome"),
        ("update alembic_version set version_num = 'v0.9.0.a'", "The runtime optuna version "),
    ],
)
def test_what_no_search_wrote_is_told(change: str, said: str, tmp_path: Path) -> None:
    here = study(tmp_path)
    (number, *_), point = here.batch(1), STARTS[0]
    here.tell(number, outcome(point))
    with sqlite3.connect(tmp_path / "study.db") as database:
        database.execute(change)
    with pytest.raises(CompileError) as found:
        study(tmp_path).found()
    head = f"error[damaged-study]: {tmp_path}: study.db holds what no search wrote: {said}"
    assert str(found.value).startswith(head)


def test_a_fault_of_our_own_is_no_damaged_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Study, number: int) -> None:
        raise ValueError(number)

    monkeypatch.setattr(Study, "_sampler", broken)
    with pytest.raises(ValueError, match=r"^0$"):
        study(tmp_path).batch(1)


FULL = """
import resource, signal, sys
from pathlib import Path
from tests.exploring.test_study import finish, study
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
folder = Path(sys.argv[1])
finish(folder, 8)
size = (folder / "study.db").stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
finish(folder, 200)
"""


def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    """No file may grow beyond what the database has after the first batch."""
    done = subprocess.run([sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, check=False)
    last = done.stderr.strip().splitlines()[-2:]
    assert last[0].startswith(f"snncc.diagnostics.CompileError: error[cannot-write]: {tmp_path / 'study.db'}: ")
    assert last[1] == (
        "  = hint: make room, or see who else uses it; the same command goes on where this one stopped: nothing that "
        "was found is lost"
    )
    kept = study(tmp_path).found()
    assert len(kept) >= BATCH
    assert finish(tmp_path, 16) == finish(tmp_path / "other", 16)
