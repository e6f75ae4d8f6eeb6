"""Cuts networks without a geometry: by mtkahypar where it is at hand, else on several levels of our own."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np

from snncc.arrays import Array, Floats, Ints
from snncc.jit import compiled
from snncc.passes.partition.atoms import Nets
from snncc.passes.partition.balance import balance
from snncc.passes.partition.bisect import connectivity
from snncc.passes.partition.levels import coarsened, shuffled
from snncc.passes.partition.refine import ROOM, incidence, refine

_STARTS = 4  # first cuts that are tried on the coarsest level
_MANY_PINS = 500_000  # more than mtkahypar is given: minutes
_SAMPLE = 256  # vertices that are asked for a companion
_COMPANY = 0.1  # of its nets that a vertex shares with another one, where vertices belong together
_UNIT = 1 << 20  # of size, and
_MOST_WEIGHT = 1 << 20  # of a net's weight, in the whole numbers that it takes


def multilevel(nets: Nets, size: Floats, parts: int, seed: int) -> Array:
    """The part of every vertex: vertices that share nets are joined, parts grown, and refined while taken apart."""
    levels, coarse, bulk = coarsened(nets, size, parts, seed)
    found: list[tuple[float, int, Array]] = []
    for each in range(_STARTS):
        order = shuffled(len(bulk), seed + each)
        part = balance(coarse, bulk, _grown(coarse, bulk, order, parts), parts)
        part = refine(coarse, bulk, part, parts)
        over = float(np.maximum(np.bincount(part, bulk, minlength=parts) - ROOM, 0).sum())
        found.append((connectivity(coarse, part, parts) * (1.0 + over), each, part))
    part = min(found, key=lambda each: each[:2])[2]
    for level in reversed(levels):
        part = balance(level.nets, level.size, part[level.joined], parts)
        part = refine(level.nets, level.size, part, parts)
    return part


def worthwhile(nets: Nets, vertices: int, seed: int) -> bool:
    """Whether nets alone may say more than the order of the neurons does: always, but in large and random networks.

    There, cutting by nets takes minutes and gains nothing, which shows beforehand: no two vertices share many nets.
    """
    if len(nets.pins) <= _MANY_PINS:
        return True
    return float(np.median(_company(nets, shuffled(vertices, seed)[:_SAMPLE], vertices))) >= _COMPANY


@compiled
def _company(nets: Nets, asked: Ints, vertices: int) -> Floats:
    """The largest share of each vertex's nets that another vertex has as well."""
    first, member = incidence(nets, vertices)
    shared, result = np.zeros(vertices, np.int32), np.zeros(asked.size, np.float64)
    for number, vertex in enumerate(asked):
        own = member[first[vertex] : first[vertex + 1]]
        for step in (1, -1):
            for net in own:
                for pin in nets.pins[nets.start[net] : nets.start[net + 1]]:
                    shared[pin] += step
                    if step > 0 and pin != vertex:
                        result[number] = max(result[number], shared[pin] / own.size)
    return result


@compiled
def _grown(nets: Nets, size: Floats, order: Ints, parts: int) -> Array:
    """Parts grown one after another, each from the first vertex left in `order`, by whatever shares most with it."""
    vertices = size.size
    first, member = incidence(nets, vertices)
    part, load = np.full(vertices, -1, np.int32), np.zeros(parts, np.float64)
    begin = 0
    for now in range(parts):
        draw = np.zeros(vertices, np.float64)
        while begin < vertices and part[order[begin]] >= 0:
            begin += 1
        chosen = order[begin] if begin < vertices else -1
        while chosen >= 0:
            part[chosen] = now
            load[now] += size[chosen]
            for net in member[first[chosen] : first[chosen + 1]]:
                pull = nets.weight[net] / (nets.start[net + 1] - nets.start[net])
                for pin in nets.pins[nets.start[net] : nets.start[net + 1]]:
                    draw[pin] += pull
            chosen, most = -1, 0.0
            for vertex in range(vertices):
                if draw[vertex] > most and part[vertex] < 0 and load[now] + size[vertex] <= ROOM:
                    chosen, most = vertex, draw[vertex]
    for vertex in range(vertices):
        if part[vertex] < 0:
            part[vertex] = np.argmin(load)
            load[part[vertex]] += size[vertex]
    return part


def by_mtkahypar(nets: Nets, size: Floats, parts: int, seed: int) -> Array | None:
    """The cut of mtkahypar's deterministic preset, refined; None where it is not installed, or would take minutes."""
    try:
        import mtkahypar
    except ImportError:
        return None
    if len(nets.pins) > _MANY_PINS:
        return None
    library: Any = mtkahypar
    mtk = _started(library)
    library.set_seed(seed % (1 << 31))
    context = mtk.context_from_preset(library.PresetType.DETERMINISTIC)
    bulk = np.rint(size * _UNIT).astype(np.int64)
    room = max(0.0, _UNIT / -(-int(bulk.sum()) // parts) - 1.0)
    context.set_partitioning_parameters(parts, room, library.Objective.KM1)
    context.logging = False
    pins, start = nets.pins.tolist(), nets.start.tolist()
    edges = [pins[low:high] for low, high in pairwise(start)]
    scale = max(1.0, float(nets.weight.max()) / _MOST_WEIGHT)
    weights = np.maximum(1, np.rint(nets.weight / scale)).astype(np.int64).tolist()
    hypergraph = mtk.create_hypergraph(context, len(size), len(edges), edges, bulk.tolist(), weights)
    cut = hypergraph.partition(context)
    part = np.array([cut.block_id(vertex) for vertex in range(len(size))], np.int32)
    return refine(nets, size, balance(nets, size, part, parts), parts)


@cache
def _started(library: Any) -> Any:
    """The library, which can be started once in a process; one thread gives the same cut as many would."""
    return library.initialize(1)
