"""The page of a simulation: what was decided, what the network did, and where on the chip it cost what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape

import numpy as np

from snncc.analysis.costs import Spent
from snncc.analysis.metrics import Run
from snncc.analysis.usage import Usage, usage_of
from snncc.arrays import Array, Ints
from snncc.chip import Fabric
from snncc.data import Data
from snncc.explanation import Explanation
from snncc.mapping import HOST
from snncc.mapping import Mapping as Placed
from snncc.pages import figures
from snncc.pages.page import Section, Table, render
from snncc.program import CompiledModel, Program

_DECISIONS = 50  # classes; with more, a table of decisions is too fine to be read
_RESOURCES = ("neurons", "synapse_words", "axons_in", "axons_out", "routes")
NORTH, EAST, SOUTH, WEST = range(4)


@dataclass(frozen=True, eq=False)
class Cores:
    """What only a chip of many cores has: where neurons lie, what each core uses, and the machine's counters."""

    fabric: Fabric
    mapping: Placed
    usage: Usage
    counts: Mapping[str, Ints]


def page(program: CompiledModel, data: Data, run: Run, first: Run, explanation: Explanation | None = None) -> bytes:
    """The page of a run of a compiled program on data, and of a run of the first sample that recorded its spikes.

    With an `explanation` it also says where accuracy went.
    """
    facts = [("samples", f"{run.samples:,}")]
    if run.accuracy is not None:
        facts.append(("accuracy", f"{run.accuracy:.2%}"))
    if run.spent:
        facts += _spent(run.spent)
    facts += [(each.label, each.text) for each in run.readings]
    sections = [*_sections(program, data, run, first), *(_where(explanation) if explanation else ())]
    return render(f"{program.title} on {program.chip.name}", program.chip.description, facts, sections)


def _spent(spent: Spent) -> Iterator[tuple[str, str]]:
    yield "spikes a sample", f"{spent.spikes:,.1f}"
    yield "synapses read a sample", f"{spent.synapses:,.0f}"
    if spent.changes is not None:
        yield "weights computed anew a sample", f"{spent.changes:,.0f}"
    yield "cycles a sample", f"{spent.cycles:,.0f}"
    yield "time a sample", spent.seconds.quantity("s")
    if spent.joules:
        yield "energy a sample", spent.joules.quantity("J")


def _cores(program: CompiledModel, run: Run) -> Cores | None:
    """What there is to say of cores, on a chip that has several."""
    fabric = program.chip.fabric
    mapping = program.placement() if isinstance(program, Program) and run.counts else None
    if mapping is None or fabric is None or not isinstance(program, Program):
        return None
    return Cores(fabric, mapping, usage_of(program.network, program.chip, mapping), run.counts)


def _sections(program: CompiledModel, data: Data, run: Run, first: Run) -> Iterator[Section]:
    if isinstance(program, Program):
        note = "Populations and, between them, synapse groups; dotted where they feed back."
        yield Section("Network", note, figures.network(program.network), wide=True)
    cores = _cores(program, run)
    if cores:
        yield from _on_cores(cores)
    spikes = {name: each[0] for name, each in first.trace.spikes.items()}
    yield Section("Spikes", "Of the first sample, population by population.", figures.raster(spikes), wide=True)
    if run.spent and run.spent.joules:
        parts = {name.replace("_", ", "): 1e9 * part for name, part in run.spent.joules.parts.items() if part}
        note = f"Of a sample, by event; {run.spent.joules.origin}."
        yield Section("Energy", note, figures.bars(parts, "nJ", {}))
    if data.y is not None and int(max(data.y.max(), run.classes.max())) < _DECISIONS:
        yield Section("Decisions", "Samples by label and decision.", figures.confusion(data.y, run.classes))
    rows = tuple((name, f"{rate:.4f}") for name, rate in first.rates.items())
    yield Section("Activity", "Of the first sample.", Table(("population", "spikes a neuron and step"), rows))


