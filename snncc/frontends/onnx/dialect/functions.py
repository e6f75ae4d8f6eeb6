"""What each op of the dialect computes, in standard ONNX ops: the functions that a file carries with it.

Values travel as doubles of shape (batch, *shape); convolutions are computed in floats, as ONNX Runtime has no others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from onnx import helper
from onnx.onnx_ml_pb2 import AttributeProto, FunctionProto, NodeProto, TensorProto

DOMAIN = "ai.snncc"
OPSET = 17  # the first in which ONNX Runtime has all that is used here for doubles
_SHAPES = ("in_shape", "shape")


@dataclass(eq=False)
class Body:
    """The nodes of a function in the making; every method gives the name of what it adds, `to` if that is given."""

    nodes: list[NodeProto] = field(default_factory=list[NodeProto])

    def add(self, op: str, *inputs: str, to: str = "", **attributes: Any) -> str:
        name = to or f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [name], **attributes))
        return name

    def cast(self, name: str, kind: int, to: str = "") -> str:
        self.add("Cast", name, to=to)
        self.nodes[-1].attribute.append(helper.make_attribute("to", kind))
        return self.nodes[-1].output[0]

    def number(self, value: float) -> str:
        return self.add("Constant", value=helper.make_tensor("value", TensorProto.DOUBLE, [], [value]))

    def double(self, name: str) -> str:
        return self.cast(name, TensorProto.DOUBLE)

    def referring(self, op: str, inputs: Sequence[str], to: str = "", **references: str) -> str:
        """A node whose attributes are those of the call: `references` maps each to the call's."""
        name = self.add(op, *inputs, to=to)
        for own, outer in references.items():
            kind = AttributeProto.INT if own in ("group", "value_int") else AttributeProto.INTS
            self.nodes[-1].attribute.append(AttributeProto(name=own, ref_attr_name=outer, type=kind))
        return name

    def reshaped(self, x: str, attribute: str, to: str = "") -> str:
        """x with the shape that an attribute of the call gives, behind the batch axis."""
        batch = self.add("Constant", value_ints=[-1])
        own = self.referring("Constant", [], value_ints=attribute)
        return self.add("Reshape", x, self.add("Concat", batch, own, axis=0), to=to)


def function(
    name: str, inputs: Sequence[str], outputs: Sequence[str], body: Body, attributes: Sequence[str]
) -> FunctionProto:
    """An op of the dialect; `body` makes its outputs out of its inputs."""
    opsets = [helper.make_opsetid("", OPSET)]
    return helper.make_function(DOMAIN, name, inputs, outputs, body.nodes, opsets, attributes)


def layer_functions() -> dict[str, FunctionProto]:
    """The functions of all layers but neurons, by name."""
    made = (_identity("Input", ("shape", "events")), _identity("Output", ("shape", "value", "when", "decoder")))
    made += (_affine("Linear", False), _affine("Affine", True), _conv("Conv2dLinear", False), _conv("Conv2d", True))
    made += (_sum_pool(), _scale(), _reshape(), _rearrange())
    return {each.name: each for each in made}


def _identity(name: str, attributes: Sequence[str]) -> FunctionProto:
    body = Body()
    if name == "Input":
        body.cast("x", TensorProto.DOUBLE, to="y")
    else:
        body.add("Identity", "x", to="y")
    return function(name, ["x"], ["y"], body, attributes)


def _affine(name: str, biased: bool) -> FunctionProto:
    body = Body()
    x = body.add("Flatten", "x", axis=1)
    weight = body.add("Transpose", body.double("weight"), perm=[1, 0])
    y = body.add("MatMul", x, weight)
    y = body.add("Add", y, body.double("bias")) if biased else y
    body.reshaped(y, "shape", to="y")
    return function(name, ["x", "weight", *["bias"] * biased], ["y"], body, ["shape"])


def _conv(name: str, biased: bool) -> FunctionProto:
    body = Body()
    x = body.cast(body.reshaped("x", "in_shape"), TensorProto.FLOAT)
    weight = body.cast("weight", TensorProto.FLOAT)
    settings = {"strides": "stride", "pads": "padding", "dilations": "dilation", "group": "groups"}
    y = body.double(body.referring("Conv", [x, weight], **settings))
    if biased:
        per_channel = body.add("Unsqueeze", body.double("bias"), body.add("Constant", value_ints=[1, 2]))
        y = body.add("Add", y, per_channel)
    body.reshaped(y, "shape", to="y")
    attributes = (*_SHAPES, "stride", "padding", "dilation", "groups")
    return function(name, ["x", "weight", *["bias"] * biased], ["y"], body, attributes)


def _sum_pool() -> FunctionProto:
    """A convolution of each channel with ones."""
    body = Body()
    x = body.cast(body.reshaped("x", "in_shape"), TensorProto.FLOAT)
    window = body.referring("Constant", [], value_ints="kernel")
    channels = body.referring("Constant", [], value_ints="channels")
    shape = body.add("Concat", channels, body.add("Constant", value_ints=[1]), window, axis=0)
    one = helper.make_tensor("value", TensorProto.FLOAT, [1], [1.0])
    weight = body.add("ConstantOfShape", shape, value=one)
    y = body.referring("Conv", [x, weight], strides="stride", pads="padding", group="groups")
    y = body.add("Mul", body.double(y), body.double("scale"))
    body.reshaped(y, "shape", to="y")
    attributes = (*_SHAPES, "kernel", "stride", "padding", "channels", "groups")
    return function("SumPool2d", ["x", "scale"], ["y"], body, attributes)


def _scale() -> FunctionProto:
    body = Body()
    x = body.reshaped("x", "shape")
    y = body.add("Mul", x, body.double("scale"))
    body.add("Add", y, body.double("shift"), to="y")
    return function("Scale", ["x", "scale", "shift"], ["y"], body, ["shape"])


def _reshape() -> FunctionProto:
    body = Body()
    body.reshaped("x", "shape", to="y")
    return function("Reshape", ["x"], ["y"], body, ["shape"])


def _rearrange() -> FunctionProto:
    """Position -1 is the last one, a zero that is put behind the values."""
    body = Body()
    x = body.add("Flatten", "x", axis=1)
    pads = body.add("Constant", value_ints=[0, 0, 0, 1])
    y = body.add("Gather", body.add("Pad", x, pads), "index", axis=1)
    body.reshaped(y, "shape", to="y")
    return function("Rearrange", ["x", "index"], ["y"], body, ["shape"])
