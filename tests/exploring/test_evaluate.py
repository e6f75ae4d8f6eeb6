"""A point is refused for what it is, never for what befell the machine, and its figures are those of its program."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snncc import chip as chips
from snncc.compiler import compiled
from snncc.diagnostics import CompileError, fault
from snncc.estimation import estimate
from snncc.exploring import evaluate
from snncc.exploring.budget import parsed
from snncc.exploring.evaluate import Outcome, Task, Tools, build, model_of, named, tools_of
from snncc.exploring.space import Point, choices_of, dimensions, starts
from snncc.passes.legalise import legalise
from snncc.preparation import Choices

MODELS = Path(__file__).parents[2] / "models"


def task_for(folder: Path, target: str, budget: str) -> Task:
    """The search of a small network, on samples of its own."""
    path = folder / "few.npz"
    with np.load(MODELS / "digits_stock.samples.npz") as whole:
        np.savez(path, x=whole["x"][:40], y=whole["y"][:40])
    chip, model, data = chips.load(target), named(MODELS / "digits_stock.onnx"), named(path)
    task = Task(model, target, data, data, parsed(budget), (), Choices(), tools_of(chip))
    space = dimensions(legalise(model_of(task).graph), chip, 16, static=True)
    return replace(task, space=space)


def point(task: Task, **chosen: Any) -> Point:
    """The widest of everything, but for what is chosen by field."""
    return starts(task.space)[0] | {each.name: chosen[each.field] for each in task.space if each.field in chosen}


def faults(task: Task, at: Point) -> list[str]:
    with pytest.raises(CompileError) as found:
        build(task, at)
    return [str(each) for each in found.value.diagnostics]


def test_what_befalls_the_machine_is_no_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = task_for(tmp_path, "mesh64", "weights<=3KiB")
    widest = point(task)
    for rule, about in [
        *[(each, False) for each in ("cannot-read", "cannot-write", "bad-data", "bad-samples", "no-compiler")],
        *[(each, False) for each in ("compiler-failed", "missing-package", "changed-file")],
        *[(each, True) for each in ("scale-range", "ram-too-small", "sum-too-wide", "too-many-synapses")],
    ]:

        def failing(*_: object, rule: str = rule) -> None:
            raise fault(rule, "here", "went wrong")

        monkeypatch.setattr(evaluate, "compiled", failing)
        if about:
            assert build(task, widest).outcome == Outcome("refused", refusal=f"error[{rule}]: here: went wrong")
        else:
            assert faults(task, widest) == [f"error[{rule}]: here: went wrong"]


def test_a_file_that_changed_is_no_refusal(tmp_path: Path) -> None:
    task = task_for(tmp_path, "mesh64", "weights<=3KiB")
    path = Path(task.samples.path)
    np.savez(path, x=np.zeros((2, 64)), y=np.zeros(2, int))
    assert faults(task, point(task)) == [
        f"error[changed-file]: {path}: is not the file that it was when the study began\n"
        "  = hint: put it back, or begin another study: -o FOLDER"
    ]


def test_tools_are_the_same_on_all_machines(tmp_path: Path) -> None:
    task = replace(task_for(tmp_path, "cortex-m4", "ram<=900"), tools=Tools("0.0.1", "gcc 1"))
    own = tools_of(chips.load("cortex-m4"))
    assert faults(task, point(task)) == [
        f"error[changed-tools]: snncc: the search has 0.0.1, the worker {own.snncc}\n"
        "  = hint: install the same on all machines: figures depend on it"
    ]
    task = replace(task, tools=replace(own, compiler="gcc 1"))
    assert faults(task, point(task)) == [
        f"error[changed-tools]: the compiler of cortex-m4: the search has gcc 1, the worker {own.compiler or 'none'}\n"
        "  = hint: install the same on all machines: figures depend on it"
    ]
    assert tools_of(chips.load("mesh64")).compiler is None


def test_a_point_that_is_given_up_has_its_programs_figures(tmp_path: Path) -> None:
    task = task_for(tmp_path, "mesh64", "weights<=500B")
    narrow = point(task, weight_bits=2)
    found = build(task, narrow)
    choices = choices_of(task.space, narrow, task.base)
    program = compiled(model_of(task), chips.load("mesh64"), choices, task.samples.path)
    own = dict(estimate(program, task.samples.path).quantities)
    del own["accuracy"]
    assert (found.outcome.stage, found.outcome.quantities, found.files) == ("compiled", own, {})
    assert found.outcome.digest == evaluate.digest(program.files())
    assert own["weights"] > 2000


def test_a_program_that_fits_is_not_given_up(tmp_path: Path) -> None:
    """Without the samples' range its sums would be wider: 1,036 bytes of RAM."""
    task = task_for(tmp_path, "cortex-m4", "ram<=900B")
    found = build(task, point(task, prune=0.9))
    assert found.outcome.quantities["ram"] <= 900
    assert found.files
