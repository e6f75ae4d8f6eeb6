"""What a person and a machine see of a result: rich tables beside the same figures as plain data. Prints nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from snncc.analysis.metrics import Run
from snncc.analysis.reports import report
from snncc.arrays import Shape
from snncc.chip import Chip
from snncc.diagnostics import Diagnostic, printable
from snncc.frontends import Model
from snncc.graph import Graph, op_text
from snncc.layers import Layer, Neuron
from snncc.program import Program
from snncc.verify import Verification


@dataclass(frozen=True)
class View:
    """`plain` is for --json; `shown` is printed one under the other."""

    plain: Mapping[str, Any]
    shown: Sequence[RenderableType]


def diagnostics(found: Sequence[Diagnostic]) -> View:
    """Errors and warnings, as DESIGN of the messages has them: rule, place, message, hint."""
    return View({"diagnostics": [dataclasses.asdict(each) for each in found]}, _shown(found))


def _shown(found: Sequence[Diagnostic]) -> list[Text]:
    """One text for each fault; what is said in the same words of several places is said once, with all of them."""
    places: dict[Diagnostic, list[str]] = {}
    for each in found:
        places.setdefault(dataclasses.replace(each, where=""), []).append(printable(each.where))
    return [_diagnostic(each, ", ".join(where)) for each, where in places.items()]


def _diagnostic(each: Diagnostic, where: str) -> Text:
    colour = "red" if each.severity == "error" else "yellow"
    text = Text.assemble((f"{each.severity}[{each.rule}]", f"bold {colour}"), f": {where}: ")
    text.append(printable(each.message, lines=True))
    if each.hint:
        text.append(f"\n  = hint: {printable(each.hint, lines=True)}", "cyan")
    return text


def _table(title: str, *columns: str) -> Table:
    """A table whose columns are right-aligned where their heading starts with `#`."""
    table = Table(title=title, title_justify="left", title_style="bold", header_style="", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column.lstrip("#"), justify="right" if column.startswith("#") else "left", overflow="fold")
    return table


def _shape(shape: Shape) -> str:
    return "x".join(map(str, shape)) or "1"


def recognised(model: Model) -> View:
    """What each node of the model was recognised as."""
    table = _table(
        f"{escape(printable(model.name))}: what was recognised", "node", "is", "shape", "reads", "parameters"
    )
    rows = [_layer(model.graph, name, op) for name, op in model.graph.ops.items()]
    for row in rows:
        table.add_row(*(escape(printable(str(row[key]))) for key in ("node", "is", "shape", "reads", "parameters")))
    return View({"layers": rows}, [table])


def _layer(graph: Graph[Layer], name: str, op: Layer) -> dict[str, str]:
    reads = [
        edge.source
        + (f" (step t-{edge.delay})" if edge.delay else "")
        + (f" * {edge.gain:g}" if edge.gain != 1 else "")
        for edge in graph.incoming(name)
    ]
    shape = getattr(op, "shape", ())
    text = op_text(op)
    inner = text[text.index("(") + 1 : -1]
    parameters = inner.partition("), ")[2] if inner.startswith("shape=") else inner
    return {
        "node": name,
        "is": type(op).__name__ if not isinstance(op, Neuron) else _neuron(op),
        "shape": _shape(shape),
        "reads": ", ".join(reads),
        "parameters": parameters,
    }


def _neuron(op: Neuron) -> str:
    if op.threshold is None:
        return "leaky integrator"
    leak = "IF" if bool((op.decay == 1).all()) else "threshold" if not op.decay.any() else "LIF"
    return f"CUBA {leak} neuron" if op.current else f"{leak} neuron"


def compiled(program: Program, folder: Path | None) -> View:
    """The tables of a compile: populations, synapses, totals, and what to do next."""
    result = report(program.network, program.proof)
    populations = _table(
        "populations", "name", "#neurons", "neuron", "#threshold", "#sum bits", "#state bits", "registers proved"
    )
    for row in result.populations:
        bits = ", ".join(map(str, row.state_bits))
        cells = (row.name, f"{row.neurons:,}", row.kind, row.threshold, row.accumulator_bits, bits, row.verdict)
        populations.add_row(*(escape(printable(str(cell))) for cell in cells))
    synapses = _table("synapses", "name", "from", "to", "form", "#synapses", "#weights", "#bits", "#bytes", "#delay")
    for row in result.synapses:
        cells = (row.name, row.source, row.target, row.form, f"{row.synapses:,}", f"{row.weights:,}", row.weight_bits)
        synapses.add_row(*(escape(printable(str(cell))) for cell in (*cells, f"{row.bytes:,}", row.delay)))
    steps = f"{program.steps} steps" if program.steps else "steps as the data have"
    size = f"{result.neurons:,} neurons, {result.synapse_count:,} synapses, {result.weight_bytes:,} bytes of weights"
    plain = {
        "title": program.title,
        "target": program.chip.name,
        "backend": program.backend.name,
        "steps": program.steps,
        "folder": None if folder is None else str(folder),
        "warnings": [dataclasses.asdict(each) for each in program.warnings],
        **dataclasses.asdict(result),
    }
    shown = [populations, "", synapses, "", Text(f"{size}; {steps}"), *_shown(program.warnings)]
    return View(plain, shown)


def simulated(what: Path, run: Run) -> View:
    """Accuracy, classes and firing rates of a run."""
    table = _table("", "", "#")
    table.show_header = False
    table.add_row("samples", f"{run.samples:,}")
    if run.accuracy is not None:
        table.add_row("accuracy", f"{run.accuracy:.2%}")
    if run.seconds:
        table.add_row("time on target", f"{run.seconds:.3g} s, {run.seconds / run.samples:.3g} s a sample")
    for name, rate in run.rates.items():
        table.add_row(f"spikes a step, {escape(printable(name))}", f"{rate:.4f} a neuron")
    plain = {
        "what": str(what),
        "samples": run.samples,
        "accuracy": run.accuracy,
        "seconds": run.seconds,
        "rates": dict(run.rates),
        "classes": run.classes.tolist(),
    }
    return View(plain, [table])


def verified(verdict: Verification) -> View:
    """Whether the target gives the reference's bits, or the first difference."""
    plain = {"equal": verdict.equal, **dataclasses.asdict(verdict)}
    head = f"{verdict.samples:,} samples, {verdict.values:,} spikes, membranes and outputs compared"
    if verdict.difference is None:
        return View(plain, [Text.assemble(("equal", "bold green"), f": {head}, no bit differs")])
    text = Text.assemble(("different", "bold red"), f": {head}, {verdict.differing:,} differ; the first:\n  ")
    return View(plain, [text.append(printable(str(verdict.difference)))])


def targets(chips: Sequence[Chip]) -> View:
    """The chips and their limits."""
    table = _table("targets", "name", "backend", "#weight bits", "input", "#delays", "#state bits", "description")
    for chip in chips:
        graded = (
            f"{'signed' if chip.input.signed else 'unsigned'} {chip.input.bits} bits"
            if chip.input.bits > 1
            else "spikes"
        )
        low, high = chip.delay.steps
        cells = (chip.name, chip.backend, str(chip.weight.bits), graded, f"{low}..{high}", str(chip.membrane.bits))
        table.add_row(*(escape(cell) for cell in (*cells, chip.description)))
    return View({"targets": [dataclasses.asdict(chip) for chip in chips]}, [table])
