"""Layers as nodes of NIR, and why some have none.

Neurons get equations of which Euler steps of dt are the neuron's own steps; what the equations leave open stands beside
them as metadata, in the words of `styles.Style`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from snncc.arrays import Array, Floats, Shape
from snncc.frontends.nir.stored import OURS, Stored
from snncc.frontends.nir.styles import Style
from snncc.layers import (
    Affine,
    Conv2d,
    HardReset,
    Input,
    Layer,
    Linear,
    Neuron,
    Output,
    Rearrange,
    Relu,
    Scale,
    SoftReset,
    SumPool2d,
)
from snncc.linear import Dense

_WIDEST = 1 << 24  # weights of a matrix that stands for something else
_ULPS = 2  # how far a time constant is from dt / (1 - decay) at most
_BASE = Style("euler", "euler", "euler", "euler")


class InexpressibleError(Exception):
    """NIR has no node for a layer; each of the arguments is a reason and a way out."""


@dataclass(frozen=True, eq=False)
class Expressed:
    """The nodes of a layer, one behind the other, each with the end of its name; and the shape of what they give."""

    nodes: tuple[tuple[str, Stored], ...]
    shape: Shape


def expressed(op: Layer, shape: Shape, dt: float) -> Expressed:
    """A layer that reads values of `shape`, as NIR counts axes. Raises InexpressibleError."""
    if isinstance(op, (Input, Output)):
        metadata = {f"{OURS}decoder": op.decoder} if isinstance(op, Output) and op.decoder else {}
        own = op.shape if isinstance(op, Input) else shape
        return _one(Stored(type(op).__name__, {"shape": np.array(own, np.int64)}, metadata), own)
    if isinstance(op, Neuron):
        return _neuron(op, shape, dt)
    if isinstance(op, (Scale, Rearrange)):
        return _scale(op, shape) if isinstance(op, Scale) else _rearranged(op, shape)
    if isinstance(op, (Conv2d, SumPool2d)):
        return _convolution(op, shape) if isinstance(op, Conv2d) else _pool(op, shape)
    if isinstance(op, Relu):
        raise InexpressibleError(("is a ReLU, which NIR has not", "give it spikes first: snncc compile --convert rate"))
    return _affine(op, shape)


def _one(node: Stored, shape: Shape) -> Expressed:
    return Expressed((("", node),), shape)


def scale(factor: Array | float, shape: Shape) -> Stored:
    """Each value times its factor."""
    return Stored("Scale", {"scale": np.broadcast_to(np.asarray(factor, np.float64), shape)})


def delay(steps: int, shape: Shape, dt: float) -> Stored:
    return Stored("Delay", {"delay": np.full(shape, steps * dt)})


def _flattened(shape: Shape) -> tuple[tuple[str, Stored], ...]:
    """What makes one axis of several."""
    if len(shape) == 1:
        return ()
    values = {"start_dim": np.array(0), "end_dim": np.array(-1), "input_type": np.array(shape, np.int64)}
    return (("flat", Stored("Flatten", values)),)


def _affine(op: Affine | Linear, shape: Shape) -> Expressed:
    if isinstance(op, Linear):
        if not isinstance(op.map, Dense):
            raise InexpressibleError(("is a sparse map, which NIR has not", "convert the model as it was trained"))
        op = Affine(op.map.weight, op.shape)
    values: dict[str, Array | str] = {"weight": op.weight}
    if op.bias is not None:
        values["bias"] = op.bias
    node = Stored("Linear" if op.bias is None else "Affine", values)
    return Expressed((*_flattened(shape), ("", node)), (len(op.weight),))


def _convolution(op: Conv2d, shape: Shape) -> Expressed:
    """A Conv1d where the values have one axis besides channels."""
    top, left, bottom, right = op.padding
    axes = len(shape) - 1
    if (top, left) != (bottom, right):
        raise InexpressibleError(_PADDED)
    if shape != op.in_shape and not (axes == 1 and op.in_shape == (shape[0], 1, shape[1]) and op.weight.shape[2] == 1):
        raise InexpressibleError(_axes(shape, op.in_shape))
    bias = np.zeros(len(op.weight), op.weight.dtype) if op.bias is None else op.bias
    if axes == 1:
        values = {"weight": op.weight[:, :, 0], "input_shape": np.array(shape[1]), "stride": np.array(op.stride[1])}
        values |= {"padding": np.array(left), "dilation": np.array(op.dilation[1])}
    else:
        values = {"weight": op.weight, "input_shape": np.array(shape[1:]), "stride": np.array(op.stride)}
        values |= {"padding": np.array((top, left)), "dilation": np.array(op.dilation)}
    node = Stored(f"Conv{axes}d", {**values, "groups": np.array(op.groups), "bias": bias})
    return _one(node, (op.shape[0], *op.shape[-axes:]))


def _pool(op: SumPool2d, shape: Shape) -> Expressed:
    top, left, bottom, right = op.padding
    if (top, left) != (bottom, right):
        raise InexpressibleError(_PADDED)
    if shape != op.in_shape:
        raise InexpressibleError(_axes(shape, op.in_shape))
    values = {"kernel_size": np.array(op.kernel), "stride": np.array(op.stride), "padding": np.array((top, left))}
    mean = op.scale == 1.0 / math.prod(op.kernel) and op.scale != 1
    pool = ("", Stored("AvgPool2d" if mean else "SumPool2d", values))
    more = () if mean or op.scale == 1 else (("scale", scale(op.scale, op.shape)),)
    return Expressed((pool, *more), op.shape)


_PADDED = ("pads one side more than the other", "pad both sides alike")


def _axes(shape: Shape, wanted: Shape) -> tuple[str, str]:
    message = f"reads {_by(shape)} values as {_by(wanted)}; NIR has no node that splits an axis"
    return message, "let the model's input have the axes of the first layer"


def _scale(op: Scale, shape: Shape) -> Expressed:
    """With a shift, NIR needs weights: a matrix, or a convolution with a window of one value."""
    if not op.shift.any():
        return _one(scale(np.broadcast_to(op.scale, op.shape).reshape(shape), shape), shape)
    return _one(diagonal(*(np.broadcast_to(each, op.shape).reshape(shape) for each in (op.scale, op.shift))), shape)


def diagonal(factor: Array, shift: Array) -> Stored:
    """Each value times its factor and plus its shift, both of one shape. Raises InexpressibleError."""
    shape = factor.shape
    if len(shape) == 1 and shape[0] ** 2 <= _WIDEST:
        return Stored("Affine", {"weight": np.diag(factor), "bias": shift})
    per_channel = [each.reshape(shape[0], -1) for each in (factor, shift)]
    if len(shape) != 3 or any((each != each[:, :1]).any() for each in per_channel):
        reason = f"shifts each of {_by(shape)} values by its own number, and NIR shifts whole channels"
        raise InexpressibleError((reason, "put the shift into the bias of the layer before it"))
    one, other = (each[:, 0] for each in per_channel)
    plain = {"stride": np.array((1, 1)), "padding": np.array((0, 0)), "dilation": np.array((1, 1))}
    values = {"weight": np.diag(one)[:, :, None, None], "bias": other, "groups": np.array(1), **plain}
    return Stored("Conv2d", {**values, "input_shape": np.array(shape[1:])})  # nir 1.0.8 takes groups for channels


def _rearranged(op: Rearrange, shape: Shape) -> Expressed:
    """A flattening, or a matrix of zeros and ones."""
    if op.index is None and op.shape == shape:
        return _one(scale(1.0, shape), shape)
    if op.index is None and len(op.shape) == 1:
        return Expressed((("", _flattened(shape)[0][1]),), op.shape)
    count = math.prod(op.shape)
    if op.index is None or len(op.shape) > 1:
        raise InexpressibleError(_axes(shape, op.shape))
    if count * math.prod(shape) > _WIDEST:
        reason = f"rearranges {math.prod(shape):,} values, for which NIR needs a matrix"
        raise InexpressibleError(
            (reason, f"rearrange before the first layer; matrices have {_WIDEST:,} weights at most")
        )
    index = op.index.reshape(-1)
    weight = np.zeros((count, math.prod(shape)), np.float32)
    weight[np.arange(count)[index >= 0], index[index >= 0]] = 1
    return Expressed((*_flattened(shape), ("", Stored("Linear", {"weight": weight}))), op.shape)


def _neuron(op: Neuron, shape: Shape, dt: float) -> Expressed:
    """One node; or an integrator and a Threshold for a neuron without a reset; a bias of an IF stands before it."""
    style = replace(_BASE, fires="at" if op.inclusive else "above", spikes=op.max_spikes)
    perfect = bool((op.decay == 1).all())
    reasons = [*_reasons(op, perfect)]
    if op.minimum is not None:
        if perfect and op.threshold is not None and op.reset and _same(op.minimum, -op.threshold):
            style = replace(style, floor="threshold")
        else:
            reasons.append(("has a lower bound of its membrane", "NIR's IF can have one at -v_threshold"))
    if reasons:
        raise InexpressibleError(*reasons)
    values = _integrator(op, dt, perfect)
    fires = op.threshold is not None and op.reset is not None
    if fires:
        assert op.threshold is not None
        assert op.reset is not None
        late = op.reset.delay
        style = replace(style, reset="value" if isinstance(op.reset, HardReset) else "subtract", reset_delay=late)
        low = op.reset.value if isinstance(op.reset, HardReset) else op.threshold - op.reset.amount
        values |= {"v_threshold": op.threshold, "v_reset": low}
    style = _started(op, values, style)
    stem = "I" if perfect else "CubaLI" if op.current else "LI"
    kind = stem + "F" * fires
    node = Stored(kind, {key: _spread(each, op.shape, shape) for key, each in values.items()}, _kept(style))
    nodes = [("", node)]
    if perfect and op.bias.any():
        bias = _spread(op.bias, op.shape, shape)
        nodes.insert(0, ("bias", diagonal(np.ones(shape), bias)))
    if op.threshold is not None and not fires:
        values = {"threshold": _spread(op.threshold, op.shape, shape)}
        nodes.append(("threshold", Stored("Threshold", values, _kept(style))))
    return Expressed(tuple(nodes), shape)


def _kept(style: Style) -> dict[str, Array | str]:
    return {f"{OURS}style": style.text()}


def _same(one: Array, other: Array) -> bool:
    return bool(np.all(one == other))


def _spread(value: Array, own: Shape, shape: Shape) -> Floats:
    return np.broadcast_to(np.asarray(value, np.float64), own).reshape(shape)


def _reasons(op: Neuron, perfect: bool) -> Iterator[tuple[str, str]]:
    """What no equation of NIR's has."""
    if isinstance(op.reset, SoftReset) and op.reset.adaptive:
        yield "resets by a threshold that adapts", "NIR has no node for that"
    if op.adapt:
        yield "has a threshold that adapts", "NIR has no node for that"
    if op.refractory:
        yield f"rests after a spike, steps: {op.refractory}", "NIR has no node for that"
    if op.current and np.any(op.current.initial != 0):
        yield "starts with a synaptic current", "start it at 0"
    if not perfect and bool((op.decay == 1).any()):
        yield "has neurons with and without a leak", "give all of them a leak, or none"
    if op.current and (perfect or bool((op.current.decay == 1).any())):
        yield "has a synaptic current and no leak", "give both states a leak, or leave the current out"


