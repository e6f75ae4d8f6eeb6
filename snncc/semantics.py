"""The living definition of what a network computes: in floats as it was trained, in integers as every target must.

In numpy, vectorised over samples. A backend is right if it gives what `run` gives.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from snncc import integers, layers
from snncc.arrays import Array, Floats, Ints
from snncc.graph import Edge, Graph
from snncc.integers import (
    Fire,
    IntOp,
    Kept,
    Learnt,
    Network,
    Population,
    Source,
    Synapse,
    largest_reach,
    learns,
    standing,
    value_range,
    whole,
)
from snncc.layers import Decoder, Layer, Neuron
from snncc.linear import Conv, Dense, LinearMap, operator, with_weight
from snncc.plasticity import Lesson, seen, untaught
from snncc.runner import Feed, Probe, Runnable, State, Stateful, Stateless, Trace, joined, simulate
from snncc.states import decayed, fit

_INTEGERS = "\0"  # the input in integers, where there is one in floats too: no op is called that


def fired(v: Ints, fire: Fire | None, adaptation: Ints | int) -> Ints:
    """How many spikes each neuron emits at membrane v: 0 or 1, or up to `max_spikes`."""
    if fire is None:
        return np.zeros_like(v)
    threshold = fire.threshold + adaptation
    if fire.max_spikes == 1:
        return np.asarray(v >= threshold if fire.inclusive else v > threshold).astype(np.int64)
    count = v // threshold if fire.inclusive else -(-v // threshold) - 1
    return np.clip(count, 0, fire.max_spikes)


def rest(population: Population, samples: int) -> State:
    """The state before the first step: (samples, *shape) arrays `v`, `s` (last spikes), `refractory`, `i`, `a`."""
    shape = (samples, *population.shape)
    state: dict[str, Array] = {"v": np.broadcast_to(population.membrane.initial, shape)}
    state["s"] = state["refractory"] = np.zeros(shape, np.int64)
    if population.current:
        state["i"] = np.broadcast_to(population.current.initial, shape)
    if population.adapt:
        state["a"] = np.broadcast_to(population.adapt.initial, shape)
    return state


def step(population: Population, state: State, acc: Ints) -> tuple[State, Ints, Ints]:
    """One time step: the next state, the spikes, and the membrane before the reset; all (samples, *shape)."""
    membrane, reset, adapt = population.membrane, population.reset, population.adapt
    after: dict[str, Array] = dict(state)
    i = acc << population.input_shift
    if population.current:
        i = after["i"] = fit(decayed(state["i"], population.current.decay) + i, population.current.register)
    a = 0 if adapt is None else state["a"] if adapt.learnt else decayed(state["a"], adapt.decay)

    v = decayed(state["v"], membrane.decay)
    if reset and reset.delay:
        v = _reset(reset, v, state["s"], a)
    v = fit(v + i + membrane.bias, membrane.register)
    if membrane.minimum is not None:
        v = np.maximum(v, membrane.minimum)
    s = fired(v, population.fire, a)
    if population.refractory:
        held = state["refractory"] > 0
        v, s = np.where(held, state["v"], v), np.where(held, 0, s)
        after["refractory"] = np.where(s > 0, population.refractory, np.maximum(state["refractory"] - 1, 0))
    after["v"] = v if reset is None or reset.delay else fit(_reset(reset, v, s, a), membrane.register)
    if adapt:
        after["a"] = fit(a + adapt.jump * s, adapt.register)
    after["s"] = s
    return after, s, v


def _reset(reset: Any, v: Array, s: Array, a: Array | int) -> Array:
    """v with the reset of spikes s applied; the same equation in integers and in floats."""
    if isinstance(reset, (integers.SoftReset, layers.SoftReset)):
        return v - (reset.amount + (a if reset.adaptive else 0)) * s
    return np.where(s > 0, reset.value, v)


def float_rest(neuron: Neuron, samples: int) -> State:
    """As `rest`, in floats."""
    shape = (samples, *neuron.shape)
    state: dict[str, Array] = {"v": np.broadcast_to(neuron.initial, shape)}
    state["s"] = state["refractory"] = np.zeros(shape)
    if neuron.current:
        state["i"] = np.broadcast_to(neuron.current.initial, shape)
    if neuron.adapt:
        state["a"] = np.broadcast_to(neuron.adapt.initial, shape)
    return state


def float_step(neuron: Neuron, state: State, x: Floats) -> tuple[State, Floats, Floats]:
    """One time step in exact arithmetic, as the docstring of `layers.Neuron` says it; results as those of `step`."""
    after: dict[str, Array] = dict(state)
    i, reset, adapt = x, neuron.reset, neuron.adapt
    if neuron.current:
        i = after["i"] = neuron.current.decay * state["i"] + x
    a = adapt.decay * state["a"] if adapt else 0.0

    v = neuron.decay * state["v"]
    if reset and reset.delay:
        v = _reset(reset, v, state["s"], np.asarray(a))
    v = v + i + neuron.bias
    if neuron.minimum is not None:
        v = np.maximum(v, neuron.minimum)
    s = _float_fired(v, neuron, a)
    if neuron.refractory:
        held = state["refractory"] > 0
        v, s = np.where(held, state["v"], v), np.where(held, 0.0, s)
        after["refractory"] = np.where(s > 0, neuron.refractory, np.maximum(state["refractory"] - 1, 0))
    after["v"] = v if reset is None or reset.delay else _reset(reset, v, s, np.asarray(a))
    if adapt:
        after["a"] = a + adapt.jump * s
    after["s"] = s
    return after, s, v


def _float_fired(v: Floats, neuron: Neuron, a: Array | float) -> Floats:
    if neuron.threshold is None:
        return np.zeros_like(v)
    threshold = neuron.threshold + a
    if neuron.max_spikes == 1:
        return np.asarray(v >= threshold if neuron.inclusive else v > threshold).astype(v.dtype)
    count = np.floor(v / threshold) if neuron.inclusive else np.ceil(v / threshold) - 1
    return np.clip(count, 0, neuron.max_spikes)


def run(
    network: Network,
    x: Array,
    steps: int | None = None,
    lengths: Array | None = None,
    record: Collection[str] = (),
    learnt: Learnt | None = None,
    reward: Array | None = None,
    traces: bool = False,
) -> Trace:
    """What every backend must give for integers `x`: (samples, steps, *shape), or (samples, *shape) if static.

    `steps` is needed for static input only; `lengths` (samples,) where samples differ in steps. `record` names the
    populations whose spikes and membranes are kept. All arrays of the result are int64.

    A network that learns goes on from `learnt`, sample after sample, and the result has what it knows at the end;
    `reward` (samples, steps) is for rules that take one, and 0 where it is not given. `traces` keeps those of rules.
    """
    ((_, source),) = network.of_kind(Source).items()
    frames, lengths, steps = _frames(x, source.shape, steps, lengths)
    if not learns(network):
        return simulate(network, _runnables(network, frames), lengths, steps, record)
    learnt = learnt or untaught(network)
    found: list[Trace] = []
    for sample, length in enumerate(lengths.tolist()):
        lesson = Lesson(network, learnt, None if reward is None else reward[sample], kept=traces)
        runnables = lesson.taught(_runnables(network, partial(_one, frames, sample)))
        here = simulate(network, runnables, lengths[sample : sample + 1], steps, record)
        found.append(replace(here, traces=lesson.traces(steps)))
        learnt = lesson.finished(length)
    if not found:
        found = [simulate(network, _runnables(network, frames), lengths, steps, record)]
    return replace(joined(found), learnt=learnt)


def _one(frames: Callable[[slice], Callable[[int], Array]], sample: int, _: slice) -> Callable[[int], Array]:
    return frames(slice(sample, sample + 1))


def frozen_network(network: Network, learnt: Learnt) -> Network:
    """The network that does what one that has learnt so much does when it no longer learns."""
    ops: dict[str, IntOp] = dict(network.ops)
    for name, weight in learnt.weights.items():
        op = network[name]
        assert isinstance(op, Synapse)
        assert op.plasticity
        ops[name] = replace(op, map=with_weight(op.map, seen(op.plasticity, weight)), plasticity=None)
    for name, a in learnt.adaptations.items():
        op = network[name]
        assert isinstance(op, Population)
        assert op.fire
        reset = op.reset
        if isinstance(reset, integers.SoftReset) and reset.adaptive:
            reset = replace(reset, amount=reset.amount + a, adaptive=False)
        ops[name] = replace(op, fire=replace(op.fire, threshold=op.fire.threshold + a), adapt=None, reset=reset)
    return Graph(ops, network.edges)


def _runnables(network: Network, frames: Callable[[slice], Callable[[int], Array]]) -> dict[str, Runnable]:
    runnables: dict[str, Runnable] = {}
    for name, op in network.ops.items():
        if isinstance(op, Source):
            runnables[name] = Feed(frames, layers.size(op.shape))
        elif isinstance(op, Synapse):
            runnables[name] = _synapse(network, name, op)
        elif isinstance(op, Population):
            runnables[name] = stateful(rest, step, op, op.start)
        else:
            runnables[name] = Probe(op.value, op.when, op.latency)
    return runnables


def _synapse(network: Network, name: str, op: Synapse) -> Stateless:
    """Exact sums by floating point: in float32 below 2**24, else in float64 below 2**53."""
    source = network[network.incoming(name)[0].source]
    assert isinstance(source, (Source, Population))
    bound = largest_reach(op) * max(map(abs, value_range(source)))
    if bound >= 1 << 53:
        raise ValueError(f"{name}: sums up to {bound:.3g} are beyond exact arithmetic")
    dtype = np.float32 if bound < 1 << 24 else np.float64
    times = operator(op.map, dtype)
    return Stateless(lambda x: times(x.astype(dtype)).astype(np.int64) << op.exponent, op.map.out_size, op.axon_delays)


def run_float(
    graph: Graph[Layer],
    x: Array,
    steps: int | None = None,
    lengths: Array | None = None,
    record: Collection[str] = (),
) -> Trace:
    """The network as it was trained, in float64, at any stage from import to legal; arguments as those of `run`."""
    ((_, source),) = graph.of_kind(layers.Input).items()
    frames, lengths, steps = _frames(x, source.shape, steps, lengths)
    runnables: dict[str, Runnable] = {}
    for name, op in graph.ops.items():
        if isinstance(op, layers.Input):
            runnables[name] = Feed(frames, layers.size(op.shape))
        elif isinstance(op, Neuron):
            runnables[name] = stateful(float_rest, float_step, op)
        elif isinstance(op, layers.Output):
            runnables[name] = Probe(op.value, op.when)
        else:
            runnables[name] = Stateless(float_operator(op), layers.size(op.shape))
    return simulate(graph, runnables, lengths, steps, record)


def run_mixed(
    graph: Graph[Layer],
    network: Network,
    chosen: Collection[str],
    inputs: tuple[Array, Array],
    steps: int,
    lengths: Array | None = None,
    record: Collection[str] = (),
) -> Trace:
    """A legal network in float64, but for the `chosen` populations: they are those of the integer network made of it.

    With all of them chosen, spikes are those of `run`. `inputs` are the samples in floats and in integers; all else is
    as for `run`. Delays are the legal network's own, as the integer one may have been retimed. Of chosen populations
    only those neurons are there that the integer network has kept; what one that it lost sends reaches none of them.
    """
    ((entry, source),) = graph.of_kind(layers.Input).items()
    ints = {edge.source for name in chosen for edge in graph.incoming(name)}
    frames, own, steps = _frames(inputs[0], source.shape, steps, lengths)
    integer_frames, *_ = _frames(inputs[1], source.shape, steps, lengths)
    width = layers.size(source.shape)
    runnables: dict[str, Runnable] = {entry: Feed(frames, width), _INTEGERS: Feed(integer_frames, width)}
    for name, op in graph.ops.items():
        if isinstance(op, Neuron):
            runnables[name] = (
                stateful(rest, step, network[name]) if name in chosen else stateful(float_rest, float_step, op)
            )
        elif isinstance(op, layers.Output):
            runnables[name] = Probe(op.value, op.when)
        elif not isinstance(op, layers.Input):
            source, target = graph.incoming(name)[0].source, graph.outgoing(name)[0].target
            kept = getattr(network.ops.get(source), "kept", None)
            into = _into(network, name, target, None if source in chosen else kept) if name in ints else None
            runnables[name] = into or _out_of(op, kept if source in chosen else None)
    edges = [
        Edge(_INTEGERS if edge.source == entry else edge.source, edge.target, edge.delay)
        if {edge.source, edge.target} & ints
        else edge
        for edge in graph.edges
    ]
    return simulate(Graph(dict.fromkeys(runnables), edges), runnables, own, steps, record)


def _into(network: Network, name: str, target: str, kept: Kept | None) -> Stateless:
    """A synapse into a population of integers; what it reads has all neurons of the model, if some are `kept` here."""
    synapse = network.ops.get(name)
    if not isinstance(synapse, Synapse):
        size = layers.size(network.of_kind(Population)[target].shape)
        return Stateless(lambda x: np.zeros((len(x), size), np.int64), size)
    made = _synapse(network, name, synapse)
    if kept is None:
        return made
    own = None if made.axon_delays is None else whole(made.axon_delays, kept)
    return Stateless(lambda x: made.apply(x[:, standing(kept)]), made.size, own)


def _out_of(op: Layer, kept: Kept | None) -> Stateless:
    """A map in floats; what it reads has only the neurons that are `kept`, if that is given."""
    times = float_operator(op)
    return Stateless(times if kept is None else lambda x: times(whole(x, kept)), layers.size(op.shape))


def stateful(rest: Callable[[Any, int], State], step: Callable[..., Any], op: Any, start: int = 0) -> Stateful:
    """A population as the loop over time wants it."""
    size = layers.size(op.shape)
    return Stateful(lambda rows: rest(op, rows.stop - rows.start), lambda state, x: step(op, state, x), size, start)


def float_operator(op: Layer) -> Callable[[Array], Array]:
    """A stateless layer as a function of (samples, in_size)."""
    if isinstance(op, layers.Scale):
        scale, shift = layers.spread(op.scale, op.shape), layers.spread(op.shift, op.shape)
        return lambda x: x * scale + shift
    if isinstance(op, layers.Relu):
        return lambda x: np.clip(x, 0.0, op.ceiling)
    if isinstance(op, layers.Rearrange):
        if op.index is None:
            return lambda x: x
        index, missing = np.maximum(op.index.reshape(-1), 0), op.index.reshape(-1) < 0
        return lambda x: np.where(missing, 0.0, x[:, index])
    times = operator(linear_map(op), np.float64)
    bias = getattr(op, "bias", None)
    if bias is None:
        return times
    per_neuron = np.repeat(bias.astype(np.float64), layers.size(op.shape) // bias.size)
    return lambda x: times(x) + per_neuron


def linear_map(op: Layer) -> LinearMap:
    """The linear part of an Affine, Conv2d, SumPool2d or Linear layer."""
    if isinstance(op, layers.Linear):
        return op.map
    if isinstance(op, layers.Affine):
        return Dense(op.weight)
    if isinstance(op, layers.Conv2d):
        return Conv(op.weight, op.in_shape, op.stride, op.padding, op.dilation, op.groups)
    assert isinstance(op, layers.SumPool2d), op
    channels = op.in_shape[0]
    weight = np.full((channels, 1, *op.kernel), op.scale)
    return Conv(weight, op.in_shape, op.stride, op.padding, groups=channels)


def _frames(
    x: Array, shape: tuple[int, ...], steps: int | None, lengths: Array | None
) -> tuple[Callable[[slice], Callable[[int], Array]], Ints, int]:
    """For some samples, the frame of each step, zero after the end of a sample; all lengths; the number of steps."""
    if x.ndim == 1 + len(shape):
        if steps is None:
            raise ValueError("static input needs a number of steps")
        x = np.broadcast_to(x[:, None], (len(x), steps, *shape))
    steps = int(x.shape[1]) if steps is None else steps
    flat = x.reshape(*x.shape[:2], layers.size(shape))
    static = flat.strides[1] == 0
    own = np.full(len(x), steps, np.int64) if lengths is None else np.asarray(lengths, np.int64)

    def frames(rows: slice) -> Callable[[int], Array]:
        part, live_steps = flat[rows], own[rows]
        still, nothing = part[:, 0], np.zeros((len(part), part.shape[2]), part.dtype)

        def frame(now: int) -> Array:
            live = now < live_steps
            if not live.any() or now >= part.shape[1]:
                return nothing
            values = still if static else part[:, now]
            return values if live.all() else np.where(live[:, None], values, 0)

        return frame

    return frames, own, steps


def decode(values: Array, decoder: Decoder, lengths: Array | None = None) -> Array:
    """One score per neuron, (samples, size), of an output (samples, steps, size); the class is the first highest.

    `count` and `mean` are the sum over steps (which ranks as the mean does), `max` the largest, `last` the last.
    """
    steps = values.shape[1]
    own = np.full(len(values), steps) if lengths is None else np.asarray(lengths)
    if decoder == "last":
        return values[np.arange(len(values)), own - 1]
    live = (np.arange(steps) < own[:, None])[:, :, None]
    if decoder == "max":
        lowest = np.iinfo(values.dtype).min if values.dtype.kind == "i" else -np.inf
        return np.where(live, values, lowest).max(axis=1)
    return np.where(live, values, 0).sum(axis=1)
