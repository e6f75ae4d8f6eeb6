"""What a run of learning came to, for people and machines."""

from __future__ import annotations

from dataclasses import asdict

from rich.table import Table

from snncc.training import Exam, Progress
from snncc.views import View


def learnt(at: Progress) -> View:
    """A row for each test; accuracies are fractions for machines."""
    dynamic = any(exam.newest is not None for exam in at.exams)
    columns = 3 if dynamic else 1
    table = Table("samples", *("accuracy", "newest class", "earlier classes")[:columns])
    for exam in at.exams:
        table.add_row(f"{exam.samples:,}", *(_share(each) for each in _three(exam)[:columns]))
    plain = {
        "samples": at.position,
        "steps": at.learnt.steps,
        "tests": [
            {"samples": exam.samples, **dict(zip(("accuracy", "newest", "earlier"), _three(exam), strict=True))}
            for exam in at.exams
        ],
        "operations": {"learning": asdict(at.learning), "testing": asdict(at.testing)},
    }
    return View(plain, (table,))


def _three(exam: Exam) -> tuple[float | None, float | None, float | None]:
    newest = None if exam.newest is None else exam.of([exam.newest])
    return exam.overall, newest, None if exam.newest is None else exam.earlier


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"
