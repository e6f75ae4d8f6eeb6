"""Writes the artefact for tinyODIN: SPI writes, memory images, the layout for a host, a driver and a README."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from snncc.arrays import Array
from snncc.backends.templates import fill
from snncc.backends.tinyodin.layout import NAME, Layout, config, layout, written
from snncc.backends.tinyodin.programming import neuron_words, program, synapse_words
from snncc.chip import Chip
from snncc.events.cascade import MOST_EVENTS, cascades
from snncc.events.ops import EventNetwork, crossbar


def emit(title: str, network: EventNetwork, chip: Chip, steps: int | None) -> Mapping[str, bytes]:
    """The artefact's files by relative path; the same network gives the same bytes."""
    assert chip.crossbar
    plan, memories = layout(network, chip.crossbar, title, steps), config(network)
    writes = "".join(f"{address:05X} {data:05X}\n" for address, data in program(memories))
    return {
        "spi.hex": writes.encode(),
        "neurons.hex": _image(neuron_words(memories.neurons)),
        "synapses.hex": _image(synapse_words(memories.weights)),
        NAME: written(plan),
        "driver.py": fill("snncc.backends.tinyodin", "driver.py.j2").encode(),
        "README.md": _readme(plan, network, chip).encode(),
    }


def _image(words: Array) -> bytes:
    return "".join(f"{word:08x}\n" for word in words.tolist()).encode()


def _readme(plan: Layout, network: EventNetwork, chip: Chip) -> str:
    assert chip.crossbar
    matrix = crossbar(network)
    populations = [
        {
            "name": _plain(name),
            "first": part.start,
            "last": part.stop - 1,
            "threshold": _range(matrix.threshold[part]),
            "leak": _range(matrix.leak[part]),
        }
        for name, part in matrix.parts.items()
    ]
    text = fill(
        "snncc.backends.tinyodin",
        "README.md.j2",
        title=_plain(plan.title),
        chip=_plain(chip.name),
        neurons=matrix.neurons,
        channels=plan.channels,
        always=plan.always,
        first_channel=plan.first_channel,
        populations=populations,
        leaks=plan.leaks,
        reset_events=plan.reset.events,
        spi_cycles=plan.spi_cycles,
        queue=int(chip.crossbar.queue.value),
        bound=cascades(matrix).most,
        most_counted=MOST_EVENTS,
    )
    return "\n".join(line.rstrip() for line in text.rstrip().splitlines()) + "\n"


def _plain(name: str) -> str:
    """A name of the model, without what Markdown or a terminal would act on."""
    return "".join(each if each.isalnum() or each in " ./_-:" else "_" for each in name)


def _range(values: Array) -> str:
    low, high = int(np.min(values)), int(np.max(values))
    return f"{low}" if low == high else f"{low}..{high}"
