"""The machine of many cores in compiled code: it jumps from one event of a router's port to the next.

The rules are those of `targets/README.md`. Every buffer has one writer, and each of its packets one reader, so the
decisions of a cycle can be taken one after another: what must be seen as it was at the start of the cycle is told by
the cycle of the last pop. A unit's packets are put into its buffer ahead of time, with the cycle in which they come; a
queue's deliveries follow from the cycle in which a packet comes. So only output ports have events; each of them has at
most one place in a wheel of buckets, one bucket a cycle. Cycles go on from step to step: what is left of an earlier
step lies in the past, and nothing has to be cleared.

All compiled functions are in this one file, as numba's cache only notices changes of the file that a function is in.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from snncc.arrays import Array
from snncc.backends.chip.lowlevel import at, compiled, inlined, lowest, prefetch
from snncc.backends.chip.records import LISTED, NEVER, RING, RUN, RUNS, Log, Numbers, State, Tables, Work

_AHEAD = 8  # packets whose weights are fetched ahead
_WORDS = RING // 64
_ONE = np.uint64(1)
_ALL = np.uint64((1 << 64) - 1)


@compiled
def step(tables: Tables, state: State, log: Log, n: Numbers, work: Work) -> None:
    """One step of every sample, one after another."""
    for sample in range(len(work.sent)):
        work.cycles[sample] = 0
        if work.window[sample, 0]:
            _prepare(tables, state, log, n, work.sent[sample], work.window[sample])
            _travel(tables, state, log, n, sample)
            _arrive(tables, state, work.lines, work.sums[sample])
            end = _end(state)
            work.cycles[sample] = end - state.time[0].begin
            state.time[0].begin = state.time[0].end = end + n.link


@compiled
def feed(tables: Tables, axons: Array, values: Array, lines: Array, sums: Array) -> None:
    """What an op of the host, `values` (samples, size) int32, gives to others by its `axons` (size,), -1 for none."""
    for sample in range(len(values)):
        for index in range(len(axons)):
            if axons[index] >= 0 and values[sample, index]:
                axon = at(tables.axons, axons[index])
                for block in range(axon.first, axon.last):
                    _add(tables, block, values[sample, index], lines, sums[sample])


@inlined
def _prepare(tables: Tables, state: State, log: Log, n: Numbers, sent: Array, window: Array) -> None:
    """Each unit at the start of a step, with those of its neurons that send, and its first packets in its buffer."""
    for unit in state.units:
        unit.clock = state.time[0].begin
        unit.sender = unit.last = unit.route = unit.end = unit.ordinal = unit.total = 0
    count = 0
    for segment in tables.segments:
        unit = at(state.units, segment.unit)
        if unit.total == 0:
            unit.sender = count
        if window[segment.column]:
            count = _gather(tables, state, unit, segment, sent, count)
        unit.last = count
    for number in range(len(state.units)):
        inserted = 0
        while inserted < n.buffer and _insert(tables, state, log, n, number, 0):
            inserted += 1
        if inserted:
            _lead(state, n, at(state.units, number).buffer, state.time[0].begin)


@inlined
def _gather(tables: Tables, state: State, unit: Any, segment: Any, sent: Array, count: int) -> int:
    """List the senders among the neurons of a segment, after `count` others; returns how many there are then."""
    before = unit.total - segment.first + 1
    for position in range(segment.first, segment.last):
        if sent[position]:
            sender = at(state.senders, count)
            sender.position = position
            sender.ordinal = before + position
            sender.value = sent[position]
            state.fired[position] += 1
            prefetch(tables.routes, at(tables.start, position))
            count += 1
    unit.total += segment.last - segment.first
    return count


@inlined
def _insert(tables: Tables, state: State, log: Log, n: Numbers, number: int, room: int) -> bool:
    """Put the unit's next packet, if there is one, into its buffer, which has room from the start of cycle `room`."""
    unit = at(state.units, number)
    while unit.route == unit.end:
        if unit.sender == unit.last:
            return False
        sender = at(state.senders, unit.sender)
        unit.sender += 1
        unit.clock += unit.neuron * (sender.ordinal - unit.ordinal) + unit.spike
        unit.ordinal = sender.ordinal
        unit.value = sender.value
        unit.route = at(tables.start, sender.position)
        unit.end = at(tables.start, sender.position + 1)
    unit.clock += unit.packet
    if room > unit.clock:
        unit.stalled += room - unit.clock
        unit.clock = room
    if log.on:
        log.inserted[unit.route] = unit.clock - state.time[0].begin
    route, packet = at(tables.routes, unit.route), _push(state, n, unit.buffer, unit.clock)
    packet.service, packet.place, packet.value, packet.route = route.service, route.place, unit.value, unit.route
    unit.route += 1
    return True


