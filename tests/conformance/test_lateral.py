"""Lateral maps, stored as one number, on every backend: spikes and graded values, one's own neurons and others'."""

from __future__ import annotations

import numpy as np

from snncc.graph import Edge, Graph
from snncc.integers import (
    Decay,
    Fire,
    HardReset,
    IntOp,
    Membrane,
    Network,
    Output,
    Population,
    Register,
    Source,
    Synapse,
)
from snncc.linear import Dense, Lateral
from tests.conformance.backends import Candidate, assert_conforms, each_candidate

SIZE = 7


def neurons(threshold: int) -> Population:
    membrane = Membrane(Decay(np.array(3), 4, "floor"), Register(-500, 500, "saturate"))
    return Population((SIZE,), membrane, Fire(np.array(threshold), True), HardReset())


def competing() -> Network:
    """Neurons that inhibit each other a step later, by graded input beside it, and others that they excite at once."""
    weight = np.arange(SIZE * SIZE).reshape(SIZE, SIZE) % 23 - 5
    ops: dict[str, IntOp] = {
        "x": Source((SIZE,), 4, signed=True),
        "in": Synapse(Dense(weight.astype(np.int8))),
        "among inputs": Synapse(Lateral(np.array([-2], np.int8), SIZE), 1),
        "winners": neurons(40),
        "lateral": Synapse(Lateral(np.array([-9], np.int8), SIZE), 2),
        "on": Synapse(Lateral(np.array([5], np.int8), SIZE), axon_delays=np.arange(SIZE) % 3),
        "others": neurons(11),
        "y": Output("spikes", "after", "count"),
    }
    edges = [Edge("x", "in"), Edge("in", "winners"), Edge("x", "among inputs"), Edge("among inputs", "winners")]
    edges += [Edge("winners", "lateral", 1), Edge("lateral", "winners"), Edge("winners", "on"), Edge("on", "others")]
    return Graph(ops, [*edges, Edge("others", "y")])


@each_candidate
def test_lateral_maps(candidate: Candidate) -> None:
    x = np.random.default_rng(3).integers(-7, 8, (3, 12, SIZE))
    assert_conforms(candidate, competing(), x)
