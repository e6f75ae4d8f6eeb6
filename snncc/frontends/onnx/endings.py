"""Ops at the very end of a network that leave the order of its scores alone, and so may be left out."""

from __future__ import annotations

from snncc.arrays import Shape
from snncc.diagnostics import Diagnostic
from snncc.frontends.onnx.attributes import integer
from snncc.frontends.onnx.region import Node

_ALONG_CLASSES = {"Softmax": -1, "LogSoftmax": -1, "ArgMax": 0}  # with the axis that each takes if it names none
MONOTONE = frozenset({*_ALONG_CLASSES, "Sigmoid"})


def left_out(node: Node) -> Diagnostic:
    """The warning that an op at the end is left out."""
    message = f"this {node.op} is left out: the output is what it reads, and the highest score stays the highest"
    return Diagnostic("last-activation", node.name, message, severity="warning")


def ranks_scores(node: Node, shape: Shape) -> bool:
    """Whether a node of these ops ranks scores of this shape along their one axis that has several values."""
    if node.op == "Sigmoid":
        return True
    if node.op not in MONOTONE or not shape:
        return False
    along = integer(node, "axis", _ALONG_CLASSES[node.op]) % len(shape)
    return all(size == 1 for axis, size in enumerate(shape) if axis != along)