@inlined
def _push(state: State, n: Numbers, number: int, cycle: int) -> Any:
    """A packet comes into a buffer in `cycle`: what it is has to be filled in."""
    buffer = at(state.buffers, number)
    place = buffer.head + buffer.count
    buffer.count += 1
    packet = at(state.packets, number * n.buffer + (place - n.buffer if place >= n.buffer else place))
    packet.ripe = cycle + buffer.hop
    return packet


@inlined
def _lead(state: State, n: Numbers, number: int, now: int) -> None:
    """A buffer has another first packet: through which port that leaves, and when."""
    buffer = at(state.buffers, number)
    packet = at(state.packets, number * n.buffer + buffer.head)
    across, down = (packet.place >> 16) - buffer.column, (packet.place >> 8 & 255) - buffer.row
    if across:
        port = 2 - (1 if across > 0 else -1)
    elif down:
        port = 1 + (1 if down > 0 else -1)
    else:
        port = packet.place & 255
    buffer.ripe = max(packet.ripe, now + 1)
    at(state.ports, buffer.first + port).waiting |= 1 << (number - buffer.first)
    _schedule(state, buffer.first + port, buffer.ripe, now)


@inlined
def _travel(tables: Tables, state: State, log: Log, n: Numbers, sample: int) -> None:
    """Wake the ports, cycle by cycle, until all packets are in queues."""
    now = _next(state.bits, state.time[0].begin)
    while now >= 0:
        bucket = now & (RING - 1)
        while state.wheel[bucket] >= 0:
            number = state.wheel[bucket]
            port = at(state.ports, number)
            port.wake = NEVER
            state.wheel[bucket] = port.after
            if port.after >= 0:
                at(state.ports, port.after).before = -1
            later = _attempt(tables, state, log, n, sample, number, now)
            if later < NEVER:
                _schedule(state, number, later, now)
        _clear(state, bucket)
        now = _next(state.bits, now)


@inlined
def _attempt(tables: Tables, state: State, log: Log, n: Numbers, sample: int, number: int, now: int) -> int:
    """An output port takes the packet whose turn it is, if there is one and it has room; returns when to try again."""
    port = at(state.ports, number)
    if port.free > now:  # the wheel was too short to wait until then
        return port.free
    pointer = port.pointer if port.free > state.time[0].begin else 0
    chosen, best, later = -1, n.ports, NEVER
    waiting = port.waiting
    while waiting:
        index = lowest(waiting)
        waiting &= waiting - 1
        ripe = at(state.buffers, port.first + index).ripe
        if ripe > now:
            later = min(later, ripe)
        else:
            later = later if chosen < 0 else now
            rank = index - pointer + (n.ports if index < pointer else 0)
            if rank < best:
                chosen, best = index, rank
    if chosen < 0:
        return later
    wait = _room(state, n, port, now)
    if wait:
        return wait
    port.free = now + n.link
    port.pointer = chosen + 1
    port.moves += 1
    port.waiting &= ~(1 << chosen)
    if log.on:
        move = log.moves[log.lengths[1]]
        move.cycle, move.sample, move.port = now - state.time[0].begin, sample, number
        log.lengths[1] += 1
    _move(tables, state, log, n, sample, port.first + chosen, port.target, now)
    return later


