"""What an ONNX file says, detached from protobuf: nodes, constants and ports, each checked to be well-formed."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from heapq import heappop, heappush
from pathlib import Path

from google.protobuf.message import DecodeError
from onnx.defs import onnx_opset_version
from onnx.onnx_ml_pb2 import ModelProto, ValueInfoProto

from snncc.arrays import Array
from snncc.diagnostics import CompileError, Diagnostic, fault
from snncc.frontends.onnx.inline import Scopes, Subgraph, read_constants, read_nodes
from snncc.frontends.onnx.region import Node
from snncc.frontends.onnx.tensors import TensorReader, printable, text, type_name

_MAX_FILE = 2**31 - 1  # what protobuf itself can hold; larger models keep their weights in data files
_OLDEST_OPSET = 7  # the first whose ops broadcast as numpy does


def knows_opset(opset: int) -> bool:
    return _OLDEST_OPSET <= opset <= onnx_opset_version()


@dataclass(frozen=True)
class Port:
    """A tensor that the caller gives each step; a dimension is None where it is left open."""

    name: str
    type: str
    shape: tuple[int | None, ...] | None


@dataclass(frozen=True, eq=False)
class Source:
    """One ONNX graph; `nodes` are in topological order, and `scopes` gives the module that made a node's output.

    `faults` are those that leave the rest readable, with the tensors that could not be read in `broken`. `survey`: it
    is refused already, and read once more to see what else is in it.
    """

    path: Path
    opset: int
    nodes: tuple[Node, ...]
    scopes: Mapping[str, str]
    constants: Mapping[str, Array]
    broken: frozenset[str]
    inputs: tuple[Port, ...]
    outputs: tuple[str, ...]
    properties: Mapping[str, str]
    faults: tuple[Diagnostic, ...]
    survey: bool = False


def load(path: Path) -> Source:
    """Parse the file; faults that leave the rest readable are kept in `faults`, the others raise."""
    return extract(parse(path), path)


def extract(model: ModelProto, path: Path) -> Source:
    """What a parsed file says; faults as those of `load`."""
    try:
        return _extract(model, path)
    except UnicodeDecodeError:  # older protobuf; newer ones give the bytes
        raise fault("corrupt-model", printable(path.name), "holds names that are not UTF-8", _DAMAGED) from None


_DAMAGED = "the file is damaged or not an ONNX model: export it again"


def parse(path: Path) -> ModelProto:
    """The file's record; raises CompileError (`cannot-read`, `corrupt-model`) where there is none."""
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
        model = ModelProto.FromString(data)
    except DecodeError:
        raise fault("corrupt-model", where, "is not an ONNX model, or only a part of one", _DAMAGED) from None
    if not model.HasField("graph") or not (model.graph.node or model.graph.output):
        raise fault("corrupt-model", where, "holds no graph", _DAMAGED)
    return model


def _extract(model: ModelProto, path: Path) -> Source:
    reader = TensorReader(path.parent)
    faults: list[Diagnostic] = []
    opset = _opset(model, faults)
    constants = read_constants(model.graph.initializer, reader, faults, {})
    for sparse in model.graph.sparse_initializer:
        where = printable(text(sparse.values.name))
        faults.append(Diagnostic("unsupported-type", where, "is a sparse initializer", "store it as a dense tensor"))
    nodes, scopes = read_nodes(model, reader, faults)
    known = {text(tensor.name) for tensor in model.graph.initializer}
    known.update(text(each.values.name) for each in model.graph.sparse_initializer)
    inputs = tuple(_port(each) for each in model.graph.input if text(each.name) not in known)
    outputs = tuple(text(each.name) for each in model.graph.output)
    given = known | {port.name for port in inputs}
    fatal = [*_names_are_unique(nodes, inputs, model), *_nothing_reads_itself(nodes, given)]
    if fatal:
        raise CompileError([*faults, *fatal])
    return Source(
        path,
        opset,
        tuple(nodes[index] for index in _order(nodes, given)),
        _readable(scopes),
        constants,
        frozenset(known - constants.keys()),
        inputs,
        outputs,
        {text(each.key): text(each.value) for each in model.metadata_props},
        tuple(faults),
    )


