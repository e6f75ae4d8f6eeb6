"""Turns ONNX node records into detached nodes, with calls of the file's own functions replaced by their bodies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from onnx.onnx_ml_pb2 import AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, TensorProto

from snncc.arrays import Array
from snncc.diagnostics import CompileError, Diagnostic, fault
from snncc.frontends.onnx.region import Node
from snncc.frontends.onnx.tensors import TensorReader, printable, text

Scopes = dict[str, str]
_MAX_NODES = 1_000_000
_MAX_DEPTH = 32
_STANDARD = ("", "ai.onnx")
_Key = tuple[str, str, str]


@dataclass(frozen=True, eq=False)
class Subgraph:
    """A graph held in an attribute (If, Loop, Scan); its own tensors have names that no other part of the file has.

    `captures` are the tensors that it reads from around it.
    """

    nodes: tuple[Node, ...] = ()
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    constants: Mapping[str, Array] = field(default_factory=dict[str, Array])
    captures: frozenset[str] = frozenset()


@dataclass(eq=False)
class _Inliner:
    functions: Mapping[_Key, FunctionProto]
    reader: TensorReader
    nodes: list[Node] = field(default_factory=list[Node])
    scopes: Scopes = field(default_factory=Scopes)
    faults: list[Diagnostic] = field(default_factory=list[Diagnostic])
    count: list[int] = field(default_factory=lambda: [0])  # of nodes, in this graph and those inside of it

    def add(
        self,
        protos: Iterable[NodeProto],
        prefix: str,
        names: dict[str, str],
        values: Mapping[str, Any],
        depth: int,
    ) -> None:
        """Append nodes with tensors renamed by `names` (new ones get `prefix`) and attribute references filled in."""
        for proto in protos:
            self.count[0] += 1
            if self.count[0] > _MAX_NODES:
                raise fault("too-many-nodes", "model", f"has more than {_MAX_NODES:,} nodes, functions written out")
            attributes = self._attributes(proto, values, _Outer(prefix, names, values, depth))
            inputs = tuple(names.get(name, prefix + name) if name else "" for name in map(text, proto.input))
            local = [text(name) for name in proto.output]
            for name in local:
                if name and name not in names:
                    names[name] = prefix + name
            outputs = tuple(names[name] if name else "" for name in local)
            function = self.functions.get((text(proto.domain), text(proto.op_type), text(proto.overload)))
            if function is None:
                self._append(proto, inputs, outputs, attributes)
            elif depth >= _MAX_DEPTH:
                raise fault("recursive-function", printable(text(proto.op_type)), "calls itself, or nests too deeply")
            else:
                self._call(proto, function, inputs, outputs, attributes, depth)

    def _append(
        self, proto: NodeProto, inputs: tuple[str, ...], outputs: tuple[str, ...], attributes: dict[str, Any]
    ) -> None:
        first = next((name for name in outputs if name), "")
        domain, op = text(proto.domain), text(proto.op_type)
        op = op if domain in _STANDARD else f"{domain}::{op}"
        label = printable(text(proto.name) or first or op)
        self.nodes.append(Node(printable(op), label, inputs, outputs, attributes))
        for entry in proto.metadata_props:
            if entry.key == "pkg.torch.onnx.name_scopes":
                self.scopes[first] = text(entry.value)

    def _call(
        self,
        proto: NodeProto,
        function: FunctionProto,
        inputs: tuple[str, ...],
        outputs: tuple[str, ...],
        attributes: dict[str, Any],
        depth: int,
    ) -> None:
        label = next((name for name in outputs if name), text(proto.name))
        formal, results = [text(each) for each in function.input], [text(each) for each in function.output]
        given = dict.fromkeys(formal, "") | dict(zip(formal, inputs, strict=False))
        names = given | {inner: outer for inner, outer in zip(results, outputs, strict=False) if outer}
        if set(formal) & set(results) or len(inputs) > len(formal) or len(outputs) > len(results):
            message = f"does not fit the function {printable(text(function.name))}"
            raise fault("corrupt-model", printable(text(proto.name) or label), message)
        around = _Outer("", {}, {}, depth)
        defaults = {text(each.name): self._attribute(each, label, around) for each in function.attribute_proto}
        values = defaults | attributes
        self.add(function.node, f"{label}/{text(function.name)}/", names, values, depth + 1)

    def _attributes(self, proto: NodeProto, values: Mapping[str, Any], around: _Outer) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for each in proto.attribute:
            name, outer = text(each.name), text(each.ref_attr_name)
            if not outer:
                label = text(proto.name) or next((text(name) for name in proto.output if name), text(proto.op_type))
                result[name] = self._attribute(each, label, around)
            elif outer in values:
                result[name] = values[outer]
        return result

    def _attribute(self, proto: AttributeProto, where: str, around: _Outer) -> Any:
        kind = AttributeProto
        if proto.type == kind.GRAPH:
            return self._subgraph(proto.g, f"{where}/{text(proto.name)}/", around)
        if proto.type == kind.TENSOR:
            try:
                return self.reader.read(proto.t, where)
            except CompileError as error:
                self.faults.extend(error.diagnostics)
                return None
        simple: dict[int, Any] = {
            kind.FLOAT: proto.f,
            kind.INT: proto.i,
            kind.FLOATS: tuple(proto.floats),
            kind.INTS: tuple(proto.ints),
        }
        if proto.type == kind.STRING:
            return proto.s.decode("utf-8", "replace")
        if proto.type == kind.STRINGS:
            return tuple(each.decode("utf-8", "replace") for each in proto.strings)
        return simple.get(proto.type, Subgraph())

    def _subgraph(self, graph: GraphProto, prefix: str, around: _Outer) -> Subgraph:
        """A graph in an attribute; what it defines gets a prefix of its own, what it reads from outside does not."""
        if around.depth >= _MAX_DEPTH:
            raise fault("recursive-function", printable(prefix), "nests too deeply")
        prefix = f"{around.prefix}{prefix}{self.count[0]}/"
        inner = _Inliner(self.functions, self.reader, scopes=self.scopes, faults=self.faults, count=self.count)
        own = [text(each.name) for each in (*graph.input, *graph.initializer)]
        own += [text(name) for node in graph.node for name in node.output if name]
        local = {name: prefix + name for name in own}
        outside = {text(name) for node in graph.node for name in node.input if name} - local.keys()
        outside |= {text(each.name) for each in graph.output} - local.keys()
        captured = {name: around.names.get(name, around.prefix + name) for name in outside}
        inner.add(graph.node, prefix, local | captured, around.values, around.depth + 1)
        constants = read_constants(graph.initializer, self.reader, self.faults, local)
        deeper = {
            name
            for node in inner.nodes
            for value in node.attributes.values()
            if isinstance(value, Subgraph)
            for name in value.captures
        }
        return Subgraph(
            tuple(inner.nodes),
            tuple(local[text(each.name)] for each in graph.input),
            tuple((local | captured)[text(each.name)] for each in graph.output),
            constants,
            frozenset(captured.values()) | (deeper - set(local.values())),
        )


@dataclass(frozen=True, eq=False)
class _Outer:
    """Where a graph in an attribute stands: the names and attributes that it may refer to."""

    prefix: str
    names: Mapping[str, str]
    values: Mapping[str, Any]
    depth: int


def read_constants(
    tensors: Iterable[TensorProto], reader: TensorReader, faults: list[Diagnostic], names: Mapping[str, str]
) -> dict[str, Array]:
    """The initializers of a graph that can be read, by name, renamed where `names` says so."""
    found: dict[str, Array] = {}
    for tensor in tensors:
        name = text(tensor.name)
        try:
            found[names.get(name, name)] = reader.read(tensor, name)
        except CompileError as error:
            faults.extend(error.diagnostics)
    return found


def read_nodes(model: ModelProto, reader: TensorReader, faults: list[Diagnostic]) -> tuple[tuple[Node, ...], Scopes]:
    """All nodes of the graph; a call of a function that the file defines is replaced by the function's nodes."""
    functions = {(text(each.domain), text(each.name), text(each.overload)): each for each in model.functions}
    inliner = _Inliner(functions, reader, faults=faults)
    inliner.add(model.graph.node, "", {}, {}, 0)
    return tuple(inliner.nodes), inliner.scopes
