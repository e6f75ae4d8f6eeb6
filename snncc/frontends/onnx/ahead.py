"""Neurons that a file resets at the beginning of the next step: the same, with the reset at the end of its own step.

An unrolled file does not say where a step ends. Where spikes also come back through weights (Sinabs' recurrent layers),
the fewest values that a step can hand on are its spikes and the membrane before the reset, which then comes first.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from snncc.arrays import Array
from snncc.frontends.onnx.region import Node, Region
from snncc.frontends.onnx.verify import core, run_region


def reset_ahead(region: Region) -> Region | None:
    """The region with what it computes of last values alone computed a step earlier; None where nothing is left out."""
    following = {**dict(region.states), **region.feedback}
    early = _of_last_values(region, following)
    made = {name for node in early for name in node.outputs}
    own = {id(node) for node in early}
    rest = tuple(node for node in region.nodes if id(node) not in own)
    read = {*region.exports, *(name for node in rest for name in node.inputs)}
    handed = tuple(sorted(made & read))
    if not handed or made & {*region.exports, *following.values()} or not following.keys() - read:
        return None
    renamed = {**following, **{name: f"{name}#ahead" for name in made}}
    copies = (
        replace(
            node,
            inputs=tuple(renamed.get(name, name) for name in node.inputs),
            outputs=tuple(renamed[name] for name in node.outputs if name),
        )
        for node in early
    )
    states = tuple((name, later) for name, later in region.states if name in read)
    first = _first_values(region, early, following)
    return replace(
        region,
        nodes=(*rest, *copies),
        streams=tuple(name for name in region.streams if name in read),
        states=(*((name, renamed[name]) for name in handed), *states),
        initial={
            **{name: value for name, value in region.initial.items() if name in read},
            **{name: first[name] for name in handed if np.any(first[name])},
        },
        feedback={name: later for name, later in region.feedback.items() if name in read},
    )


def _of_last_values(region: Region, following: dict[str, str]) -> list[Node]:
    """The nodes that read nothing of this step."""
    known, found = {*following, *region.constants}, list[Node]()
    for node in region.nodes:
        names = [name for name in node.inputs if name]
        if known.issuperset(names) and not region.constants.keys() >= set(names):
            known.update(node.outputs)
            found.append(node)
    return found


def _first_values(region: Region, early: list[Node], following: dict[str, str]) -> dict[str, Array]:
    """What these nodes compute of the values before the first step."""
    given = {
        name: np.broadcast_to(region.initial.get(name, 0.0), core(region)).astype(np.float64) for name in following
    }
    return run_region(replace(region, nodes=tuple(early)), given, np.float64)
