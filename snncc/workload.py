"""Counts what a network that learns computes, from its spikes: single operations, by kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np

from snncc.arrays import Array, Ints
from snncc.backends.base import Batch
from snncc.integers import Network, Plasticity, Population, Source, Synapse, source_of
from snncc.plasticity import stirrers, trace_values


@dataclass(frozen=True)
class Work:
    """What a target did, counted from its spikes: per kind, in single operations."""

    synaptic_events: int = 0
    neuron_steps: int = 0
    weight_changes: int = 0
    trace_steps: int = 0
    samples: int = 0

    def __add__(self, other: Work) -> Work:
        mine, theirs = asdict(self), asdict(other)
        return Work(**{key: mine[key] + theirs[key] for key in mine})

    @property
    def total(self) -> int:
        return self.synaptic_events + self.neuron_steps + self.weight_changes + self.trace_steps


def work_of(network: Network, batch: Batch, spikes: Mapping[str, Array]) -> Work:
    """What running a batch takes, counted from its spikes; learning too, unless the batch is frozen."""
    live = np.arange(batch.x.shape[1]) < batch.lengths[:, None]
    read = batch.x.reshape(*batch.x.shape[:2], -1) * live[:, :, None]  # nothing is read after a sample's end
    sent: dict[str, Array] = {next(iter(network.of_kind(Source))): read, **spikes}
    steps, samples = int(batch.lengths.sum()), len(batch.x)
    events = changes = traces = 0
    for name, op in network.of_kind(Synapse).items():
        source = np.count_nonzero(sent[source_of(network, name)[0]], axis=(0, 1))
        fanout = np.count_nonzero(op.map.weight, axis=0) if op.plasticity is None else op.map.out_size
        events += int((source * fanout).sum())
        if op.plasticity and not batch.frozen:
            x, s = (sent[each] for each in (source_of(network, name)[0], network.outgoing(name)[0].target))
            both = x.reshape(samples, -1, op.map.in_size), s.reshape(samples, -1, op.map.out_size)
            changes += changes_of(op.plasticity, *both, batch.lengths)
            traces += traces_of(op.plasticity, *both, batch.lengths)
    neurons = steps * sum(op.size for op in network.of_kind(Population).values())
    return Work(events, neurons, changes, traces, samples)


def changes_of(rule: Plasticity, x: Array, s: Array, lengths: Array) -> int:
    """How many weights are computed anew: at events, periodically, and when they are normalised.

    `x` (samples, steps, in_size) and `s` (samples, steps, out_size) are what both sides sent. Targets and sources that
    a due step passes over, as nothing can change there, do not count.
    """
    triggers = {term.when for term in rule.terms}
    pre = np.count_nonzero(x, axis=2) * ("pre" in triggers)
    post = np.count_nonzero(s, axis=2) * ("post" in triggers)
    found = int((pre * s.shape[2] + post * x.shape[2] - pre * post).sum())  # what both trigger changes once
    if "period" in triggers:
        found += int((stirred(rule, "pre", x, lengths) * stirred(rule, "post", s, lengths)).sum())
    return int(found) + x.shape[2] * _rows_normalised(rule, s, lengths)


def _rows_normalised(rule: Plasticity, s: Array, lengths: Array) -> int:
    """How often the weights into a target are normalised, over all targets and samples."""
    whole = rule.normalisation
    if whole is None:
        return 0
    samples, steps, size = s.shape
    often = whole.every or max(1, steps)
    times = lengths // often if whole.every else np.ones(samples, np.int64)
    if not whole.spiking:
        return int(times.sum()) * size
    ends = range(0, steps, often)
    spiked = [np.count_nonzero(s[:, begin : begin + often].any(axis=1), axis=1) for begin in ends]
    return sum(int((count * (number < times)).sum()) for number, count in enumerate(spiked))


def stirred(rule: Plasticity, side: Literal["pre", "post"], spikes: Array, lengths: Array) -> Ints:
    """The neurons of a side whose synapses are computed anew, in each due step: (samples, steps // period)."""
    samples, steps, size = spikes.shape
    due = np.arange(rule.period - 1, steps, rule.period)
    within = due < lengths[:, None]
    numbers = stirrers(rule, side)
    if numbers is None:
        return within * size
    found = np.zeros((samples, steps, size), bool)
    for trace in (getattr(rule, side)[number] for number in numbers):
        found |= trace_values(trace, spikes, rule.period) > 0
    if any(term.when == side for term in rule.terms):
        found |= spikes > 0
    return np.count_nonzero(found[:, due], axis=2) * within


def traces_of(rule: Plasticity, x: Array, s: Array, lengths: Array) -> int:
    """How many traces are computed anew: all in each step, those that do not decay where there is a spike."""
    found = 0
    for traces, spikes in ((rule.pre, x), (rule.post, s)):
        for trace in traces:
            decays = bool(trace.decay.amount.any())
            found += int(lengths.sum()) * spikes.shape[2] if decays else np.count_nonzero(spikes)
    return int(found)
