"""Where neurons are in the space that convolutions move in, and the orders in which planes cut through it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from snncc.arrays import Array, Floats, Shape
from snncc.integers import Network, Population, Source, Synapse, source_of
from snncc.jit import on_threads
from snncc.linear import Conv
from snncc.passes.partition.atoms import Atoms

DEPTH, ROW, COLUMN, CHANNEL = range(4)
# Each sorts by its first axis, and by the others within a plane, where a cut may have to end. One for every axis comes
# first.
_ORDERS: tuple[tuple[int, int, int, int], ...] = (
    (ROW, COLUMN, DEPTH, CHANNEL),
    (COLUMN, ROW, DEPTH, CHANNEL),
    (DEPTH, ROW, COLUMN, CHANNEL),
    (CHANNEL, DEPTH, ROW, COLUMN),
    (ROW, DEPTH, COLUMN, CHANNEL),
    (COLUMN, DEPTH, ROW, CHANNEL),
    (DEPTH, COLUMN, ROW, CHANNEL),
)


@dataclass(frozen=True)
class Frame:
    """Rows and columns of a population in those of the input: index k lies at `origin + k * pitch`, by axis."""

    origin: tuple[float, float]
    pitch: tuple[float, float]


def places_of(network: Network, atoms: Atoms) -> Floats:
    """(atoms, 4): depth in the network, row, column and channel of each atom, the mean of its neurons'.

    Populations that are not maps lie at the origin, their neurons told apart by channel: a share of 0..1.
    """
    frames = _frames(network)
    depths = {name: depth for depth, name in enumerate(network.order())}
    places = np.zeros((len(atoms.of), 4))
    for number, name in enumerate(atoms.names):
        shape = _map_shape(network, name)
        frame = frames[name]
        inner = places[atoms.first[number] : atoms.first[number + 1]]
        channel, row, column = np.indices(shape).reshape(3, -1)
        inner[:, DEPTH] = depths[name]
        inner[:, ROW] = frame.origin[0] + row * frame.pitch[0]
        inner[:, COLUMN] = frame.origin[1] + column * frame.pitch[1]
        inner[:, CHANNEL] = (channel + 0.5) / shape[0]
    count = len(atoms.size)
    here = atoms.of < count
    sums = [np.bincount(atoms.of[here], places[here, axis], minlength=count) for axis in range(4)]
    return np.stack(sums, axis=1) / np.maximum(atoms.size, 1)[:, None]


def orders_of(places: Floats) -> tuple[Array, int]:
    """(orders, atoms) int32: the atoms sorted along each axis that is of use, in several ways; and how many axes are.

    One order of each axis comes first.
    """
    used = [axis for axis in range(4) if len(places) and np.ptp(places[:, axis]) > 0] or [DEPTH]
    rounded = np.ascontiguousarray(np.round(places, 6).T)

    def sort(order: tuple[int, int, int, int]) -> Array:
        return np.lexsort([rounded[axis] for axis in reversed(order) if axis in used]).astype(np.int32)

    return np.stack(on_threads(sort, [order for order in _ORDERS if order[0] in used])), len(used)


def cells_of(network: Network, atoms: Atoms, side: int) -> Array:
    """The same number for the atoms of a population that lie in a square of `side` x `side`, at the same channels.

    Where most windows are one row high, rows have little to do with each other, and cells are as long and one row high
    as well; or one column wide.
    """
    high, wide = _cell(network, side)
    count = len(atoms.size)
    heads = np.zeros(count, np.int64)
    here = np.nonzero(atoms.of < count)[0][::-1]
    heads[atoms.of[here]] = here
    keys = np.zeros((4, count), np.int64)
    keys[0] = atoms.op
    for number, name in enumerate(atoms.names):
        _, rows, columns = _map_shape(network, name)
        own = np.nonzero(atoms.op == number)[0]
        index = heads[own] - atoms.first[number]
        keys[1:, own] = index // (rows * columns), index // columns % rows // high, index % columns // wide
    order = np.lexsort(keys[::-1])
    new = (keys[:, order][:, 1:] != keys[:, order][:, :-1]).any(axis=0)
    cells = np.empty(count, np.int32)
    cells[order] = np.concatenate([np.zeros(min(count, 1), np.int64), np.cumsum(new)])
    return cells


def _cell(network: Network, side: int) -> tuple[int, int]:
    """Rows and columns of a cell of side^2 neurons."""
    windows = [op.map.weight.shape[2:] for op in network.of_kind(Synapse).values() if isinstance(op.map, Conv)]
    high, wide = np.median([each for each in windows if max(each) > 1] or [(side, side)], axis=0)
    if high > 1 and wide > 1:
        return side, side
    return (1, side * side) if wide > 1 else (side * side, 1)


def _map_shape(network: Network, name: str) -> Shape:
    """(channels, rows, columns); a population that is no map has channels only."""
    op = network[name]
    assert isinstance(op, (Source, Population))
    if len(op.shape) == 3:
        return op.shape
    return (int(np.prod(op.shape)), 1, 1)


def _frames(network: Network) -> dict[str, Frame]:
    """The frame of each source and population, by the first synapse that says where it is."""
    frames: dict[str, Frame] = {}
    for name in network.of_kind(Source):
        frames[name] = Frame((0.0, 0.0), (1.0, 1.0))
    for name in (name for name in network.order() if isinstance(network[name], Population)):
        found = (_frame(network, edge.source, name, frames) for edge in network.incoming(name))
        frames[name] = next((each for each in found if each), Frame((0.0, 0.0), (1.0, 1.0)))
    return frames


def _frame(network: Network, synapse: str, name: str, frames: dict[str, Frame]) -> Frame | None:
    """Where a synapse group puts the population that it feeds, if the place of its sources is known."""
    source, _ = source_of(network, synapse)
    op = network[synapse]
    if source not in frames or not isinstance(op, Synapse):
        return None
    origin, pitch = frames[source].origin, frames[source].pitch
    if isinstance(op.map, Conv):
        conv = op.map
        reach = [(taps - 1) * gap / 2 for taps, gap in zip(conv.weight.shape[2:], conv.dilation, strict=True)]
        centre = [half - pad for half, pad in zip(reach, conv.padding, strict=False)]
        step = [float(each) for each in conv.stride]
    else:
        before, after = _map_shape(network, source), _map_shape(network, name)
        step = [a / b for a, b in zip(before[1:], after[1:], strict=True)]
        centre = [(each - 1) / 2 for each in step]
    moved = [o + p * c for o, p, c in zip(origin, pitch, centre, strict=True)]
    return Frame((moved[0], moved[1]), (pitch[0] * step[0], pitch[1] * step[1]))
