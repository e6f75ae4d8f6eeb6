"""Activations of an ordinary network that spike rates can stand for, and max pools, as layers; why others are not.

The larger of two numbers is b + relu(a - b), so a max pool is a tree of such pairs (R. Arora et al., Understanding
deep neural networks with rectified linear units, ICLR 2018, section 2): no approximation of its own.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np

from snncc.arrays import Array, Ints, Shape
from snncc.diagnostics import CompileError, fault
from snncc.frontends.onnx.attributes import bad_attribute, integer, window
from snncc.frontends.onnx.linear_ops import check_size, placed
from snncc.frontends.onnx.region import Node
from snncc.layers import Relu

POOLS = frozenset({"MaxPool", "GlobalMaxPool"})
RECTIFYING = frozenset({"Relu", "Clip", "Max"}) | POOLS
OTHERS = frozenset(
    {"LeakyRelu", "PRelu", "Elu", "Selu", "Celu", "Gelu", "Sigmoid", "HardSigmoid", "Tanh", "Softplus", "Softsign"}
    | {"Mish", "HardSwish", "Softmax", "LogSoftmax", "Erf", "Hardmax", "ThresholdedRelu", "Swish", "Abs", "Pow"}
    | {"LayerNormalization", "InstanceNormalization", "GroupNormalization", "LRN", "LSTM", "GRU", "RNN", "ArgMax"}
)


def rectifier(node: Node, shape: Shape, bounds: Sequence[Array | None]) -> Relu | None:
    """The layer that a Relu, a Clip from 0, or the maximum with 0 is; `shape` is without the batch axis.

    `bounds` are the node's other inputs. None for a Clip or Max of another kind.
    """
    if node.op == "Relu":
        return Relu(shape)
    if node.op == "Max":
        zero = len(bounds) == 1 and bounds[0] is not None and not bounds[0].any()
        return Relu(shape) if zero else None
    limits = [*bounds, None, None][:2]
    low, high = (
        node.attributes.get(name, missing) if given is None else given.flat[0] if given.size == 1 else math.nan
        for given, name, missing in zip(limits, ("min", "max"), (-math.inf, math.inf), strict=True)
    )
    return Relu(shape, None if high == math.inf else float(high)) if low == 0 and high > 0 else None


def unrectified(node: Node) -> CompileError:
    """Why an activation cannot become rates."""
    what = f"{node.op} from 0" if node.op in ("Clip", "Max") else "Relu"
    message = f"{node.op} is no activation that spike rates stand for; these are Relu, Clip from 0 upwards, and MaxPool"
    return fault("no-rate-form", node.name, message, f"train with {what} in its place")


def max_pool(node: Node, shape: Shape) -> Iterator[tuple[Node, Ints | None]]:
    """The pool of a tensor of ONNX `shape` in other nodes: those with an index take the values at those places.

    Pairs are compared round by round, all pairs of a round side by side along the channels. The last Relu repeats
    the result, so that what follows reads one population instead of all.
    """
    name, output, index = node.inputs[0], node.outputs[0], windows(node, shape)
    several = len(index) > 1
    for round_ in itertools.count(1):
        if len(index) == 1:
            break
        half, rest, maps = len(index) // 2, len(index) - len(index) // 2, index.shape[3:]
        label, part = f"{node.name}_{round_}", f"{output}#{round_}"
        first, second, chosen, larger = (f"{part}{each}" for each in "abrm")
        yield Node("Take", f"{label}_a", (name,), (first,)), index[:half].reshape(1, -1, *maps)
        yield Node("Take", f"{label}_b", (name,), (second,)), index[half : 2 * half].reshape(1, -1, *maps)
        yield Node("Sub", f"{label}_difference", (first, second), (f"{part}d",)), None
        yield Node("Relu", label, (f"{part}d",), (chosen,)), None
        if rest > half:  # one is left over, and goes on as it is
            second, spare = f"{part}b2", np.full((rest - half, *index.shape[1:]), -1)
            yield Node("Take", f"{label}_rest", (name,), (second,)), index[half:].reshape(1, -1, *maps)
            places = np.arange(half * index[0].size).reshape(half, *index.shape[1:])
            padded = np.concatenate([places, spare]).reshape(1, -1, *maps)
            yield Node("Take", f"{label}_padded", (chosen,), (f"{part}r2",)), padded
            chosen = f"{part}r2"
        yield Node("Add", f"{label}_larger", (second, chosen), (larger,)), None
        name, index = larger, np.arange(rest * index[0].size).reshape(rest, *index.shape[1:])
    yield Node("Take", node.name, (name,), (f"{output}#" if several else output,)), index[0]
    if several:
        yield Node("Relu", node.name, (f"{output}#",), (output,)), None


def windows(node: Node, shape: Shape) -> Ints:
    """For each value of a max pool the values of x, of ONNX `shape`, that it is the largest of: (window, *out shape).

    Positions count in flattened x; -1 stands for padding, where values that are never negative have a 0.
    """
    rank = len(shape) - 2
    if rank not in (1, 2):
        raise fault("unsupported-op", node.name, f"is a pool over {rank} axes; 1 and 2 are supported")
    if any(node.outputs[1:]):
        raise fault("unsupported-op", node.name, "gives indices beside its values", "use the values only")
    y, x = (_along(node, shape, axis) for axis in (0, rank - 1))
    y = y if rank == 2 else np.zeros((1, 1), np.int64)
    check_size(node, (shape[1], y.size, x.size))
    rows, columns = y[:, None, :, None], x[None, :, None, :]
    inside = (rows >= 0) & (columns >= 0)
    channels = (np.arange(shape[1]) * math.prod(shape[2:])).reshape(-1, 1, 1)
    position = (rows * shape[-1] + columns).reshape(-1, 1, y.shape[1], x.shape[1]) + channels
    index = np.where(inside.reshape(-1, 1, y.shape[1], x.shape[1]), position, -1)
    return index.reshape(len(index), *shape[:2], *(each.shape[1] for each in (y, x)[2 - rank :]))


def _along(node: Node, shape: Shape, axis: int) -> Ints:
    """Positions on one axis, (taps, out), -1 outside."""
    if node.op == "GlobalMaxPool":
        return np.arange(shape[2 + axis])[:, None]
    rank = len(shape) - 2
    if "kernel_shape" not in node.attributes:
        raise bad_attribute(node, "kernel_shape", "is missing")
    kernel, strides = window(node, "kernel_shape", rank, 1, 1), window(node, "strides", rank, 1, 1)
    gaps = window(node, "dilations", rank, 1, 1)
    where = placed(node, shape[2:], kernel, strides, gaps, bool(integer(node, "ceil_mode", 0)))
    check_size(node, (kernel[axis], where.sizes[axis]))
    before = where.padding[:2][axis - rank]  # (0, left) for one axis
    at = np.arange(where.sizes[axis]) * strides[axis] + np.arange(kernel[axis])[:, None] * gaps[axis] - before
    return np.where((at >= 0) & (at < shape[2 + axis]), at, -1)
