"""Makes thresholds of populations learn: the parts of a rule become integers beside the neurons' own thresholds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np

from snncc.arrays import Array
from snncc.chip import LEARNT_DECAY_BITS, Chip
from snncc.diagnostics import Diagnostic
from snncc.integers import Adapt, Decay, Network, Population, Register
from snncc.passes.registers import STATE_BITS
from snncc.rules import ThresholdRule

_LASTING = 0.1  # of a neuron's own threshold, which it may go on having learnt whatever decays
_COARSEST = 4  # integers that stand for a decay


def learning(population: Population, rule: ThresholdRule, chip: Chip) -> Population:
    """The population with a learnt threshold, which ends where the membrane's register does: no neuron passes that."""
    assert population.fire
    threshold = population.fire.threshold
    most = int(_own(population) * rule.most)
    register = Register(0, max(0, min(most, _room(population))), "saturate")
    decay = Decay(np.asarray(round(rule.decay * (1 << LEARNT_DECAY_BITS))), LEARNT_DECAY_BITS, chip.membrane.rounding)
    jump: Array = np.rint(np.abs(threshold) * rule.jump).astype(np.int64)
    return replace(population, adapt=Adapt(decay, register, jump, learnt=True))


def unlearnable(name: str, population: Population) -> Iterator[Diagnostic]:
    """Why a threshold cannot learn on this grid: it would not jump, or not once."""
    assert population.adapt
    jump, room = int(population.adapt.jump.max()), _room(population)
    if not jump:
        message = "its learnt threshold would jump by less than the integer 1"
        yield Diagnostic("rule-too-fine", name, message, "raise threshold.jump, or compile with more --weight-bits")
    elif room < jump:
        state = f"its state of {_bits(population)} bits ends {max(0, room):,} above the neuron's own"
        message = f"its learnt threshold would jump by {jump:,}, and {state}"
        yield Diagnostic("clipped-threshold", name, message, "give it more bits, or lower threshold.jump")


def shortfalls(network: Network, rules: Mapping[str, ThresholdRule], chip: Chip) -> Iterator[Diagnostic]:
    """Where the thresholds of populations cannot do all that their rules say: end early, or never fade."""
    for name, rule in rules.items():
        population = network[name]
        assert isinstance(population, Population)
        yield from _cut_off(name, population, rule, chip)
        if rule.decay:
            yield from _undecaying(name, population, rule.decay)


def _own(population: Population) -> int:
    assert population.fire
    return int(np.max(np.abs(population.fire.threshold)))


def _room(population: Population) -> int:
    """How far a threshold can rise until not even a membrane at its register's end is one that fires."""
    assert population.fire
    return population.membrane.register.hi - _own(population) - (not population.fire.inclusive)


def _bits(population: Population) -> int:
    return population.membrane.register.hi.bit_length() + 1


def _cut_off(name: str, population: Population, rule: ThresholdRule, chip: Chip) -> Iterator[Diagnostic]:
    own, room = _own(population), _room(population)
    if room >= int(own * rule.most):
        return
    bits, needed = _bits(population), int(own * (1 + rule.most)).bit_length() + 1
    times = _rounded(room / own, 3, math.floor)
    message = (
        f"its learnt threshold ends at {room:,}, {times} times the neuron's own, where its state of {bits} bits does; "
        f"its rule lets it come to {rule.most:g} times"
    )
    least = f"lower threshold.most to {times}"
    wider = f"give it {needed} bits: {STATE_BITS} {name}={needed}"
    hint = f"{wider}; or {least}" if needed <= chip.membrane.bits else least
    yield Diagnostic("clipped-threshold", name, message, hint, "warning")


def _undecaying(name: str, population: Population, wanted: float) -> Iterator[Diagnostic]:
    """Thresholds that would not lose what they have learnt, as the loss of a sample is rounded."""
    assert population.fire
    assert population.adapt
    decay, top = population.adapt.decay, population.adapt.register.hi
    amount, own = int(decay.amount), max(1, int(np.abs(population.fire.threshold).min()))
    half = 1 << decay.bits >> 1
    nearest = decay.rounding == "nearest"
    # a loses nothing while a * amount is at most half of 1, which integers of at least own * _LASTING must exceed
    least = max(_COARSEST, half // math.ceil(own * _LASTING) + 1 if nearest else 0)
    hint = f"raise threshold.decay to {_rounded(math.ldexp(least, -decay.bits), 2, math.ceil)}"
    if amount < _COARSEST:
        message = f"its learnt threshold would lose {wanted:g} of itself with each sample"
        hint = f"{hint} at least, or leave it out"
        yield Diagnostic("rule-too-fine", name, f"{message}, too little for {decay.bits} bits", hint)
        return
    kept = half // amount if nearest else 0  # the most that loses nothing
    if kept < own * _LASTING:
        return
    message = (
        f"its learnt threshold loses nothing while it is at most {kept:,} ({kept / own:.2g} times the neuron's own)"
    )
    hint = f"{hint}, or leave it out; fewer --decay-bits leave more bits to states"
    never = kept >= top
    why = f"; it ends at {top:,}" if never else ": the loss of a sample rounds to 0"
    yield Diagnostic("rule-too-fine", name, message + why, hint, "error" if never else "warning")


def _rounded(value: float, digits: int, way: Callable[[float], int]) -> str:
    """A positive number with so many digits that count, rounded up or down."""
    if value <= 0:
        return "0"
    scale = digits - 1 - math.floor(math.log10(value))
    return f"{way(value * 10.0**scale) / 10.0**scale:g}"
