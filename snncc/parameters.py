"""Checks one layer at a time: that its shapes agree and that its numbers make sense."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from snncc.arrays import Array, Shape
from snncc.layers import Affine, Conv2d, HardReset, Layer, Linear, Neuron, Rearrange, Scale, SumPool2d, size
from snncc.linear import Conv, malformed


def in_size(op: Layer) -> int | None:
    """How many values a layer reads; None if any number will do."""
    if isinstance(op, (Conv2d, SumPool2d)):
        return size(op.in_shape)
    if isinstance(op, Affine):
        return op.weight.shape[-1] if op.weight.ndim else None
    if isinstance(op, Linear):
        return op.map.in_size
    if isinstance(op, Rearrange) and op.index is not None:
        return None
    return size(op.shape)


def misfit(op: Layer) -> str | None:
    """Why the shapes of a layer do not agree with each other, or None if they do."""
    if not all(each > 0 for each in op.shape):
        return f"its shape {_by(op.shape)} is empty"
    if isinstance(op, Affine):
        return _affine_misfit(op)
    if isinstance(op, (Conv2d, SumPool2d)):
        return _conv_misfit(op)
    if isinstance(op, (Linear, Rearrange)):
        return _map_misfit(op)
    narrow = ((label, value) for label, value in parameters(op) if not _broadcasts(value.shape, op.shape))
    return next(
        (f"its {label} {_by(value.shape)} does not spread over {_by(op.shape)}" for label, value in narrow), None
    )


def _count_misfit(what: str, count: int, shape: Shape) -> str | None:
    return None if count == size(shape) else f"{what} {count:,} values for the shape {_by(shape)}"


def _map_misfit(op: Linear | Rearrange) -> str | None:
    if isinstance(op, Linear):
        return malformed(op.map) or _count_misfit("its map gives", op.map.out_size, op.shape)
    if op.index is None:
        return None
    negative = "it lists positions below -1" if op.index.min(initial=0) < -1 else None
    return _count_misfit("it lists", op.index.size, op.shape) or negative


def _affine_misfit(op: Affine) -> str | None:
    if op.weight.ndim != 2:
        return f"its weight has the shape {_by(op.weight.shape)}; two axes are needed"
    wrong = _count_misfit("its weight gives", len(op.weight), op.shape)
    return wrong or _bias_misfit(op.bias, len(op.weight))


def _conv_misfit(op: Conv2d | SumPool2d) -> str | None:
    if isinstance(op, Conv2d):
        conv = Conv(op.weight, op.in_shape, op.stride, op.padding, op.dilation, op.groups)
    elif len(op.in_shape) == 3:
        weight = np.broadcast_to(np.float64(op.scale), (op.in_shape[0], 1, *op.kernel))
        conv = Conv(weight, op.in_shape, op.stride, op.padding, groups=op.in_shape[0])
    else:
        return f"its input has the shape {_by(op.in_shape)}; channels, height and width are needed"
    wrong = malformed(conv)
    if wrong is None and conv.out_shape != tuple(op.shape):
        return f"it gives {_by(conv.out_shape)}, not {_by(op.shape)}"
    return wrong or _bias_misfit(op.bias if isinstance(op, Conv2d) else None, conv.weight.shape[0])


def _bias_misfit(bias: Array | None, count: int) -> str | None:
    if bias is None or bias.shape == (count,):
        return None
    return f"its bias has the shape {_by(bias.shape)}; {count:,} values are needed"


def _broadcasts(shape: Shape, target: Shape) -> bool:
    if len(shape) > len(target):
        return False
    return all(one in (1, other) for one, other in zip(reversed(shape), reversed(target), strict=False))


def _by(shape: Shape) -> str:
    return " x ".join(map(str, shape)) or "one number"


def parameters(op: Layer) -> Iterator[tuple[str, Array]]:
    """Every array of a layer, with what to call it."""
    if isinstance(op, (Affine, Conv2d)):
        yield "weight", op.weight
        if op.bias is not None:
            yield "bias", op.bias
    elif isinstance(op, Linear):
        yield "weight", op.map.weight
    elif isinstance(op, Scale):
        yield from (("scale", op.scale), ("shift", op.shift))
    elif isinstance(op, SumPool2d):
        yield "scale", np.asarray(op.scale)
    elif isinstance(op, Neuron):
        yield from _neuron_parameters(op)


def _neuron_parameters(op: Neuron) -> Iterator[tuple[str, Array]]:
    yield from (("decay", op.decay), ("bias", op.bias), ("initial state", op.initial))
    if op.threshold is not None:
        yield "threshold", op.threshold
    if op.minimum is not None:
        yield "minimum", op.minimum
    if op.current:
        yield from (("current decay", op.current.decay), ("initial current", op.current.initial))
    if op.reset:
        reset = op.reset
        yield ("reset value", reset.value) if isinstance(reset, HardReset) else ("reset amount", reset.amount)
    if op.adapt:
        adapt = op.adapt
        yield from (("adaptation decay", adapt.decay), ("adaptation jump", adapt.jump))
        yield "initial adaptation", adapt.initial


def senseless(op: Layer) -> Iterator[tuple[str, str, str]]:
    """Rule, message and hint for every parameter that no integer network could have."""
    if any(value.size == 0 for _, value in parameters(op)):
        return  # a misfit
    for label, value in parameters(op):
        bad = value.size - int(np.count_nonzero(np.isfinite(value)))
        if bad:
            message = f"{bad:,} of {value.size:,} values of its {label} are NaN or infinite"
            yield "not-finite", message, "the training has diverged, or the file is damaged"
        elif label.endswith("decay") and (value.min() < 0 or value.max() > 1):
            worst = float(value.min() if value.min() < 0 else value.max())
            message = f"its {label} is {worst:g}; a state keeps 0 to 1 of itself in a step"
            yield "decay-out-of-range", message, "clamp it while training"
    if isinstance(op, Neuron):
        yield from _impossible(op)


def _impossible(op: Neuron) -> Iterator[tuple[str, str, str]]:
    """Options that do not go together."""
    if op.threshold is not None and op.max_spikes > 1:
        adapt = op.adapt
        least = float(op.threshold.min() + (0 if adapt is None else min(0, adapt.jump.min(), adapt.initial.min())))
        if least <= 0:
            message = f"its threshold can be {least:g}; a neuron with several spikes a step divides by it"
            yield "threshold-not-positive", message, "train with a positive threshold, or with one spike a step"
    if op.refractory and op.reset and op.reset.delay:
        message = "it resets a step after its spike, in the middle of its refractory time"
        yield "reset-while-refractory", message, "train with a reset in the step of the spike"
