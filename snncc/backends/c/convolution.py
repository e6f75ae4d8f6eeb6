"""Tables that walk a convolution from an input event: which sums it reaches, with which weights.

An event at (channel, y, x) reaches, in each output row, runs of consecutive sums that take consecutive weights: with
channels last, the kernel columns that hit neighbouring outputs are stored beside each other. Stride, padding and
dilation are all in the tables, so the kernel neither divides by them nor compares with borders.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from snncc.arrays import Array, Ints
from snncc.backends.c.layout import Layout
from snncc.backends.c.tables import Table, table
from snncc.backends.c.widths import CType
from snncc.linear import Conv

_U32 = CType(32, signed=False)


@dataclass(frozen=True)
class Walk:
    """The numbers of one walk: `inner` is the size of the faster axis of the source's order."""

    inner: int
    channels_last: bool
    channels: int
    height: int
    width: int
    filter: int
    group_inputs: int
    group_outputs: int


@dataclass(frozen=True)
class _Run:
    """`length` sums from `out` on take the weights from `weight` on."""

    out: int
    weight: int
    length: int


def walk_shape(conv: Conv, source: Layout) -> Walk:
    channels, height, width = conv.in_shape
    per_group = conv.out_shape[0] // conv.groups
    return Walk(
        inner=channels if source.moved else height * width,
        channels_last=source.moved,
        channels=channels,
        height=height,
        width=width,
        filter=int(np.prod(conv.weight.shape[2:])) * per_group,
        group_inputs=conv.weight.shape[1],
        group_outputs=per_group,
    )


def walk_tables(ident: str, conv: Conv, weight: Array, kind: CType) -> dict[str, Table]:
    """The tables by role: rows by input y, runs by input x, and the weights in the order of the runs."""
    out_channels, _, out_width = conv.out_shape
    per_group = out_channels // conv.groups
    columns = _columns(conv)
    rows = _taps(conv, axis=0)
    width = conv.weight.shape[3] * per_group
    runs = [_runs(taps, columns, out_channels, per_group) for taps in _taps(conv, axis=1)]
    flat_rows = [(oy * out_width * out_channels, ky * width) for taps in rows for oy, ky in taps]
    flat_runs = [run for each in runs for run in each]
    named: dict[str, tuple[list[int], str]] = {
        "row": (_first(rows), "[y]: where its rows begin"),
        "row_out": ([out for out, _ in flat_rows], "first sum of an output row"),
        "row_weight": ([weight for _, weight in flat_rows], "first weight of a kernel row"),
        "run": (_first(runs), "[x]: where its runs begin"),
        "run_out": ([run.out for run in flat_runs], ""),
        "run_weight": ([run.weight for run in flat_runs], ""),
        "run_length": ([run.length for run in flat_runs], ""),
    }
    tables = {
        role: table(f"snn_{ident}_{role}", _U32, np.array(values, np.int64), comment)
        for role, (values, comment) in named.items()
    }
    ordered = _by_source(conv, weight)[:, :, columns]
    return {**tables, "weight": table(f"snn_{ident}_weight", kind, ordered, "[in channel][y][x][out channel]")}


def _by_source(conv: Conv, weight: Array) -> Array:
    """(in channels, kernel height, kernel width, out channels of the group)."""
    grouped = weight.reshape(conv.groups, -1, *weight.shape[1:])
    return grouped.transpose(0, 2, 3, 4, 1).reshape(-1, *weight.shape[2:], grouped.shape[1])


def _columns(conv: Conv) -> Ints:
    """The order in which kernel columns are stored: those that one x hits together lie beside each other."""
    columns = np.arange(conv.weight.shape[3])
    residue = (columns * conv.dilation[1]) % conv.stride[1]
    return np.lexsort((-columns, residue))


def _taps(conv: Conv, axis: int) -> list[list[tuple[int, int]]]:
    """For each input coordinate, the (output coordinate, kernel coordinate) pairs that it takes part in."""
    size, limit = conv.in_shape[1 + axis], conv.out_shape[1 + axis]
    stride, gap, before = conv.stride[axis], conv.dilation[axis], conv.padding[axis]
    result: list[list[tuple[int, int]]] = []
    for at in range(size):
        reached = [(at + before - k * gap, k) for k in range(conv.weight.shape[2 + axis])]
        result.append([(far // stride, k) for far, k in reached if far % stride == 0 and 0 <= far // stride < limit])
    return result


def _runs(taps: list[tuple[int, int]], columns: Ints, out_channels: int, per_group: int) -> list[_Run]:
    """The taps of one x as runs, merged where sums and weights both continue."""
    position = {int(column): place for place, column in enumerate(columns)}
    merged: list[_Run] = []
    for out, k in sorted(taps):
        run = _Run(out * out_channels, position[k] * per_group, per_group)
        last = merged[-1] if merged else None
        if last and last.out + last.length == run.out and last.weight + last.length == run.weight:
            merged[-1] = _Run(last.out, last.weight, last.length + run.length)
        else:
            merged.append(run)
    return merged


def _first(lists: list[list[tuple[int, int]]] | list[list[_Run]]) -> list[int]:
    """Where each list begins when all are laid end to end, and where the last one ends."""
    return [0, *np.cumsum([len(each) for each in lists]).tolist()]
