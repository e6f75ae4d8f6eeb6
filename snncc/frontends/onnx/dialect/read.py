"""Reads a file of the dialect layer by layer, exactly; any file that is not quite one is left to the general reader."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
from onnx import helper
from onnx.onnx_ml_pb2 import FunctionProto, ModelProto, NodeProto

from snncc.arrays import Array
from snncc.diagnostics import CompileError
from snncc.frontends.model import Model
from snncc.frontends.onnx.dialect.functions import DOMAIN, layer_functions
from snncc.frontends.onnx.dialect.kinds import Kind, kinds, neuron_function
from snncc.frontends.onnx.dialect.write import LEARN
from snncc.frontends.onnx.ports import decoder, steps
from snncc.frontends.onnx.tensors import TensorReader, printable, text
from snncc.graph import Edge, Graph
from snncc.layers import (
    Adapt,
    Affine,
    Conv2d,
    Current,
    Decoder,
    HardReset,
    Input,
    Layer,
    Neuron,
    Output,
    Readout,
    Rearrange,
    Scale,
    SoftReset,
    SumPool2d,
    When,
)

_GLUE = {"Mul": 2, "Reshape": 2, "Identity": 1, "Sub": 2}  # how many inputs each takes; a Sum takes any
_MOST_STEPS = 1 << 16  # of an attribute that counts them


class NotDialectError(Exception):
    """The file is no more than resembling."""


def read_dialect(proto: ModelProto, path: Path) -> Model | None:
    """The network of a file that `write.onnx_bytes` wrote, None for other files."""
    if not any(node.domain == DOMAIN for node in proto.graph.node):
        return None
    try:
        graph = _Reader(proto, TensorReader(path.parent)).graph()
    except (NotDialectError, CompileError, ValueError):
        return None  # what is wrong with it, the general reader says
    properties = {each.key: each.value for each in proto.metadata_props}
    count, bad_count = steps(properties)
    kind, bad_kind = decoder(properties)
    spikes = {node.name: node.output[0] for node in proto.graph.node if isinstance(graph.ops.get(node.name), Neuron)}
    exact = dict.fromkeys(spikes, 0.0)
    warnings = (*bad_count, *bad_kind)
    learn = {key[len(LEARN) :]: value for key, value in properties.items() if key.startswith(LEARN)}
    return Model(printable(path.stem), graph, count, kind, spikes, exact, warnings, learn=learn)


@dataclass(eq=False)
class _Reader:
    """What is known of a file; private to `read_dialect`."""

    proto: ModelProto
    tensors: TensorReader
    constants: dict[str, Array] = field(default_factory=dict[str, Array])
    makers: dict[str, NodeProto] = field(default_factory=dict[str, NodeProto])
    inputs: set[str] = field(default_factory=set[str])

    def graph(self) -> Graph[Layer]:
        proto = self.proto.graph
        _must(not proto.sparse_initializer)
        self.constants = {each.name: self.tensors.read(each, each.name) for each in proto.initializer}
        self.inputs = {each.name for each in proto.input}
        calls = self._calls()
        for node in proto.node:
            for name in node.output:
                _must(name not in self.makers and name not in self.constants and name not in self.inputs)
                self.makers[name] = node
        ops = {name: self._layer(calls[name]) for name in self._ordered(calls)}
        edges = [edge for name, node in calls.items() for edge in self._edges(name, node, ops[name])]
        try:
            return Graph(ops, edges)
        except ValueError:
            raise NotDialectError from None

    def _calls(self) -> dict[str, NodeProto]:
        """The nodes that are layers, by name; their functions must be those that they would be written with."""
        known = {(each.domain, each.name): each for each in self.proto.functions}
        calls: dict[str, NodeProto] = {}
        for node in self.proto.graph.node:
            if node.domain == DOMAIN:
                own = _function(node.op_type)
                given = known.get((DOMAIN, node.op_type))
                _must(given is not None and own is not None and _same(given, own))
                name = text(node.name)
                _must(name and name.isprintable() and name not in calls)
                calls[name] = node
            else:
                _must(node.domain == "" and len(node.output) == 1 and node.input)
                _must(node.op_type == "Sum" or _GLUE.get(node.op_type) == len(node.input))
        return calls

    def _ordered(self, calls: Mapping[str, NodeProto]) -> Iterator[str]:
        """The names of all layers as their nodes lie, but for outputs: in the file's order, as the first classifies."""
        last = {each.name: place for place, each in enumerate(self.proto.graph.output)}
        own = [name for name, node in calls.items() if node.op_type == "Output"]
        _must(all(calls[name].output and calls[name].output[0] in last for name in own))
        listed = iter(sorted(own, key=lambda name: last[calls[name].output[0]]))
        for name, node in calls.items():
            yield next(listed) if node.op_type == "Output" else name

    def _layer(self, node: NodeProto) -> Layer:
        kind = _KINDS.get(node.op_type)
        values = {each.name: helper.get_attribute_value(each) for each in node.attribute}
        function = _function(node.op_type)
        assert function is not None
        _must(set(values) == set(function.attribute))
        _must(len(node.input) == len(function.input) and len(node.output) == len(function.output))
        named = dict(zip(function.input, node.input, strict=True))
        constants = {name: self.constants[tensor] for name, tensor in named.items() if tensor in self.constants}
        wanted = kind.parameters if kind else tuple(name for name in function.input if name != "x")
        _must(set(constants) == set(wanted))
        given = Given(values, constants)
        return neuron(kind, given) if kind else layer(node.op_type, given)

    def _edges(self, name: str, node: NodeProto, op: Layer) -> list[Edge]:
        if isinstance(op, Input):
            return []
        source = self.makers.get(node.input[0])
        terms = [node.input[0]]
        if source is not None and source.domain == "" and source.op_type == "Sum":
            terms = list(source.input)
        elif source is not None and source.domain == "" and source.op_type == "Sub":
            _must(isinstance(op, Neuron) and list(source.input) == [node.input[1]] * 2)
            return []
        return [self._edge(term, name) for term in terms]

    def _edge(self, tensor: str, target: str) -> Edge:
        gain, delay, seen = 1.0, 0, set[str]()
        while True:
            _must(tensor not in seen)
            seen.add(tensor)
            if tensor in self.inputs:  # a state: the last step's value of what its next value is made of
                tensor, delay = self._last(tensor), delay + 1
                _must(delay <= _MOST_STEPS)
                continue
            node = self.makers.get(tensor)
            _must(node is not None)
            assert node is not None
            if node.domain == DOMAIN:
                return Edge(node.name, target, delay, gain)
            if node.op_type == "Mul" and gain == 1.0:
                factor = self.constants.get(node.input[1])
                _must(factor is not None and factor.shape == () and factor.dtype == np.float64)
                gain = float(cast("Array", factor))
            else:
                _must(node.op_type == "Reshape" and node.input[1] in self.constants)
            tensor = node.input[0]

    def _last(self, state: str) -> str:
        node = self.makers.get(f"{state}_next")
        _must(node is not None and node.domain == "" and node.op_type == "Identity")
        assert node is not None
        return node.input[0]


