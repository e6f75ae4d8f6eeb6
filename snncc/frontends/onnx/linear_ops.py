"""Convolutions, matrix products, batch norms, pools and reductions of ONNX as linear layers, with their shapes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from snncc.arrays import Array, Shape
from snncc.diagnostics import Diagnostic, fault
from snncc.frontends.onnx.attributes import axes, bad_attribute, bad_shape, integer, integers, real, text, window
from snncc.frontends.onnx.region import Node
from snncc.layers import Affine, Conv2d, Layer, Rearrange, Scale, SumPool2d

Arguments = Sequence[Array | None]  # the node's inputs; None for the one that is not constant, and where absent
MAX_VALUES = 1 << 25  # neurons of one population: far beyond any chip, and small enough to hold


@dataclass(frozen=True, eq=False)
class LinearOp:
    """`layers` applied one after another; `shape` is the ONNX shape of the result, batch axis included."""

    layers: tuple[Layer, ...]
    shape: Shape


def linear_op(node: Node, shape: Shape, args: Arguments) -> LinearOp:
    """One of the ops in `LINEAR`, applied to a tensor of `shape`."""
    result = LINEAR[node.op](node, shape, args)
    check_size(node, result.shape)
    for layer in result.layers:
        check_size(node, layer.shape)
    return result


def check_size(node: Node, shape: Shape) -> None:
    if math.prod(shape) > MAX_VALUES:
        raise fault(
            "too-large", node.name, f"gives {math.prod(shape):,} values; a population holds at most {MAX_VALUES:,}"
        )


def not_finite(node: Node, args: Arguments) -> list[Diagnostic]:
    """A diagnostic for each constant of the node that holds NaN or an infinity."""
    found: list[Diagnostic] = []
    for name, each in zip(node.inputs, args, strict=True):
        if each is None or each.dtype.kind != "f":
            continue
        bad = each.size - int(np.count_nonzero(np.isfinite(each)))
        if bad:
            message = f"{name}: {bad:,} of {each.size:,} values are NaN or infinite"
            hint = "the training has diverged, or the file is damaged"
            found.append(Diagnostic("not-finite", node.name, message, hint))
    return found


def _floats(node: Node, args: Arguments, index: int, what: str) -> Array:
    found = args[index] if index < len(args) else None
    if found is None:
        message = f"{node.op} whose {what} is not a constant: the product of two streams is not a synapse"
        raise fault("unsupported-op", node.name, message, "only multiply by parameters of the model")
    if found.dtype.kind != "f":
        raise bad_shape(node, f"its {what} has type {found.dtype.name}")
    return found


def _optional(args: Arguments, index: int) -> Array | None:
    return args[index] if index < len(args) else None


def _conv(node: Node, shape: Shape, args: Arguments) -> LinearOp:
    weight, bias = _floats(node, args, 1, "weight"), _optional(args, 2)
    rank = len(shape) - 2
    if rank not in (1, 2):
        raise fault("unsupported-op", node.name, f"is a convolution over {rank} axes; 1 and 2 are supported")
    groups = integer(node, "group", 1)
    fits = weight.ndim == len(shape) and groups >= 1 and weight.shape[1] * groups == shape[1]
    if not fits or weight.shape[0] % groups or 0 in weight.shape:
        raise bad_shape(node, f"weight {weight.shape} with {groups} groups does not fit an input of shape {shape}")
    kernel = weight.shape[2:]
    if (given := integers(node, "kernel_shape")) is not None and given != kernel:
        raise bad_attribute(node, "kernel_shape", f"is {given}, but the weight has {kernel}")
    if bias is not None and (bias.shape != weight.shape[:1] or bias.dtype.kind != "f"):
        raise bad_shape(node, f"bias {bias.shape} does not fit {weight.shape[0]} channels")
    strides, dilations = window(node, "strides", rank, 1, 1), window(node, "dilations", rank, 1, 1)
    places = placed(node, shape[2:], kernel, strides, dilations)
    out = (weight.shape[0], *places.sizes)
    layer = Conv2d(
        weight if rank == 2 else weight[:, :, None],
        _planar(shape[1:]),
        _planar(out),
        bias if bias is not None and bias.any() else None,
        _pair(strides),
        places.padding,
        _pair(dilations),
        groups,
    )
    return LinearOp((layer,), (shape[0], *out))


def _planar(shape: Shape) -> Shape:
    """(channels, height, width); a one-dimensional map has height 1."""
    return shape if len(shape) == 3 else (shape[0], 1, shape[1])


def _pair(values: tuple[int, ...]) -> tuple[int, int]:
    return (values[0], values[1]) if len(values) == 2 else (1, values[0])


@dataclass(frozen=True)
class Places:
    """Where a window is put: zeros around the map as (top, left, bottom, right), and the number of places an axis."""

    padding: tuple[int, int, int, int]
    sizes: Shape


def placed(node: Node, sizes: Shape, kernel: Shape, strides: Shape, dilations: Shape, ceil: bool = False) -> Places:
    count = len(sizes)
    pads = window(node, "pads", 2 * count, 0, 0)
    before, after = list(pads[:count]), list(pads[count:])
    mode = text(node, "auto_pad", "NOTSET")
    out: list[int] = []
    for i, (size, k, stride, gap) in enumerate(zip(sizes, kernel, strides, dilations, strict=True)):
        span = (k - 1) * gap + 1
        if mode in ("SAME_UPPER", "SAME_LOWER"):
            missing = max(0, (-(-size // stride) - 1) * stride + span - size)
            before[i] = (missing + (mode == "SAME_LOWER")) // 2
            after[i] = missing - before[i]
        elif mode == "VALID":
            before[i] = after[i] = 0
        elif mode != "NOTSET":
            raise bad_attribute(node, "auto_pad", f"is {mode!r}, which ONNX does not have")
        check_size(node, (size + before[i] + after[i],))
        room = size + before[i] + after[i] - span
        places = (-(-room // stride) if ceil else room // stride) + 1
        if ceil and (places - 1) * stride >= size + before[i]:
            places -= 1  # a window must start inside the map or its left padding
        if room < 0 or places < 1:
            raise bad_shape(node, f"a window of {span} does not fit {size} values with padding {before[i]}, {after[i]}")
        after[i] += max(0, (places - 1) * stride - room)
        out.append(places)
    padding = (before[0], before[1], after[0], after[1]) if count == 2 else (0, before[0], 0, after[0])
    return Places(padding, tuple(out))


def _gemm(node: Node, shape: Shape, args: Arguments) -> LinearOp:
    weight, bias = _floats(node, args, 1, "matrix"), _optional(args, 2)
    if len(shape) != 2 or weight.ndim != 2:
        raise bad_shape(node, f"multiplies shapes {shape} and {weight.shape}, which are not matrices")
    rows, inner = reversed(shape) if integer(node, "transA", 0) else shape
    if integer(node, "transA", 0) and rows != 1 and inner != 1:
        raise fault("unsupported-op", node.name, "transposes a population's values: put a Transpose before it")
    weight = weight if integer(node, "transB", 0) else weight.T
    if weight.shape[1] != inner:
        raise bad_shape(node, f"multiplies {inner} values by a matrix for {weight.shape[1]}")
    alpha, beta = real(node, "alpha", 1.0), real(node, "beta", 1.0)
    weight = weight if alpha == 1.0 else weight * weight.dtype.type(alpha)
    if bias is not None:
        if bias.dtype.kind != "f" or bias.ndim > 2 or bias.size not in (1, weight.shape[0]):
            raise bad_shape(node, f"adds shape {bias.shape} to {weight.shape[0]} values")
        bias = np.broadcast_to(bias.reshape(-1), weight.shape[:1]) * bias.dtype.type(beta)
    return LinearOp(_dense(node, weight, bias, rows), (rows, weight.shape[0]))


def _dense(node: Node, weight: Array, bias: Array | None, rows: int) -> tuple[Layer, ...]:
    """x W^T for each of `rows` rows: a matrix if there is one, else a 1 x 1 convolution over the rows."""
    out, inner = weight.shape
    check_size(node, (rows, out))
    if rows == 1:
        return (Affine(weight, (out,), bias),)
    into = np.arange(rows * inner).reshape(rows, inner).T
    back = np.arange(out * rows).reshape(out, rows).T
    conv = Conv2d(weight[:, :, None, None], (inner, 1, rows), (out, 1, rows), bias)
    return Rearrange((inner, 1, rows), into.reshape(-1)), conv, Rearrange((rows, out), back.reshape(-1))


def _matmul(node: Node, shape: Shape, args: Arguments) -> LinearOp:
    if len(args) != 2:
        raise bad_shape(node, "needs two inputs")
    left = args[0] is not None
    weight = _floats(node, args, 0 if left else 1, "matrix")
    if weight.ndim > 2 and math.prod(weight.shape[:-2]) == 1:
        weight = weight.reshape(weight.shape[-2:])
    if weight.ndim not in (1, 2) or not shape:
        raise fault("unsupported-op", node.name, f"multiplies by a stack of matrices of shape {weight.shape}")
    if left:
        return _left_matmul(node, shape, weight)
    matrix = weight.T if weight.ndim == 2 else weight[None]
    if matrix.shape[1] != shape[-1]:
        raise bad_shape(node, f"multiplies shape {shape} by shape {weight.shape}")
    out = (*shape[:-1], *weight.shape[1:])
    return LinearOp(_dense(node, matrix, None, math.prod(shape[:-1])), out)


def _left_matmul(node: Node, shape: Shape, weight: Array) -> LinearOp:
    matrix = weight if weight.ndim == 2 else weight[None]
    inner, columns = (shape[0], 1) if len(shape) == 1 else shape[-2:]
    if matrix.shape[1] != inner or math.prod(shape) != inner * columns:
        raise bad_shape(node, f"multiplies shape {weight.shape} by shape {shape}")
    rows = weight.shape[:-1]
    out = (*shape[:-2], *rows, columns) if len(shape) > 1 else rows
    if columns == 1:
        return LinearOp((Affine(matrix, (matrix.shape[0],)),), out)
    conv = Conv2d(matrix[:, :, None, None], (inner, 1, columns), (matrix.shape[0], 1, columns))
    return LinearOp((conv,), out)


def _batch_norm(node: Node, shape: Shape, args: Arguments) -> LinearOp:
    if integer(node, "training_mode", 0):
        message = "is a BatchNormalization in training mode, which depends on the whole batch"
        raise fault("unsupported-op", node.name, message, "export the model after model.eval()")
    scale, shift, mean, variance = (_floats(node, args, i, "parameter").astype(np.float64) for i in range(1, 5))
    if len(shape) < 2 or any(each.shape != (shape[1],) for each in (scale, shift, mean, variance)):
        raise bad_shape(node, f"its parameters do not fit an input of shape {shape}")
    with np.errstate(all="ignore"):
        factor = scale / np.sqrt(variance + real(node, "epsilon", 1e-5))
        offset = shift - mean * factor
    if not (np.isfinite(factor).all() and np.isfinite(offset).all()):
        raise fault("not-finite", node.name, "has a variance of which no square root can be taken")
    per_channel = (shape[1],) + (1,) * (len(shape) - 2)
    layer = Scale(shape[1:], factor.reshape(per_channel), offset.reshape(per_channel))
    return LinearOp((layer,), shape)


def _pool(node: Node, shape: Shape, _: Arguments) -> LinearOp:
    """AveragePool, and the sum over windows that LpPool is for values that are not negative."""
    rank = len(shape) - 2
    if rank not in (1, 2):
        raise fault("unsupported-op", node.name, f"is a pool over {rank} axes; 1 and 2 are supported")
    if "kernel_shape" not in node.attributes:
        raise bad_attribute(node, "kernel_shape", "is missing")
    kernel = window(node, "kernel_shape", rank, 1, 1)
    strides, dilations = window(node, "strides", rank, 1, 1), window(node, "dilations", rank, 1, 1)
    places = placed(node, shape[2:], kernel, strides, dilations, bool(integer(node, "ceil_mode", 0)))
    in_shape, out = _planar(shape[1:]), _planar((shape[1], *places.sizes))
    check_size(node, out)
    if node.op == "AveragePool":
        counts = _counts(node, in_shape, out, _pair(kernel), _pair(strides), _pair(dilations), places.padding)
    else:
        counts = np.ones(out[1:])
    even = bool((counts == counts.flat[0]).all())
    factor = 1.0 / float(counts.flat[0]) if even else 1.0
    if max(dilations) == 1:
        pool: Layer = SumPool2d(in_shape, out, _pair(kernel), _pair(strides), places.padding, factor)
    else:
        weight = np.full((shape[1], 1, *_pair(kernel)), factor)
        pool = Conv2d(weight, in_shape, out, None, _pair(strides), places.padding, _pair(dilations), shape[1])
    scales = () if even else (Scale(out, 1.0 / counts[None]),)
    return LinearOp((pool, *scales), (*shape[:2], *places.sizes))


def _counts(
    node: Node, in_shape: Shape, out: Shape, kernel: Shape, strides: Shape, dilations: Shape, padding: Shape
) -> Array:
    """By how many values each window divides, (height, width)."""
    include = bool(integer(node, "count_include_pad", 0))
    stated = window(node, "pads", 2 * (len(integers(node, "kernel_shape") or ())), 0, 0)
    extra = stated[len(stated) // 2 :] if text(node, "auto_pad", "NOTSET") == "NOTSET" else padding[2:]
    along: list[Array] = []
    for i in (0, 1):
        size, before = in_shape[1 + i], padding[i]
        ends = (0, *extra) if len(extra) == 1 else extra
        check_size(node, (out[1 + i], kernel[i]))
        low, high = (0, before + size + ends[i]) if include else (before, before + size)
        at = np.arange(out[1 + i])[:, None] * strides[i] + np.arange(kernel[i])[None, :] * dilations[i]
        along.append(np.count_nonzero((at >= low) & (at < high), axis=1))
    counts = np.outer(along[0], along[1]).astype(np.float64)
    if (counts == 0).any():
        raise bad_shape(node, "has a window that lies in the padding alone")
    return counts


def _reduction(node: Node, shape: Shape, args: Arguments) -> LinearOp:
    rank = len(shape)
    if node.op == "GlobalAveragePool":
        chosen, keep = tuple(range(2, rank)), True
    else:
        listed = axes(node, _optional(args, 1), rank)
        if not listed and integer(node, "noop_with_empty_axes", 0):
            return LinearOp((), shape)
        chosen, keep = listed or tuple(range(rank)), bool(integer(node, "keepdims", 1))
    out = tuple(1 if i in chosen else n for i, n in enumerate(shape) if keep or i not in chosen)
    rest = tuple(i for i in range(rank) if i not in chosen)
    count, kept = math.prod(shape[i] for i in chosen), math.prod(shape[i] for i in rest)
    if count == 1:
        return LinearOp((), out)
    if count * kept == 0:
        raise bad_shape(node, f"reduces the empty shape {shape}")
    order = np.arange(count * kept).reshape(shape).transpose(rest + chosen).reshape(-1)
    moved = () if (np.diff(order) == 1).all() else (Rearrange((kept, 1, count), order),)
    factor = 1.0 if node.op == "ReduceSum" else 1.0 / count
    pool = SumPool2d((kept, 1, count), (kept, 1, 1), (1, count), (1, count), scale=factor)
    return LinearOp((*moved, pool), out)


LINEAR: Mapping[str, Callable[[Node, Shape, Arguments], LinearOp]] = {
    "Conv": _conv,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "BatchNormalization": _batch_norm,
    "AveragePool": _pool,
    "LpPool": _pool,
    "GlobalAveragePool": _reduction,
    "ReduceMean": _reduction,
    "ReduceSum": _reduction,
}
