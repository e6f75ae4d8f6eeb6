"""Puts a network into the words that its chip has: which comparison, where registers end, what parameters can be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from snncc.arrays import Array, Ints
from snncc.chip import Chip, Parameters
from snncc.graph import Graph
from snncc.integers import Fire, IntOp, Membrane, Network, Population


def express(network: Network, chip: Chip, *, same_spikes: bool = False) -> Network:
    """The nearest network that the chip's neurons can be told; only the rounding of parameters is not exact.

    - A comparison that the chip lacks becomes the other one: for integers, v >= t is v > t - 1.
    - Registers get the chip's own ends, where these are not two's complement.
    - Thresholds and biases come from the chip's grid, where it has one. With `same_spikes` those thresholds stay that
      would be other ones there: neurons that are programmed, not the chip's own, take any.
    """
    ops: dict[str, IntOp] = {
        name: expressed(op, chip, same_spikes=same_spikes) if isinstance(op, Population) else op
        for name, op in network.ops.items()
    }
    if all(ops[name] is op for name, op in network.ops.items()):
        return network
    return Graph(ops, network.edges)


def expressed(op: Population, chip: Chip, *, same_spikes: bool = False) -> Population:
    """The nearest population that the chip's neurons can be told; again the same if it is one already."""
    fire = op.fire and _compared(op.fire, chip)
    membrane, current = op.membrane, op.current
    if chip.membrane.ends != "twos-complement":
        membrane = replace(membrane, register=chip.membrane.register)
    if current and chip.current.ends != "twos-complement":
        current = replace(current, register=chip.current.register)
    if chip.parameters:
        fire = fire and _on_grid(fire, replace(op, membrane=membrane, current=current), chip.parameters, same_spikes)
        mantissa, exponent = split(membrane.bias, chip.parameters)
        membrane = replace(membrane, bias=mantissa << exponent)
    same = fire is op.fire and membrane is op.membrane and current is op.current
    return op if same else replace(op, fire=fire, membrane=membrane, current=current)


def _compared(fire: Fire, chip: Chip) -> Fire:
    has = set(chip.capabilities)
    if fire.max_spikes > 1:
        return fire
    if fire.inclusive and "inclusive-threshold" not in has and "strict-threshold" in has:
        return replace(fire, threshold=fire.threshold - 1, inclusive=False)
    if not fire.inclusive and "strict-threshold" not in has and "inclusive-threshold" in has:
        return replace(fire, threshold=fire.threshold + 1, inclusive=True)
    return fire


def _on_grid(fire: Fire, op: Population, parameters: Parameters, same_spikes: bool) -> Fire:
    """The threshold on the grid: the same spikes where membranes are on a grid as coarse, else the nearest one."""
    step = 1 << parameters.threshold_shift
    strict = fire.threshold - fire.inclusive  # v >= t is v > t - 1
    down = strict // step
    exact = _multiples(op, parameters.threshold_shift)
    if same_spikes and not exact:
        return fire
    steps = down if exact else (strict + step // 2) // step
    return replace(fire, threshold=steps * step + fire.inclusive)


def _multiples(op: Population, shift: int) -> bool:
    """Whether membranes are always multiples of 2**shift: nothing else is ever added to them, and nothing decays."""
    membrane: Membrane = op.membrane
    added = [membrane.bias, membrane.initial]
    states = [membrane.decay, *([op.current.decay] if op.current else [])]
    whole = all(bool(((each.amount == 0) | (each.amount == 1 << each.bits)).all()) for each in states)
    reset = getattr(op.reset, "value", getattr(op.reset, "amount", np.zeros(1, np.int64)))
    return whole and op.input_shift >= shift and not any((each % (1 << shift)).any() for each in (*added, reset))


def split(bias: Array, parameters: Parameters) -> tuple[Ints, Ints]:
    """Mantissas and exponents, each of the bias's shape, that come closest to a bias; exact where that is possible."""
    bias = np.asarray(bias, np.int64)
    low, high = parameters.bias_exponent
    ends = -(1 << (parameters.bias_bits - 1)), (1 << (parameters.bias_bits - 1)) - 1
    exponent = np.full_like(bias, high)
    for each in range(high - 1, low - 1, -1):  # down to the smallest exponent whose mantissa has room
        found = _nearest(bias, each)
        exponent = np.where((found >= ends[0]) & (found <= ends[1]), each, exponent)
    mantissa = np.clip(_nearest(bias, exponent), *ends)
    return mantissa, np.where(mantissa == 0, low, exponent)


def _nearest(value: Array, shift: Array | int) -> Ints:
    """value / 2**shift, to the nearest integer."""
    return (value + ((np.int64(1) << shift) >> 1)) >> shift
