"""Every rule about a mapped network, with the exact words in which it is broken."""

from __future__ import annotations

import numpy as np
import pytest

from snncc.diagnostics import CompileError
from snncc.graph import Edge, Graph
from snncc.integers import Decay, Fire, HardReset, Membrane, Network, Output, Population, Register, Source, Synapse
from snncc.linear import Dense
from snncc.passes.map import map_network
from tests.chips import mesh_chip

MEMBRANE, FIRE = Membrane(Decay(np.asarray(64), 8, "nearest"), Register(-999, 999)), Fire(np.asarray(9), inclusive=True)


def dense(inputs: int, *sizes: int) -> Network:
    """Layers fc1, fc2, ... that are connected all to all, each population of the same name with `lif`."""
    ops: dict[str, object] = {"x": Source((inputs,))}
    edges, before = [], "x"
    for number, (size, read) in enumerate(zip(sizes, (inputs, *sizes[:-1]), strict=True), 1):
        ops[f"fc{number}"] = Synapse(Dense(np.full((size, read), 3, np.int8)))
        ops[f"lif{number}"] = Population((size,), MEMBRANE, FIRE, HardReset())
        edges += [Edge(before, f"fc{number}"), Edge(f"fc{number}", f"lif{number}")]
        before = f"lif{number}"
    ops["y"] = Output("spikes", "after", "count")
    return Graph(ops, [*edges, Edge(before, "y")])  # type: ignore[arg-type]


def said(network: Network, **limits: int) -> list[str]:
    with pytest.raises(CompileError) as caught:
        map_network(network, mesh_chip(2, 1, **limits))
    return [str(each) for each in caught.value.diagnostics]


def test_a_network_that_fits_breaks_no_rule() -> None:
    assert map_network(dense(4, 3, 2), mesh_chip(2, 1, neurons=3)).placement.cores["lif2"].tolist() == [1, 1]


def test_there_are_enough_cores() -> None:
    (found,) = said(dense(4, 3, 4), neurons=3)
    assert found.startswith("error[too-many-cores]: the network: needs 3 cores; chip1 has 2")
