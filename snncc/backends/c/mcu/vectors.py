"""Input vectors for the self-test on a board, and the spikes that the reference gives for them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from snncc.arrays import Array, Ints
from snncc.backends.c.learnt import learnt_bytes
from snncc.backends.c.plan import Plan
from snncc.backends.c.tables import table
from snncc.integers import Source
from snncc.semantics import run

SAMPLES, STEPS = 3, 4
_ROOM = 8192  # bytes of frames up to which a second sample is taken


def vectors(plan: Plan, real: Ints | None = None) -> Mapping[str, Any]:
    """The words of the self-test's template: inputs, and by sample, step and population the spikes and their hash.

    Sample 0 has all inputs at their highest; the others are `real` ones (samples, frames, size), or made up.
    """
    source = plan.network[plan.source_name]
    assert isinstance(source, Source)
    sender = plan.senders[plan.source_name]
    frames, shown = _frames(source, real, sender.type.bytes)
    x = frames[shown].reshape(*shown.shape, *source.shape)
    names = [step.name for step in plan.steps]
    trace = run(plan.network, x, record=names)
    samples, steps = shown.shape
    saved = learnt_bytes(plan.network, trace.learnt) if trace.learnt else b""
    return {
        "learnt_hash": _hash(saved),
        "samples": samples,
        "steps": steps,
        "real": real is not None,
        "frames": [table("", sender.type, frame).lines() for frame in frames],
        "shown": shown.tolist(),
        "expected": [[list(_step(plan, trace.spikes, n, t)) for t in range(steps)] for n in range(samples)],
        "sent": [
            {"pointer": step.sender.at(0).replace("s->", "state."), "type": step.sender.type, "size": step.sender.size}
            for step in plan.steps
        ],
        "kinds_sent": list(dict.fromkeys(step.sender.type for step in plan.steps)),
    }


def _frames(source: Source, real: Ints | None, bytes_: int) -> tuple[Ints, Ints]:
    """Every frame once, (frames, size), and which is shown when, (samples, steps)."""
    size = int(np.prod(source.shape))
    highest = np.full((1, size), source.highest, np.int64)
    if real is None or real.shape[1] == 0:
        return np.concatenate([highest, _made_up(source, size)]), np.repeat(np.arange(SAMPLES)[:, None], STEPS, axis=1)
    chosen = real[: SAMPLES - 1] if real.size * bytes_ <= _ROOM else real[:1]
    count, different, _ = chosen.shape
    steps = STEPS if different == 1 else different
    own = 1 + np.arange(count * different).reshape(count, different)
    shown = np.concatenate([np.zeros((1, steps), np.int64), np.repeat(own, steps // different, axis=1)])
    return np.concatenate([highest, chosen.reshape(-1, size)]), shown


def _made_up(source: Source, size: int) -> Ints:
    """Frames of a linear congruential generator, a third of their values active."""
    state, values = 12345, list[int]()
    span = source.highest - source.lowest + 1
    for _ in range((SAMPLES - 1) * size):
        state = (1103515245 * state + 12345) & 0x7FFFFFFF
        active = (state >> 8) % 3 == 0
        values.append(source.lowest + (state >> 12) % span if active and span > 2 else int(active))
    return np.array(values, np.int64).reshape(SAMPLES - 1, size)


def _step(plan: Plan, spikes: Mapping[str, Array], sample: int, at: int) -> Iterator[tuple[int, int]]:
    """For each population the spikes that it sends in a step of the program, and their hash (FNV-1a)."""
    for step in plan.steps:
        own = at - step.op.start
        sent = np.zeros(step.op.size, np.int64) if own < 0 else spikes[step.name][sample, own]
        yield int(sent.sum()), _hash(step.sender.layout.arrange(sent).tolist())


def _hash(values: Iterable[int]) -> int:
    value = 2166136261
    for each in values:
        value = ((value ^ each) * 16777619) & 0xFFFFFFFF
    return value
