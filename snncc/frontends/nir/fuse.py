"""Joins each integrator with the Threshold that reads it: NIR's way to write a neuron without a reset."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, replace

from snncc.diagnostics import Diagnostic
from snncc.frontends.nir.flat import Flat
from snncc.frontends.nir.neurons import GRADED
from snncc.frontends.nir.stored import Stored


@dataclass(frozen=True, eq=False)
class Fused:
    """A network whose integrators have the threshold of the Threshold that read them.

    `membranes` are the edges on which an output reads an integrator's membrane.
    """

    network: Flat
    membranes: Set[tuple[str, str]]


def fuse(network: Flat) -> Fused:
    """The joined node has the integrator's name."""
    nodes: dict[str, Stored] = dict(network.nodes)
    stands: dict[str, str] = {}
    for name, node in network.nodes.items():
        readers = [target for source, target in network.edges if source == name]
        thresholds = [each for each in readers if network.nodes[each].kind == "Threshold"]
        if node.kind in GRADED and len(thresholds) == 1 and _reads(network, thresholds[0]) == [name]:
            own = network.nodes[thresholds[0]].values
            nodes[name] = replace(node, values={**node.values, **own}, metadata=node.metadata)
            stands[thresholds[0]] = name
    membranes = {
        (source, target)
        for source, target in network.edges
        if network.nodes[source].kind in GRADED and network.nodes[target].kind == "Output"
    }
    edges = [(stands.get(source, source), target) for source, target in network.edges if target not in stands]
    left = {name: node for name, node in nodes.items() if name not in stands}
    return Fused(Flat(left, tuple(dict.fromkeys(edges))), membranes)


def _reads(network: Flat, name: str) -> list[str]:
    return [source for source, target in network.edges if target == name]


def graded_readers(network: Flat) -> Iterator[Diagnostic]:
    """Edges of the compiled network carry spikes: a membrane can only be read at the end."""
    for source, target in network.edges:
        node, reader = network.nodes[source], network.nodes[target]
        if node.kind in GRADED and reader.kind not in ("Output", "Threshold"):
            message = f"hands its membrane on to {target}; between layers, neurons hand on spikes"
            hint = "let an Output or one Threshold of its own read it, or use an IF, a LIF or a CubaLIF"
            yield Diagnostic("graded-membrane", source, message, hint)
        elif node.kind in GRADED and reader.kind == "Threshold" and len(_reads(network, target)) > 1:
            message = f"reads the membrane of {source} and other values beside it"
            yield Diagnostic("graded-membrane", target, message, "give each integrator a Threshold of its own")
    yield from _several(network, network.nodes)


def _several(network: Flat, nodes: Mapping[str, Stored]) -> Iterator[Diagnostic]:
    for name, node in nodes.items():
        found = [each for source, each in network.edges if source == name and nodes[each].kind == "Threshold"]
        if node.kind in GRADED and len(found) > 1:
            message = f"hands its membrane on to {len(found)} thresholds, {', '.join(found[:3])}"
            yield Diagnostic("graded-membrane", name, message, "use one integrator for each")
