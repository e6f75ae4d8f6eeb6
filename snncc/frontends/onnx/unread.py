"""Neurons whose spikes nothing reads: where a membrane is read out, and a spike only resets it a step later.

Such a file never compares the new membrane with the threshold, only the last one (snnTorch's Leaky, with `mem` as what
the network puts out). The comparison is written out here for the new one, so that there are spikes to be recognised.
"""

from __future__ import annotations

from dataclasses import replace

from snncc.frontends.onnx.region import Node, Region
from snncc.frontends.onnx.step import COMPARING


def with_unread_spikes(region: Region) -> Region | None:
    """The region with what it computes of its states alone computed of their next values too; None without any."""
    following = dict(region.states)
    known = {*following, *region.constants}
    copies: list[Node] = []
    for node in region.nodes:
        read = [name for name in node.inputs if name]
        if not known.issuperset(read) or all(name in region.constants for name in read):
            continue
        known.update(node.outputs)
        renamed = {name: f"{name}#now" for name in node.outputs}
        copies.append(
            replace(
                node,
                inputs=tuple(following.get(name, name) for name in node.inputs),
                outputs=tuple(renamed[name] for name in node.outputs),
            )
        )
        following.update(renamed)
    if not any(node.op in COMPARING for node in copies):
        return None
    return replace(region, nodes=(*region.nodes, *copies))
