"""What a person and a machine see of a result: rich tables beside the same figures as plain data. Prints nothing."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from snncc.describe import count_of
from snncc.diagnostics import Diagnostic, printable

if TYPE_CHECKING:
    from snncc.analysis.costs import Spent
    from snncc.analysis.metrics import Fidelity, Profile, Run
    from snncc.analysis.reports import Report
    from snncc.arrays import Shape
    from snncc.backends.base import Footprint
    from snncc.chip import Chip
    from snncc.event_program import EventProgram
    from snncc.frontends import Finding
    from snncc.mapping import Mapping as Placed
    from snncc.program import Program
    from snncc.verify import Verification

_PLACES = 16  # that a fault is said of by name
_NAME = 24  # characters of a name that stay on one line, however narrow the terminal


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
    return [_diagnostic(each, _listed(where)) for each, where in places.items()]


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _PLACES
    return ", ".join(names) if more < 2 else f"{', '.join(names[:_PLACES])} and {more:,} more"


def _diagnostic(each: Diagnostic, where: str) -> Text:
    colour = "red" if each.severity == "error" else "yellow"
    text = Text.assemble((f"{each.severity}[{each.rule}]", f"bold {colour}"), f": {where}: ")
    text.append(printable(each.message, lines=True))
    if each.hint:
        text.append(f"\n  = hint: {printable(each.hint, lines=True)}", "cyan")
    return text


def new_table(title: str, *columns: str) -> Table:
    """A table whose columns are right-aligned where their heading starts with `#`; headings may have line breaks."""
    table = Table(
        title=Text(title), title_justify="left", title_style="bold", header_style="", box=None, pad_edge=False
    )
    lines = max((column.count("\n") for column in columns), default=0)
    for column in columns:
        heading = "\n" * (lines - column.count("\n")) + column.lstrip("#")
        table.add_column(Text(heading), justify="right" if column.startswith("#") else "left", overflow="fold")
    return table


def add_row(table: Table, *cells: object) -> None:
    """Add cells as they are: names from files are neither markup nor control sequences. The first one is a name."""
    texts = [printable(str(each)) for each in cells]
    first = table.columns[0]
    first.min_width = max(first.min_width or 0, min(len(texts[0]), _NAME))
    table.add_row(*map(Text, texts))


def _shape(shape: Shape) -> str:
    return "×".join(map(str, shape)) or "1"


def recognised(name: str, found: Sequence[Finding]) -> View:
    """What each node of a file was recognised as, how far neurons are from the file's own, and why others are not."""
    cells = [_finding(each) for each in found]
    optional = [key for key in ("#fit error", "why not") if any(row[key] for row in cells)]
    columns = [key for key in _FOUND if key not in ("#fit error", "why not") or key in optional]
    table = new_table(f"{printable(name)}: what was recognised", *columns)
    for row in _folded(cells):
        add_row(table, *(row[key] for key in columns))
    plain = [
        {key: row[key] for key in ("node", "is", "shape", "reads", "parameters")}
        | {"fit_error": each.fit_error, "rule": each.rule or None, "why_not": each.why or None}
        for each, row in zip(found, cells, strict=True)
    ]
    return View({"layers": plain}, [table, ""] if cells else [])


_FOUND = ("node", "is", "shape", "reads", "#fit error", "parameters", "why not")
_ALIKE = 3  # rows that differ in nothing but their node are shown up to here


def _finding(found: Finding) -> dict[str, str]:
    return {
        "node": found.node,
        "is": found.kind or "not recognised",
        "shape": "" if found.shape is None else _shape(found.shape),
        "reads": ", ".join(found.reads),
        "#fit error": "" if found.fit_error is None else f"{found.fit_error:.1g}",
        "parameters": found.parameters,
        "why not": f"{found.rule}: {found.why}" if found.rule else "",
    }


def _folded(rows: Sequence[dict[str, str]]) -> Iterator[dict[str, str]]:
    """The rows, without the many that a file of all time steps has alike; each that was refused is shown."""
    keys = [tuple(cell for key, cell in row.items() if key != "node") for row in rows]
    counts, seen = Counter(keys), Counter[tuple[str, ...]]()
    for row, key in zip(rows, keys, strict=True):
        seen[key] += 1
        more = counts[key] - _ALIKE
        if row["why not"] or more < 2 or seen[key] < _ALIKE:
            yield row
        elif seen[key] == _ALIKE:
            yield {**row, "node": f"{row['node']} and {more:,} more"}


