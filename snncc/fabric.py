"""A chip of many cores as its file describes it: its mesh, what a core holds, what things take and cost."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields

from snncc.diagnostics import Diagnostic
from snncc.records import Place, Reader, Steps

MOST_CORES = 58  # of a tile: a router's ports are bits of a 64-bit word
_MOST = 1 << 30  # of any figure: sums of many stay far below 2**63
_MOST_PACKETS = 1 << 12  # in a buffer
_MOST_PICOJOULES = 1e12


@dataclass(frozen=True)
class Figure:
    """A number of a chip, 0 or more, and where it comes from: published in `source`, or `assumed`."""

    value: float
    source: str = ""
    assumed: bool = False


@dataclass(frozen=True)
class Mesh:
    """Tiles in a grid of columns (to the east) and rows (to the south), each a router with `cores` cores.

    `host` is the (column, row) of the tile at whose router the host's port is.
    """

    columns: int
    rows: int
    cores: int
    host: Place
    source: str = ""


@dataclass(frozen=True)
class Core:
    """What one core holds; `routes` is how many cores one neuron can send to. `targets/README.md` says how to count."""

    neurons: Figure
    synapse_words: Figure
    axons_in: Figure
    axons_out: Figure
    routes: Figure | None = None


@dataclass(frozen=True)
class Packing:
    """How synapses are stored, in words of `word_bits`; the layout is in `targets/README.md`."""

    word_bits: int
    header_bits: Figure
    index_bits: Figure
    shared_axon_words: Figure


@dataclass(frozen=True)
class Timing:
    """The micro-architecture of cores and routers in cycles of `clock_ns`; its rules are in `targets/README.md`.

    `barrier` is what ends a step: pairs of a number of tiles in use, and the cycles from that number on.
    """

    clock_ns: Figure
    neuron: Figure
    spike: Figure
    packet: Figure
    host: Figure
    axon: Figure
    word: Figure
    synapse_dense: Figure
    synapse_sparse: Figure
    synapse_shared: Figure
    hop_horizontal: Figure
    hop_vertical: Figure
    hop_local: Figure
    link: Figure
    buffer: Figure
    queue: Figure
    barrier: Steps
    barrier_source: str = ""


@dataclass(frozen=True)
class Energy:
    """Costs of events, in pJ."""

    neuron: Figure
    spike: Figure
    packet: Figure
    delivery: Figure
    synapse_dense: Figure
    synapse_sparse: Figure
    synapse_shared: Figure
    hop_horizontal: Figure
    hop_vertical: Figure


@dataclass(frozen=True)
class LearningCosts:
    """What the parts of learning take, in cycles or in pJ; `targets/README.md` says what is counted."""

    trace: Figure
    axon: Figure
    word: Figure
    change: Figure
    row: Figure
    merge: Figure


@dataclass(frozen=True)
class Learning:
    """The learning units of cores; `trace_bits` is what a core holds of the postsynaptic traces of one neuron."""

    trace_bits: Figure
    cycles: LearningCosts
    energy: LearningCosts | None = None


@dataclass(frozen=True)
class Fabric:
    """The parts of a many-core chip's file that belong together."""

    mesh: Mesh
    core: Core
    packing: Packing
    timing: Timing
    energy: Energy | None
    learning: Learning | None = None


def impossible_fabric(
    tables: tuple[Mesh | None, Core | None, Packing | None, Timing | None, Energy | None], least: int, reader: Reader
) -> Iterator[Diagnostic]:
    """What of a many-core chip's tables is missing, or cannot be; `least` is the least delay of its synapses."""
    mesh, core, packing, timing, energy = tables
    parts = {"mesh": mesh, "core": core, "packing": packing, "timing": timing}
    if any(parts.values()):
        for name in (name for name, part in parts.items() if part is None):
            yield reader.fault(name, "is missing", f"a chip of many cores has the tables {', '.join(parts)}")
    if mesh:
        yield from _impossible_mesh(mesh, reader)
        if least < 1:
            hint = "what a core sends reaches another one in the next step at the earliest"
            yield reader.fault("delay.steps", "must be at least 1 on a chip of many cores", hint)
    for name, table in (*parts.items(), ("energy", energy)):
        yield from _impossible_figures(name, table, reader)
    if timing:
        yield from _impossible_timing(timing, reader)


