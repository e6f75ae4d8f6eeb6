"""Small ONNX step graphs for tests, written by hand, and ONNX Runtime to say what they compute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from snncc.arrays import Array
from snncc.frontends import Model
from snncc.semantics import run_float


@dataclass
class StepGraph:
    """Collects nodes; `node` and the neurons give the name of the tensor that they make."""

    opset: int = 17
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    inputs: list[onnx.ValueInfoProto] = field(default_factory=list)
    outputs: list[onnx.ValueInfoProto] = field(default_factory=list)
    initializers: list[onnx.TensorProto] = field(default_factory=list)
    states: dict[str, str] = field(default_factory=dict)
    properties: dict[str, str] = field(default_factory=dict)
    functions: list[onnx.FunctionProto] = field(default_factory=list)

    def input(self, name: str, shape: Sequence[int | str | None], kind: int = TensorProto.FLOAT) -> str:
        self.inputs.append(helper.make_tensor_value_info(name, kind, shape))
        return name

    def output(self, name: str, kind: int = TensorProto.FLOAT) -> None:
        self.outputs.append(helper.make_tensor_value_info(name, kind, None))

    def constant(self, name: str, value: Any, dtype: Any = np.float32) -> str:
        self.initializers.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def node(self, op: str, inputs: Sequence[str], output: str | Sequence[str], **attributes: Any) -> str:
        outputs = [output] if isinstance(output, str) else list(output)
        name = attributes.pop("name", f"node_{outputs[0]}")
        self.nodes.append(helper.make_node(op, list(inputs), outputs, name=name, **attributes))
        return outputs[0]

    def state(self, name: str, shape: Sequence[int | str], after: str | None = None) -> str:
        """A state; its next value is `after`, else the tensor `NAME_next`."""
        self.states[name] = after or f"{name}_next"
        return self.input(name, shape)

    def lif(self, name: str, current: str, shape: Sequence[int], beta: float = 0.75, threshold: float = 1.0) -> str:
        """v <- beta v + x, fires at >= threshold, soft reset; spikes are the tensor NAME_spikes."""
        v = self.state(f"{name}_v", (1, *shape))
        beta_, threshold_ = self.constant(f"{name}_beta", beta), self.constant(f"{name}_threshold", threshold)
        leaked = self.node("Mul", [v, beta_], f"{name}_leaked")
        summed = self.node("Add", [leaked, current], f"{name}_summed")
        fired = self.node("GreaterOrEqual", [summed, threshold_], f"{name}_fired")
        spikes = self.node("Cast", [fired], f"{name}_spikes", to=TensorProto.FLOAT)
        amount = self.node("Mul", [spikes, threshold_], f"{name}_amount")
        self.node("Sub", [summed, amount], f"{name}_v_next")
        self.output(f"{name}_v_next")
        return spikes

    def model(self) -> onnx.ModelProto:
        graph = helper.make_graph(self.nodes, "net", self.inputs, self.outputs, self.initializers)
        opsets = [helper.make_opsetid("", self.opset)]
        opsets += [helper.make_opsetid(each.domain, 1) for each in self.functions]
        model = helper.make_model(graph, opset_imports=opsets, functions=self.functions, ir_version=9)
        helper.set_model_props(model, self.properties)
        return model

    def save(self, folder: Path, name: str = "net.onnx") -> Path:
        path = folder / name
        path.write_bytes(self.model().SerializeToString())
        return path


def two_layers() -> StepGraph:
    """x (4) -> fc1 -> lif1 (6) -> fc2 -> lif2 (3), the usual form; spikes of lif2 are the output."""
    rng = np.random.default_rng(1)
    graph = StepGraph(properties={"snncc.steps": "12", "snncc.decoder": "count"})
    graph.input("x", (1, 4))
    w1, b1 = graph.constant("fc1.weight", rng.normal(size=(6, 4))), graph.constant("fc1.bias", rng.normal(size=6))
    w2 = graph.constant("fc2.weight", rng.normal(size=(3, 6)))
    graph.output("lif2_spikes")
    hidden = graph.lif("lif1", graph.node("Gemm", ["x", w1, b1], "fc1", transB=1), (6,))
    graph.lif("lif2", graph.node("Gemm", [hidden, w2], "fc2", transB=1), (3,))
    return graph


def run_onnx(path: Path, x: Array, states: Mapping[str, str], tensors: Sequence[str]) -> dict[str, Array]:
    """What ONNX Runtime computes for x (steps, *shape): each of `tensors` as (steps, size), inner ones included."""
    model = onnx.load(path)
    known = {each.name for each in model.graph.output}
    for name in tensors:
        if name not in known:
            model.graph.output.append(helper.make_empty_tensor_value_info(name))
    session = runtime(model)
    shapes = {each.name: [size if isinstance(size, int) else 1 for size in each.shape] for each in session.get_inputs()}
    types = {each.name: np.float64 if "double" in each.type else np.float32 for each in session.get_inputs()}
    (data,) = shapes.keys() - states.keys()
    values = {name: np.zeros(shapes[name], types[name]) for name in states}
    tensors = list(dict.fromkeys(tensors))
    wanted = list(dict.fromkeys([*tensors, *states.values()]))
    rows: dict[str, list[Array]] = {name: [] for name in tensors}
    for frame in x:
        feeds = {data: frame[None].astype(types[data]), **values}
        results = dict(zip(wanted, session.run(wanted, feeds), strict=True))
        values = {state: results[after] for state, after in states.items()}
        for name in tensors:
            rows[name].append(results[name].reshape(-1))
    return {name: np.array(each) for name, each in rows.items()}


def runtime(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def agrees(model: Model, path: Path, x: Array, states: Mapping[str, str], outputs: Mapping[str, str]) -> None:
    """Assert that spikes of every population equal ONNX Runtime's, and `outputs` (op: tensor) to float accuracy."""
    expected = run_onnx(path, x, states, [*model.spike_tensors.values(), *outputs.values()])
    trace = run_float(model.graph, x[None], len(x), record=list(model.spike_tensors))
    for population, tensor in model.spike_tensors.items():
        np.testing.assert_array_equal(trace.spikes[population][0], expected[tensor] != 0, err_msg=population)
    for output, tensor in outputs.items():
        np.testing.assert_allclose(trace.outputs[output][0], expected[tensor], rtol=1e-5, atol=1e-5, err_msg=output)
