"""Damage to .nir files: other types, values, edges and metadata in files that HDF5 can read, and changed bytes."""

from __future__ import annotations

import itertools
import random
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from tests.frontends.nir.files import Nodes, graph, lif, linear, node, write

from .damage import INTEGERS, NAMES, REALS, bad_bytes

_KINDS = (
    *("Affine", "Linear", "Scale", "Conv1d", "Conv2d", "SumPool2d", "AvgPool2d", "Flatten", "Delay", "Threshold"),
    *("I", "IF", "LI", "LIF", "CubaLI", "CubaLIF", "Input", "Output", "NIRGraph", "Alien", ""),
)
_OTHERS: tuple[Any, ...] = (
    *(each for each in INTEGERS if abs(each) < 1 << 62),
    *REALS,
    *(each for each in NAMES if each and "\0" not in each),
    *("same", "valid", [], [1], [1, 2], [0, 0, 0], [-1, 2, 3], [1 << 30] * 3, [[1.5]], True, np.zeros((0, 3))),
    *(np.ones((3, 2)), np.ones((2, 2, 2)), np.full(4, np.nan), np.ones(4, ">f4"), np.ones(4, np.float16)),
)
_KEYS = (
    *("type", "weight", "bias", "tau", "tau_syn", "r", "v_threshold", "v_reset", "w_in", "shape", "delay", "threshold"),
    *("input_shape", "stride", "padding", "groups", "kernel_size", "start_dim", "input_type", "metadata", "scale"),
)
STYLES = ("exact", "lava", "norse", "sinabs", "spikingjelly", "snntorch,reset=subtract,reset_delay=1", "rockpool")


def bad_nir(path: Path, rng: random.Random) -> None:
    """Write a network of some nodes with something wrong."""
    own = np.random.default_rng(rng.randrange(1 << 30))
    nodes = _dense(own) if rng.random() < 0.6 else _image(own)
    names = list(nodes)
    edges = list(itertools.pairwise(names))
    if rng.random() < 0.4:
        edges.append((rng.choice(names), rng.choice(names)))
    for _ in range(rng.choice([0, 1, 1, 2, 4])):
        _damage(nodes[rng.choice(names)], rng)
    if rng.random() < 0.15:
        edges[rng.randrange(len(edges))] = (rng.choice(names), rng.choice([*names, "nobody"]))
    if rng.random() < 0.1:
        nodes["inner"] = graph(_dense(own), [("in", "w"), ("w", "lif"), ("lif", "out")])
        edges.append((rng.choice(names), "inner"))
    _write(path, nodes, edges)
    if rng.random() < 0.3:
        path.write_bytes(bad_bytes(path.read_bytes(), path.read_bytes(), rng))


def _dense(own: np.random.Generator) -> Nodes:
    cuba = {"tau_syn": 2e-3, "tau_mem": 5e-3, "r": 5.0, "v_leak": 0.0, "w_in": 2.0, "v_threshold": 1.0}
    return {
        "in": node("Input", shape=np.array([3])),
        "w": linear(own.normal(size=(4, 3))),
        "lif": lif(4),
        "late": node("Delay", delay=np.array([0.0, 1e-3, 1e-3, 4e-3])),
        "u": node("Affine", weight=own.normal(size=(2, 4)), bias=own.normal(size=2)),
        "cuba": node("CubaLIF", **{key: np.full(2, value) for key, value in cuba.items()}),
        "out": node("Output", shape=np.array([2])),
    }


def _image(own: np.random.Generator) -> Nodes:
    plain = {"stride": [1, 1], "padding": [1, 1], "dilation": [1, 1], "groups": 1, "bias": np.zeros(2)}
    return {
        "in": node("Input", shape=np.array([1, 4, 4])),
        "conv": node("Conv2d", weight=own.normal(size=(2, 1, 3, 3)), input_shape=[4, 4], **plain),
        "if": node("IF", r=np.ones((2, 4, 4)), v_threshold=np.ones((2, 4, 4))),
        "pool": node("AvgPool2d", kernel_size=[2, 2], stride=[2, 2], padding=[0, 0]),
        "flat": node("Flatten", start_dim=0, end_dim=-1, input_type=[2, 2, 2]),
        "scale": node("Scale", scale=np.full(8, 0.5)),
        "li": node("LI", tau=np.full(8, 5e-3), r=np.ones(8), v_leak=np.zeros(8)),
        "out": node("Output", shape=np.array([8])),
    }


def _damage(one: dict[str, Any], rng: random.Random) -> None:
    key = rng.choice([*one, *one, *_KEYS])
    array = one.get(key)
    if rng.random() < 0.2:
        one.pop(key, None)
    elif key == "type":
        one[key] = rng.choice(_KINDS)
    elif key == "metadata":
        one[key] = {f"snncc_{rng.choice(['style', 'decoder', 'dt'])}": rng.choice([*_OTHERS, *STYLES])}
    elif isinstance(array, np.ndarray) and array.size and rng.random() < 0.7:
        with np.errstate(all="ignore"):  # twice 1e30 is too much for a float32
            one[key] = rng.choice(
                [array * 1e14, array * 1e-14, array * 1e30, array[:0], array.ravel(), array[..., None], -array, array.T]
            )
    else:
        one[key] = rng.choice(_OTHERS)


def _write(path: Path, nodes: Nodes, edges: Any) -> None:
    try:
        write(path, nodes, edges)
    except (TypeError, ValueError, OverflowError, OSError, RuntimeError):  # HDF5 cannot hold it
        path.unlink(missing_ok=True)
        with h5py.File(path, "w") as file:
            file["node"] = 1
