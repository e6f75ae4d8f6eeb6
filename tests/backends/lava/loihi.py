"""Random networks of Loihi's arithmetic, most of whose populations Lava's own LIF expresses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

from snncc.arrays import Array, Shape
from snncc.backends.lava.stock import U, V
from snncc.graph import Edge, Graph
from snncc.integers import (
    Current,
    Decay,
    Fire,
    HardReset,
    IntOp,
    Membrane,
    Network,
    Output,
    Population,
    Source,
    Synapse,
)
from snncc.linear import Conv, Dense, LinearMap, Sparse
from snncc.passes.retime import retime
from tests.conformance.backends import LATE
from tests.networks import Case


def decay(amount: int) -> Decay:
    """A decay as Lava has it."""
    return Decay(np.array(amount), 12, "zero")


def lif(shape: Shape, threshold: int = 64, *, dv: int = 0, du: int | None = None, bias: Array | int = 0) -> Population:
    """A population that is stock if the threshold is a multiple of 64; `du` is the amount of the current's decay."""
    current = None if du is None else Current(decay(du), U)
    membrane = Membrane(decay(dv), V, np.asarray(bias, np.int64))
    return Population(shape, membrane, Fire(np.array(threshold), inclusive=False), HardReset(), current, input_shift=6)


@st.composite
def cases(draw: Any) -> Case:
    """A random network, retimed, on random input, with samples that differ in length."""
    network = retime(draw(networks()), LATE)
    ((_, source),) = network.of_kind(Source).items()
    samples, steps = draw(st.integers(1, 4)), draw(st.integers(1, 9))
    lengths = np.array(draw(st.lists(st.integers(1, steps), min_size=samples, max_size=samples)))
    numbers = _generator(draw)
    x = numbers.integers(source.lowest, source.highest, (samples, steps, *source.shape), endpoint=True)
    return Case(network, x, lengths)


@st.composite
def networks(draw: Any) -> Network:
    """A source, one to four populations, each fed by one or two of those before it, and up to two ways back."""
    shape = draw(st.sampled_from(((5,), (2, 4, 5), (3, 1, 6))))
    bits, signed = draw(st.sampled_from(((1, False), (1, False), (4, False), (4, True))))
    senders: dict[str, Source | Population] = {"x": Source(shape, bits, signed)}
    synapses: dict[str, IntOp] = {}
    edges: list[Edge] = []

    def connect(source: str, target: str, delay: int, conv: Conv | None = None) -> None:
        name = f"{source} to {target} {len(synapses)}"
        synapses[name] = draw(_synapses(senders[source].shape, senders[target].shape, conv))
        edges.extend([Edge(source, name, delay), Edge(name, target)])

    count = draw(st.integers(1, 4))
    for number in range(count):
        feeders = draw(st.lists(st.sampled_from(list(senders)), min_size=1, max_size=2, unique=True))
        first = senders[feeders[0]].shape
        conv = draw(_convolutions(first)) if len(first) == 3 and draw(st.booleans()) else None
        own = conv.out_shape if conv else draw(st.sampled_from(((3,), (2, 2, 2))))
        senders[f"p{number}"] = draw(_populations(own))
        for index, feeder in enumerate(feeders):
            connect(feeder, f"p{number}", draw(st.sampled_from((0, 0, 0, 2))), None if index else conv)
    for _ in range(draw(st.sampled_from((0, 0, 0, 1, 2)))):
        source, target = draw(st.tuples(*[st.integers(0, count - 1)] * 2))
        connect(f"p{source}", f"p{target}", abs(source - target) + draw(st.integers(1, 2)))
    output = Output(draw(st.sampled_from(("spikes", "membrane"))), "after", "count")
    return Graph({**senders, **synapses, "y": output}, [*edges, Edge(f"p{count - 1}", "y")])


def _generator(draw: Any) -> np.random.Generator:
    return np.random.default_rng(draw(st.integers(0, 1 << 32)))


@st.composite
def _populations(draw: Any, shape: Shape) -> Population:
    bias: Array | int = 0
    if draw(st.integers(0, 2)) == 0:
        bias = _generator(draw).integers(-40, 90, shape) << draw(st.integers(0, 7))
    du = draw(st.sampled_from((None, None, 1, 300, 4095, 4096)))
    dv = draw(st.sampled_from((0, 1, 410, 2048, 4095)))
    threshold = draw(st.sampled_from((0, 1, 7, 20, 300, 40000))) << 6
    op = lif(shape, threshold, dv=dv, du=du, bias=bias)
    return op if draw(st.integers(0, 3)) else replace(op, fire=None, reset=None)


@st.composite
def _synapses(draw: Any, source: Shape, target: Shape, conv: Conv | None) -> Synapse:
    in_size, out_size = int(np.prod(source)), int(np.prod(target))
    linear: LinearMap = conv or Dense(_weights(draw, (out_size, in_size)))
    if conv is None and draw(st.booleans()):
        mask = _generator(draw).random((in_size, out_size)) < draw(st.sampled_from((0.0, 0.4, 0.8)))
        sources, targets = np.nonzero(mask)
        indptr = np.concatenate([[0], np.cumsum(np.bincount(sources, minlength=in_size))])
        linear = Sparse(indptr, targets, _weights(draw, (len(targets),)), out_size)
    axons = _generator(draw).integers(0, 4, in_size) if draw(st.integers(0, 5)) == 0 else None
    return Synapse(linear, draw(st.sampled_from((0, 0, 1, 3, 7))), axons)


@st.composite
def _convolutions(draw: Any, in_shape: Shape) -> Conv:
    channels, height, width = in_shape
    groups = draw(st.sampled_from([each for each in (1, 2, 3) if channels % each == 0]))
    rows, columns = draw(st.integers(0, 1)), draw(st.integers(0, 2))
    heights, widths = (range(1, min(3, each) + 1) for each in (height + 2 * rows, width + 2 * columns))
    kernel = draw(st.sampled_from(heights)), draw(st.sampled_from(widths))
    gaps = (1, 2) if kernel[1] * 2 - 1 <= width + 2 * columns else (1,)
    weight = _weights(draw, (groups * draw(st.integers(1, 2)), channels // groups, *kernel))
    stride = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    padding = (rows, columns, rows, columns) if draw(st.integers(0, 3)) else (rows, columns, rows + 1, columns)
    return Conv(weight, in_shape, stride, padding, (1, draw(st.sampled_from(gaps))), groups)


def _weights(draw: Any, shape: Shape) -> Array:
    most = draw(st.sampled_from((1, 30, 127)))
    low, high = draw(st.sampled_from(((-most, most), (-most, most), (0, most), (-most, 0))))
    return _generator(draw).integers(low, high, shape, endpoint=True).astype(np.int8)
