"""Computes nodes that read constants alone, never more values than the rest of the file makes plausible."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from snncc.arrays import Array, Shape
from snncc.diagnostics import fault
from snncc.frontends.onnx import elementwise
from snncc.frontends.onnx.attributes import axes, axis, bad_shape, integer, real
from snncc.frontends.onnx.rearranging import REARRANGING, RESHAPING, rearranged, reshaped, size_after
from snncc.frontends.onnx.region import Node

_REDUCTIONS = {
    "ReduceSum": np.sum,
    "ReduceMean": np.mean,
    "ReduceProd": np.prod,
    "ReduceMax": np.max,
    "ReduceMin": np.min,
}
_NORMS = {"ReduceL1": 1, "ReduceL2": 2, "ReduceSumSquare": 0}
_MAKERS = ("Constant", "ConstantOfShape", "Range", "Concat", "MatMul", "Gemm")
FOLDABLE = frozenset({*_REDUCTIONS, *_NORMS, *_MAKERS, *REARRANGING, *RESHAPING, *elementwise.OPS})

Inputs = Sequence[Array | None]


@dataclass(eq=False)
class Budget:
    """How many values may still be made; what folding makes beyond the file's own size is a sign of hostility."""

    left: int

    def spend(self, node: Node, values: int) -> None:
        if values > self.left:
            raise fault(
                "constant-too-large",
                node.name,
                f"{node.op} makes {values:,} values; {self.left:,} are left of what a file of this size may make",
                "store large constants as initializers, or simplify the model before the export",
            )
        self.left -= values


def fold(node: Node, inputs: Inputs, budget: Budget) -> list[Array]:
    """The outputs of a node in `FOLDABLE` with constant inputs."""
    budget.spend(node, _size(node, inputs))
    try:
        with np.errstate(all="ignore"):
            return _values(node, inputs)
    except (ValueError, TypeError, IndexError, OverflowError, ZeroDivisionError, AttributeError) as error:
        raise bad_shape(node, f"cannot be computed from its constant inputs: {error}") from None


def _size(node: Node, inputs: Inputs) -> int:
    """The values that the node makes: none if its result is a view, or the file holds it already."""
    first = inputs[0] if inputs else None
    if first is None or node.op in RESHAPING:
        return 0
    if node.op == "ConstantOfShape":
        return _product(node, first)
    if node.op == "Range":
        return _range_length(node, inputs)
    if node.op in REARRANGING:
        return size_after(node, first.shape, inputs[1:])
    return _size_of_many(node, [each.shape for each in inputs if each is not None])


def _size_of_many(node: Node, shapes: list[Shape]) -> int:
    if node.op in ("Concat", *_REDUCTIONS, *_NORMS):
        return sum(map(math.prod, shapes))
    if node.op in ("MatMul", "Gemm"):
        a, b = (shapes * 2)[:2]
        inner = max(1, a[0 if integer(node, "transA", 0) else -1] if a else 1)
        return math.prod(a) // inner * (math.prod(b) // inner)
    try:
        return math.prod(np.broadcast_shapes(*shapes))
    except ValueError:
        listed = ", ".join(map(str, shapes))
        raise bad_shape(node, f"its inputs have shapes that do not fit: {listed}") from None


def _product(node: Node, shape: Array) -> int:
    sizes: list[int] = shape.reshape(-1).tolist()
    if shape.dtype.kind != "i" or len(sizes) > 32 or min(sizes, default=0) < 0:
        raise bad_shape(node, f"cannot make the shape {sizes[:32]}")
    return math.prod(sizes)


def _range_length(node: Node, inputs: Inputs) -> int:
    if len(inputs) != 3 or any(each is None or each.size != 1 for each in inputs):
        raise bad_shape(node, "needs a start, a limit and a step")
    start, limit, step = (float(each.item()) for each in inputs if each is not None)
    if step == 0 or not all(map(math.isfinite, (start, limit, step))):
        raise bad_shape(node, f"cannot count from {start:g} to {limit:g} by {step:g}")
    return max(0, math.ceil((limit - start) / step))


def _values(node: Node, inputs: Inputs) -> list[Array]:
    if node.op == "Constant":
        return [_constant(node)]
    if node.op in elementwise.OPS and node.op not in RESHAPING:
        return [elementwise.evaluate(node, inputs)]
    present = [each for each in inputs if each is not None]
    first, rest = present[0], inputs[1:]
    if node.op in RESHAPING:
        return [first.reshape(reshaped(node, first.shape, rest))]
    if node.op in REARRANGING:
        padding = rest[1] if len(rest) > 1 else None
        return rearranged(node, first, rest, 0.0 if padding is None else padding.item())
    if node.op in _MAKERS:
        return [_made(node, present)]
    return [_reduce(node, first, rest[0] if rest else None)]


def _made(node: Node, present: list[Array]) -> Array:
    first = present[0]
    if node.op == "ConstantOfShape":
        value = node.attributes.get("value", np.zeros(1, np.float32))
        return np.full(first.reshape(-1).tolist(), value.reshape(-1)[0], value.dtype)
    if node.op == "Range":
        start, limit, step = (each.item() for each in present)
        return np.arange(start, limit, step, dtype=first.dtype)
    if node.op == "Concat":
        return np.concatenate(present, axis(node, integer(node, "axis", 0), first.ndim))
    return np.matmul(*present) if node.op == "MatMul" else _gemm(node, present)


def _constant(node: Node) -> Array:
    if isinstance(value := node.attributes.get("value"), np.ndarray):
        return value
    for name, dtype in (("value_float", np.float32), ("value_int", np.int64)):
        if name in node.attributes:
            number = real(node, name, 0.0) if dtype is np.float32 else integer(node, name, 0)
            return np.array(number, dtype)
    for name, dtype in (("value_floats", np.float32), ("value_ints", np.int64)):
        if isinstance(node.attributes.get(name), tuple):
            return np.array(node.attributes[name], dtype)
    raise fault("unsupported-type", node.name, "is a constant that is not a tensor of numbers")


def _gemm(node: Node, present: list[Array]) -> Array:
    a, b = present[:2]
    a = a.T if integer(node, "transA", 0) else a
    b = b.T if integer(node, "transB", 0) else b
    product = a.dtype.type(real(node, "alpha", 1.0)) * (a @ b)
    return product + a.dtype.type(real(node, "beta", 1.0)) * present[2] if len(present) > 2 else product


def _reduce(node: Node, x: Array, given: Array | None) -> Array:
    chosen = axes(node, given, x.ndim)
    if not chosen:
        if integer(node, "noop_with_empty_axes", 0):
            return x
        chosen = None
    keep = bool(integer(node, "keepdims", 1))
    if node.op in _REDUCTIONS:
        return np.asarray(_REDUCTIONS[node.op](x, axis=chosen, keepdims=keep)).astype(x.dtype)
    power = _NORMS[node.op]
    total = np.sum(np.abs(x) if power == 1 else np.square(x), axis=chosen, keepdims=keep)
    return np.asarray(np.sqrt(total) if power == 2 else total).astype(x.dtype)
