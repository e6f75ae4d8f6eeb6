"""Small layer graphs for the tests of passes, and what to ask of two of them."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from snncc import contracts
from snncc.arrays import Array
from snncc.diagnostics import CompileError
from snncc.graph import Edge, Graph
from snncc.layers import Layer, Linear, Neuron, SoftReset
from snncc.passes.legalise import legalise
from snncc.semantics import run_float

ONE, HALF = np.asarray(1.0), np.asarray(0.5)


def same_run(before: Graph[Layer], after: Graph[Layer], x: Array) -> None:
    """Spikes, outputs and, where no reset was moved, membranes are equal to the last bit."""
    neurons = [name for name in after.of_kind(Neuron) if name in before.ops]
    one, other = (run_float(each, x, record=neurons) for each in (before, after))
    for name in neurons:
        assert np.array_equal(one.spikes[name], other.spikes[name]), name
        old, new = before.of_kind(Neuron)[name].reset, after.of_kind(Neuron)[name].reset
        if getattr(old, "delay", 0) == getattr(new, "delay", 0):
            assert np.array_equal(one.membranes[name], other.membranes[name]), name
    for name, value in one.outputs.items():
        assert np.array_equal(value, other.outputs[name]), name


def lif(*shape: int, **options: Any) -> Neuron:
    return Neuron(shape, HALF, ONE, reset=SoftReset(ONE), **options)


def chain(*named: tuple[str, Layer], extra: tuple[Edge, ...] = ()) -> Graph[Layer]:
    names = [name for name, _ in named]
    between = [Edge(one, other) for one, other in itertools.pairwise(names)]
    return Graph(dict(named), [*between, *extra])


def ramp(*shape: int) -> Array:
    return (np.arange(np.prod(shape)).reshape(shape) % 7 - 3) / 4


def weight_of(graph: Graph[Layer], name: str) -> Array:
    return graph.of_kind(Linear)[name].map.weight


def refusal(graph: Graph[Layer]) -> str:
    assert contracts.imported(graph) == ()
    with pytest.raises(CompileError) as raised:
        legalise(graph)
    return str(raised.value)