def impossible_learning(
    learning: Learning | None, energy: Energy | None, *, learns: bool, reader: Reader
) -> Iterator[Diagnostic]:
    """What of the table of learning cannot be, on a chip of many cores that `learns`, or does not."""
    if learns != (learning is not None):
        hint = "a chip of many cores learns with the capability and the table `learning`, both"
        yield reader.fault("learning", "is missing" if learns else "says nothing without the capability", hint)
    if learning:
        if learning.energy and not energy:
            yield reader.fault("learning.energy", "says nothing without the table `energy`")
        if energy and not learning.energy:
            yield reader.fault("learning.energy", "is missing", "the chip has the table `energy`")
        yield from wrong_figure("learning.trace_bits", learning.trace_bits, reader, whole=True)
        for name, table in (("cycles", learning.cycles), ("energy", learning.energy)):
            for key, figure in figures(table):
                yield from wrong_figure(f"learning.{name}.{key}", figure, reader, whole=name == "cycles")


def _impossible_figures(name: str, table: object, reader: Reader) -> Iterator[Diagnostic]:
    for key, figure in figures(table):
        yield from wrong_figure(f"{name}.{key}", figure, reader, whole=name != "energy" and key != "clock_ns")
        if key in _AT_LEAST_ONE.get(name, ()) and figure.value < 1:
            yield reader.fault(f"{name}.{key}.value", "must be at least 1")


_AT_LEAST_ONE = {
    "core": ("neurons", "synapse_words", "axons_in", "axons_out"),
    "timing": ("packet", "host", "axon", "hop_horizontal", "hop_vertical", "hop_local", "link", "buffer", "queue"),
}


def _impossible_mesh(mesh: Mesh, reader: Reader) -> Iterator[Diagnostic]:
    read = math.isfinite(mesh.columns + mesh.rows)
    if read and (mesh.host[0] >= mesh.columns or mesh.host[1] >= mesh.rows):
        message = f"is outside the mesh of {mesh.columns} columns and {mesh.rows} rows"
        yield reader.fault("mesh.host", message, "columns and rows count from 0")
    if mesh.cores > MOST_CORES:
        yield reader.fault("mesh.cores", f"must be at most {MOST_CORES}", "make more tiles of fewer cores")


def _impossible_timing(timing: Timing, reader: Reader) -> Iterator[Diagnostic]:
    if timing.clock_ns.value == 0:
        yield reader.fault("timing.clock_ns.value", "must be more than 0")
    for key in ("buffer", "queue"):
        if getattr(timing, key).value > _MOST_PACKETS:
            yield reader.fault(f"timing.{key}.value", f"must be at most {_MOST_PACKETS:,}")
    if max(cycles for _, cycles in timing.barrier) > _MOST:
        yield reader.fault("timing.barrier", f"must be at most {_MOST:,} cycles")


def wrong_figure(where: str, figure: Figure, reader: Reader, *, whole: bool) -> Iterator[Diagnostic]:
    """What is wrong with a figure at a dotted key; `whole` for a number of things or cycles."""
    if whole and figure.value % 1 > 0:
        yield reader.fault(f"{where}.value", f"must be a whole number, not {figure.value:g}")
    most = _MOST if whole else _MOST_PICOJOULES
    if figure.value > most:
        yield reader.fault(f"{where}.value", f"must be at most {most:,.0f}")
    if bool(figure.source) == figure.assumed:
        message = "has a source and is assumed" if figure.assumed else "has no source"
        yield reader.fault(where, message, "give its source, or assumed = true")


def figures(table: object) -> Iterator[tuple[str, Figure]]:
    """The figures of a table of a chip's file, with their keys."""
    for each in fields(table) if table else ():  # type: ignore[arg-type]  a dataclass
        value = getattr(table, each.name)
        if isinstance(value, Figure):
            yield each.name, value
