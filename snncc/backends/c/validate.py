"""What an integer network may hold that C code cannot be made of; limits of chips are checked elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from snncc.chip import Chip
from snncc.diagnostics import Diagnostic
from snncc.integers import Network, Output, Population, Source

_MOST_NEURONS = 1 << 31  # indices, and the product of a slot and a size, are 32-bit


def validate(network: Network, chip: Chip) -> Iterator[Diagnostic]:
    """Every reason why the network cannot be emitted for this computer."""
    if chip.device is not None:
        hint = f"leave out --backend: {chip.name} has {chip.backend}"
        yield Diagnostic(
            "wrong-backend", "c", f"runs on this computer; {chip.name}'s compiler is for another one", hint
        )
    yield from expressible(network)


def expressible(network: Network) -> Iterator[Diagnostic]:
    """Every reason why there can be no C program of the network."""
    yield from _one_source(network)
    yield from _plain_edges(network)
    yield from _sizes(network)
    yield from _learnt(network)


def _one_source(network: Network) -> Iterator[Diagnostic]:
    names = tuple(network.of_kind(Source))
    if len(names) != 1:
        listed = ", ".join(names) or "none"
        yield Diagnostic("one-input", names[-1] if names else "network", f"a C program has one input, not: {listed}")


def _plain_edges(network: Network) -> Iterator[Diagnostic]:
    for edge in network.edges:
        if edge.gain != 1.0:
            yield Diagnostic("edge-gain", edge.target, f"reads {edge.source} times {edge.gain:g}: fold it into weights")
        if edge.delay and isinstance(network[edge.target], Output):
            yield Diagnostic("output-delay", edge.target, "an output reads its population without a delay")


def _learnt(network: Network) -> Iterator[Diagnostic]:
    for name, op in network.of_kind(Population).items():
        if op.adapt and op.adapt.learnt and np.ptp(op.adapt.decay.amount):
            message = "its learnt threshold decays at a rate of each neuron's own; a C program has one for all"
            yield Diagnostic("learnt-decay", name, message, "give the rule one threshold.decay")


def _sizes(network: Network) -> Iterator[Diagnostic]:
    for name, op in network.of_kind(Source).items():
        if op.bits > 62:
            yield Diagnostic("input-too-wide", name, f"inputs have {op.bits} bits; a C program takes up to 62")
    for name, op in network.ops.items():
        size = getattr(op, "size", 0)
        if size >= _MOST_NEURONS:
            yield Diagnostic("population-too-large", name, f"{size:,} neurons; a C program indexes {_MOST_NEURONS:,}")