def compiled(program: Program | EventProgram, folder: Path | None) -> View:
    """The tables of a compile: populations, synapses, totals, warnings."""
    result = _report(program)
    steps = count_of(program.steps, "step") if program.steps else "steps as the data have"
    steps = f"{steps} for {program.fewer}" if program.fewer else steps
    bytes_ = f"{result.weight_bytes:,} bytes of weights, {result.state_bytes:,} of state"
    size = f"{result.neurons:,} neurons, {result.synapse_count:,} synapses, {bytes_}"
    plain = {
        "title": program.title,
        "target": program.chip.name,
        "backend": program.backend.name,
        "steps": program.steps,
        "fewer": program.fewer and dataclasses.asdict(program.fewer),
        "folder": None if folder is None else str(folder),
        "warnings": [dataclasses.asdict(each) for each in program.warnings],
        **dataclasses.asdict(result),
    }
    tables = [_populations(result), "", _synapses(result), "", Text(f"{size}; {steps}")]
    for each in (_gone(program), _cores(program), _memory(program), _fidelity(program)):
        plain, tables = {**plain, **each.plain}, [*tables, *each.shown]
    return View(plain, [*tables, *_shown(program.warnings)])


def _gone(program: Program | EventProgram) -> View:
    """What was taken out of the model, and why."""
    table = new_table("left out", "what", "#neurons", "#synapses")
    for row in program.gone:
        add_row(table, row.why, f"{row.neurons:,}", f"{row.synapses:,}")
    return View({"gone": [dataclasses.asdict(row) for row in program.gone]}, ["", table] if program.gone else [])


def _cores(program: Program | EventProgram) -> View:
    """What of a chip's cores is used, and the traffic between them, on a chip that has cores."""
    from snncc.event_program import EventProgram

    if isinstance(program, EventProgram) or program.mapping is None or program.chip.mesh is None:
        return View({}, [])
    from snncc.analysis.usage import cores_used, resources
    from snncc.mapping import cores_of

    rows = resources(program.network, program.chip, program.mapping)
    used, there = cores_used(program.mapping), cores_of(program.chip.mesh)
    table = new_table("cores", "of the cores", "#fullest core", "#of", "#total", "#of", "#")
    for row in rows:
        totals = ("", "", "") if row.total is None or not row.total_allowed else share(row.total, row.total_allowed)
        table.add_row(row.name, f"{row.fullest:,}", f"{row.allowed:,}", *totals)
    table.add_row("cores", "", "", *share(used, there))
    sent = {"chosen": program.mapping.traffic, "in_order": program.mapping.in_order}
    plain = {
        "used": used,
        "there": there,
        "resources": [dataclasses.asdict(row) for row in rows],
        "traffic": {name: each and dataclasses.asdict(each) for name, each in sent.items()},
    }
    return View({"cores": plain}, ["", table, "", Text(_traffic(program.mapping))])


def _memory(program: Program | EventProgram) -> View:
    """What is taken of the memories of a target that says what it has, and is no chip of cores."""
    from snncc.event_program import EventProgram

    taken = None if isinstance(program, EventProgram) or program.mapping else program.footprint()
    if taken is None or not taken.there:
        return View({}, [])
    return View({"memory": dataclasses.asdict(taken)}, ["", memory(taken)])


def memory(taken: Footprint) -> Table:
    """The sections of each memory, and what there is of it where a target says that."""
    table = new_table("memory", "section", "#bytes", "#of", "#", "")
    for name in dict.fromkeys(each.memory for each in taken.sections):
        for each in taken.sections:
            if each.memory == name:
                add_row(table, f"  {each.name}", f"{each.bytes:,}", "", "", each.how)
        needed = taken.needed(name)
        add_row(
            table, name, *(share(needed, taken.there[name]) if name in taken.there else (f"{needed:,}", "", "")), ""
        )
    return table


def _traffic(mapping: Placed) -> str:
    """What is sent, and what cores filled in order would send."""
    if mapping.traffic is None:
        return ""
    text = f"traffic: {mapping.traffic.packets:,.0f} packets over {mapping.traffic.hops:,.0f} links; in order "
    if mapping.in_order is None:
        return f"{text}it would not fit"
    return f"{text}{mapping.in_order.packets:,.0f} packets over {mapping.in_order.hops:,.0f}"


