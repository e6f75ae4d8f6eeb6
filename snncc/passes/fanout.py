"""Who is connected to whom, for a range of neurons at a time: a convolution is never written out whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from scipy import sparse

from snncc.arrays import Array, Ints
from snncc.jit import compiled
from snncc.linear import Conv, Dense, LinearMap, to_sparse

_CHUNK = 1 << 22  # synapses that are written out at a time

Geometry = tuple[int, ...]
# Of (lo, hi), for the neurons lo..hi-1: (start, members), neuron lo + k being joined to
# members[start[k]:start[k + 1]], which ascend.
Fan = Callable[[int, int], tuple[Ints, Array]]


def fan_out(linear: LinearMap) -> Fan:
    """The targets of source neurons, by weights other than 0; members are int32."""
    if isinstance(linear, Conv):
        mask, geometry = _geometry(linear)
        return lambda lo, hi: _conv_targets(mask, geometry, lo, hi)
    if isinstance(linear, Dense):
        return lambda lo, hi: _nonzero(linear.weight[:, lo:hi].T)
    flat = to_sparse(linear)
    return lambda lo, hi: _slice(flat.indptr, flat.targets, lo, hi)


def fan_in(linear: LinearMap) -> Fan:
    """The sources of target neurons, by weights other than 0; members are int32."""
    if isinstance(linear, Conv):
        mask, geometry = _geometry(linear)
        return lambda lo, hi: _conv_sources(mask, geometry, lo, hi)
    if isinstance(linear, Dense):
        return lambda lo, hi: _nonzero(linear.weight[lo:hi])
    flat = to_sparse(linear)
    ones = np.ones(len(flat.targets), np.int8)
    turned = sparse.csr_array((ones, flat.targets, flat.indptr), shape=(flat.in_size, flat.out_size)).tocsc()
    start, members = turned.indptr.astype(np.int64), turned.indices.astype(np.int32)
    return lambda lo, hi: _slice(start, members, lo, hi)


def ranges(neurons: int, synapses: int) -> Iterator[tuple[int, int]]:
    """Ranges of neurons, so that of all these synapses about a bounded number lies in each."""
    count = max(1, -(-synapses // _CHUNK))
    step = max(1, -(-neurons // count))
    for lo in range(0, neurons, step):
        yield lo, min(neurons, lo + step)


def _slice(indptr: Array, members: Array, lo: int, hi: int) -> tuple[Ints, Array]:
    first, last = int(indptr[lo]), int(indptr[hi])
    return (indptr[lo : hi + 1] - first).astype(np.int64), np.ascontiguousarray(members[first:last], np.int32)


def _nonzero(rows: Array) -> tuple[Ints, Array]:
    inside = rows != 0
    start = np.concatenate([[0], np.cumsum(inside.sum(axis=1, dtype=np.int64))])
    return start, np.nonzero(inside)[1].astype(np.int32)


def _geometry(conv: Conv) -> tuple[Array, Geometry]:
    """Which weights are not 0, and all numbers that say where a window lies."""
    top, left, _, _ = conv.padding
    shapes = *conv.in_shape[1:], *conv.out_shape
    return np.ascontiguousarray(conv.weight != 0), (*shapes, *conv.stride, top, left, *conv.dilation, conv.groups)


@compiled
def _conv_targets(mask: Array, geometry: Geometry, lo: int, hi: int) -> tuple[Ints, Array]:
    height, width, outs, rows, columns, step_y, step_x, top, left, gap_y, gap_x, groups = geometry
    per_group, kernel_y, kernel_x = mask.shape[1], mask.shape[2], mask.shape[3]
    out_group = outs // groups
    start = np.zeros(hi - lo + 1, np.int64)
    members = np.empty(0, np.int32)
    for fill in range(2):
        count = 0
        for neuron in range(lo, hi):
            channel, y, x = neuron // (height * width), neuron // width % height, neuron % width
            group, inner = channel // per_group, channel % per_group
            for out in range(group * out_group, (group + 1) * out_group):
                for ky in range(kernel_y - 1, -1, -1):
                    row = y + top - ky * gap_y
                    if row < 0 or row % step_y or row // step_y >= rows:
                        continue
                    for kx in range(kernel_x - 1, -1, -1):
                        column = x + left - kx * gap_x
                        if column < 0 or column % step_x or column // step_x >= columns or not mask[out, inner, ky, kx]:
                            continue
                        if fill:
                            members[count] = (out * rows + row // step_y) * columns + column // step_x
                        count += 1
            start[neuron - lo + 1] = count
        if not fill:
            members = np.empty(count, np.int32)
    return start, members


@compiled
def _conv_sources(mask: Array, geometry: Geometry, lo: int, hi: int) -> tuple[Ints, Array]:
    height, width, outs, rows, columns, step_y, step_x, top, left, gap_y, gap_x, groups = geometry
    per_group, kernel_y, kernel_x = mask.shape[1], mask.shape[2], mask.shape[3]
    out_group = outs // groups
    start = np.zeros(hi - lo + 1, np.int64)
    members = np.empty(0, np.int32)
    for fill in range(2):
        count = 0
        for neuron in range(lo, hi):
            out, row, column = neuron // (rows * columns), neuron // columns % rows, neuron % columns
            for inner in range(per_group):
                channel = out // out_group * per_group + inner
                for ky in range(kernel_y):
                    y = row * step_y + ky * gap_y - top
                    if y < 0 or y >= height:
                        continue
                    for kx in range(kernel_x):
                        x = column * step_x + kx * gap_x - left
                        if x < 0 or x >= width or not mask[out, inner, ky, kx]:
                            continue
                        if fill:
                            members[count] = (channel * height + y) * width + x
                        count += 1
            start[neuron - lo + 1] = count
        if not fill:
            members = np.empty(count, np.int32)
    return start, members
