"""Rewrites nodes of older opsets, whose settings were attributes, in the form that all code here reads: as inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from snncc.arrays import Array
from snncc.diagnostics import fault
from snncc.frontends.onnx.attributes import bad_shape, integer, integers
from snncc.frontends.onnx.region import Node

# The inputs that an op has had since an opset, in their order; they were attributes of these names before.
_MOVED = {"Slice": (10, ("starts", "ends", "axes")), "Pad": (11, ("pads", "value"))}


def modern(node: Node, opset: int) -> tuple[Node, Mapping[str, Array]]:
    """The node as newer opsets write it, with the constants that it then reads."""
    if node.op == "BatchNormalization" and not integer(node, "spatial", 1):
        raise fault("unsupported-op", node.name, "normalises each value by itself, not each channel (spatial = 0)")
    since, names = _MOVED.get(node.op, (0, ()))
    if opset >= since:
        return node, {}
    if len(node.inputs) != 1:
        raise bad_shape(node, f"reads {len(node.inputs)} tensors, in a version that reads one")
    constants = {f"{node.outputs[0]}/{name}": value for name in names if (value := _value(node, name)) is not None}
    listed = tuple(f"{node.outputs[0]}/{name}" for name in names)
    inputs = tuple(name if name in constants else "" for name in listed)
    kept = {name: value for name, value in node.attributes.items() if name not in names}
    return replace(node, inputs=(*node.inputs, *inputs), attributes=kept), constants


def _value(node: Node, name: str) -> Array | None:
    if name == "value":
        return np.asarray(node.attributes.get("value", 0.0), np.float32)
    listed = integers(node, name)
    return None if listed is None else np.asarray(listed, np.int64)
