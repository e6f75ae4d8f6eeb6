"""Runs the machine on what a trace of the hardware started from, and finds where the two first differ."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from snncc.arrays import Ints
from snncc.backends.tinyodin.machine import Result, run
from snncc.backends.tinyodin.trace import Trace


@dataclass(frozen=True)
class Difference:
    """`field` is the path of the value in the trace, `event` the last one requested by then, None before the first.

    A value that only one of the two has is None for the other.
    """

    cycle: int
    event: int | None
    field: str
    traced: int | str | None
    found: int | str | None

    def __str__(self) -> str:
        after = "before any event" if self.event is None else f"event {self.event}"
        return (
            f"cycle {self.cycle}, {after}, {self.field}: {_shown(self.traced)} in the trace, {_shown(self.found)} here"
        )


def replay(trace: Trace) -> Result:
    """Run the machine as the trace was run.

    A network may go on for ever where the hardware rested, so the run ends when it has more outputs or words to show.
    """
    record = trace.record
    limit = 1 + max(record.lists["out_cycle"].size, record.lists["pop_cycle"].size)
    checkpoints = [each.after_event for each in record.checkpoints]
    return run(trace.config, trace.events, trace.world, trace.stop_cycle, checkpoints, limit)


def first_difference(trace: Trace, result: Result) -> Difference | None:
    """The difference with the lowest cycle; a value is placed in the cycle that the trace gives it."""
    found = [*_in_lists(trace, result), *_at_checkpoints(trace, result), *_at_end(trace, result)]
    if not found:
        return None
    cycle, field, traced, here = min(found, key=lambda each: each[0])
    requested = int(np.searchsorted(trace.record.lists["in_req"], cycle, "right"))
    return Difference(cycle, requested - 1 if requested else None, field, traced, here)


_Found = tuple[int, str, "int | str | None", "int | str | None"]


def _in_lists(trace: Trace, result: Result) -> Iterator[_Found]:
    lists = trace.record.lists
    here = {
        "in_req": result.requests,
        "in_ack": result.acks,
        "in_ack_fall": result.ack_falls,
        "idle_cycle": result.idles,
        "pop_cycle": result.word_cycle,
        "out_cycle": result.out_cycle,
    }
    for name, cycles in here.items():
        for index in _first(lists[name], cycles):
            traced, found = _entry(lists[name], index), _entry(cycles, index)
            yield min(each for each in (traced, found) if each is not None), f"expect.{name}[{index}]", traced, found
    for name, beside, values in (("pop_word", "pop_cycle", result.word), ("out_addr", "out_cycle", result.out_address)):
        both = min(values.size, lists[name].size)
        for index in _first(lists[name][:both], values[:both]):
            cycle = int(lists[beside][index])
            yield cycle, f"expect.{name}[{index}]", _entry(lists[name], index), _entry(values, index)


def _at_checkpoints(trace: Trace, result: Result) -> Iterator[_Found]:
    for index, checkpoint in enumerate(trace.record.checkpoints):
        where, cycle = f"expect.checkpoints[{index}]", checkpoint.cycle
        fall = _entry(result.ack_falls, checkpoint.after_event)
        if fall != cycle:
            yield min(cycle, cycle if fall is None else fall), f"{where}.cycle", cycle, fall
            continue
        v = result.checkpoints[checkpoint.after_event]
        for neuron in _first(checkpoint.v, v):
            yield cycle, f"{where}.v[{neuron}]", _entry(checkpoint.v, neuron), _entry(v, neuron)


def _at_end(trace: Trace, result: Result) -> Iterator[_Found]:
    record = trace.record
    cycle = min(record.end_cycle, result.end_cycle)
    if record.end_cycle != result.end_cycle:
        yield cycle, "expect.end_cycle", record.end_cycle, result.end_cycle
    if record.end != result.end:
        yield cycle, "expect.end", record.end, result.end
    for neuron in _first(record.v_end, result.membrane):
        yield record.end_cycle, f"expect.v_end[{neuron}]", _entry(record.v_end, neuron), _entry(result.membrane, neuron)


def _first(traced: Ints, found: Ints) -> list[int]:
    """The first index at which two arrays differ, or none."""
    both = min(traced.size, found.size)
    differing = np.flatnonzero(traced[:both] != found[:both])[:1].tolist()
    return differing or ([] if traced.size == found.size else [both])


def _entry(values: Ints, index: int) -> int | None:
    return int(values[index]) if index < values.size else None


def _shown(value: int | str | None) -> str:
    return "nothing" if value is None else str(value)