def share(used: int, of: int) -> tuple[str, str, str]:
    return f"{used:,}", f"{of:,}", f"{used / max(1, of):.0%}"


def _report(program: Program | EventProgram) -> Report:
    from snncc.analysis.event_reports import event_report
    from snncc.analysis.reports import report
    from snncc.event_program import EventProgram

    if isinstance(program, EventProgram):
        return event_report(program.network)
    return report(program.network, program.proof)


def _fidelity(program: Program | EventProgram) -> View:
    """What is left of the trained model after each stage, where that was measured."""
    rows = getattr(program, "fidelity", ())
    if not rows:
        return View({}, [])
    table = new_table("on the samples, after each stage", "stage", "#accuracy", "#classes changed")
    for row in rows:
        add_row(table, row.stage, *left(row))
    return View({"fidelity": [dataclasses.asdict(row) for row in rows]}, ["", table])


def left(row: Fidelity) -> tuple[str, str]:
    return "" if row.accuracy is None else f"{row.accuracy:.2%}", f"{row.changed:.2%}"


def _populations(result: Report) -> Table:
    columns = ("#neurons", "neuron", "#threshold", "#sum\nbits", "#state\nbits", "#state\nbytes", "registers")
    table = new_table("populations", "name", *columns)
    for row in result.populations:
        bits = ", ".join(map(str, row.state_bits))
        counts = (row.accumulator_bits, bits, f"{row.state_bytes:,}")
        add_row(table, row.name, f"{row.neurons:,}", row.kind, row.threshold, *counts, row.verdict)
    return table


def _synapses(result: Report) -> Table:
    delayed = any(row.delay for row in result.synapses)
    columns = ("from", "to", "form", "#synapses", "#weight\nbits", "#weight\nbytes", *["#delay"] * delayed)
    table = new_table("synapses", "name", *columns)
    for row in result.synapses:
        counts = (f"{row.synapses:,}", row.weight_bits, f"{row.bytes:,}", *[row.delay] * delayed)
        add_row(table, row.name, row.source, row.target, row.form, *counts)
    return table


def simulated(what: Path, run: Run) -> View:
    """Accuracy, classes and firing rates of a run."""
    table = new_table("", "", "")
    table.show_header = False
    add_row(table, "samples", f"{run.samples:,}")
    if run.accuracy is not None:
        add_row(table, "accuracy", f"{run.accuracy:.2%}")
    if run.seconds:
        add_row(table, "time on target", f"{run.seconds:.3g} s, {run.seconds / run.samples:.3g} s a sample")
    for name, rate in run.rates.items():
        add_row(table, f"spikes a step, {name}", f"{rate:.4f} a neuron")
    for each in run.readings:
        add_row(table, each.label, each.text)
    plain = {
        "what": str(what),
        "samples": run.samples,
        "accuracy": run.accuracy,
        "seconds": run.seconds,
        "rates": dict(run.rates),
        "classes": run.classes.tolist(),
        **{each.key: each.value for each in run.readings},
    }
    if run.profile is not None:
        shown = _profile(run.profile)
        return View({**plain, **shown.plain}, [table, *shown.shown])
    if run.spent is None:
        return View(plain, [table])
    taken = _spent(run.spent)
    return View({**plain, **taken.plain}, [table, *taken.shown])


def _profile(profile: Profile) -> View:
    """Where a run's instructions or cycles went, in means a sample."""
    columns = ("kernel", "#events", "#synaptic", f"#{profile.unit}", "#each", "#bytes", "#break-even\nactivity")
    table = new_table("a sample, layer by layer", "layer", *columns)
    for each in profile.rows:
        numbers = [each.events, each.synaptic, each.counted]
        cells = ["" if value is None else f"{value:,.0f}" for value in numbers]
        of_each = "" if each.each is None else f"{each.each:.2f}"
        even = "" if each.break_even is None else f"{each.break_even:.0%}"
        add_row(table, each.name, each.kernel, *cells, of_each, f"{each.bytes:,}", even)
    worst = "" if profile.worst is None else f"no step of any input takes more than {profile.worst:,} {profile.unit}"
    return View({"profile": dataclasses.asdict(profile)}, ["", table, *["", Text(worst)] * bool(worst)])


