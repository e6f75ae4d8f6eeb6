"""How many bits the weights of each synapse group get: what users write, and what it means for a network."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from snncc.chip import Chip
from snncc.diagnostics import Diagnostic, check
from snncc.graph import Graph
from snncc.layers import Layer, Linear, Neuron

Width = int | Literal["ternary"]  # of a weight: so many bits, or -1, 0 and 1

RULE, OPTION = "weight-bits", "--weight-bits"
FEWEST = 2
_FORM = "give BITS, NAME=BITS, or several with commas between, as in 4,fc2=8,conv1=ternary"
_CLOSE = 4  # names that are listed at most, where one is not known


@dataclass(frozen=True)
class Levels:
    """The least and the greatest integer that a weight may be."""

    low: int
    high: int


def levels(width: Width) -> Levels:
    """The integers of a width: two's complement."""
    return Levels(-1, 1) if width == "ternary" else Levels(-(1 << (width - 1)), (1 << (width - 1)) - 1)


def stored_width(width: Width) -> int:
    """The bits that a weight of a width is stored in."""
    return 2 if width == "ternary" else width


def parsed(text: int | str | None, usual: int) -> tuple[Width, Mapping[str, Width]]:
    """The width of all weights, the `usual` one if it is not given, and the widths of those that are named.

    `text` is a number of bits, or as `4,fc2=8,conv1=ternary`. Raises CompileError (`weight-bits`).
    """
    if text is None or type(text) is int:
        return usual if text is None else text, {}
    parts = parts_of(str(text))
    check(_misspelt(parts))
    widths: list[tuple[str, Width]] = [(name, "ternary" if bits == "ternary" else int(bits)) for name, _, bits in parts]
    return dict(widths).get("", usual), {name: width for name, width in widths if name}


def parts_of(text: str) -> list[tuple[str, ...]]:
    """Of a list such as `4,fc2=8`, each part as (name, =, value); the name and the sign are empty if there is none."""
    return [tuple(each.strip() for each in part.rpartition("=")) for part in text.split(",")]


def _misspelt(parts: list[tuple[str, ...]]) -> Iterator[Diagnostic]:
    names: set[str] = set()
    for name, sign, bits in parts:
        if (sign and not name) or not re.fullmatch("ternary|[0-9]{1,4}", bits, re.ASCII):
            yield Diagnostic(RULE, OPTION, f"{name + sign + bits!r} is no width of weights", _FORM)
        elif name in names:
            yield Diagnostic(RULE, OPTION, f"{name or 'the width of all weights'} is given twice", _FORM)
        names.add(name)


def faults(graph: Graph[Layer], chip: Chip, width: Width, own: Mapping[str, Width]) -> Iterator[Diagnostic]:
    """Why weights cannot have these widths: each that the chip does not have, each name that the network does not."""
    widths: list[tuple[str, Width]] = [("", width), *own.items()]
    for name, each in widths:
        if not FEWEST <= stored_width(each) <= chip.weight.bits:
            of = f" of {name}" if name else ""
            message = f"{each} bits were asked for{of}; {chip.name} takes {FEWEST} to {chip.weight.bits}"
            yield Diagnostic(RULE, OPTION, message)
    yield from unknown_names(graph, own, RULE, OPTION)


def unknown_names(
    graph: Graph[Layer], own: Mapping[str, object], rule: str, option: str, *, populations: bool = False
) -> Iterator[Diagnostic]:
    """Each of the names that users gave which is no synapse group and no population (or just no population)."""
    kinds = (Neuron,) if populations else (Linear, Neuron)
    known = [name for name, op in graph.ops.items() if isinstance(op, kinds)]
    what = "population" if populations else "synapses and no population"
    for name in own:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            guess = f"did you mean {close[0]}? " if close else ""
            more = f" and {len(known) - _CLOSE:,} more" if len(known) > _CLOSE else ""
            hint = f"{guess}there are {', '.join(known[:_CLOSE])}{more}; `snncc compile` lists them"
            are = "is no" if populations else "are no"
            yield Diagnostic(rule, option, f"there {are} {what} called {name}", hint)


def by_group(graph: Graph[Layer], own: Mapping[str, Width]) -> Mapping[str, Width]:
    """The widths of synapse groups that differ from the others': one's own name counts before its population's."""
    found: dict[str, Width] = {}
    for name in graph.of_kind(Neuron):
        if name in own:
            found.update((edge.source, own[name]) for edge in graph.incoming(name))
    found.update((name, own[name]) for name in graph.of_kind(Linear) if name in own)
    return found