@inlined
def _room(state: State, n: Numbers, port: Any, now: int) -> int:
    """0 if there is room on the other side of a port; else the cycle to try again, NEVER if a pop will wake it."""
    if port.target < 0:
        left = state.queued[~port.target, at(state.cores, ~port.target).slot]
        return 0 if left < now else left + 1
    buffer = at(state.buffers, port.target)
    popped = buffer.popped == now
    if buffer.count + popped < n.buffer:
        return 0
    if popped:
        return now + 1
    port.blocked = 1
    return NEVER


@inlined
def _move(tables: Tables, state: State, log: Log, n: Numbers, sample: int, number: int, target: int, now: int) -> None:
    """The first packet of a buffer goes to the buffer `target`, or to the queue of the core ~target."""
    packet = at(state.packets, number * n.buffer + at(state.buffers, number).head)
    if target >= 0:
        copy = _push(state, n, target, now)
        copy.service, copy.place, copy.value, copy.route = packet.service, packet.place, packet.value, packet.route
        if at(state.buffers, target).count == 1:
            _lead(state, n, target, now)
    else:
        taken = _enqueue(state, n, ~target, packet.service, now)
        arrived = at(state.arrived, state.time[0].arrived)
        arrived.route, arrived.value = packet.route, packet.value
        state.time[0].arrived += 1
        if log.on:
            begin, delivery = state.time[0].begin, log.deliveries[log.lengths[0]]
            delivery.inserted, delivery.route, delivery.sample = log.inserted[packet.route], packet.route, sample
            delivery.delivered, delivery.done = taken - begin, at(state.cores, ~target).done - begin
            log.lengths[0] += 1
    _pop(tables, state, log, n, number, now)


@inlined
def _pop(tables: Tables, state: State, log: Log, n: Numbers, number: int, now: int) -> None:
    """The first packet of a buffer leaves in cycle `now`."""
    buffer = at(state.buffers, number)
    if buffer.count > buffer.peak:
        _measure(state, n, buffer, number, now)
    buffer.head = buffer.head + 1 if buffer.head + 1 < n.buffer else 0
    buffer.count -= 1
    buffer.popped = now
    if buffer.upstream >= 0 and at(state.ports, buffer.upstream).blocked:
        at(state.ports, buffer.upstream).blocked = 0
        _schedule(state, buffer.upstream, now + 1, now)
    if buffer.unit >= 0:
        _insert(tables, state, log, n, buffer.unit, now + 1)
    if buffer.count:
        _lead(state, n, number, now)


@inlined
def _measure(state: State, n: Numbers, buffer: Any, number: int, now: int) -> None:
    """The peak of a buffer, just before a pop: packets that come in this cycle or later are not there yet."""
    count = buffer.count
    while at(state.packets, number * n.buffer + (buffer.head + count - 1) % n.buffer).ripe - buffer.hop >= now:
        count -= 1
    buffer.peak = max(buffer.peak, count)


@inlined
def _enqueue(state: State, n: Numbers, number: int, service: int, now: int) -> int:
    """A packet comes into a core's queue in cycle `now`; returns the cycle in which it will be delivered."""
    core = at(state.cores, number)
    taken = max(now + n.local, core.done)
    core.done = taken + service
    while core.count and state.queued[number, core.oldest] <= now:
        core.oldest = core.oldest + 1 if core.oldest + 1 < n.queue else 0
        core.count -= 1
    state.queued[number, core.slot] = taken
    core.slot = core.slot + 1 if core.slot + 1 < n.queue else 0
    core.count += 1
    core.came += 1
    core.peak = max(core.peak, core.count)
    state.time[0].end = max(state.time[0].end, core.done)
    return taken


