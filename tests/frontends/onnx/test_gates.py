"""Gates on spikes become neurons without a memory; a maximum of other values is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from snncc.diagnostics import CompileError
from snncc.frontends import read_model
from snncc.layers import Neuron
from snncc.semantics import run_float

from .step_graphs import StepGraph, runtime


def spikes_of_two() -> StepGraph:
    """Two maps of spikes a and b, (1, 2, 4, 4), from x of the same shape."""
    graph = StepGraph()
    graph.input("x", (1, 2, 4, 4))
    for name, edge in (("a", 0.9), ("b", -0.2)):
        swap = [graph.constant("swapped", [1, 0], np.int64)] if name == "b" else []
        read = graph.node("Gather", ["x", *swap], "other", axis=1) if swap else "x"
        fired = graph.node("Greater", [read, graph.constant(f"{name}_edge", edge)], f"{name}_fired")
        graph.node("Cast", [fired], name, to=TensorProto.FLOAT)
    return graph


def agrees(graph: StepGraph, folder: Path) -> None:
    path = graph.save(folder)
    model = read_model(path)
    session = runtime(onnx.load(path))
    x = np.random.default_rng(0).normal(size=(50, 2, 4, 4)).astype(np.float32)
    wanted = np.array([session.run(None, {"x": frame[None]})[0].reshape(-1) for frame in x])
    (found,) = run_float(model.graph, x[None], len(x)).outputs.values()
    assert 0 < wanted.mean() < 1
    np.testing.assert_array_equal(found[0], wanted)


@pytest.mark.parametrize("op", ["Mul", "Min", "Max"])
def test_a_gate_of_two_populations(op: str, tmp_path: Path) -> None:
    graph = spikes_of_two()
    graph.node(op, ["a", "b"], "y")
    graph.output("y")
    agrees(graph, tmp_path)
    assert len(read_model(tmp_path / "net.onnx").graph.of_kind(Neuron)) == 3


def test_a_gate_with_inverted_spikes(tmp_path: Path) -> None:
    graph = spikes_of_two()
    graph.node("Sub", [graph.constant("one", 1.0), "a"], "not_a")
    graph.node("Mul", ["not_a", "b"], "y")
    graph.output("y")
    agrees(graph, tmp_path)


def test_an_or_written_as_a_sum_less_a_product(tmp_path: Path) -> None:
    graph = spikes_of_two()
    graph.node("Sub", [graph.node("Add", ["a", "b"], "sum"), graph.node("Mul", ["a", "b"], "both")], "y")
    graph.output("y")
    agrees(graph, tmp_path)


@pytest.mark.parametrize(
    ("op", "attributes"),
    [
        ("MaxPool", {"kernel_shape": [2, 2], "strides": [2, 2]}),
        ("MaxPool", {"kernel_shape": [3, 2], "strides": [1, 2], "pads": [1, 0, 1, 0]}),
        ("MaxPool", {"kernel_shape": [2, 2], "strides": [2, 2], "dilations": [2, 1], "ceil_mode": 1}),
        ("GlobalMaxPool", {}),
        ("ReduceMax", {"axes": [2], "keepdims": 0}),
        ("ReduceMax", {"axes": [1, 3], "keepdims": 1}),
    ],
)
def test_a_maximum_over_spikes_is_an_or(op: str, attributes: dict[str, Any], tmp_path: Path) -> None:
    graph = spikes_of_two()
    graph.node(op, ["a"], "y", **attributes)
    graph.output("y")
    agrees(graph, tmp_path)


@pytest.mark.parametrize("op", ["MaxPool", "GlobalMaxPool", "ReduceMax"])
def test_a_maximum_of_currents_is_refused(op: str, tmp_path: Path) -> None:
    graph = spikes_of_two()
    window = {"kernel_shape": [2, 2]} if op == "MaxPool" else {"axes": [2]} if op == "ReduceMax" else {}
    graph.node(op, ["x"], "pooled", name="pool", **window)
    graph.node("Greater", ["pooled", "a_edge"], "fired")
    graph.node("Cast", ["fired"], "y", to=TensorProto.FLOAT)
    graph.output("y")
    with pytest.raises(CompileError) as caught:
        read_model(graph.save(tmp_path))
    assert str(caught.value) == (
        f"error[analog-maximum]: pool: {op} takes the largest of values that are not spikes of 0 and 1\n"
        "  = hint: put it behind the neurons, where it is an OR of spikes, or use average pooling"
    )


def test_a_product_of_currents_is_refused(tmp_path: Path) -> None:
    graph = spikes_of_two()
    graph.node("Mul", ["x", "a"], "y", name="gated")
    graph.output("y")
    with pytest.raises(CompileError):
        read_model(graph.save(tmp_path))


def test_ops_that_do_nothing_are_left_out(tmp_path: Path) -> None:
    """As in a pool by the L1 norm: sign(x) * relu(|x|), and powers of 1."""
    graph = spikes_of_two()
    graph.node("AveragePool", ["a"], "pooled", kernel_shape=[2, 2])
    graph.node("Relu", [graph.node("Abs", ["pooled"], "size")], "size2")
    graph.node("Mul", [graph.node("Sign", ["pooled"], "sign"), "size2"], "same")
    graph.node("Pow", ["same", graph.constant("one", 1.0)], "power")
    graph.node("GreaterOrEqual", ["power", graph.constant("half", 0.5)], "fired")
    graph.node("Cast", ["fired"], "y", to=TensorProto.FLOAT)
    graph.output("y")
    agrees(graph, tmp_path)
