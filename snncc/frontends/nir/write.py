"""Writes an imported network as NIR, so that it reads back as the same network."""

from __future__ import annotations

import io
import itertools
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import networkx as nx
import numpy as np

from snncc.arrays import Shape
from snncc.diagnostics import CompileError, Diagnostic, check, fault
from snncc.frontends.model import Model
from snncc.frontends.nir.express import Expressed, InexpressibleError, delay, expressed, scale
from snncc.frontends.nir.flat import Flat
from snncc.frontends.nir.fuse import fuse
from snncc.frontends.nir.neurons import NEEDS
from snncc.frontends.nir.recurrence import feedback
from snncc.frontends.nir.stored import OURS, Stored
from snncc.graph import Edge, Graph
from snncc.layers import Layer, Neuron, Output
from snncc.passes.legalise import unused

USUAL_DT = 1e-4  # seconds; what most frameworks write
_VERSION = "1.0.8"  # of nir, whose nodes these are


def nir_bytes(model: Model, dt: float | None = None) -> bytes:
    """The `.nir` file of a network; `dt` is the seconds that one of its steps stands for.

    Raises CompileError: `nir-cannot-express`, once for each op that NIR has no node for; `bad-option`, `no-h5py`.
    """
    if dt is not None and not (np.isfinite(dt) and dt > 0):
        raise fault("bad-option", "--dt", f"is {dt:g}; a step takes a positive time")
    return _packed(nir_graph(model, USUAL_DT if dt is None else dt))


def nir_graph(model: Model, dt: float) -> Stored:
    """The network in nodes of NIR. A cycle has a Delay, unless its reader would close it at the same edge itself."""
    graph = _decoded(model)
    members = {name: number for number, each in enumerate(_cycles(graph)) for name in each}
    implicit = {
        edge
        for edge in graph.edges
        if edge.delay == 1 and isinstance(graph[edge.source], Neuron) and edge.source in members
        if members[edge.source] == members.get(edge.target)
    }
    found = _written(graph, dt, implicit)
    if implicit and not _closes(found):
        found = _written(graph, dt, set())
    metadata: dict[str, Any] = {f"{OURS}dt": np.array(dt)}
    if model.steps:
        metadata[f"{OURS}steps"] = np.array(model.steps)
    return replace(found.whole, metadata=metadata)


def _decoded(model: Model) -> Graph[Layer]:
    """The graph, with the model's decoder at outputs that have none of their own."""
    ops = {
        name: replace(op, decoder=op.decoder or model.decoder) if isinstance(op, Output) else op
        for name, op in model.graph.ops.items()
    }
    return Graph(ops, model.graph.edges)


def _cycles(graph: Graph[Layer]) -> list[set[str]]:
    digraph = graph.digraph()
    found = nx.strongly_connected_components(digraph)
    return [each for each in found if len(each) > 1 or digraph.has_edge(*each, *each)]


@dataclass(frozen=True, eq=False)
class _Written:
    """A network in NIR, and the edges that its reader must find to be those of the step before."""

    whole: Stored
    back: Collection[tuple[str, str]]


def _closes(written: _Written) -> bool:
    """Whether a reader sees which edges lead back."""
    network = fuse(Flat(written.whole.nodes, tuple(written.whole.edges))).network
    kinds = {name: node.kind for name, node in network.nodes.items()}
    inputs, late = ([name for name, kind in kinds.items() if kind == each] for each in ("Input", "Delay"))
    try:
        return feedback(network.edges, inputs, {each for each in kinds if kinds[each] in NEEDS}, late) == written.back
    except CompileError:  # a reader would not know
        return False


@dataclass
class _Growing:
    """The nodes so far; `entry` takes what an op reads, `exits` gives what it sends, `core` is the op's own node."""

    names: Mapping[str, str]
    nodes: dict[str, Stored] = field(default_factory=dict[str, Stored])
    edges: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    entry: dict[str, str] = field(default_factory=dict[str, str])
    core: dict[str, str] = field(default_factory=dict[str, str])
    exits: dict[str, str] = field(default_factory=dict[str, str])
    shapes: dict[str, Shape] = field(default_factory=dict[str, Shape])

    def put(self, name: str, suffix: str, node: Stored) -> str:
        own = self.names[name]
        if suffix:
            own = unused(f"{own}.{suffix}", self.nodes, set(self.names.values()))
        self.nodes[own] = node
        return own

    def add(self, name: str, found: Expressed) -> None:
        """Put the nodes of an op, one behind the other."""
        placed = [self.put(name, suffix, node) for suffix, node in found.nodes]
        self.edges += itertools.pairwise(placed)
        self.entry[name], self.core[name], self.exits[name] = placed[0], self.names[name], placed[-1]
        self.shapes[name] = found.shape


