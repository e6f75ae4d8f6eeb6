"""What an ONNX file says, detached from protobuf: nodes, constants and ports, each checked to be well-formed."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

from snncc.arrays import Array
from snncc.diagnostics import CompileError, Diagnostic, fault
from snncc.frontends.onnx.inline import Scopes, read_nodes
from snncc.frontends.onnx.region import Node
from snncc.frontends.onnx.tensors import TensorReader, printable, type_name

_MAX_FILE = 2**31 - 1  # what protobuf itself can hold; larger models keep their weights in data files
_OLDEST_OPSET = 13


@dataclass(frozen=True)
class Port:
    """A tensor that the caller gives each step; a dimension is None where it is left open."""

    name: str
    type: str
    shape: tuple[int | None, ...] | None


@dataclass(frozen=True, eq=False)
class Source:
    """One ONNX graph; `nodes` are in topological order, and `scopes` gives the module that made a node's output."""

    path: Path
    opset: int
    nodes: tuple[Node, ...]
    scopes: Mapping[str, str]
    constants: Mapping[str, Array]
    inputs: tuple[Port, ...]
    outputs: tuple[str, ...]
    properties: Mapping[str, str]
    faults: tuple[Diagnostic, ...]


def load(path: Path) -> Source:
    """Parse the file; faults that leave the rest readable are kept in `faults`, the others raise."""
    model = _parse(path)
    try:
        return _extract(model, path)
    except UnicodeDecodeError:
        raise fault("corrupt-model", path.name, "holds names that are not UTF-8", _DAMAGED) from None


_DAMAGED = "the file is damaged or not an ONNX model: export it again"


def _parse(path: Path) -> onnx.ModelProto:
    where = printable(path.name)
    try:
        size = path.stat().st_size
        if not path.is_file():
            raise fault("cannot-read", where, "is not a file")
        if size > _MAX_FILE:
            raise fault("cannot-read", where, f"has {size:,} bytes; an ONNX file has at most {_MAX_FILE:,}")
        data = path.read_bytes()
    except OSError as error:
        raise fault("cannot-read", where, error.strerror or "cannot be read") from None
    try:
        model = onnx.ModelProto.FromString(data)
    except DecodeError:
        raise fault("corrupt-model", where, "is not an ONNX model, or only a part of one", _DAMAGED) from None
    if not model.HasField("graph") or not (model.graph.node or model.graph.output):
        raise fault("corrupt-model", where, "holds no graph", _DAMAGED)
    return model


def _extract(model: onnx.ModelProto, path: Path) -> Source:
    reader = TensorReader(path.parent)
    faults: list[Diagnostic] = []
    opset = _opset(model, faults)
    constants: dict[str, Array] = {}
    for tensor in model.graph.initializer:
        try:
            constants[tensor.name] = reader.read(tensor, tensor.name)
        except CompileError as error:
            faults.extend(error.diagnostics)
    for sparse in model.graph.sparse_initializer:
        name = printable(sparse.values.name)
        faults.append(Diagnostic("unsupported-type", name, "is a sparse initializer", "store it as a dense tensor"))
    nodes, scopes = read_nodes(model, reader, faults)
    known = {tensor.name for tensor in model.graph.initializer}
    inputs = tuple(_port(each) for each in model.graph.input if each.name not in known)
    outputs = tuple(each.name for each in model.graph.output)
    faults.extend(_names_are_unique(nodes, inputs, outputs, known))
    given = {*known, *(port.name for port in inputs), *(each.values.name for each in model.graph.sparse_initializer)}
    ordered, unordered = _in_order(nodes, given)
    faults.extend(unordered)
    properties = {each.key: each.value for each in model.metadata_props}
    return Source(path, opset, ordered, _readable(scopes), constants, inputs, outputs, properties, tuple(faults))


