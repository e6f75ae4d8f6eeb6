"""Writes small `.net` files, as lava-dl's export does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np

NEURON = {"type": b"CUBA", "iDecay": 1024, "vDecay": 410, "vThMant": 20, "refDelay": 1, "gradedSpike": False}


def dense(weight: Any, **more: Any) -> dict[str, Any]:
    """A dense layer; `neuron=None` leaves the neurons out."""
    weight = np.asarray(weight, np.float32)
    return {"type": [b"dense"], "shape": [len(weight)], "weight": weight, "neuron": NEURON, **more}


def conv(weight: Any, shape: tuple[int, int, int], **more: Any) -> dict[str, Any]:
    """A convolution, with its depth of 1 in time."""
    weight = np.asarray(weight, np.float32)[..., None]
    plain = {"stride": [1, 1], "padding": [0, 0], "dilation": [1, 1], "groups": 1}
    return {"type": [b"conv"], "shape": list(shape), "weight": weight, "neuron": NEURON, **plain, **more}


def write(path: Path, *parts: dict[str, Any]) -> Path:
    """The file of these layers."""
    with h5py.File(path, "w") as file:
        for number, part in enumerate(parts):
            group = file.create_group(f"layer/{number}")
            for key, value in part.items():
                if isinstance(value, dict):
                    for inner, plain in value.items():
                        group[f"{key}/{inner}"] = plain
                elif value is not None:
                    group[key] = value
    return path
