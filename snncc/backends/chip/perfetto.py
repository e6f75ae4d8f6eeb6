"""When which unit and which link of a chip worked: a trace that Chrome and Perfetto show, of one sample.

The format is the JSON array of https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU, event
kinds X (a span) and M (a name); times are in microseconds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from snncc.arrays import Ints
from snncc.backends.base import Batch, Timeline
from snncc.backends.chip import machine as machines
from snncc.backends.chip.image import Image
from snncc.backends.chip.machine import Events, Machine
from snncc.backends.chip.run import load
from snncc.chip import Chip
from snncc.integers import Network
from snncc.mapping import cores_of

MOST_SPANS = 1_000_000  # of a file that a browser still opens
CHIP, CORES, LINKS = range(3)
_PORTS = ("north", "east", "south", "west")


def timeline(folder: Path, network: Network, chip: Chip, batch: Batch) -> Timeline:
    """The trace of the batch's only sample, run on the program in `folder`.

    Raises CompileError: `damaged-artefact`, `no-cores`.
    """
    assert len(batch.x) == 1, "a trace is of one sample"
    machine = load(folder, network, chip)
    seen: list[Events] = []
    cycles: list[int] = []
    machines.run(machine, batch, False, _observer(machine, seen, cycles))
    sizes = np.cumsum([len(each.deliveries) + len(each.moves) for each in seen])
    shown = int(np.searchsorted(sizes, MOST_SPANS, side="right"))
    spans = [*_names(machine.image, machine.numbers.ports), *_steps(machine, seen[:shown], cycles)]
    text = ",\n".join(json.dumps(each, separators=(",", ":"), allow_nan=False) for each in spans)
    return Timeline(f"[\n{text}\n]\n".encode(), shown, len(seen))


def _observer(machine: Machine, seen: list[Events], cycles: list[int]) -> Callable[[Events], None]:
    """Keeps what happened in each step, and how many cycles had gone by when it ended."""

    def observe(events: Events) -> None:
        seen.append(events._replace(deliveries=events.deliveries.copy(), moves=events.moves.copy()))
        cycles.append(int(machine.cycles[0]))

    return observe


def _names(image: Image, ports: int) -> Iterator[dict[str, Any]]:
    """What the rows are called: a process for all cores, one for all links; `ports` of a router."""
    for process, name in ((CHIP, "chip"), (CORES, "cores"), (LINKS, "links")):
        yield {"name": "process_name", "ph": "M", "pid": process, "args": {"name": name}}
    for core in range(cores_of(image.mesh)):
        yield _row(CORES, core, f"core {core}")
    for tile in range(image.mesh.columns * image.mesh.rows):
        row, column = divmod(tile, image.mesh.columns)
        homes = (f"to core {tile * image.mesh.cores + place}" for place in range(image.mesh.cores))
        for port, name in enumerate((*_PORTS, *homes)):
            yield _row(LINKS, tile * ports + port, f"({column}, {row}) {name}")


def _row(process: int, number: int, name: str) -> dict[str, Any]:
    return {"name": "thread_name", "ph": "M", "pid": process, "tid": number, "args": {"name": name}}


def _steps(machine: Machine, seen: list[Events], cycles: list[int]) -> Iterator[dict[str, Any]]:
    """Spans of the steps, of what each core's synapse unit did, and of what crossed each link."""
    clock = machine.timing.clock_ns.value / 1000
    link = int(machine.timing.link.value)
    sender, neuron = _senders(machine)
    routes = machine.loaded.tables.routes
    begin = 0
    for events, end in zip(seen, cycles, strict=False):
        yield _span(f"step {events.step}", CHIP, 0, begin, end - begin, clock)
        if events.learning:
            yield _span("learning", CHIP, 0, begin, events.learning, clock)
        begin += events.learning
        for each in events.deliveries:
            name = f"{machine.image.senders[sender[each['route']]].name} {neuron[each['route']]}"
            core, start = int(routes["core"][each["route"]]), int(each["delivered"])
            span = _span(name, CORES, core, begin + start, int(each["done"]) - start, clock)
            yield {**span, "args": {"sent": (begin + int(each["inserted"])) * clock}}
        for each in events.moves:
            yield _span("packet", LINKS, int(each["port"]), begin + int(each["cycle"]), link, clock)
        begin = end


def _span(name: str, process: int, row: int, begin: int, cycles: int, clock: float) -> dict[str, Any]:
    times = {"ts": round(begin * clock, 6), "dur": round(cycles * clock, 6)}
    return {"name": name, "ph": "X", "pid": process, "tid": row, **times}


def _senders(machine: Machine) -> tuple[Ints, Ints]:
    """Of each route: the number of the source or population that sends along it, and the neuron in that."""
    positions = len(machine.loaded.tables.start) - 1
    number, index = np.zeros(positions, np.int64), np.zeros(positions, np.int64)
    for at, position in enumerate(machine.loaded.positions):
        number[position], index[position] = at, np.arange(len(position))
    routes = np.diff(machine.loaded.tables.start)
    return np.repeat(number, routes), np.repeat(index, routes)
