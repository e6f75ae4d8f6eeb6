"""Puts a synapse's weights into the form that Lava's connection processes turn back into the integer network's.

Lava clips and truncates weights by their sign mode (lava/utils/weightutils.py lines 232 and 291; with the default of 8
bits, mixed ones lose their lowest bit) and shifts a step's sum by `weight_exp` (lava/proc/dense/models.py line 105).
Weights of both signs are doubled, and the exponent is one less: every sum is even, so that even a shift to the right by
one is exact.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from snncc.arrays import Array
from snncc.backends.lava.layout import Layout, convolution_of
from snncc.integers import Network, Population, Source, Synapse, source_of, synapses_of, value_range
from snncc.linear import Conv, Dense, from_triples, to_sparse

Form = Literal["Dense", "DelayDense", "Sparse", "DelaySparse", "Conv"]
MOST_DELAY = 64  # steps: Lava's 0..63, and the one that every connection takes
_LOWEST, _HIGHEST = -256, 255


@dataclass(frozen=True, eq=False)
class Connection:
    """A connection process: its class, and its keyword arguments.

    `arrays` go into files, as (role, array); `delays` is one delay in Lava's count, or one per synapse in the arrays.
    """

    name: str
    ident: str
    source: str
    target: str
    form: Form
    arrays: Mapping[str, Array]
    shape: tuple[int, int]
    sign_mode: str
    weight_exp: int
    message_bits: int
    delay: int
    max_delay: int
    convolution: Conv | None = None

    @property
    def sparse(self) -> bool:
        return self.form in {"Sparse", "DelaySparse"}

    @property
    def delayed(self) -> bool:
        return self.form in {"DelayDense", "DelaySparse"}


def connection(network: Network, name: str, ident: str, layouts: Mapping[str, Layout]) -> Connection:
    """The connection process of a synapse."""
    op = network[name]
    assert isinstance(op, Synapse)
    source, delay = source_of(network, name)
    target = network.outgoing(name)[0].target
    bits = message_bits(network, source)
    conv = convolution_of(network, name)
    if conv and layouts[source].turned and layouts[target].turned:
        kernel = (conv.weight.astype(np.int32) << op.exponent)[:, :, ::-1, ::-1].transpose(0, 3, 2, 1)
        shape = conv.out_size, conv.in_size
        arrays = {"weight": kernel.astype(np.int8)}
        return Connection(name, ident, source, target, "Conv", arrays, shape, "", 0, bits, 0, 0, conv)
    delays = np.broadcast_to(delay - 1 + (0 if op.axon_delays is None else op.axon_delays), (op.map.in_size,))
    delayed = bool(delays.any())
    sign_mode, doubled = _sign_mode(op.map.weight)
    columns, rows = layouts[source].order(), layouts[target].order()
    if isinstance(op.map, Dense):
        weights = _small(op.map.weight.astype(np.int32)[rows][:, columns] << doubled)
        form: Form = "DelayDense" if delayed else "Dense"
        arrays = {"weights": weights}
        if delayed and (delays != delays[0]).any():
            arrays["delays"] = np.broadcast_to(delays[columns], weights.shape).astype(np.int8)
    else:
        form, arrays = (
            ("DelaySparse" if delayed else "Sparse"),
            _sparse(op, delays, doubled, layouts[source], layouts[target]),
        )
    shape = op.map.out_size, op.map.in_size
    most = int(delays.max(initial=0))
    exponent = op.exponent - doubled
    return Connection(name, ident, source, target, form, arrays, shape, sign_mode, exponent, bits, most, most)


def _sign_mode(weight: Array) -> tuple[str, int]:
    """The sign mode, and by how many bits weights have to be shifted left for it."""
    low, high = int(weight.min(initial=0)), int(weight.max(initial=0))
    if low >= 0:
        return "EXCITATORY", 0
    return ("INHIBITORY", 0) if high <= 0 else ("MIXED", 1)


def _small(weights: Array) -> Array:
    """The narrowest type of numpy that the weights fit."""
    return (
        weights.astype(np.min_scalar_type(int(weights.min(initial=0))))
        if _fits(weights, np.int8)
        else weights.astype(np.int16)
    )


def _fits(weights: Array, dtype: type[np.signedinteger]) -> bool:
    span = np.iinfo(dtype)
    return bool(span.min <= weights.min(initial=0) and weights.max(initial=0) <= span.max)


def _sparse(op: Synapse, delays: Array, doubled: int, source: Layout, target: Layout) -> Mapping[str, Array]:
    """Rows are target neurons, as scipy has it: `indptr`, `indices` (source neurons), `data`; `delays` beside it."""
    listed = to_sparse(op.map)
    sources = np.repeat(np.arange(listed.in_size), np.diff(listed.indptr))
    turned = from_triples(
        target.place()[listed.targets],
        source.place()[sources],
        listed.weight.astype(np.int32) << doubled,
        op.map.out_size,
        op.map.in_size,
    )
    arrays = {"indptr": turned.indptr.astype(np.int32), "indices": turned.targets, "data": _small(turned.weight)}
    if delays.any():
        arrays["delays"] = delays[source.order()][turned.targets].astype(np.int8)
    return arrays


def input_matrix(network: Network, population: str, target: Layout) -> Mapping[str, Array]:
    """All synapses of a population together, from the source in the network's order, as rows of target neurons."""
    parts: list[tuple[Array, Array, Array]] = []
    size = 0
    for name in synapses_of(network, population):
        op = network[name]
        assert isinstance(op, Synapse)
        listed = to_sparse(op.map)
        size = listed.in_size
        sources = np.repeat(np.arange(size), np.diff(listed.indptr))
        parts.append((target.place()[listed.targets], sources, listed.weight.astype(np.int32) << op.exponent))
    rows, columns, weights = (np.concatenate(each) for each in zip(*parts, strict=True))
    turned = from_triples(rows, columns, weights, target.size, size)
    return {"indptr": turned.indptr.astype(np.int32), "indices": turned.targets, "data": turned.weight}


def message_bits(network: Network, name: str) -> int:
    """0 for spikes, else the bits of the values that a source or population sends."""
    op = network[name]
    assert isinstance(op, (Source, Population))
    low, high = value_range(op)
    return 0 if (low, high) in {(0, 0), (0, 1)} else max(high.bit_length(), (~low).bit_length()) + (low < 0)


def outside(weight: Array) -> bool:
    """Whether weights are too wide for Lava in any sign mode."""
    _, doubled = _sign_mode(weight)
    wide = weight.astype(np.int64) << doubled
    return bool(wide.min(initial=0) < _LOWEST or wide.max(initial=0) > _HIGHEST)
