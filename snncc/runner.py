"""The loop over time shared by the float and the integer semantics: it steps a graph and keeps what was asked for.

It knows delays, sample lengths, start steps and recording; what an op computes is handed to it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from snncc.arrays import Array, Ints
from snncc.graph import Edge, Graph
from snncc.integers import Learnt
from snncc.layers import Readout, When

State = Mapping[str, Array]

_BLOCK = 1 << 18  # values of the widest op that are computed at once: 2 MiB of int64, which caches hold
_LEAST = 64  # samples at once, whatever their size: each brings all weights through the cache


@dataclass(frozen=True, eq=False)
class Feed:
    """The network's input: `frames(rows)(t)` is what those samples read at step t, (len(rows), size)."""

    frames: Callable[[slice], Callable[[int], Array]]
    size: int


@dataclass(frozen=True, eq=False)
class Stateless:
    """An op without memory: (samples, in_size) to (samples, size); `axon_delays` as in `integers.Synapse`.

    One that is not `fixed` may give something else for the same input.
    """

    apply: Callable[[Array], Array]
    size: int
    axon_delays: Array | None = None
    fixed: bool = True


@dataclass(frozen=True, eq=False)
class Stateful:
    """A population: some samples' state at rest, and one step: the next state, the spikes, v before the reset.

    `watch` is told the state after each step within the samples' window, and the spikes; for one sample at a time.
    """

    rest: Callable[[slice], State]
    step: Callable[[State, Array], tuple[State, Array, Array]]
    size: int
    start: int = 0
    watch: Callable[[State, Array], None] | None = None


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
    Values after a sample's own length are zero. `learnt` is what a network that learns knows after the last sample,
    `traces` what its rules remember of spikes, by the names of `plasticity.trace_sizes`, after each step.
    """

    outputs: Mapping[str, Array]
    spikes: Mapping[str, Array]
    membranes: Mapping[str, Array]
    learnt: Learnt | None = None
    traces: Mapping[str, Array] = field(default_factory=dict[str, Array])


def joined(traces: Sequence[Trace]) -> Trace:
    """The trace of consecutive parts of a data set; shorter parts are padded with zero steps."""

    def join(parts: list[Array]) -> Array:
        steps = max(part.shape[1] for part in parts)
        return np.concatenate([np.pad(part, ((0, 0), (0, steps - part.shape[1]), (0, 0))) for part in parts])

    first = traces[0]
    return Trace(
        {name: join([each.outputs[name] for each in traces]) for name in first.outputs},
        {name: join([each.spikes[name] for each in traces]) for name in first.spikes},
        {name: join([each.membranes[name] for each in traces]) for name in first.membranes},
        traces[-1].learnt,
        {name: join([each.traces[name] for each in traces]) for name in first.traces},
    )


@dataclass(eq=False)
class _Run:
    """The moving parts of the run of one block of samples; private to `simulate`."""

    graph: Graph[Any]
    runnables: Mapping[str, Runnable]
    lengths: Ints
    past: dict[str, dict[int, Array]]
    states: dict[str, State]
    seen: dict[str, tuple[Array, Array, Array]] = field(default_factory=dict[str, tuple[Array, Array, Array]])
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
        if not op.fixed:
            return op.apply(x)
        if name not in self.memo or self.memo[name][0] is not x:
            self.memo[name] = (x, op.apply(x))
        return self.memo[name][1]

    def advance(self, name: str, op: Stateful, now: int) -> Array:
        """The spikes of a population; samples whose window is not open neither update nor fire."""
        state, edges = self.states[name], self.graph.incoming(name)
        model_step = now - op.start
        active = (model_step >= 0) & (model_step < self.lengths)
        x = self.gather(edges, now).reshape(state["v"].shape) if edges else np.zeros_like(state["v"])
        after, spikes, before = op.step(state, x)
        if not active.all():
            open_window = active.reshape(-1, *[1] * (x.ndim - 1))
            after = {key: np.where(open_window, after[key], state[key]) for key in after}
            spikes = np.where(open_window, spikes, 0)
            before = np.where(open_window, before, state["v"])
        if op.watch and active.all():
            op.watch(after, spikes)
        flat = len(self.lengths), op.size
        self.states[name] = after
        self.seen[name] = (spikes.reshape(flat), before.reshape(flat), after["v"].reshape(flat))
        return self.seen[name][0]

    def probed(self, name: str, op: Probe, now: int) -> Array:
        """What an output shows: of a population what was asked for, of anything else the values on its edges."""
        edges = self.graph.incoming(name)
        if edges != (Edge(edges[0].source, name),) or edges[0].source not in self.seen:
            return self.gather(edges, now)
        spikes, before, after = self.seen[edges[0].source]
        return spikes if op.value == "spikes" else before if op.when == "before" else after


@dataclass(eq=False)
class _Tape:
    """What is kept of all blocks, by kind and name; private to `simulate`."""

    lengths: Ints
    steps: int
    arrays: dict[tuple[str, str], Array] = field(default_factory=dict[tuple[str, str], Array])

    def keep(self, kind: str, name: str, rows: slice, step: int, value: Array) -> None:
        """Record a value of a model step, zero for samples that are over."""
        if not 0 <= step < self.steps:
            return
        if (kind, name) not in self.arrays:
            self.arrays[kind, name] = np.zeros((len(self.lengths), self.steps, value.shape[1]), value.dtype)
        live = step < self.lengths[rows]
        self.arrays[kind, name][rows, step] = value if live.all() else np.where(live[:, None], value, 0)

    def trace(self) -> Trace:
        outputs, spikes, membranes = (
            {name: value for (of, name), value in self.arrays.items() if of == kind}
            for kind in ("outputs", "spikes", "membranes")
        )
        return Trace(outputs, spikes, membranes)


def simulate(
    graph: Graph[Any], runnables: Mapping[str, Runnable], lengths: Ints, steps: int, record: Collection[str]
) -> Trace:
    """Step `graph` until every population has done `steps` steps; `lengths` (samples,) are the samples' own steps."""
    order = graph.order()
    depth = {name: _depth(graph, runnables, name) for name in order}
    last_start = max((op.start for op in runnables.values() if isinstance(op, Stateful)), default=0)
    tape = _Tape(lengths, steps)
    for rows in _blocks(len(lengths), max(op.size for op in runnables.values())):
        states = {name: op.rest(rows) for name, op in runnables.items() if isinstance(op, Stateful)}
        feeds = {name: op.frames(rows) for name, op in runnables.items() if isinstance(op, Feed)}
        run = _Run(graph, runnables, lengths[rows], {name: {} for name in order}, states)
        for now in range(steps + last_start):
            for name in order:
                op = runnables[name]
                if isinstance(op, Probe):
                    tape.keep("outputs", name, rows, now - op.latency, run.probed(name, op, now))
                elif isinstance(op, Feed):
                    run.past[name][now] = feeds[name](now)
                elif isinstance(op, Stateless):
                    run.past[name][now] = run.apply(name, op, now)
                else:
                    run.past[name][now] = run.advance(name, op, now)
                    if name in record:
                        spikes, _, after = run.seen[name]
                        tape.keep("spikes", name, rows, now - op.start, spikes)
                        tape.keep("membranes", name, rows, now - op.start, after)
                run.past[name].pop(now - depth[name], None)
    return tape.trace()


def _blocks(samples: int, widest: int) -> list[slice]:
    """Parts of the samples, each small enough for the caches; one empty part if there is no sample."""
    size = max(_LEAST, _BLOCK // max(1, widest))
    return [slice(start, min(start + size, samples)) for start in range(0, max(1, samples), size)]


def _depth(graph: Graph[Any], runnables: Mapping[str, Runnable], name: str) -> int:
    """How many steps the values of an op are still needed."""
    depth = 1
    for edge in graph.outgoing(name):
        op = runnables[edge.target]
        own = 0 if not isinstance(op, Stateless) or op.axon_delays is None else int(op.axon_delays.max(initial=0))
        depth = max(depth, 1 + edge.delay + own)
    return depth
