"""Where an event-driven network lies on tinyODIN: addresses of neurons and channels, and how a sample is sent.

Neurons have the addresses from 0 on, so that sweeps end at the last one; channels have the last addresses, which
sweeps never reach. The neurons at those addresses are silenced all the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from snncc import files
from snncc.arrays import Array
from snncc.backends.tinyodin.config import MOST_DELAY, NEURONS, V_MAX, V_MIN, Config, Neurons, Registers
from snncc.backends.tinyodin.programming import BITS_OF_A_WRITE, Write, gated, write_neuron
from snncc.chip import Crossbar as Limits
from snncc.diagnostics import CompileError, fault
from snncc.events.ops import Crossbar, EventNetwork, crossbar
from snncc.integers import Output
from snncc.layers import Decoder
from snncc.serial import Reader, Writer

LEAK_ALL = 0x1FF  # the word of a time-reference event for all neurons
NAME = "layout.json"
_NEVER = 4095  # a threshold that no membrane reaches
_MOST_LEAK = 127
_MOST_RESET = 1 << 12  # events, or writes


@dataclass(frozen=True)
class Span:
    """The addresses of a population's neurons."""

    name: str
    first: int
    last: int


@dataclass(frozen=True)
class OutputAt:
    """An output: the addresses of its neurons, and how their spikes become scores."""

    name: str
    first: int
    last: int
    decoder: Decoder


@dataclass(frozen=True)
class Reset:
    """How membranes return to their start between samples.

    By `leak`, that many time-reference `events` take each to 0; by `spi`, `writes` (address, data) program them anew.
    """

    by: Literal["leak", "spi"]
    events: int = 0
    writes: tuple[Write, ...] = ()


@dataclass(frozen=True)
class Layout:
    """What a host must know. All addresses are those of the chip.

    The input's channel c has the address `first_channel` + c; the last `always` channels send in every step. In a
    step the channels send in `order`; after it, if the network `leaks`, comes a time-reference event. `sweep` is the
    clock cycles of one word of the queue without output; `gap`, `drop` and `delay` are those of host and receiver,
    `spi_cycles` those of one bit of SPI.
    """

    title: str
    steps: int | None
    channels: int
    always: int
    first_channel: int
    order: tuple[int, ...]
    leaks: bool
    reset: Reset
    populations: tuple[Span, ...]
    outputs: tuple[OutputAt, ...]
    sweep: int
    gap: int
    drop: int
    delay: int
    spi_cycles: int


def written(plan: Layout) -> bytes:
    """As the artefact has it: JSON, each record with its `kind`."""
    return (json.dumps(Writer().plain(plan), indent=1, ensure_ascii=True) + "\n").encode()


def read(folder: Path, channels: int) -> Layout:
    """The layout of an artefact for an input of so many channels. Raises CompileError (`damaged-artefact`)."""
    try:
        plain: Any = json.loads(files.content(folder / NAME))
    except OSError as error:
        raise damaged(NAME, f"cannot be read: {files.reason(error)}") from error
    except (ValueError, RecursionError) as error:
        raise damaged(NAME, "is not JSON") from error
    plan: Layout = Reader(NAME, b"").value(Layout, plain, "layout")
    for message in _unsound(plan, channels):
        raise damaged(NAME, message)
    return plan


def damaged(name: str, message: str) -> CompileError:
    """The error for a file of an artefact that is not as it was written."""
    return fault("damaged-artefact", name, message, "compile the model again")


