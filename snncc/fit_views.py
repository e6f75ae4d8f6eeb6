"""What a person and a machine see of what fits: what a program takes of its target, as views. Prints nothing."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from snncc.diagnostics import printable
from snncc.views import View, add_row, memory, new_table

if TYPE_CHECKING:
    from snncc.estimation import Estimation
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
    if found.joules:
        add_row(table, "energy a sample", f"{found.joules.quantity('J')} ({found.joules.origin})")
        for name, part in sorted(found.joules.parts.items(), key=lambda each: -each[1]):
            if part:
                count = f"{found.events[name]:,.1f} a sample"
                add_row(table, f"  of that, {name.replace('_', ', ')}", f"{part / found.joules.value:.1%}, {count}")
    if found.seconds:
        add_row(table, "time a sample", f"{found.seconds.quantity('s')} ({found.seconds.origin})")
    for name, rate in found.rates.items():
        add_row(table, f"spikes a step, {name}", f"{rate:.4f} a neuron")
    if found.cores:
        add_row(table, "cores", f"{found.cores[0]:,} of {found.cores[1]:,}")
    plain = {"title": program.title, "target": program.chip.name, **dataclasses.asdict(found)}
    shown = [table, ""] if table.row_count else []
    return View({**plain, "quantities": dict(found.quantities)}, [*shown, memory(found.footprint)])
