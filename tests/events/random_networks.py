"""Random event-driven networks for hypothesis: several populations, skips, biases, leaks, tight registers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from snncc.arrays import Array
from snncc.events.ops import EventNetwork, EventOp, EventPopulation, EventSource
from snncc.graph import Edge
from snncc.integers import Output, Register, Synapse
from snncc.linear import Dense


@dataclass(frozen=True, eq=False)
class Case:
    """A network, and spikes x (samples, steps, *shape) with the samples' own lengths."""

    network: EventNetwork
    x: Array
    lengths: Array

    def __repr__(self) -> str:
        return f"{self.network.text()}on x {self.x.shape}, lengths {self.lengths.tolist()}"


@st.composite
def cases(draw: Any, most: int = 12) -> Case:
    """A random network on random input."""
    network = draw(networks(most))
    random = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    samples, steps = draw(st.integers(1, 3)), draw(st.integers(1, 8))
    x = random.random((samples, steps, *network.source.shape)) < draw(st.sampled_from((0.1, 0.5, 1.0)))
    return Case(network, x.astype(np.int64), random.integers(1, steps, samples, endpoint=True))


@st.composite
def networks(draw: Any, most: int = 12) -> EventNetwork:
    """One to three populations, each fed by the source or by populations before it."""
    random = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    shape = draw(st.sampled_from([(3,), (2, 2), (7,)]))
    always = draw(st.integers(0, 2))
    channels = int(np.prod(shape)) + always
    ops: dict[str, EventOp] = {"x": EventSource(shape, always=always, order=random.permutation(channels))}
    edges: list[Edge] = []
    sizes = {"x": channels}
    bias = draw(st.sampled_from((-2, 0, 3)))
    leaky = draw(st.booleans())
    for index in range(draw(st.integers(1, 3))):
        name, size = f"p{index}", draw(st.integers(1, most))
        for source in draw(st.lists(st.sampled_from(sorted(sizes)), min_size=1, max_size=3)):
            synapse = f"{source}.{name}.{len(ops)}"
            weight = np.clip(random.integers(-8, 8, (size, sizes[source])) + bias, -8, 7)
            ops[synapse] = Synapse(Dense(weight))
            edges += [Edge(source, synapse), Edge(synapse, name)]
        threshold = random.integers(1, draw(st.sampled_from((2, 12, 60, 4096))), size)
        ops[name] = EventPopulation(
            (size,),
            threshold,
            random.integers(0, 20, size) if leaky else np.zeros(size, np.int64),
            np.minimum(random.integers(-30, 30, size), threshold - 1) * draw(st.integers(0, 1)),
            Register(*draw(st.sampled_from(((-2048, 2047), (-40, 47))))),
        )
        sizes[name] = size
    for name in [each for each in sizes if each != "x"]:
        ops[f"{name}/y"] = Output("spikes", "after", "count")
        edges.append(Edge(name, f"{name}/y"))
    return EventNetwork(ops, edges)
