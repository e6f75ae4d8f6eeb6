"""Prepares a checked program for the compiled machine: positions of senders, lanes of sums, costs of axons."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from snncc.arrays import Array, Ints
from snncc.backends.chip.blocks import build
from snncc.backends.chip.image import DENSE, FORMS, Image, damaged
from snncc.backends.chip.layout import Place, lanes, places
from snncc.backends.chip.records import AXON, FIRST_CORE, ROUTE, SEGMENT, Tables
from snncc.chip import Timing
from snncc.mapping import cores_of


@dataclass(frozen=True, eq=False)
class Line:
    """Where the sums of a population that are due in `delay` steps lie: `depth` planes of `size` from `first` on."""

    first: int
    depth: int
    size: int
    delay: int

    def at(self, step: int) -> int:
        """The first of these sums in a row, for values that are sent in a step."""
        return self.first + (step + self.delay) % self.depth * self.size


@dataclass(frozen=True, eq=False)
class Loaded:
    """A program in memory. Positions number the senders: those of the host, in order, then core by core.

    `units` are the cores of the neuron units, -1 for the host's port; `positions` (size,) by sender. `lanes` (size,) by
    sender are the places of its neurons' sums; `planes` by sender the lines that arrive in a step, None if there are
    none; `lines` all that are added to, in rows of `width` sums. By axon, of all cores and then of the host: `service`
    is how long it takes, `reads` (axons, forms) are the synapses read, `useful` those whose weight is not 0.
    """

    tables: Tables
    units: Ints
    positions: tuple[Array, ...]
    lanes: tuple[Array | None, ...]
    planes: tuple[Line | None, ...]
    lines: tuple[Line, ...]
    width: int
    service: Ints
    reads: Ints
    useful: Ints


def load(image: Image, timing: Timing) -> Loaded:
    """The tables of a program that `check` has passed. Raises CompileError (`damaged-artefact`)."""
    where = places(image.homes(), cores_of(image.mesh) + 1)
    positions = _positions(image, where)
    segments, units = _segments(image, where, positions)
    own_lanes = tuple(_lanes(image, number, place) for number, place in enumerate(where))
    planes, lines, line, width = _lines(image)
    made = build(image, where, own_lanes, line)
    axons = np.zeros(len(image.starts) - 1, AXON)
    axons["first"], axons["last"] = image.starts[:-1], image.starts[1:]
    service, reads, useful = _costs(image, timing)
    start, routes = _routes(image, positions, axons, service)
    weights = made.weights.astype(_roomy(image, made.weights), copy=False)
    tables = Tables(start, routes, axons, made.blocks, made.runs, made.lanes, weights, segments)
    return Loaded(tables, units, positions, own_lanes, planes, lines, width, service, reads, useful)


def _roomy(image: Image, weights: Array) -> np.dtype[Any]:
    """The type in which all weights are kept that may ever be learnt."""
    rules = [each.plasticity for each in image.groups if each.plasticity]
    ends = [end for rule in rules for end in (rule.lowest, rule.highest)]
    return np.result_type(weights.dtype, *(np.min_scalar_type(min(end, -1 - end)) for end in ends))


def _positions(image: Image, where: Sequence[Place | None]) -> tuple[Array, ...]:
    """The position of every value of the input and every neuron, by sender."""
    hosted = np.cumsum([0, *(math.prod(each.op.shape) if each.cores is None else 0 for each in image.senders)])
    held = sum((each.counts[:-1] for each in where if each), np.zeros(cores_of(image.mesh), np.int64))
    first = int(hosted[-1]) + np.concatenate([[0], np.cumsum(held)])
    result: list[Array] = []
    for sender, place, offset in zip(image.senders, where, hosted, strict=False):
        if place is None or sender.cores is None:
            result.append((offset + np.arange(math.prod(sender.op.shape))).astype(np.int32))
        else:
            result.append((first[place.cores] + place.number).astype(np.int32))
    return tuple(result)


def _segments(image: Image, where: Sequence[Place | None], positions: Sequence[Array]) -> tuple[Array, Ints]:
    """Which consecutive positions each unit works through, and the units: the host, then each core with neurons."""
    rows: list[tuple[int, int, int, int]] = []
    for column, (sender, place, own) in enumerate(zip(image.senders, where, positions, strict=True), 1):
        if place is None or sender.cores is None:
            rows.append((-1, int(own[0]), int(own[-1]) + 1, column))
            continue
        for core in np.flatnonzero(place.counts).tolist():
            inside = place.order[place.first[core] : place.first[core + 1]]
            rows.append((core, int(own[inside[0]]), int(own[inside[-1]]) + 1, column))
    cores, first, last, columns = np.array(sorted(rows), np.int64).T
    units, unit = np.unique(cores, return_inverse=True)
    segments = np.zeros(len(rows), SEGMENT)
    segments["unit"], segments["first"], segments["last"], segments["column"] = unit, first, last, columns
    return segments, units


def _lanes(image: Image, number: int, place: Place | None) -> Array | None:
    """Where the sums of a population lie in their planes: channels last if a kernel adds to them."""
    kernels = [each.kernel for each in image.groups if each.target == number and each.kernel is not None]
    return None if place is None else lanes(place, kernels[0].out_shape if kernels else None)


def _lines(image: Image) -> tuple[tuple[Line | None, ...], tuple[Line, ...], Ints, int]:
    """The delay lines: what arrives of each sender's sums, all lines, each block's line, and the width of a row."""
    target = np.array([each.target for each in image.groups], np.int64)[image.blocks.group]
    delays = image.blocks.delay.astype(np.int64)
    depth = np.zeros(len(image.senders), np.int64)
    np.maximum.at(depth, target, delays + 1)
    planes: list[Line | None] = []
    width = 0
    for sender, own in zip(image.senders, depth.tolist(), strict=True):
        size = math.prod(sender.op.shape)
        planes.append(Line(width, own, size, 0) if own else None)
        width += own * size
    most = int(delays.max(initial=0)) + 1
    kinds, line = np.unique(target * most + delays, return_inverse=True)
    lines: list[Line] = []
    for number, delay in np.stack(np.divmod(kinds, most), axis=1).tolist():
        plane = planes[number]
        assert plane is not None, "a line into nothing"
        lines.append(Line(plane.first, plane.depth, plane.size, delay))
    return tuple(planes), tuple(lines), line, width


def _routes(image: Image, positions: Sequence[Array], axons: Array, service: Ints) -> tuple[Ints, Array]:
    """The routes of each position, axons numbered over all cores."""
    counts = np.zeros(sum(map(len, positions)) + 1, np.int64)
    for sender, own in zip(image.senders, positions, strict=True):
        counts[own + 1] = np.diff(sender.start)
    start = np.cumsum(counts)
    routes = np.zeros(int(start[-1]), ROUTE)
    for sender, own in zip(image.senders, positions, strict=True):
        entry = np.repeat(start[own] - sender.start[:-1], np.diff(sender.start)) + np.arange(len(sender.core))
        axon = image.axons[sender.core] + sender.axon
        routes["core"][entry], routes["axon"][entry], routes["service"][entry] = sender.core, axon, service[axon]
        routes["first"][entry], routes["last"][entry] = axons["first"][axon], axons["last"][axon]
    row, column = np.divmod(routes["core"] // image.mesh.cores, image.mesh.columns)
    routes["place"] = (column << 16) + (row << 8) + FIRST_CORE + routes["core"] % image.mesh.cores
    return start, routes


def _costs(image: Image, timing: Timing) -> tuple[Ints, Ints, Ints]:
    """Of each axon: the cycles of its synapse unit, the synapses read in each form, and those that are not 0."""
    blocks = image.blocks
    read = np.where(blocks.form == DENSE, blocks.count, blocks.synapses).astype(np.int64)
    cycles = [int(each.value) for each in (timing.synapse_sparse, timing.synapse_dense, timing.synapse_shared)]
    busy = blocks.words.astype(np.int64) * int(timing.word.value) + read * np.array(cycles)[blocks.form]
    service = int(timing.axon.value) + _summed(busy, image.starts)
    if service.max(initial=0) >= 1 << 31:
        raise damaged("has axons that a core is busy with for longer than it can count")
    forms = [_summed(np.where(blocks.form == each, read, 0), image.starts) for each in range(len(FORMS))]
    return service, np.stack(forms, axis=1), _summed(blocks.synapses.astype(np.int64), image.starts)


def _summed(values: Ints, starts: Array) -> Ints:
    """The sums of consecutive values, from each start to the next."""
    total = np.concatenate([[0], np.cumsum(values)])
    return total[starts[1:]] - total[starts[:-1]]