def _unsound(plan: Layout, channels: int) -> Iterator[str]:
    """What no host could do."""
    if plan.channels != channels + plan.always or plan.always < 0:
        yield f"has {plan.channels} channels, {plan.always} of them for biases, for an input of {channels}"
    if plan.first_channel < 0 or plan.first_channel + plan.channels > NEURONS:
        yield f"has channels from address {plan.first_channel} on"
    if sorted(plan.order) != list(range(plan.channels)):
        yield "has an order that is not of every channel once"
    for each in (*plan.populations, *plan.outputs):
        if not 0 <= each.first <= each.last < NEURONS:
            yield f"has {each.name} at the addresses {each.first} to {each.last}"
    for name in ("gap", "drop", "delay", "spi_cycles"):
        if not 1 <= getattr(plan, name) <= MOST_DELAY:
            yield f"has a {name} of {getattr(plan, name)} cycles"
    if not 0 <= plan.reset.events <= _MOST_RESET or len(plan.reset.writes) > _MOST_RESET:
        yield f"has a reset of {plan.reset.events} events and {len(plan.reset.writes)} writes"


def config(network: EventNetwork) -> Config:
    """The chip's memories and registers."""
    matrix = crossbar(network)
    neurons = matrix.neurons
    weights = np.zeros((NEURONS, NEURONS), np.int8)
    weights[:neurons, :neurons] = matrix.weights[:neurons]
    weights[NEURONS - network.source.channels :, :neurons] = matrix.weights[neurons:]
    leak = matrix.leak if matrix.leak.any() else np.full(neurons, _MOST_LEAK)
    return Config(
        Registers(last_neuron=neurons - 1),
        Neurons(
            threshold=_filled(matrix.threshold, _NEVER),
            leak=_filled(leak, 0),
            disabled=_filled(np.zeros(neurons), 1),
            membrane=_filled(matrix.initial, 0),
        ),
        weights,
    )


def _filled(values: Array, rest: int) -> Array:
    """For all addresses: the neurons' values, then those of silenced ones."""
    return np.concatenate([values, np.full(NEURONS - len(values), rest)]).astype(np.int64)


def layout(network: EventNetwork, limits: Limits, title: str, steps: int | None) -> Layout:
    """How the host deals with a network."""
    matrix, source = crossbar(network), network.source
    spans = {name: (part.start, part.stop - 1) for name, part in matrix.parts.items()}
    outputs = (
        OutputAt(name, *spans[network.incoming(name)[0].source], op.decoder)
        for name, op in network.of_kind(Output).items()
    )
    return Layout(
        title=title,
        steps=steps,
        channels=source.channels,
        always=source.always,
        first_channel=NEURONS - source.channels,
        order=tuple(source.order.tolist()),
        leaks=bool(matrix.leak.any()),
        reset=_reset(matrix, limits),
        populations=tuple(Span(name, *span) for name, span in spans.items()),
        outputs=tuple(outputs),
        sweep=2 * matrix.neurons + 2,
        **{name: int(getattr(limits, name).value) for name in ("gap", "drop", "delay", "spi_cycles")},
    )


def _reset(matrix: Crossbar, limits: Limits) -> Reset:
    """The quicker way back to the initial membranes.

    No membrane is farther from 0 than the register's end. Where the network does not leak, the leak is free for this.
    """
    leak = int(matrix.leak.min()) if matrix.leak.any() else _MOST_LEAK
    events = -(-max(V_MAX, -V_MIN) // leak) if leak else 0
    writes = reset_writes(matrix.initial)
    by_leak = events * (2 * matrix.neurons + 10)  # the sweep, and a handshake
    by_spi = len(writes) * BITS_OF_A_WRITE * int(limits.spi_cycles.value)
    if leak and not matrix.initial.any() and by_leak <= by_spi:
        return Reset("leak", events=events)
    return Reset("spi", writes=writes)


def reset_writes(membrane: Array) -> tuple[Write, ...]:
    """SPI writes that set membranes, and nothing else of the neurons' words."""
    pairs: list[Write] = []
    for neuron, v in enumerate(membrane.tolist()):
        pairs += [write_neuron(neuron, 0, v & 0xFF), write_neuron(neuron, 1, v >> 8 & 0x0F, masked=0xF0)]
    return tuple(gated(pairs))