def _where(found: Explanation) -> Iterator[Section]:
    """Where accuracy went, stage by stage, and how far each population's spikes are off."""
    rows = tuple(
        (each.stage, "" if each.accuracy is None else f"{each.accuracy:.2%}", f"{each.changed:.2%}")
        for each in found.stages
    )
    note = "The trained model, with one population after the other as it was compiled."
    yield Section("Where accuracy went", note, Table(("up to", "accuracy", "classes changed"), rows))
    rows = tuple(
        (
            each.name,
            *(f"{value:.4f}" for value in (each.trained, each.compiled, each.error)),
            f"{each.differing:.2%}",
            "" if each.alone is None else f"{each.alone:.2%}",
        )
        for each in found.populations
    )
    head = ("population", "trained", "compiled", "error of a rate", "differing spikes", "classes changed by it alone")
    yield Section("Spikes and the trained model's", "Spikes a neuron and step.", Table(head, rows), wide=True)


def _on_cores(cores: Cores) -> Iterator[Section]:
    fabric, usage = cores.fabric, cores.usage
    count = len(usage.neurons)
    limits = {key: getattr(fabric.core, key) for key in _RESOURCES}
    used = {key: getattr(usage, key) for key, limit in limits.items() if limit is not None}
    fill = np.max([each / limits[key].value for key, each in used.items()], axis=0)
    hover = [_held(core, cores, used) for core in range(count)]
    yield Section("Cores", "How full the fullest resource of each core is.", figures.cores(fabric.mesh, fill, hover))
    note = "Packets through each router and over each link, both ways, of all samples."
    yield Section("Traffic", note, figures.traffic(fabric.mesh, *_links(fabric, cores.counts)))
    rows = tuple(_resource(key, each, limits[key].value) for key, each in used.items())
    head = ("resource", "fullest core", "a core holds", "all cores")
    yield Section("Resources", "Used and allowed.", Table(head, rows))
    busy = cores.counts["neuron_busy"][:count] + cores.counts["synapse_busy"][:count]
    steps = max(1, int(cores.counts["steps"][0]))
    order = [int(core) for core in np.argsort(-busy, kind="stable")[:5] if busy[core]]
    rows = tuple(_busy(core, cores, steps) for core in order)
    head = ("core", "neurons", "synapses", "waiting for the mesh")
    yield Section("Busiest cores", "Cycles a step in which their units work, or wait.", Table(head, rows))


def _held(core: int, cores: Cores, used: Mapping[str, Array]) -> str:
    """What a core holds, in lines of HTML."""
    lines = [f"<b>core {core}</b>"]
    for name, where in cores.mapping.placement.cores.items():
        here = int(np.count_nonzero(where == core)) if where.size and where[0] != HOST else 0
        if here:
            lines.append(f"{escape(name)}: {here:,} neurons")
    lines += [f"{_words(key)}: {int(each[core]):,}" for key, each in used.items() if key != "neurons"]
    return "<br>".join(lines)


def _words(key: str) -> str:
    return {"routes": "cores that a neuron sends to", "synapse_words": "words of synapses"}.get(
        key, key.replace("_", " ")
    )


def _resource(key: str, used: Array, limit: float) -> tuple[str, ...]:
    worst = int(used.max(initial=0))
    total = "" if key == "routes" else f"{int(used.sum()):,}"
    return _words(key), f"{worst:,} ({worst / limit:.0%})", f"{limit:,.0f}", total


def _busy(core: int, cores: Cores, steps: int) -> tuple[str, ...]:
    values = (cores.counts[key][core] / steps for key in ("neuron_busy", "synapse_busy", "neuron_stalled"))
    return (str(core), *(f"{each:,.1f}" for each in values))


def _links(fabric: Fabric, counts: Mapping[str, Ints]) -> tuple[Ints, Ints, Ints]:
    """Packets that left each tile's router, over the links to the east, and to the south, both ways together."""
    mesh = fabric.mesh
    hops = counts["hops"].reshape(mesh.rows, mesh.columns, 4)
    delivered = counts["deliveries"][: mesh.rows * mesh.columns * mesh.cores]
    tiles = hops.sum(axis=2) + delivered.reshape(mesh.rows, mesh.columns, mesh.cores).sum(axis=2)
    east = hops[:, :-1, EAST] + hops[:, 1:, WEST]
    south = hops[:-1, :, SOUTH] + hops[1:, :, NORTH]
    return tiles, east, south
