"""Chips of many cores for tests: as large as a test wants them, every other limit out of the way."""

from __future__ import annotations

from dataclasses import replace

from snncc import chip as chips
from snncc.chip import Chip, Core, Delay, Figure, Mesh, Packing, Timing

PLENTY = 1 << 40


def figure(value: float) -> Figure:
    return Figure(value, assumed=True)


def mesh_chip(
    columns: int = 8,
    rows: int = 8,
    cores: int = 1,
    host: tuple[int, int] = (0, 0),
    *,
    neurons: int = PLENTY,
    synapse_words: int = PLENTY,
    axons_in: int = PLENTY,
    axons_out: int = PLENTY,
    routes: int | None = None,
    shares: bool = True,
) -> Chip:
    """The arithmetic of `host` on a mesh of cores; words of 64 bits, 16 of header and 10 of index.

    Without `shares` every synapse of a convolution is stored.
    """
    limits = (figure(each) for each in (neurons, synapse_words, axons_in, axons_out))
    one = {name: figure(1) for name in Timing.__annotations__ if name not in ("barrier", "barrier_source")}
    host_chip = chips.load("host")
    capabilities = tuple(each for each in host_chip.capabilities if shares or each != "convolution")
    return replace(
        host_chip,
        capabilities=capabilities,
        name="chip1",
        delay=Delay((1, 63)),
        mesh=Mesh(columns, rows, cores, host),
        core=Core(*limits, None if routes is None else figure(routes)),
        packing=Packing(64, figure(16), figure(10), figure(1)),
        timing=Timing(**one, barrier=((0, 1),)),
    )
