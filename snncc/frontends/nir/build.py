"""A flat NIR network as a graph of layers: shapes, delays, recurrence, and what leaves the network."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import cast, get_args

import numpy as np

from snncc import layers
from snncc.arrays import Array, Shape
from snncc.diagnostics import CompileError, Diagnostic, check, fault
from snncc.frontends.nir import maps, neurons
from snncc.frontends.nir.flat import Flat
from snncc.frontends.nir.fuse import Fused, fuse, graded_readers
from snncc.frontends.nir.neurons import Setting, seconds
from snncc.frontends.nir.recurrence import feedback
from snncc.frontends.nir.stored import AGAIN, OURS, Stored, bad, wrong
from snncc.frontends.nir.values import fitted, parameters, shape_of
from snncc.graph import Edge, Graph
from snncc.layers import Layer
from snncc.passes.legalise import unused

KEYS: Mapping[str, set[str]] = {
    **{kind: set(needs) for kind, needs in neurons.NEEDS.items()},
    **{kind: set(needs) for kind, needs in maps.KEYS.items()},
    "Input": {"shape"},
    "Output": {"shape"},
    "Delay": {"delay"},
}
_LONGEST = 1 << 12  # delay in steps
_WAYS = 256  # different delays of one node
_ALMOST = 1e-4  # of a step, by which a delay may miss a whole number of them


@dataclass
class _Growing:
    """The graph while it grows.

    `entries` are the ops that take a node's input, each with a delay of its own; `shapes` what nodes hand on, None
    for those that are wrong; `late` are nodes that delay all that passes them.
    """

    ops: dict[str, Layer] = field(default_factory=dict[str, Layer])
    edges: list[Edge] = field(default_factory=list[Edge])
    entries: dict[str, list[tuple[str, int]]] = field(default_factory=dict[str, "list[tuple[str, int]]"])
    shapes: dict[str, Shape | None] = field(default_factory=dict[str, "Shape | None"])
    late: set[str] = field(default_factory=set[str])


def graph_of(network: Flat, setting: Setting) -> Graph[Layer]:
    """Raises CompileError with what is wrong with every node."""
    check((*_unreadable(network), *graded_readers(network)))
    fused = fuse(network)
    growing = _Growing()
    faults: list[Diagnostic] = []
    for name, shape in _in_order(fused.network, growing.shapes):
        faults += _added(growing, fused, name, shape, setting)
    check(faults)
    return _joined(fused.network, growing)


def readable(network: Flat, setting: Setting) -> Graph[Layer]:
    """As much of the graph as can be read, whatever is wrong with the rest."""
    wrong = {each.where for each in _unreadable(network)}
    nodes = {name: node for name, node in network.nodes.items() if name not in wrong}
    kept = Flat(nodes, tuple(edge for edge in network.edges if wrong.isdisjoint(edge)))
    fused = fuse(kept)
    growing = _Growing()
    for name, shape in _in_order(fused.network, growing.shapes):
        _added(growing, fused, name, shape, setting)
    joined = [edge for edge in fused.network.edges if growing.ops.keys() >= set(edge)]
    return _joined(Flat({name: nodes[name] for name in nodes if name in growing.ops}, tuple(joined)), growing)


def _added(growing: _Growing, fused: Fused, name: str, shape: Shape | None, setting: Setting) -> tuple[Diagnostic, ...]:
    """Put a node's ops into the graph, or say what is wrong with it."""
    try:
        _add(growing, fused, name, shape, setting)
    except CompileError as error:
        growing.shapes[name] = None
        return error.diagnostics
    return ()


def _unreadable(network: Flat) -> Iterator[Diagnostic]:
    """Nodes and values that are not NIR's, or not yet: none is left out silently."""
    for name, node in network.nodes.items():
        if node.kind not in KEYS:
            yield Diagnostic("unsupported-node", name, f"is a {node.kind}; read are {', '.join(KEYS)}")
            continue
        more = sorted(set(node.values) - KEYS[node.kind])
        if more:
            yield bad(name, f"has {', '.join(more)}, which a {node.kind} of NIR has not", AGAIN)


def _in_order(network: Flat, shapes: Mapping[str, Shape | None]) -> Iterator[tuple[str, Shape | None]]:
    """Every node with the shape that it reads, from the inputs on; who reads only what is wrong is left out."""
    readers: dict[str, list[str]] = {name: [] for name in network.nodes}
    sources: dict[str, list[str]] = {name: [] for name in network.nodes}
    for source, target in network.edges:
        readers[source].append(target)
        sources[target].append(source)
    waiting = deque(name for name, node in network.nodes.items() if node.kind == "Input")
    others = iter(network.nodes)
    seen: set[str] = set()
    while True:
        name = waiting.popleft() if waiting else next(others, None)
        if name is None:
            return
        if name in seen:
            continue
        seen.add(name)
        read = [shapes[each] for each in sources[name] if each in shapes]
        known = next((each for each in read if each is not None), None)
        if known is not None or not read:
            yield name, known
        waiting.extend(readers[name])


