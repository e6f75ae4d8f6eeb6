"""Writes an imported network as ONNX, one node of the dialect for each layer, so that it reads back as it was."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from onnx import helper, numpy_helper
from onnx.onnx_ml_pb2 import FunctionProto, ModelProto, NodeProto, TensorProto, ValueInfoProto

from snncc.arrays import Array, Shape
from snncc.diagnostics import Diagnostic, check
from snncc.frontends.model import Model
from snncc.frontends.onnx.dialect.functions import DOMAIN, OPSET, layer_functions
from snncc.frontends.onnx.dialect.kinds import kind_of, neuron_function
from snncc.graph import Edge, Graph
from snncc.layers import (
    Affine,
    Conv2d,
    Input,
    Layer,
    Linear,
    Neuron,
    Output,
    Rearrange,
    Relu,
    Scale,
    SoftReset,
    SumPool2d,
)

LEARN = "snncc.learn."  # before the name of a synapse group, whose rule's text the property holds
_IR = 9  # what ONNX Runtime 1.16 reads


def onnx_bytes(model: Model) -> bytes:
    """The `.onnx` file of a network, the same bytes for the same network.

    Raises CompileError: `dialect-cannot-express` for each layer that only stands between passes.
    """
    check(_inexpressible(model.graph))
    writer = _Writer(model.graph)
    for name in model.graph.order():
        writer.add(name, model.graph[name])
    return writer.model(model).SerializeToString(deterministic=True)


def _inexpressible(graph: Graph[Layer]) -> Iterator[Diagnostic]:
    for name, op in graph.ops.items():
        if isinstance(op, (Linear, Relu)):
            message = f"is a {type(op).__name__}, which the dialect has no op for"
            yield Diagnostic("dialect-cannot-express", name, message, "write the network as it was imported")


@dataclass(frozen=True)
class Call:
    """An op of the dialect: its constants by name in the order of its inputs, and its attributes."""

    op: str
    constants: dict[str, Array]
    attributes: dict[str, Any]


def call(op: Layer) -> Call:
    """The call that a layer other than a neuron becomes."""
    shape = {"shape": list(op.shape)}
    if isinstance(op, (Input, Output)):
        return _port(op, shape)
    if isinstance(op, Scale):
        return Call("Scale", {"scale": op.scale, "shift": op.shift}, shape)
    if isinstance(op, Rearrange):
        index = {} if op.index is None else {"index": op.index}
        return Call("Rearrange" if index else "Reshape", index, shape)
    if isinstance(op, Affine):
        bias = {} if op.bias is None else {"bias": op.bias}
        return Call("Affine" if bias else "Linear", {"weight": op.weight, **bias}, shape)
    assert isinstance(op, (Conv2d, SumPool2d)), op
    return _windowed(op, shape)


def _port(op: Input | Output, shape: dict[str, Any]) -> Call:
    if isinstance(op, Input):
        return Call("Input", {}, {**shape, "events": int(op.events)})
    return Call("Output", {}, {**shape, "value": op.value, "when": op.when, "decoder": op.decoder or ""})


def _windowed(op: Conv2d | SumPool2d, shape: dict[str, Any]) -> Call:
    window = {**shape, "in_shape": list(op.in_shape), "stride": list(op.stride), "padding": list(op.padding)}
    if isinstance(op, SumPool2d):
        own = {"kernel": list(op.kernel), "channels": [op.in_shape[0]], "groups": op.in_shape[0]}
        return Call("SumPool2d", {"scale": np.asarray(op.scale, np.float64)}, {**window, **own})
    bias = {} if op.bias is None else {"bias": op.bias}
    own = {"dilation": list(op.dilation), "groups": op.groups}
    return Call("Conv2d" if bias else "Conv2dLinear", {"weight": op.weight, **bias}, {**window, **own})


def neuron_call(op: Neuron) -> Call:
    """The call that a neuron becomes; its states come between its input and its constants."""
    reset = op.reset.amount if isinstance(op.reset, SoftReset) else op.reset.value if op.reset else None
    values = {
        "decay": op.decay,
        "bias": op.bias,
        "initial": op.initial,
        "threshold": op.threshold,
        "minimum": op.minimum,
        "reset": reset,
        "current_decay": op.current and op.current.decay,
        "current_initial": op.current and op.current.initial,
        "adapt_decay": op.adapt and op.adapt.decay,
        "adapt_jump": op.adapt and op.adapt.jump,
        "adapt_initial": op.adapt and op.adapt.initial,
    }
    kind = kind_of(op)
    constants = {name: np.asarray(values[name]) for name in kind.parameters}
    attributes = {"inclusive": int(op.inclusive), "max_spikes": op.max_spikes, "refractory": op.refractory}
    return Call(kind.name, constants, {"shape": list(op.shape), **attributes})


@dataclass(eq=False)
class _Writer:
    """The file in the making; private to `onnx_bytes`."""

    graph: Graph[Layer]
    nodes: list[NodeProto] = field(default_factory=list[NodeProto])
    last: list[NodeProto] = field(default_factory=list[NodeProto])  # they read what any other node makes
    inputs: list[ValueInfoProto] = field(default_factory=list[ValueInfoProto])
    states: list[ValueInfoProto] = field(default_factory=list[ValueInfoProto])
    outputs: list[ValueInfoProto] = field(default_factory=list[ValueInfoProto])
    following: list[ValueInfoProto] = field(default_factory=list[ValueInfoProto])
    inner: list[ValueInfoProto] = field(default_factory=list[ValueInfoProto])
    constants: list[TensorProto] = field(default_factory=list[TensorProto])
    functions: dict[str, FunctionProto] = field(default_factory=dict[str, FunctionProto])
    late: dict[tuple[str, int], str] = field(default_factory=dict[tuple[str, int], str])
    names: dict[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])
    taken: set[str] = field(default_factory=set[str])

    def name(self, op: str, role: str = "") -> str:
        """A tensor of an op, by what it is there: OP or OP.ROLE, numbered where another has that name."""
        key = op, role
        if key not in self.names:
            wanted = f"{op}.{role}" if role else op
            numbered = (wanted, *(f"{wanted}#{count}" for count in range(2, 4 + len(self.taken))))
            self.names[key] = next(each for each in numbered if each not in self.taken)
            self.taken.add(self.names[key])
        return self.names[key]

    def stream(self, op: str) -> str:
        """What an op sends."""
        kind = self.graph[op]
        return self.name(op, "values" if isinstance(kind, Input) else "spikes" if isinstance(kind, Neuron) else "")

    def add(self, name: str, op: Layer) -> None:
        if isinstance(op, Neuron):
            self.add_neuron(name, op)
            return
        made = call(op)
        self.functions.setdefault(made.op, layer_functions()[made.op])
        shape = op.shape
        if isinstance(op, Input):
            source = self.name(name)
            self.inputs.append(_info(source, shape, TensorProto.FLOAT))
        else:
            source = self.read(name)
        output = self.stream(name)
        (self.outputs if isinstance(op, Output) else self.inner).append(_info(output, shape))
        constants = [self.constant(name, role, value) for role, value in made.constants.items()]
        self.node(made.op, name, [source, *constants], [output], made.attributes)

    def add_neuron(self, name: str, op: Neuron) -> None:
        kind, made = kind_of(op), neuron_call(op)
        self.functions.setdefault(kind.name, neuron_function(kind))
        source = self.read(name)
        states = [self.state(name, each, op.shape) for each in kind.states]
        constants = [self.constant(name, role, value) for role, value in made.constants.items()]
        spikes, before, after = self.stream(name), self.name(name, "before"), self.name(name, "v_next")
        self.inner += [_info(spikes, op.shape), _info(before, op.shape)]
        outputs = [spikes, before, after, *(self.name(name, f"{each}_next") for each in kind.states if each in "ria")]
        self.node(kind.name, name, [source, *states, *constants], outputs, made.attributes)
        if kind.late:
            self.nodes.append(helper.make_node("Identity", [spikes], [self.name(name, "s_next")]))

    def state(self, name: str, role: str, shape: Shape) -> str:
        """A state input, and the output of its next value."""
        state = self.name(name, role)
        self.states.append(_info(state, shape))
        self.following.append(_info(self.name(name, f"{role}_next"), shape))
        return state

    def read(self, name: str) -> str:
        """The sum of what an op reads; a population that reads nothing gets its membrane minus itself."""
        edges = self.graph.incoming(name)
        if not edges:
            return self.glue("Sub", name, "nothing", [self.name(name, "v")] * 2)
        shape = self.graph[edges[0].source].shape
        terms = [self.term(edge, shape) for edge in edges]
        return terms[0] if len(terms) == 1 else self.glue("Sum", name, "sum", terms)

    def term(self, edge: Edge, shape: Shape) -> str:
        source, target = self.graph[edge.source], self.graph[edge.target]
        if isinstance(target, Output) and target.value == "membrane" and isinstance(source, Neuron):
            return self.name(edge.source, "before" if target.when == "before" else "v_next")
        value = self.delayed(edge.source, edge.delay) if edge.delay else self.stream(edge.source)
        if source.shape != shape:
            batch = self.constant(edge.target, f"{edge.source}.shape", np.array([-1, *shape], np.int64))
            value = self.glue("Reshape", edge.target, f"{edge.source}.reshaped", [value, batch])
        if edge.gain != 1.0:
            gain = self.constant(edge.target, f"{edge.source}.gain", np.array(edge.gain))
            value = self.glue("Mul", edge.target, f"{edge.source}.scaled", [value, gain])
        return value

    def delayed(self, source: str, delay: int) -> str:
        """What an op sent some steps ago: a state that follows from the one of a step less."""
        if (source, delay) not in self.late:
            before = self.stream(source) if delay == 1 else self.delayed(source, delay - 1)
            state = self.state(source, f"late{delay}", self.graph[source].shape)
            following = self.name(source, f"late{delay}_next")
            self.last.append(helper.make_node("Identity", [before], [following]))
            self.late[source, delay] = state
        return self.late[source, delay]

    def glue(self, op: str, name: str, role: str, inputs: Sequence[str]) -> str:
        output = self.name(name, role)
        self.nodes.append(helper.make_node(op, list(inputs), [output]))
        return output

    def node(self, op: str, name: str, inputs: list[str], outputs: list[str], attributes: dict[str, Any]) -> None:
        self.nodes.append(helper.make_node(op, inputs, outputs, name=name, domain=DOMAIN, **attributes))

    def constant(self, name: str, role: str, value: Array) -> str:
        tensor = self.name(name, role)
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value).reshape(np.shape(value)), tensor))
        return tensor

    def model(self, model: Model) -> ModelProto:
        nodes = [*self.nodes, *self.last]
        made = {each.name: each for each in self.outputs}
        outputs = [made[self.stream(name)] for name in model.graph.of_kind(Output)]  # the first one classifies
        graph = helper.make_graph(
            nodes,
            model.name,
            [*self.inputs, *self.states],
            [*outputs, *self.following],
            self.constants,
            value_info=self.inner,
        )
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(DOMAIN, 1)]
        functions = [self.functions[name] for name in sorted(self.functions)]
        file = helper.make_model(graph, opset_imports=opsets, functions=functions, ir_version=_IR)
        file.producer_name = "snncc"
        said: dict[str, Any] = {"snncc.steps": model.steps, "snncc.decoder": model.decoder}
        said |= {f"{LEARN}{name}": text for name, text in model.learn.items()}
        helper.set_model_props(file, {key: str(value) for key, value in said.items() if value is not None})
        return file


def _info(name: str, shape: Shape, kind: int = TensorProto.DOUBLE) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, ["batch", *shape])
