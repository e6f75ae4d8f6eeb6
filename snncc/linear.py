"""Linear maps between flattened populations: dense, convolutional, sparse or lateral, of floats or of integers.

The sparse form is the meaning; the others are compact ways to store it. Values are flattened in row-major
order, so a map takes (batch, in_size) to (batch, out_size).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from threadpoolctl import ThreadpoolController

from snncc.arrays import Array, Shape, frozen

_CHUNK = 1 << 18  # elements of a convolution's patch matrix that are alive at once: 1 MiB of float32, which caches hold

_BLAS = ThreadpoolController().select(user_api="blas")


@dataclass(frozen=True, eq=False)
class Dense:
    """y = W x, with `weight` (out_size, in_size)."""

    weight: Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "weight", frozen(self.weight))

    @property
    def in_size(self) -> int:
        return self.weight.shape[1]

    @property
    def out_size(self) -> int:
        return self.weight.shape[0]


@dataclass(frozen=True, eq=False)
class Conv:
    """Cross-correlation of a (channels, height, width) map, as ONNX `Conv` defines it.

    `weight` is (out_channels, in_channels / groups, kernel height, kernel width); `padding` is (top, left,
    bottom, right) zeros. A one-dimensional convolution has height 1.
    """

    weight: Array
    in_shape: Shape
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "weight", frozen(self.weight))

    @property
    def out_shape(self) -> Shape:
        top, left, bottom, right = self.padding
        _, height, width = self.in_shape
        span_y, span_x = ((k - 1) * d + 1 for k, d in zip(self.weight.shape[2:], self.dilation, strict=True))
        return (
            self.weight.shape[0],
            (height + top + bottom - span_y) // self.stride[0] + 1,
            (width + left + right - span_x) // self.stride[1] + 1,
        )

    @property
    def in_size(self) -> int:
        return math.prod(self.in_shape)

    @property
    def out_size(self) -> int:
        return math.prod(self.out_shape)


@dataclass(frozen=True, eq=False)
class Sparse:
    """Compressed rows, one per *source* neuron: `targets[indptr[j]:indptr[j+1]]` are what source j reaches.

    Targets ascend within a row, without repeats. `indptr` is int64 (in_size + 1,); `targets` is int32 and `weight`
    has its length.
    """

    indptr: Array
    targets: Array
    weight: Array
    out_size: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "indptr", frozen(self.indptr, np.int64))
        object.__setattr__(self, "targets", frozen(self.targets, np.int32))
        object.__setattr__(self, "weight", frozen(self.weight))

    @property
    def in_size(self) -> int:
        return len(self.indptr) - 1


@dataclass(frozen=True, eq=False)
class Lateral:
    """y = w (sum(x) - x): each of `size` neurons reaches all others, none itself, with the one `weight` (1,)."""

    weight: Array
    size: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "weight", frozen(self.weight))

    @property
    def in_size(self) -> int:
        return self.size

    @property
    def out_size(self) -> int:
        return self.size


LinearMap = Dense | Conv | Sparse | Lateral


def with_weight(linear: LinearMap, weight: Array) -> LinearMap:
    """The same connections with other weights, of the same shape."""
    return replace(linear, weight=weight)


def operator(linear: LinearMap, dtype: type[np.floating]) -> Callable[[Array], Array]:
    """A function from (batch, in_size) to (batch, out_size), both of `dtype`, ready to be called often.

    It runs on one thread: products are small, and where other work runs on the machine BLAS's threads wait for each
    other several times as long as they compute.
    """
    return _BLAS.wrap(limits=1)(_operator(linear, dtype))


def _operator(linear: LinearMap, dtype: type[np.floating]) -> Callable[[Array], Array]:
    weight = linear.weight.astype(dtype)
    if isinstance(linear, Dense):
        return lambda x: x @ weight.T
    if isinstance(linear, Sparse):
        from scipy import sparse  # which takes long to import, and most networks need not

        shape = (linear.in_size, linear.out_size)
        gathered = sparse.csr_array((weight, linear.targets, linear.indptr), shape=shape).T.tocsr()
        return lambda x: np.ascontiguousarray((gathered @ x.T).T)
    if isinstance(linear, Lateral):
        return lambda x: (x.sum(axis=1, keepdims=True) - x) * weight
    return _convolution(linear, weight)


def _convolution(conv: Conv, weight: Array) -> Callable[[Array], Array]:
    """A product of the kernel and of patches, copied out of the input along its channels or along its rows."""
    out_channels, positions = len(weight), conv.out_size // len(weight)
    by_channels = conv.groups == 1 and conv.in_shape[0] > conv.out_shape[2]  # the longer one is the faster to copy
    if by_channels:
        kernel = weight.transpose(2, 3, 1, 0).reshape(-1, out_channels)
    else:
        kernel = weight.reshape(conv.groups, out_channels // conv.groups, -1)

    def products(windows: Array) -> Array:
        batch = len(windows)
        if by_channels:  # a row of the matrix for each position of each sample
            patches = windows.transpose(0, 2, 3, 4, 5, 1).reshape(batch * positions, -1)
            return (patches @ kernel).reshape(batch, positions, out_channels).transpose(0, 2, 1)
        patches = windows.transpose(0, 1, 4, 5, 2, 3).reshape(batch, conv.groups, -1, positions)
        return np.matmul(kernel, patches).reshape(batch, out_channels, positions)

    def convolve(x: Array) -> Array:
        windows = _windows(conv, _padded(conv, x, channels_last=by_channels))
        result = np.empty((len(x), out_channels, positions), weight.dtype)
        batch = max(1, _CHUNK // max(1, windows[:1].size))
        for start in range(0, len(x), batch):
            rows = slice(start, start + batch)
            result[rows] = products(windows[rows])
        return result.reshape(len(x), conv.out_size)

    return convolve


def _padded(conv: Conv, x: Array, *, channels_last: bool) -> Array:
    """(batch, channels, height, width) with zeros around; in memory, channels may come last."""
    channels, height, width = conv.in_shape
    top, left, bottom, right = conv.padding
    around = (top + height + bottom, left + width + right)
    if channels_last:
        result = np.zeros((len(x), *around, channels), x.dtype).transpose(0, 3, 1, 2)
    else:
        result = np.zeros((len(x), channels, *around), x.dtype)
    result[:, :, top : top + height, left : left + width] = x.reshape(-1, channels, height, width)
    return result


def _windows(conv: Conv, padded: Array) -> Array:
    """What each output position sees: a view (batch, channels, out height, out width, kernel height, kernel width)."""
    (step_y, step_x), (gap_y, gap_x) = conv.stride, conv.dilation
    kernel_height, kernel_width = conv.weight.shape[2:]
    extent = ((kernel_height - 1) * gap_y + 1, (kernel_width - 1) * gap_x + 1)
    windows = np.lib.stride_tricks.sliding_window_view(padded, extent, axis=(2, 3))
    return windows[:, :, ::step_y, ::step_x, ::gap_y, ::gap_x]


def to_sparse(linear: LinearMap) -> Sparse:
    """The meaning of a map: every synapse listed, zero weights left out."""
    if isinstance(linear, Sparse):
        keep = linear.weight != 0
        if keep.all():
            return linear
        sources = np.repeat(np.arange(linear.in_size), np.diff(linear.indptr))
        return from_triples(sources[keep], linear.targets[keep], linear.weight[keep], linear.in_size, linear.out_size)
    if isinstance(linear, Dense):
        targets, sources = np.nonzero(linear.weight)
        return from_triples(sources, targets, linear.weight[targets, sources], linear.in_size, linear.out_size)
    if isinstance(linear, Lateral):
        return to_sparse(Dense(linear.weight * (1 - np.eye(linear.size, dtype=linear.weight.dtype))))
    sources, targets, weights = conv_triples(linear)
    return from_triples(sources, targets, weights, linear.in_size, linear.out_size)


def from_triples(sources: Array, targets: Array, weights: Array, in_size: int, out_size: int) -> Sparse:
    """A sparse map from one (source, target, weight) per synapse, in any order; repeats are added up."""
    from scipy import sparse

    matrix = sparse.coo_array((weights, (sources, targets)), shape=(in_size, out_size)).tocsr()
    matrix.sum_duplicates()
    return Sparse(matrix.indptr, matrix.indices, matrix.data, out_size)


def conv_triples(conv: Conv) -> tuple[Array, Array, Array]:
    """Source index, target index and weight of every nonzero synapse of a convolution."""
    _, height, width = conv.in_shape
    out_channels, out_height, out_width = conv.out_shape
    top, left, _, _ = conv.padding
    per_group = conv.weight.shape[1]
    out_channel, in_group, kernel_y, kernel_x = (each[:, None, None] for each in np.nonzero(conv.weight))
    out_y, out_x = np.arange(out_height)[None, :, None], np.arange(out_width)[None, None, :]
    y = out_y * conv.stride[0] + kernel_y * conv.dilation[0] - top
    x = out_x * conv.stride[1] + kernel_x * conv.dilation[1] - left
    group = out_channel // (out_channels // conv.groups)
    source = ((group * per_group + in_group) * height + y) * width + x
    target = (out_channel * out_height + out_y) * out_width + out_x
    inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    shape = np.broadcast_shapes(source.shape, target.shape, inside.shape)
    weight = conv.weight[conv.weight != 0][:, None, None]
    source, target, weight, inside = (np.broadcast_to(each, shape) for each in (source, target, weight, inside))
    return source[inside], target[inside], weight[inside]


def largest_sum(linear: LinearMap) -> float:
    """The greatest sum of |weight| over the synapses of one target: |y| <= this * max |x|."""
    magnitude = np.abs(linear.weight.astype(np.float64))
    if isinstance(linear, Sparse):
        sums = np.bincount(linear.targets, magnitude, minlength=1)
    elif isinstance(linear, Lateral):
        sums = magnitude * linear.size  # by one more than needed: `operator` adds up all, itself too
    else:
        sums = magnitude.reshape(len(magnitude), -1).sum(axis=1)
    return float(sums.max(initial=0.0))


def synapse_count(linear: LinearMap) -> int:
    """How many synapses there are, a shared weight counted once per use; zero weights count in Dense and Conv."""
    if isinstance(linear, Conv):
        rows, columns = _conv_uses(linear)
        return linear.weight.shape[0] * linear.weight.shape[1] * int(rows.sum()) * int(columns.sum())
    return linear.size * (linear.size - 1) if isinstance(linear, Lateral) else int(linear.weight.size)


def nonzero_count(linear: LinearMap) -> int:
    """As `synapse_count`, without the zero weights of a dense or sparse map."""
    listed = isinstance(linear, (Dense, Sparse))
    return int(np.count_nonzero(linear.weight)) if listed else synapse_count(linear)


def effective_count(linear: LinearMap) -> int:
    """As `synapse_count`, without those whose weight is 0, in whatever form."""
    if not isinstance(linear, Conv):
        return synapse_count(linear) if isinstance(linear, Lateral) else int(np.count_nonzero(linear.weight))
    rows, columns = _conv_uses(linear)
    return int((np.count_nonzero(linear.weight, axis=(0, 1)) * np.outer(rows, columns)).sum())


def _conv_uses(conv: Conv) -> tuple[Array, Array]:
    """How often each tap along each axis reads a value, not padding."""
    _, height, width = conv.in_shape
    top, left, _, _ = conv.padding
    _, out_height, out_width = conv.out_shape
    rows = _uses(height, out_height, conv.weight.shape[2], conv.stride[0], conv.dilation[0], top)
    return rows, _uses(width, out_width, conv.weight.shape[3], conv.stride[1], conv.dilation[1], left)


def _uses(size: int, out: int, taps: int, stride: int, gap: int, before: int) -> Array:
    """How often each tap of all outputs along one axis reads a value, not padding."""
    read = np.arange(out)[:, None] * stride + np.arange(taps) * gap - before
    return np.count_nonzero((read >= 0) & (read < size), axis=0)


def malformed(linear: LinearMap) -> str | None:
    """Why a map read from a file is none, or None if it is well formed: shapes, geometry, indices in range."""
    if isinstance(linear, Dense):
        return None if linear.weight.ndim == 2 else "a dense weight has two axes"
    if isinstance(linear, Lateral):
        good = linear.weight.shape == (1,) and linear.size >= 1
        return None if good else "a lateral map has one weight, and at least one neuron"
    return _malformed_conv(linear) if isinstance(linear, Conv) else _malformed_sparse(linear)


def _malformed_sparse(linear: Sparse) -> str | None:
    indptr, targets = linear.indptr, linear.targets
    if indptr.ndim != 1 or targets.ndim != 1 or linear.weight.shape != targets.shape or len(indptr) == 0:
        return "indptr, targets and weight are lists, the last two of one length"
    if indptr[0] != 0 or indptr[-1] != len(targets) or (np.diff(indptr) < 0).any():
        return "indptr ascends from 0 to the number of synapses"
    if len(targets) and (targets.min() < 0 or targets.max() >= linear.out_size):
        return f"targets lie in 0..{linear.out_size - 1}"
    rows = np.repeat(np.arange(linear.in_size), np.diff(indptr))
    if ((np.diff(targets) <= 0) & (np.diff(rows) == 0)).any():
        return "targets ascend within a row"
    return None


def _malformed_conv(conv: Conv) -> str | None:
    if conv.weight.ndim != 4 or len(conv.in_shape) != 3 or conv.weight.size == 0:
        return "a convolution's weight has four axes and its input three"
    if min(*conv.in_shape, *conv.stride, *conv.dilation, conv.groups) < 1 or min(conv.padding) < 0:
        return "sizes, strides, dilations and groups are at least 1, padding at least 0"
    if conv.weight.shape[1] * conv.groups != conv.in_shape[0] or conv.weight.shape[0] % conv.groups:
        return "a convolution's channels are split evenly into its groups"
    if min(conv.out_shape) < 1:
        return "a convolution's kernel fits its padded input"
    return None


def one_sign(weight: Array) -> bool:
    """Whether no two weights have different signs."""
    return not (bool((weight < 0).any()) and bool((weight > 0).any()))
