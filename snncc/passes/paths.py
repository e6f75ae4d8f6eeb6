"""What a layer reads, written as linear maps of the populations before it and a constant.

A value of the graph without memory is sum(M_k x_k[t - d_k]) + sum(b_j [t >= s_j]): paths from sources, and biases,
each with the step from which it acts. A delayed edge out of a layer without memory reads zero before its delay has
passed, so a bias that crosses it acts later.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import networkx as nx
import numpy as np

from snncc.arrays import Array, Shape
from snncc.diagnostics import Diagnostic
from snncc.graph import Edge, Graph
from snncc.layers import Affine, Conv2d, Input, Layer, Linear, Neuron, Output, Rearrange, Scale, SumPool2d, size, spread
from snncc.linear import Conv, LinearMap, operator
from snncc.passes.compose import (
    TooLargeError,
    added,
    compose,
    diagonal,
    identity,
    listed,
    scaled,
    selection,
)
from snncc.semantics import linear_map

_MANY = 4  # parallel paths that stay apart; with more, shortcuts behind shortcuts would double them again and again


@dataclass(frozen=True, eq=False)
class Path:
    """map * (what `source` sent `delay` steps ago), named after the most telling layer on the way."""

    source: str
    delay: int
    map: LinearMap
    name: str = ""
    rank: int = 0


@dataclass(frozen=True, eq=False)
class Bias:
    """A constant from step `onset` on; `value` broadcasts to the shape; `origin` is the last layer that added to it."""

    value: Array
    origin: str
    onset: int = 0


@dataclass(frozen=True, eq=False)
class Value:
    """A sum of paths and biases."""

    shape: Shape
    paths: tuple[Path, ...] = ()
    biases: tuple[Bias, ...] = ()


@dataclass(frozen=True)
class Inputs:
    """What every population reads, and what could not be composed; a population behind a fault is missing."""

    of: Mapping[str, Value]
    faults: tuple[Diagnostic, ...]


def stateless(op: Layer) -> bool:
    """Whether an op is neither a population nor an end of the graph."""
    return not isinstance(op, (Input, Neuron, Output))


def population_inputs(graph: Graph[Layer]) -> Inputs:
    """`graph` keeps the contract `imported`: no cycle avoids every population."""
    between = graph.digraph().subgraph([name for name, op in graph.ops.items() if stateless(op)])
    given: dict[str, Value] = {}
    read: dict[str, Value] = {}
    faults: list[Diagnostic] = []
    for name in (*nx.topological_sort(between), *graph.of_kind(Neuron)):
        sources = [edge.source for edge in graph.incoming(name)]
        if not all(each in given for each in sources if stateless(graph[each])):
            continue
        try:
            value = _arriving(graph, name, given)
            if stateless(graph[name]):
                given[name] = _through(name, graph[name], value)
            else:
                read[name] = value
        except TooLargeError as error:
            faults.append(_too_large(name, sources, error))
    return Inputs(read, tuple(faults))


def _arriving(graph: Graph[Layer], name: str, known: Mapping[str, Value]) -> Value:
    """The sum that an op reads."""
    shape = _read_shape(graph, name)
    parts = [_along(edge, graph, known, shape) for edge in graph.incoming(name)]
    paths = _merged(path for part in parts for path in part.paths)
    return Value(shape, paths, _summed((bias for part in parts for bias in part.biases), shape))


def _read_shape(graph: Graph[Layer], name: str) -> Shape:
    """The shape in which an op reads its input."""
    op = graph[name]
    if isinstance(op, (Conv2d, SumPool2d)):
        return op.in_shape
    if isinstance(op, (Affine, Linear, Rearrange)):
        return graph[graph.incoming(name)[0].source].shape
    return op.shape


def _along(edge: Edge, graph: Graph[Layer], known: Mapping[str, Value], shape: Shape) -> Value:
    """What an edge delivers, in the shape in which its target reads it."""
    op = graph[edge.source]
    if not stateless(op):
        return Value(shape, (Path(edge.source, edge.delay, scaled(identity(op.shape), edge.gain)),))
    value = known[edge.source]
    paths = tuple(replace(path, delay=path.delay + edge.delay, map=scaled(path.map, edge.gain)) for path in value.paths)
    biases = tuple(
        Bias(_reshaped(bias.value * edge.gain, value.shape, shape), bias.origin, bias.onset + edge.delay)
        for bias in value.biases
    )
    return Value(shape, paths, biases)


def _through(name: str, op: Layer, value: Value) -> Value:
    """The value behind a layer, from the value before it."""
    if isinstance(op, Rearrange) and op.index is None:
        biases = tuple(replace(each, value=_reshaped(each.value, value.shape, op.shape)) for each in value.biases)
        return Value(op.shape, value.paths, biases)
    linear = _linear_part(op, value.shape)
    rank = _rank(op)
    paths = _merged(
        replace(
            path,
            map=compose(linear, path.map),
            name=name if rank >= path.rank else path.name,
            rank=max(rank, path.rank),
        )
        for path in value.paths
    )
    biases = [replace(each, value=_mapped(op, linear, each.value, value.shape)) for each in value.biases]
    own = _own_bias(op)
    if own is not None:
        biases.append(Bias(own, name))
    return Value(op.shape, paths, _summed(biases, op.shape))


def _linear_part(op: Layer, shape: Shape) -> LinearMap:
    if isinstance(op, Scale):
        return diagonal(op.scale, op.shape)
    if isinstance(op, Rearrange):
        assert op.index is not None
        return selection(op.index, shape, op.shape)
    return linear_map(op)


def _rank(op: Layer) -> int:
    """How much a layer's name tells about a path: weights most, a permutation least."""
    return 1 if isinstance(op, Rearrange) else 2 if isinstance(op, Scale) else 3 if isinstance(op, SumPool2d) else 4