def _add(growing: _Growing, fused: Fused, name: str, shape: Shape | None, setting: Setting) -> None:
    node = fused.network.nodes[name]
    growing.entries[name] = [(name, 0)]
    if node.kind == "Input":
        given = shape_of(name, node, "shape")
        if given is None:
            raise wrong(name, "has no shape, which an Input needs", AGAIN)
        op: Layer = layers.Input(given)
    elif node.kind == "Output":
        sources = [source for source, target in fused.network.edges if target == name]
        graded = bool(sources) and all((source, name) in fused.membranes for source in sources)
        shape = shape or shape_of(name, node, "shape") or (1,)
        op = layers.Output(shape, "membrane" if graded else "spikes", decoder=_decoder(name, node))
    elif node.kind == "Delay":
        op = _delay(growing, fused, name, shape, setting)
    elif node.kind in maps.KEYS:
        op = maps.layer(name, node, shape)
    else:
        found = neurons.population(name, node, shape, setting)
        op = found.neuron
        if (found.gain != 1).any():
            gain = unused(f"{name}.gain", growing.ops, fused.network.nodes)
            growing.ops[gain] = layers.Scale(op.shape, found.gain)
            growing.edges.append(Edge(gain, name))
            growing.entries[name] = [(gain, 0)]
    growing.ops[name] = op
    growing.shapes[name] = op.shape


def _delay(growing: _Growing, fused: Fused, name: str, shape: Shape | None, setting: Setting) -> Layer:
    """A node that hands on what it reads, some steps later; values that differ in them take ways of their own."""
    node = fused.network.nodes[name]
    found, shape = fitted(name, parameters(name, node, {"delay": None}), shape)
    steps = _steps(name, found["delay"], setting)
    every = np.unique(steps).tolist()
    if len(every) > _WAYS:
        raise wrong(name, f"has {len(every):,} different delays; read are {_WAYS}", "round them")
    if every[0] > 0:
        growing.late.add(name)
    if len(every) == 1:
        growing.entries[name] = [(name, every[0])]
        return layers.Rearrange(shape)
    each_step = np.broadcast_to(steps, shape).reshape(-1)
    growing.entries[name] = []
    for delay in every:
        way = unused(f"{name}.delay{delay}", growing.ops, fused.network.nodes)
        index = np.where(each_step == delay, np.arange(math.prod(shape)), -1)
        growing.ops[way] = layers.Rearrange(shape, index)
        growing.edges.append(Edge(way, name))
        growing.entries[name].append((way, delay))
    return layers.Rearrange(shape)


def _steps(name: str, delay: Array, setting: Setting) -> Array:
    """Delays in whole steps."""
    if not delay.any():
        return np.zeros((), np.int64)
    dt = seconds(name, setting.dt, "delays by seconds")
    exact = delay / dt
    steps = np.rint(exact)
    if (delay < 0).any() or exact.max() > _LONGEST:
        worst = float(delay.min() if (delay < 0).any() else delay.max())
        raise wrong(name, f"delays by {worst:g} s; read are 0 to {_LONGEST:,} steps of {dt:g} s", "give another --dt")
    off = np.abs(exact - steps)
    if off.max() > _ALMOST:
        at = float(np.asarray(exact).reshape(-1)[int(np.argmax(off))])
        message = f"delays by {at:g} steps of {dt:g} s; a delay is a whole number of steps"
        raise fault("fractional-delay", name, message, "round the delays, or give a smaller --dt")
    return steps.astype(np.int64)


def _joined(network: Flat, growing: _Growing) -> Graph[Layer]:
    """The graph in the file's order, with its edges; those that close a cycle are a step late."""
    kinds = {name: node.kind for name, node in network.nodes.items()}
    inputs = [name for name, kind in kinds.items() if kind == "Input"]
    stateful = {name for name, kind in kinds.items() if kind in neurons.NEEDS}
    back = feedback(network.edges, inputs, stateful, growing.late)
    edges = [
        Edge(source, op, delay + ((source, target) in back))
        for source, target in network.edges
        for op, delay in growing.entries[target]
    ]
    return Graph(growing.ops, [*edges, *growing.edges])


def _decoder(name: str, node: Stored) -> layers.Decoder | None:
    """What the file says of an output, where snncc wrote it."""
    value = node.metadata.get(f"{OURS}decoder")
    if value is None or (isinstance(value, str) and value in get_args(layers.Decoder)):
        return cast("layers.Decoder | None", value)
    raise wrong(name, f"its {OURS}decoder is none of {', '.join(get_args(layers.Decoder))}")
