"""What chip files and integer networks both speak of: how states are rounded, and what happens at a register's ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Rounding = Literal["zero", "floor", "nearest"]
Overflow = Literal["saturate", "wrap"]


@dataclass(frozen=True)
class Register:
    """A state register that holds lo..hi, 0 among them. `saturate` clips; `wrap` adds or subtracts its span once.

    The span is `hi - lo + 1`; an excursion of more than that escapes a wrapping register, as on Loihi. `fit`
    in `semantics` is what the register does. With a reset of delay 0, v passes it twice in every step, fired or not.
    Initial states, reset values and minima lie in their register.
    """

    lo: int
    hi: int
    overflow: Overflow = "saturate"
