"""Keeps what a run leaves: outputs, spikes and membranes of the model's own steps, and the cycles of the chip's."""

from __future__ import annotations

import numpy as np

from snncc.arrays import Array, Ints
from snncc.backends.chip.image import Image
from snncc.integers import Population
from snncc.runner import Trace


class Tape:
    """Values are zero after a sample's own length. `cycles` (samples, steps of the chip) is what each step took."""

    def __init__(self, image: Image, lengths: Ints, steps: int, record: bool) -> None:
        populations = [each.op for each in image.senders if isinstance(each.op, Population)]
        self._image, self._lengths, self._steps = image, lengths, steps
        self.cycles = np.zeros((len(lengths), steps + max((each.start for each in populations), default=0)), np.int64)
        self._outputs = {each.name: self._room(each.reads) for each in image.readouts}
        kept = [number for number, each in enumerate(image.senders) if record and isinstance(each.op, Population)]
        self._spikes = {number: self._room(number) for number in kept}
        self._membranes = {number: self._room(number) for number in kept}

    def _room(self, number: int) -> Array:
        op = self._image.senders[number].op
        assert isinstance(op, Population)
        return np.zeros((len(self._lengths), self._steps, op.size), np.int64)

    def keep(
        self, rows: slice, number: int, model_step: int, now: int, spikes: Array, before: Array, after: Array
    ) -> None:
        """What a population did in step `now` of the chip: spikes, membrane before and after the reset."""
        if number in self._spikes:
            self._put(self._spikes[number], rows, model_step, spikes)
            self._put(self._membranes[number], rows, model_step, after)
        for readout in self._image.readouts:
            if readout.reads == number:
                membrane = before if readout.op.when == "before" else after
                value = spikes if readout.op.value == "spikes" else membrane
                self._put(self._outputs[readout.name], rows, now - readout.op.latency, value)

    def _put(self, kept: Array, rows: slice, step: int, value: Array) -> None:
        if 0 <= step < self._steps:
            live = (step < self._lengths[rows])[:, None]
            kept[rows, step] = np.where(live, value.reshape(len(value), -1), 0)

    def trace(self) -> Trace:
        """All of it, by name."""
        names = [each.name for each in self._image.senders]
        spikes = {names[number]: values for number, values in self._spikes.items()}
        membranes = {names[number]: values for number, values in self._membranes.items()}
        return Trace(dict(self._outputs), spikes, membranes)
