"""Which populations Lava's own LIF process expresses exactly, with which parameters, and why the others are not stock.

The arithmetic of `lava.proc.lif.models.AbstractPyLifModelFixed` (lava-nc 0.10.0, lif/models.py lines 139 to 216), with
tz(x) = sign(x) * (|x| >> 12):

    u = tz(u * (4096 - (du + 1))) + (a << 6), once wrapped into -2^23 + 1 .. 2^23
    v = clip(tz(v * (4096 - dv)) + u + (bias_mant << bias_exp), -2^23 + 1, 2^23 - 1)
    s = v > vth << 6, and v = 0 where s
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from snncc.analysis.intervals import spread
from snncc.analysis.proof import PopulationProof, Verdict
from snncc.arrays import Array, Ints
from snncc.chip import Parameters
from snncc.integers import Decay, HardReset, Population, Register
from snncc.passes.express import split

SHIFT = 6  # of the summed input and of the threshold
DECAY_BITS = 12
U = Register(-(1 << 23) + 1, 1 << 23, "wrap")
V = Register(-(1 << 23) + 1, (1 << 23) - 1, "saturate")
MOST_THRESHOLD = (1 << 17) - 1
GRID = Parameters(threshold_bits=17, threshold_shift=SHIFT, bias_bits=13, bias_exponent=(0, 7))
_UNITY = 1 << DECAY_BITS


@dataclass(frozen=True, eq=False)
class Lif:
    """The parameters of a stock LIF process; `bias_mant` and `bias_exp` are () or (size,) int64."""

    du: int
    dv: int
    vth: int
    bias_mant: Ints
    bias_exp: Ints


def lif(op: Population, proof: PopulationProof) -> Lif | tuple[str, ...]:
    """The stock process of a population, or every reason why there is none."""
    why = (*_structure(op), *_states(op, proof), *_threshold(op, proof), *_bias(op))
    if why:
        return why
    mantissa, exponent = split(_plain(op.membrane.bias, op), GRID)
    return Lif(
        du=(_amount(op.current.decay) if op.current else _UNITY) - 1,
        dv=min(_amount(op.membrane.decay), _UNITY - 1),
        vth=_one(op.fire.threshold - op.fire.inclusive) >> SHIFT if op.fire else MOST_THRESHOLD,
        bias_mant=mantissa,
        bias_exp=exponent,
    )


def _structure(op: Population) -> Iterator[str]:
    if op.adapt:
        yield "its threshold learns" if op.adapt.learnt else "its threshold adapts"
    if op.refractory:
        yield f"it rests for {op.refractory} steps after a spike"
    if op.membrane.minimum is not None:
        yield "its membrane has a lower clamp"
    if op.input_shift != SHIFT:
        yield f"its input is shifted left by {op.input_shift}, not by {SHIFT}"
    states = (op.membrane, *([op.current] if op.current else []))
    if any(state.initial.any() for state in states):
        yield "it starts with an initial state other than 0"
    if op.fire:
        yield from _reset(op, op.fire.max_spikes)


def _reset(op: Population, most: int) -> Iterator[str]:
    if most > 1:
        yield f"it sends up to {most} spikes a step"
    if op.reset is None:
        yield "it is not reset when it fires"
    elif not isinstance(op.reset, HardReset):
        yield "its reset subtracts (soft reset)"
    else:
        if op.reset.value.any():
            yield "it is reset to a value other than 0"
        if op.reset.delay:
            yield "its reset acts a step later"


def _states(op: Population, proof: PopulationProof) -> Iterator[str]:
    if op.current:
        assert proof.current is not None
        yield from _decay("current", op.current.decay)
        yield from _register("current", op.current.register, U, proof.current)
        if not op.current.decay.amount.any():
            yield "its current does not decay"
    else:
        low, high = (end << op.input_shift for end in proof.acc)
        if low < U.lo or high > U.hi:
            yield f"its input reaches {low:,}..{high:,}, and would wrap in Lava's current"
    yield from _decay("membrane", op.membrane.decay)
    yield from _register("membrane", op.membrane.register, V, proof.membrane)
    if (op.membrane.decay.amount == 1 << op.membrane.decay.bits).all():
        low, high = _left(op, proof)
        if low <= -_UNITY or high >= _UNITY:
            yield f"its membrane is forgotten at once, and Lava's keeps 1/{_UNITY} of what it leaves, {low:,}..{high:,}"


def _left(op: Population, proof: PopulationProof) -> tuple[int, int]:
    """What the membrane can be at the end of a step."""
    low, high = proof.membrane.reach
    return low, min(high, int(op.fire.threshold.max())) if op.fire else high


def _decay(state: str, decay: Decay) -> Iterator[str]:
    if not _uniform(decay.amount):
        yield f"its {state} decays differently from neuron to neuron"
        return
    if (_one(decay.amount) << DECAY_BITS) % (1 << decay.bits):
        yield f"its {state} decays by {_one(decay.amount):,} of {1 << decay.bits:,}, not by a number of {_UNITY:,}ths"
    if decay.rounding != "zero" and _one(decay.amount) not in {0, 1 << decay.bits}:
        yield f"its decayed {state} is rounded to {decay.rounding}, not toward zero"


def _register(state: str, register: Register, lavas: Register, verdict: Verdict) -> Iterator[str]:
    """A register that is never left may be any; v passes Lava's own even where the network's is wider."""
    inside = lavas.lo <= verdict.reach[0] and verdict.reach[1] <= lavas.hi
    if register != lavas and (verdict.kind != "safe" or not inside):
        yield f"its {state} may leave its register {register.lo:,}..{register.hi:,}, which is not Lava's"


def _threshold(op: Population, proof: PopulationProof) -> Iterator[str]:
    if op.fire is None:
        if proof.membrane.reach[1] > MOST_THRESHOLD << SHIFT:
            yield f"it never fires, and its membrane may exceed Lava's highest threshold, {MOST_THRESHOLD << SHIFT:,}"
        return
    if not _uniform(op.fire.threshold):
        yield "its threshold differs from neuron to neuron"
        return
    strict = _one(op.fire.threshold) - op.fire.inclusive
    if strict % (1 << SHIFT) or not 0 <= strict >> SHIFT <= MOST_THRESHOLD:
        yield f"its threshold, > {strict:,}, is no multiple of {1 << SHIFT} in 0..{MOST_THRESHOLD << SHIFT:,}"


def _bias(op: Population) -> Iterator[str]:
    mantissa, exponent = split(op.membrane.bias, GRID)
    if ((mantissa << exponent) != op.membrane.bias).any():
        yield "its biases are not of the form mantissa (13 bits) << exponent (0 to 7)"


def _amount(decay: Decay) -> int:
    """The amount of a decay in 4096ths."""
    return (_one(decay.amount) << DECAY_BITS) >> decay.bits


def _plain(value: Array, op: Population) -> Ints:
    """One number for the population, or one for each neuron."""
    return value.reshape(-1)[0] if _uniform(value) else spread(value, op)


def _uniform(value: Array) -> bool:
    return bool((value == value.flat[0]).all())


def _one(value: Array) -> int:
    return int(np.asarray(value).flat[0])