def _spent(spent: Spent) -> View:
    """What a run took on a chip of many cores, a sample."""
    table = new_table("a sample took", "", "")
    table.show_header = False
    add_row(table, "steps, cycles", f"{spent.steps:,.1f}, {spent.cycles:,.0f}")
    add_row(table, "time", f"{spent.seconds.quantity('s')} ({spent.seconds.origin})")
    if spent.joules:
        add_row(table, "energy", f"{spent.joules.quantity('J')} ({spent.joules.origin})")
        for name, part in sorted(spent.joules.parts.items(), key=lambda each: -each[1]):
            if part:
                what = name.replace("_", ", ")
                add_row(table, f"  of that, {what}", f"{part / spent.joules.value:.1%}")
    add_row(table, "spikes, packets, hops", f"{spent.spikes:,.1f}, {spent.packets:,.1f}, {spent.hops:,.1f}")
    add_row(table, "synapses read", f"{spent.synapses:,.1f}")
    if spent.changes is not None:
        add_row(table, "weights computed anew", f"{spent.changes:,.1f}")
    bench = spent.bench
    operations = f"{bench.effective_acs:,.1f} AC, {bench.effective_macs:,.1f} MAC, of {bench.dense:,.1f}"
    add_row(table, "effective synaptic operations", operations)
    sparsity = f"{bench.activation_sparsity:.2%}, {bench.connection_sparsity:.2%}"
    add_row(table, "sparsity of activations, connections", sparsity)
    add_row(table, "footprint", f"{bench.footprint:,} bytes")
    add_row(table, "fullest buffer, queue", f"{spent.buffer} packets, {spent.queue} packets")
    plain = {"spent": dataclasses.asdict(spent)}
    busiest = [_busiest_cores(spent), *(["", _busiest_links(spent)] if spent.links else [])]
    return View(plain, ["", table, "", *busiest])


def _busiest_cores(spent: Spent) -> Table:
    learns = spent.changes is not None
    columns = "#neurons", "#waiting", "#synapses", *["#learning"] * learns
    table = new_table("busiest cores", "core", "column, row", *columns)
    for core in spent.cores:
        shares = [core.neurons, core.waiting, core.synapses, *[core.learning] * learns]
        add_row(table, core.core, "{}, {}".format(*core.tile), *(f"{share:.1%}" for share in shares))
    return table


def _busiest_links(spent: Spent) -> Table:
    table = new_table("busiest links", "from column, row", "to the", "#packets", "#busy")
    for link in spent.links:
        add_row(table, "{}, {}".format(*link.tile), link.direction, f"{link.packets:,.1f}", f"{link.busy:.1%}")
    return table


def deployed(machine: str, *, learning: bool = False) -> View:
    """What a Lava program, one of `learning` or another, ran on: the name of Lava's run configuration."""
    hardware = machine.endswith("HwCfg")
    missing = "Lava's Loihi extension is not installed, so there is no hardware"
    why = "it learns by process models of snncc's own, which no hardware runs" if learning else missing
    simulator = f"ran on Lava's simulator ({machine}): {why}"
    text = f"ran on Loihi hardware ({machine})" if hardware else simulator
    return View({"machine": machine, "hardware": hardware}, [Text(text)])


def verified(verdict: Verification) -> View:
    """Whether the target gives the reference's bits, or the first difference."""
    plain = {"equal": verdict.equal, **dataclasses.asdict(verdict)}
    head = f"{verdict.samples:,} samples, {verdict.values:,} {verdict.kinds} compared"
    if verdict.difference is None:
        return View(plain, [Text.assemble(("equal", "bold green"), f": {head}, no bit differs")])
    text = Text.assemble(("different", "bold red"), f": {head}, {verdict.differing:,} differ; the first:\n  ")
    return View(plain, [text.append(printable(str(verdict.difference)))])


def targets(chips: Sequence[Chip]) -> View:
    """The chips and their limits."""
    columns = ("backend", "#weight\nbits", "input\nbits", "#delays", "#state\nbits", "description")
    table = new_table("targets", "name", *columns)
    for chip in chips:
        graded = f"{'signed' if chip.input.signed else 'unsigned'} {chip.input.bits}"
        low, high = chip.delay.steps
        limits = (chip.weight.bits, graded if chip.input.bits > 1 else "spikes", f"{low}..{high}", chip.membrane.bits)
        add_row(table, chip.name, chip.backend, *limits, chip.description)
    return View({"targets": [dataclasses.asdict(chip) for chip in chips]}, [table])
