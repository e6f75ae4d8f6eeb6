"""Damaged and malicious files: a clear refusal, never a traceback, never much memory, nothing outside the folder."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from snncc.diagnostics import CompileError
from snncc.frontends import read_model

from .step_graphs import StepGraph, agrees, two_layers

DAMAGED = "  = hint: the file is damaged: export it again"
_MIB = 1 << 20


def said(path: Path) -> str:
    with pytest.raises(CompileError) as caught:
        read_model(path)
    return str(caught.value)


def write(model: onnx.ModelProto, folder: Path) -> Path:
    path = folder / "net.onnx"
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize("data", [b"", b"\0" * 64, b"not a model, just text", bytes(range(256))])
def test_other_files_are_refused(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(data)
    assert said(path).startswith("error[corrupt-model]: net.onnx: ")


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    data = two_layers().model().SerializeToString()
    path = tmp_path / "net.onnx"
    path.write_bytes(data[: len(data) // 2])
    assert said(path) == (
        "error[corrupt-model]: net.onnx: is not an ONNX model, or only a part of one\n"
        "  = hint: the file is damaged or not an ONNX model: export it again"
    )


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    assert said(tmp_path / "none.onnx") == "error[cannot-read]: none.onnx: No such file or directory"
    (tmp_path / "folder.onnx").mkdir()
    assert said(tmp_path / "folder.onnx") == "error[cannot-read]: folder.onnx: is not a file"


def external(folder: Path, **entries: str) -> Path:
    """Two layers whose first weight lies in a file beside the model."""
    model = two_layers().model()
    weight = model.graph.initializer[0]
    (folder / "weights.bin").write_bytes(b"\0" * 16 + weight.raw_data)
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    for key, value in ({"location": "weights.bin", "offset": "16", "length": "96"} | entries).items():
        if value:
            weight.external_data.add(key=key, value=value)
    return write(model, folder)


def test_external_data_is_read(tmp_path: Path) -> None:
    path = external(tmp_path)
    graph = two_layers()
    agrees(read_model(path), graph.save(tmp_path, "inline.onnx"), np.ones((5, 4), np.float32), graph.states, {})


@pytest.mark.parametrize(
    "location", ["/etc/passwd", "../weights.bin", "a/../../weights.bin", "C:\\weights.bin", "..\\w", "\0", "x" * 5000]
)
def test_external_data_stays_in_the_folder(location: str, tmp_path: Path) -> None:
    message = said(external(tmp_path, location=location))
    assert message.startswith("error[external-data]: fc1.weight: ")
    assert "\0" not in message
    assert len(message) < 400


def test_links_out_of_the_folder_are_not_followed(tmp_path: Path) -> None:
    inner = tmp_path / "model"
    inner.mkdir()
    path = external(inner, location="link.bin")
    (inner / "weights.bin").rename(tmp_path / "secret.bin")
    (inner / "link.bin").symlink_to(tmp_path / "secret.bin")
    assert said(path) == (
        "error[external-data]: fc1.weight: its data is at 'link.bin', which is not a path inside the model's folder\n"
        "  = hint: data files must lie in the model's folder or below it"
    )


def test_a_link_to_itself_is_refused(tmp_path: Path) -> None:
    (tmp_path / "loop.bin").symlink_to(tmp_path / "loop.bin")
    assert said(external(tmp_path, location="loop.bin")).startswith("error[external-data]: fc1.weight: ")


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"location": "none.bin"}, "error[external-data]: fc1.weight: none.bin: No such file or directory"),
        ({"offset": "17"}, "error[external-data]: fc1.weight: needs 96 bytes from 17 on, but weights.bin holds 112"),
        ({"offset": "-1"}, "error[corrupt-tensor]: fc1.weight: its external offset is '-1', not a number"),
        ({"offset": "9" * 40}, f"error[corrupt-tensor]: fc1.weight: its external offset is '{'9' * 40}', not a number"),
        ({"length": "95"}, "error[corrupt-tensor]: fc1.weight: needs 96 bytes, but states a length of 95"),
    ],
)
def test_external_data_is_checked(entries: dict[str, str], message: str, tmp_path: Path) -> None:
    assert said(external(tmp_path, **entries)).splitlines()[0] == message


def test_external_data_in_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    assert "weights is not a file" in said(external(tmp_path, location="weights"))


def test_tensors_hold_what_they_state(tmp_path: Path) -> None:
    model = two_layers().model()
    model.graph.initializer[0].dims[:] = [1 << 40, 1 << 40]
    model.graph.initializer[1].dims[:] = [-6]
    assert said(write(model, tmp_path)) == (
        "error[corrupt-tensor]: fc1.weight: has shape (1099511627776, 1099511627776), so "
        "4,835,703,278,458,516,698,824,704 bytes, but the file holds 96\n"
        f"{DAMAGED}\n"
        "error[corrupt-tensor]: fc1.bias: has the impossible shape (-6)\n"
        f"{DAMAGED}"
    )


def test_tensors_of_other_types_are_refused(tmp_path: Path) -> None:
    model = two_layers().model()
    model.graph.initializer[0].data_type = TensorProto.COMPLEX64
    assert said(write(model, tmp_path)) == (
        "error[unsupported-type]: fc1.weight: holds values of type complex64\n"
        "  = hint: export the model with float32 parameters"
    )


@pytest.mark.parametrize("kind", [TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.FLOAT])
@pytest.mark.parametrize("raw", [True, False])
def test_float_tensors_of_all_widths_are_read(kind: int, raw: bool, tmp_path: Path) -> None:
    graph = two_layers()
    values = np.array([[0.5, -1.25, 2.0, 0.0]] * 6)
    array = values.astype(helper.tensor_dtype_to_np_dtype(kind))
    tensor = helper.make_tensor("fc1.weight", kind, values.shape, array.tobytes() if raw else array.reshape(-1), raw)
    graph.initializers[0] = tensor
    layer: Any = read_model(graph.save(tmp_path)).graph["fc1"]
    np.testing.assert_array_equal(layer.weight, values)


def test_sparse_tensors_are_refused(tmp_path: Path) -> None:
    model = two_layers().model()
    sparse = model.graph.sparse_initializer.add()
    sparse.values.CopyFrom(model.graph.initializer[0])
    del model.graph.initializer[0]
    assert said(write(model, tmp_path)) == (
        "error[unsupported-type]: fc1.weight: is a sparse initializer\n  = hint: store it as a dense tensor"
    )


def bomb(op: str, *inputs: Any, **attributes: Any) -> StepGraph:
    graph = two_layers()
    names = [
        each if isinstance(each, str) else graph.constant(f"bomb_{i}", each, np.asarray(each).dtype)
        for i, each in enumerate(inputs)
    ]
    graph.node(op, names, "boom", name="boom", **attributes)
    graph.node("Add", ["fc1", "boom"], "y")
    graph.output("y")
    return graph


HUGE = np.array([1 << 20, 1 << 20], np.int64)
ONE = np.float32(1)
BOMBS: dict[str, StepGraph] = {
    "ConstantOfShape": bomb("ConstantOfShape", HUGE),
    "ConstantOfShape beyond 64 bits": bomb("ConstantOfShape", np.array([1 << 40] * 8, np.int64)),
    "Expand": bomb("Expand", ONE, HUGE),
    "Expand x": bomb("Expand", "x", np.array([1 << 30, 1], np.int64)),
    "Tile": bomb("Tile", np.ones((1, 1), np.float32), HUGE),
    "Tile x": bomb("Tile", "x", HUGE),
    "Range": bomb("Range", np.int64(0), np.int64(1 << 60), np.int64(1)),
    "Range of tiny steps": bomb("Range", np.float32(0), ONE, np.float32(1e-30)),
    "Pad": bomb("Pad", np.ones((1, 1), np.float32), np.array([0, 0, 1 << 20, 1 << 20], np.int64)),
    "Pad x": bomb("Pad", "x", np.array([0, 0, 0, 1 << 40], np.int64)),
    "Gather": bomb("Gather", np.ones((1, 1 << 12), np.float32), np.zeros(1 << 12, np.int64)),
    "Mul": bomb("Mul", np.ones((1 << 13, 1), np.float32), np.ones((1, 1 << 13), np.float32)),
    "Add to x": bomb("Add", np.ones((1 << 14, 1, 1), np.float32), "x"),
    "MatMul": bomb("MatMul", np.ones((1 << 13, 1), np.float32), np.ones((1, 1 << 13), np.float32)),
    "MatMul of x": bomb("MatMul", np.ones((4, 1), np.float32), "x"),
    "Unsqueeze": bomb("Unsqueeze", ONE, np.arange(60)),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_small_file_never_takes_much_memory(name: str, tmp_path: Path) -> None:
    path = BOMBS[name].save(tmp_path)
    tracemalloc.start()
    try:
        assert said(path).startswith("error[")
        assert tracemalloc.get_traced_memory()[1] < 300 * _MIB
    finally:
        tracemalloc.stop()


def test_a_constant_without_end_is_explained(tmp_path: Path) -> None:
    assert said(BOMBS["ConstantOfShape"].save(tmp_path)) == (
        "error[constant-too-large]: boom: ConstantOfShape makes 1,099,511,627,776 values; 16,777,432 are left of what "
        "a file of this size may make\n"
        "  = hint: store large constants as initializers, or simplify the model before the export"
    )


@pytest.mark.parametrize(
    "attributes",
    [
        {"pads": [1 << 39, 0, 0, 0]},
        {"pads": [-1, 0, 0, 0]},
        {"pads": [0]},
        {"strides": [0, 1]},
        {"dilations": [1 << 39, 1]},
        {"group": 0},
        {"group": 3},
        {"kernel_shape": [7, 7]},
        {"auto_pad": "ELSEWHERE"},
        {"strides": "two"},
        {"strides": 2.5},
    ],
)
def test_impossible_convolutions_are_refused(attributes: dict[str, Any], tmp_path: Path) -> None:
    graph = StepGraph()
    graph.input("x", (1, 2, 5, 5))
    graph.node("Conv", ["x", graph.constant("w", np.ones((2, 2, 3, 3)))], "conv", name="my_conv", **attributes)
    graph.lif("lif", "x", (2, 5, 5))
    graph.output("conv")
    assert "]: my_conv: " in said(graph.save(tmp_path))


def test_cycles_are_named(tmp_path: Path) -> None:
    graph = two_layers()
    graph.node("Add", ["x", "q"], "p", name="first")
    graph.node("Neg", ["p"], "q", name="second")
    graph.output("q")
    assert said(graph.save(tmp_path)) == (
        "error[cyclic-graph]: first: within one step these nodes wait for each other's results: first, second\n"
        "  = hint: a recurrent connection must enter as a state input and leave as a state output"
    )


def test_tensors_have_one_maker(tmp_path: Path) -> None:
    graph = two_layers()
    graph.node("Neg", ["x"], "fc1")
    assert said(graph.save(tmp_path)) == (
        "error[duplicate-name]: fc1: this tensor name is defined more than once\n  = hint: export the model again"
    )


def test_tensors_that_nothing_makes_are_named(tmp_path: Path) -> None:
    graph = two_layers()
    graph.node("Neg", ["nowhere"], "y", name="lost")
    graph.output("y")
    assert said(graph.save(tmp_path)) == (
        f"error[undefined-tensor]: lost: reads 'nowhere', which nothing defines\n{DAMAGED}"
    )


def test_nodes_may_come_in_any_order(tmp_path: Path) -> None:
    graph = two_layers()
    straight = graph.save(tmp_path, "straight.onnx")
    graph.nodes.reverse()
    model = read_model(graph.save(tmp_path))
    agrees(model, straight, np.ones((6, 4), np.float32), graph.states, {})


def test_names_cannot_drive_a_terminal(tmp_path: Path) -> None:
    graph = two_layers()
    graph.node("Softmax", ["fc1"], "y", name="\x1b[2Jevil\n" + "long" * 100)
    graph.output("y")
    message = said(graph.save(tmp_path)).splitlines()[0]
    assert "\x1b" not in message
    assert len(message) < 250


def function(name: str, *nodes: onnx.NodeProto, attributes: tuple[str, ...] = ()) -> onnx.FunctionProto:
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("my", 1)]
    return helper.make_function("my", name, ["a"], ["b"], list(nodes), opsets, list(attributes))


def referring(node: onnx.NodeProto, attribute: str, outer: str, kind: int) -> onnx.NodeProto:
    node.attribute.add(name=attribute, ref_attr_name=outer, type=kind)
    return node


def test_functions_are_written_out(tmp_path: Path) -> None:
    graph = two_layers()
    lrelu = referring(helper.make_node("Constant", [], ["c"]), "value_float", "factor", onnx.AttributeProto.FLOAT)
    graph.functions.append(function("Twice", lrelu, helper.make_node("Mul", ["a", "c"], ["b"]), attributes=("factor",)))
    graph.node("Twice", ["fc1"], "y", domain="my", factor=3.0)
    graph.output("y")
    path = graph.save(tmp_path)
    agrees(read_model(path), path, np.ones((5, 4), np.float32), graph.states, {"y": "y"})


def test_functions_that_call_themselves_are_refused(tmp_path: Path) -> None:
    graph = two_layers()
    graph.functions.append(function("F", helper.make_node("F", ["a"], ["b"], domain="my")))
    graph.node("F", ["fc1"], "y", domain="my")
    graph.output("y")
    assert said(graph.save(tmp_path)) == "error[recursive-function]: F: calls itself, or nests too deeply"


def test_functions_that_call_each_other_without_end_are_refused(tmp_path: Path) -> None:
    graph = two_layers()
    graph.functions.append(function("A", helper.make_node("B", ["a"], ["b"], domain="my")))
    graph.functions.append(function("B", helper.make_node("A", ["a"], ["b"], domain="my")))
    graph.node("A", ["fc1"], "y", domain="my")
    graph.output("y")
    assert said(graph.save(tmp_path)) == "error[recursive-function]: A: calls itself, or nests too deeply"


def test_a_long_chain_of_functions_is_refused(tmp_path: Path) -> None:
    graph = two_layers()
    for level in range(2000):
        last = level == 1999
        callee = helper.make_node("Neg" if last else f"F{level + 1}", ["a"], ["b"], domain="" if last else "my")
        graph.functions.append(function(f"F{level}", callee))
    graph.node("F0", ["fc1"], "y", domain="my")
    graph.output("y")
    assert said(graph.save(tmp_path)) == "error[recursive-function]: F32: calls itself, or nests too deeply"


@pytest.mark.parametrize("depth", [3, 24])
def test_loops_in_loops_are_refused(depth: int, tmp_path: Path) -> None:
    """Deeper ones protobuf itself does not read."""
    graph = two_layers()
    graph.constant("go", True, np.bool_)
    graph.constant("count", 3, np.int64)
    value = helper.make_tensor_value_info
    node = helper.make_node("Neg", ["fc1"], ["o"])
    for level in range(depth):
        still = helper.make_node("Identity", ["go"], [f"still{level}"])
        ports = [value(f"now{level}", TensorProto.INT64, []), value(f"going{level}", TensorProto.BOOL, [])]
        ends = [value(f"still{level}", TensorProto.BOOL, []), value(node.output[0], TensorProto.FLOAT, [1, 6])]
        body = helper.make_graph([node, still], "body", ports, ends)
        node = helper.make_node("Loop", ["count", "go"], [f"o{level}"], body=body)
    graph.nodes.append(node)
    graph.output(node.output[0])
    assert said(graph.save(tmp_path)).startswith("error[")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_no_numbers_are_refused(value: float, tmp_path: Path) -> None:
    graph = two_layers()
    weight = np.ones((6, 4), np.float32)
    weight[2, 1] = value
    graph.initializers[0] = numpy_helper.from_array(weight, "fc1.weight")
    assert said(graph.save(tmp_path)) == (
        "error[not-finite]: node_fc1: fc1.weight: 1 of 24 values are NaN or infinite\n"
        "  = hint: the training has diverged, or the file is damaged"
    )


def test_a_pipe_is_no_data_file(tmp_path: Path) -> None:
    """Opening one waits for ever."""
    os.mkfifo(tmp_path / "pipe.bin")
    assert said(external(tmp_path, location="pipe.bin")).startswith(
        "error[external-data]: fc1.weight: pipe.bin is not a file\n"
    )


def test_functions_that_multiply_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("snncc.frontends.onnx.inline._MAX_NODES", 10_000)
    graph = two_layers()
    for level in range(25):
        callee = f"F{level + 1}" if level < 24 else "Neg"
        domain = "my" if level < 24 else ""
        calls = (helper.make_node(callee, [a], [b], domain=domain) for a, b in (("a", "c"), ("c", "b")))
        graph.functions.append(function(f"F{level}", *calls))
    graph.node("F0", ["fc1"], "y", domain="my")
    graph.output("y")
    assert said(graph.save(tmp_path)) == (
        "error[too-many-nodes]: model: has more than 10,000 nodes, functions written out"
    )


def test_a_division_by_zero_is_refused(tmp_path: Path) -> None:
    graph = two_layers()
    graph.node("Div", ["fc1", graph.constant("zero", np.zeros(6))], "y", name="ratio")
    graph.output("y")
    assert said(graph.save(tmp_path)) == (
        "error[not-finite]: ratio: divides by zero\n  = hint: the training has diverged, or the file is damaged"
    )
