"""Elementwise ONNX ops in numpy, to fold constants and to run the regions that become neurons.

Each op keeps ONNX's own types: a float32 input gives a float32 result, integer division truncates, a cast to bool
asks whether the value differs from zero. Broadcasting is numpy's, which is ONNX's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import reduce

import numpy as np

from snncc.arrays import Array
from snncc.diagnostics import fault
from snncc.frontends.onnx.region import Node

# ONNX's TensorProto.DataType numbers, for the types that numpy has as well.
_DTYPES: dict[int, type[np.generic]] = {
    1: np.float32,
    2: np.uint8,
    3: np.int8,
    4: np.uint16,
    5: np.int16,
    6: np.int32,
    7: np.int64,
    9: np.bool_,
    10: np.float16,
    11: np.float64,
    12: np.uint32,
    13: np.uint64,
}

# They change shapes only: inside a region, where count and order of the values stay, the result is the first input.
SHAPE_OPS = frozenset(
    {"Concat", "Expand", "Flatten", "Gather", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum"}
    | {"Reshape", "Slice", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze"}
)


def _like(value: float, x: Array) -> Array:
    """A constant in the type of `x`, so that no result is promoted."""
    return np.asarray(value, dtype=x.dtype)


def _divide(a: Array, b: Array) -> Array:
    if np.issubdtype(a.dtype, np.integer):
        quotient = np.floor_divide(a, b)
        return quotient + ((quotient < 0) & (quotient * b != a)).astype(a.dtype)  # toward zero, as in C
    return np.divide(a, b)


def _reciprocal(x: Array) -> Array:
    return np.divide(_like(1, x), x)


def _power(a: Array, b: Array) -> Array:
    return np.power(a, b).astype(a.dtype, copy=False)


def _convert(x: Array, dtype: np.dtype[np.generic] | type[np.generic]) -> Array:
    return x != 0 if np.dtype(dtype) == np.bool_ else x.astype(dtype)


def _erf(x: Array) -> Array:
    return np.vectorize(math.erf, otypes=[np.float64])(x).astype(x.dtype)


def _sigmoid(x: Array) -> Array:
    small = np.exp(-np.abs(x))  # never overflows
    return np.where(x >= 0, _like(1, x), small) / (_like(1, x) + small)


def _softplus(x: Array) -> Array:
    return np.log1p(np.exp(-np.abs(x))) + np.maximum(x, _like(0, x))


def _mean(*inputs: Array) -> Array:
    return reduce(np.add, inputs) / _like(len(inputs), inputs[0])


_PLAIN: dict[str, Callable[..., Array]] = {
    "Abs": np.abs,
    "Add": np.add,
    "And": np.logical_and,
    "Ceil": np.ceil,
    "Div": _divide,
    "Equal": np.equal,
    "Erf": _erf,
    "Exp": np.exp,
    "Floor": np.floor,
    "Greater": np.greater,
    "GreaterOrEqual": np.greater_equal,
    "HardSwish": lambda x: x * np.clip(x / _like(6, x) + _like(0.5, x), _like(0, x), _like(1, x)),
    "Identity": lambda x: x,
    "IsNaN": np.isnan,
    "Less": np.less,
    "LessOrEqual": np.less_equal,
    "Log": np.log,
    "Max": lambda *inputs: reduce(np.maximum, inputs),
    "Mean": _mean,
    "Min": lambda *inputs: reduce(np.minimum, inputs),
    "Mul": np.multiply,
    "Neg": np.negative,
    "Not": np.logical_not,
    "Or": np.logical_or,
    "PRelu": lambda x, slope: np.where(x < 0, slope * x, x),
    "Pow": _power,
    "Reciprocal": _reciprocal,
    "Relu": lambda x: np.maximum(x, _like(0, x)),
    "Round": np.rint,
    "Sigmoid": _sigmoid,
    "Sign": np.sign,
    "Softplus": _softplus,
    "Softsign": lambda x: x / (_like(1, x) + np.abs(x)),
    "Sqrt": np.sqrt,
    "Sub": np.subtract,
    "Sum": lambda *inputs: reduce(np.add, inputs),
    "Tanh": np.tanh,
    "Where": np.where,
    "Xor": np.logical_xor,
}


def number(node: Node, name: str, default: float) -> float:
    """A numeric attribute, or ONNX's default for it."""
    return float(node.attributes.get(name, default))


