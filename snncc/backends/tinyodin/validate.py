"""What keeps an event-driven network from tinyODIN, and what is proved about its queue."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from snncc.arrays import Array
from snncc.backends.tinyodin.config import NEURONS, QUEUE
from snncc.chip import Chip
from snncc.diagnostics import Diagnostic
from snncc.events.cascade import MOST_EVENTS, cascades
from snncc.events.ops import Crossbar, EventNetwork, crossbar

Rule = Callable[[Crossbar, Chip], Iterator[Diagnostic]]


def validate(network: EventNetwork, chip: Chip, require_proof: bool) -> Iterator[Diagnostic]:
    """`network` is well formed. What cannot be proved is a warning, or an error if `require_proof`."""
    yield from the_chip_is_the_one_that_is_emulated(chip)
    matrix = crossbar(network)
    for rule in RULES:
        yield from rule(matrix, chip)
    for doubt in the_queue_cannot_overflow(matrix, chip):
        yield replace(doubt, severity="error" if require_proof else "warning")


def the_chip_is_the_one_that_is_emulated(chip: Chip) -> Iterator[Diagnostic]:
    """A file may give other costs and a shorter queue, not another machine."""
    limits = chip.crossbar
    if limits is None:
        raise ValueError(f"{chip.name} is no event-driven chip")
    for what, value, most in (
        ("rows", int(limits.rows.value), NEURONS),
        ("queue", int(limits.queue.value), QUEUE),
        ("weight bits", chip.weight.bits, 4),
        ("membrane bits", chip.membrane.bits, 12),
        ("threshold bits", int(limits.threshold_bits.value), 12),
        ("leak bits", int(limits.leak_bits.value), 7),
    ):
        if value > most:
            message = f"its file gives {value:,} {what}; the chip that is emulated has {most:,}"
            yield Diagnostic("other-chip", chip.name, message)


def rows_fit(matrix: Crossbar, chip: Chip) -> Iterator[Diagnostic]:
    channels = len(matrix.weights) - matrix.neurons
    if matrix.neurons + channels > NEURONS:
        message = f"has {matrix.neurons:,} neurons and {channels:,} channels; {chip.name} has {NEURONS} rows for both"
        yield Diagnostic("too-many-rows", "the network", message)


def numbers_fit(matrix: Crossbar, chip: Chip) -> Iterator[Diagnostic]:
    for name, part in matrix.parts.items():
        for what, values, low, high in (
            ("weights", matrix.weights[:, part], -8, 7),
            ("thresholds", matrix.threshold[part], 1, 4095),
            ("leaks", matrix.leak[part], 0, 127),
            ("membranes at the start", matrix.initial[part], -2048, 2047),
            ("registers from", matrix.lowest[part], -2048, -2048),
            ("registers to", matrix.highest[part], 2047, 2047),
        ):
            if values.size and (values.min() < low or values.max() > high):
                message = f"has {what} of {_range(values)}; {chip.name} holds {low}..{high}"
                yield Diagnostic("number-out-of-range", name, message)


def the_queue_cannot_overflow(matrix: Crossbar, chip: Chip) -> Iterator[Diagnostic]:
    """Each event is sent when the queue is empty, so what one event starts is all that ever waits."""
    assert chip.crossbar
    bound, queue = cascades(matrix), int(chip.crossbar.queue.value)
    if bound.most > queue:
        channel = int(np.argmax(bound.events))
        most = f"up to {bound.most:,}" if bound.most <= MOST_EVENTS else f"more than {MOST_EVENTS:,}"
        message = f"one event of channel {channel} may start {most} events; the queue holds {queue:,}"
        hint = "`snncc simulate` measures the fullest queue; train with fewer neurons, or higher thresholds"
        yield Diagnostic("queue-not-proved", "the network", message, hint)


def _range(values: Array) -> str:
    low, high = int(values.min()), int(values.max())
    return f"{low:,}" if low == high else f"{low:,}..{high:,}"


RULES: tuple[Rule, ...] = (rows_fit, numbers_fit)
