"""The loop over time shared by the float and the integer semantics: it steps a graph and keeps what was asked for.

It knows delays, sample lengths, start steps and recording; what an op computes is handed to it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from snncc.arrays import Array, Ints
from snncc.graph import Edge, Graph
from snncc.layers import Readout, When

State = Mapping[str, Array]


@dataclass(frozen=True, eq=False)
class Feed:
    """The network's input: `frame(t)` is (samples, size)."""

    frame: Callable[[int], Array]
    size: int


@dataclass(frozen=True, eq=False)
class Stateless:
    """An op without memory: (samples, in_size) to (samples, size); `axon_delays` as in `integers.Synapse`."""

    apply: Callable[[Array], Array]
    size: int
    axon_delays: Array | None = None


@dataclass(frozen=True, eq=False)
class Stateful:
    """A population: its state at rest, and one step: the next state, the spikes, the membrane before the reset."""

    rest: State
    step: Callable[[State, Array], tuple[State, Array, Array]]
    size: int
    start: int = 0


@dataclass(frozen=True)
class Probe:
    """An output: what it takes from the population that it reads, `latency` steps after the input it belongs to."""

    value: Readout
    when: When
    latency: int = 0
    size: int = 0


Runnable = Feed | Stateless | Stateful | Probe


@dataclass(frozen=True, eq=False)
class Trace:
    """What a run leaves: (samples, steps, size) arrays by name, aligned with the model's own steps.

    `outputs` by output; `spikes` and `membranes` (after the reset) by population, for those that were asked for.
    Values after a sample's own length are zero.
    """

    outputs: Mapping[str, Array]
    spikes: Mapping[str, Array]
    membranes: Mapping[str, Array]


@dataclass(eq=False)
class _Run:
    """The moving parts of one run; private to `simulate`."""

    graph: Graph[Any]
    runnables: Mapping[str, Runnable]
    lengths: Ints
    steps: int
    past: dict[str, dict[int, Array]]
    kept: dict[tuple[str, str], Array] = field(default_factory=dict[tuple[str, str], Array])
    memo: dict[str, tuple[Array, Array]] = field(default_factory=dict[str, tuple[Array, Array]])

    def value(self, name: str, step: int) -> Array:
        """What an op sent at a step; a delay line is empty before the first one."""
        if step < 0:
            return np.zeros((len(self.lengths), self.runnables[name].size))
        return self.past[name][step]

    def gather(self, edges: tuple[Edge, ...], now: int) -> Array:
        total: Array | None = None
        for edge in edges:
            value = self.value(edge.source, now - edge.delay)
            part = value if edge.gain == 1.0 else value * edge.gain
            total = part if total is None else total + part
        assert total is not None, "an op without input"
        return total

    def delayed(self, edge: Edge, axon_delays: Array, now: int) -> Array:
        """The value of an edge whose source neurons have delays of their own."""
        result = np.zeros((len(self.lengths), self.runnables[edge.source].size))
        for delay in np.unique(axon_delays):
            chosen = axon_delays == delay
            result[:, chosen] = self.value(edge.source, now - edge.delay - int(delay))[:, chosen]
        return result

    def apply(self, name: str, op: Stateless, now: int) -> Array:
        """The op's value; an input that is the very same array as before gives the very same result."""
        edges = self.graph.incoming(name)
        x = self.gather(edges, now) if op.axon_delays is None else self.delayed(edges[0], op.axon_delays, now)
        if name not in self.memo or self.memo[name][0] is not x:
            self.memo[name] = (x, op.apply(x))
        return self.memo[name][1]

    def probed(self, name: str, op: Probe, now: int, seen: Mapping[str, tuple[Array, Array, Array]]) -> Array:
        """What an output shows: of a population what was asked for, of anything else the values on its edges."""
        edges = self.graph.incoming(name)
        if edges != (Edge(edges[0].source, name),) or edges[0].source not in seen:
            return self.gather(edges, now)
        spikes, before, after = seen[edges[0].source]
        return spikes if op.value == "spikes" else before if op.when == "before" else after

    def keep(self, kind: str, name: str, step: int, value: Array) -> None:
        """Record a value of a model step, zero for samples that are over."""
        if not 0 <= step < self.steps:
            return
        value = value.reshape(len(value), -1)
        if (kind, name) not in self.kept:
            self.kept[kind, name] = np.zeros((len(value), self.steps, value.shape[1]), value.dtype)
        live = step < self.lengths
        self.kept[kind, name][live, step] = value[live]

    def trace(self) -> Trace:
        outputs, spikes, membranes = (
            {name: value for (of, name), value in self.kept.items() if of == kind}
            for kind in ("outputs", "spikes", "membranes")
        )
        return Trace(outputs, spikes, membranes)


def simulate(
    graph: Graph[Any], runnables: Mapping[str, Runnable], lengths: Ints, steps: int, record: Collection[str]
) -> Trace:
    """Step `graph` until every population has done `steps` steps; `lengths` (samples,) are the samples' own steps."""
    order = graph.order()
    depth = {name: _depth(graph, runnables, name) for name in order}
    run = _Run(graph, runnables, lengths, steps, {name: {} for name in order})
    states = {name: op.rest for name, op in runnables.items() if isinstance(op, Stateful)}
    seen: dict[str, tuple[Array, Array, Array]] = {}
    last_start = max((op.start for op in runnables.values() if isinstance(op, Stateful)), default=0)
    for now in range(steps + last_start):
        for name in order:
            op = runnables[name]
            if isinstance(op, Feed):
                run.past[name][now] = op.frame(now)
            elif isinstance(op, Stateless):
                run.past[name][now] = run.apply(name, op, now)
            elif isinstance(op, Stateful):
                incoming = graph.incoming(name)
                x = run.gather(incoming, now) if incoming else np.zeros_like(op.rest["v"])
                states[name], seen[name] = _advance(op, states[name], x, now - op.start, lengths)
                run.past[name][now] = seen[name][0]
                if name in record:
                    run.keep("spikes", name, now - op.start, seen[name][0])
                    run.keep("membranes", name, now - op.start, seen[name][2])
            else:
                run.keep("outputs", name, now - op.latency, run.probed(name, op, now, seen))
            run.past[name].pop(now - depth[name], None)
    return run.trace()


def _depth(graph: Graph[Any], runnables: Mapping[str, Runnable], name: str) -> int:
    """How many steps the values of an op are still needed."""
    depth = 1
    for edge in graph.outgoing(name):
        op = runnables[edge.target]
        own = 0 if not isinstance(op, Stateless) or op.axon_delays is None else int(op.axon_delays.max(initial=0))
        depth = max(depth, 1 + edge.delay + own)
    return depth


def _advance(
    op: Stateful, state: State, x: Array, model_step: int, lengths: Ints
) -> tuple[State, tuple[Array, Array, Array]]:
    """One step of a population for the samples whose window is open; the others neither update nor fire."""
    active = (model_step >= 0) & (model_step < lengths)
    shaped = x.reshape(state["v"].shape)
    if active.all():
        after, spikes, before = op.step(state, shaped)
    else:
        computed, spikes, before = op.step(state, shaped)
        open_window = active.reshape(-1, *[1] * (shaped.ndim - 1))
        after = {key: np.where(open_window, computed[key], state[key]) for key in computed}
        spikes = np.where(open_window, spikes, 0)
        before = np.where(open_window, before, state["v"])
    flat = len(lengths), -1
    return after, (spikes.reshape(flat), before.reshape(flat), after["v"].reshape(flat))
