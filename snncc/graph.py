"""The graph that every stage works on: named ops, joined by edges with a delay and a gain."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Generic, TypeVar, cast

import networkx as nx
import numpy as np

from snncc.arrays import short
from snncc.diagnostics import fault

OpT = TypeVar("OpT")
KindT = TypeVar("KindT")


@dataclass(frozen=True)
class Edge:
    """`target` reads `gain` times the value that `source` had `delay` time steps ago."""

    source: str
    target: str
    delay: int = 0
    gain: float = 1.0


class Graph(Generic[OpT]):
    """Named ops on a `networkx.DiGraph`; an op reads the sum of its incoming edges.

    Immutable: passes build new graphs. Nodes are layers, populations or slices, never single neurons.
    The order of `ops` and `edges` is that of construction, so equal input gives equal output.
    """

    def __init__(self, ops: Mapping[str, OpT], edges: Iterable[Edge] = ()) -> None:
        self.ops: Mapping[str, OpT] = MappingProxyType(dict(ops))
        self.edges = tuple(edges)
        digraph = cast("nx.DiGraph[str]", nx.DiGraph())
        digraph.add_nodes_from(self.ops)
        for edge in self.edges:
            if edge.source not in self.ops or edge.target not in self.ops:
                raise ValueError(f"edge {edge} joins ops that are not there")
            if digraph.has_edge(edge.source, edge.target):
                raise ValueError(f"{edge.source} -> {edge.target} twice: use one edge with a gain")
            if edge.delay < 0:
                raise ValueError(f"edge {edge} has a negative delay")
            digraph.add_edge(edge.source, edge.target, edge=edge)
        self._digraph = digraph

    def __getitem__(self, name: str) -> OpT:
        return self.ops[name]

    def of_kind(self, kind: type[KindT]) -> dict[str, KindT]:
        """The ops of one class, by name, in order."""
        return {name: op for name, op in self.ops.items() if isinstance(op, kind)}

    def incoming(self, name: str) -> tuple[Edge, ...]:
        return tuple(self._digraph.edges[pair]["edge"] for pair in self._digraph.in_edges(name))

    def outgoing(self, name: str) -> tuple[Edge, ...]:
        return tuple(self._digraph.edges[pair]["edge"] for pair in self._digraph.out_edges(name))

    def digraph(self) -> nx.DiGraph[str]:
        """A copy for networkx's algorithms; each networkx edge has its `Edge` under the key `edge`."""
        return self._digraph.copy()

    def order(self) -> tuple[str, ...]:
        """Every op after the ops that it reads without a delay.

        Raises CompileError (`zero-delay-cycle`) where there is no such order.
        """
        instant = self.digraph()
        instant.remove_edges_from([(edge.source, edge.target) for edge in self.edges if edge.delay > 0])
        position = {name: index for index, name in enumerate(self.ops)}
        try:
            return tuple(nx.lexicographical_topological_sort(instant, key=position.__getitem__))
        except nx.NetworkXUnfeasible:
            cycle = " -> ".join(source for source, *_ in nx.find_cycle(instant))
            raise fault(
                "zero-delay-cycle",
                cycle.split(" -> ", maxsplit=1)[0],
                f"these ops feed each other within one time step: {cycle}",
                "a recurrent connection must read the previous step's value (a state input)",
            ) from None

    def text(self) -> str:
        """One line an op, its incoming edges under it: a form that reads well in a diff."""
        lines: list[str] = []
        for name, op in self.ops.items():
            lines.append(f"{name} = {op_text(op)}")
            for edge in self.incoming(name):
                delay = f" delay {edge.delay}" if edge.delay else ""
                gain = f" gain {edge.gain:g}" if edge.gain != 1.0 else ""
                lines.append(f"    <- {edge.source}{delay}{gain}")
        return "\n".join(lines) + "\n"


def op_text(value: Any) -> str:
    """An op, or a field of one, in a short text form; fields at their default are left out."""
    if isinstance(value, np.ndarray):
        return short(cast("np.ndarray[Any, Any]", value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = ", ".join(
            f"{each.name}={op_text(getattr(value, each.name))}"
            for each in dataclasses.fields(value)
            if not _is_default(getattr(value, each.name), each.default)
        )
        return f"{type(value).__name__}({fields})"
    if isinstance(value, tuple):
        return "(" + ",".join(op_text(each) for each in cast("tuple[Any, ...]", value)) + ")"
    return str(value)


def _is_default(value: Any, default: Any) -> bool:
    if isinstance(value, np.ndarray) or default is dataclasses.MISSING:
        return False
    return bool(value == default)