def _opset(model: onnx.ModelProto, faults: list[Diagnostic]) -> int:
    newest = onnx.defs.onnx_opset_version()
    versions = [each.version for each in model.opset_import if each.domain in ("", "ai.onnx")]
    opset = versions[0] if versions else 0
    if not _OLDEST_OPSET <= opset <= newest:
        what = f"uses ONNX opset {opset}" if versions else "does not say which ONNX opset it uses"
        hint = f"export with an opset from {_OLDEST_OPSET} to {newest}, for instance opset_version=17"
        message = f"{what}; {_OLDEST_OPSET} to {newest} are supported"
        faults.append(Diagnostic("unsupported-opset", "model", message, hint))
    return opset


def _port(info: onnx.ValueInfoProto) -> Port:
    if not info.type.HasField("tensor_type"):
        return Port(info.name, "no tensor", None)
    tensor = info.type.tensor_type
    if not tensor.HasField("shape"):
        return Port(info.name, type_name(tensor.elem_type), None)
    shape = tuple(dim.dim_value if dim.HasField("dim_value") else None for dim in tensor.shape.dim)
    return Port(info.name, type_name(tensor.elem_type), shape)


def _names_are_unique(
    nodes: tuple[Node, ...], inputs: tuple[Port, ...], outputs: tuple[str, ...], known: set[str]
) -> Iterator[Diagnostic]:
    makers = Counter(name for node in nodes for name in node.outputs if name)
    makers.update(port.name for port in inputs)
    makers.update(known)
    repeated = [name for name, count in makers.items() if count > 1]
    repeated += [name for name, count in Counter(outputs).items() if count > 1]
    for name in repeated:
        message = "this tensor name is defined more than once"
        yield Diagnostic("duplicate-name", printable(name), message, "export the model again")


def _in_order(nodes: tuple[Node, ...], given: set[str]) -> tuple[tuple[Node, ...], list[Diagnostic]]:
    """The nodes after those that they read; what reads itself, or nothing that exists, becomes a diagnostic."""
    made = {name: index for index, node in enumerate(nodes) for name in node.outputs if name}
    faults: list[Diagnostic] = []
    readers: dict[int, list[int]] = {}
    waiting: list[int] = []
    for index, node in enumerate(nodes):
        for name in node.inputs:
            if name and name not in given and name not in made:
                message = f"reads {printable(name)!r}, which nothing defines"
                faults.append(Diagnostic("undefined-tensor", node.name, message, _DAMAGED))
        sources = {made[name] for name in node.inputs if name in made and name not in given}
        waiting.append(len(sources))
        for source in sources:
            readers.setdefault(source, []).append(index)
    ready = [index for index, count in enumerate(waiting) if count == 0]
    order: list[int] = []
    while ready:
        index = ready.pop()
        order.append(index)
        for reader in readers.get(index, ()):
            waiting[reader] -= 1
            if waiting[reader] == 0:
                ready.append(reader)
    if len(order) < len(nodes):
        stuck = sorted(set(range(len(nodes))) - set(order))
        names = ", ".join(nodes[index].name for index in stuck[:8])
        message = f"these nodes read each other's results within one step, so none can be first: {names}"
        hint = "a recurrent connection must enter as a state input and leave as a state output"
        faults.append(Diagnostic("cyclic-graph", nodes[stuck[0]].name, message, hint))
    if order != sorted(order):
        order = _stable(order, nodes, made, given)
    return tuple(nodes[index] for index in order), faults


def _stable(order: list[int], nodes: tuple[Node, ...], made: Mapping[str, int], given: set[str]) -> list[int]:
    """The file's own order if that is topological already, so that names and edges follow the file."""
    position = {index: index for index in order}
    for index in order:
        if any(made[name] >= index for name in nodes[index].inputs if name in made and name not in given):
            return order
    return sorted(position)


def _readable(scopes: Scopes) -> dict[str, str]:
    """The dynamo exporter writes the module path of a node as a Python list of names, outermost first."""
    result: dict[str, str] = {}
    for tensor, text in scopes.items():
        try:
            parts = ast.literal_eval(text) if len(text) < 4096 else ()
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue  # only a name is lost, and there are others to fall back on
        if isinstance(parts, list) and len(parts) >= 2 and isinstance(parts[-2], str):
            result[tensor] = parts[-2]
    return result
