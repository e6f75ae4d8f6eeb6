"""Populations that no stock process expresses: the kind of neuron each is, and its parameters for a process of its own.

Populations of one kind share a class in the emitted `neurons.py`, whose template writes out the equations.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from snncc.analysis.intervals import spread
from snncc.analysis.proof import PopulationProof, Verdict
from snncc.arrays import Array, Ints
from snncc.backends.lava.layout import Layout
from snncc.integers import Decay, HardReset, Population, Register, SoftReset


@dataclass(frozen=True)
class StateKind:
    """A state's arithmetic: `decay` is how it is rounded, "keep" or "clear"; `fit` is empty where it needs none."""

    decay: str
    bits: int
    fit: str
    lo: int
    hi: int


@dataclass(frozen=True)
class Kind:
    """What tells one class of neurons from another; equal kinds have equal code."""

    membrane: StateKind
    current: StateKind | None
    adapt: StateKind | None
    shift: int
    bias: bool
    minimum: bool
    fires: bool
    inclusive: bool
    max_spikes: int
    reset: str
    reset_delay: int
    adaptive: bool
    refractory: int
    before: bool
    learnt: bool

    @property
    def title(self) -> str:
        """The name of the class, before it is numbered."""
        parts = {
            "Learning": self.learnt,
            "Adaptive": self.adapt is not None and not self.learnt,
            "Refractory": self.refractory > 0,
            "SoftReset": self.reset == "soft",
            "HardReset": self.reset == "hard",
            "Cuba": self.current is not None,
        }
        leak = {"keep": "IF", "clear": "Threshold"}.get(self.membrane.decay, "LIF")
        return "".join(word for word, given in parts.items() if given) + (leak if self.fires else "Integrator")

    @property
    def states(self) -> tuple[str, ...]:
        """The variables of the process."""
        return (
            "v",
            *(["i"] if self.current else []),
            *(["a"] if self.adapt else []),
            *(["v_before"] if self.before else []),
            *(["last"] if self.reset and self.reset_delay else []),
            *(["resting"] if self.refractory else []),
        )

    @property
    def rounding(self) -> tuple[str, ...]:
        """The roundings of its decays."""
        each = (state.decay for state in (self.membrane, self.current, self.adapt) if state)
        return tuple(decay for decay in each if decay not in {"keep", "clear"})

    @property
    def fits(self) -> tuple[str, ...]:
        """The overflows of its registers."""
        return tuple(state.fit for state in (self.membrane, self.current, self.adapt) if state and state.fit)


@dataclass(frozen=True, eq=False)
class Neurons:
    """A population as a process of its own: its kind, and each parameter, () or of the layout's shape."""

    kind: Kind
    parameters: Mapping[str, Ints]


def neurons(op: Population, proof: PopulationProof, layout: Layout, *, reads_before: bool) -> Neurons:
    """The process of a population; `reads_before` if an output reads its membrane before the reset."""
    fire, reset = op.fire, op.reset if op.fire else None
    later = reset is not None and reset.delay == 1
    kind = Kind(
        membrane=_state(op.membrane.decay, op.membrane.register, proof.membrane),
        current=_state(op.current.decay, op.current.register, proof.current) if op.current else None,
        adapt=_state(op.adapt.decay, op.adapt.register, proof.adapt) if op.adapt else None,
        shift=op.input_shift,
        bias=bool(op.membrane.bias.any()),
        minimum=op.membrane.minimum is not None,
        fires=fire is not None,
        inclusive=bool(fire and fire.inclusive),
        max_spikes=fire.max_spikes if fire else 1,
        reset="" if reset is None else "hard" if isinstance(reset, HardReset) else "soft",
        reset_delay=int(later),
        adaptive=isinstance(reset, SoftReset) and reset.adaptive,
        refractory=op.refractory,
        before=reads_before and reset is not None and not later,
        learnt=bool(op.adapt and op.adapt.learnt),
    )
    return Neurons(kind, {name: _arranged(value, op, layout) for name, value in _parameters(op, kind)})


def _state(decay: Decay, register: Register, verdict: Verdict | None) -> StateKind:
    assert verdict is not None
    how = "keep" if not decay.amount.any() else decay.rounding
    how = "clear" if (decay.amount == 1 << decay.bits).all() else how
    if verdict.kind == "safe":
        return StateKind(how, decay.bits if how not in {"keep", "clear"} else 0, "", 0, 0)
    return StateKind(
        how, decay.bits if how not in {"keep", "clear"} else 0, register.overflow, register.lo, register.hi
    )


def _parameters(op: Population, kind: Kind) -> list[tuple[str, Array]]:
    """The keyword arguments of the process."""
    found = [*_state_parameters(op, kind)]
    if kind.bias:
        found.append(("bias", op.membrane.bias))
    if op.membrane.minimum is not None:
        found.append(("minimum", op.membrane.minimum))
    if op.fire:
        found.append(("threshold", op.fire.threshold))
    if op.fire and isinstance(op.reset, SoftReset):
        found.append(("amount", op.reset.amount))
    if op.fire and isinstance(op.reset, HardReset):
        found.append(("reset_to", op.reset.value))
    if op.adapt:
        found.append(("jump", op.adapt.jump))
    return found


def _state_parameters(op: Population, kind: Kind) -> Iterator[tuple[str, Array]]:
    states = (("v", op.membrane, kind.membrane), ("i", op.current, kind.current), ("a", op.adapt, kind.adapt))
    for name, state, each in states:
        if state is None or each is None:
            continue
        if not (name == "a" and kind.learnt):  # what it begins with is what it has learnt
            yield f"{name}0", state.initial
        if each.decay not in {"keep", "clear"}:  # of 0 bits too, if some neurons keep their state and others clear it
            yield f"{name}_keep", (1 << each.bits) - state.decay.amount


def _arranged(value: Array, op: Population, layout: Layout) -> Ints:
    """One number where all neurons have the same, else one for each in the layout's order."""
    every = np.asarray(value, np.int64)
    if (every == every.flat[0]).all():
        return every.reshape(-1)[0]
    return layout.arrange(spread(every, op))
