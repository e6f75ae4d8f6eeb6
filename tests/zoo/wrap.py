"""Puts an exported time step into other shapes of file: in a Scan or a Loop, or with functions of a custom domain."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

DOMAIN = "zoo.neurons"


def _shape(info: onnx.ValueInfoProto) -> list[int]:
    return [each.dim_value for each in info.type.tensor_type.shape.dim]


def _value(name: str, shape: Sequence[int | str] | None, kind: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def _around(step: ModelProto, nodes: Sequence[NodeProto], extra: Sequence[TensorProto], steps: int | str) -> ModelProto:
    x, y = step.graph.input[0], step.graph.output[0]
    graph = helper.make_graph(
        nodes,
        "sequence",
        [_value("x", [steps, *_shape(x)])],
        [_value("y", [steps, *_shape(y)])],
        [*step.graph.initializer, *extra],
    )
    model = helper.make_model(graph, opset_imports=step.opset_import, functions=step.functions)
    model.ir_version = step.ir_version
    return model


def _states(step: ModelProto) -> tuple[list[str], list[TensorProto]]:
    names = [each.name for each in step.graph.input[1:]]
    zeros = [
        numpy_helper.from_array(np.zeros(_shape(each), np.float32), f"{each.name}_0") for each in step.graph.input[1:]
    ]
    return names, zeros


def _apart(step: ModelProto) -> list[str]:
    """Give each output a tensor of its own, as the body of a loop needs it."""
    names: list[str] = []
    for index, each in enumerate(step.graph.output):
        step.graph.node.append(helper.make_node("Identity", [each.name], [f"{each.name}_out{index}"]))
        names.append(f"{each.name}_out{index}")
    return names


def to_scan(step: ModelProto, steps: int | str) -> ModelProto:
    """Weights stay outside of the body, which reads them from there."""
    states, zeros = _states(step)
    y, *following = _apart(step)
    shapes = [_shape(each) for each in step.graph.input]
    inputs = [_value(name, shape) for name, shape in zip([*states, "x_t"], [*shapes[1:], shapes[0]], strict=True)]
    outputs = [_value(name, None) for name in (*following, y)]
    for node in step.graph.node:
        node.input[:] = ["x_t" if name == step.graph.input[0].name else name for name in node.input]
    body = helper.make_graph(list(step.graph.node), "step", inputs, outputs)
    finals = [f"{name}_last" for name in states]
    scan = helper.make_node(
        "Scan", [each.name for each in zeros] + ["x"], [*finals, "y"], name="time", body=body, num_scan_inputs=1
    )
    return _around(step, [scan], zeros, steps)


def to_loop(step: ModelProto, steps: int | str) -> ModelProto:
    """The number of iterations is the length of x, or a constant."""
    states, zeros = _states(step)
    y, *following = _apart(step)
    shapes = [_shape(each) for each in step.graph.input]
    for node in step.graph.node:
        node.input[:] = ["x_t" if name == step.graph.input[0].name else name for name in node.input]
    body: GraphProto = helper.make_graph(
        [
            helper.make_node("Gather", ["x", "now"], ["x_t"], axis=0),
            *step.graph.node,
            helper.make_node("Identity", ["going"], ["still"]),
        ],
        "step",
        [
            _value("now", [], TensorProto.INT64),
            _value("going", [], TensorProto.BOOL),
            *(_value(name, shape) for name, shape in zip(states, shapes[1:], strict=True)),
        ],
        [_value("still", [], TensorProto.BOOL), *(_value(name, None) for name in (*following, y))],
    )
    fixed = isinstance(steps, int)
    extra = [*zeros, numpy_helper.from_array(np.array(True), "true")]
    nodes: list[NodeProto] = []
    if fixed:
        extra.append(numpy_helper.from_array(np.array(steps), "count"))
    else:
        extra.append(numpy_helper.from_array(np.array(0), "zero"))
        nodes = [helper.make_node("Shape", ["x"], ["sizes"]), helper.make_node("Gather", ["sizes", "zero"], ["count"])]
    finals = [f"{name}_last" for name in states]
    loop = helper.make_node(
        "Loop", ["count", "true", *(each.name for each in zeros)], [*finals, "y"], name="time", body=body
    )
    return _around(step, [*nodes, loop], extra, steps)


def to_functions(step: ModelProto, prefixes: Sequence[str]) -> ModelProto:
    """The nodes whose names start with a prefix become one function of a custom domain; weights stay inputs."""
    model = ModelProto()
    model.CopyFrom(step)
    for prefix in prefixes:
        _fold(model, prefix)
    model.opset_import.append(helper.make_opsetid(DOMAIN, 1))
    return model


def _fold(model: ModelProto, prefix: str) -> None:
    graph = model.graph
    inner = [node for node in graph.node if node.name.startswith(prefix)]
    outer = [node for node in graph.node if not node.name.startswith(prefix)]
    made = {name for node in inner for name in node.output}
    read = {name for node in outer for name in node.input} | {each.name for each in graph.output}
    inputs = sorted({name for node in inner for name in node.input if name} - made)
    outputs = sorted(made & read)
    if not inner or not outputs:
        raise ValueError(f"no nodes under {prefix}")
    plain = {name: f"in{i}" for i, name in enumerate(inputs)} | {name: f"out{i}" for i, name in enumerate(outputs)}
    for node in inner:
        node.input[:] = [plain.get(name, name) for name in node.input]
        node.output[:] = [plain.get(name, name) for name in node.output]
    name = f"Neuron{len(model.functions)}"
    standard = [each for each in model.opset_import if not each.domain]
    function = helper.make_function(
        DOMAIN, name, [plain[n] for n in inputs], [plain[n] for n in outputs], inner, standard
    )
    model.functions.append(function)
    call = helper.make_node(name, inputs, outputs, name=prefix.strip("/"), domain=DOMAIN)
    first = next(i for i, node in enumerate(graph.node) if node.name.startswith(prefix))
    before = [node for node in list(graph.node)[:first] if not node.name.startswith(prefix)]
    after = [node for node in list(graph.node)[first:] if not node.name.startswith(prefix)]
    needed = [node for node in after if not made & set(node.input)]
    rest = [node for node in after if made & set(node.input)]
    ordered = _sorted([*before, *needed, call, *rest], graph)
    del graph.node[:]
    graph.node.extend(ordered)


def _sorted(nodes: Sequence[NodeProto], graph: GraphProto) -> list[NodeProto]:
    known = {each.name for each in graph.input} | {each.name for each in graph.initializer} | {""}
    waiting, done = list(nodes), []
    while waiting:
        ready = [node for node in waiting if known.issuperset(node.input)]
        if not ready:
            raise ValueError("the nodes of a function are not together")
        done += ready
        known.update(name for node in ready for name in node.output)
        waiting = [node for node in waiting if node not in ready]
    return done
