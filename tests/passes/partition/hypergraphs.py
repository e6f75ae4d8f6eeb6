"""Random hypergraphs, and what a cut of one costs, counted net by net."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from snncc.arrays import Array, Floats
from snncc.passes.partition.atoms import Nets


def nets_of(lists: list[list[int]], weight: list[float] | None = None) -> Nets:
    start = np.cumsum([0, *map(len, lists)]).astype(np.int64)
    pins = np.array([pin for each in lists for pin in each], np.int32)
    return Nets(start, pins, np.array(weight if weight is not None else [1.0] * len(lists), np.float64))


def lists_of(nets: Nets) -> list[list[int]]:
    return [nets.pins[low:high].tolist() for low, high in zip(nets.start, nets.start[1:], strict=False)]


def cost(nets: Nets, part: Array) -> float:
    reached = (len({int(part[pin]) for pin in pins}) for pins in lists_of(nets))
    return sum(float(weight) * max(0, count - 1) for weight, count in zip(nets.weight, reached, strict=True))


@st.composite
def hypergraphs(draw: Any) -> tuple[Nets, Floats]:
    """Nets of up to eight pins among up to sixty vertices, most of them between neighbours; and sizes."""
    random = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    vertices = draw(st.integers(2, 60))
    lists: list[list[int]] = []
    for _ in range(draw(st.integers(1, 90))):
        centre, reach = int(random.integers(vertices)), int(random.integers(1, 9))
        spread = 3 if random.random() < 0.8 else vertices
        pins = (centre + random.integers(-spread, spread + 1, reach)) % vertices
        lists.append(list(dict.fromkeys([centre, *pins.tolist()])))
    unit = draw(st.sampled_from((1, 3)))
    sizes = random.integers(1, unit, vertices, endpoint=True) / draw(st.sampled_from((6, 10, 25)))
    return nets_of(lists, random.integers(1, 9, len(lists)).tolist()), sizes
