"""Runs an emitted artefact on the exact machine: programs it by the SPI writes, sends samples, reads what comes out."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from snncc import files
from snncc.arrays import Array, Ints
from snncc.backends.tinyodin.config import Config, Events, World
from snncc.backends.tinyodin.layout import LEAK_ALL, Layout, damaged
from snncc.backends.tinyodin.layout import NAME as LAYOUT
from snncc.backends.tinyodin.layout import read as read_layout
from snncc.backends.tinyodin.machine import Result as Done
from snncc.backends.tinyodin.machine import run as run_machine
from snncc.backends.tinyodin.programming import BITS_OF_A_WRITE, Memories
from snncc.diagnostics import fault
from snncc.events.cascade import MOST_EVENTS
from snncc.runner import Trace


@dataclass(frozen=True, eq=False)
class Sent:
    """The events of one sample, and the step that each belongs to."""

    words: Ints
    steps: Ints


@dataclass(frozen=True)
class Used:
    """What a batch took on the chip; cycles are the chip's clock.

    `spikes` are those of all neurons, `lost` those that found the queue full; `fullest` is the most words that waited
    at a time. `synaptic` counts the updates of neurons in sweeps. `reset_cycles` is between samples.
    """

    spikes: int = 0
    lost: int = 0
    events: int = 0
    synaptic: int = 0
    cycles: int = 0
    reset_cycles: int = 0
    fullest: int = 0

    def __add__(self, other: Used) -> Used:
        sums = {name: value + getattr(other, name) for name, value in asdict(self).items()}
        return Used(**{**sums, "fullest": max(self.fullest, other.fullest)})


def run(folder: Path, x: Array, lengths: Ints, *, record: bool) -> tuple[Trace, Used]:
    """Run samples `x` (samples, steps, size), 0 or 1, one after the other on one chip.

    Raises CompileError (`damaged-artefact`; `never-rests` for a network that keeps itself busy).
    """
    plan, state = read_layout(folder, x.shape[2]), read_program(folder)
    samples, steps = x.shape[:2]
    spikes = np.zeros((samples, steps, 256), np.int64)
    membranes = np.zeros_like(spikes) if record else np.zeros((samples, 0, 256), np.int64)
    used = Used()
    for sample, length in enumerate(lengths.tolist()):
        sent = events_of(plan, x[sample, :length])
        done = _run(plan, state, sent.words, f"sample {sample}", _kept(sent, length) if record else ())
        at = sent.steps[np.searchsorted(done.requests, done.out_cycle, "right") - 1]
        np.add.at(spikes[sample], (at, done.out_address), 1)
        if record:
            membranes[sample, :length] = _membranes(state, sent, done, length)
        ended = replace(state, neurons=replace(state.neurons, membrane=done.membrane))
        state, cycles = _restored(plan, ended, f"the reset after sample {sample}")
        used += _used(done, cycles)
    return _trace(plan, spikes, membranes, record=record), used


def read_program(folder: Path) -> Config:
    """The chip after the writes of `spi.hex`. Raises CompileError (`damaged-artefact`)."""
    memories = Memories()
    try:
        lines = files.content(folder / "spi.hex").decode("ascii").splitlines()
    except OSError as error:
        raise damaged("spi.hex", f"cannot be read: {files.reason(error)}") from error
    except ValueError as error:
        raise damaged("spi.hex", "is not text") from error
    for number, line in enumerate(lines, 1):
        _write(memories, number, line)
    try:
        return memories.config()
    except ValueError as error:
        raise damaged("spi.hex", str(error)) from error


def _write(memories: Memories, number: int, line: str) -> None:
    try:
        address, data = (int(each, 16) for each in line.split())
        memories.write((address, data))
    except ValueError as error:
        raise damaged(f"spi.hex:{number}", str(error)) from error


def _run(plan: Layout, state: Config, words: Ints, where: str, kept: Any = ()) -> Done:
    world = World(plan.gap, plan.drop, plan.delay)
    done = run_machine(state, Events(words), world, checkpoints=kept, settle=True, patience=MOST_EVENTS)
    if done.end == "limit":
        number = done.requests.size - 1
        since = np.count_nonzero(done.word_cycle > done.requests[number])
        message = (
            f"after event {number} of {words.size:,}, {words[number]:03X}, the chip executed {since:,} words, "
            f"{done.word.size:,} in all, and did not come to rest"
        )
        raise fault("never-rests", where, message, "the network that is programmed keeps itself busy")
    return done


def events_of(plan: Layout, x: Array) -> Sent:
    """What the host sends for a sample `x` (steps, size)."""
    every = np.ones((len(x), plan.channels), np.int64)
    every[:, : x.shape[1]] = x
    order = np.array(plan.order, np.int64)
    step, place = np.nonzero(every[:, order])
    words, steps = plan.first_channel + order[place], step
    if plan.leaks:
        ends = np.cumsum(np.bincount(step, minlength=len(x)))
        words, steps = np.insert(words, ends, LEAK_ALL), np.insert(steps, ends, np.arange(len(x)))
    return Sent(words.astype(np.int64), steps.astype(np.int64))


def _kept(sent: Sent, length: int) -> Ints:
    """The events after which membranes are those of the end of a step: at the acknowledge of the next step's first
    event nothing has been done with it yet; a time-reference event has acted by then."""
    if sent.words.size and sent.words[-1] == LEAK_ALL:
        return np.searchsorted(sent.steps, np.arange(length), "right") - 1
    following = np.searchsorted(sent.steps, np.arange(length), "right")
    return following[following < sent.words.size]


def _membranes(state: Config, sent: Sent, done: Done, length: int) -> Ints:
    """(steps, 256): the membranes at the end of each step."""
    if not sent.words.size:
        return np.tile(state.neurons.membrane, (length, 1))
    following = np.searchsorted(sent.steps, np.arange(length), "right")
    if sent.words[-1] == LEAK_ALL:
        following = following - 1
    rows = [done.checkpoints.get(each, done.membrane) for each in following.tolist()]
    return np.stack(rows)


def _restored(plan: Layout, state: Config, where: str) -> tuple[Config, int]:
    """The chip after the reset between samples, and the cycles that it took."""
    if plan.reset.by == "spi":
        cycles = len(plan.reset.writes) * BITS_OF_A_WRITE * plan.spi_cycles
        memories = Memories.of(state)
        try:
            for write in plan.reset.writes:
                memories.write(write)
            return memories.config(), cycles
        except ValueError as error:
            raise damaged(LAYOUT, f"reset.writes: {error}") from error
    done = _run(plan, state, np.full(plan.reset.events, LEAK_ALL), where)
    return replace(state, neurons=replace(state.neurons, membrane=done.membrane)), done.end_cycle


def _used(done: Done, reset_cycles: int) -> Used:
    made, lost = done.counts.spikes, done.queue.lost
    return Used(
        spikes=made.sweep + made.virtual + made.leak,
        lost=lost.sweep + lost.virtual + lost.leak,
        events=done.counts.pushes + done.counts.leaks_all,
        synaptic=done.counts.synaptic,
        cycles=done.end_cycle,
        reset_cycles=reset_cycles,
        fullest=done.queue.fullest,
    )


def _trace(plan: Layout, spikes: Ints, membranes: Ints, *, record: bool) -> Trace:
    def of(first: int, last: int, values: Ints) -> Ints:
        return values[:, :, first : last + 1]

    kept = plan.populations if record else ()
    return Trace(
        {each.name: of(each.first, each.last, spikes) for each in plan.outputs},
        {each.name: of(each.first, each.last, spikes) for each in kept},
        {each.name: of(each.first, each.last, membranes) for each in kept},
    )
