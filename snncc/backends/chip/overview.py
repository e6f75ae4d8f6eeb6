"""Describes a program to people: its README, and what lies on every core."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from snncc.arrays import Array
from snncc.backends.chip.image import FORMS, Image
from snncc.backends.templates import fill
from snncc.chip import Mesh
from snncc.integers import Population, Source
from snncc.layers import size
from snncc.mapping import cores_of, tile_of

_LONGEST = 60


def text(name: str) -> str:
    """A name for people: printable ASCII without anything that Markdown could act on."""
    plain = re.sub(r"[^A-Za-z0-9 ._/:+,=#-]", "_", name[:_LONGEST])
    return plain + ("..." if len(name) > _LONGEST else "")


def readme(image: Image) -> str:
    """What the files of the artefact are, and how to read them."""
    (source,) = (each.op for each in image.senders if isinstance(each.op, Source))
    homes = [each.cores for each in image.senders if each.cores is not None]
    return fill(
        "snncc.backends.chip",
        "README.md.j2",
        title=text(image.title),
        chip=text(image.chip),
        cores=f"{len(np.unique(np.concatenate([np.zeros(0, np.int32), *homes]))):,}",
        all_cores=f"{cores_of(image.mesh):,}",
        neurons=f"{sum(map(len, homes)):,}",
        source=source,
        size=f"{size(source.shape):,}",
        readouts=[(text(each.name), text(image.senders[each.reads].name), each.op) for each in image.readouts],
    )


def cores_text(image: Image) -> str:
    """The program core by core: its neurons, what sends to them, and what it stores for that."""
    lines = [f"{text(image.title)} on {text(image.chip)}", ""]
    for core in range(cores_of(image.mesh)):
        inside = _neurons(image, core)
        if inside:
            lines += [f"core {core}, tile {_tile(core, image.mesh)}", *inside, *_axons(image, core), ""]
    hosted = [each for each in image.senders if each.cores is None]
    lines += ["host", *(f"  {text(each.name)}: {size(each.op.shape):,} values" for each in hosted)]
    return "\n".join(lines) + "\n"


def _tile(core: int, mesh: Mesh) -> str:
    column, row = tile_of(core, mesh)
    return f"column {column} row {row}"


def _neurons(image: Image, core: int) -> list[str]:
    lines: list[str] = []
    for sender in image.senders:
        if sender.cores is not None and isinstance(sender.op, Population):
            (own,) = np.nonzero(sender.cores == core)
            if len(own):
                fan = np.diff(sender.start)[own]
                least, most = int(fan.min()), int(fan.max())
                sends = f"{most:,}" if least == most else f"{least:,} to {most:,}"
                lines.append(f"  {text(sender.name)}: {len(own):,} neurons ({_ranges(own)}), sending to {sends} cores")
    return lines


def _ranges(numbers: Array) -> str:
    """Ascending numbers as ranges, the first few of them."""
    breaks = np.flatnonzero(np.diff(numbers) > 1)
    first, last = numbers[np.append(0, breaks + 1)], numbers[np.append(breaks, len(numbers) - 1)]
    shown = [f"{a}" if a == b else f"{a}-{b}" for a, b in zip(first[:4].tolist(), last[:4].tolist(), strict=True)]
    return ", ".join(shown) + (", ..." if len(first) > 4 else "")


def _axons(image: Image, core: int) -> Iterator[str]:
    """What leads to a core, and its blocks, by group and form."""
    blocks = image.blocks
    low, high = int(image.starts[image.axons[core]]), int(image.starts[image.axons[core + 1]])
    yield f"  {int(image.axons[core + 1] - image.axons[core]):,} axons"
    for number in np.unique(blocks.group[low:high]).tolist():
        group = image.groups[number]
        own = low + np.flatnonzero(blocks.group[low:high] == number)
        delays = blocks.delay[own]
        steps = f"delay {delays.min()}" if delays.min() == delays.max() else f"delays {delays.min()} to {delays.max()}"
        between = f"{text(image.senders[group.source].name)} to {text(image.senders[group.target].name)}"
        yield f"  {text(group.name)}: {between}, weights of {group.width} bits << {group.exponent}, {steps}"
        for form in np.unique(blocks.form[own]).tolist():
            part = own[blocks.form[own] == form]
            synapses, words = int(blocks.synapses[part].sum()), int(blocks.words[part].sum(dtype=np.int64))
            yield f"    {len(part):,} {FORMS[form]} blocks: {synapses:,} synapses, read in {words:,} words"
