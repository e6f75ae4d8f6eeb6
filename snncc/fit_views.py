"""What a person and a machine see of what fits: what a program takes of its target, what it loses. Prints nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.text import Text

from snncc.diagnostics import printable
from snncc.exploring.budget import MORE
from snncc.exploring.budget import shown as quantity
from snncc.views import View, add_row, left, memory, new_table

if TYPE_CHECKING:
    from snncc.estimation import Estimation
    from snncc.explanation import Explanation
    from snncc.exploring.search import Searched
    from snncc.exploring.study import Found
    from snncc.program import CompiledModel


def estimated(program: CompiledModel, found: Estimation) -> View:
    """What a program takes of its target, without a run there."""
    title = f"{printable(program.title)} on {printable(program.chip.name)}, without running it there"
    table = new_table(title, "", "")
    table.show_header = False
    if found.samples:
        add_row(table, "samples", f"{found.samples:,}")
    if found.accuracy is not None:
        add_row(table, "accuracy", f"{found.accuracy:.2%}")
    if found.counted:
        add_row(table, f"{found.counted[1]} a sample", f"{found.counted[0]:,.0f}")
    for words in _spent(found):
        add_row(table, *words)
    for name, rate in found.rates.items():
        add_row(table, f"spikes a step, {name}", f"{rate:.4f} a neuron")
    if found.cores:
        add_row(table, "cores", f"{found.cores[0]:,} of {found.cores[1]:,}")
    plain = {"title": program.title, "target": program.chip.name, **dataclasses.asdict(found)}
    shown = [table, ""] if table.row_count else []
    return View({**plain, "quantities": dict(found.quantities)}, [*shown, memory(found.footprint)])


def _spent(found: Estimation) -> Iterator[tuple[str, str]]:
    """What a sample takes; of a network that learns, a learnt one, and one that is only answered."""
    sample, answered = ("a sample", None) if found.answered is None else ("a learnt sample", found.answered)
    if found.updates is not None and found.traces is not None:
        yield f"weights computed anew {sample}", f"{found.updates:,.1f}"
        yield f"traces computed anew {sample}", f"{found.traces:,.1f}"
    if found.joules:
        yield f"energy {sample}", f"{found.joules.quantity('J')} ({found.joules.origin})"
        for name, part in sorted(found.joules.parts.items(), key=lambda each: -each[1]):
            if part:
                count = f"{found.events[name]:,.1f} a sample"
                yield f"  of that, {name.replace('_', ', ')}", f"{part / found.joules.value:.1%}, {count}"
    if found.seconds:
        yield f"time {sample}", f"{found.seconds.quantity('s')} ({found.seconds.origin})"
    if answered and answered.joules:
        yield "energy an answered sample", answered.joules.quantity("J")
    if answered and answered.seconds:
        yield "time an answered sample", answered.seconds.quantity("s")


def searched(found: Searched) -> View:
    """The front of a search, the point to take, and the command that compiles it."""
    names = [MORE, *(each.quantity for each in found.limits if each.quantity != MORE)]
    table = new_table("the front: no point beats these", "point", *(f"#{name}" for name in names), "", "choices")
    for each in found.front.points:
        values = [quantity(name, each.outcome.quantities[name]) for name in names]
        mark = "best" if each is found.front.best else "closest" if each is found.front.closest else ""
        mark = mark if each is found.front.best or found.front.best is None else ""
        add_row(table, each.number, *values, mark, " ".join(found.words[each.number]))
    stages = [each.outcome.stage for each in found.found]
    counts = ", ".join(f"{stages.count(stage):,} {text}" for stage, text in _STAGES.items() if stage in stages)
    total = f"{len(stages):,} points: {counts}"
    total += "" if found.trained is None else f"; the model as trained has {quantity(MORE, found.trained)}"
    lines = [Text(_chosen(found, each)) for each in [found.front.best or found.front.closest] if each]
    lines += [Text(f"  {found.lesson} -o RUN")] * bool(lines and found.lesson)
    plain = {
        "budget": [dataclasses.asdict(each) for each in found.limits],
        "trained": found.trained,
        "lesson": found.lesson,
        "best": found.front.best and found.front.best.number,
        "closest": found.front.closest and found.front.closest.number,
        "front": [each.number for each in found.front.points],
        "points": [{**dataclasses.asdict(each), "command": found.commands[each.number]} for each in found.found],
    }
    return View(plain, [table, "", Text(total), *lines])


def _chosen(found: Searched, point: Found) -> str:
    """The point to take, or the closest, in words."""
    values = ", ".join(f"{name} {quantity(name, value)}" for name, value in point.outcome.quantities.items())
    word = "the best within the budget" if found.front.best else "the closest to the budget"
    stage = "" if point.outcome.stage == "measured" else f" ({_STAGES[point.outcome.stage]})"
    return f"{word} is point {point.number}{stage}: {values}\n  {found.commands[point.number]} -o DIR"


_STAGES = {
    "measured": "measured",
    "compiled": "given up by the analytical models",
    "refused": "refused by the compiler",
    "lost": "lost with the workers that evaluated them",
}


def explained(found: Explanation) -> View:
    """Where accuracy went, stage by stage and population by population."""
    stages = new_table("with one population after the other as compiled", "", "#accuracy", "#classes changed")
    for row in found.stages:
        add_row(stages, row.stage, *left(row))
    columns = "#trained", "#compiled", "#error of\na rate", "#differing\nspikes", "#classes changed\nby it alone"
    table = new_table("spikes a neuron and step", "population", *columns)
    for row in found.populations:
        rates = f"{row.trained:.4f}", f"{row.compiled:.4f}", f"{row.error:.4f}"
        add_row(table, row.name, *rates, f"{row.differing:.2%}", "" if row.alone is None else f"{row.alone:.2%}")
    return View(dataclasses.asdict(found), [stages, "", table])
