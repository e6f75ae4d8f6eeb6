"""Makes one flat network of graphs within graphs; the ends of inner graphs disappear."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from snncc.diagnostics import Diagnostic, check
from snncc.frontends.nir.stored import Stored, bad

_MOST = 1 << 14  # edges, once what passed through the ends of inner graphs is joined
Pairs = dict[tuple[str, str], None]


@dataclass(frozen=True, eq=False)
class Flat:
    """Nodes by name, none of them a graph, in the file's order; and who reads whom."""

    nodes: Mapping[str, Stored]
    edges: tuple[tuple[str, str], ...]


@dataclass
class _Growing:
    nodes: dict[str, Stored] = field(default_factory=dict[str, Stored])
    edges: Pairs = field(default_factory=Pairs)
    faults: list[Diagnostic] = field(default_factory=list[Diagnostic])


def flat(graph: Stored) -> Flat:
    """Inner nodes are called `graph.node`. Raises CompileError (`bad-nir`), once per fault."""
    growing = _Growing()
    _add(growing, "", graph)
    check(growing.faults)
    ends = [name for name, node in growing.nodes.items() if node.kind in ("Input", "Output")]
    inner = [name for name in ends if name not in graph.nodes]
    edges = growing.edges
    for name in inner:
        edges = _joined(name, edges, growing.faults)
    check(growing.faults)
    nodes = {name: node for name, node in growing.nodes.items() if name not in set(inner)}
    return Flat(nodes, tuple(edges))


def _add(growing: _Growing, path: str, graph: Stored) -> None:
    """Put a graph's nodes and edges to the others."""
    names: dict[str, str] = {}
    for key, node in graph.nodes.items():
        name = f"{path}{key}"
        if node.kind == "NIRGraph":
            _add(growing, f"{name}.", node)
        elif name in growing.nodes:
            growing.faults.append(bad(name, "is the name of two nodes", "rename one of them"))
        else:
            growing.nodes[name] = node
        names[key] = name
    where = path.removesuffix(".") or "the network"
    for source, target in graph.edges:
        unknown = [each for each in (source, target) if each not in names]
        if unknown:
            said = f"has an edge {source} -> {target}, but no node {' and no node '.join(unknown)}"
            growing.faults.append(bad(where, f"{said}; its nodes are {_listed(names)}", _renamed(graph, unknown)))
            continue
        ends = (
            _end(growing, graph, source, f"{path}{source}", "Output"),
            _end(growing, graph, target, f"{path}{target}", "Input"),
        )
        if ends in growing.edges:
            message = f"is joined to {ends[1]} twice"
            growing.faults.append(
                bad(ends[0], message, "give the edge once, and a Scale of 2 if it should count twice")
            )
        growing.edges[ends] = None


def _listed(names: Mapping[str, str]) -> str:
    return ", ".join(itertools.islice(names, 12)) + (", ..." if len(names) > 12 else "")


def _renamed(graph: Stored, unknown: list[str]) -> str:
    """Old exporters named an inner neuron after its layer, and left the edges as they were."""
    joined = {each for edge in graph.edges for each in edge}
    unjoined = [name for name in graph.nodes if name not in joined]
    if len(unjoined) == 1 and len(set(unknown)) == 1:
        return f"nothing is joined to {unjoined[0]}: it may be what the edges call {unknown[0]}; rename one"
    return "write the network again with a current release of nir"


def _end(growing: _Growing, graph: Stored, key: str, name: str, kind: str) -> str:
    """The node that an edge ends at: of a graph, its one `Input` or `Output`."""
    node = graph.nodes[key]
    if node.kind != "NIRGraph":
        return name
    ends = [inner for inner, each in node.nodes.items() if each.kind == kind]
    if len(ends) != 1:
        message = f"has {len(ends)} nodes {kind}; a graph within a graph has one"
        growing.faults.append(bad(name, message, "join what they read, or flatten the graph"))
        return name
    return f"{name}.{ends[0]}"


def _joined(name: str, edges: Pairs, faults: list[Diagnostic]) -> Pairs:
    """The edges without a node that hands on what it reads: whoever it read is joined to whoever read it."""
    if (name, name) in edges:
        faults.append(bad(name, "feeds itself with no neuron between"))
        return {}
    sources = [source for source, target in edges if target == name]
    targets = [target for source, target in edges if source == name]
    kept: Pairs = {edge: None for edge in edges if name not in edge}
    if len(kept) + len(sources) * len(targets) > _MOST:
        faults.append(bad(name, f"joins {len(sources):,} nodes to {len(targets):,}", "put a node between"))
        return {}
    for edge in _pairs(sources, targets):
        if edge in kept:
            faults.append(bad(edge[0], f"is joined to {edge[1]} twice", "leave one of the ways out"))
        kept[edge] = None
    return kept


def _pairs(sources: list[str], targets: list[str]) -> Iterator[tuple[str, str]]:
    return itertools.product(sources, targets)
