"""Reads and writes the Neuromorphic Intermediate Representation (NIR): graphs of differential equations, in HDF5.

The types of nodes, their values and equations are those of the `nir` package 1.0.8 (neuromorphs/NIR). What NIR leaves
open is in `styles`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from snncc.arrays import Array
from snncc.diagnostics import Diagnostic, fault
from snncc.frontends.model import Model
from snncc.frontends.nir.build import graph_of
from snncc.frontends.nir.flat import Flat, flat
from snncc.frontends.nir.neurons import NEEDS, Setting
from snncc.frontends.nir.stored import OURS, Stored, stored_graph, wrong
from snncc.frontends.nir.styles import named

_MOST_STEPS = 1_000_000


def read_nir(path: Path, style: str | None = None, dt: float | None = None) -> Model:
    """Import a `.nir` file; `style` as `styles.named` reads it, `dt` in seconds, or in the unit of the file's times.

    Both are needed where the file leaves them open: files that snncc wrote do not.

    Raises CompileError: `cannot-read`, `no-h5py`, `bad-nir`, `bad-option`, and what the nodes give.
    """
    chosen = None if style is None else named(style)
    if dt is not None and not (np.isfinite(dt) and dt > 0):
        raise fault("bad-option", "--dt", f"is {dt:g}; a step takes a positive time")
    stored = stored_graph(path)
    network = flat(stored)
    own = _real(stored, "dt")
    if own is not None and dt not in (None, own):
        raise fault("bad-option", "--dt", f"is {dt:g}; {path.name} says that its steps take {own:g}", "leave it out")
    described = [name for name, node in network.nodes.items() if f"{OURS}style" in node.metadata]
    if style is not None and described:
        message = f"{path.name} says itself how {described[0]} integrates, fires and resets"
        raise fault("bad-option", "--nir-style", message, "leave it out")
    graph = graph_of(network, Setting(chosen, own if dt is None else dt))
    steps = _real(stored, "steps")
    return Model(
        path.stem,
        graph,
        steps=None if steps is None else int(min(steps, _MOST_STEPS)),
        warnings=tuple(_assumed(network, style or "")),
    )


def _real(graph: Stored, key: str) -> float | None:
    """A positive number of the metadata."""
    value = graph.metadata.get(f"{OURS}{key}")
    if value is None:
        return None
    found: Array = np.zeros(0) if isinstance(value, str) else value.reshape(-1)
    if found.size != 1 or found.dtype.kind not in "iuf" or not np.isfinite(found[0]) or found[0] <= 0:
        raise wrong("metadata", f"its {OURS}{key} is no positive number")
    return float(found[0])


def _assumed(network: Flat, style: str) -> Iterator[Diagnostic]:
    """What files of this style leave out, where the framework has more than one way."""
    if style.partition(",")[0] != "snntorch" or "reset=" in style:
        return
    for name, node in network.nodes.items():
        if "v_reset" in NEEDS.get(node.kind, {}):
            message = "is read with a reset to v_reset, as snnTorch reads it; its export stores no reset_mechanism"
            hint = "for networks trained with snnTorch's default: --nir-style snntorch,reset=subtract,reset_delay=1"
            yield Diagnostic("assumed-reset", name, message, hint, "warning")
