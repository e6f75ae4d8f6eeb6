"""Products and sums of linear maps, each in the smallest form that is exact.

Storage is counted as on a chip: a weight takes one unit (8 bits), the target index of a listed synapse two more.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from snncc.arrays import Array, Shape
from snncc.layers import size, spread
from snncc.linear import (
    Conv,
    Dense,
    Lateral,
    LinearMap,
    Sparse,
    from_triples,
    nonzero_count,
    synapse_count,
    to_sparse,
    with_weight,
)
from snncc.passes.convolve import convolution_after, is_depthwise, joined_weights

if TYPE_CHECKING:
    from scipy import sparse

MAX_SYNAPSES = 50_000_000  # listing more takes gigabytes; a chip holds fewer
LISTED = 3  # units of storage of one listed synapse
_CHUNK = 1 << 23  # products of single synapses that are alive at once


class TooLargeError(Exception):
    """A product that would list about `needed` synapses, over `limit`."""

    def __init__(self, needed: int, limit: int) -> None:
        super().__init__(needed, limit)
        self.needed = needed
        self.limit = limit


def volume(shape: Shape) -> tuple[int, int, int]:
    """A shape as (channels, height, width); a plain list of neurons is one row of one channel."""
    if len(shape) == 3:
        return shape[0], shape[1], shape[2]
    return (shape[0], 1, shape[1]) if len(shape) == 2 else (1, 1, size(shape))


def identity(shape: Shape) -> LinearMap:
    """y = x. Its weights are integers, so that a product keeps the type of the other factor."""
    return diagonal(np.ones((), np.int8), shape)


def diagonal(factor: Array, shape: Shape) -> LinearMap:
    """y = factor * x: a depthwise 1x1 convolution where `factor` is constant over each channel, else listed."""
    channels, height, width = volume(shape)
    per_channel = np.broadcast_to(factor, shape).reshape(channels, height * width)
    if (per_channel == per_channel[:, :1]).all():
        weight = per_channel[:, 0].reshape(channels, 1, 1, 1)
        return Conv(weight, (channels, height, width), groups=channels)
    count = size(shape)
    return Sparse(np.arange(count + 1), np.arange(count), spread(factor, shape), count)


def selection(index: Array, in_shape: Shape, out_shape: Shape) -> LinearMap:
    """y[k] = x[index[k]], 0 where index[k] is -1: a 1x1 convolution if it moves whole channels and that is smaller."""
    flat, in_size = index.reshape(-1), size(in_shape)
    channels = _channels_moved(flat, volume(in_shape), volume(out_shape))
    if channels is not None and len(channels) * volume(in_shape)[0] <= LISTED * len(flat):
        weight = (channels[:, None] == np.arange(volume(in_shape)[0])).astype(np.int8)
        return Conv(weight[:, :, None, None], volume(in_shape))
    targets = np.flatnonzero(flat >= 0)
    return from_triples(flat[targets], targets, np.ones(len(targets), np.int8), in_size, len(flat))


def _channels_moved(flat: Array, before: Shape, after: Shape) -> Array | None:
    """For each output channel the input channel that it copies, -1 for none; None if pixels move."""
    pixels = before[1] * before[2]
    if before[1:] != after[1:] or pixels == 1:
        return None
    rows = flat.reshape(-1, pixels)
    moved = np.where(rows[:, 0] < 0, -1, rows[:, 0] // pixels)
    expected = np.where(moved[:, None] < 0, -1, moved[:, None] * pixels + np.arange(pixels))
    return moved if (rows == expected).all() else None


def scaled(linear: LinearMap, factor: float) -> LinearMap:
    """factor * M; the same map for factor 1."""
    return linear if factor == 1.0 else with_weight(linear, _times(linear.weight, np.float64(factor)))


def compose(outer: LinearMap, inner: LinearMap) -> LinearMap:
    """The map that applies `inner`, then `outer`. Raises TooLargeError."""
    if inner.out_size != outer.in_size:
        raise ValueError(f"{inner.out_size} values do not fit a map of {outer.in_size}")
    for one, other in ((outer, inner), (inner, outer)):
        factor = uniform(one)
        if factor is not None:
            return scaled(other, factor)
    if isinstance(outer, Conv) and isinstance(inner, Conv) and joined_weights(outer, inner) <= MAX_SYNAPSES:
        joined = convolution_after(outer, inner)
        if joined is not None and joined.weight.size <= LISTED * synapse_count(joined):
            return joined
    if isinstance(outer, Dense) and _fits_dense(outer, inner):
        return smallest(_dense_after(outer, inner))
    if isinstance(inner, Dense) and _fits_dense(outer, inner):
        return smallest(_after_dense(outer, inner))
    return smallest(_listed_product(listed(outer), listed(inner)))


def _fits_dense(outer: LinearMap, inner: LinearMap) -> bool:
    return outer.out_size * inner.in_size <= max(MAX_SYNAPSES, outer.weight.size, inner.weight.size)


def uniform(linear: LinearMap) -> float | None:
    """The number g of a map y = g * x in compact form, else None."""
    if not isinstance(linear, Conv) or not is_depthwise(linear) or linear.weight.shape[2:] != (1, 1):
        return None
    weight = linear.weight.reshape(-1)
    same = linear.stride == (1, 1) and not any(linear.padding) and (weight == weight[0]).all()
    return float(weight[0]) if same else None


def added(one: LinearMap, other: LinearMap) -> LinearMap | None:
    """The sum of two maps, if it takes the form of both.

    Maps of different form stay apart even where their sum would be smaller: apart, each keeps an exponent of its
    own when weights become integers, so a residual's 1.0 does not coarsen the small weights beside it.
    """
    if one is other:
        return scaled(one, 2.0)
    if isinstance(one, Sparse) and isinstance(other, Sparse):
        total = _matrix(one) + _matrix(other)
        return _from_matrix(total, one.out_size)
    alike = any(isinstance(one, kind) and isinstance(other, kind) for kind in (Dense, Lateral))
    if isinstance(one, Conv) and isinstance(other, Conv):
        alike = _geometry(one) == _geometry(other)
    if not alike:
        return None
    return with_weight(one, one.weight.astype(np.float64) + other.weight)


def _geometry(conv: Conv) -> object:
    return conv.in_shape, conv.weight.shape, conv.stride, conv.padding, conv.dilation, conv.groups


def smallest(linear: Dense | Sparse) -> Dense | Sparse:
    """The same map, dense or listed, whichever takes less storage."""
    cells, nonzero = linear.in_size * linear.out_size, int(np.count_nonzero(linear.weight))
    if LISTED * nonzero < cells:
        return linear if isinstance(linear, Sparse) else listed(linear)
    return linear if isinstance(linear, Dense) else Dense(_matrix(linear).toarray().T)


def listed(linear: LinearMap) -> Sparse:
    """`to_sparse`, but raises TooLargeError before memory runs out."""
    needed = nonzero_count(linear)
    if needed > MAX_SYNAPSES and not isinstance(linear, Sparse):
        raise TooLargeError(needed, MAX_SYNAPSES)
    return to_sparse(linear)


def _dense_after(outer: Dense, inner: LinearMap) -> Dense:
    """`outer` reads what `inner` gives: its columns are picked where each source reaches one target at most."""
    if isinstance(inner, Dense):
        return Dense(outer.weight.astype(np.float64) @ inner.weight.astype(np.float64))
    near = listed(inner)
    reached = np.diff(near.indptr)
    if reached.max(initial=0) <= 1:
        index = np.full(near.in_size, -1)
        factor = np.zeros(near.in_size, near.weight.dtype)
        index[reached == 1], factor[reached == 1] = near.targets, near.weight
        return Dense(_picked(outer.weight, index, factor, axis=1))
    return Dense((_matrix(near) @ outer.weight.T.astype(np.float64)).T)


def _after_dense(outer: LinearMap, inner: Dense) -> Dense:
    """`outer` reads what `inner` gives: rows are picked where each target reads one source at most."""
    far = listed(outer)
    if np.bincount(far.targets, minlength=1).max() <= 1:
        index = np.full(far.out_size, -1)
        factor = np.zeros(far.out_size, far.weight.dtype)
        index[far.targets], factor[far.targets] = np.repeat(np.arange(far.in_size), np.diff(far.indptr)), far.weight
        return Dense(_picked(inner.weight, index, factor, axis=0))
    return Dense(_matrix(far).T @ inner.weight.astype(np.float64))


def _picked(weight: Array, index: Array, factor: Array, axis: int) -> Array:
    """The rows or columns `index` times their factors, zeros for index -1; `weight` itself where nothing changes."""
    in_place = np.array_equal(index, np.arange(weight.shape[axis]))
    taken = weight if in_place else weight.take(np.maximum(index, 0), axis)
    return _times(taken, factor[:, None] if axis == 0 else factor)


def _times(weight: Array, factor: Array | np.float64) -> Array:
    """The exact product, to float64 precision: float32 stays where every factor is a power of two, or zero."""
    if np.all(factor == 1):
        return weight
    mantissa, exponent = np.frexp(np.abs(np.asarray(factor, np.float64)))
    powers = ((mantissa == 0.5) & (np.abs(exponent) < 64)) | (mantissa == 0)
    kind = np.float32 if weight.dtype == np.float32 and powers.all() else np.float64
    return np.multiply(weight, factor, dtype=kind)


def _matrix(linear: Sparse) -> sparse.csr_array:
    """(sources, targets), in float64."""
    from scipy import sparse

    shape = (linear.in_size, linear.out_size)
    return sparse.csr_array((linear.weight.astype(np.float64), linear.targets, linear.indptr), shape=shape)


def _from_matrix(matrix: sparse.csr_array, out_size: int) -> Sparse:
    matrix.eliminate_zeros()
    matrix.sort_indices()
    return Sparse(matrix.indptr, matrix.indices, matrix.data, out_size)


def _listed_product(outer: Sparse, inner: Sparse) -> Sparse:
    """Row by row in chunks, so that a product that is too large is noticed before it fills the memory."""
    from scipy import sparse

    near, far = _matrix(inner), _matrix(outer)
    parts: list[sparse.csr_array] = []
    total = 0
    for rows in _chunks(outer, inner):
        part = near[rows] @ far
        total += part.nnz
        if total > MAX_SYNAPSES:
            raise TooLargeError(total * inner.in_size // max(rows.stop, 1), MAX_SYNAPSES)
        parts.append(part)
    return _from_matrix(sparse.csr_array(sparse.vstack(parts, format="csr")), outer.out_size)


def _chunks(outer: Sparse, inner: Sparse) -> Iterator[slice]:
    """Runs of source rows whose products number about _CHUNK."""
    products = np.diff(outer.indptr)[inner.targets]
    done = np.concatenate([[0], np.cumsum(products)])[inner.indptr]
    start = 0
    while start < inner.in_size:
        stop = max(start + 1, int(np.searchsorted(done, done[start] + _CHUNK, side="right")) - 1)
        yield slice(start, stop)
        start = stop
