"""Turns ONNX node records into detached nodes, with calls of the file's own functions replaced by their bodies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from onnx.onnx_ml_pb2 import AttributeProto, FunctionProto, ModelProto, NodeProto

from snncc.diagnostics import CompileError, Diagnostic, fault
from snncc.frontends.onnx.region import Node
from snncc.frontends.onnx.tensors import TensorReader, printable, text

Scopes = dict[str, str]
_MAX_NODES = 1_000_000
_MAX_DEPTH = 32
_STANDARD = ("", "ai.onnx")
_Key = tuple[str, str, str]


@dataclass(frozen=True)
class Subgraph:
    """Stands for a graph held in an attribute (If, Loop, Scan), which no supported op has."""


@dataclass(eq=False)
class _Inliner:
    functions: Mapping[_Key, FunctionProto]
    reader: TensorReader
    nodes: list[Node] = field(default_factory=list[Node])
    scopes: Scopes = field(default_factory=Scopes)
    faults: list[Diagnostic] = field(default_factory=list[Diagnostic])

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
            if len(self.nodes) >= _MAX_NODES:
                raise fault("too-many-nodes", "model", f"has more than {_MAX_NODES:,} nodes, functions written out")
            attributes = self._attributes(proto, values)
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
        values = {text(each.name): self._attribute(each, label) for each in function.attribute_proto} | attributes
        self.add(function.node, f"{label}/{text(function.name)}/", names, values, depth + 1)

    def _attributes(self, proto: NodeProto, values: Mapping[str, Any]) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for each in proto.attribute:
            name, outer = text(each.name), text(each.ref_attr_name)
            if not outer:
                result[name] = self._attribute(each, text(proto.name) or text(proto.op_type))
            elif outer in values:
                result[name] = values[outer]
        return result

    def _attribute(self, proto: AttributeProto, where: str) -> Any:
        kind = AttributeProto
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


def read_nodes(model: ModelProto, reader: TensorReader, faults: list[Diagnostic]) -> tuple[tuple[Node, ...], Scopes]:
    """All nodes of the graph; a call of a function that the file defines is replaced by the function's nodes."""
    functions = {(text(each.domain), text(each.name), text(each.overload)): each for each in model.functions}
    inliner = _Inliner(functions, reader, faults=faults)
    inliner.add(model.graph.node, "", {}, {}, 0)
    return tuple(inliner.nodes), inliner.scopes
