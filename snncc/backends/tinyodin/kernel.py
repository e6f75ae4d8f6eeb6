"""The tinyODIN machine in compiled code: it jumps from one decision of the controller to the next.

Sections are those of SPEC.md. All compiled functions are in this one file, because numba's cache only notices changes
of the file that a function is in. The machine is one record with its arrays inside: arrays that are passed around one
by one would be counted as references at every call, which took longer than the work.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from snncc.arrays import Array
from snncc.jit import compiled

RUNNING, IDLE, CUT, LIMIT = range(4)
NEVER = np.int64(1 << 62)
SWEEP, VIRTUAL, LEAK = range(3)  # what a spike came from
CHUNK = 4096  # log entries between two collections
_ROOM = 256  # log entries that one operation can add
_QUEUE, _VIRTUAL_BIT, _LEAK_BIT, _ALL = 128, 1 << 9, 1 << 8, 255

_NUMBERS = (
    # registers and world; hold is how long the output port is busy, 2k+6
    *("last", "open_loop", "source_control", "gap", "drop", "hold", "stop", "limit", "patience", "settle"),
    # the cycle in which IDLE is entered, the first in which BUSY is 0 again, the one in which REQ rises
    *("cycle", "free", "request"),
    # the queue; the event that is or will be requested
    *("head", "fill", "event"),
    # how many entries the log has, and ever had; how many words when the last event was requested
    *("outs", "words", "idles", "total_outs", "total_words", "words_before"),
    *("end", "end_cycle", "fullest", "first_lost"),
    *("pushes", "leaks_all", "leaks_one", "synaptic", "silent"),
    *("full_priority", "full_sweeps", "full_virtual", "overtaking_pushes", "overtaking_leaks"),
)
MACHINE = np.dtype(
    [
        *((name, np.int64) for name in _NUMBERS),
        ("spikes", np.int64, (3,)),
        ("lost", np.int64, (3,)),
        ("lost_by_neuron", np.int64, (256,)),
        ("out_cycle", np.int64, (CHUNK,)),
        ("word_cycle", np.int64, (CHUNK,)),
        ("idle_cycle", np.int64, (CHUNK,)),
        ("out_address", np.int16, (CHUNK,)),
        ("word", np.int16, (CHUNK,)),
        ("queue", np.int16, (_QUEUE,)),
        ("v", np.int16, (256,)),
        ("threshold", np.int16, (256,)),
        ("leak", np.int16, (256,)),
        ("disabled", np.int8, (256,)),
        ("crossed", np.int8, (256,)),  # by the last update of the neuron
        ("weights", np.int8, (256, 256)),
    ],
    align=True,
)
# `checkpoint` is the row of the snapshots that the event fills, or -1; the last three are filled when it is done.
EVENT = np.dtype([(name, np.int64) for name in ("word", "not_before", "checkpoint", "request", "ack", "ack_fall")])


@compiled
def advance(machine: Array, events: Array, snapshots: Array) -> None:
    """Run to the end, or until the log must be emptied."""
    m = machine[0]
    while m.end == RUNNING and m.outs + _ROOM <= CHUNK and max(m.words, m.idles) < CHUNK:
        cycle = _decision(m, events)
        if m.end != RUNNING:
            m.end_cycle = cycle
        elif m.fill < _QUEUE and m.request + 2 <= cycle:
            event: Any = events[m.event]
            _execute(m, event, cycle)
            if event.checkpoint >= 0:
                for neuron in range(256):
                    snapshots[event.checkpoint, neuron] = m.v[neuron]
            m.event += 1
            m.request = NEVER
            if m.event < events.size and not m.settle:
                following: Any = events[m.event]
                m.request = max(following.not_before, event.ack_fall + m.gap)
        else:
            _execute_head(m, cycle)


@compiled
def _decision(m: Any, events: Array) -> int:
    """Section 5, IDLE, and the end of the run (section 9): the cycle in which something starts, or the last one."""
    cycle = max(m.cycle, m.free)
    if max(m.cycle, m.stop) < cycle:
        m.end = CUT
        return max(m.cycle, m.stop)
    if m.settle and m.request == NEVER and m.fill == 0 and m.event < events.size:
        # The chip rests, and its host, who counts the words, knows it.
        waiting: Any = events[m.event]
        m.request, m.words_before = max(waiting.not_before, cycle + m.gap), m.total_words
    seen = m.request + 2  # the first cycle with RQ = 1
    if m.fill == 0 and seen > cycle:
        if cycle > 0:
            m.idle_cycle[m.idles] = cycle
            m.idles += 1
        if m.event == events.size:
            m.end = IDLE
            return cycle
        if m.stop <= seen:
            m.end = CUT
            return max(cycle, m.stop)
        return seen
    if m.stop <= cycle:
        m.end = CUT
    elif max(m.total_words, m.total_outs) >= m.limit or m.total_words - m.words_before >= m.patience:
        m.end = LIMIT
    return cycle


@compiled
def _execute(m: Any, event: Any, cycle: int) -> None:
    """PUSH or LEAK, then HANDSHAKE; a leak event takes precedence over a virtual one (section 3)."""
    word = event.word
    if word & _LEAK_BIT:
        m.overtaking_leaks += m.fill > 0
        ack = _execute_leak(m, word & 255, cycle) + 1
    else:
        m.overtaking_pushes += m.fill > 0
        m.pushes += 1
        _push(m, (word & 0xF0) << 4 | word & 0xF if word & _VIRTUAL_BIT else word & 255)
        m.fullest = max(m.fullest, m.fill)
        ack = cycle + 2
    # Section 8: REQ falls in K+d, RQ is 0 from K+d+2, and IDLE follows.
    m.cycle = ack + m.drop + 3
    event.request, event.ack, event.ack_fall = m.request, ack, m.cycle


@compiled
def _execute_leak(m: Any, low: int, cycle: int) -> int:
    """LEAK, started in `cycle`; returns its last WRITE cycle."""
    first, last = low, low
    if low == _ALL:
        first, last = 0, m.last
        m.leaks_all += 1
    else:
        m.leaks_one += 1
    crossings = _leak(m.v, m.threshold, m.leak, m.crossed, first, last)
    return _fire(m, first, last, crossings, cycle, LEAK)


@compiled
def _execute_head(m: Any, cycle: int) -> None:
    """VIRT, or SWEEP and RETIRE, of the word at the head of the queue, started in `cycle`."""
    word = m.queue[m.head]
    high, low = word >> 8, word & 255
    m.word_cycle[m.words], m.word[m.words] = cycle + 1, word
    m.words += 1
    m.total_words += 1
    if m.fill == _QUEUE:
        m.full_priority += m.request + 2 <= cycle
        m.full_virtual += high > 0
        m.full_sweeps += high == 0
    if high:
        _stimulate(m, low, high - 16 if high >= 8 else high)
        _fire(m, low, low, m.crossed[low], cycle, VIRTUAL)
        m.cycle = cycle + 3
    else:
        crossings = _integrate(m.v, m.threshold, m.weights[low], m.crossed, m.last)
        m.synaptic += m.last + 1
        write = _fire(m, 0, m.last, crossings, cycle, SWEEP)
        if m.source_control:
            _output(m, low, write)
        # RETIRE lasts through the first cycle in which BUSY is 0, and IDLE follows.
        m.cycle = max(write + 1, m.free) + 1
    # The head leaves after the last spike was pushed; until then it takes its place in the queue (section 4).
    m.head = (m.head + 1) % _QUEUE
    m.fill -= 1


@compiled
def _fire(m: Any, first: int, last: int, crossings: int, cycle: int, kind: int) -> int:
    """Send the spikes of the neurons that crossed in the operation started in `cycle`; returns its last WRITE."""
    write = cycle + 2 + 2 * (last - first)
    if crossings == 0:
        return write
    stall = 0
    for neuron in range(first, last + 1):
        if not m.crossed[neuron]:
            continue
        if m.disabled[neuron]:
            m.silent += 1
            continue
        at = cycle + 2 + 2 * (neuron - first) + stall
        m.spikes[kind] += 1
        if not m.open_loop:
            _keep(m, neuron, at, kind)
        if not m.source_control:
            _output(m, neuron, at)
            # The READ of the next neuron waits for the port; after the last neuron there is none.
            stall += m.hold if neuron < last else 0
    return write + stall


@compiled
def _keep(m: Any, neuron: int, cycle: int, kind: int) -> None:
    """Queue a spike; section 4: lost while full, even if the head leaves in the same cycle."""
    if m.fill == _QUEUE:
        m.lost[kind] += 1
        m.lost_by_neuron[neuron] += 1
        m.first_lost = min(m.first_lost, cycle)
        return
    _push(m, neuron)
    # A virtual word leaves in the cycle in which its spike comes: the level stays.
    m.fullest = max(m.fullest, m.fill - (kind == VIRTUAL))


@compiled
def _push(m: Any, word: int) -> None:
    m.queue[(m.head + m.fill) % _QUEUE] = word
    m.fill += 1


@compiled
def _output(m: Any, address: int, cycle: int) -> None:
    """Section 6, a trigger in `cycle`: OREQ rises in the next, and BUSY lasts 2k+6 cycles from there."""
    m.out_cycle[m.outs], m.out_address[m.outs] = cycle + 1, address
    m.outs += 1
    m.total_outs += 1
    m.free = cycle + 1 + m.hold


@compiled
def _integrate(v: Array, threshold: Array, weights: Array, crossed: Array, last: int) -> int:
    """A synaptic update of neurons 0..last (section 2); returns how many crossed.

    The neurons of one sweep do not depend on each other, so all are updated before any spike is sent.
    """
    crossings = 0
    for neuron in range(last + 1):
        u = min(max(v[neuron] + weights[neuron], -2048), 2047)
        cross = u >= threshold[neuron]  # never for u < 0, as thresholds are unsigned
        v[neuron] = 0 if cross else u
        crossed[neuron] = cross
        crossings += cross
    return crossings


@compiled
def _stimulate(m: Any, neuron: int, weight: int) -> None:
    """A synaptic update of one neuron."""
    u = min(max(m.v[neuron] + weight, -2048), 2047)
    cross = u >= m.threshold[neuron]
    m.v[neuron] = 0 if cross else u
    m.crossed[neuron] = cross


@compiled
def _leak(v: Array, threshold: Array, leak: Array, crossed: Array, first: int, last: int) -> int:
    """A leak update of neurons first..last (section 2); returns how many crossed."""
    crossings = 0
    for neuron in range(first, last + 1):
        old = v[neuron]
        u = max(0, old - leak[neuron]) if old >= 0 else min(0, old + leak[neuron])
        cross = u >= threshold[neuron]
        v[neuron] = 0 if cross else u
        crossed[neuron] = cross
        crossings += cross
    return crossings
