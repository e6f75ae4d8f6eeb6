"""Every op that only weighs, moves or adds values computes what it does in ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snncc.diagnostics import CompileError
from snncc.frontends import Model, read_model
from snncc.layers import Affine, Conv2d, Rearrange, Scale
from snncc.semantics import run_float

from .step_graphs import StepGraph, agrees

RNG = np.random.default_rng(7)


def normal(*shape: int) -> Any:
    return RNG.normal(size=shape).astype(np.float32)


def ints(*values: int) -> Any:
    return np.array(values, np.int64)


# op, shape of x, the other inputs, attributes
CASES: dict[str, tuple[str, tuple[int, ...], list[Any], dict[str, Any]]] = {
    "conv": ("Conv", (2, 5, 6), [normal(3, 2, 3, 2), normal(3)], {"pads": [1, 0, 2, 1], "strides": [2, 1]}),
    "conv without attributes": ("Conv", (2, 5, 6), [normal(3, 2, 3, 2)], {}),
    "conv dilated": ("Conv", (2, 7, 6), [normal(3, 2, 3, 2)], {"dilations": [2, 3]}),
    "conv grouped": ("Conv", (4, 5, 5), [normal(6, 2, 3, 3), normal(6)], {"group": 2}),
    "conv depthwise": ("Conv", (3, 5, 5), [normal(3, 1, 3, 3)], {"group": 3, "pads": [1, 1, 1, 1]}),
    "conv same upper": ("Conv", (1, 5, 6), [normal(2, 1, 2, 4)], {"auto_pad": "SAME_UPPER", "strides": [2, 1]}),
    "conv same lower": ("Conv", (1, 5, 6), [normal(2, 1, 2, 4)], {"auto_pad": "SAME_LOWER", "strides": [1, 2]}),
    "conv valid": ("Conv", (1, 5, 6), [normal(2, 1, 2, 4)], {"auto_pad": "VALID"}),
    "conv 1d": ("Conv", (2, 9), [normal(3, 2, 3), normal(3)], {"pads": [2, 1], "strides": [2], "dilations": [2]}),
    "gemm": ("Gemm", (4,), [normal(4, 3)], {}),
    "gemm transposed": ("Gemm", (4,), [normal(3, 4), normal(3)], {"transB": 1, "alpha": 0.5, "beta": 2.0}),
    "gemm with one bias": ("Gemm", (4,), [normal(3, 4), normal(1)], {"transB": 1}),
    "gemm with a flat bias": ("Gemm", (4,), [normal(3, 4), normal(1, 3)], {"transB": 1}),
    "matmul": ("MatMul", (4,), [normal(4, 3)], {}),
    "matmul of rows": ("MatMul", (5, 4), [normal(4, 3)], {}),
    "matmul by a vector": ("MatMul", (5, 4), [normal(4)], {}),
    "matmul of a stack of one": ("MatMul", (5, 4), [normal(1, 4, 3)], {}),
    "batch norm": ("BatchNormalization", (3, 4, 2), [normal(3), normal(3), normal(3), normal(3) ** 2], {}),
    "batch norm flat": (
        "BatchNormalization",
        (3,),
        [normal(3), normal(3), normal(3), normal(3) ** 2],
        {"epsilon": 0.1},
    ),
    "average": ("AveragePool", (2, 6, 5), [], {"kernel_shape": [2, 2], "strides": [2, 2]}),
    "average 1d": ("AveragePool", (2, 7), [], {"kernel_shape": [3], "strides": [2]}),
    "average padded": ("AveragePool", (2, 6, 5), [], {"kernel_shape": [3, 2], "pads": [1, 0, 1, 1]}),
    "average with padding": (
        "AveragePool",
        (2, 6, 5),
        [],
        {"kernel_shape": [3, 2], "pads": [1, 0, 1, 1], "count_include_pad": 1},
    ),
    "average ceil": ("AveragePool", (2, 6, 6), [], {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1}),
    "average same": (
        "AveragePool",
        (2, 5, 5),
        [],
        {"kernel_shape": [2, 2], "strides": [2, 2], "auto_pad": "SAME_UPPER"},
    ),
    "global average": ("GlobalAveragePool", (3, 4, 2), [], {}),
    "mean": ("ReduceMean", (3, 4, 2), [], {"axes": [2, 3], "keepdims": 0}),
    "mean of channels": ("ReduceMean", (3, 4, 2), [], {"axes": [1]}),
    "mean of outer and inner": ("ReduceMean", (3, 4, 2), [], {"axes": [1, -1]}),
    "sum": ("ReduceSum", (3, 4, 2), [ints(-1)], {"keepdims": 0}),
    "sum of all": ("ReduceSum", (3, 2), [], {}),
    "flatten": ("Flatten", (3, 4, 2), [], {}),
    "reshape": ("Reshape", (3, 4), [ints(0, 2, -1)], {}),
    "squeeze": ("Squeeze", (1, 4), [ints(1)], {}),
    "unsqueeze": ("Unsqueeze", (4,), [ints(-1, 1)], {}),
    "transpose": ("Transpose", (3, 4, 2), [], {"perm": [0, 3, 1, 2]}),
    "slice": ("Slice", (6, 5), [ints(1, -1), ints(5, -100), ints(1, 2), ints(2, -2)], {}),
    "gather": ("Gather", (4, 3), [np.array([[2, -1], [0, 2]], np.int64)], {"axis": 1}),
    "gather one": ("Gather", (4, 3), [np.array(1, np.int64)], {"axis": 2}),
    "gather elements": ("GatherElements", (4,), [np.array([[3, 3, 0]], np.int64)], {"axis": 1}),
    "pad": ("Pad", (3, 4), [ints(0, 1, -1, 0, 0, 2)], {}),
    "expand": ("Expand", (3, 1), [ints(1, 3, 4)], {}),
    "tile": ("Tile", (3, 2), [ints(1, 2, 3)], {}),
    "depth to space": ("DepthToSpace", (8, 2, 3), [], {"blocksize": 2}),
    "depth to space, columns first": ("DepthToSpace", (8, 2, 3), [], {"blocksize": 2, "mode": "CRD"}),
    "space to depth": ("SpaceToDepth", (2, 4, 6), [], {"blocksize": 2}),
    "add a constant": ("Add", (3, 4), [normal(3, 1)], {}),
    "subtract a constant": ("Sub", (3, 4), [normal(4)], {}),
    "multiply by a constant": ("Mul", (3, 4), [normal(3, 1)], {}),
    "multiply by a number": ("Mul", (3, 4), [normal()], {}),
    "divide by a constant": ("Div", (3, 4), [normal(1, 1, 4) + 3], {}),
    "mean of inputs": ("Mean", (3,), [normal(1, 3), normal(1)], {}),
    "sum of inputs": ("Sum", (3,), [normal(1, 3), normal(1)], {}),
    "negate": ("Neg", (3,), [], {}),
    "broadcast": ("Add", (3, 1), [normal(1, 1, 4)], {}),
    "join with a constant": ("Concat", (3,), [normal(1, 2)], {"axis": 1}),
    "cast": ("Cast", (3,), [], {"to": 1}),
    "dropout": ("Dropout", (3,), [], {}),
}


def spiking(graph: StepGraph) -> None:
    """A neuron beside the op under test, as a network without any is refused."""
    graph.node("Mul", ["x", graph.constant("half", 0.5)], "beside")
    shape = [each.dim_value for each in graph.inputs[0].type.tensor_type.shape.dim][1:]
    graph.lif("lif", "beside", shape)
    graph.output("lif_spikes")


def check(graph: StepGraph, folder: Path, shape: tuple[int, ...], outputs: Mapping[str, str]) -> Model:
    path = graph.save(folder)
    model = read_model(path)
    agrees(model, path, np.random.default_rng(3).normal(size=(4, *shape)).astype(np.float32), graph.states, outputs)
    return model


@pytest.mark.parametrize("case", CASES)
def test_an_op_computes_what_onnx_runtime_computes(case: str, tmp_path: Path) -> None:
    op, shape, others, attributes = CASES[case]
    graph = StepGraph()
    graph.input("x", (1, *shape))
    names = [graph.constant(f"w{i}", each, each.dtype) for i, each in enumerate(others)]
    graph.node(op, ["x", *names], "y", **attributes)
    graph.output("y")
    spiking(graph)
    check(graph, tmp_path, shape, {"y": "y"})


def test_a_window_beyond_the_padding_divides_by_what_is_inside(tmp_path: Path) -> None:
    """As PyTorch, which trained the network, and newer ONNX Runtimes do it; older ones divide by the whole window."""
    graph = StepGraph()
    graph.input("x", (1, 1, 4))
    pads = {"pads": [1, 1], "ceil_mode": 1, "count_include_pad": 1}
    graph.node("AveragePool", ["x"], "y", kernel_shape=[3], strides=[2], **pads)
    graph.output("y")
    spiking(graph)
    trace = run_float(read_model(graph.save(tmp_path)).graph, np.ones((1, 1, 1, 4)), 1)
    np.testing.assert_allclose(trace.outputs["y"][0, 0], [2 / 3, 1, 1 / 2])


def test_a_matrix_from_the_left_mixes_rows(tmp_path: Path) -> None:
    graph = StepGraph()
    graph.input("x", (1, 3, 4))
    graph.node("MatMul", [graph.constant("w", normal(5, 3)), "x"], "y")
    graph.output("y")
    spiking(graph)
    check(graph, tmp_path, (3, 4), {"y": "y"})


def test_split_parts_and_joins_are_rearrangements(tmp_path: Path) -> None:
    graph = StepGraph()
    graph.input("x", (1, 5, 2))
    graph.node("Split", ["x", graph.constant("sizes", [2, 3], np.int64)], ["a", "b"], axis=1)
    graph.node("Concat", ["b", "a", "b"], "y", axis=1)
    graph.output("y")
    spiking(graph)
    model = check(graph, tmp_path, (5, 2), {"y": "y"})
    assert not model.graph.of_kind(Affine)
    assert model.graph.of_kind(Rearrange)


def test_streams_add_up_on_edges(tmp_path: Path) -> None:
    graph = StepGraph()
    graph.input("x", (1, 4))
    a = graph.node("Gemm", ["x", graph.constant("wa", normal(3, 4))], "a", transB=1)
    b = graph.node("Gemm", ["x", graph.constant("wb", normal(3, 4))], "b", transB=1)
    twice = graph.node("Add", [a, a], "twice")
    less = graph.node("Sub", [twice, b], "less")
    graph.node("Mul", [less, graph.constant("k", 0.25)], "y")
    graph.output("y")
    spiking(graph)
    model = check(graph, tmp_path, (4,), {"y": "y"})
    assert {(edge.source, edge.gain) for edge in model.graph.incoming("y_readout")} == {("a", 0.5), ("b", -0.25)}
    assert not model.graph.of_kind(Scale)


def test_gemm_adds_a_stream_as_its_third_input(tmp_path: Path) -> None:
    graph = StepGraph()
    graph.input("x", (1, 4))
    graph.node("Gemm", ["x", graph.constant("w", normal(4, 4)), "x"], "y", beta=0.5)
    graph.output("y")
    spiking(graph)
    check(graph, tmp_path, (4,), {"y": "y"})


@pytest.mark.parametrize("op", ["MatMul", "Conv"])
def test_a_constant_added_to_a_product_is_its_bias(op: str, tmp_path: Path) -> None:
    graph = StepGraph()
    shape = (4,) if op == "MatMul" else (2, 3, 3)
    graph.input("x", (1, *shape))
    weight = graph.constant("w", normal(4, 3) if op == "MatMul" else normal(5, 2, 2, 2))
    product = graph.node(op, ["x", weight], "product")
    graph.node("Add", [product, graph.constant("b", normal(3) if op == "MatMul" else normal(5, 1, 1))], "y")
    graph.output("y")
    spiking(graph)
    model = check(graph, tmp_path, shape, {"y": "y"})
    assert not model.graph.of_kind(Scale)
    (layer,) = model.graph.of_kind(Affine if op == "MatMul" else Conv2d).values()
    assert layer.bias is not None


def test_summing_windows_of_spikes_is_a_pool(tmp_path: Path) -> None:
    graph = StepGraph()
    graph.input("x", (1, 2, 4, 4))
    spikes = graph.lif("lif", "x", (2, 4, 4))
    graph.node("LpPool", [spikes], "y", p=1, kernel_shape=[2, 2], strides=[2, 2])
    graph.output("y")
    graph.output("lif_spikes")
    check(graph, tmp_path, (2, 4, 4), {"y": "y"})


def test_weights_are_not_copied(tmp_path: Path) -> None:
    """A layer keeps the file's float32 values as they are, read-only."""
    graph = StepGraph()
    graph.input("x", (1, 4))
    weight = normal(3, 4)
    graph.lif("lif", graph.node("Gemm", ["x", graph.constant("w", weight)], "y", transB=1), (3,))
    graph.output("lif_spikes")
    (layer,) = check(graph, tmp_path, (4,), {}).graph.of_kind(Affine).values()
    assert layer.weight.dtype == np.float32
    assert not layer.weight.flags.owndata
    np.testing.assert_array_equal(layer.weight, weight)