def _must(holds: object) -> None:
    if not holds:
        raise NotDialectError


def _function(op: str) -> FunctionProto | None:
    kind = _KINDS.get(op)
    return neuron_function(kind) if kind else layer_functions().get(op)


def _same(given: FunctionProto, own: FunctionProto) -> bool:
    """Whether two functions compute the same in the same words."""
    return (
        list(given.input) == list(own.input)
        and list(given.output) == list(own.output)
        and sorted(given.attribute) == sorted(own.attribute)
        and not given.attribute_proto
        and [each.SerializeToString(deterministic=True) for each in given.node]
        == [each.SerializeToString(deterministic=True) for each in own.node]
    )


_KINDS: Mapping[str, Kind] = {kind.name: kind for kind in kinds()}


@dataclass(frozen=True, eq=False)
class Given:
    """The attributes and constants of a call."""

    attributes: Mapping[str, Any]
    constants: Mapping[str, Array]

    def sizes(self, name: str, count: int | None = None) -> tuple[int, ...]:
        value = self.attributes[name]
        _must(isinstance(value, list) and all(isinstance(each, int) and 0 <= each < 1 << 31 for each in value))
        _must(count is None or len(value) == count)
        return tuple(value)

    def number(self, name: str, least: int = 0) -> int:
        value = self.attributes[name]
        _must(isinstance(value, int) and least <= value < 1 << 31)
        return cast("int", value)

    def word(self, name: str, known: tuple[str, ...]) -> str:
        value = self.attributes[name]
        word = value.decode("utf-8", "replace") if isinstance(value, bytes) else ""
        _must(word in known)
        return word

    def get(self, name: str) -> Array | None:
        return self.constants.get(name)


