"""Draws runs of tinyODIN: memories, registers, events and delays, with the corners of SPEC.md more often than not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from snncc.arrays import Array
from snncc.backends.tinyodin.config import Config, Events, Neurons, Registers, World
from snncc.backends.tinyodin.machine import run


@dataclass(frozen=True)
class Run:
    """The arguments of one run; all events are checkpoints."""

    config: Config
    events: Events
    world: World
    stop: int | None


def _weights(random: np.random.Generator, kind: str) -> Array:
    if kind == "none":
        return np.zeros((256, 256), np.int8)
    weights = random.integers(-8, 8, (256, 256), np.int8)
    if kind == "exciting":
        return np.abs(weights) % 8
    return np.where(random.random((256, 256)) < 0.1, weights, 0) if kind == "sparse" else weights


def _thresholds(random: np.random.Generator, kind: str) -> Array:
    corners = random.choice([0, 1, 5, 2047, 2048, 4095], 256)
    low = random.integers(0, 12, 256)
    return {"corners": corners, "low": low, "both": np.where(random.random(256) < 0.2, corners, low)}[kind]


def _membranes(random: np.random.Generator, kind: str) -> Array:
    if kind == "zero":
        return np.zeros(256, np.int64)
    corners = random.choice([-2048, -2047, -1, 0, 1, 2046, 2047], 256)
    return corners if kind == "corners" else random.integers(-30, 30, 256)


def _words(random: np.random.Generator, kind: str, count: int, last: int) -> Array:
    """Events; their addresses exceed M now and then."""
    near = random.integers(0, min(last + 3, 256), count)
    virtual = 1 << 9 | random.integers(0, 256, count)
    leak = 1 << 8 | np.where(random.random(count) < 0.5, 255, near)
    choices = {
        "neuron": [near],
        "virtual": [virtual],
        "leak": [leak],
        "mixed": [near, virtual, leak],
        "raw": [random.integers(0, 1024, count)],
    }[kind]
    return np.choose(random.integers(0, len(choices), count), choices)


def _not_before(random: np.random.Generator, kind: str, count: int) -> Array:
    if kind == "none":
        return np.zeros(0, np.int64)
    # The list need not ascend: an event then comes as soon as the one before is done.
    return random.integers(0, 1500, count) if kind == "any" else np.cumsum(random.integers(0, 120, count))


@st.composite
def runs(draw: st.DrawFn, longest: int = 3000) -> Run:
    """A run that ends within about `longest` cycles, if the chip can end there."""
    random = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    last = draw(st.one_of(st.integers(0, 20), st.sampled_from([0, 14, 15, 16, 40, 254, 255])))
    open_loop = draw(st.booleans())
    count = draw(st.integers(0, 30))
    neurons = Neurons(
        threshold=_thresholds(random, draw(st.sampled_from(["corners", "low", "both"]))),
        leak=random.integers(0, draw(st.sampled_from([1, 3, 128])), 256),
        disabled=random.random(256) < draw(st.sampled_from([0, 0.3, 1])),
        membrane=_membranes(random, draw(st.sampled_from(["zero", "corners", "any"]))),
    )
    return Run(
        Config(
            Registers(last, open_loop, draw(st.booleans())),
            neurons,
            _weights(random, draw(st.sampled_from(["none", "exciting", "sparse", "any"]))),
        ),
        Events(
            _words(random, draw(st.sampled_from(["neuron", "virtual", "leak", "mixed", "raw"])), count, last),
            _not_before(random, draw(st.sampled_from(["none", "any", "ascending"])), count),
        ),
        World(draw(st.integers(1, 8)), draw(st.integers(1, 8)), draw(st.integers(1, 12))),
        stop=None if open_loop and last < 5 and draw(st.booleans()) else draw(st.integers(0, longest)),
    )


def floods(seed: int) -> Run:
    """Time-reference events make all neurons fire and fill the queue, with words of both kinds waiting and coming."""
    random = np.random.default_rng(seed)
    last = int(random.integers(100, 256))
    kinds = ("neuron", "virtual", "mixed", "leak")
    before = [_words(random, kinds[each], 12, last) for each in random.integers(0, 3, 2)]
    words = np.concatenate([*before, [511], _words(random, kinds[random.integers(0, 4)], 4, last)])
    neurons = Neurons(
        threshold=random.choice([0, 1, 4095], 256, p=[0.6, 0.3, 0.1]),
        leak=np.zeros(256, np.int64),
        disabled=random.random(256) < 0.1,
        membrane=random.integers(0, 3, 256),
    )
    return Run(
        Config(Registers(last, False, bool(random.integers(0, 2))), neurons, _weights(random, "exciting")),
        Events(words),
        World(*random.integers(1, 4, 3).tolist()),
        stop=int(random.integers(4000, 9000)),
    )


def races(seed: int) -> Run:
    """Requests in the very cycles, or close to them, in which something else happens: found out by a run without them.

    Delays may be longer than a sweep, neurons few, and the run may be cut in such a cycle too.
    """
    random = np.random.default_rng(seed)
    last = int(random.choice([0, 1, 2, 5, 14, 15, 16]))
    kinds = ("neuron", "virtual", "leak", "mixed", "raw")
    words = _words(random, kinds[random.integers(0, 5)], 12, last)
    neurons = Neurons(
        threshold=_thresholds(random, ("low", "both")[random.integers(0, 2)]),
        leak=random.integers(0, 3, 256),
        disabled=random.random(256) < 0.2,
        membrane=random.integers(-4, 5, 256),
    )
    registers = Registers(last, bool(random.integers(0, 2)), bool(random.integers(0, 2)))
    config = Config(registers, neurons, _weights(random, ("exciting", "any", "sparse")[random.integers(0, 3)]))
    world = World(*random.integers(1, random.choice([2, 5, 60]), 3).tolist())
    first = run(config, Events(words), world, stop_cycle=2000)
    busy = first.out_cycle + 2 * world.delay + 6
    marks = np.concatenate([first.acks, first.ack_falls, first.out_cycle, busy, first.idles, first.word_cycle, [0]])
    drawn = np.maximum(random.choice(marks, 13) + random.integers(-5, 5, 13), 0)
    return Run(config, Events(words, np.sort(drawn[:12])), world, stop=int(drawn[12]) + int(random.choice([0, 1500])))