def _opset(model: ModelProto, faults: list[Diagnostic]) -> int:
    newest = onnx_opset_version()
    versions = [each.version for each in model.opset_import if text(each.domain) in ("", "ai.onnx")]
    opset = versions[0] if versions else 0
    if not knows_opset(opset):
        what = f"uses ONNX opset {opset}" if versions else "does not say which ONNX opset it uses"
        hint = f"export with an opset from {_OLDEST_OPSET} to {newest}, for instance opset_version=17"
        message = f"{what}; {_OLDEST_OPSET} to {newest} are supported"
        faults.append(Diagnostic("unsupported-opset", "model", message, hint))
    return opset


def _port(info: ValueInfoProto) -> Port:
    if not info.type.HasField("tensor_type"):
        return Port(text(info.name), "no tensor", None)
    tensor = info.type.tensor_type
    if not tensor.HasField("shape"):
        return Port(text(info.name), type_name(tensor.elem_type), None)
    shape = tuple(dim.dim_value if dim.HasField("dim_value") else None for dim in tensor.shape.dim)
    return Port(text(info.name), type_name(tensor.elem_type), shape)


def _names_are_unique(nodes: tuple[Node, ...], inputs: tuple[Port, ...], model: ModelProto) -> Iterator[Diagnostic]:
    makers = Counter(name for node in nodes for name in node.outputs if name)
    makers.update(port.name for port in inputs)
    makers.update(text(tensor.name) for tensor in model.graph.initializer)
    repeated = [name for name, count in makers.items() if count > 1]
    for name in repeated:
        message = "this tensor name is defined more than once"
        yield Diagnostic("duplicate-name", printable(name), message, "export the model again")


def _nothing_reads_itself(nodes: tuple[Node, ...], given: set[str]) -> Iterator[Diagnostic]:
    order = set(_order(nodes, given))
    stuck = [node.name for index, node in enumerate(nodes) if index not in order]
    if stuck:
        names = ", ".join(stuck[:8]) + (f" and {len(stuck) - 8:,} more" if len(stuck) > 8 else "")
        message = f"within one step these nodes wait for each other's results: {names}"
        hint = "a recurrent connection must enter as a state input and leave as a state output"
        yield Diagnostic("cyclic-graph", stuck[0], message, hint)


def _order(nodes: tuple[Node, ...], given: set[str]) -> list[int]:
    """Each node after those that it reads, else in the file's order; nodes on a cycle, and after one, are left out."""
    made = {name: index for index, node in enumerate(nodes) for name in node.outputs if name and name not in given}
    readers: dict[int, list[int]] = {}
    waiting: list[int] = []
    for index, node in enumerate(nodes):
        sources = {made[name] for name in (*node.inputs, *_captured(node)) if name in made}
        waiting.append(len(sources))
        for source in sources:
            readers.setdefault(source, []).append(index)
    ready = [index for index, count in enumerate(waiting) if count == 0]
    order: list[int] = []
    while ready:
        index = heappop(ready)
        order.append(index)
        for reader in readers.get(index, ()):
            waiting[reader] -= 1
            if waiting[reader] == 0:
                heappush(ready, reader)
    return order


def _captured(node: Node) -> Iterator[str]:
    """What the graphs in a node's attributes read from around it."""
    for value in node.attributes.values():
        if isinstance(value, Subgraph):
            yield from value.captures


def _readable(scopes: Scopes) -> dict[str, str]:
    """The dynamo exporter writes the module path of a node as a Python list of names, outermost first."""
    result: dict[str, str] = {}
    for tensor, written in scopes.items():
        try:
            parts = ast.literal_eval(written) if len(written) < 4096 else ()
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue  # only a name is lost, and there are others to fall back on
        if isinstance(parts, list) and len(parts) >= 2 and isinstance(parts[-2], str):
            result[tensor] = parts[-2]
    return result