def _written(graph: Graph[Layer], dt: float, implicit: set[Edge]) -> _Written:
    growing = _Growing(_names(graph))
    faults: list[Diagnostic] = []
    for name in graph.order():
        faults += _added(growing, graph, name, dt)
    check(faults)
    back: set[tuple[str, str]] = set()
    for edge in graph.edges:
        way = _edge(growing, graph, edge, dt, edge in implicit)
        growing.edges += way
        if edge in implicit:
            back.add((growing.core[edge.source], way[0][1]))
    return _Written(Stored("NIRGraph", {}, {}, growing.nodes, tuple(growing.edges)), back)


def _names(graph: Graph[Layer]) -> dict[str, str]:
    """Names that HDF5 can hold: a slash would be a group of its own."""
    found: dict[str, str] = {}
    for name in graph.ops:
        plain = name.replace("/", ".").replace("\0", "").strip(".")[:200] or "node"
        found[name] = unused(plain.encode(errors="replace").decode(), set(found.values()))
    return found


def _added(growing: _Growing, graph: Graph[Layer], name: str, dt: float) -> tuple[Diagnostic, ...]:
    """Put an op's nodes, or say why NIR has none."""
    op = graph[name]
    read = [growing.shapes[edge.source] for edge in graph.incoming(name) if edge.source in growing.shapes]
    same = [each for each in read if np.prod(each) == np.prod(op.shape)]
    shape = read[0] if read and not isinstance(op, Neuron) else same[0] if same else op.shape
    try:
        growing.add(name, expressed(op, shape, dt))
    except InexpressibleError as error:
        growing.shapes[name] = op.shape
        return tuple(Diagnostic("nir-cannot-express", name, *reason) for reason in error.args)
    return tuple(_unread(graph, name))


def _unread(graph: Graph[Layer], name: str) -> list[Diagnostic]:
    """An output that NIR could not give."""
    op = graph[name]
    if not isinstance(op, Output) or op.value == "spikes":
        return []
    for edge in graph.incoming(name):
        source = graph[edge.source]
        if isinstance(source, Neuron) and source.threshold is not None and source.reset is not None:
            message = f"is the membrane of {edge.source}, which fires; NIR's {edge.source} gives its spikes"
            return [
                Diagnostic("nir-cannot-express", name, message, "make the last layer an integrator, or read spikes")
            ]
    return []


def _edge(growing: _Growing, graph: Graph[Layer], edge: Edge, dt: float, implicit: bool) -> list[tuple[str, str]]:
    """An edge, with a node for its gain and one for its delay, unless its reader delays it."""
    target, source = graph[edge.target], graph[edge.source]
    membrane = isinstance(target, Output) and target.value == "membrane" and isinstance(source, Neuron)
    way = [growing.core[edge.source] if membrane else growing.exits[edge.source]]
    shape = growing.shapes[edge.source]
    if edge.gain != 1:
        way.append(growing.put(edge.source, "gain", scale(edge.gain, shape)))
    if edge.delay and not implicit:
        way.append(growing.put(edge.source, f"delay{edge.delay}", delay(edge.delay, shape, dt)))
    way.append(growing.entry[edge.target])
    return list(itertools.pairwise(way))


def _packed(graph: Stored) -> bytes:
    """The file, as nir.write writes it but not compressed, so that the same network gives the same bytes anywhere."""
    try:
        import h5py
    except ImportError as error:
        hint = 'pip install h5py, or pip install "snncc[hdf5]"'
        raise fault("no-h5py", "h5py", "writes HDF5 files, and is not installed", hint) from error
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        text = h5py.string_dtype()
        file.create_dataset("version", data=_VERSION, dtype=text)
        _put(file.create_group("node"), graph, text)
    return memory.getvalue()


def _put(group: Any, node: Stored, text: Any) -> None:
    group.create_dataset("type", data=node.kind, dtype=text)
    inner = [(group, node.values)]
    if node.metadata:
        inner.append((group.create_group("metadata"), node.metadata))
    for place, values in inner:
        for key, value in values.items():
            place.create_dataset(key, data=value, dtype=text if isinstance(value, str) else value.dtype)
    if node.kind == "NIRGraph":
        pairs = np.array(node.edges, dtype=object).reshape(-1, 2)
        group.create_dataset("edges", data=pairs, dtype=text)
        nodes = group.create_group("nodes", track_order=False)
        for name, each in node.nodes.items():
            _put(nodes.create_group(name), each, text)
