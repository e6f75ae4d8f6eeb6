"""Fewer time steps than a model was trained with: how samples are read then, and what was done to its neurons."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import inf, isfinite
from typing import Literal

Gather = Literal["first", "largest"]
_READ: Mapping[Gather, str] = {"first": "the first", "largest": "the largest values"}
_MOST = 1_000_000  # steps, and how many times a number may grow


@dataclass(frozen=True)
class Pace:
    """How samples with steps of their own are read: each step of the network takes `every` of theirs.

    What it takes is the `first` of them or, value by value, the `largest`: a spike where there is one. A sample of
    n steps becomes one of ceil(n / every), and at most of `most` steps of the network: what comes later is not read.
    """

    every: int = 1
    gather: Gather = "first"
    most: int | None = None


@dataclass(frozen=True)
class Adapted:
    """How a population was adapted: threshold, resets, lower clamp and initial states are divided by `gain`.

    That is as if its inputs and its bias were multiplied by it. Decays are raised to the power of `forgets`, and
    refractory steps are divided by it.
    """

    name: str
    gain: float = 1.0
    forgets: float = 1.0


@dataclass(frozen=True)
class FewerSteps:
    """A network that takes `steps` for the model's `of`, how it reads samples, and how its neurons were adapted.

    Delays of more than one step are divided by `speed`, the model's steps for each of its own.
    """

    of: int
    steps: int
    speed: float = 1.0
    pace: Pace = Pace()
    neurons: tuple[Adapted, ...] = ()

    def __str__(self) -> str:
        """In words, after the number of steps that it takes."""
        every, most = self.pace.every, self.pace.most
        read = f", {_READ[self.pace.gather]} of every {every:,}" if every > 1 else ""
        read += f", the first {most:,}" if most else ""
        return f"the model's {self.of:,}{read}"

    def faults(self) -> Iterator[str]:
        """What makes no sense; records may come from strangers."""
        counts = self.of, self.steps, self.pace.every, 1 if self.pace.most is None else self.pace.most
        if not all(1 <= each <= _MOST for each in counts):
            yield f"has {', '.join(map(str, counts))} for numbers of steps; 1 to {_MOST:,} are possible"
        factors = self.speed, *(each.gain for each in self.neurons), *(each.forgets for each in self.neurons)
        if not all(isfinite(each) and 1 / _MOST <= each <= _MOST for each in factors):
            worst = max(factors, key=lambda each: abs(each) if isfinite(each) else inf)
            yield f"has factors such as {worst:g}; {1 / _MOST:g} to {_MOST:g} are possible"
