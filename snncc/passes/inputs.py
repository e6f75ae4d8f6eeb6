"""The network's input as integers, and the calibration samples that it is chosen on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from snncc.arrays import Array
from snncc.chip import Chip
from snncc.diagnostics import Diagnostic
from snncc.graph import Graph
from snncc.integers import Source
from snncc.layers import Input, Layer
from snncc.passes.grids import exact_step

_RATIOS = tuple(1.0 - part / 20 for part in range(12))  # of the largest value: where saturation may begin
_VALUES = 1 << 20  # that are looked at, about
_PARTS = 1 << 20  # of the largest value, in which errors are whole numbers: their sum is the same on every machine


@dataclass(frozen=True, eq=False)
class Samples:
    """Calibration inputs in floats: `x` (samples, steps, *shape), or (samples, *shape) for a static input.

    `lengths` (samples,) is each sample's own number of steps.
    """

    x: Array
    lengths: Array | None = None

    def some(self, most: int) -> Samples:
        """At most so many samples, evenly spread over all: files are often sorted by class."""
        if len(self.x) <= most:
            return self
        chosen = np.arange(most) * len(self.x) // most
        return Samples(self.x[chosen], None if self.lengths is None else self.lengths[chosen])


def source_for(layer: Input, chip: Chip, samples: Samples | None) -> Source:
    """The integer input: spikes as they are, values on a grid exactly, others up to the samples' largest.

    Values on a grid get no more bits than their largest needs. Without samples |x| <= 1 is assumed.
    """
    if layer.events:
        return Source(layer.shape)
    if samples is None:
        return Source(layer.shape, chip.input.bits, chip.input.signed, 1.0 / _most(chip, chip.input.signed))
    signed = bool((samples.x < 0).any())
    largest = float(np.abs(samples.x).max(initial=0.0)) or 1.0
    step = exact_step(samples.x, _most(chip, signed))
    if step is None:
        return Source(layer.shape, chip.input.bits, signed, _nearest_step(samples.x, largest, _most(chip, signed)))
    return Source(layer.shape, max(1, round(largest / step).bit_length()) + signed, signed, step)


def _nearest_step(x: Array, largest: float, most: int) -> float:
    """The step of which multiples up to `most` are nearest to the values: clipping a few may spare many a rounding."""
    flat = x.reshape(-1)
    parts = np.abs(flat[:: max(1, flat.size // _VALUES)].astype(np.float64)) * (_PARTS / largest)

    def error(ratio: float) -> int:
        step = ratio * _PARTS / most
        return int(np.square(np.rint(np.minimum(np.rint(parts / step), most) * step - parts).astype(np.int64)).sum())

    return min(_RATIOS, key=error) * largest / most


def _most(chip: Chip, signed: bool) -> int:
    return (1 << max(1, chip.input.bits - signed)) - 1


def assumptions(graph: Graph[Layer], samples: Samples | None) -> Iterator[Diagnostic]:
    """Warns of what quantisation takes for granted where there are no samples."""
    for name, layer in graph.of_kind(Input).items():
        if samples is None and not layer.events:
            yield Diagnostic(
                "assumed-input-range",
                name,
                "there are no samples, so its values are taken to lie in -1..1; others saturate",
                "give --samples, a file of inputs from the training data",
                "warning",
            )


def input_faults(
    name: str, layer: Input, chip: Chip, samples: Samples | None, steps: int | None
) -> Iterator[Diagnostic]:
    """Why samples cannot be used, or the input cannot be given to the chip."""
    if samples is None:
        if not layer.events and chip.input.bits == 1:
            yield _ungraded(name, chip)
        return
    x, wanted = samples.x, ", ".join(map(str, layer.shape))
    if x.shape[1:] != layer.shape and x.shape[2:] != layer.shape:
        message = f"x has shape {x.shape}; {name} needs (samples, {wanted}) or (samples, steps, {wanted})"
        yield Diagnostic("bad-samples", "--samples", message, "reshape x; `snncc check` shows the network's input")
        return
    if len(x) == 0 or x.size == 0:
        yield Diagnostic("bad-samples", "--samples", "x holds no sample")
    elif x.dtype.kind not in "biuf" or not np.isfinite(x).all():
        yield Diagnostic("bad-samples", "--samples", "x holds values that are not finite numbers")
    else:
        yield from _value_faults(name, layer, chip, x)
    if x.shape[1:] == layer.shape and steps is None:
        message = "x is static, and the number of steps is not known"
        yield Diagnostic("bad-samples", "--samples", message, "give --steps N, or x as (samples, steps, ...)")
    if samples.lengths is not None and samples.lengths.shape != (len(x),):
        message = f"lengths has shape {samples.lengths.shape}; it must be ({len(x)},)"
        yield Diagnostic("bad-samples", "--samples", message)


def _value_faults(name: str, layer: Input, chip: Chip, x: Array) -> Iterator[Diagnostic]:
    spikes = bool(((x == 0) | (x == 1)).all())
    if layer.events and not spikes:
        hint = "turn static values into spikes: --rate 0.25" if x.shape[1:] == layer.shape else ""
        yield Diagnostic("bad-samples", "--samples", f"{name} takes spikes; x holds values other than 0 and 1", hint)
    elif chip.input.bits == 1 and not spikes:
        yield _ungraded(name, chip)
    elif not chip.input.signed and (x < 0).any():
        message = f"x holds negative values, down to {float(x.min()):g}; {chip.name} takes none"
        yield Diagnostic("signed-input", name, message, "shift the data in training, or choose another target")


def _ungraded(name: str, chip: Chip) -> Diagnostic:
    return Diagnostic(
        "graded-input",
        name,
        f"its values are graded; {chip.name} takes spikes only",
        "train with an input that is encoded as spikes, or choose another target",
    )
