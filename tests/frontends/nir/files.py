"""Writes small `.nir` files, as the nir package does, and wrong ones that it would not write."""

from __future__ import annotations

import itertools
import math
import zlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from snncc.arrays import Array

DT = 1e-3
Nodes = dict[str, dict[str, Any]]


def node(kind: str, **values: Any) -> dict[str, Any]:
    return {"type": kind, **values}


def linear(weight: Any) -> dict[str, Any]:
    return node("Linear", weight=np.asarray(weight, np.float32))


def lif(size: int, **more: Any) -> dict[str, Any]:
    """A LIF of 5 ms, so that a step of DT keeps 0.8 of its membrane (euler)."""
    plain = {"tau": 5e-3, "r": 5.0, "v_leak": 0.0, "v_threshold": 1.0, "v_reset": 0.0}
    return node("LIF", **{key: np.full(size, value) for key, value in {**plain, **more}.items()})


def chain(size: int, nodes: Nodes, out: int) -> tuple[Nodes, list[tuple[str, str]]]:
    """The nodes one behind the other, between an input of `size` and an output of `out` values."""
    ends = {"in": node("Input", shape=np.array([size])), **nodes, "out": node("Output", shape=np.array([out]))}
    names = list(ends)
    return ends, list(itertools.pairwise(names))


def write(path: Path, nodes: Nodes, edges: Any, version: str = "1.0.8") -> Path:
    with h5py.File(path, "w") as file:
        file["version"] = version
        put(file, "node", graph(nodes, edges))
    return path


def graph(nodes: Nodes, edges: Any, **more: Any) -> dict[str, Any]:
    return node("NIRGraph", nodes=nodes, edges=edges, **more)


def put(group: Any, key: str, value: Any) -> None:
    """Write a dictionary as a group, and anything else as a dataset."""
    if isinstance(value, dict):
        inner = group.create_group(key)
        for name, each in value.items():
            put(inner, name, each)
    elif key == "edges" and isinstance(value, list):
        pairs: Array = np.array(value, dtype=object).reshape(-1, 2)
        group.create_dataset(key, data=pairs, dtype=h5py.string_dtype())
    else:
        group[key] = value


def packed_zeros(group: Any, key: str, shape: tuple[int, ...], chunk: tuple[int, ...], dtype: str) -> None:
    """Write zeros as one packed piece that is far larger than the dataset that it is in."""
    more = {"chunks": chunk, "maxshape": (None,) * len(shape), "compression": "gzip"}
    packer, left, packed = zlib.compressobj(), math.prod(chunk) * np.dtype(dtype).itemsize, b""
    while left > 0:
        packed += packer.compress(bytes(min(left, 1 << 22)))
        left -= 1 << 22
    group.create_dataset(key, shape, dtype, **more).id.write_direct_chunk((0,) * len(shape), packed + packer.flush())
