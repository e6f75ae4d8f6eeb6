"""A second way to run an event-driven network: Python lists, one queue, written from the docstrings of `ops` alone."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from snncc.arrays import Array
from snncc.events.ops import EventNetwork, EventPopulation, EventSource
from snncc.integers import Synapse
from snncc.linear import operator


@dataclass
class Seen:
    """Of one sample: spikes and membranes by population, step and neuron; the events; the most that waited."""

    spikes: dict[str, list[list[int]]]
    membranes: dict[str, list[list[int]]]
    events: list[tuple[int, str, int]]
    fullest: int = 0


def run(network: EventNetwork, x: Array) -> Seen:
    """One sample of spikes `x` (steps, size)."""
    populations = network.of_kind(EventPopulation)
    ((name, source),) = network.of_kind(EventSource).items()
    order = [each for each in network.order() if each in populations]
    v = {each: populations[each].initial.tolist() for each in order}
    seen = Seen({each: [] for each in order}, {each: [] for each in order}, [])
    fanout = {each: _fanout(network, each) for each in (name, *order)}
    for step, frame in enumerate(x.tolist()):
        for each in order:
            seen.spikes[each].append([0] * populations[each].size)
        for channel in source.order.tolist():
            if channel >= len(frame) or frame[channel]:
                _settle(populations, order, v, fanout, seen, step, (name, channel))
        for each in order:
            for n, leak in enumerate(populations[each].leak.tolist()):
                old = v[each][n]
                v[each][n] = max(0, old - leak) if old > 0 else min(0, old + leak)
            seen.membranes[each].append(list(v[each]))
    return seen


def _settle(
    populations: dict[str, EventPopulation],
    order: list[str],
    v: dict[str, list[int]],
    fanout: dict[str, dict[str, list[list[int]]]],
    seen: Seen,
    step: int,
    first: tuple[str, int],
) -> None:
    waiting = deque([first])
    while waiting:
        sender, index = waiting[0]
        seen.events.append((step, sender, index))
        for name in order:
            op = populations[name]
            weights = fanout[sender][name][index] if name in fanout[sender] else [0] * op.size
            for n, weight in enumerate(weights):
                u = v[name][n] + weight
                u = op.register.lo if u < op.register.lo else op.register.hi if u > op.register.hi else u
                if u >= op.threshold[n]:
                    u = 0
                    seen.spikes[name][step][n] += 1
                    waiting.append((name, n))
                v[name][n] = u
        seen.fullest = max(seen.fullest, len(waiting))
        waiting.popleft()


def _fanout(network: EventNetwork, source: str) -> dict[str, list[list[int]]]:
    """By population that reads the source: the weights of each of its neurons or channels."""
    found: dict[str, list[list[int]]] = {}
    for edge in network.outgoing(source):
        op = network[edge.target]
        if isinstance(op, Synapse):
            (fed,) = network.outgoing(edge.target)
            matrix = operator(op.map, np.float64)(np.eye(op.map.in_size)).astype(int).tolist()
            if fed.target in found:
                matrix = [
                    [a + b for a, b in zip(*rows, strict=True)] for rows in zip(found[fed.target], matrix, strict=True)
                ]
            found[fed.target] = matrix
    return found
