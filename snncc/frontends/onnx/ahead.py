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
    """The region with the one value that it computes of last values alone as its state in their place; None if none."""
    following = {**dict(region.states), **region.feedback}
    early = _of_last_values(region, following)
    makers = {node.outputs[0]: node for node in early}
    rest = [node for node in region.nodes if makers.get(node.outputs[0]) is not node]
    read = {*region.exports, *(name for node in rest for name in node.inputs)}
    handed = makers.keys() & read
    if len(handed) != 1 or makers.keys() & {*region.exports, *following.values()} or not following.keys() - read:
        return None
    (state,) = handed
    while len(inner := [name for name in makers[state].inputs if name not in region.constants]) == 1:
        if inner[0] not in makers:
            return None
        rest.insert(0, makers.pop(state))  # what only scales it may come after: a decay, say
        (state,) = inner
    renamed = {**following, **{name: f"{name}#ahead" for name in makers}}
    copies = [_renamed(node, renamed) for node in makers.values()]
    first = _first_values(region, list(makers.values()), following)[state]
    kept = {name: value for name, value in region.initial.items() if name in read}
    return replace(
        region,
        nodes=(*rest, *copies),
        streams=tuple(name for name in region.streams if name in read),
        states=((state, renamed[state]), *(pair for pair in region.states if pair[0] in read)),
        initial={**kept, **({state: first} if np.any(first) else {})},
        feedback={name: later for name, later in region.feedback.items() if name in read},
    )


def _renamed(node: Node, names: dict[str, str]) -> Node:
    inputs, outputs = (tuple(names.get(name, name) for name in each) for each in (node.inputs, node.outputs))
    return replace(node, inputs=inputs, outputs=outputs)


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
