"""Networks in a Scan or a Loop: hand-written bodies, and what the user reads about loops that are no network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from snncc.diagnostics import CompileError
from snncc.frontends import read_model
from snncc.layers import Neuron, Output, size
from snncc.semantics import decode, run_float

from .step_graphs import StepGraph, runtime

FLOAT, LONG, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
BODY = [
    "leaked = Mul v beta",
    "h = Add leaked current",
    "fired = Greater h theta",
    "s = Cast fired to=1",
    "v1 = Sub h s",
]


def info(name: str, kind: int = FLOAT, shape: Any = None) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def nodes(lines: list[str]) -> list[onnx.NodeProto]:
    """`y = Op a b attribute=1`."""
    made: list[onnx.NodeProto] = []
    for line in lines:
        output, call = line.split(" = ")
        op, *words = call.split()
        attributes = {key: int(value) for key, value in (word.split("=") for word in words if "=" in word)}
        made.append(helper.make_node(op, [w for w in words if "=" not in w], output.split(","), **attributes))
    return made


def scan(lines: list[str] | None = None, steps: Any = "T", **attributes: Any) -> StepGraph:
    """A linear layer for all steps at once, then a Scan over one population of neurons."""
    graph = StepGraph()
    rng = np.random.default_rng(3)
    graph.input("x", (steps, 1, 4))
    graph.constant("w", rng.normal(size=(4, 3)))
    for name, value in (("beta", 0.8), ("theta", 1.0)):
        graph.constant(name, value)
    graph.constant("v0", np.zeros((1, 3)))
    graph.node("MatMul", ["x", "w"], "currents")
    body = helper.make_graph(
        nodes(BODY if lines is None else lines),
        "step",
        [info("v", shape=(1, 3)), info("current", shape=(1, 3))],
        [info("v1"), info("s")],
    )
    inputs = attributes.pop("inputs", ["v0", "currents"])
    graph.node("Scan", inputs, ["v_end", "y"], name="time", body=body, num_scan_inputs=1, **attributes)
    graph.output("y")
    return graph


def loop(body: list[str], *, trips: int | None = 5, going: str = "true") -> StepGraph:
    """A Loop of one population over a sequence of five steps."""
    graph = StepGraph()
    graph.input("x", (5, 1, 3))
    for name, value in (("beta", 0.8), ("theta", 1.0)):
        graph.constant(name, value)
    graph.constant("v0", np.zeros((1, 3)))
    graph.constant("true", True, np.bool_)
    graph.constant("trips", trips or 0, np.int64)
    inner = helper.make_graph(
        nodes(body),
        "step",
        [info("now", LONG, []), info("go", BOOL, []), info("v", shape=(1, 3))],
        [info("still", BOOL, []), info("v1"), info("s")],
    )
    start = going
    if going == "data":
        graph.node("ReduceSum", ["x"], "total", keepdims=0)
        graph.node("Greater", ["total", "theta"], "data")
        start = "data"
    graph.node("Loop", ["trips" if trips else "", start, "v0"], ["v_end", "y"], name="time", body=inner)
    graph.output("y")
    return graph


PICK = ["current = Gather x now axis=0", "still = Identity go"]


def said(graph: StepGraph, folder: Path) -> str:
    with pytest.raises(CompileError) as caught:
        read_model(graph.save(folder))
    return str(caught.value)


def agrees(graph: StepGraph, folder: Path, shape: tuple[int, ...], steps: int) -> None:
    """The first output over all steps equals ONNX Runtime's."""
    path = graph.save(folder)
    model = read_model(path)
    x = np.random.default_rng(0).normal(0.5, 1.5, (steps, 1, *shape)).astype(np.float32)
    wanted = runtime(onnx.load(path)).run(None, {"x": x})[0]
    (output,) = model.graph.of_kind(Output).values()
    (found,) = run_float(model.graph, x.reshape(1, steps, *shape), steps).outputs.values()
    found = found if output.decoder is None else decode(found, output.decoder)
    assert wanted.any()
    np.testing.assert_allclose(found.reshape(-1), wanted.reshape(-1), atol=1e-5)


def test_a_scan_with_a_linear_layer_before_it(tmp_path: Path) -> None:
    agrees(scan(), tmp_path, (4,), 30)