def test_constants_may_be_computed_in_the_file(tmp_path: Path) -> None:
    """w / max|w| * Clip(g), written out by an exporter that folds nothing."""
    graph = StepGraph()
    graph.input("x", (1, 4))
    w = graph.constant("w", normal(4, 3))
    largest = graph.node("ReduceMax", [graph.node("Abs", [w], "magnitude")], "largest")
    scaled = graph.node("Div", [w, largest], "scaled")
    clipped = graph.node("Clip", [graph.constant("g", 7.0), "", graph.constant("high", 2.0)], "clipped")
    weight = graph.node("Transpose", [graph.node("Mul", [scaled, clipped], "weight")], "turned", perm=[1, 0])
    graph.node("Gemm", ["x", weight], "y", transB=1)
    graph.output("y")
    spiking(graph)
    check(graph, tmp_path, (4,), {"y": "y"})


def test_a_dropout_in_training_mode_is_refused(tmp_path: Path) -> None:
    graph = StepGraph()
    graph.input("x", (1, 4))
    training = graph.constant("training", True, np.bool_)
    graph.node("Dropout", ["x", graph.constant("ratio", 0.5), training], "y")
    graph.output("y")
    spiking(graph)
    with pytest.raises(CompileError, match="is a Dropout in training mode"):
        read_model(graph.save(tmp_path))