def _own_bias(op: Layer) -> Array | None:
    if isinstance(op, Scale):
        return op.shift
    if isinstance(op, (Affine, Conv2d)) and op.bias is not None:
        per_group = op.bias.reshape(-1, *[1] * (len(op.shape) - 1))
        return per_group if isinstance(op, Conv2d) else op.bias.reshape(op.shape)
    return None


def _mapped(op: Layer, linear: LinearMap, bias: Array, shape: Shape) -> Array:
    """A bias behind a layer: per channel where it stays so, as behind a convolution without padding."""
    if isinstance(op, Scale):
        return bias * op.scale.astype(np.float64)
    channels = smallest_bias(bias, shape)
    if isinstance(linear, Conv) and not any(linear.padding) and isinstance(op, (Conv2d, SumPool2d)):
        per_channel = np.broadcast_to(channels, (shape[0], 1, 1)) if channels.size < size(shape) else None
        if per_channel is not None:
            weight = linear.weight.astype(np.float64).sum(axis=(2, 3))
            group = np.arange(len(weight)) // (len(weight) // linear.groups)
            read = group[:, None] * weight.shape[1] + np.arange(weight.shape[1])
            return (weight * per_channel.reshape(-1)[read]).sum(axis=1).reshape(-1, 1, 1)
    result = operator(linear, np.float64)(spread(bias, shape)[None])
    return smallest_bias(result.reshape(op.shape), op.shape)


def smallest_bias(value: Array, shape: Shape) -> Array:
    """The same parameter in the smallest shape that broadcasts to `shape`: one number, one a channel, or all."""
    full = np.broadcast_to(value, shape)
    if full.size and (full == full.flat[0]).all():
        return np.asarray(full.flat[0], np.float64)
    first = full[(slice(None), *[slice(0, 1)] * (len(shape) - 1))]
    return np.array(first if (full == first).all() else full, np.float64)


def _reshaped(value: Array, before: Shape, after: Shape) -> Array:
    if before == after or value.ndim == 0:
        return value
    return smallest_bias(spread(value, before).reshape(after), after)


def _summed(biases: Iterable[Bias], shape: Shape) -> tuple[Bias, ...]:
    """One bias for each onset, those that are zero left out."""
    total: dict[int, Bias] = {}
    for each in biases:
        before = total.get(each.onset)
        value = np.asarray(each.value, np.float64)
        total[each.onset] = each if before is None else replace(each, value=before.value + value)
    return tuple(
        replace(each, value=smallest_bias(each.value, shape)) for each in total.values() if np.any(each.value != 0)
    )


def _merged(paths: Iterable[Path]) -> tuple[Path, ...]:
    """Paths from the same source with the same delay become one where their maps have the same form."""
    merged: list[Path] = []
    for path in paths:
        rivals = [at for at, each in enumerate(merged) if (each.source, each.delay) == (path.source, path.delay)]
        for at in rivals:
            total = added(merged[at].map, path.map)
            if total is None and len(rivals) >= _MANY:
                total = added(listed(merged[at].map), listed(path.map))
            if total is not None:
                better = max(merged[at], path, key=lambda each: each.rank)
                merged[at] = replace(better, map=total)
                break
        else:
            merged.append(path)
    return tuple(merged)


def _too_large(name: str, sources: Sequence[str], error: TooLargeError) -> Diagnostic:
    return Diagnostic(
        "too-many-synapses",
        name,
        f"joined with {', '.join(sources)} about {error.needed:,} synapses are needed; snncc lists {error.limit:,}",
        "put a spiking layer between them, or let the pooling windows divide their input evenly",
    )
