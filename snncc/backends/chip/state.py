"""The machine before its first step: routers, links and units, as a chip's file describes them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from snncc.arrays import Array
from snncc.backends.chip.load import Loaded
from snncc.backends.chip.records import (
    ARRIVAL,
    BUFFER,
    CORE,
    FIRST_CORE,
    NEVER,
    PACKET,
    PORT,
    RING,
    SENDER,
    TIME,
    UNIT,
    Numbers,
    State,
    aligned,
)
from snncc.chip import Mesh, Timing
from snncc.mapping import cores_of

_FACING = (2, 3, 0, 1)  # north and south, east and west


def numbers(mesh: Mesh, timing: Timing) -> Numbers:
    """What the compiled machine needs of a chip's file, beside what lies in the state."""
    figures = timing.buffer, timing.queue, timing.link, timing.hop_local
    return Numbers(FIRST_CORE + mesh.cores + 1, *(int(each.value) for each in figures))


def at_rest(loaded: Loaded, mesh: Mesh, timing: Timing) -> State:
    """The state before the first step, and all counters at 0."""
    n = numbers(mesh, timing)
    units = _units(loaded, mesh, timing, n)
    count, cores = mesh.columns * mesh.rows * n.ports, cores_of(mesh)
    bits = np.zeros(RING // 64 + 1, np.uint64)
    positions = len(loaded.tables.start) - 1
    return State(
        np.zeros(1, TIME),
        _ports(mesh, n),
        _buffers(mesh, timing, n, units),
        aligned(count * n.buffer, PACKET),
        np.zeros(cores, CORE),
        np.full((cores, n.queue), -1, np.int64),
        units,
        np.zeros(positions, SENDER),
        np.zeros(len(loaded.tables.routes), ARRIVAL),
        np.full(RING, -1, np.int32),
        bits,
        np.zeros(positions, np.int64),
    )


def _routers(mesh: Mesh) -> Iterator[tuple[int, int, int]]:
    """Number, column and row of every router."""
    for router in range(mesh.columns * mesh.rows):
        yield router, router % mesh.columns, router // mesh.columns


def _neighbours(mesh: Mesh, column: int, row: int) -> Iterator[tuple[int, int]]:
    """The directions in which there is another tile, and its router."""
    places = ((0, column, row - 1), (1, column + 1, row), (2, column, row + 1), (3, column - 1, row))
    for direction, x, y in places:
        if 0 <= x < mesh.columns and 0 <= y < mesh.rows:
            yield direction, y * mesh.columns + x


def _ports(mesh: Mesh, n: Numbers) -> Array:
    ports = aligned(mesh.columns * mesh.rows * n.ports, PORT)
    ports["wake"], ports["before"], ports["after"] = NEVER, -1, -1
    for router, column, row in _routers(mesh):
        first = router * n.ports
        ports["first"][first : first + n.ports] = first
        for direction, other in _neighbours(mesh, column, row):
            ports["target"][first + direction] = other * n.ports + _FACING[direction]
        for place in range(mesh.cores):
            ports["target"][first + FIRST_CORE + place] = ~(router * mesh.cores + place)
    return ports


def _buffers(mesh: Mesh, timing: Timing, n: Numbers, units: Array) -> Array:
    buffers = aligned(mesh.columns * mesh.rows * n.ports, BUFFER)
    buffers["popped"], buffers["upstream"], buffers["unit"] = -1, -1, -1
    hops = [timing.hop_local] * n.ports
    hops[:4] = [timing.hop_vertical, timing.hop_horizontal, timing.hop_vertical, timing.hop_horizontal]
    for router, column, row in _routers(mesh):
        first = router * n.ports
        own = buffers[first : first + n.ports]
        own["first"], own["column"], own["row"] = first, column, row
        own["hop"] = [int(each.value) for each in hops]
        for direction, other in _neighbours(mesh, column, row):
            own["upstream"][direction] = other * n.ports + _FACING[direction]
    buffers["unit"][units["buffer"]] = np.arange(len(units))
    return buffers


def _units(loaded: Loaded, mesh: Mesh, timing: Timing, n: Numbers) -> Array:
    """The neuron units of cores that have neurons, after the host's port."""
    units = np.zeros(len(loaded.units), UNIT)
    for unit, core in zip(units, loaded.units.tolist(), strict=True):
        if core < 0:
            unit["buffer"] = (mesh.host[1] * mesh.columns + mesh.host[0]) * n.ports + n.ports - 1
            unit["packet"] = int(timing.host.value)
        else:
            unit["buffer"] = core // mesh.cores * n.ports + FIRST_CORE + core % mesh.cores
            unit["neuron"], unit["spike"] = int(timing.neuron.value), int(timing.spike.value)
            unit["packet"] = int(timing.packet.value)
    return units
