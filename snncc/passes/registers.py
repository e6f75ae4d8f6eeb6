"""How many bits states and their decays get at most: what users write, and the chip's arithmetic held to it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from snncc.chip import Chip, StateArithmetic
from snncc.diagnostics import Diagnostic, check
from snncc.graph import Graph
from snncc.layers import Layer
from snncc.passes.precision import parts_of, unknown_names

STATE_BITS, DECAY_BITS = "--state-bits", "--decay-bits"
_FORM = "give BITS, NAME=BITS, or several with commas between, as in 16,lif1=12"


@dataclass(frozen=True)
class Bits:
    """The most bits of all populations, None where the chip decides, and of those that are named."""

    usual: int | None = None
    own: Mapping[str, int] = field(default_factory=dict[str, int])

    def of(self, name: str) -> int | None:
        return self.own.get(name, self.usual)

    @property
    def given(self) -> Iterator[tuple[str, int]]:
        """Each number, with the name that it is for."""
        yield from [] if self.usual is None else [("", self.usual)]
        yield from self.own.items()


@dataclass(frozen=True)
class Registers:
    """The widths of states, and of the denominators of their decays."""

    states: Bits = field(default_factory=Bits)
    decays: Bits = field(default_factory=Bits)

    def chip_for(self, name: str, chip: Chip) -> Chip:
        """The chip with no wider registers and decays than a population may have."""
        states, decays = self.states.of(name), self.decays.of(name)
        membrane, current = (_narrowed(each, states, decays) for each in (chip.membrane, chip.current))
        return (
            chip
            if (membrane, current) == (chip.membrane, chip.current)
            else replace(chip, membrane=membrane, current=current)
        )


def parsed(value: int | str | None, option: str) -> Bits:
    """What a user writes: 16, or 16,lif1=12. Raises CompileError (`state-bits`, `decay-bits`)."""
    if value is None:
        return Bits()
    parts = parts_of(str(value))
    check(_misspelt(parts, option))
    given = {name: int(bits) for name, _, bits in parts}
    return Bits(given.get(""), {name: bits for name, bits in given.items() if name})


def _misspelt(parts: list[tuple[str, ...]], option: str) -> Iterator[Diagnostic]:
    seen: set[str] = set()
    for name, sign, bits in parts:
        if (sign and not name) or not re.fullmatch("[0-9]{1,4}", bits, re.ASCII):
            yield Diagnostic(_rule(option), option, f"{name + sign + bits!r} is no number of bits", _FORM)
        elif name in seen:
            yield Diagnostic(_rule(option), option, f"{name or 'the number for all'} is given twice", _FORM)
        seen.add(name)


def faults(graph: Graph[Layer], chip: Chip, registers: Registers) -> Iterator[Diagnostic]:
    """Why states cannot have these widths: each that the chip does not have, each name that is no population."""
    least = max(chip.membrane.decay_bits[0], chip.current.decay_bits[0])
    most = min(chip.membrane.decay_bits[1], chip.current.decay_bits[1])
    widest = max(chip.membrane.bits, chip.current.bits)
    both = (STATE_BITS, registers.states, 2, widest), (DECAY_BITS, registers.decays, least, most)
    for option, bits, low, high in both:
        for name, asked in bits.given:
            message = f"{asked} bits were asked for{f' of {name}' if name else ''}; {chip.name}"
            if least == most:
                message = f"{message} has states of {widest} and decays of {most}, no other"
                yield Diagnostic(_rule(option), option, message, "leave it out, or choose another target")
            elif not low <= asked <= high:
                yield Diagnostic(_rule(option), option, f"{message} takes {low} to {high}")
        yield from unknown_names(graph, bits.own, _rule(option), option, populations=True)


def _rule(option: str) -> str:
    return option.removeprefix("--")


def _narrowed(arithmetic: StateArithmetic, states: int | None, decays: int | None) -> StateArithmetic:
    low, high = arithmetic.decay_bits
    bits = arithmetic.bits if states is None else min(states, arithmetic.bits)
    most = high if decays is None else min(decays, high)
    return replace(arithmetic, bits=bits, decay_bits=(low, most))
