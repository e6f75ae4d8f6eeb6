"""What an event-driven network computes: the definition that a machine of this kind must agree with.

In a step the source sends its events one by one, each when the network has come to rest after the one before. An
event reaches all neurons in the order of their numbers; a spike becomes an event behind those that wait. When the
last event of a step is done, every neuron leaks once. Nothing is ever lost: a machine whose queue overflows differs.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from snncc.arrays import Array, Ints
from snncc.events.cascade import MOST_EVENTS, cascades, too_many_events
from snncc.events.ops import Crossbar, EventNetwork, EventSource, crossbar
from snncc.integers import Output
from snncc.runner import Trace


@dataclass(frozen=True, eq=False)
class Activity:
    """A run by neuron: `spikes` and `membranes` (samples, steps, neurons) int64, zero after a sample's own steps.

    A neuron may fire more than once in a step. Membranes are those at the end of the step, after its leak. `fullest`
    (samples,) is the most events that waited at a time, the one being worked on included; `events` (samples,) is how
    many there were. `log` has, if asked for, the (step, row) of each event by sample, rows as in `Crossbar`.
    """

    spikes: Ints
    membranes: Ints
    fullest: Ints
    events: Ints
    log: tuple[Ints, ...] = ()


def run(network: EventNetwork, x: Array, lengths: Array | None = None, record: Collection[str] = ()) -> Trace:
    """What a machine must give for spikes `x` (samples, steps, *shape), 0 or 1; as `semantics.run` gives it."""
    matrix = crossbar(network)
    flat = x.reshape(len(x), x.shape[1], -1)
    found = activity(matrix, network.source, flat, lengths)
    return traced(network, matrix, found.spikes, found.membranes, record)


def traced(network: EventNetwork, matrix: Crossbar, spikes: Ints, membranes: Ints, record: Collection[str]) -> Trace:
    """The trace of a run, from the spikes and the membranes of all neurons, (samples, steps, neurons)."""
    outputs = {name: spikes[:, :, matrix.parts[network.incoming(name)[0].source]] for name in network.of_kind(Output)}
    kept = {name: part for name, part in matrix.parts.items() if name in record}
    return Trace(
        outputs,
        {name: spikes[:, :, part] for name, part in kept.items()},
        {name: membranes[:, :, part] for name, part in kept.items()},
    )


def activity(
    matrix: Crossbar, source: EventSource, x: Array, lengths: Array | None = None, *, logged: bool = False
) -> Activity:
    """Run all samples of `x` (samples, steps, size), each from the initial membranes.

    Raises CompileError (`too-many-events`) where one event of the input starts more than `MOST_EVENTS`.
    """
    from snncc.events.kernel import run_sample

    samples, steps = x.shape[:2]
    events = np.ones((samples, steps, source.channels), np.int64)
    events[:, :, : x.shape[2]] = x
    ends = np.full(samples, steps) if lengths is None else lengths
    spikes = np.zeros((samples, steps, matrix.neurons), np.int64)
    membranes, fullest, count = np.zeros_like(spikes), np.zeros(samples, np.int64), np.zeros(samples, np.int64)
    queue = np.zeros(min(cascades(matrix).most, MOST_EVENTS), np.int64)
    log: list[Ints] = []

    def once(each: int, entries: Ints) -> None:
        own = slice(0, int(ends[each]))
        spikes[each] = 0
        fullest[each], count[each] = run_sample(
            *(matrix.weights, matrix.threshold, matrix.leak, matrix.lowest, matrix.highest, source.order),
            *(events[each, own], matrix.initial.copy(), spikes[each, own], membranes[each, own], queue, entries),
        )
        if fullest[each] < 0:
            raise too_many_events(int(count[each]))

    for each in range(samples):
        once(each, np.zeros((0, 2), np.int64))
        if logged:  # again, now that the number of events is known
            log.append(np.zeros((count[each], 2), np.int64))
            once(each, log[each])
    return Activity(spikes, membranes, fullest, count, tuple(log))
