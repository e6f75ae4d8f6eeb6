"""The layers of a `.net` file, each checked against the one before it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from snncc.arrays import Array, Shape
from snncc.diagnostics import fault
from snncc.linear import Conv, Dense, LinearMap

UNITY = 4096  # a decay of 4096 forgets at once
_MOST = 1 << 28  # values of an array
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


def read_parts(path: Path) -> tuple[Part, ...]:
    try:
        import h5py
    except ImportError as error:
        hint = 'pip install h5py, or pip install "snncc[hdf5]"'
        raise fault(
            "no-h5py", path.name, "is an HDF5 file, which h5py reads, and h5py is not installed", hint
        ) from error
    try:
        with h5py.File(path, "r") as file:
            stored = {name: _values(group) for name, group in _numbered(file)}
    except OSError as error:
        raise fault(
            "cannot-read", path.name, "is no HDF5 file that can be read", "export it with net.export_hdf5"
        ) from error
    if not stored:
        raise fault("bad-net", path.name, "has no layers under layer/0, layer/1, ...", "export it with net.export_hdf5")
    parts: list[Part] = []
    for name, values in stored.items():
        before = parts[-1].shape if parts else None
        parts.append(_part(name, values, before, last=len(parts) == len(stored) - 1))
    return tuple(parts)


def _numbered(file: Any) -> Iterator[tuple[str, Any]]:
    """The layers in their order."""
    found = file.get("layer")
    names = list(found) if hasattr(found, "keys") else []
    for number in range(len(names)):
        if str(number) not in names:
            raise fault("bad-net", f"layer/{number}", "is missing")
        yield f"layer{number}", found[str(number)]


def _values(group: Any) -> dict[str, Any]:
    """A layer's datasets by path, all read."""
    found: dict[str, Any] = {}

    def keep(name: str, item: Any) -> None:
        if hasattr(item, "shape"):
            if item.size is None or item.size > _MOST:
                raise fault("bad-net", f"{group.name}/{name}", "is too large")
            found[name] = item[()]

    group.visititems(keep)
    return found


def _part(name: str, values: Mapping[str, Any], shape: Shape | None, *, last: bool) -> Part:
    kind = _text(values.get("type"))
    if kind not in _KNOWN:
        message = f"is of type {kind or 'nothing'}; read are {', '.join(_KNOWN)}"
        raise fault("unsupported-layer", name, message, "export the network without it, or as ONNX")
    unread = {"weight_rec"} & set(values)
    if unread:
        raise fault("unsupported-layer", name, f"has {', '.join(sorted(unread))}, which is not read")
    if kind == "flatten":
        size = int(np.prod(_before(name, shape)))
        return Part(name, (size,), None, 1.0, np.zeros(()), None, np.zeros(size, np.int64))
    own = _shape(name, values)
    linear, gain = None, 1.0
    if kind == "input":
        gain = float(np.asarray(values.get("weight", 1.0)).reshape(-1)[0])
    else:
        linear = _dense(name, values, shape, own) if kind == "dense" else _conv(name, values, shape, own)
    delays = _delays(name, values, own)
    if last and delays.any():
        raise fault("unsupported-layer", name, "delays the network's output", "remove the last layer's delays")
    return Part(name, own, linear, gain, _bias(name, values, own), _neuron(name, values), delays)


def _bias(name: str, values: Mapping[str, Any], own: Shape) -> Array:
    bias = np.asarray(values.get("bias", 0.0), np.float64).reshape(-1)
    if bias.size not in {1, own[0]} or not np.isfinite(bias).all():
        raise fault("bad-net", name, f"has {bias.size} biases for {own[0]} channels, or some that are no numbers")
    return bias.reshape(-1, *[1] * (len(own) - 1)) if bias.size > 1 else bias.reshape(())


