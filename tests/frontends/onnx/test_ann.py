"""Ordinary networks from ONNX: the values of ONNX Runtime, max pools included, and why some are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snncc.diagnostics import CompileError
from snncc.frontends import read_ann, survey
from snncc.frontends.model import Model
from snncc.layers import Output, Relu
from snncc.passes.rates.values import values

from .ann_graphs import Ann, branched, pooled
from .step_graphs import StepGraph, runtime, two_layers


def agrees(graph: Ann, folder: Path, tensor: str) -> Model:
    model = read_ann(graph.save(folder))
    x = np.random.default_rng(5).normal(size=(6, 2, 7, 6)).astype(np.float32)
    net = graph.model()
    if tensor not in {each.name for each in net.graph.output}:
        net.graph.output.append(onnx.helper.make_empty_tensor_value_info(tensor))
    session = runtime(net)
    expected = np.concatenate([session.run([tensor], {"x": each[None]})[0] for each in x])
    (output,) = model.graph.of_kind(Output)
    found = values(model.graph, x, [output])[output]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    return model


@settings(max_examples=25, deadline=None)
@given(
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.tuples(st.integers(1, 2), st.integers(1, 2)),
    st.booleans(),
    st.integers(0, 9),
)
def test_max_pools_are_exact(
    tmp_path_factory: Any, kernel: Any, stride: Any, dilation: Any, ceil: bool, seed: int
) -> None:
    if any((k - 1) * d + 1 > 6 for k, d in zip(kernel, dilation, strict=True)):
        return
    pads = [min(k - 1, 1) for k in kernel] * 2
    graph = pooled(seed, kernel_shape=kernel, strides=stride, dilations=dilation, pads=pads, ceil_mode=int(ceil))
    agrees(graph, tmp_path_factory.mktemp("ann"), "fc")


@pytest.mark.parametrize("opset", [8, 9, 11, 13, 17, 20])
def test_opsets_agree(opset: int, tmp_path: Path) -> None:
    agrees(pooled(opset=opset), tmp_path, "fc")


def test_a_pool_of_n_values_takes_n_neurons(tmp_path: Path) -> None:
    graph = pooled(kernel_shape=[3, 3], strides=[3, 3])
    model = agrees(graph, tmp_path, "fc")
    parts = {name: np.prod(op.shape) for name, op in model.graph.of_kind(Relu).items() if op.selects}
    assert parts == {
        "pool_1": 48,
        "pool_2": 24,
        "pool_3": 12,
        "pool_4": 12,
        "pool": 12,
    }  # 12 windows: 8 pairs, 1 result


def test_global_and_one_dimensional_pools_agree(tmp_path: Path) -> None:
    graph = Ann()
    graph.node("GlobalMaxPool", [graph.node("Relu", [graph.conv("conv", "x", (2, 3))], "relu")], "pool")
    graph.dense("fc", "pool", (3, 4))
    graph.output("fc")
    agrees(graph, tmp_path, "fc")
    graph = Ann()
    flat = graph.node("Reshape", ["x", graph.constant("shape", [1, 2, 42], np.int64)], "flat")
    relu = graph.node("Relu", [flat], "relu")
    graph.node("MaxPool", [relu], "pool", kernel_shape=[4], strides=[3], pads=[1, 2])
    graph.dense("fc", "pool", (28, 4))
    graph.output("fc")
    agrees(graph, tmp_path, "fc")


def test_branches_agree_up_to_the_softmax(tmp_path: Path) -> None:
    model = agrees(branched(), tmp_path, "fc")
    (warning,) = model.warnings
    assert str(warning) == (
        "warning[last-activation]: softmax: this Softmax is left out: the output is what it reads, and the highest "
        "score stays the highest"
    )
    assert model.graph["relu6"].ceiling == 1.5  # type: ignore[union-attr]


def test_a_relu_behind_a_max_pool_is_put_before_it(tmp_path: Path) -> None:
    graph = Ann()
    graph.node("MaxPool", [graph.conv("conv", "x", (2, 3))], "pool", kernel_shape=[2, 2])
    graph.dense("fc", graph.node("Relu", ["pool"], "relu"), (36, 4))
    graph.output("fc")
    agrees(graph, tmp_path, "fc")


def said(graph: StepGraph, folder: Path) -> str:
    with pytest.raises(CompileError) as caught:
        read_ann(graph.save(folder))
    return str(caught.value)


def test_what_no_rate_stands_for_is_refused_all_at_once(tmp_path: Path) -> None:
    graph = Ann()
    graph.node("MaxPool", [graph.conv("conv", "x", (2, 3))], "pool", kernel_shape=[2, 2], name="my_pool")
    graph.node("Tanh", ["conv"], "t", name="my_tanh")
    graph.node("Clip", ["conv", graph.constant("low", -1.0)], "c", name="my_clip")
    for name in ("pool", "t", "c"):
        graph.dense(f"fc_{name}", name, (60, 2))
        graph.output(f"fc_{name}")
    assert said(graph, tmp_path) == (
        "error[signed-max-pool]: my_pool: takes the largest of values that may be negative, which no spike rate stands "
        "for\n  = hint: put a Relu before the MaxPool\n"
        "error[no-rate-form]: my_tanh: Tanh is no activation that spike rates stand for; these are Relu, Clip from 0 "
        "upwards, and MaxPool\n  = hint: train with Relu in its place\n"
        "error[no-rate-form]: my_clip: Clip is no activation that spike rates stand for; these are Relu, Clip from 0 "
        "upwards, and MaxPool\n  = hint: train with Clip from 0 in its place"
    )


def test_indices_of_a_pool_are_refused(tmp_path: Path) -> None:
    graph = Ann()
    relu = graph.node("Relu", ["x"], "relu")
    graph.node("MaxPool", [relu], ["pool", "places"], kernel_shape=[2, 2], name="my_pool")
    graph.dense("fc", "pool", (60, 2))
    graph.output("fc")
    assert "error[unsupported-op]: my_pool: gives indices beside its values" in said(graph, tmp_path)


def test_a_pool_of_weights_is_refused(tmp_path: Path) -> None:
    graph = pooled()
    pool = next(node for node in graph.nodes if node.op_type == "MaxPool")
    pool.input[:] = ["conv.weight", "relu"]
    assert "error[" in said(graph, tmp_path)


def test_a_list_of_inputs_that_leaves_one_out_is_refused(tmp_path: Path) -> None:
    graph = branched()
    concat = next(node for node in graph.nodes if node.op_type == "Concat")
    concat.input[0] = ""
    assert said(graph, tmp_path).startswith("error[bad-node]: node_both: Concat leaves out one of its inputs\n")


def test_an_opset_of_the_future_is_said_and_its_nodes_are_listed(tmp_path: Path) -> None:
    path = pooled().save(tmp_path)
    model = onnx.load(path)
    model.opset_import[0].version = 999
    onnx.save(model, path)
    with pytest.raises(CompileError) as caught:
        read_ann(path)
    assert [each.rule for each in caught.value.diagnostics] == ["unsupported-opset"]
    rows = survey(path, (), None, None, caught.value.diagnostics, ordinary=True)
    assert [each.node for each in rows][:2] == ["node_conv", "node_relu"]


def test_a_spiking_network_is_not_converted(tmp_path: Path) -> None:
    assert said(two_layers(), tmp_path) == (
        "error[already-spiking]: net.onnx: has neurons that fire, or states: it is a spiking network already\n"
        "  = hint: leave out --convert"
    )


def test_other_formats_are_refused() -> None:
    with pytest.raises(CompileError) as caught:
        read_ann(Path("net.net"))
    assert str(caught.value) == (
        "error[unknown-format]: net.net: is no .onnx file; ordinary networks are read from those\n"
        "  = hint: leave out --convert for a spiking network"
    )
