"""Layers in words: what a person reads in tables and diagnostics, short enough for one line."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from snncc.arrays import Array
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
)
from snncc.linear import Conv, Dense, Lateral


def number(value: Array | float, digits: int = 6) -> str:
    """A number, or the range of those of a population."""
    low, high = float(np.min(value)) + 0.0, float(np.max(value)) + 0.0  # -0 is shown as 0
    return f"{low:.{digits}g}" if low == high else f"{low:.{digits}g}..{high:.{digits}g}"


def count_of(things: int, name: str) -> str:
    """A number of things: 1 step, 1,200 steps."""
    return f"{things:,} {name}{'' if things == 1 else 's'}"


def sentence(neuron: Neuron) -> str:
    """The equations of a neuron on one line."""
    parts: list[str] = []
    if neuron.current is not None:
        parts.append(f"i <- {number(neuron.current.decay)} i + x")
    bias = f" + {number(neuron.bias)}" if np.any(neuron.bias) else ""
    i = "x" if neuron.current is None else "i"
    parts.append(f"v <- {number(neuron.decay)} v + {i}{bias}".replace("+ -", "- "))
    if neuron.minimum is not None:
        parts.append(f"v <- max(v, {number(neuron.minimum)})")
    if neuron.threshold is not None:
        relation = ">=" if neuron.inclusive else ">"
        parts.append(f"s = v {relation} {number(neuron.threshold)}{' + a' if neuron.adapt else ''}")
    if neuron.max_spikes > 1:
        parts.append("several spikes a step")
    parts.append(_reset(neuron))
    return "; ".join(parts)


def _reset(neuron: Neuron) -> str:
    if neuron.reset is None:
        return "no reset"
    late = " a step later" if neuron.reset.delay else ""
    if isinstance(neuron.reset, SoftReset):
        amount = "the threshold" if neuron.reset.adaptive else number(neuron.reset.amount)
        return f"reset by {amount}{late}"
    assert isinstance(neuron.reset, HardReset)
    held = f", then {neuron.refractory} step{'s' * (neuron.refractory > 1)} of rest" if neuron.refractory else ""
    return f"reset to {number(neuron.reset.value)}{late}{held}"


def kind(op: Layer) -> str:
    """What a layer is called."""
    if not isinstance(op, Neuron):
        return type(op).__name__
    if op.threshold is None:
        return "leaky integrator"
    leak = "IF" if bool((op.decay == 1).all()) else "threshold" if not op.decay.any() else "LIF"
    return f"CUBA {leak} neuron" if op.current else f"{leak} neuron"


def details(op: Layer) -> str:
    """What there is to say of a layer besides its kind and shape."""
    if isinstance(op, Neuron):
        return sentence(op)
    if isinstance(op, Relu):
        return "" if op.ceiling is None else f"at most {op.ceiling:g}"
    return ", ".join(_details(op))


def _details(op: Layer) -> Iterator[str]:
    if isinstance(op, Input):
        yield "spikes" if op.events else "values"
    elif isinstance(op, Affine):
        yield f"{op.weight.shape[-1]:,}→{op.weight.shape[0]:,}"
    elif isinstance(op, Conv2d):
        yield from _convolution(op.weight.shape, op.groups, op.stride, op.padding, op.dilation)
    elif isinstance(op, Linear):
        yield from _map(op)
    elif isinstance(op, Scale):
        yield f"times {number(op.scale, 3)}"
        if op.shift.any():
            yield f"plus {number(op.shift, 3)}"
    elif isinstance(op, Output):
        yield op.value if op.value == "spikes" else f"membrane {op.when} the reset"
    elif not isinstance(op, (Neuron, Rearrange, Relu)):
        yield from _window("window", op.kernel, op.stride, op.padding)
        yield f"times {number(op.scale, 3)}"
    if isinstance(op, (Affine, Conv2d)) and op.bias is not None:
        yield f"bias {number(op.bias, 3)}"


def _map(op: Linear) -> Iterator[str]:
    if isinstance(op.map, Conv):
        conv = op.map
        yield from _convolution(conv.weight.shape, conv.groups, conv.stride, conv.padding, conv.dilation)
    elif isinstance(op.map, Lateral):
        yield f"lateral, {op.map.size:,} neurons"
    else:
        yield f"{'dense' if isinstance(op.map, Dense) else 'sparse'} {op.map.in_size:,}→{op.map.out_size:,}"


def _convolution(
    weight: tuple[int, ...],
    groups: int,
    stride: tuple[int, int],
    padding: tuple[int, int, int, int],
    dilation: tuple[int, int],
) -> Iterator[str]:
    yield f"{weight[1] * groups}→{weight[0]} channels"
    yield from _window("kernel", (weight[2], weight[3]), stride, padding)
    if dilation != (1, 1):
        yield f"dilation {_by(dilation)}"
    if groups > 1:
        yield f"{groups} groups"


def _window(
    what: str, kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int, int, int]
) -> Iterator[str]:
    yield f"{what} {_by(kernel)}"
    if stride != (1, 1):
        yield f"stride {_by(stride)}"
    if any(padding):
        yield f"padding {padding[0]}" if len(set(padding)) == 1 else f"padding {_by(padding)}"


def _by(sizes: tuple[int, ...]) -> str:
    return "×".join(map(str, sizes))
