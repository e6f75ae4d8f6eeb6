"""Which edges of a recurrent network carry the spikes of the step before: NIR has cycles, but no steps."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import cast

import networkx as nx

from snncc.diagnostics import Diagnostic, check

Edge = tuple[str, str]
_FAR = 1 << 30


def feedback(
    edges: Sequence[Edge], inputs: Iterable[str], neurons: Collection[str], late: Collection[str]
) -> set[Edge]:
    """The edges out of neurons that read the step before, so that no cycle closes within a step.

    Such an edge leads, over nodes without memory, to neurons that are no farther from the input than its own, counted
    in edges. Nodes in `late` delay what passes them; cycles through them are closed already.

    Raises CompileError (`unclear-recurrence`) where an edge leads back and on at the same time.
    """
    graph = cast("nx.DiGraph[str]", nx.DiGraph())
    graph.add_edges_from(edges)
    levels = _levels(graph, [each for each in inputs if each in graph])
    graph.remove_edges_from([edge for edge in edges if edge[0] in late])
    found: set[Edge] = set()
    faults: list[Diagnostic] = []
    for members in nx.strongly_connected_components(graph):
        inner = graph.subgraph(members)
        plain = inner.subgraph([name for name in members if name not in neurons])
        for source, target in inner.edges:
            if source not in neurons:
                continue
            reached = _reached(inner, plain, target, neurons)
            back = {each for each in reached if levels.get(each, _FAR) <= levels.get(source, _FAR)}
            if back == reached:
                found.add((source, target))
            elif back:
                faults.append(_unclear(source, target, sorted(back), sorted(reached - back)))
    check(sorted(faults, key=lambda each: (each.where, each.message)))
    return found


def _levels(graph: nx.DiGraph[str], inputs: Sequence[str]) -> dict[str, int]:
    """How many edges lead from the nearest input to each node."""
    levels = dict.fromkeys(inputs, 0)
    border = list(inputs)
    while border:
        level = levels[border[0]] + 1
        border = list(dict.fromkeys(reader for name in border for reader in graph.successors(name)))
        border = [each for each in border if each not in levels]
        levels.update(dict.fromkeys(border, level))
    return levels


def _reached(inner: nx.DiGraph[str], plain: nx.DiGraph[str], start: str, neurons: Collection[str]) -> set[str]:
    """The neurons that read what arrives at a node in this step."""
    if start in neurons:
        return {start}
    passed = {start, *nx.descendants(plain, start)}
    return {each for name in passed for each in inner.successors(name) if each in neurons}


def _unclear(source: str, target: str, back: Sequence[str], on: Sequence[str]) -> Diagnostic:
    message = f"feeds {target}, which leads back to {', '.join(back)} and on to {', '.join(on)}"
    hint = f"use one node for each, or put a Delay between {source} and what reads its previous step"
    return Diagnostic("unclear-recurrence", source, message, hint)
