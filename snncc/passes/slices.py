"""Takes neurons, or whole channels, out of a graph: out of populations and out of the maps that join them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast

import numpy as np

from snncc import layers
from snncc.arrays import Array, Ints, Shape
from snncc.graph import Graph
from snncc.integers import Kept, Population
from snncc.linear import Conv, Dense, Lateral, LinearMap, Sparse, to_sparse

OpT = TypeVar("OpT")


@dataclass(frozen=True)
class Unit:
    """What can be taken out of a population: `count` units of `neurons` each, which follow one another."""

    count: int
    neurons: int


def units_of(graph: Graph[Any], name: str) -> Unit | None:
    """Neurons one by one; whole channels beside a convolution; None where nothing can be taken out.

    A convolution in groups and a lateral map between two populations have no form for what would be left.
    """
    shape: Shape = graph[name].shape
    unit = Unit(math.prod(shape), 1)
    around = [(graph[edge.source], edge.source) for edge in graph.incoming(name)]
    around += [(graph[edge.target], edge.target) for edge in graph.outgoing(name)]
    for op, own in around:
        linear: LinearMap | None = getattr(op, "map", None)
        if isinstance(linear, Lateral) and graph.incoming(own)[0].source != graph.outgoing(own)[0].target:
            return None
        if isinstance(linear, Conv):
            unit = Unit(shape[0], math.prod(shape[1:]))
            fed = (linear.out_shape, graph.outgoing(own)[0].target), (linear.in_shape, graph.incoming(own)[0].source)
            if linear.groups > 1 or any(shape != of for of, end in fed if end == name):
                return None
    return unit


def sliced(linear: LinearMap, sources: Ints | None, targets: Ints | None) -> LinearMap:
    """The map between the neurons of these numbers, all where None; of a convolution they are whole channels."""
    sources = np.arange(linear.in_size) if sources is None else sources
    targets = np.arange(linear.out_size) if targets is None else targets
    if isinstance(linear, Dense):
        return Dense(linear.weight[np.ix_(targets, sources)])
    if isinstance(linear, Lateral):
        if not np.array_equal(sources, targets):
            raise ValueError("a lateral map between different neurons")
        return Lateral(linear.weight, len(sources))
    if isinstance(linear, Conv):
        _, height, width = linear.in_shape
        inner = sources[:: height * width] // (height * width)
        positions = math.prod(linear.out_shape[1:])
        outer = targets[::positions] // positions
        return replace(linear, weight=linear.weight[np.ix_(outer, inner)], in_shape=(len(inner), height, width))
    return _sliced_list(to_sparse(linear), sources, targets)


def _sliced_list(linear: Sparse, sources: Ints, targets: Ints) -> Sparse:
    from scipy import sparse

    shape = (linear.in_size, linear.out_size)
    matrix = sparse.csr_array((linear.weight, linear.targets, linear.indptr), shape=shape)[sources][:, targets]
    matrix.sort_indices()
    return Sparse(matrix.indptr, matrix.indices, matrix.data, len(targets))


def narrowed(op: OpT, unit: Unit, chosen: Ints) -> OpT:
    """A population (of integers, or a layer) of the chosen units: its shape, and all parameters that differ in them."""
    shape: Shape = cast("Any", op).shape
    by_channel = unit.neurons > 1 or len(shape) == 1
    after = (len(chosen), *shape[1:]) if by_channel else (len(chosen),)

    def part(value: Array) -> Array:
        if value.size == 1:
            return value.reshape(())
        if by_channel:
            return value[chosen] if value.ndim == len(shape) and value.shape[0] == shape[0] else value
        return np.broadcast_to(value, shape).reshape(-1)[chosen]

    return replace(_mapped(op, part), shape=after)


def _mapped(record: Any, part: Any) -> Any:
    """A record with `part` applied to every array in it."""
    changed: dict[str, Any] = {}
    for each in dataclasses.fields(record):
        value = getattr(record, each.name)
        if isinstance(value, np.ndarray):
            changed[each.name] = part(value)
        elif dataclasses.is_dataclass(value) and not isinstance(value, (type, Kept)):
            changed[each.name] = _mapped(value, part)
    return replace(record, **changed)


def members(unit: Unit, chosen: Ints) -> Ints:
    """The neurons of the chosen units, ascending."""
    return (chosen[:, None] * unit.neurons + np.arange(unit.neurons)).reshape(-1)


def without(graph: Graph[OpT], chosen: Mapping[str, tuple[Unit, Ints]]) -> Graph[OpT]:
    """The graph with only the chosen units of some populations; one of which none is chosen goes, with its maps."""
    numbers = {name: members(*each) for name, each in chosen.items()}
    gone = {name for name, each in numbers.items() if not len(each)}
    ops: dict[str, Any] = {}
    for name, op in graph.ops.items():
        if hasattr(op, "map"):
            source, target = graph.incoming(name)[0].source, graph.outgoing(name)[0].target
            if not {source, target} & gone:
                ops[name] = _between(op, numbers.get(source), numbers.get(target))
        elif name not in gone:
            ops[name] = narrowed(op, *chosen[name]) if name in chosen else op
    return Graph(ops, [edge for edge in graph.edges if edge.source in ops and edge.target in ops])


def _between(op: Any, sources: Ints | None, targets: Ints | None) -> Any:
    if sources is None and targets is None:
        return op
    changed = replace(op, map=sliced(op.map, sources, targets))
    if isinstance(op, layers.Linear):
        return replace(changed, shape=op.shape if targets is None else _shape(op, changed.map))
    delays = op.axon_delays
    return changed if delays is None or sources is None else replace(changed, axon_delays=delays[sources])


def _shape(op: layers.Linear, linear: LinearMap) -> Shape:
    whole = linear.out_size % math.prod(op.shape[1:]) == 0 and isinstance(linear, Conv)
    return (linear.out_size // math.prod(op.shape[1:]), *op.shape[1:]) if whole else (linear.out_size,)


def keeping(op: Population, unit: Unit, place: Ints) -> Kept:
    """What a population keeps where unit k goes to the unit place[k], -1 if nowhere, of those that stay."""
    inner = np.arange(unit.neurons)
    here = np.where(place[:, None] < 0, -1, place[:, None] * unit.neurons + inner).reshape(-1)
    return joined(op.kept or Kept(op.shape, np.arange(op.size)), here)


def joined(first: Kept, place: Ints) -> Kept:
    """What is kept after two removals, the second of which put neuron k at place[k]."""
    return Kept(first.shape, np.where(first.place < 0, -1, place[np.maximum(first.place, 0)]))


def outputs_read(graph: Graph[Any], outputs: type | tuple[type, ...]) -> Iterable[str]:
    """The populations that an output reads."""
    return {graph.incoming(name)[0].source for name, op in graph.ops.items() if isinstance(op, outputs)}
