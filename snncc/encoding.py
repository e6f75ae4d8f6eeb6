"""Which static values become spikes, and at which rate, for networks that read spikes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from snncc.data import Coding, Data
from snncc.diagnostics import Diagnostic, check, fault
from snncc.integers import Source
from snncc.layers import Input
from snncc.rules import seed_faults

RATE = 0.25  # of the greatest value, in a step


def source_for(layer: Input) -> Source:
    """A source that stands for a model's input, whose grid is not chosen yet: spikes, or more levels."""
    return Source(layer.shape, bits=1 if layer.events else 8)


def becomes_spikes(source: Source, data: Data) -> bool:
    """Static values, and a network that reads spikes; other networks read static values as they are, in each step."""
    return source.highest == 1 and data.x.shape[1:] == source.shape


def brightest(data: Data) -> float:
    """The value that counts as 1: bytes are those of pictures, unless they are 0 and 1 only."""
    return 255.0 if data.x.dtype == np.uint8 and data.x.max() > 1 else 1.0


def range_faults(where: str, source: Source, data: Data) -> Iterator[Diagnostic]:
    """Why the values of some samples cannot become spikes."""
    if becomes_spikes(source, data) and not 0 <= data.x.min() <= data.x.max() <= brightest(data):
        message = f"x lies in {data.x.min():g}..{data.x.max():g}; what is turned into spikes lies in 0..1"
        yield Diagnostic("bad-data", where, message, "scale it, or give bytes (uint8): 255 counts as 1")


def rate_faults(rate: float) -> Iterator[Diagnostic]:
    """Why no spikes can be drawn at a rate."""
    if not 0 < rate <= 1:
        yield Diagnostic("bad-option", "--rate", f"{rate:g} is no probability from above 0 to 1")


def idle(data: Data, source: Source, rate: float | None, seed: int | None, learning: bool) -> Iterator[Diagnostic]:
    """Why there is nothing that a given rate, or a given seed, would be of."""
    of, read = "is for static values that are read as spikes", becomes_spikes(source, data)
    if not read:
        why = "this network reads graded values" if data.x.shape[1:] == source.shape else "x has steps of its own"
        for name, given in (("--rate", rate), ("--seed", seed)):
            if given is not None:
                yield Diagnostic("bad-option", name, f"{of}; {why}", "leave it out")
    elif seed is not None and rate is None and data.coding is not None:
        yield Diagnostic("bad-option", "--seed", f"{of}; these have become spikes already", "leave it out")
    elif seed is not None and rate is None and not learning and ((data.x == 0) | (data.x == 1)).all():
        hint = f"leave it out, or draw spikes with --rate {RATE:g}"
        yield Diagnostic("bad-option", "--seed", f"{of}; 0 and 1 are read as they are, in each step", hint)


def shown(
    data: Data,
    source: Source,
    steps: int,
    rate: float | None = None,
    seed: int | None = None,
    *,
    learning: bool,
    where: str,
) -> Data:
    """The data as a network with that source reads them in so many steps: as `snncc learn` does.

    Static values become spikes at a `rate`, that of the greatest of them, unless the data say so already. If none is
    given it is `RATE` for a network that is `learning`; others read 0 and 1 as they are, in each step. Draws are of a
    `seed`, 0 if none is given.

    Raises CompileError: `bad-option` for a rate that is none, or that nothing is read at, and for a seed of which
    nothing is drawn, `bad-data` for values that
    cannot be read so.
    """
    check(idle(data, source, rate, seed, learning))
    settled = rate is None and data.coding is not None
    if settled or not becomes_spikes(source, data) or not len(data.x):
        return data
    if rate is None and not learning:
        if source.scale == 1.0 and not ((data.x == 0) | (data.x == 1)).all():
            message = "x holds static values other than 0 and 1, and this network reads spikes"
            hint = f"turn them into spikes with --rate {RATE:g}, or give x as (samples, steps, ...)"
            raise fault("bad-data", where, message, hint)
        return data
    rate, seed = RATE if rate is None else rate, seed or 0
    check((*rate_faults(rate), *seed_faults(seed), *range_faults(where, source, data)))
    unit = 1 if source.scale == 1.0 else source.scale
    return replace(data, coding=Coding(steps, rate, seed, brightest(data), np.arange(len(data.x)), unit))
