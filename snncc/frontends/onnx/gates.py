"""Gates on spikes, as thresholds on sums: AND (a product), OR (a maximum, over a window too); and ops that do nothing.

With values 0 and 1, a and b is a + b > 1.5, and the maximum of some is their sum > 0.5: neurons without a memory.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from snncc.arrays import Array
from snncc.diagnostics import CompileError, fault
from snncc.frontends.onnx.region import Node

MAXIMA = frozenset({"MaxPool", "GlobalMaxPool", "ReduceMax"})
_SUMS = {"MaxPool": "LpPool", "GlobalMaxPool": "GlobalAveragePool", "ReduceMax": "ReduceSum"}


@dataclass(frozen=True, eq=False)
class Gate:
    """Nodes that compute the same with sums and one comparison, and the constants that they read."""

    nodes: tuple[Node, ...]
    constants: Mapping[str, Array]


def gate(node: Node, streams: Sequence[str], binary: Callable[[str], bool]) -> Gate | None:
    """The node as a gate, if all streams that it reads are spikes and it is one."""
    if not streams or not all(map(binary, streams)):
        return None
    two = len(node.inputs) == len(streams) == 2 and node.inputs[0] != node.inputs[1]
    total = f"{node.outputs[0]}#total"
    if node.op in ("Mul", "Min", "Max") and two:
        added = Node("Add", node.name, node.inputs, (total,), {})
        return _threshold(node, (added,), 0.5 if node.op == "Max" else 1.5)
    if node.op not in MAXIMA or any(node.outputs[1:]):
        return None
    attributes = {name: value for name, value in node.attributes.items() if name != "storage_order"}
    if node.op == "MaxPool":
        attributes["p"] = 1
    summed = replace(node, op=_SUMS[node.op], outputs=(total,), attributes=attributes)
    return _threshold(node, (summed,), 1e-9 if node.op == "GlobalMaxPool" else 0.5)


def _threshold(node: Node, before: tuple[Node, ...], edge: float) -> Gate:
    total, wanted, fired = (f"{node.outputs[0]}#{each}" for each in ("total", "edge", "fired"))
    compared = Node("Greater", node.name, (total, wanted), (fired,), {})
    cast = Node("Cast", node.name, (fired,), node.outputs[:1], {"to": 1})
    return Gate((*before, compared, cast), {wanted: np.array(edge, np.float32)})


def no_gate(node: Node) -> CompileError:
    """Why a maximum of other values than spikes is no gate."""
    message = f"{node.op} takes the largest of values that are not spikes of 0 and 1"
    hint = "put it behind the neurons, where it is an OR of spikes, or use average pooling"
    return fault("analog-maximum", node.name, message, hint)


def unchanged_by(node: Node, makers: Mapping[str, Node], positive: Collection[str]) -> str | None:
    """The input that an op returns as it is: |x| and relu(x) of what is never negative, sign(x) |x|."""
    if node.op in ("Abs", "Relu") and node.inputs[0] in positive:
        return node.inputs[0]
    made = [makers.get(name) for name in node.inputs]
    if node.op == "Mul" and len(made) == 2 and all(made):
        ops = {each.op: each.inputs[0] for each in made if each is not None}
        if ops.keys() == {"Sign", "Abs"} and ops["Sign"] == ops["Abs"]:
            return ops["Abs"]
    return None


def unchanged(node: Node, constants: Mapping[str, Array]) -> str | None:
    """The input that an op returns as it is: times 1, plus 0, the sum of one."""
    if len(node.inputs) == 1 and node.op in ("Sum", "Mean", "Max", "Min"):
        return node.inputs[0]
    if len(node.inputs) != 2 or len(constants) != 1 or node.op not in ("Add", "Sub", "Mul", "Div", "Pow"):
        return None
    (name, value), (left, right) = next(iter(constants.items())), node.inputs
    if name == left and node.op in ("Sub", "Div"):
        return None
    if node.op == "Pow":
        return left if name == right and (value == 1).all() else None
    neutral = 0 if node.op in ("Add", "Sub") else 1
    return (right if name == left else left) if (value == neutral).all() else None
