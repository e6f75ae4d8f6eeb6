"""An integer network in floats: the same spikes and membranes, wherever nothing is rounded and nothing overflows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given

from snncc import classics, compiler
from snncc.diagnostics import CompileError
from snncc.frontends.model import Model
from snncc.frontends.onnx.dialect.write import onnx_bytes
from snncc.graph import Edge, Graph
from snncc.importing import import_model
from snncc.integers import Decay, Population, Register, Source, Synapse
from snncc.layers import Affine, Input, Neuron
from snncc.linear import Sparse
from snncc.passes.restate import restated
from snncc.passes.retime import links
from snncc.program import Program
from snncc.semantics import run, run_float
from tests.networks import Case, cases

WIDE = Register(-(1 << 40), 1 << 40)


def exact(decay: Decay) -> Decay:
    """All or nothing is kept."""
    full = 1 << decay.bits
    return replace(decay, amount=np.where(2 * decay.amount > full, full, 0))


def exactly(op: Any) -> Any:
    if isinstance(op, Source):
        return replace(op, scale=0.5)
    if not isinstance(op, Population):
        return op
    state = {"decay": exact(op.membrane.decay), "register": WIDE}
    current = op.current and replace(op.current, decay=exact(op.current.decay), register=WIDE)
    adapt = op.adapt and replace(op.adapt, decay=exact(op.adapt.decay), register=WIDE)
    return replace(op, membrane=replace(op.membrane, **state), current=current, adapt=adapt, scale=16.0)


@given(cases())
def test_it_gives_the_same_spikes_and_membranes(case: Case) -> None:
    network = Graph({name: exactly(op) for name, op in case.network.ops.items()}, case.network.edges)
    assume(all(link.edge >= 0 for link in links(network)))
    names = tuple(network.of_kind(Population))
    expected = run(network, case.x, lengths=case.lengths, record=names)
    found = run_float(restated(network), case.x * 0.5, lengths=case.lengths, record=names)
    for name in names:
        np.testing.assert_array_equal(found.spikes[name], expected.spikes[name])
        np.testing.assert_array_equal(found.membranes[name] * 16.0, expected.membranes[name])


def test_it_is_written_and_read_in_the_time_of_the_model(tmp_path: Any) -> None:
    graphs = []
    for target in ("host", "mesh64"):
        made = compiler.compile(classics.make("diehl-cook", classics.Shape(16, 8, steps=20)), target)
        assert isinstance(made, Program)
        graphs.append(restated(made.network))
    (tmp_path / "m.onnx").write_bytes(onnx_bytes(Model("m", graphs[1], 20)))
    graphs.append(import_model(tmp_path / "m.onnx").graph)
    for name in ("synapses", "lateral", "onward"):
        for other in graphs[1:]:
            assert other.incoming(name) == graphs[0].incoming(name)
            np.testing.assert_array_equal(other[name].weight, graphs[0][name].weight)
    read = graphs[2]["excitatory"]
    assert isinstance(read, Neuron)
    assert read.threshold is not None
    assert float(read.threshold) == pytest.approx(40.0 * 16 / 784, rel=1e-3)
    weight = graphs[2]["synapses"]
    assert isinstance(weight, Affine)
    np.testing.assert_allclose(weight.weight * 255, np.rint(weight.weight * 255), atol=1e-6)


@pytest.mark.parametrize(
    ("bits", "signed", "scale", "events"),
    [(1, False, 1.0, True), (1, False, 0.5, False), (2, True, 1.0, False), (8, False, 1.0, False)],
)
def test_only_what_is_0_and_1_are_events(bits: int, signed: bool, scale: float, events: bool) -> None:
    made = compiler.compile(classics.make("spikedyn", classics.Shape(16, 8, steps=20)))
    assert isinstance(made, Program)
    ops = {**made.network.ops, "input": Source((16,), bits, signed, scale)}
    found = restated(Graph(ops, made.network.edges))
    read = found["input"]
    assert isinstance(read, Input)
    assert read.events is events
    weight, before = found["synapses"], restated(made.network)["synapses"]
    assert isinstance(weight, Affine)
    assert isinstance(before, Affine)
    np.testing.assert_array_equal(weight.weight * scale, before.weight)


def test_what_no_model_can_say_is_refused() -> None:
    made = compiler.compile(classics.make("spikedyn", classics.Shape(16, 8, steps=20)))
    assert isinstance(made, Program)
    early = {name: replace(op, start=2) if isinstance(op, Population) else op for name, op in made.network.ops.items()}
    none = np.zeros(0, np.int64)
    large = Synapse(Sparse(np.zeros((1 << 26) + 1, np.int64), none.astype(np.int32), none.astype(np.int8), 8))
    source = Source((1 << 26,))
    ops = {**early, "input": source, "synapses": large}
    edges = [Edge(edge.source, edge.target, edge.delay) for edge in made.network.edges]
    with pytest.raises(CompileError) as caught:
        restated(Graph(ops, edges))
    assert str(caught.value) == (
        "error[cannot-restate]: synapses: reads input 2 steps before that is computed\n"
        "  = hint: compile the model again\n"
        "error[cannot-restate]: synapses: would be a matrix of 536,870,912 weights; 268,435,456 are possible\n"
        "  = hint: write a program, by the name of a folder"
    )
