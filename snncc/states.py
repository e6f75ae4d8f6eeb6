"""What happens to any state in integers: its decay, and the ends of its register."""

from __future__ import annotations

import numpy as np

from snncc.arithmetic import Register
from snncc.arrays import Ints
from snncc.integers import Decay


def decayed(x: Ints, decay: Decay) -> Ints:
    """x * (2**k - d) / 2**k, rounded toward zero, down, or to the nearest (ties up)."""
    if not decay.amount.any():
        return x
    product = x * ((1 << decay.bits) - decay.amount)
    if decay.rounding == "floor":
        return product >> decay.bits
    if decay.rounding == "nearest":
        return (product + (1 << decay.bits >> 1)) >> decay.bits
    return np.sign(product) * (np.abs(product) >> decay.bits)


def fit(x: Ints, register: Register) -> Ints:
    """x in the register: clipped, or wrapped around once."""
    if register.overflow == "saturate":
        return np.clip(x, register.lo, register.hi)
    span = register.hi - register.lo + 1
    return np.where(x > register.hi, x - span, np.where(x < register.lo, x + span, x))
