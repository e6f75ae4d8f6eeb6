"""How ONNX ops act on a tensor that holds all time steps along one axis: which op each step sees, and where time goes.

An op may be applied step by step if it never mixes values of different steps: then it is the same op on slices of
size 1 along the time axis.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from snncc.arrays import Array, Shape, frozen
from snncc.diagnostics import CompileError, fault
from snncc.frontends.onnx import elementwise
from snncc.frontends.onnx.attributes import axes, axis, bad_shape, integer, integers
from snncc.frontends.onnx.rearranging import RESHAPING, reshaped
from snncc.frontends.onnx.region import Node

_BATCHED = frozenset({"Conv", "BatchNormalization", "AveragePool", "LpPool", "MaxPool", "GlobalAveragePool"})
_MAPS = frozenset({*_BATCHED, "DepthToSpace", "SpaceToDepth"})  # their first axis is the batch


@dataclass(frozen=True, eq=False)
class Values:
    """What an op reads: `time` is the axis of the steps, None for a tensor that has none; `constant` its value."""

    shape: Shape
    time: int | None = None
    constant: Array | None = None


@dataclass(frozen=True, eq=False)
class EachStep:
    """The op that every step computes, the constants that it reads in place of the file's, and where time is then."""

    node: Node
    time: int
    constants: Mapping[str, Array] = field(default_factory=dict[str, Array])


def each_step(node: Node, inputs: Sequence[Values]) -> EachStep:
    """The op of one step; raises CompileError (`mixes-steps`) if it computes with several steps at once."""
    if node.op in RESHAPING:
        return _reshaped(node, inputs)
    if node.op in elementwise.OPS:
        return _elementwise(node, inputs)
    if (rule := _RULES.get(node.op)) is None and node.op not in _MAPS:
        raise mixes_steps(node)
    if any(each.time is not None for each in inputs[1:]) and node.op not in ("MatMul", "Gemm", "Concat"):
        raise mixes_steps(node)
    if rule is None:
        if inputs[0].time != 0:
            raise mixes_steps(node)
        return EachStep(node, 0)
    return rule(node, inputs)


def mixes_steps(node: Node, how: str = "computes with several time steps at once") -> CompileError:
    hint = "let each step depend on the steps before it through neurons only"
    return fault("mixes-steps", node.name, f"{node.op} {how}", hint)


def _time(node: Node, values: Values) -> int:
    if values.time is None:
        raise mixes_steps(node)
    return values.time


def _reshaped(node: Node, inputs: Sequence[Values]) -> EachStep:
    """Any op that keeps all values in their order, as a Reshape to sizes of its own."""
    time, shape = _time(node, inputs[0]), inputs[0].shape
    if any(each.constant is None for each in inputs[1:] if each.shape):
        raise fault("data-dependent-shape", node.name, f"{node.op} whose shape depends on the data", "fix all shapes")
    out = reshaped(node, shape, [each.constant for each in inputs[1:]])
    inner = math.prod(shape[time + 1 :])
    places = [i for i, size in enumerate(out) if size == shape[time] and math.prod(out[i + 1 :]) == inner]
    if not places:
        raise mixes_steps(node, f"joins the time axis with others: {shape} becomes {out}")
    sizes = (*out[: places[0]], 1, *out[places[0] + 1 :])
    wanted = f"{node.outputs[0]}#shape"
    each = Node("Reshape", node.name, (node.inputs[0], wanted), node.outputs[:1], {})
    return EachStep(each, places[0], {wanted: frozen(np.array(sizes, np.int64))})


def _elementwise(node: Node, inputs: Sequence[Values]) -> EachStep:
    present = [each for name, each in zip(node.inputs, inputs, strict=True) if name]
    from_end = {len(each.shape) - each.time for each in present if each.time is not None}
    if len(from_end) != 1:
        raise mixes_steps(node)
    (back,) = from_end
    rank = max(len(each.shape) for each in present)
    renamed: dict[str, str] = {}
    constants: dict[str, Array] = {}
    for name, each in zip(node.inputs, inputs, strict=True):
        if not name or each.time is not None or len(each.shape) < back or each.shape[-back] == 1:
            continue
        renamed[name] = f"{node.outputs[0]}#{name}"
        constants[renamed[name]] = _same_every_step(node, name, each, len(each.shape) - back)
    names = tuple(renamed.get(name, name) for name in node.inputs)
    return EachStep(replace(node, inputs=names), rank - back, constants)


def _same_every_step(node: Node, name: str, values: Values, along: int) -> Array:
    """The one slice of a constant that is the same at every step."""
    if values.constant is None:
        raise mixes_steps(node)
    first = values.constant.take([0], along)
    if not np.array_equal(values.constant, np.broadcast_to(first, values.shape)):
        message = f"{name} differs from step to step"
        raise fault("changing-parameter", node.name, message, "a neuron's parameters must be the same at every step")
    return frozen(first)


