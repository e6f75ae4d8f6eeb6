"""The nodes of NIR without a state, as layers."""

from __future__ import annotations

import math

import numpy as np

from snncc import layers
from snncc.arrays import Array, Shape
from snncc.frontends.nir.stored import AGAIN, Stored, wrong
from snncc.frontends.nir.values import MOST_NEURONS, axis, fitted, integers, parameters, shape_of
from snncc.layers import Layer
from snncc.linear import Conv, malformed

_CONV = ("input_shape", "weight", "bias", "stride", "padding", "dilation", "groups")
_POOL = ("kernel_size", "stride", "padding")
KEYS = {
    "Affine": ("weight", "bias"),
    "Linear": ("weight",),
    "Scale": ("scale",),
    "Conv1d": _CONV,
    "Conv2d": _CONV,
    "SumPool2d": _POOL,
    "AvgPool2d": _POOL,
    "Flatten": ("input_type", "start_dim", "end_dim"),
}
_WINDOW = 1 << 22  # values of all pooling windows at one position
_FOUR = tuple[int, int, int, int]


def layer(name: str, node: Stored, shape: Shape | None) -> Layer:
    """A node that reads values of `shape`, None where that is not known. Raises CompileError (`bad-nir`)."""
    if node.kind in ("Affine", "Linear"):
        return _affine(name, node)
    if node.kind == "Scale":
        found, shape = fitted(name, parameters(name, node, {"scale": None}), shape)
        return layers.Scale(shape, found["scale"])
    if node.kind == "Flatten":
        return _flatten(name, node, _known(name, shape or shape_of(name, node, "input_type")))
    if node.kind in ("Conv1d", "Conv2d"):
        return _convolution(name, node, shape)
    return _pool(name, node, _known(name, shape))


def _known(name: str, shape: Shape | None) -> Shape:
    if shape is None:
        raise wrong(name, "reads nothing that says the shape of its input", "join it to the network")
    return shape


def _affine(name: str, node: Stored) -> Layer:
    keys = {"weight": None, "bias": None} if node.kind == "Affine" else {"weight": None}
    found = parameters(name, node, keys)
    weight, bias = found["weight"], found.get("bias")
    if weight.ndim != 2:
        raise wrong(name, f"its weight has {weight.ndim} axes; read are two", "use one node for each matrix")
    if bias is not None and bias.size not in (1, len(weight)):
        raise wrong(name, f"has {bias.size:,} biases for {len(weight):,} outputs")
    own = None if bias is None or not bias.any() else _each(bias, len(weight))
    return layers.Affine(weight, (len(weight),), own)


def _each(bias: Array, count: int) -> Array:
    return np.broadcast_to(bias.reshape(-1), (count,))


def _flatten(name: str, node: Stored, shape: Shape) -> Layer:
    start, end = (axis(name, node, key, default) for key, default in (("start_dim", 1), ("end_dim", -1)))
    rank = len(shape)
    start, end = start + rank * (start < 0), end + rank * (end < 0)
    if not 0 <= start <= end < rank:
        message = f"flattens axes {start} to {end} of values of {rank} axes"
        raise wrong(name, message, "count the axes without that of the batch")
    return layers.Rearrange((*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :]))


def _convolution(name: str, node: Stored, shape: Shape | None) -> Layer:
    """A Conv1d is a Conv2d of height 1."""
    axes = 1 if node.kind == "Conv1d" else 2
    found = parameters(name, node, {"weight": None, "bias": 0.0})
    weight, bias = found["weight"], found["bias"]
    if weight.ndim != axes + 2:
        raise wrong(name, f"its weight has {weight.ndim} axes; a {node.kind} has {axes + 2}")
    if bias.size not in (1, len(weight)):
        raise wrong(name, f"has {bias.size:,} biases for {len(weight):,} channels")
    (groups,) = integers(name, node, "groups", 1, 1, 1)
    before = _before(name, node, shape, weight.shape[1] * groups, axes)
    stride, dilation = (integers(name, node, key, 1, 1, axes) for key in ("stride", "dilation"))
    padding = _padding(name, node, weight.shape[2:], stride, dilation)
    if axes == 1:
        weight, before = weight[:, :, None], (before[0], 1, before[1])
        stride, dilation, padding = (1, *stride), (1, *dilation), (0, padding[0], 0, padding[1])
    conv = Conv(weight, before, _pair(stride), _four(padding), _pair(dilation), groups)
    reason = malformed(conv)
    if reason:
        raise wrong(name, f"{reason}; its weight is {found['weight'].shape} and its input {before}")
    if math.prod(conv.out_shape) > MOST_NEURONS:
        raise wrong(name, f"gives {math.prod(conv.out_shape):,} values; read are {MOST_NEURONS:,}")
    own = _each(bias, len(weight)) if bias.any() else None
    return layers.Conv2d(weight, before, conv.out_shape, own, conv.stride, conv.padding, conv.dilation, groups)


