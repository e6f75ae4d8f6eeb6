"""A legal network that takes fewer steps than it was trained with: its neurons adapted, its delays shortened."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from snncc.arrays import Array
from snncc.graph import Edge, Graph
from snncc.layers import Adapt, Current, HardReset, Layer, Neuron, SoftReset
from snncc.pace import Adapted, FewerSteps

_PARTS = float(1 << 40)  # of 1, to which powers are rounded: libraries differ in the last bit


def with_fewer_steps(graph: Graph[Layer], fewer: FewerSteps) -> Graph[Layer]:
    """The network as it is run in fewer steps; populations that are not named stay as they are."""
    by_name = {each.name: each for each in fewer.neurons}
    ops: dict[str, Layer] = {
        name: adapted(op, by_name[name]) if isinstance(op, Neuron) and name in by_name else op
        for name, op in graph.ops.items()
    }
    return Graph(ops, [_shortened(edge, fewer.speed) for edge in graph.edges])


def _shortened(edge: Edge, speed: float) -> Edge:
    """A delay stays one: a step is the least that a spike can take around a cycle."""
    return replace(edge, delay=max(1, round(edge.delay / speed))) if edge.delay > 1 else edge


def adapted(neuron: Neuron, how: Adapted) -> Neuron:
    """The neuron with its state in other units, and decays that act for several steps at once."""
    changed = _faster(neuron, how.forgets)
    if changed.threshold is None:
        return changed

    def scaled(value: Array) -> Array:
        return value / how.gain

    current, adapt, reset = changed.current, changed.adapt, changed.reset
    if isinstance(reset, SoftReset):
        reset = replace(reset, amount=scaled(reset.amount))
    elif isinstance(reset, HardReset):
        reset = replace(reset, value=scaled(reset.value))
    return replace(
        changed,
        threshold=scaled(changed.threshold),
        reset=reset,
        initial=scaled(changed.initial),
        minimum=None if changed.minimum is None else scaled(changed.minimum),
        current=current and replace(current, initial=scaled(current.initial)),
        adapt=adapt and replace(adapt, jump=scaled(adapt.jump), initial=scaled(adapt.initial)),
    )


def _faster(neuron: Neuron, forgets: float) -> Neuron:
    def power(decay: Array) -> Array:
        """Decays below 0 alternate, and have no power but a whole one: they stay."""
        return np.where(decay > 0, np.rint(np.abs(decay) ** forgets * _PARTS) / _PARTS, decay)

    current: Current | None = neuron.current
    adapt: Adapt | None = neuron.adapt
    return (
        neuron
        if forgets == 1.0
        else replace(
            neuron,
            decay=power(neuron.decay),
            current=current and replace(current, decay=power(current.decay)),
            adapt=adapt and replace(adapt, decay=power(adapt.decay)),
            refractory=int(neuron.refractory / forgets),
        )
    )
