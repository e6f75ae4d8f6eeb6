"""What the user reads about a network that cannot be imported: exact texts, all faults at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from snncc.diagnostics import CompileError
from snncc.frontends import read_model

from .step_graphs import StepGraph, agrees, two_layers

DAMAGED = "  = hint: the file is damaged: export it again"


def said(path: Path) -> str:
    with pytest.raises(CompileError) as caught:
        read_model(path)
    return str(caught.value)


def beside(op: str, *others: Any, **attributes: Any) -> StepGraph:
    """Two layers, and a node `odd` that reads x and gives an output."""
    graph = two_layers()
    names = [graph.constant(f"odd_{i}", each, np.asarray(each).dtype) for i, each in enumerate(others)]
    graph.node(op, ["x", *names], "odd", name="odd", **attributes)
    graph.output("odd")
    return graph


def test_every_unsupported_node_is_named(tmp_path: Path) -> None:
    graph = two_layers()
    graph.node("Softmax", ["fc1"], "a", name="soft")
    graph.node("Relu", ["a"], "after", name="after")
    graph.node("ArgMax", ["fc1"], "b", name="best")
    graph.output("after")
    graph.output("b")
    hint = "leave it out of the export: the decoder takes the highest score"
    assert said(graph.save(tmp_path)) == (
        f"error[unsupported-op]: soft: Softmax is not supported here\n  = hint: {hint}\n"
        f"error[unsupported-op]: best: ArgMax is not supported here\n  = hint: {hint}"
    )


def test_custom_ops_without_a_body_are_listed(tmp_path: Path) -> None:
    graph = beside("Quantise", domain="my.ops")
    assert said(graph.save(tmp_path)) == (
        "error[custom-op]: odd: my.ops::Quantise is a custom op, and the file does not say what it computes\n"
        "  = hint: export it as a function of the model (FunctionProto), or in terms of standard ONNX ops"
    )


def test_an_activation_between_neurons_is_named(tmp_path: Path) -> None:
    graph = two_layers()
    graph.node("Relu", ["fc1"], "r", name="my_relu")
    graph.output("r")
    assert said(graph.save(tmp_path)) == (
        "error[not-a-neuron]: my_relu: Relu acts on values that are no neuron's membrane\n"
        "  = hint: only neurons may be nonlinear: train with spiking neurons instead of this activation"
    )


def test_an_ordinary_network_is_called_one(tmp_path: Path) -> None:
    graph = StepGraph()
    graph.input("x", (1, 4))
    graph.node("Relu", [graph.node("Gemm", ["x", graph.constant("w", np.ones((4, 4)))], "fc")], "y")
    graph.output("y")
    assert said(graph.save(tmp_path)) == (
        "error[no-spiking-neurons]: net.onnx: is an ordinary neural network (ANN) with 1 Relu: nothing in it keeps a "
        "state from step to step, compares it with a threshold and fires\n"
        "  = hint: train a spiking network; or let spike rates stand for its values: --convert rate --samples FILE "
        "--steps N"
    )


def test_a_linear_network_is_called_one(tmp_path: Path) -> None:
    graph = StepGraph()
    graph.input("x", (1, 4))
    graph.node("Gemm", ["x", graph.constant("w", np.ones((4, 4)))], "y")
    graph.output("y")
    assert "is a linear network: nothing in it keeps a state" in said(graph.save(tmp_path))


@pytest.mark.parametrize("opset", [5, 6, 99])
def test_opsets_out_of_range_are_refused(opset: int, tmp_path: Path) -> None:
    graph = two_layers()
    graph.opset = opset
    newest = onnx.defs.onnx_opset_version()
    assert said(graph.save(tmp_path)) == (
        f"error[unsupported-opset]: model: uses ONNX opset {opset}; 7 to {newest} are supported\n"
        f"  = hint: export with an opset from 7 to {newest}, for instance opset_version=17"
    )


def test_a_model_without_an_opset_is_refused(tmp_path: Path) -> None:
    model = two_layers().model()
    del model.opset_import[:]
    path = tmp_path / "net.onnx"
    path.write_bytes(model.SerializeToString())
    assert "model: does not say which ONNX opset it uses" in said(path)


def test_a_condition_in_a_step_is_refused(tmp_path: Path) -> None:
    branch = helper.make_graph(
        [helper.make_node("Identity", ["fc1"], ["d"])], "branch", [], [helper.make_tensor_value_info("d", 1, None)]
    )
    graph = two_layers()
    true = graph.constant("true", True, np.bool_)
    graph.node("If", [true], "z", name="choice", then_branch=branch, else_branch=branch)
    graph.output("z")
    assert said(graph.save(tmp_path)) == (
        "error[control-flow]: choice: If: a time step without a loop around it is read without control flow\n"
        "  = hint: decide the condition before the export"
    )


def test_weights_that_are_not_numbers_are_counted(tmp_path: Path) -> None:
    weight = np.ones((3, 4), np.float32)
    weight[0, 1:3] = np.nan
    weight[2, 0] = np.inf
    graph = beside("Gemm", weight, transB=1)
    assert said(graph.save(tmp_path)) == (
        "error[not-finite]: odd: odd_0: 3 of 12 values are NaN or infinite\n"
        "  = hint: the training has diverged, or the file is damaged"
    )


@pytest.mark.parametrize("op", ["Mul", "Add"])
def test_elementwise_constants_are_finite_too(op: str, tmp_path: Path) -> None:
    assert "odd: odd_0: 1 of 1 values are NaN or infinite" in said(beside(op, np.float32(np.inf)).save(tmp_path))


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (
            (8, 4),
            "error[fixed-batch]: x: the first axis of this input has size 8; it must be a batch of 1, or left open\n"
            "  = hint: export one sample and one time step: x of shape (1, ...), not a batch and not a whole sequence",
        ),
        (
            (1, "time", 4),
            "error[dynamic-shape]: x: axis 1 of this input has no fixed size\n"
            "  = hint: only the first axis, the batch, may be left open",
        ),
        (
            (1, 1 << 40),
            "error[too-large]: x: has 1,099,511,627,776 values; a population holds at most 33,554,432",
        ),
        ((1, 0), "error[bad-shape]: x: has the impossible shape (1, 0)\n  = hint: export the model again"),
        ((), "error[dynamic-shape]: x: is an input without a shape\n  = hint: export the model with fixed shapes"),
    ],
)
def test_inputs_have_one_sample_of_fixed_shape(shape: Any, message: str, tmp_path: Path) -> None:
    graph = two_layers()
    graph.inputs[0] = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    assert said(graph.save(tmp_path)) == message


def test_inputs_are_floats(tmp_path: Path) -> None:
    graph = two_layers()
    graph.inputs[0] = helper.make_tensor_value_info("x", TensorProto.INT64, (1, 4))
    assert said(graph.save(tmp_path)) == (
        "error[unsupported-type]: x: is an input of type int64\n"
        "  = hint: spikes and states are floats in a step: cast them before the export"
    )


def test_a_symbolic_batch_is_fine(tmp_path: Path) -> None:
    graph = two_layers()
    for port in graph.inputs:
        port.type.tensor_type.shape.dim[0].dim_param = "batch"
    path = graph.save(tmp_path)
    agrees(read_model(path), path, np.ones((5, 4), np.float32), graph.states, {})


def test_shapes_that_depend_on_data_are_refused(tmp_path: Path) -> None:
    graph = two_layers()
    graph.node("Cast", ["x"], "numbers", to=TensorProto.INT64)
    graph.node("Reshape", ["fc1", "numbers"], "odd", name="odd")
    graph.output("odd")
    assert said(graph.save(tmp_path)) == (
        "error[data-dependent-shape]: odd: Reshape whose shape or indices depend on the data\n"
        "  = hint: export the model with fixed shapes, batch size 1"
    )


def test_products_of_streams_are_no_synapses(tmp_path: Path) -> None:
    graph = two_layers()
    graph.node("MatMul", ["fc1", "fc1"], "odd", name="odd")
    graph.output("odd")
    assert "odd: MatMul is not supported here: it multiplies two streams" in said(graph.save(tmp_path))


def test_a_membrane_that_feeds_a_layer_is_refused(tmp_path: Path) -> None:
    graph = two_layers()
    graph.node("Gemm", ["lif1_summed", graph.constant("w", np.ones((6, 2)))], "odd", name="odd")
    graph.output("odd")
    assert said(graph.save(tmp_path)) == (
        "error[membrane-travels]: odd: reads the membrane of lif1_v, and only spikes travel between layers\n"
        "  = hint: feed the layer with spikes, or make the membrane an output of the model"
    )


def test_a_membrane_before_the_reset_may_be_an_output(tmp_path: Path) -> None:
    graph = two_layers()
    graph.output("lif1_summed")
    path = graph.save(tmp_path)
    x = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
    agrees(read_model(path), path, x, graph.states, {"lif1_summed": "lif1_summed"})


def test_populations_do_not_compare_membranes(tmp_path: Path) -> None:
    graph = StepGraph()
    graph.input("x", (1, 3))
    graph.lif("a", "x", (3,))
    graph.lif("b", graph.node("Mul", ["x", graph.constant("half", 0.5)], "less"), (3,))
    fired = graph.node("Greater", ["a_summed", "b_summed"], "winner", name="winner")
    graph.node("Cast", [fired], "y", to=TensorProto.FLOAT)
    graph.output("y")
    assert "populations-interact]: winner: Greater combines the membranes of two populations" in said(
        graph.save(tmp_path)
    )


def test_outputs_change(tmp_path: Path) -> None:
    graph = two_layers()
    graph.node("Shape", ["x"], "odd")
    graph.output("odd", TensorProto.INT64)
    graph.output("nothing")
    assert said(graph.save(tmp_path)) == (
        "error[constant-output]: odd: this output never changes\n"
        "  = hint: remove it from the exported step\n"
        "error[undefined-tensor]: nothing: nothing computes this output\n"
        "  = hint: remove it from the exported step"
    )


def test_a_state_that_never_changes_is_refused(tmp_path: Path) -> None:
    graph = two_layers()
    graph.node("Identity", [graph.state("still", (1, 2))], "still_next")
    graph.output("still_next")
    assert said(graph.save(tmp_path)) == (
        "error[constant-state]: still: this state never changes, so it always has its initial value, 0\n"
        "  = hint: remove it from the exported step"
    )


def test_batch_norm_in_training_mode_is_refused(tmp_path: Path) -> None:
    four = [np.ones(4, np.float32)] * 4
    assert said(beside("BatchNormalization", *four, training_mode=1).save(tmp_path)) == (
        "error[unsupported-op]: odd: is a BatchNormalization in training mode, which depends on the whole batch\n"
        "  = hint: export the model after model.eval()"
    )


def test_odd_metadata_is_a_warning(tmp_path: Path) -> None:
    graph = two_layers()
    graph.properties = {"snncc.steps": "-3", "snncc.decoder": "\x1b[31mloud"}
    model = read_model(graph.save(tmp_path))
    assert (model.steps, model.decoder) == (None, None)
    assert [str(each) for each in model.warnings] == [
        "warning[bad-metadata]: model: snncc.steps is '-3', not a number from 1 to 1,000,000: ignored\n"
        "  = hint: give the number with --steps",
        "warning[bad-metadata]: model: snncc.decoder is '?[31mloud', none of count, last, max, mean: ignored\n"
        "  = hint: choose one with --decoder",
    ]


def test_metadata_says_steps_and_decoder(tmp_path: Path) -> None:
    model = read_model(two_layers().save(tmp_path))
    assert (model.name, model.steps, model.decoder, model.warnings) == ("net", 12, "count", ())


def test_other_formats_are_named(tmp_path: Path) -> None:
    assert said(tmp_path / "net.pt") == (
        "error[unknown-format]: net.pt: has the suffix '.pt'; models are read from .onnx, .nir and .net files\n"
        "  = hint: export the model to ONNX"
    )