def _before(name: str, node: Stored, shape: Shape | None, channels: int, axes: int) -> Shape:
    """The shape of the input: what the node states, if it reads as many values; else what it reads."""
    stated = shape_of(name, node, "input_shape")
    if stated is not None:
        full = (channels, *stated[-axes:])
        if len(full) == axes + 1 and (shape is None or math.prod(full) == math.prod(shape)):
            return full
        message = f"states an input of {_by(full)}, and reads {_by(shape or ())}"
        raise wrong(name, message, "write the file again: input_shape is what NIR keeps it for")
    known = _known(name, shape)
    if len(known) == axes + 2 and known[1] == 1 and axes == 1:  # of a Conv1d before it
        known = (known[0], known[2])
    if len(known) != axes + 1:
        message = f"reads {_by(known)}; a {node.kind} reads channels and {axes} {'axes' if axes > 1 else 'axis'}"
        raise wrong(name, message, "give the node its input_shape")
    return known


def _padding(name: str, node: Stored, kernel: Shape, stride: Shape, dilation: Shape) -> Shape:
    """Zeros before each axis, then after each."""
    word = node.values.get("padding", 0)
    if not isinstance(word, str):
        around = integers(name, node, "padding", 0, 0, len(kernel))
        return (*around, *around)
    if word == "valid":
        return (0,) * (2 * len(kernel))
    if word != "same":
        raise wrong(name, f"its padding is {word!r}; words are 'same' and 'valid'", AGAIN)
    if any(each != 1 for each in stride):
        hint = "give the padding in numbers: frameworks differ in what 'same' means with a stride"
        raise wrong(name, "has the padding 'same' and a stride", hint)
    both = [(width - 1) * gap for width, gap in zip(kernel, dilation, strict=True)]
    return (*(each // 2 for each in both), *(each - each // 2 for each in both))


def _pool(name: str, node: Stored, shape: Shape) -> Layer:
    if len(shape) != 3:
        raise wrong(name, f"reads {_by(shape)}; a {node.kind} reads channels, height and width")
    kernel = _pair(integers(name, node, "kernel_size", None, 1, 2))
    stride = _pair(integers(name, node, "stride", None, 1, 2))
    around = _pair(integers(name, node, "padding", 0, 0, 2))
    too_wide = any(2 * pad > width for pad, width in zip(around, kernel, strict=True))
    if too_wide or shape[0] * math.prod(kernel) > _WINDOW:
        message = f"has a window of {_by(kernel)} with a padding of {_by(around)}"
        raise wrong(name, message, "pad by half a window at most")
    padding = (*around, *around)
    conv = Conv(np.zeros((shape[0], 1, *kernel)), shape, stride, _four(padding), groups=shape[0])
    reason = malformed(conv)
    if reason:
        raise wrong(name, f"{reason}: a window of {_by(kernel)} on {_by(shape)}")
    scale = 1.0 if node.kind == "SumPool2d" else 1.0 / math.prod(kernel)
    return layers.SumPool2d(shape, conv.out_shape, kernel, stride, conv.padding, scale)


def _pair(found: tuple[int, ...]) -> tuple[int, int]:
    return found[0], found[1]


def _four(found: tuple[int, ...]) -> _FOUR:
    return found[0], found[1], found[2], found[3]


def _by(shape: Shape) -> str:
    return "×".join(map(str, shape))