def _delays(name: str, values: Mapping[str, Any], own: Shape) -> Array:
    """Steps by which each neuron's spikes are late: one number, one a channel, or one a neuron."""
    delays = np.asarray(values.get("delay", 0)).reshape(-1)
    size = int(np.prod(own))
    if delays.size not in {1, own[0], size} or delays.min() < 0 or (delays != np.rint(delays)).any():
        raise fault(
            "bad-net", name, f"has {delays.size} delays for {size} neurons, or some that are no numbers of steps"
        )
    return np.repeat(delays.astype(np.int64), size // delays.size)


def _text(value: Any) -> str:
    plain = value.reshape(-1)[0] if isinstance(value, np.ndarray) and value.size else value
    return plain.decode(errors="replace") if isinstance(plain, bytes) else ""


def _shape(name: str, values: Mapping[str, Any]) -> Shape:
    found = np.asarray(values.get("shape", ())).reshape(-1)
    if found.size not in {1, 3} or found.dtype.kind not in "iu" or found.min() < 1 or np.prod(found) > _MOST:
        raise fault("bad-net", name, "has no shape of (neurons) or (channels, height, width)")
    return tuple(int(each) for each in found)


def _before(name: str, shape: Shape | None) -> Shape:
    if shape is None:
        raise fault("bad-net", name, "has no layer before it that says the shape of its input")
    return shape


def _weight(name: str, values: Mapping[str, Any]) -> Array:
    weight = np.asarray(values.get("weight", ()), np.float64)
    if weight.size == 0 or not np.isfinite(weight).all():
        raise fault("bad-net", name, "has no weights, or some that are no numbers")
    exponent = _number(name, values, "neuron/wgtExp", 0, -8, 8)
    return np.ldexp(weight, exponent)


def _dense(name: str, values: Mapping[str, Any], shape: Shape | None, own: Shape) -> Dense:
    weight = _weight(name, values)
    weight = weight.reshape(len(weight), -1)
    size = weight.shape[1] if shape is None else int(np.prod(shape))
    if weight.shape != (int(np.prod(own)), size):
        raise fault("bad-net", name, f"has weights {weight.shape}; it needs ({int(np.prod(own))}, {size})")
    return Dense(weight)


def _conv(name: str, values: Mapping[str, Any], shape: Shape | None, own: Shape) -> Conv:
    weight, before = _weight(name, values), _before(name, shape)
    groups = _number(name, values, "groups", 1, 1, 1 << 20)
    if weight.ndim == 5:
        weight = weight[..., 0]
    if len(before) != 3 or weight.ndim != 4 or weight.shape[1] * groups != before[0]:
        raise fault("bad-net", name, f"has weights {weight.shape} for an input of {before}")
    pairs = [
        np.asarray(values.get(key, start)).reshape(-1)
        for key, start in (("stride", 1), ("padding", 0), ("dilation", 1))
    ]
    stride, padding, dilation = ((int(each[0]), int(each[-1])) for each in pairs)
    conv = Conv(weight, before, stride, (*padding, *padding), dilation, groups)
    if min(*stride, *dilation) < 1 or min(padding) < 0 or conv.out_shape != own:
        raise fault("bad-net", name, f"gives {conv.out_shape}, but has the shape {own}")
    return conv


def _number(name: str, values: Mapping[str, Any], key: str, start: int, low: int, high: int) -> int:
    found = np.asarray(values.get(key, start)).reshape(-1)
    if found.size != 1 or found.dtype.kind not in "iuf" or not low <= found[0] <= high:
        raise fault("bad-net", name, f"{key} is no number of {low:,} to {high:,}")
    return int(found[0])


def _neuron(name: str, values: Mapping[str, Any]) -> Mapping[str, int] | None:
    """The neuron's integers; None for a layer that only sums."""
    if "neuron/type" not in values:
        return None
    kind = _text(values["neuron/type"])
    if kind not in {"CUBA", "LOIHI"}:
        message = f"has neurons of type {kind}; read are CUBA and LOIHI"
        raise fault("unsupported-layer", name, message, "export the network as ONNX")
    if bool(np.any(values.get("neuron/gradedSpike", False))):
        raise fault("unsupported-layer", name, "sends graded spikes, which are not read")
    return {
        "iDecay": _number(name, values, "neuron/iDecay", UNITY, 0, UNITY),
        "vDecay": _number(name, values, "neuron/vDecay", 0, 0, UNITY),
        "vThMant": _number(name, values, "neuron/vThMant", 1, 0, (1 << 17) - 1),
        "refDelay": _number(name, values, "neuron/refDelay", 1, 1, 64),
    }
