"""The tables about an event-driven network, in the form of those about an integer network."""

from __future__ import annotations

import numpy as np

from snncc.analysis.reports import PopulationRow, Report, SynapseRow, stored, width
from snncc.arrays import Array, Ints
from snncc.events.cascade import MOST_EVENTS, cascades
from snncc.events.ops import Crossbar, EventNetwork, EventPopulation, crossbar
from snncc.integers import Source, Synapse

_ENDLESS = 1 << 62


def event_report(network: EventNetwork) -> Report:
    """A sum is a single weight here, as each event is added to the membranes at once."""
    matrix = crossbar(network)
    safe = _safe_steps(matrix)
    populations = tuple(
        _population_row(name, op, matrix.weights[:, matrix.parts[name]], int(safe[matrix.parts[name]].min()))
        for name, op in network.populations.items()
    )
    synapses = tuple(_synapse_row(network, name, op) for name, op in network.of_kind(Synapse).items())
    return Report(
        Source(network.source.shape),
        populations,
        synapses,
        matrix.neurons,
        sum(row.synapses for row in synapses),
        sum(row.bytes for row in synapses),
        sum(row.state_bytes for row in populations),
    )


def _safe_steps(matrix: Crossbar) -> Ints:
    """(neurons,): for how many steps no input takes a membrane to the lower end of its register, where it saturates.

    The upper end is never reached: a membrane is below its threshold, or reset.
    """
    negative = np.maximum(-matrix.weights, 0)
    bounds = cascades(matrix)
    spikes = bounds.spikes.sum(axis=0)
    worst = negative[matrix.neurons :].sum(axis=0) + spikes @ negative[: matrix.neurons]
    steps = (matrix.initial.clip(max=0) - matrix.lowest) // np.maximum(worst, 1)
    return np.where(worst == 0, _ENDLESS, steps if bounds.most <= MOST_EVENTS else 0)


def _population_row(name: str, op: EventPopulation, weights: Array, safe: int) -> PopulationRow:
    bits = (width((op.register.lo, op.register.hi)),)
    leak = f"leak {_range(op.leak)}" if op.leak.any() else "no leak"
    return PopulationRow(
        name,
        op.shape,
        op.size,
        f"event by event, {leak}, reset to 0",
        _range(op.threshold),
        width((int(weights.min(initial=0)), int(weights.max(initial=0)))),
        bits,
        op.size * stored(bits),
        "safe" if safe >= _ENDLESS else f"safe for {safe:,} steps" if safe else "may saturate",
    )


def _synapse_row(network: EventNetwork, name: str, op: Synapse) -> SynapseRow:
    (read,), (fed,) = network.incoming(name), network.outgoing(name)
    weight = op.map.weight
    bits = width((int(weight.min(initial=0)), int(weight.max(initial=0))))
    form = f"crossbar {op.map.in_size}→{op.map.out_size}"
    count = op.map.in_size * op.map.out_size
    return SynapseRow(name, read.source, fed.target, form, count, count, bits, 0, (count + 1) // 2)


def _range(values: Array) -> str:
    low, high = int(values.min()), int(values.max())
    return f"{low:,}" if low == high else f"{low:,}..{high:,}"
