"""The records that the compiled machine works on: what a program's tables and a machine's state look like in memory."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from snncc.arrays import Array

Records = Any  # an array of records: its items have the fields as attributes, in compiled code

NEVER = 1 << 62
_LINE = 64  # bytes of a line of the cache
RING = 4096  # cycles that the wheel of ports to wake holds; what is farther away is put off
FIRST_CORE = 4  # ports before those of a tile's cores: north, east, south, west
LISTED, RUN, RUNS = range(3)  # how a block is kept: targets one by one, one run of them, several runs


def _record(wide: str, narrow: str, size: int = 0) -> np.dtype[Any]:
    """A record of 64-bit and 32-bit integers, which takes `size` bytes if that is given."""
    names = [*wide.split(), *narrow.split()]
    formats = [np.dtype(np.int64)] * len(wide.split()) + [np.dtype(np.int32)] * len(narrow.split())
    offsets = np.cumsum([0, *(each.itemsize for each in formats)]).tolist()
    rounded = -(-offsets[-1] // 8) * 8 if wide else offsets[-1]
    return np.dtype({"names": names, "formats": formats, "offsets": offsets[:-1], "itemsize": size or rounded})


def aligned(count: int, kind: np.dtype[Any]) -> Array:
    """Records of zeros, the first of them at the beginning of one of the processor's cache lines."""
    raw = np.zeros(count * kind.itemsize + _LINE, np.uint8)
    first = -raw.ctypes.data % _LINE
    return raw[first : first + count * kind.itemsize].view(kind)


# An output port. It wakes in the cycle `wake`, and stands between the ports `before` and `after` in its bucket, -1 for
# none. `waiting` are bits: the inputs whose first packet leaves through it. Its link is `free` from that cycle on; its
# `moves` are counted for ever. `first` is its router's first buffer; `target` the buffer on the other side, or ~core;
# it is `blocked` until a packet leaves that buffer.
PORT = _record("wake free moves waiting", "before after first target pointer blocked", _LINE)
# An input buffer: a ring of packets from `head` on; the first one is `ripe` from that cycle on. `popped` is the cycle
# of the last pop; `hop` how long packets ripen. A port fills it, `upstream`, or a unit, `unit`; -1 for the other.
BUFFER = _record("ripe popped hop", "head count upstream unit first column row peak", _LINE)
# What travels: a value, made from the entry `route` of the sender's routes. `service` is how long the core's synapse
# unit will take; `place` is where to: column << 16 | row << 8 | port of the core.
PACKET = _record("ripe", "service place value route")
# A core's queue and synapse unit: `done` is when that is idle, `came` counts packets for ever. `count` packets may be
# in the queue, the first of them at `oldest`; the next comes to `slot`.
CORE = _record("done came", "slot oldest count peak")
# A neuron unit, or the host's port: `clock` is T, `stalled` counts cycles for ever. `sender` to `last` are the senders
# to come, `route` to `end` the routes left of the one at hand, which sends `value`; `ordinal` counts the neurons up to
# that one, `total` all of this step.
UNIT = _record("clock stalled neuron spike packet", "buffer sender last route end ordinal total value")
SENDER = _record("", "position ordinal value")
# Consecutive positions of one unit whose windows open together; `column` of the table of windows says when.
SEGMENT = _record("", "unit column first last")
# What leads to an axon, number `axon` of all cores' and with the blocks `first` to `last`; the rest as in a PACKET.
ROUTE = _record("", "service place first last core axon")
AXON = _record("", "first last")
ARRIVAL = _record("", "route value")
# `line` is where in a row of sums the block's targets lie. `first` to `first + count` are, LISTED, lanes and weights;
# in a RUN, weights for the lanes from `lane` on; in RUNS, runs.
BLOCK = _record("first", "kind line exponent count lane")
WEIGHTS_RUN = _record("first", "lane count")
# When the step began, and the latest cycle in which a synapse unit is done; how many packets have arrived.
TIME = _record("begin end arrived", "")
DELIVERY = _record("inserted delivered done", "sample route")
MOVE = _record("cycle", "sample port")


class Tables(NamedTuple):
    """The program. Position p, a value of the input or a neuron, has the routes `start[p]` to `start[p + 1]`."""

    start: Array
    routes: Records
    axons: Records
    blocks: Records
    runs: Records
    lanes: Array
    weights: Array
    segments: Records


class State(NamedTuple):
    """What changes. Cycles go on from step to step.

    `time` (1,); `queued` (cores, queue) are the cycles in which packets leave a queue; `wheel` the first ports of the
    buckets, -1 for none, and `bits` which buckets have one. `fired` (positions,) counts for ever.
    """

    time: Records
    ports: Records
    buffers: Records
    packets: Records
    cores: Records
    queued: Records
    units: Records
    senders: Records
    arrived: Records
    wheel: Array
    bits: Array
    fired: Array


class Work(NamedTuple):
    """A step of some samples.

    `sent` (samples, positions) int32 are the values; `window` (samples, columns) bool says which segments' windows are
    open, its first column which samples still run; `lines` (lines,) int64 where in a row of `sums` (samples, width)
    each line lies; `cycles` (samples,) int64 is what the step takes, without the barrier.
    """

    sent: Array
    window: Array
    lines: Array
    sums: Array
    cycles: Array


class Log(NamedTuple):
    """If `on`, every delivery and move of a step, `lengths` of them so far, in cycles of this step.

    `inserted` (routes,) is when the packets in flight were put into their first buffer.
    """

    on: int
    deliveries: Records
    moves: Records
    lengths: Array
    inserted: Array


class Numbers(NamedTuple):
    """`ports` of a router, packets in a `buffer` and in a `queue`, and the cycles `link` and `hop_local`."""

    ports: int
    buffer: int
    queue: int
    link: int
    local: int