def _integrator(op: Neuron, dt: float, perfect: bool) -> dict[str, Array]:
    """The parameters of the states; gains are 1, so r is tau / dt, and w_in likewise."""
    if perfect:
        return {"r": np.array(1.0 / dt)}
    tau = _time_constant(op.decay, dt)
    values = {"tau_mem" if op.current else "tau": tau, "r": tau / dt, "v_leak": op.bias / (1 - op.decay)}
    if op.current:
        slow = _time_constant(op.current.decay, dt)
        values |= {"tau_syn": slow, "w_in": slow / dt}
    return values


def _time_constant(decay: Array, dt: float) -> Floats:
    """tau of which an Euler step keeps exactly `decay`, where there is one, else the nearest."""
    wanted = np.asarray(decay, np.float64)
    start = np.asarray(dt / (1 - wanted))
    best = start
    for direction in (0.0, np.inf):
        tried = start
        for _ in range(_ULPS):
            tried = np.nextafter(tried, direction)
            nearer = np.abs(1 - dt / tried - wanted) < np.abs(1 - dt / best - wanted)
            best = np.where(nearer, tried, best)
    return np.maximum(best, dt)


def _started(op: Neuron, values: dict[str, Array], style: Style) -> Style:
    """The style with the state before the first step. Raises InexpressibleError."""
    if not np.any(op.initial != 0):
        return style
    if "v_leak" in values and _same(op.initial, values["v_leak"]):
        return replace(style, start="leak")
    if "v_reset" in values and _same(op.initial, values["v_reset"]):
        return replace(style, start="reset")
    raise InexpressibleError(("starts at another membrane than 0, v_leak or v_reset", "start it at 0"))


def _by(shape: Shape) -> str:
    return "×".join(map(str, shape)) or "1"
