"""The layers of a `.net` file, each checked against the one before it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from snncc.arrays import Array, Shape
from snncc.diagnostics import CompileError, Diagnostic, check, fault
from snncc.frontends.lava_dl.stored import Values, bad, number, numbers, stored_layers, text
from snncc.linear import Conv, Dense, LinearMap, malformed

UNITY = 4096  # a decay of 4096 forgets at once
_MOST = 1 << 26  # neurons of a layer
_LARGEST = 1 << 31  # of a weight or a bias
_LONGEST = 1 << 12  # delay in steps
_FURTHEST = 1 << 16  # of a stride, a padding or a dilation
_KNOWN = ("input", "dense", "conv", "flatten")


@dataclass(frozen=True, eq=False)
class Part:
    """A layer of the file: `map` reads what the layer before sends, through axons with these delays."""

    name: str
    shape: Shape
    map: LinearMap | None
    gain: float
    bias: Array
    neuron: Mapping[str, int] | None
    delays: Array


@dataclass(frozen=True, eq=False)
class Reading:
    """What became of a layer of the file: no `part` and no `faults` where the layer before it gives no shape."""

    name: str
    kind: str
    part: Part | None = None
    faults: tuple[Diagnostic, ...] = ()


def read_parts(path: Path) -> tuple[Part, ...]:
    """The layers. Raises CompileError with the first fault of each layer that cannot be read."""
    found = readings(path)
    check(fault for each in found for fault in each.faults)
    return tuple(each.part for each in found if each.part is not None)


def readings(path: Path) -> tuple[Reading, ...]:
    """Each layer; one that cannot be read counts with the shape that it states, if it states one."""
    stored = stored_layers(path)
    found: list[Reading] = []
    shape: Shape | None = None
    for name, values in stored.items():
        kind = text(values, "type")
        if found and shape is None and kind in ("conv", "flatten"):
            found.append(Reading(name, kind))
            shape = _stated(name, values)
            continue
        try:
            part = _part(name, values, shape, last=len(found) == len(stored) - 1)
            found.append(Reading(name, kind, part))
            shape = part.shape
        except CompileError as error:
            found.append(Reading(name, kind, None, error.diagnostics))
            shape = _stated(name, values)
    return tuple(found)


def _stated(name: str, values: Values) -> Shape | None:
    try:
        return _shape(name, values)
    except CompileError:
        return None


def _part(name: str, values: Values, shape: Shape | None, *, last: bool) -> Part:
    kind = text(values, "type")
    if kind not in _KNOWN:
        message = f"is of type {kind or 'nothing'}; read are {', '.join(_KNOWN)}"
        raise fault("unsupported-layer", name, message, "export the network without it, or as ONNX")
    unread = {"weight_rec"} & set(values)
    if unread:
        raise fault("unsupported-layer", name, f"has {', '.join(sorted(unread))}, which is not read")
    if kind == "flatten":
        size = math.prod(_before(name, shape))
        return Part(name, (size,), None, 1.0, np.zeros(()), None, np.zeros(size, np.int64))
    own = _shape(name, values)
    linear, gain = None, 1.0
    if kind == "input":
        gains = numbers(name, values, "weight", 1.0)
        if gains.size != 1:
            raise bad(name, f"has {gains.size} weights; an input has one")
        gain = float(gains[0])
    else:
        linear = _dense(name, values, shape, own) if kind == "dense" else _conv(name, values, shape, own)
    delays = _delays(name, values, own)
    if last and delays.any():
        raise fault("unsupported-layer", name, "delays the network's output", "remove the last layer's delays")
    return Part(name, own, linear, gain, _bias(name, values, own), _neuron(name, values), delays)


def _bias(name: str, values: Values, own: Shape) -> Array:
    bias = numbers(name, values, "bias", 0.0).astype(np.float64)
    if bias.size not in {1, own[0]} or np.abs(bias).max(initial=0) > _LARGEST:
        raise bad(name, f"has {bias.size} biases for {own[0]} channels, or some that are no numbers")
    return bias.reshape(-1, *[1] * (len(own) - 1)) if bias.size > 1 else bias.reshape(())


def _delays(name: str, values: Values, own: Shape) -> Array:
    """Steps by which each neuron's spikes are late: one number, one a channel, or one a neuron."""
    delays, size = numbers(name, values, "delay", 0), math.prod(own)
    good = delays.size in {1, own[0], size} and (delays == np.rint(delays)).all()
    if not good or delays.min() < 0 or delays.max() > _LONGEST:
        raise bad(name, f"has {delays.size} delays for {size} neurons, or some that are no numbers of steps")
    return np.repeat(delays.astype(np.int64), size // delays.size)


def _shape(name: str, values: Values) -> Shape:
    found = numbers(name, values, "shape", ()).tolist()
    if len(found) not in {1, 3} or any(not isinstance(each, int) or each < 1 for each in found):
        raise bad(name, "has no shape of (neurons) or (channels, height, width)")
    if math.prod(found) > _MOST:
        raise bad(name, f"has {math.prod(found):,} neurons")
    return tuple(found)


def _before(name: str, shape: Shape | None) -> Shape:
    if shape is None:
        raise bad(name, "has no layer before it that says the shape of its input")
    return shape


def _weight(name: str, values: Values) -> Array:
    found = values.get("weight", "")
    weight = found if isinstance(found, np.ndarray) and found.ndim else np.zeros(0)
    if weight.size == 0 or not np.isfinite(weight).all() or np.abs(weight).max() > _LARGEST:
        raise bad(name, "has no weights, or some that are no numbers")
    return np.ldexp(weight.astype(np.float64), number(name, values, "neuron/wgtExp", 0, -8, 8))


def _dense(name: str, values: Values, shape: Shape | None, own: Shape) -> Dense:
    weight = _weight(name, values)
    weight = weight.reshape(len(weight), -1)
    size = weight.shape[1] if shape is None else math.prod(shape)
    if weight.shape != (math.prod(own), size):
        raise bad(name, f"has weights {weight.shape}; it needs ({math.prod(own)}, {size})")
    return Dense(weight)


def _conv(name: str, values: Values, shape: Shape | None, own: Shape) -> Conv:
    weight, before = _weight(name, values), _before(name, shape)
    groups = number(name, values, "groups", 1, 1, 1 << 20)
    if weight.ndim == 5 and weight.shape[4] == 1:
        weight = weight[..., 0]
    if len(before) != 3 or weight.ndim != 4 or weight.shape[1] * groups != before[0]:
        raise bad(name, f"has weights {weight.shape} for an input of {before}")
    stride, dilation = _pair(name, values, "stride", 1), _pair(name, values, "dilation", 1)
    padding = _pair(name, values, "padding", 0)
    conv = Conv(weight, before, stride, (*padding, *padding), dilation, groups)
    wrong = malformed(conv)
    if wrong or conv.out_shape != own:
        raise bad(name, wrong or f"gives {conv.out_shape}, but has the shape {own}")
    return conv


def _pair(name: str, values: Values, key: str, start: int) -> tuple[int, int]:
    found = numbers(name, values, key, start)
    if found.size not in {1, 2} or (found != np.rint(found)).any() or found.min() < start or found.max() > _FURTHEST:
        raise bad(name, f"{key} is no pair of numbers of {start} to {_FURTHEST:,}")
    return int(found[0]), int(found[-1])


def _neuron(name: str, values: Values) -> Mapping[str, int] | None:
    """The neuron's integers; None for a layer that only sums."""
    if "neuron/type" not in values:
        return None
    kind = text(values, "neuron/type")
    if kind not in {"CUBA", "LOIHI"}:
        message = f"has neurons of type {kind}; read are CUBA and LOIHI"
        raise fault("unsupported-layer", name, message, "export the network as ONNX")
    if numbers(name, values, "neuron/gradedSpike", 0).any():
        raise fault("unsupported-layer", name, "sends graded spikes, which are not read")
    return {
        "iDecay": number(name, values, "neuron/iDecay", UNITY, 0, UNITY),
        "vDecay": number(name, values, "neuron/vDecay", 0, 0, UNITY),
        "vThMant": number(name, values, "neuron/vThMant", 1, 0, (1 << 17) - 1),
        "refDelay": number(name, values, "neuron/refDelay", 1, 1, 64),
    }
