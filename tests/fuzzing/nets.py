"""Damage to lava-dl's .net files: other keys and values in files that HDF5 can read, and bytes changed in those."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np

from tests.frontends.lava_dl.files import NEURON, conv, dense, write

from .damage import INTEGERS, NAMES, REALS, bad_bytes

_OTHERS: tuple[Any, ...] = (
    *(each for each in INTEGERS if abs(each) < 1 << 62),
    *REALS,
    *(each.encode() for each in NAMES[:6]),
    *("dense", "conv", "pool", "average", "flatten", "input", "concat", "CUBA", "ALIF", "LOIHI", "RF"),
    *([], [1], [1, 2], [0, 0, 0], [-1, 2, 3], [1 << 30] * 3, [[1.5]], True),
)
_KEYS = ("type", "shape", "weight", "neuron", "stride", "padding", "dilation", "groups", "delay", "bias", "inFeatures")


def bad_net(path: Path, rng: random.Random) -> None:
    """Write a file of one to three layers with something wrong."""
    own = np.random.default_rng(rng.randrange(1 << 30))
    first = (
        conv(own.integers(-90, 90, (2, 1, 3, 3)), (4, 4, 2))
        if rng.random() < 0.4
        else dense(own.integers(-90, 90, (32, 7)))
    )
    parts = [
        first,
        dense(own.integers(-90, 90, (5, 32))),
        {"type": [b"flatten"], "shape": [5]},
        dense(own.integers(-9, 9, (3, 5))),
    ]
    for part in parts:
        if "neuron" in part:
            part["neuron"] = dict(NEURON)
    parts = parts[: rng.randrange(1, 5)]
    for _ in range(rng.choice([0, 1, 1, 2, 4])):
        _damage(rng.choice(parts), rng)
        if rng.random() < 0.1:
            rng.shuffle(parts)
    try:
        write(path, *parts)
    except (TypeError, ValueError, OverflowError, OSError, RuntimeError):  # HDF5 cannot hold it
        path.unlink(missing_ok=True)
        write(path, first)
    if rng.random() < 0.3:
        path.write_bytes(bad_bytes(path.read_bytes(), path.read_bytes(), rng))


def _damage(part: dict[str, Any], rng: random.Random) -> None:
    inner = part.get("neuron")
    holder = inner if isinstance(inner, dict) and rng.random() < 0.5 else part
    key = rng.choice([*holder, *_KEYS] or ["type"])
    if rng.random() < 0.2:
        holder.pop(key, None)
    elif isinstance(holder.get(key), np.ndarray) and rng.random() < 0.7:
        array = holder[key]
        with np.errstate(all="ignore"):  # twice 1e30 is too much for a float32
            holder[key] = rng.choice(
                [array * 1e30, array[:0], array.ravel(), array[..., None], array * np.nan, array.T, array.astype("S4")]
            )
    else:
        holder[key] = rng.choice(_OTHERS)
