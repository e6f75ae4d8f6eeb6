"""Where a run's instructions (or cycles) went: by synapse and by population, with what each handled, and its bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from snncc.analysis.metrics import Profile, Took
from snncc.arrays import Array, Ints
from snncc.backends.base import Job, Result
from snncc.backends.c.mcu.artefact import device_of
from snncc.backends.c.mcu.counting import NEURONS, SLOTS
from snncc.backends.c.mcu.emit import plan_for
from snncc.backends.c.mcu.emulate import worst_step
from snncc.backends.c.plan import Link, Step
from snncc.integers import Network, Synapse, source_of
from snncc.linear import Lateral, LinearMap, to_sparse


def profile(job: Job, results: Sequence[Result], sent: Mapping[str, Array], folder: Path, samples: int) -> Profile:
    """One row for each synapse and each population; `sent` is what source and populations sent, by name.

    Events and counts are means a sample. A population's own row holds what its synapses' rows do not: clearing sums,
    and the neurons. Where only populations are counted, as by a timer, their rows hold their synapses' share too.
    """
    plan, device = plan_for(job.network, job.proof, job.chip), device_of(job.chip)
    most = max(len(each.counts["at"]) for each in results)
    flat = sum((np.pad(each.counts["at"], (0, most - len(each.counts["at"]))) for each in results), np.zeros(most, int))
    at: Ints = flat.reshape(-1, SLOTS)
    steps = sum(each.figures["steps"] for each in results)
    rows: list[Took] = []
    for place, step in enumerate(plan.steps, 1):
        own = at[place] if place < len(at) else np.zeros(SLOTS, np.int64)
        by_synapse = device.emulator.counts == "instructions"
        for slot, link in enumerate(step.links, 1):
            counted = float(own[slot]) / samples if by_synapse else None
            rows.append(_synapse(job.network, link, sent, counted, samples, device.dense_mac.value))
        rest = float(own.sum() - own[1 : 1 + len(step.links)].sum() if by_synapse else own.sum())
        rows.append(_population(step, rest / samples, steps / samples, float(own[NEURONS]) / samples))
    worst = worst_step(folder, job.network, job.proof, job.chip)
    return Profile(device.emulator.counts, tuple(rows), worst)


def _synapse(
    network: Network, link: Link, sent: Mapping[str, Array], counted: float | None, samples: int, dense: float
) -> Took:
    op = network[link.name]
    assert isinstance(op, Synapse)
    source, delay = source_of(network, link.name)
    values = sent[source][:, : sent[source].shape[1] - delay] if delay else sent[source]
    active = np.count_nonzero(values, axis=(0, 1))
    synaptic = float((active * fan_out(op.map)).sum()) / samples
    bytes_ = sum(each.bytes for each in link.compiled.tables.values())
    each = None if counted is None or not synaptic else counted / synaptic
    break_even = None if each is None else min(1.0, dense / each)
    events = float(active.sum()) / samples
    return Took(link.name, link.compiled.kernel.name, events, synaptic, counted, each, bytes_, break_even)


def _population(step: Step, counted: float, steps: float, neurons: float) -> Took:
    size = step.op.size
    bytes_ = sum(each.type.bytes * each.length for each in step.neurons.fields)
    bytes_ += step.sender.type.bytes * step.sender.depth * step.sender.size
    own = neurons or counted
    return Took(step.name, step.neurons.kind.title, steps * size, None, counted, own / (steps * size), bytes_, None)


def fan_out(linear: LinearMap) -> Ints:
    """The synapses of each source, (in_size,)."""
    if isinstance(linear, Lateral):
        return np.full(linear.size, linear.size - 1)
    sparse = to_sparse(linear)
    return np.diff(sparse.indptr)
