"""Input vectors for the self-test on a board, and the spikes that the reference gives for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from snncc.arrays import Array
from snncc.backends.c.plan import Plan
from snncc.backends.c.tables import table
from snncc.integers import Source
from snncc.semantics import run

SAMPLES, STEPS = 3, 4


def vectors(plan: Plan) -> Mapping[str, Any]:
    """The words of the self-test's template: inputs, and by sample, step and population the spikes and their hash."""
    source = plan.network[plan.source_name]
    assert isinstance(source, Source)
    frames = _frames(source)
    x = np.repeat(frames[:, None], STEPS, axis=1)
    names = [step.name for step in plan.steps]
    trace = run(plan.network, x.reshape(SAMPLES, STEPS, *source.shape), record=names)
    sender = plan.senders[plan.source_name]
    return {
        "samples": SAMPLES,
        "steps": STEPS,
        "frames": [table("", sender.type, frame).lines() for frame in frames],
        "expected": [[list(_step(plan, trace.spikes, n, t)) for t in range(STEPS)] for n in range(SAMPLES)],
        "sent": [
            {"pointer": step.sender.at(0).replace("s->", "state."), "type": step.sender.type, "size": step.sender.size}
            for step in plan.steps
        ],
        "kinds_sent": list(dict.fromkeys(step.sender.type for step in plan.steps)),
    }


def _frames(source: Source) -> Array:
    """One frame at its highest, then some of a linear congruential generator, a third of their values active."""
    size = int(np.prod(source.shape))
    state, values = 12345, list[int]()
    span = source.highest - source.lowest + 1
    for _ in range((SAMPLES - 1) * size):
        state = (1103515245 * state + 12345) & 0x7FFFFFFF
        active = (state >> 8) % 3 == 0
        values.append(source.lowest + (state >> 12) % span if active and span > 2 else int(active))
    return np.array([source.highest] * size + values, np.int64).reshape(SAMPLES, size)


def _step(plan: Plan, spikes: Mapping[str, Array], sample: int, at: int) -> Iterator[tuple[int, int]]:
    """For each population the spikes that it sends in a step of the program, and their hash (FNV-1a)."""
    for step in plan.steps:
        own = at - step.op.start
        sent = np.zeros(step.op.size, np.int64) if own < 0 else spikes[step.name][sample, own]
        value = 2166136261
        for each in step.sender.layout.arrange(sent).tolist():
            value = ((value ^ each) * 16777619) & 0xFFFFFFFF
        yield int(sent.sum()), value