def target_type(node: Node) -> np.dtype[np.generic]:
    """The type that a Cast gives; raises CompileError (`unsupported-type`) where numpy has none."""
    code = int(node.attributes.get("to", 1))
    if code not in _DTYPES:
        raise fault("unsupported-type", node.name, f"casts to ONNX data type {code}, which snncc does not compute with")
    return np.dtype(_DTYPES[code])


def _cast(node: Node, x: Array) -> Array:
    return _convert(x, target_type(node))


def _cast_like(node: Node, x: Array, other: Array) -> Array:  # noqa: ARG001
    return _convert(x, other.dtype)


def clip_bounds(node: Node, *bounds: Array | None) -> tuple[Array | None, Array | None]:
    """Clip's limits: inputs since opset 11, attributes before; None where there is none."""
    low, high = (*bounds, None, None)[:2]
    if low is None and "min" in node.attributes:
        low = np.asarray(node.attributes["min"])
    if high is None and "max" in node.attributes:
        high = np.asarray(node.attributes["max"])
    return low, high


def _clip(node: Node, x: Array, *bounds: Array | None) -> Array:
    low, high = clip_bounds(node, *bounds)
    above = x if low is None else np.maximum(x, low.astype(x.dtype))
    return above if high is None else np.minimum(above, high.astype(x.dtype))


def _dropout(node: Node, x: Array, ratio: Array | None = None, training: Array | None = None) -> Array:
    if training is not None and bool(np.any(training)) and (ratio is None or bool(np.any(ratio))):
        raise fault("random-op", node.name, "Dropout in training mode is random", "export the model after model.eval()")
    return x


def _modulo(node: Node, a: Array, b: Array) -> Array:
    return np.fmod(a, b) if node.attributes.get("fmod", 0) else np.mod(a, b)


def _leaky_relu(node: Node, x: Array) -> Array:
    return np.where(x < 0, _like(number(node, "alpha", 0.01), x) * x, x)


def _elu(node: Node, x: Array) -> Array:
    return np.where(x < 0, _like(number(node, "alpha", 1.0), x) * np.expm1(np.minimum(x, _like(0, x))), x)


def _thresholded_relu(node: Node, x: Array) -> Array:
    return np.where(x > _like(number(node, "alpha", 1.0), x), x, _like(0, x))


def _hard_sigmoid(node: Node, x: Array) -> Array:
    line = _like(number(node, "alpha", 0.2), x) * x + _like(number(node, "beta", 0.5), x)
    return np.clip(line, _like(0, x), _like(1, x))


def _is_inf(node: Node, x: Array) -> Array:
    positive = np.isposinf(x) & bool(node.attributes.get("detect_positive", 1))
    return positive | (np.isneginf(x) & bool(node.attributes.get("detect_negative", 1)))


_WITH_ATTRIBUTES: dict[str, Callable[..., Array]] = {
    "Cast": _cast,
    "CastLike": _cast_like,
    "Clip": _clip,
    "Dropout": _dropout,
    "Elu": _elu,
    "HardSigmoid": _hard_sigmoid,
    "IsInf": _is_inf,
    "LeakyRelu": _leaky_relu,
    "Mod": _modulo,
    "ThresholdedRelu": _thresholded_relu,
}

OPS = frozenset(_PLAIN) | frozenset(_WITH_ATTRIBUTES)


def evaluate(node: Node, inputs: Sequence[Array | None]) -> Array:
    """The first output of an op in `OPS`; an absent optional input is None. Infinities and NaN pass silently."""
    with np.errstate(all="ignore"):
        if node.op in _PLAIN:
            return np.asarray(_PLAIN[node.op](*inputs))
        return np.asarray(_WITH_ATTRIBUTES[node.op](node, *inputs))
