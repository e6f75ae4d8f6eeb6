"""What an event-driven network has to be before anything is computed with it; a stored one may have been damaged."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from snncc.diagnostics import CompileError
from snncc.events.ops import EventNetwork, EventOp, EventPopulation, EventSource
from snncc.integers import Output, Synapse
from snncc.linear import malformed as malformed_map

_MOST_VALUE = 1 << 30  # of a parameter or a weight: sums of all of them fit int64
_MOST_NEURONS = 1 << 16  # the whole crossbar is one dense matrix
_MOST_ALWAYS = 1 << 16


def malformed(network: EventNetwork) -> tuple[tuple[str, str], ...]:
    """Everything that keeps a network from being run at all, whatever the chip: where, and what."""
    if len(network.of_kind(EventSource)) != 1 or not network.of_kind(Output):
        return (("the network", "has no single source of events, or no output"),)
    found = [(name, message) for name, op in network.ops.items() for message in _misfits(op)]
    return tuple(found) or tuple(_misjoined(network))


def _misfits(op: EventOp) -> Iterator[str]:
    """What is wrong with one op."""
    if isinstance(op, (EventSource, EventPopulation)) and (
        not op.shape or min(op.shape) < 1 or math.prod(op.shape) > _MOST_NEURONS
    ):
        yield f"has the shape {op.shape}"
    elif isinstance(op, EventSource):
        yield from _source_misfits(op)
    elif isinstance(op, EventPopulation):
        yield from _population_misfits(op)
    elif isinstance(op, Synapse):
        weight = op.map.weight
        reason = malformed_map(op.map)
        if reason:
            yield reason
        elif weight.dtype.kind != "i" or np.abs(weight.astype(np.int64)).max(initial=0) > _MOST_VALUE:
            yield "has weights that are no integers, or too large"
        if op.exponent or op.axon_delays is not None:
            yield "shifts or delays its events"
    elif op.value != "spikes" or op.latency:
        yield "gives something else than the spikes of its step"


def _source_misfits(op: EventSource) -> Iterator[str]:
    if (op.bits, op.signed, op.scale) != (1, False, 1.0):
        yield "sends something else than spikes"
    if not 0 <= op.always <= _MOST_ALWAYS:
        yield f"has {op.always:,} channels that always send"
    elif not np.array_equal(np.sort(op.order.reshape(-1)), np.arange(op.channels)):
        yield "has an order that is not of every channel once"


def _population_misfits(op: EventPopulation) -> Iterator[str]:
    arrays = {"threshold": op.threshold, "leak": op.leak, "initial": op.initial}
    for name, values in arrays.items():
        if values.shape != (op.size,) or np.abs(values).max(initial=0) > _MOST_VALUE:
            yield f"has no {name} for each of its {op.size:,} neurons, or one that is too large"
            return
    if not -_MOST_VALUE <= op.register.lo <= 0 <= op.register.hi <= _MOST_VALUE or op.register.overflow != "saturate":
        yield f"has a register from {op.register.lo:,} to {op.register.hi:,} that does not saturate at them"
    elif (op.threshold < 1).any() or (op.leak < 0).any():
        yield "has a threshold below 1, or a leak below 0"
    elif (
        (op.initial < op.register.lo).any() or (op.initial > op.register.hi).any() or (op.initial >= op.threshold).any()
    ):
        yield "starts outside its register, or at its threshold"


def _misjoined(network: EventNetwork) -> Iterator[tuple[str, str]]:
    """Ops that do not read or feed what they have to."""
    for name, op in network.ops.items():
        incoming, fed = network.incoming(name), [network[edge.target] for edge in network.outgoing(name)]
        read = [network[edge.source] for edge in incoming]
        good = all(edge.gain == 1.0 and edge.delay == 0 for edge in incoming)
        if isinstance(op, Synapse):
            good = good and len(read) == len(fed) == 1
            good = good and _size(read[0]) == op.map.in_size and isinstance(fed[0], EventPopulation)
            good = good and _size(fed[0]) == op.map.out_size
        elif isinstance(op, Output):
            good = good and len(read) == 1 and isinstance(read[0], EventPopulation) and not fed
        else:
            good = good and all(isinstance(each, Synapse) for each in read)
            good = good and not (read and isinstance(op, EventSource))
        if not good:
            yield name, f"is not joined as {type(op).__name__} has to be"
    try:
        network.order()
    except CompileError as error:
        yield from ((each.where, each.message) for each in error.diagnostics)


def _size(op: EventOp) -> int:
    return op.channels if isinstance(op, EventSource) else op.size if isinstance(op, EventPopulation) else 0