def layer(op: str, given: Given) -> Layer:
    """The layer that a call other than a neuron's was."""
    if op in ("Input", "Output"):
        return _port(op, given)
    if op in ("Conv2d", "Conv2dLinear", "SumPool2d"):
        return _windowed(op, given)
    shape, values = given.sizes("shape"), given.constants
    if op == "Scale":
        return Scale(shape, values["scale"], values["shift"])
    if op in ("Affine", "Linear"):
        return Affine(values["weight"], shape, given.get("bias"))
    _must(op == "Reshape" or values["index"].dtype == np.int64)
    return Rearrange(shape, given.get("index"))


def _port(op: str, given: Given) -> Input | Output:
    shape = given.sizes("shape")
    if op == "Input":
        return Input(shape, bool(given.number("events")))
    word = given.word("decoder", ("", *get_args(Decoder)))
    value, when = given.word("value", get_args(Readout)), given.word("when", get_args(When))
    return Output(shape, cast("Readout", value), cast("When", when), cast("Decoder | None", word or None))


def _windowed(op: str, given: Given) -> Conv2d | SumPool2d:
    shape, in_shape, values = given.sizes("shape"), given.sizes("in_shape"), given.constants
    stride = cast("tuple[int, int]", given.sizes("stride", 2))
    padding = cast("tuple[int, int, int, int]", given.sizes("padding", 4))
    if op == "SumPool2d":
        _must(values["scale"].shape == () and given.sizes("channels") == in_shape[:1] == (given.number("groups"),))
        kernel = cast("tuple[int, int]", given.sizes("kernel", 2))
        return SumPool2d(in_shape, shape, kernel, stride, padding, float(values["scale"]))
    dilation = cast("tuple[int, int]", given.sizes("dilation", 2))
    groups = given.number("groups", 1)
    return Conv2d(values["weight"], in_shape, shape, given.get("bias"), stride, padding, dilation, groups)


def neuron(kind: Kind, given: Given) -> Neuron:
    """The neuron that a call was."""
    values = given.constants
    _must(all(each.dtype.kind == "f" for each in values.values()))
    inclusive, most, rest = given.number("inclusive"), given.number("max_spikes", 1), given.number("refractory")
    _must(bool(inclusive) == kind.inclusive and (most > 1) == kind.several and (rest > 0) == kind.rests)
    reset = None
    if kind.reset == SoftReset.__name__:
        reset = SoftReset(values["reset"], int(kind.late), kind.by_threshold)
    elif kind.reset:
        reset = HardReset(values["reset"], int(kind.late))
    return Neuron(
        given.sizes("shape"),
        values["decay"],
        given.get("threshold"),
        kind.inclusive,
        reset,
        values["bias"],
        Current(values["current_decay"], values["current_initial"]) if kind.current else None,
        given.get("minimum"),
        Adapt(values["adapt_decay"], values["adapt_jump"], values["adapt_initial"]) if kind.adapts else None,
        most,
        rest,
        values["initial"],
    )