def _gemm(node: Node, inputs: Sequence[Values]) -> EachStep:
    first, *rest = inputs
    added = rest[1] if len(rest) > 1 else None
    alone = rest[0].time is None and (added is None or added.time in (0, None))
    rows = added is not None and added.time is None and len(added.shape) == 2 and added.shape[0] != 1
    if first.time != 0 or integer(node, "transA", 0) or not alone or rows:
        raise mixes_steps(node)
    return EachStep(node, 0)


def _matmul(node: Node, inputs: Sequence[Values]) -> EachStep:
    left, right = inputs
    if left.time is not None and right.time is None and len(right.shape) <= 2 and left.time < len(left.shape) - 1:
        return EachStep(node, left.time)
    if right.time is not None and left.time is None and len(left.shape) == 2 and right.time != len(right.shape) - 2:
        return EachStep(node, right.time)
    raise mixes_steps(node)


def _transpose(node: Node, inputs: Sequence[Values]) -> EachStep:
    rank = len(inputs[0].shape)
    order = integers(node, "perm", tuple(reversed(range(rank)))) or ()
    if sorted(order) != list(range(rank)):
        raise bad_shape(node, f"cannot move axes by {order}")
    return EachStep(node, order.index(_time(node, inputs[0])))


def _reduction(node: Node, inputs: Sequence[Values]) -> EachStep:
    time, rank = _time(node, inputs[0]), len(inputs[0].shape)
    chosen = axes(node, inputs[1].constant if len(inputs) > 1 else None, rank)
    if chosen is None and integer(node, "noop_with_empty_axes", 0):
        chosen = ()
    if chosen is None or time in chosen:
        raise mixes_steps(node)
    gone = 0 if integer(node, "keepdims", 1) else sum(each < time for each in chosen)
    return EachStep(node, time - gone)


def _along_axis(node: Node, inputs: Sequence[Values]) -> EachStep:
    """Gather, Split, Concat on another axis than time."""
    time, rank = _time(node, inputs[0]), len(inputs[0].shape)
    where = axis(node, integer(node, "axis", 0), rank)
    if where == time or any(each.time != time for each in inputs if node.op == "Concat"):
        raise mixes_steps(node)
    more = len(inputs[1].shape) - 1 if node.op == "Gather" else 0
    return EachStep(node, time + more if where < time else time)


def _slice(node: Node, inputs: Sequence[Values]) -> EachStep:
    """A Slice on other axes; on the time axis it must keep everything."""
    time, rank = _time(node, inputs[0]), len(inputs[0].shape)
    _, kept = sliced(node, inputs)
    if kept is None:
        raise mixes_steps(node)
    starts, ends, where, strides = kept
    names = tuple(f"{node.outputs[0]}#{what}" for what in ("starts", "ends", "axes", "steps"))
    arrays = dict(zip(names, (np.array(each, np.int64) for each in (starts, ends, where, strides)), strict=True))
    if any(axis(node, each, rank) == time for each in where):
        raise mixes_steps(node)
    if not where:
        return EachStep(Node("Identity", node.name, node.inputs[:1], node.outputs, {}), time)
    return EachStep(replace(node, inputs=(node.inputs[0], *names)), time, arrays)


Bounds = tuple[list[int], list[int], list[int], list[int]]


def sliced(node: Node, inputs: Sequence[Values]) -> tuple[Array, Bounds | None]:
    """Which steps a Slice keeps, in order, and its bounds on all other axes; None where they are not constant."""
    shape, time = inputs[0].shape, inputs[0].time or 0
    lists = [None if not each.shape else each.constant for each in inputs[1:]]
    if len(lists) < 2 or any(each is None for each in lists):
        return np.arange(shape[time]), None
    starts, ends, *rest = [each.reshape(-1).tolist() for each in lists if each is not None]
    where = rest[0] if rest else list(range(len(starts)))
    strides = rest[1] if len(rest) > 1 else [1] * len(starts)
    if not len(starts) == len(ends) == len(where) == len(strides) or 0 in strides:
        raise bad_shape(node, "needs as many starts, ends, axes and nonzero steps")
    kept, others = np.arange(shape[time]), ([], [], [], [])
    for entry in zip(starts, ends, where, strides, strict=True):
        if axis(node, entry[2], len(shape)) == time:
            kept = kept[slice(entry[0], _end(entry[1], entry[3], shape[time]), entry[3])]
        else:
            for values, value in zip(others, entry, strict=True):
                values.append(value)
    return kept, others


def _end(end: int, stride: int, size: int) -> int | None:
    """ONNX's end in Python's terms: below the first place means to run through it."""
    return None if stride < 0 and end < -size else end


_RULES: Mapping[str, Callable[[Node, Sequence[Values]], EachStep]] = {
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Transpose": _transpose,
    "Slice": _slice,
    "Gather": _along_axis,
    "Split": _along_axis,
    "Concat": _along_axis,
    "ReduceSum": _reduction,
    "ReduceMean": _reduction,
    "ReduceMax": _reduction,
}
