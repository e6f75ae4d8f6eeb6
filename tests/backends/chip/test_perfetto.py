"""The trace of a sample: its spans are those of the machine, and lie in the steps that they belong to."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import snncc
from snncc import classics
from snncc.backends.base import Batch, Timeline
from snncc.backends.chip import perfetto
from snncc.backends.chip.perfetto import CHIP, CORES, LINKS, timeline
from snncc.backends.chip.run import run
from snncc.program import Program

MODEL = Path(__file__).parents[3] / "models" / "digits_dense.onnx"
STEPS = 4


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    compiled = snncc.compile(MODEL, "mesh64").write(tmp_path_factory.mktemp("timeline") / "digits")
    assert isinstance(compiled, Program)
    return compiled


def batch(program: Program) -> Batch:
    x = np.random.default_rng(3).integers(0, program.source.highest + 1, (1, STEPS, 64))
    return Batch(x, np.array([STEPS]))


def traced(program: Program) -> Timeline:
    assert program.folder is not None
    return timeline(program.folder, program.network, program.chip, batch(program))


def spans(found: Timeline, process: int) -> list[dict[str, Any]]:
    return [each for each in json.loads(found.content) if each["ph"] == "X" and each["pid"] == process]


def test_its_spans_are_what_the_machine_counts(program: Program) -> None:
    assert program.folder is not None
    counts = run(program.folder, program.network, program.chip, batch(program), False).counts
    found = traced(program)
    assert (found.steps, found.of) == (int(counts["steps"][0]), int(counts["steps"][0]))
    clock = program.chip.timing.clock_ns.value / 1000 if program.chip.timing else 0.0
    assert len(spans(found, CORES)) == counts["deliveries"].sum()
    assert len(spans(found, LINKS)) == counts["hops"].sum() + counts["deliveries"].sum()
    assert sum(each["dur"] for each in spans(found, CHIP)) == pytest.approx(counts["cycles"].sum() * clock)
    busy = sum(each["dur"] for each in spans(found, CORES))
    assert busy == pytest.approx(counts["synapse_busy"].sum() * clock)


def test_what_happens_lies_within_the_steps(program: Program) -> None:
    found = traced(program)
    end = max(each["ts"] + each["dur"] for each in spans(found, CHIP))
    for each in spans(found, CORES):
        assert 0 <= each["args"]["sent"] <= each["ts"] <= each["ts"] + each["dur"] <= end


def test_a_core_does_one_thing_at_a_time(program: Program) -> None:
    by_core: dict[int, list[tuple[float, float]]] = {}
    for each in spans(traced(program), CORES):
        by_core.setdefault(each["tid"], []).append((each["ts"], each["ts"] + each["dur"]))
    for own in by_core.values():
        ordered = sorted(own)
        assert all(a[1] <= b[0] + 1e-9 for a, b in pairwise(ordered))


def test_senders_have_their_names(program: Program) -> None:
    names = {each["name"].split(" ")[0] for each in spans(traced(program), CORES)}
    assert names == {"x", "lif1"}


def test_a_trace_that_would_not_open_ends_early(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(perfetto, "MOST_SPANS", 400)
    found = traced(program)
    assert 0 < found.steps < found.of
    assert len(spans(found, CORES)) + len(spans(found, LINKS)) <= 400


def test_what_travels_comes_after_learning() -> None:
    program = snncc.compile(classics.make("spikedyn", classics.Shape(9, 3, steps=12)), "mesh64")
    spans = json.loads(program.timeline(np.ones((1, 12, 9), np.uint8)).content)
    steps = {each["name"]: each for each in spans if each["name"].startswith("step ")}
    lessons = [each for each in spans if each["name"] == "learning"]
    assert len(lessons) == 12  # the traces of each step of the window, which begins with the second
    for lesson in lessons:
        step = next(each for each in steps.values() if each["ts"] == lesson["ts"])
        end = lesson["ts"] + lesson["dur"]
        inside = [each for each in spans if each.get("pid") == 1 and step["ts"] <= each.get("ts", -1) < end]
        assert not inside
        assert end < step["ts"] + step["dur"]
