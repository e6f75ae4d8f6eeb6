"""Puts chosen populations together into an integer network, in the form that the chip can hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from snncc import layers
from snncc.chip import Chip
from snncc.diagnostics import Diagnostic, check
from snncc.graph import Edge, Graph
from snncc.integers import IntOp, Network, Output, Source, Synapse
from snncc.layers import Decoder, Input, Layer
from snncc.linear import Conv, Lateral, with_weight
from snncc.passes.candidates import Candidate
from snncc.passes.compose import TooLargeError, listed, smallest


def assembled(
    graph: Graph[Layer], source: Source, chosen: Mapping[str, Candidate], decoder: Decoder | None = None
) -> Network:
    """The integer network of a legal graph, under the same names; `decoder` overrides the model's own."""
    ops: dict[str, IntOp] = {}
    edges: list[Edge] = []
    for name in graph.of_kind(Input):
        ops[name] = source
    for name, candidate in chosen.items():
        ops[name] = candidate.population
        for last, synapse in zip(graph.incoming(name), candidate.synapses, strict=True):
            (first,) = graph.incoming(last.source)
            ops[last.source] = synapse
            edges += [Edge(first.source, last.source, first.delay + last.delay), Edge(last.source, name)]
    for name, output in graph.of_kind(layers.Output).items():
        ops[name] = Output(output.value, output.when, decoder or output.decoder or layers.default_decoder(output))
        edges.append(Edge(graph.incoming(name)[0].source, name))
    return Graph({name: ops[name] for name in graph.ops}, edges)


def without_shared_weights(network: Network, chip: Chip) -> Network:
    """The same network for a chip that stores every synapse: such maps are listed, or dense where that is smaller.

    Raises CompileError (`too-many-synapses`) for each that is too large.
    """
    kinds = {"convolution": Conv, "lateral": Lateral}
    stored = tuple(kind for capability, kind in kinds.items() if capability not in chip.capabilities)
    faults: list[Diagnostic] = []
    ops = dict(network.ops)
    for name, synapse in network.of_kind(Synapse).items():
        if isinstance(synapse.map, stored):
            try:
                linear = smallest(listed(synapse.map))
                ops[name] = replace(synapse, map=with_weight(linear, linear.weight.astype(synapse.map.weight.dtype)))
            except TooLargeError as error:
                message = f"without shared weights, which {chip.name} lacks, it needs {error.needed:,} synapses"
                hint = "choose a target with convolutions, or a smaller model"
                faults.append(Diagnostic("too-many-synapses", name, f"{message}; snncc lists {error.limit:,}", hint))
    check(faults)
    return Graph(ops, network.edges)
