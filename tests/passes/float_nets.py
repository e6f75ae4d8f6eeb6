"""Small legal networks in floats for the tests of quantisation, and how near an integer network comes to them."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np

from snncc import chip as chips
from snncc.arrays import Array
from snncc.data import to_integers
from snncc.graph import Edge, Graph
from snncc.integers import Network, Source
from snncc.layers import Adapt, Current, HardReset, Input, Layer, Linear, Neuron, Output, SoftReset
from snncc.linear import Conv, Dense, LinearMap
from snncc.passes.quantise import Samples
from snncc.semantics import run, run_float

HOST = chips.load("host")


def number(value: float) -> Array:
    return np.asarray(value, np.float64)


def net(
    *weights: Array, neuron: Neuron | None = None, events: bool = False, last: Neuron | None = None, **output: Any
) -> Graph[Layer]:
    """A chain of dense maps and neurons: `neuron` throughout, but `last` at the end."""
    base = neuron or Neuron((), number(0.9), number(1.0), reset=SoftReset(number(1.0)))
    ops: dict[str, Layer] = {"x": Input((weights[0].shape[1],), events)}
    for index, weight in enumerate(weights):
        form = last if last is not None and index == len(weights) - 1 else base
        ops[f"w{index}"] = Linear(Dense(weight), (len(weight),))
        ops[f"p{index}"] = replace(form, shape=(len(weight),))
    ops["y"] = Output(ops[f"p{len(weights) - 1}"].shape, **output)
    names = list(ops)
    return Graph(ops, [Edge(one, other) for one, other in itertools.pairwise(names)])


def random_net(seed: int, *sizes: int, **options: Any) -> Graph[Layer]:
    rng = np.random.default_rng(seed)
    pairs = itertools.pairwise(sizes)
    return net(*(rng.normal(0.1, 1.5 / np.sqrt(a), (b, a)).astype(np.float32) for a, b in pairs), **options)


def spike_samples(seed: int, *shape: int, rate: float = 0.4) -> Samples:
    return Samples((np.random.default_rng(seed).random(shape) < rate).astype(np.float32))


def agreement(graph: Graph[Layer], network: Network, samples: Samples) -> float:
    """The share of spikes of all populations that are those of the float network."""
    names = list(graph.of_kind(Neuron))
    source = next(iter(network.of_kind(Source).values()))
    one = run_float(graph, samples.x, record=names)
    other = run(network, to_integers(source, samples.x), record=names)
    same = [(one.spikes[name] == other.spikes[name]).mean() for name in names]
    return float(np.mean(same))


NEURONS = {
    "if": Neuron((), number(1.0), number(1.0), reset=SoftReset(number(1.0))),
    "inclusive": Neuron((), number(0.75), number(1.0), inclusive=True, reset=SoftReset(number(1.0))),
    "late": Neuron((), number(0.9), number(1.0), reset=SoftReset(number(1.0), 1)),
    "hard": Neuron((), number(0.8), number(1.0), reset=HardReset(number(-0.2))),
    "current": Neuron((), number(0.8), number(1.0), reset=HardReset(number(0.0)), current=Current(number(0.6))),
    "held": Neuron((), number(0.9), number(1.0), reset=HardReset(number(0.0)), refractory=2),
    "bias": Neuron((), number(0.9), number(1.0), reset=SoftReset(number(1.0)), bias=number(0.05)),
    "clamped": Neuron((), number(1.0), number(1.0), reset=SoftReset(number(1.0)), minimum=number(-1.0)),
    "many": Neuron((), number(0.9), number(1.0), inclusive=True, reset=SoftReset(number(1.0)), max_spikes=3),
    "adaptive": Neuron(
        (), number(0.9), number(1.0), reset=SoftReset(number(1.0)), adapt=Adapt(number(0.95), number(0.1))
    ),
    "stateless": Neuron((), number(0.0), number(1.0), inclusive=True),
}


def convolved(conv: Conv, neuron: Neuron, *shape: int) -> Graph[Layer]:
    """One convolution of spikes into a population of a shape."""
    return single(conv, conv.in_shape, replace(neuron, shape=shape))


def single(linear: LinearMap, in_shape: tuple[int, ...], neuron: Neuron) -> Graph[Layer]:
    """One map of spikes into one population."""
    ops: dict[str, Layer] = {
        "x": Input(in_shape, events=True),
        "w": Linear(linear, neuron.shape),
        "p": neuron,
        "y": Output(neuron.shape),
    }
    return Graph(ops, [Edge("x", "w"), Edge("w", "p"), Edge("p", "y")])
