"""What a run of learning came to, for people and machines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from snncc.analysis.costs import Estimate, Took
from snncc.checkpoints import Exam, Progress
from snncc.views import View, add_row, new_table


def learnt(at: Progress) -> View:
    """A row for each test; accuracies are fractions for machines."""
    dynamic = any(exam.newest is not None for exam in at.exams)
    headings = ("#accuracy", "class", "#newest class", "#earlier classes")
    table = new_table("tests", "#samples", *(headings if dynamic else headings[:1]))
    for exam in at.exams:
        overall, newest, earlier = map(_share, _three(exam))
        add_row(table, f"{exam.samples:,}", overall, *[exam.newest, newest, earlier] * dynamic)
    plain: dict[str, Any] = {
        "samples": at.position,
        "steps": at.learnt.steps,
        "tests": [
            {"samples": exam.samples, **dict(zip(("accuracy", "newest", "earlier"), _three(exam), strict=True))}
            for exam in at.exams
        ],
        "operations": {"learning": asdict(at.learning), "testing": asdict(at.testing)},
    }
    if not at.took[0].samples:
        return View(plain, (table,))
    plain["chip"] = {name: asdict(each) for name, each in zip(("learning", "testing"), at.took, strict=True)}
    chip = new_table("a sample takes", "", "#learning", "#testing")
    for name, cells in taken_by_sample(at.took).items():
        add_row(chip, name, *cells)
    return View(plain, (table, "", chip))


def reached(at: Progress) -> str:
    """How far a run has come, and what of that was tested, in words."""
    said = f"the run has learnt {at.position:,} samples"
    if not at.exams:
        return f"{said}; nothing of that was tested"
    tested = at.exams[-1].samples
    return said if tested == at.position else f"{said}; its last test was after {tested:,}"


def taken_by_sample(took: tuple[Took, Took]) -> Mapping[str, tuple[str, str]]:
    """What a sample took of a chip of many cores, to learn and to test, in words."""
    rows = {"time": ("seconds", "s"), "energy": ("joules", "J")}
    return {
        name: (_mean(took[0], key, unit), _mean(took[1], key, unit))
        for name, (key, unit) in rows.items()
        if any(getattr(each, key) for each in took)
    }


def _mean(took: Took, key: str, unit: str) -> str:
    if not took.samples:
        return "none"
    return Estimate(getattr(took, key) / took.samples, {}, 0, 0).quantity(unit)


def _three(exam: Exam) -> tuple[float | None, float | None, float | None]:
    newest = None if exam.newest is None else exam.of([exam.newest])
    return exam.overall, newest, None if exam.newest is None else exam.earlier


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"
