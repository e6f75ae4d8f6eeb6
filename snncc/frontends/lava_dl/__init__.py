"""Reads the `.net` files (HDF5) that lava-dl's slayer writes and its netx reads: CUBA neurons, dense and convolutional.

A file holds Loihi's own integers: weights, decays in 4096ths, and thresholds and biases in units of 64. So it gives two
things: the graph of layers, which any target can quantise, and the integer network as it stands, for targets with
Loihi's arithmetic. The meaning of the keys is netx's (lava-dl, src/lava/lib/dl/netx/hdf5.py).
"""

from __future__ import annotations

from pathlib import Path

from snncc.frontends.lava_dl.graph import graph_of
from snncc.frontends.lava_dl.integer import network_of
from snncc.frontends.lava_dl.parts import read_parts
from snncc.frontends.model import Model


def read_net(path: Path) -> Model:
    """Import a `.net` file. Raises CompileError: `cannot-read`, `no-h5py`, `bad-net`, `unsupported-layer`."""
    parts = read_parts(path)
    return Model(path.stem, graph_of(parts), network=network_of(parts))
