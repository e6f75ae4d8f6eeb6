"""Moves the constants that a population reads into its own bias and initial state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from snncc.arrays import Array
from snncc.diagnostics import Diagnostic
from snncc.layers import Neuron
from snncc.passes.paths import Bias, smallest_bias

LEAST_DECAY = 0.25  # a state divided by a smaller decay would need a far wider register


def biased(name: str, neuron: Neuron, biases: Sequence[Bias]) -> tuple[Neuron, tuple[Diagnostic, ...]]:
    """The neuron with the constants that it reads as its own, and those that it cannot take."""
    faults: list[Diagnostic] = []
    for bias in biases:
        if bias.onset > 1:
            faults.append(_delayed(name, bias))
        elif neuron.current is not None and np.any((neuron.current.decay == 1) & (bias.value != 0)):
            faults.append(_without_fixed_point(name, bias))
        elif bias.onset == 1 and _state_decay(neuron).min() < LEAST_DECAY:
            faults.append(_delayed(name, bias))
        else:
            neuron = _with_bias(neuron, bias)
    return neuron, tuple(faults)


def _state_decay(neuron: Neuron) -> Array:
    """The decay of the state that the input is added to."""
    return neuron.current.decay if neuron.current else neuron.decay


def _with_bias(neuron: Neuron, bias: Bias) -> Neuron:
    """A constant c of the membrane that acts from step 1 on is one from step 0 on with v at -c / decay before it.

    A constant input b of a current makes it approach c = b / (1 - decay). Counted from there, as i - c, it has no
    constant input, and the membrane has the bias c.
    """
    decay = _state_decay(neuron)
    if neuron.current is None:
        level = bias.value
    else:
        level = np.where(bias.value == 0, 0.0, bias.value / np.where(decay == 1, 1.0, 1 - decay))
    result = replace(neuron, bias=_sum(neuron.bias, level, neuron))
    if neuron.current is not None:
        start = _sum(neuron.current.initial, -level / (decay if bias.onset else 1.0), neuron)
        return replace(result, current=replace(neuron.current, initial=start))
    if bias.onset:
        return replace(result, initial=_sum(neuron.initial, -level / decay, neuron))
    return result


def _sum(one: Array, other: Array, neuron: Neuron) -> Array:
    return smallest_bias(one.astype(np.float64) + other, neuron.shape)


def _delayed(name: str, bias: Bias) -> Diagnostic:
    return Diagnostic(
        "delayed-bias",
        bias.origin,
        f"its bias crosses {bias.onset} steps of delay on its way to {name}, whose bias can only act at once",
        f"put the delay in front of {bias.origin} instead of behind it",
    )


def _without_fixed_point(name: str, bias: Bias) -> Diagnostic:
    return Diagnostic(
        "bias-into-perfect-current",
        bias.origin,
        f"its bias adds up without end in the synaptic current of {name}, whose decay is 1",
        f"train {bias.origin} without a bias, or give the current a decay below 1",
    )
