"""Random event-driven networks as tinyODIN can hold them, and the artefacts of such networks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from snncc import chip as chips
from snncc.backends.tinyodin.emit import emit
from snncc.events.cascade import cascades
from snncc.events.ops import EventNetwork, EventPopulation, crossbar
from snncc.integers import Register
from tests.events.random_networks import Case, cases

CHIP = chips.load("tinyodin")


@st.composite
def fitting(draw: Any) -> Case:
    """A case whose registers are those of the chip and whose queue cannot overflow."""
    case = draw(cases(most=20).filter(_fits))
    ops = {
        name: replace(op, register=Register(-2048, 2047)) if isinstance(op, EventPopulation) else op
        for name, op in case.network.ops.items()
    }
    return Case(EventNetwork(ops, case.network.edges), case.x, case.lengths)


def _fits(case: Case) -> bool:
    matrix = crossbar(case.network)
    return cascades(matrix).most <= 128 and bool((np.abs(matrix.weights + 0.5) < 8).all())


def written(network: EventNetwork, folder: Path, steps: int | None = None) -> Path:
    """The artefact of a network."""
    for name, content in emit("random", network, CHIP, steps).items():
        (folder / name).write_bytes(content)
    return folder
