"""Runs tinyODIN exactly: the cycles of every acknowledgement, output and executed word, membranes and lost spikes.

`run` is a pure function of the chip's contents, the events and the delays of host and receiver. The compiled part is
in `kernel.py`, which is imported at the first run, as numba takes long to load.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from snncc.arrays import Array, Ints, frozen
from snncc.backends.tinyodin.config import MOST_CYCLE, NEURONS, Config, Events, World

End = Literal["idle", "cut", "limit"]
LIMIT = 1 << 24
_LOGS = {"out_cycle": "outs", "out_address": "outs", "word_cycle": "words", "word": "words", "idle_cycle": "idles"}


@dataclass(frozen=True)
class Spikes:
    """Counts of spikes by the operation that made them."""

    sweep: int
    virtual: int
    leak: int


@dataclass(frozen=True)
class Queue:
    """What became of the scheduler: `left` are the words in it at the end, head first.

    `lost` counts the spikes that found it full, and `lost_by_neuron` says whose they were; the first was lost in
    `first_lost` (None without any). The `full_` counts are words started while it was full, `full_priority` those of
    them that a waiting request had to let pass, the `overtaking_` ones events that passed waiting words.
    """

    left: Ints
    fullest: int
    lost: Spikes
    lost_by_neuron: Ints
    first_lost: int | None
    full_priority: int
    full_sweeps: int
    full_virtual: int
    overtaking_pushes: int
    overtaking_leaks: int


@dataclass(frozen=True)
class Counts:
    """Operations done; `synaptic` are updates by sweeps, `silent` threshold crossings of disabled neurons."""

    pushes: int
    leaks_all: int
    leaks_one: int
    synaptic: int
    spikes: Spikes
    silent: int


@dataclass(frozen=True)
class Result:
    """A run as SPEC.md, section 9, records it: all lists are those up to `end_cycle`.

    `requests` are the cycles in which REQ rose, `acks` and `ack_falls` those in which ACK rose and fell, `out_cycle`
    and `out_address` the output events, `word_cycle` and `word` the words executed from the queue, `idles` the cycles
    in which the chip came to rest. The membranes are those of the last cycle; `checkpoints` has those after an event.
    """

    end: End
    end_cycle: int
    requests: Ints
    acks: Ints
    ack_falls: Ints
    out_cycle: Ints
    out_address: Ints
    word_cycle: Ints
    word: Ints
    idles: Ints
    membrane: Ints
    checkpoints: Mapping[int, Ints]
    queue: Queue
    counts: Counts


def run(
    config: Config,
    events: Events,
    world: World | None = None,
    stop_cycle: int | None = None,
    checkpoints: Iterable[int] = (),
    limit: int = LIMIT,
    *,
    settle: bool = False,
    patience: int | None = None,
) -> Result:
    """Send the events and run until the chip rests, or to the first decision at or after `stop_cycle`.

    A recurrent network may never rest: after `limit` executed words, or outputs, the run ends with `end` "limit".
    `checkpoints` are the numbers of events after which the membranes are kept. With `settle` the host sends each event
    only when the chip rests after the one before: `requests` then says when it could. The run then also ends with
    "limit" when `patience` words of one event have been executed and the chip still does not rest.
    """
    from snncc.backends.tinyodin import kernel

    if stop_cycle is not None and not 0 <= stop_cycle <= MOST_CYCLE:
        raise ValueError(f"stop_cycle is {stop_cycle}, not 0 to {MOST_CYCLE}")
    wanted = [number for number in sorted(set(checkpoints)) if 0 <= number < events.words.size]
    machine = _machine(config, world or World(), limit, stop_cycle)
    machine["settle"], machine["patience"] = settle, kernel.NEVER if patience is None else patience
    listed = _listed(events, wanted)
    if listed.size:
        machine["request"] = listed["not_before"][0]
    snapshots = np.zeros((len(wanted), NEURONS), np.int16)
    m, pieces = machine[0], {log: list[Array]() for log in _LOGS}
    while m["end"] == kernel.RUNNING:
        kernel.advance(machine, listed, snapshots)
        for log, length in _LOGS.items():
            pieces[log].append(m[log][: m[length]].copy())
        m["outs"] = m["words"] = m["idles"] = 0
    # One log after the other, as each may be long.
    logs = {log: frozen(np.concatenate(pieces.pop(log)), np.int64) for log in _LOGS}
    return _result(m, listed, logs, {number: snapshots[row] for row, number in enumerate(wanted)})


def _machine(config: Config, world: World, limit: int, stop_cycle: int | None) -> Array:
    from snncc.backends.tinyodin.kernel import MACHINE, NEVER

    registers, neurons = config.registers, config.neurons
    values: dict[str, Any] = {
        "last": registers.last_neuron,
        "open_loop": registers.open_loop,
        "source_control": registers.source_control,
        "gap": world.gap,
        "drop": world.drop,
        "hold": 2 * world.delay + 6,
        "stop": NEVER if stop_cycle is None else stop_cycle,
        "limit": limit,
        "request": NEVER,
        "first_lost": NEVER,
        "v": neurons.membrane,
        "threshold": neurons.threshold,
        "leak": neurons.leak,
        "disabled": neurons.disabled,
        "weights": config.weights,
    }
    machine = np.zeros(1, MACHINE)
    for name, value in values.items():
        machine[name] = value
    return machine


def _listed(events: Events, wanted: list[int]) -> Array:
    from snncc.backends.tinyodin.kernel import EVENT

    listed = np.zeros(events.words.size, EVENT)
    listed["word"], listed["not_before"], listed["checkpoint"] = events.words, events.not_before, -1
    listed["checkpoint"][wanted] = np.arange(len(wanted))
    return listed


def _result(m: Any, listed: Array, logs: Mapping[str, Ints], snapshots: Mapping[int, Array]) -> Result:
    done = listed[: m["event"]]
    # An event may have been requested that was not taken any more.
    requested = [m["request"]] if m["request"] <= m["end_cycle"] else []
    ends: tuple[End, ...] = ("idle", "cut", "limit")
    return Result(
        end=ends[m["end"] - 1],
        end_cycle=int(m["end_cycle"]),
        requests=frozen(np.append(done["request"], np.array(requested, np.int64))),
        acks=frozen(done["ack"]),
        ack_falls=frozen(done["ack_fall"]),
        out_cycle=logs["out_cycle"],
        out_address=logs["out_address"],
        word_cycle=logs["word_cycle"],
        word=logs["word"],
        idles=logs["idle_cycle"],
        membrane=frozen(m["v"], np.int64),
        checkpoints=MappingProxyType(
            {number: frozen(v, np.int64) for number, v in snapshots.items() if number < done.size}
        ),
        queue=_queue(m),
        counts=Counts(
            **{name: int(m[name]) for name in ("pushes", "leaks_all", "leaks_one", "synaptic", "silent")},
            spikes=Spikes(*m["spikes"].tolist()),
        ),
    )


def _queue(m: Any) -> Queue:
    from snncc.backends.tinyodin.kernel import NEVER

    return Queue(
        left=frozen(np.roll(m["queue"], -m["head"])[: m["fill"]], np.int64),
        fullest=int(m["fullest"]),
        lost=Spikes(*m["lost"].tolist()),
        lost_by_neuron=frozen(m["lost_by_neuron"].copy()),
        first_lost=None if m["first_lost"] == NEVER else int(m["first_lost"]),
        full_priority=int(m["full_priority"]),
        full_sweeps=int(m["full_sweeps"]),
        full_virtual=int(m["full_virtual"]),
        overtaking_pushes=int(m["overtaking_pushes"]),
        overtaking_leaks=int(m["overtaking_leaks"]),
    )
