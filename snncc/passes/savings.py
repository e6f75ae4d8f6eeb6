"""How many neurons and synapses a pass has taken out of a network, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from snncc.graph import Graph
from snncc.integers import Population
from snncc.layers import Neuron, size
from snncc.linear import effective_count


@dataclass(frozen=True)
class Gone:
    """What went, for a reason: neurons, and synapses whose weight is not 0; a shared weight counts at each use."""

    why: str
    neurons: int
    synapses: int


def between(why: str, before: Graph[Any], after: Graph[Any]) -> tuple[Gone, ...]:
    """What a graph of layers, or an integer network, has lost; nothing if it has lost nothing."""
    (neurons, synapses), left = _counts(before), _counts(after)
    gone = Gone(why, neurons - left[0], synapses - left[1])
    return (gone,) if gone.neurons or gone.synapses else ()


def populations_gone(why: str, before: Graph[Any], after: Graph[Any]) -> tuple[Gone, ...]:
    """The neurons of whole populations that are no longer there, where synapses cannot be compared."""
    neurons = sum(size(op.shape) for name, op in before.of_kind(Neuron).items() if name not in after.ops)
    return (Gone(why, neurons, 0),) if neurons else ()


def total(gone: tuple[Gone, ...]) -> tuple[Gone, ...]:
    """One for each reason, in the order in which they came up."""
    sums: Mapping[str, list[Gone]] = {each.why: [] for each in gone}
    for each in gone:
        sums[each.why].append(each)
    return tuple(
        Gone(why, sum(each.neurons for each in parts), sum(each.synapses for each in parts))
        for why, parts in sums.items()
    )


def _counts(graph: Graph[Any]) -> tuple[int, int]:
    neurons = sum(size(op.shape) for op in graph.ops.values() if isinstance(op, (Neuron, Population)))
    return neurons, sum(effective_count(op.map) for op in graph.ops.values() if hasattr(op, "map"))
