"""Fits the weights that a map has left to what the whole map gave: layer by layer, on second moments of its inputs.

For each row w of a map that reads x, with E[x x'] = H, the weights v on what is left minimise (v - w)' H (v - w): the
layer-wise problem of B. Hassibi and D. Stork, Optimal Brain Surgeon (1993), and of E. Frantar and D. Alistarh, Optimal
Brain Compression (2022), solved here by Gauss-Seidel sweeps in a fixed order: every machine takes the same steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from snncc.arrays import Array, Floats
from snncc.chip import Chip
from snncc.data import to_integers
from snncc.graph import Graph
from snncc.integers import Population
from snncc.jit import compiled
from snncc.layers import Input, Layer, Linear, size
from snncc.linear import Conv, Dense, Lateral, LinearMap, Sparse
from snncc.passes.assemble import assembled
from snncc.passes.candidates import Setting
from snncc.passes.inputs import Samples, source_for
from snncc.passes.populations import plain, with_feedback
from snncc.passes.rounding import readers
from snncc.semantics import run

_SAMPLES = 256  # that are run
_READINGS = 1 << 14  # of each map, about: more hardly change what is read together
_WIDEST = 8192  # inputs of a row up to which all pairs of them are looked at
_DAMPING = 0.01  # of the mean square of an input: keeps weights near where samples say little about them
_SWEEPS = 30
_SETTLED = 1e-6  # by which no weight moves any more


@dataclass(frozen=True, eq=False)
class Moments:
    """What the rows of a map read on samples: `power` (rows or 1, inputs), the mean square of each input.

    `square` (groups, inputs, inputs) has all products of two inputs of a group of rows, None where they are too many or
    rows differ in what they read. They are sums over readings, in squares of one unit, and exact.
    """

    power: Floats
    square: Floats | None


def moments_of(graph: Graph[Layer], chip: Chip, samples: Samples, steps: int | None) -> Mapping[str, Moments]:
    """The moments of every map of a legal graph, on samples of what its sources send.

    The network is run in integers, each population on the grid of its largest weight: the same on every machine.
    """
    few = samples.some(_SAMPLES)
    ((entry, layer),) = graph.of_kind(Input).items()
    setting = with_feedback(Setting(graph, source_for(layer, chip, few), chip, min(8, chip.weight.bits)))
    network = assembled(graph, setting.source, plain(setting))
    x = to_integers(setting.source, few.x)
    static = x.shape[1:] == layer.shape
    names = tuple(network.of_kind(Population))
    trace = run(network, x, steps if static else None, few.lengths, record=names)
    flat = x.reshape(-1, size(layer.shape))
    sent = {entry: flat, **{name: each.reshape(-1, each.shape[2]) for name, each in trace.spikes.items()}}
    return {
        name: _moments(op.map, sent[graph.incoming(name)[0].source])
        for name, op in graph.of_kind(Linear).items()
        if not isinstance(op.map, Lateral)
    }


def _moments(linear: LinearMap, x: Array) -> Moments:
    """Of so many readings, evenly spread over all."""
    positions = linear.out_size // len(linear.weight) if isinstance(linear, Conv) else 1
    most = min(len(x), max(64, _READINGS // positions))
    x = x[np.arange(most) * len(x) // most]
    if isinstance(linear, Sparse):
        power = (x.astype(np.float64) ** 2).sum(axis=0)  # of whole numbers, exact in any order
        return Moments(np.repeat(power, np.diff(linear.indptr)), None)
    assert isinstance(linear, (Dense, Conv))
    powers: list[Floats] = []
    squares: list[Floats] = []
    for rows, read in readers(linear, x):
        count = len(linear.weight[rows])
        powers.append(np.broadcast_to((read**2).sum(axis=0), (count, read.shape[1])))
        if read.shape[1] <= _WIDEST:
            squares.append(read.T @ read)
    return Moments(np.concatenate(powers), np.stack(squares) if len(squares) == len(powers) else None)


def refitted(weight: Floats, stays: Array, moments: Moments) -> Floats:
    """Weights of which only those that stay are other than 0, and give on the samples what all of them gave."""
    assert moments.square is not None
    rows = weight.reshape(len(weight), -1).copy()
    mask = stays.reshape(rows.shape)
    per = len(rows) // len(moments.square)
    for group, square in enumerate(moments.square):
        part = slice(group * per, (group + 1) * per)
        damping = _DAMPING * max(1.0, float(np.add.accumulate(square.diagonal())[-1]) / len(square))
        rows[part] = _swept(
            np.ascontiguousarray(rows[part]), np.ascontiguousarray(mask[part]), square, damping, _SWEEPS
        )
    return rows.reshape(weight.shape)


@compiled
def _swept(weight: Floats, mask: Array, square: Floats, damping: float, sweeps: int) -> Floats:
    """Gauss-Seidel on (H + damping) v = H w in those that stay; `pull` is H (w - v)."""
    rows, inputs = weight.shape
    fitted = np.where(mask, weight, 0.0)
    for row in range(rows):
        pull = np.zeros(inputs)
        for j in np.nonzero(weight[row] - fitted[row])[0]:
            pull += weight[row, j] * square[j]
        left = np.nonzero(mask[row])[0]
        for _ in range(sweeps):
            moved = 0.0
            for j in left:
                step = (pull[j] - damping * (fitted[row, j] - weight[row, j])) / (square[j, j] + damping)
                fitted[row, j] += step
                moved = max(moved, abs(step))
                pull -= step * square[j]
            if moved < _SETTLED:
                break
    return fitted
