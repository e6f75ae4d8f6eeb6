"""Runs a loaded program step by step: neurons in numpy, over many samples at once; all that travels, in `kernel`."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from graphlib import CycleError, TopologicalSorter
from typing import NamedTuple

import numpy as np

from snncc.arrays import Array, Ints
from snncc.backends.base import Batch
from snncc.backends.chip import kernel
from snncc.backends.chip.image import Image, damaged
from snncc.backends.chip.learner import Learner, learner_of
from snncc.backends.chip.load import Loaded, load
from snncc.backends.chip.records import DELIVERY, MOVE, Log, Numbers, State, Work
from snncc.backends.chip.state import at_rest, numbers
from snncc.backends.chip.tape import Tape
from snncc.chip import Chip, Timing
from snncc.exits import decided
from snncc.integers import Network, Population, Source
from snncc.layers import size
from snncc.mapping import tile_of
from snncc.runner import State as Neurons
from snncc.runner import Trace
from snncc.semantics import rest
from snncc.semantics import step as neurons_step

_NEVER = np.iinfo(np.int64).max
_AT_ONCE = 1 << 18  # sums and neurons of the samples that are run at once


class Events(NamedTuple):
    """What travelled in a step: records DELIVERY and MOVE, in cycles of the step; samples are counted from `first`.

    These cycles begin after those of `learning`.
    """

    step: int
    first: int
    deliveries: Array
    moves: Array
    learning: int = 0


Observer = Callable[[Events], None]


@dataclass(frozen=True, eq=False)
class Machine:
    """A program on its chip. It is at rest at the start of every run, but its counters go on.

    `order` are the populations, by number of the sender, as the host has to compute them. `updates` (senders,) counts
    how often all neurons of a population were updated, `steps` (1,) and `cycles` (1,) those of all samples.
    """

    image: Image
    loaded: Loaded
    timing: Timing
    numbers: Numbers
    state: State
    learner: Learner
    order: tuple[int, ...]
    updates: Ints
    cycles: Ints
    steps: Ints

    @property
    def last_start(self) -> int:
        """How many steps a sample takes beyond its own."""
        return max((each.op.start for each in self.image.senders if isinstance(each.op, Population)), default=0)

    @property
    def barrier(self) -> int:
        """The cycles that end each step."""
        tiles = len({tile_of(core, self.image.mesh) for core in self.loaded.units.tolist() if core >= 0})
        return max((row for row in self.timing.barrier if row[0] <= tiles), default=(0, 0))[1]


def machine(image: Image, network: Network, chip: Chip) -> Machine:
    """A machine that is loaded with a program which `check` has passed. Raises CompileError (`damaged-artefact`)."""
    timing = chip.timing
    assert timing is not None, "a chip without cores"
    loaded = load(image, timing)
    counters = (np.zeros(len(image.senders), np.int64), np.zeros(1, np.int64), np.zeros(1, np.int64))
    fixed = numbers(image.mesh, timing)
    state, learner = at_rest(loaded, image.mesh, timing), learner_of(image, loaded, network, chip)
    return Machine(image, loaded, timing, fixed, state, learner, _order(image), *counters)


def _order(image: Image) -> tuple[int, ...]:
    """The populations, each after those that it reads within a step, as some do on the host."""
    sorter: TopologicalSorter[int] = TopologicalSorter()
    instant = {int(each) for each in image.blocks.group[image.blocks.delay == 0]}
    for number, sender in enumerate(image.senders):
        if isinstance(sender.op, Population):
            sorter.add(number)
    for number in sorted(instant):
        sorter.add(image.groups[number].target, image.groups[number].source)
    try:
        order = tuple(sorter.static_order())
    except CycleError as error:
        raise damaged("has populations that feed each other within a step") from error
    return tuple(each for each in order if isinstance(image.senders[each].op, Population))


def run(chip: Machine, batch: Batch, record: bool, observer: Observer | None = None) -> Trace:
    """Every sample from rest to its end; `record` keeps all spikes and membranes."""
    return _run(chip, batch, record, observer)[0]


def run_until_decided(chip: Machine, batch: Batch) -> tuple[Trace, Ints]:
    """Every sample from rest until no step to come can change its class, and the steps (samples,) that it took."""
    return _run(chip, batch, False, None, early=True)


def _run(
    chip: Machine, batch: Batch, record: bool, observer: Observer | None, *, early: bool = False
) -> tuple[Trace, Ints]:
    samples, steps, _ = batch.x.shape
    tape = Tape(chip.image, batch.lengths, steps, record)
    chip.learner.begin(batch.learnt, frozen=batch.frozen, room=(samples, steps) if batch.traces else None)
    at_once = (
        1 if chip.learner.learns else max(1, _AT_ONCE // max(1, chip.loaded.width + len(chip.loaded.tables.start)))
    )
    taken = batch.lengths.copy()
    for first in range(0, samples, at_once):
        rows = slice(first, min(first + at_once, samples))
        block = _Block(chip, batch.x[rows], batch.lengths[rows], rows, tape, observer, batch.reward)
        for step in range(steps + chip.last_start):
            block.step(step)
            if early and block.decided(step):
                break
        taken[rows] = np.minimum(taken[rows], block.ended)
        if chip.learner.learns:
            chip.learner.finish(int(batch.lengths[first]), block.neurons)
    trace = tape.trace()
    if chip.learner.taught:
        trace = replace(trace, learnt=chip.learner.known, traces=chip.learner.kept or {})
    return trace, taken


@dataclass(eq=False)
class _Block:
    """Some samples on their way through the steps; private to `run`. `sums` (samples, width) are the delay lines.

    `values` are what each sender sends in a step, (samples, size), and `read` what it sent in the step before.
    """

    chip: Machine
    x: Array
    lengths: Ints
    rows: slice
    tape: Tape
    observer: Observer | None
    reward: Array | None
    sums: Array = field(init=False)
    sent: Array = field(init=False)
    neurons: dict[int, Neurons] = field(init=False)
    read: list[Array] = field(init=False)
    values: list[Array] = field(init=False)
    ended: Ints = field(init=False)  # the model's steps after which samples were decided
    counts: Ints = field(init=False)

    def __post_init__(self) -> None:
        loaded, samples = self.chip.loaded, len(self.lengths)
        self.sums = np.zeros((samples, loaded.width), self.chip.image.sums)
        self.sent = np.zeros((samples, len(loaded.tables.start) - 1), np.int32)
        senders = self.chip.image.senders
        self.neurons = {number: _rest(senders[number].op, samples) for number in self.chip.order}
        self.chip.learner.start(self.neurons)
        self.read = self.values = [np.zeros((samples, math.prod(each.op.shape)), np.int64) for each in senders]
        self.ended = np.full(samples, _NEVER)
        self.counts = np.zeros((samples, size(senders[self.chip.image.readouts[0].reads].op.shape)), np.int64)

    def step(self, now: int) -> None:
        """One step of the chip."""
        chip = self.chip
        self.read, self.values = self.values, list(self.values)
        window = np.zeros((len(self.lengths), 1 + len(chip.image.senders)), np.bool_)
        going = self.ended == _NEVER
        window[:, 0] = (now < self.lengths + chip.last_start) & going
        lines = np.array([each.at(now) for each in chip.loaded.lines], np.int64)
        for number, sender in enumerate(chip.image.senders):
            model_step = now - sender.op.start if isinstance(sender.op, Population) else now
            window[:, 1 + number] = (model_step >= 0) & (model_step < self.lengths) & going
            if isinstance(sender.op, Source):
                live = window[:, 1 + number, None]
                self._send(
                    number, self.x[:, now] * live if now < self.x.shape[1] else np.zeros_like(self.x[:, 0]), lines
                )
        for number in chip.order:
            self._send(number, self._population(number, now, window[:, 1 + number]), lines)
        self._travel(now, window, lines, self._learning(now))
        chip.updates[:] += window[:, 1:].sum(axis=0)

    def _learning(self, now: int) -> int:
        """Learn from what the neurons have just done; returns the cycles that this takes."""
        if not self.chip.learner.learns:
            return 0
        length, model_steps = int(self.lengths[0]), self.x.shape[1]
        reward = [0] * model_steps if self.reward is None else self.reward[self.rows.start].tolist()
        read, sent = ([each[0] for each in values] for values in (self.read, self.values))
        return self.chip.learner.step(now, length, read, sent, self.neurons, reward)

    def decided(self, now: int) -> bool:
        """End the samples whose class no step to come can change, and say whether all have ended.

        The host does that when the chip has done a step: what is still on its way is left where it is.
        """
        readout = self.chip.image.readouts[0]
        op = self.chip.image.senders[readout.reads].op
        assert isinstance(op, Population)
        done = np.clip(now + 1 - readout.op.latency, 0, self.lengths)
        self.counts += self.values[readout.reads]
        over = decided(self.counts, self.lengths - done, op) & (self.ended == _NEVER) & (done > 0)
        self.ended[over] = np.maximum(done, 1)[over]
        return bool((self.ended < _NEVER).all())

    def _population(self, number: int, now: int, active: Array) -> Array:
        """What a population sends, (samples, size): only samples whose window is open update and fire."""
        op, plane = self.chip.image.senders[number].op, self.chip.loaded.planes[number]
        assert isinstance(op, Population)
        op = self.chip.learner.stilled(op)
        state = self.neurons[number]
        acc = np.zeros((len(active), op.size), np.int64)
        if plane is not None:
            arrived = self.sums[:, plane.at(now) : plane.at(now) + plane.size]
            acc[:] = arrived[:, self.chip.loaded.lanes[number]]
            arrived[:] = 0
        after, spikes, before = neurons_step(op, state, acc.reshape(state["v"].shape))
        if not active.all():
            opened = active.reshape(-1, *[1] * len(op.shape))
            after = {key: np.where(opened, after[key], state[key]) for key in after}
            spikes, before = np.where(opened, spikes, 0), np.where(opened, before, state["v"])
        self.neurons[number] = after
        self.tape.keep(self.rows, number, now - op.start, now, spikes, before, after["v"])
        return spikes.reshape(len(active), -1)

    def _send(self, number: int, values: Array, lines: Ints) -> None:
        """Hand values (samples, size) to the unit that sends them, and to the host's own populations."""
        chip = self.chip
        self.values[number] = values
        self.sent[:, chip.loaded.positions[number]] = values
        inner = chip.image.senders[number].inner
        if inner is not None and (inner >= 0).any():
            axons = np.where(inner >= 0, inner + chip.image.axons[-2], -1)
            kernel.feed(chip.loaded.tables, axons, np.ascontiguousarray(values, np.int32), lines, self.sums)

    def _travel(self, now: int, window: Array, lines: Ints, learning: int) -> None:
        """What was sent reaches the sums of later steps, after so many cycles of `learning`."""
        chip = self.chip
        cycles = np.zeros(len(self.lengths), np.int64)
        log = _log(chip, self.sent, on=self.observer is not None)
        work = Work(self.sent, window, lines, self.sums, cycles)
        kernel.step(chip.loaded.tables, chip.state, log, chip.numbers, work)
        cycles += np.where(window[:, 0], chip.barrier + learning, 0)
        self.tape.cycles[self.rows, now] = cycles
        chip.cycles[0] += cycles.sum()
        chip.steps[0] += window[:, 0].sum()
        if self.observer is not None:
            deliveries, moves = log.deliveries[: log.lengths[0]], log.moves[: log.lengths[1]]
            self.observer(Events(now, self.rows.start, deliveries, moves, learning))


def _rest(op: Source | Population, samples: int) -> Neurons:
    assert isinstance(op, Population)
    return rest(op, samples)


def _log(chip: Machine, sent: Array, *, on: bool) -> Log:
    """Room for all that can happen in a step, or none."""
    if not on:
        return Log(0, np.zeros(0, DELIVERY), np.zeros(0, MOVE), np.zeros(2, np.int64), np.zeros(0, np.int64))
    routes = len(chip.loaded.tables.routes)
    packets = int(((sent != 0) @ np.diff(chip.loaded.tables.start)).sum())
    moves = packets * (chip.image.mesh.columns + chip.image.mesh.rows)
    return Log(1, np.zeros(packets, DELIVERY), np.zeros(moves, MOVE), np.zeros(2, np.int64), np.zeros(routes, np.int64))