@inlined
def _arrive(tables: Tables, state: State, lines: Array, sums: Array) -> None:
    """Add what has arrived; blocks, and what they refer to, are fetched while the packets before are added."""
    count = state.time[0].arrived
    for number in range(count + _AHEAD):
        if number + 2 * _AHEAD < count:
            prefetch(tables.routes, at(state.arrived, number + 2 * _AHEAD).route)
        if number + _AHEAD < count:
            prefetch(tables.blocks, at(tables.routes, at(state.arrived, number + _AHEAD).route).first)
        if number < count:
            block = at(tables.blocks, at(tables.routes, at(state.arrived, number).route).first)
            if block.kind == RUNS:
                prefetch(tables.runs, block.first)
            else:
                prefetch(tables.weights, block.first)
        if number >= _AHEAD:
            arrival = at(state.arrived, number - _AHEAD)
            route = at(tables.routes, arrival.route)
            for index in range(route.first, route.last):
                _add(tables, index, arrival.value, lines, sums)
    state.time[0].arrived = 0


@inlined
def _add(tables: Tables, index: int, value: int, lines: Array, sums: Array) -> None:
    """Add a value, times the weights of a block, to a line of the sums."""
    block = at(tables.blocks, index)
    scaled = value << block.exponent
    line = lines[block.line]
    if block.kind == LISTED:
        for k in range(block.first, block.first + block.count):
            sums[np.uint64(line + at(tables.lanes, k))] += scaled * at(tables.weights, k)
    elif block.kind == RUN:
        _add_run(tables, sums, line + block.lane, block.first, block.count, scaled)
    else:
        for k in range(block.first, block.first + block.count):
            run = at(tables.runs, k)
            _add_run(tables, sums, line + run.lane, run.first, run.count, scaled)


@inlined
def _add_run(tables: Tables, sums: Array, lane: int, first: int, count: int, scaled: int) -> None:
    into, row = sums[lane : lane + count], tables.weights[first : first + count]
    for k in range(count):
        into[k] += scaled * row[k]


@inlined
def _end(state: State) -> int:
    """The cycle in which the last unit is done."""
    end = state.time[0].end
    for unit in state.units:
        end = max(end, unit.clock + unit.neuron * (unit.total - unit.ordinal))
    return end


@inlined
def _schedule(state: State, number: int, cycle: int, now: int) -> None:
    """Wake a port in `cycle`, or as soon as its link is free; one that is blocked, or wakes before, is left alone."""
    port = at(state.ports, number)
    cycle = max(cycle, port.free, now + 1)
    if port.blocked or cycle >= port.wake:
        return
    if port.wake < NEVER:
        _unlink(state, number)
    port.wake = min(cycle, now + RING - 1)
    bucket = port.wake & (RING - 1)
    port.before = -1
    port.after = state.wheel[bucket]
    state.wheel[bucket] = number
    if port.after >= 0:
        at(state.ports, port.after).before = number
    else:
        state.bits[bucket >> 6] |= _ONE << np.uint64(bucket & 63)
        state.bits[_WORDS] |= _ONE << np.uint64(bucket >> 6)


@inlined
def _unlink(state: State, number: int) -> None:
    """Take a port out of its bucket."""
    port = at(state.ports, number)
    bucket = port.wake & (RING - 1)
    port.wake = NEVER
    if port.after >= 0:
        at(state.ports, port.after).before = port.before
    if port.before >= 0:
        at(state.ports, port.before).after = port.after
        return
    state.wheel[bucket] = port.after
    if port.after < 0:
        _clear(state, bucket)


@inlined
def _clear(state: State, bucket: int) -> None:
    """There is no port any more in a bucket."""
    state.bits[bucket >> 6] &= ~(_ONE << np.uint64(bucket & 63))
    if not state.bits[bucket >> 6]:
        state.bits[_WORDS] &= ~(_ONE << np.uint64(bucket >> 6))


@inlined
def _next(bits: Array, now: int) -> int:
    """The first cycle after `now` in which a port wakes, or -1."""
    if not bits[_WORDS]:
        return -1
    start = (now + 1) & (RING - 1)
    word = start >> 6
    left = bits[word] & (_ALL << np.uint64(start & 63))
    if not left:
        words = bits[_WORDS] & ((_ALL << np.uint64(word)) & ~(_ONE << np.uint64(word)))
        word = lowest(words if words else bits[_WORDS])
        left = bits[word]
    return now + 1 + ((word * 64 + lowest(left) - start) & (RING - 1))