def test_a_scan_of_a_known_length_says_how_many_steps_there_are(tmp_path: Path) -> None:
    assert read_model(scan(steps=12).save(tmp_path)).steps == 12
    assert read_model(scan().save(tmp_path)).steps is None


@pytest.mark.parametrize(("op", "decoder"), [("ReduceSum", "count"), ("ReduceMean", "mean"), ("ReduceMax", "max")])
def test_what_a_scan_comes_to_becomes_the_decoder(op: str, decoder: str, tmp_path: Path) -> None:
    graph = scan()
    graph.outputs.clear()
    if op == "ReduceSum":
        graph.node(op, ["y", graph.constant("axis", [0], np.int64)], "total", keepdims=0)
    else:
        graph.node(op, ["y"], "total", keepdims=0, axes=[0])
    graph.output("total")
    (output,) = read_model(graph.save(tmp_path)).graph.of_kind(Output).values()
    assert output.decoder == decoder


def test_a_sum_divided_by_the_number_of_steps_is_a_mean(tmp_path: Path) -> None:
    graph = scan()
    graph.outputs.clear()
    graph.node("ReduceSum", ["y", graph.constant("axis", [0], np.int64)], "total", keepdims=0)
    graph.node("Shape", ["x"], "sizes")
    graph.node("Gather", ["sizes", graph.constant("zero", 0, np.int64)], "count")
    graph.node("Cast", ["count"], "steps", to=FLOAT)
    graph.node("Div", ["total", "steps"], "mean")
    graph.output("mean")
    (output,) = read_model(graph.save(tmp_path)).graph.of_kind(Output).values()
    assert output.decoder == "mean"


def test_the_last_membrane_is_read_out(tmp_path: Path) -> None:
    graph = scan()
    graph.outputs.clear()
    graph.output("v_end")
    (output,) = read_model(graph.save(tmp_path)).graph.of_kind(Output).values()
    assert (output.value, output.decoder) == ("membrane", "last")
    agrees(graph, tmp_path, (4,), 30)


def test_a_loop_over_the_first_axis(tmp_path: Path) -> None:
    agrees(loop([*PICK, *BODY]), tmp_path, (3,), 5)


def test_a_loop_over_a_static_input_counts_its_own_steps(tmp_path: Path) -> None:
    graph = loop(["current = Identity frame", "still = Identity go", *BODY], trips=7)
    graph.inputs.clear()
    graph.input("frame", (1, 3))
    assert read_model(graph.save(tmp_path)).steps == 7


def test_first_states_that_are_not_zero_are_kept(tmp_path: Path) -> None:
    graph = scan()
    graph.initializers[:] = [each for each in graph.initializers if each.name != "v0"]
    graph.constant("v0", [[0.5, -0.25, 2.0]])
    agrees(graph, tmp_path, (4,), 20)
    (neuron,) = read_model(graph.save(tmp_path)).graph.of_kind(Neuron).values()
    np.testing.assert_array_equal(neuron.initial, [0.5, -0.25, 2.0])


def test_a_scan_backwards_is_refused(tmp_path: Path) -> None:
    assert said(scan(scan_input_directions=[1]), tmp_path) == (
        "error[backward-scan]: time: Scan runs backwards through time\n"
        "  = hint: a chip sees the steps in the order in which they come: scan forward"
    )


def test_a_loop_whose_end_depends_on_the_data_is_refused(tmp_path: Path) -> None:
    graph = loop([*PICK, *BODY], going="data")
    endless = (
        "error[control-flow]: time: Loop whose end depends on the data\n"
        "  = hint: loop over the first axis of the input, or a fixed number of times"
    )
    assert said(graph, tmp_path) == endless
    body = ["current = Gather x now axis=0", "still = Not go", *BODY]
    assert said(loop(body), tmp_path) == (
        "error[control-flow]: time: Loop whose end depends on the data\n  = hint: give a number of iterations"
    )
    assert said(loop([*PICK, *BODY], trips=None), tmp_path) == endless


