"""Gives every population a start step, and every synapse the delay that follows, so that a chip can deliver in time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import cast

import networkx as nx

from snncc.chip import Chip
from snncc.diagnostics import CompileError, Diagnostic
from snncc.graph import Graph
from snncc.integers import IntOp, Network, Output, Population, Source, Synapse, source_of


@dataclass(frozen=True)
class Link:
    """A synapse: how many steps before step t of the model `target` reads `source`, at least and at most.

    The two differ where the synapse's source neurons have delays of their own; `edge` is the delay without these.
    """

    synapse: str
    source: str
    target: str
    edge: int
    least: int
    most: int

    def floor(self, least: int) -> int:
        """How many steps after its source the target must start at least, on a chip with that least delay."""
        return max(least - self.least, -self.edge)


def retime(network: Network, chip: Chip) -> Network:
    """The same network later: each synapse's delay lies within the chip's, each output has a known latency.

    Population p does step t of the model at step t + start(p); a synapse of delay d gets d + start(target) -
    start(source). The starts are the least that solve these difference constraints, the source's being 0. The same
    object comes back for a chip that delivers within a step.

    Raises CompileError (`no-timing`).
    """
    least, _ = chip.delay.steps
    if least == 0:
        return network
    found = tuple(links(network))
    starts = _starts(network, found, chip)
    if all(_start(network[name]) == start for name, start in starts.items()):
        return network
    ops = {name: _moved(network, name, op, starts) for name, op in network.ops.items()}
    delays = {each.synapse: each.edge + starts[each.target] - starts[each.source] for each in found}
    return Graph(ops, (replace(edge, delay=delays.get(edge.target, edge.delay)) for edge in network.edges))


def links(network: Network) -> Iterator[Link]:
    """Every synapse, with the delays that it has in steps of the model."""
    for name in network.of_kind(Synapse):
        source, delay = source_of(network, name)
        (fed,) = network.outgoing(name)
        delay += _start(network[source]) - _start(network[fed.target])
        low, high = _own(network, name)
        yield Link(name, source, fed.target, delay, delay + low, delay + high)


def _start(op: IntOp) -> int:
    return op.start if isinstance(op, Population) else 0


def _own(network: Network, synapse: str) -> tuple[int, int]:
    """The least and the greatest delay that a synapse's source neurons add to its edge's."""
    op = network[synapse]
    if not isinstance(op, Synapse) or op.axon_delays is None or op.axon_delays.size == 0:
        return 0, 0
    return int(op.axon_delays.min()), int(op.axon_delays.max())


def _moved(network: Network, name: str, op: IntOp, starts: dict[str, int]) -> IntOp:
    if isinstance(op, Population):
        return replace(op, start=starts[name])
    if isinstance(op, Output):
        read, _ = source_of(network, name)
        return replace(op, latency=op.latency + starts[read] - _start(network[read]))
    return op


def _starts(network: Network, links: tuple[Link, ...], chip: Chip) -> dict[str, int]:
    """The least start steps, by source and population: the longest paths from the source."""
    (first,) = network.of_kind(Source)
    least, most = chip.delay.steps
    constraints = cast("nx.DiGraph[str]", nx.DiGraph())
    constraints.add_node(first)
    for name in network.of_kind(Population):
        _constrain(constraints, first, name, 0)
    for link in links:
        _constrain(constraints, link.source, link.target, link.floor(least))
        _constrain(constraints, link.target, link.source, link.most - most)
    try:
        lengths = nx.single_source_bellman_ford_path_length(constraints, first, weight="weight")
    except nx.NetworkXUnbounded:
        cycle = nx.find_negative_cycle(constraints, first, weight="weight")
        raise CompileError([_impossible(cycle[:-1], links, chip)]) from None
    return {name: -int(length) for name, length in lengths.items()}


def _constrain(constraints: nx.DiGraph[str], before: str, after: str, bound: int) -> None:
    """start(after) - start(before) >= bound."""
    if not constraints.has_edge(before, after) or bound > constraints.edges[before, after]["bound"]:
        constraints.add_edge(before, after, bound=bound, weight=-bound)


def _impossible(cycle: list[str], links: tuple[Link, ...], chip: Chip) -> Diagnostic:
    """Why the start steps of these ops, each constrained by the one before, have no solution."""
    least, most = chip.delay.steps
    pairs = list(zip(cycle, (*cycle[1:], cycle[0]), strict=True))
    short: list[Link] = []
    for before, after in pairs:
        between = [each for each in links if (each.source, each.target) == (before, after)]
        late = [each for each in links if (each.target, each.source) == (before, after)]
        floor = max((each.floor(least) for each in between), default=None)
        ceiling = max((each.most - most for each in late), default=None)
        if ceiling is not None and (floor is None or ceiling > floor):
            return _too_long(max(late, key=lambda each: each.most), pairs, links, chip)
        if between:
            short.append(min(between, key=lambda each: each.least))
    has, needs = sum(each.least for each in short), least * len(short)
    way = " -> ".join((*(each.source for each in short), short[0].source))
    return Diagnostic(
        "no-timing",
        short[0].source,
        f"feeds itself within {_steps(has)} ({way}); {chip.name} takes {_steps(needs)} for that",
        f"train it with {_steps(needs)} of delay around this cycle, or choose a target that delivers within a step",
    )


def _too_long(link: Link, pairs: list[tuple[str, str]], links: tuple[Link, ...], chip: Chip) -> Diagnostic:
    """A synapse that had to wait for longer ways beside it, or whose own delays differ by too much."""
    least, most = chip.delay.steps
    excess = sum(_bound(pair, links, chip) for pair in pairs)
    ways = [each.synapse for pair in pairs for each in links if (each.source, each.target) == pair]
    beside = f" to keep pace with {', '.join(dict.fromkeys(ways))}" if set(ways) - {link.synapse} else ""
    return Diagnostic(
        "no-timing",
        link.synapse,
        f"needs a delay of {_steps(most + excess)}{beside}; {chip.name} has delays of {least} to {most}",
        "shorten the way beside it or its own delays, or choose a target with longer delays",
    )


def _bound(pair: tuple[str, str], links: tuple[Link, ...], chip: Chip) -> int:
    """By how many steps the second op of a pair must start after the first."""
    least, most = chip.delay.steps
    forward = [each.floor(least) for each in links if (each.source, each.target) == pair]
    backward = [each.most - most for each in links if (each.target, each.source) == pair]
    return max((*forward, *backward), default=0)


def _steps(count: int) -> str:
    return f"{count} step" if count == 1 else f"{count} steps"
