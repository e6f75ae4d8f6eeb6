"""Typed access to a node's values, which a damaged or hostile file may hold in any type, shape and size."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from snncc.arrays import Array, Floats, Shape
from snncc.diagnostics import Diagnostic, check
from snncc.frontends.nir.stored import AGAIN, Stored, bad, wrong
from snncc.passes.paths import smallest_bias

MOST_NEURONS = 1 << 26
_LARGEST = 1e15  # of a parameter: no trained one comes near, and sums of many stay finite
_FURTHEST = 1 << 16  # of a stride, a padding or a dilation


def parameters(name: str, node: Stored, defaults: Mapping[str, float | None]) -> dict[str, Array]:
    """The node's numbers; where it has none of a name, the default, if there is one.

    Raises CompileError (`bad-nir`), once for each that is missing or no list of finite numbers.
    """
    faults: list[Diagnostic] = []
    found: dict[str, Array] = {}
    for key, default in defaults.items():
        value = node.values.get(key)
        if value is None and default is None:
            faults.append(bad(name, f"has no {key}, which a {node.kind} needs", AGAIN))
        elif value is None:
            found[key] = np.array(default)
        else:
            wrong_ = _unfit(value)
            if wrong_:
                faults.append(bad(name, f"its {key} {wrong_}"))
            else:
                found[key] = _native(value)
    check(faults)
    return found


def _unfit(value: Array | str) -> str | None:
    if isinstance(value, str) or value.dtype.kind not in "biuf":
        return "is no number"
    if value.size == 0:
        return "is empty"
    count = value.size - int(np.count_nonzero(np.isfinite(value)))
    if count:
        return f"has {count:,} of {value.size:,} values that are NaN or infinite"
    if float(np.abs(value.astype(np.float64)).max()) > _LARGEST:
        return f"has values beyond {_LARGEST:g}"
    return None


def _native(value: Array | str) -> Array:
    """The same numbers in the machine's own single or double precision."""
    assert isinstance(value, np.ndarray)
    return value.astype(np.float32 if value.dtype == np.dtype(np.float32) else np.float64)


def fitted(name: str, found: Mapping[str, Array], shape: Shape | None) -> tuple[dict[str, Floats], Shape]:
    """Parameters of neurons in the smallest shapes that spread over what the node reads; without that, over their own.

    Raises CompileError (`bad-nir`) for parameters of another number than the values that the node reads.
    """
    largest = max(found.values(), key=lambda each: each.size)
    if shape is None:
        shape = largest.shape or (1,)
    result: dict[str, Floats] = {}
    misfits: dict[int, list[str]] = {}
    for key, value in found.items():
        full = value.astype(np.float64)
        if value.size == 1:
            result[key] = full.reshape(())
        elif value.size == math.prod(shape):
            result[key] = smallest_bias(full.reshape(shape), shape)
        elif value.ndim == len(shape) and all(a in (1, b) for a, b in zip(value.shape, shape, strict=True)):
            result[key] = smallest_bias(full, shape)
        else:
            misfits.setdefault(value.size, []).append(key)
    hint = "give every neuron its value, or all of them one"
    read = f"and reads {math.prod(shape):,} values"
    check(bad(name, f"has {', '.join(keys)} for {count:,} neurons, {read}", hint) for count, keys in misfits.items())
    return result, shape


def integers(name: str, node: Stored, key: str, default: int | None, least: int, count: int) -> tuple[int, ...]:
    """`count` whole numbers of `least` or more; a single one stands for all."""
    found = np.atleast_1d(parameters(name, node, {key: default})[key]).reshape(-1)
    if (
        found.size not in (1, count)
        or (found != np.rint(found)).any()
        or found.min() < least
        or found.max() > _FURTHEST
    ):
        raise wrong(name, f"its {key} is no {'pair' if count == 2 else 'number'} of {least} to {_FURTHEST:,}")
    return tuple(int(each) for each in np.broadcast_to(found, (count,)))


def axis(name: str, node: Stored, key: str, default: int) -> int:
    """The number of an axis, from the end if negative."""
    found = parameters(name, node, {key: default})[key].reshape(-1)
    if found.size != 1 or found[0] != np.rint(found[0]) or abs(found[0]) > 64:
        raise wrong(name, f"its {key} is no number of an axis")
    return int(found[0])


def shape_of(name: str, node: Stored, key: str) -> Shape | None:
    """A shape that the node states, None where it states none."""
    value = node.values.get(key)
    if value is None or isinstance(value, str):
        return None
    found = parameters(name, node, {key: None})[key].reshape(-1)
    if (found != np.rint(found)).any() or found.min() < 1 or float(np.prod(found.astype(np.float64))) > MOST_NEURONS:
        raise wrong(name, f"its {key} is no shape of 1 to {MOST_NEURONS:,} values")
    return tuple(int(each) for each in found)