def test_a_loop_of_another_length_than_the_input_is_refused(tmp_path: Path) -> None:
    assert said(loop([*PICK, *BODY], trips=3), tmp_path).startswith(
        "error[mixes-steps]: time: Loop runs 3 times, over 5 time steps\n"
    )


def test_a_state_that_starts_from_the_data_is_refused(tmp_path: Path) -> None:
    graph = scan(inputs=["first", "currents"])
    graph.node("MatMul", ["f", "w"], "first")
    graph.input("f", (1, 4))
    graph.nodes.insert(0, graph.nodes.pop())
    assert said(graph, tmp_path) == (
        "error[initial-state]: time: the state first starts from a value of the data\n"
        "  = hint: start the loop from constants, or from inputs of the model"
    )


def test_parameters_that_change_from_step_to_step_are_refused(tmp_path: Path) -> None:
    graph = scan(steps=5)
    graph.constant("noise", np.arange(15).reshape(5, 1, 3))
    graph.node("Add", ["currents", "noise"], "noisy")
    graph.nodes.insert(1, graph.nodes.pop())
    graph.nodes[2].input[1] = "noisy"
    assert said(graph, tmp_path) == (
        "error[changing-parameter]: node_noisy: noise differs from step to step\n"
        "  = hint: a neuron's parameters must be the same at every step"
    )


def test_a_layer_after_the_read_out_is_refused(tmp_path: Path) -> None:
    graph = scan()
    graph.outputs.clear()
    graph.node("ReduceMean", ["y"], "mean", keepdims=0, axes=[0])
    graph.node("MatMul", ["mean", graph.constant("late", np.ones((3, 2)))], "out")
    graph.output("out")
    assert said(graph, tmp_path) == (
        "error[after-readout]: node_out: MatMul computes with what all steps came to\n"
        "  = hint: let the network end in the sum, mean, maximum or last value over time"
    )


@pytest.mark.parametrize("read_out", ["mean", "v_end"])
@pytest.mark.parametrize(("op", "more"), [("LogSoftmax", {"axis": 1}), ("ArgMax", {"axis": -1}), ("Sigmoid", {})])
def test_what_only_ranks_scores_at_the_end_is_left_out(
    op: str, more: dict[str, Any], read_out: str, tmp_path: Path
) -> None:
    graph = scan()
    graph.outputs.clear()
    graph.node("ReduceMean", ["y"], "mean", keepdims=0, axes=[0])
    graph.node(op, [read_out], "scores", name="last", **more)
    graph.output("scores")
    model = read_model(graph.save(tmp_path))
    (output,) = model.graph.of_kind(Output).values()
    assert output.decoder == ("mean" if read_out == "mean" else "last")
    assert size(output.shape) == 3
    assert [str(each) for each in model.warnings] == [
        f"warning[last-activation]: last: this {op} is left out: the output is what it reads, and the highest score "
        "stays the highest"
    ]


def test_what_computes_with_ranked_scores_is_refused(tmp_path: Path) -> None:
    graph = scan()
    graph.outputs.clear()
    graph.node("Softmax", ["v_end"], "scores", axis=1)
    graph.node("Neg", ["scores"], "out")
    graph.output("out")
    assert said(graph, tmp_path).startswith(
        "error[after-readout]: node_out: Neg computes with what all steps came to\n"
    )


def test_a_softmax_over_samples_is_refused(tmp_path: Path) -> None:
    """Every score of one sample would be 1."""
    graph = scan()
    graph.outputs.clear()
    graph.node("ReduceMean", ["y"], "mean", keepdims=0, axes=[0])
    graph.node("Softmax", ["mean"], "out", axis=0)
    graph.output("out")
    assert said(graph, tmp_path).startswith("error[after-readout]: node_out: Softmax computes with what all steps")


@pytest.mark.parametrize("attribute", ["num_scan_inputs", "scan_input_axes", "scan_output_axes"])
def test_damaged_attributes_are_refused(attribute: str, tmp_path: Path) -> None:
    graph = scan()
    node = graph.nodes[-1]
    for each in [each for each in node.attribute if each.name == attribute]:
        node.attribute.remove(each)
    node.attribute.append(helper.make_attribute(attribute, 7 if attribute == "num_scan_inputs" else [3, 4]))
    assert "error[" in said(graph, tmp_path)
