"""Ops that make sense, put where they mostly make none: they pass the checks of form and reach what lies behind."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import numpy as np
import onnx
from onnx import ModelProto, helper, numpy_helper

SHAPES = ((), (1,), (5,), (1, 5), (3, 1, 1), (1, 4, 1, 1), (2, 3), (1, 1, 1), (0,))
_Made = tuple[list[onnx.NodeProto], list[onnx.TensorProto]]


def insert_op(model: ModelProto, rng: random.Random) -> None:
    """Between a tensor and one of its readers, or all of them, or an output of the model."""
    nodes = [each for each in model.graph.node if each.input]
    if not nodes:
        return
    reader = rng.choice(nodes)
    place = rng.randrange(len(reader.input))
    source, result = reader.input[place], f"made_{rng.randrange(1 << 30)}"
    if not source:
        return
    made, constants = rng.choice(_MAKERS)(source, result, rng)
    at = list(model.graph.node).index(reader)
    if rng.random() < 0.3:
        for node in model.graph.node:
            node.input[:] = [result if name == source else name for name in node.input]
    else:
        reader.input[place] = result
    for node in reversed(made):
        model.graph.node.insert(at, node)
    model.graph.initializer.extend(constants)


def join(model: ModelProto, rng: random.Random) -> None:
    """A sum, product, comparison or concatenation of two tensors of the model."""
    tensors = [name for node in model.graph.node for name in (*node.input, *node.output) if name]
    tensors += [each.name for each in model.graph.input]
    readers = [each for each in model.graph.node if each.input]
    if not tensors or not readers:
        return
    op = rng.choice(["Add", "Add", "Sub", "Mul", "Div", "Max", "Min", "Concat", "MatMul", "Greater", "Where"])
    result = f"joined_{rng.randrange(1 << 30)}"
    inputs = rng.sample(tensors * 3, 3 if op == "Where" else 2)
    attributes = {"axis": rng.choice([0, 1, -1])} if op == "Concat" else {}
    reader = rng.choice(readers)
    model.graph.node.insert(rng.randrange(len(model.graph.node)), helper.make_node(op, inputs, [result], **attributes))
    reader.input[rng.randrange(len(reader.input))] = result


def add_output(model: ModelProto, rng: random.Random) -> None:
    """Any tensor as one more output, which may make it a next state."""
    names = [name for node in model.graph.node for name in node.output if name]
    if names:
        model.graph.output.append(helper.make_tensor_value_info(rng.choice(names), 1, None))


def add_state(model: ModelProto, rng: random.Random) -> None:
    """One more input, which some node reads: a second input of data, or a state."""
    readers = [each for each in model.graph.node if each.input]
    if not readers:
        return
    name = f"{rng.choice(['state', 'mem', 'x'])}_{rng.randrange(9)}"
    shape = rng.choice([(1, 5), (1, 1, 5), (1, 3, 12), (1,), (1, 0)])
    model.graph.input.append(helper.make_tensor_value_info(name, 1, shape))
    reader = rng.choice(readers)
    reader.input[rng.randrange(len(reader.input))] = name
    if rng.random() < 0.5:
        add_output(model, rng)


def _constant(values: object, rng: random.Random) -> tuple[str, list[onnx.TensorProto]]:
    name = f"constant_{rng.randrange(1 << 30)}"
    return name, [numpy_helper.from_array(np.asarray(values), name)]


def _arithmetic(source: str, result: str, rng: random.Random) -> _Made:
    values = np.random.default_rng(rng.randrange(1 << 30)).normal(size=rng.choice(SHAPES)).astype(np.float32)
    values *= np.float32(rng.choice([0.0, 1e-6, 0.5, 1.0, 2.0, 1e6]))
    name, constants = _constant(values, rng)
    op = rng.choice(["Add", "Sub", "Mul", "Div", "Max", "Min", "Pow", "Mod", "PRelu"])
    inputs = [source, name] if rng.random() < 0.8 else [name, source]
    return [helper.make_node(op, inputs, [result])], constants


def _elementwise(source: str, result: str, rng: random.Random) -> _Made:
    op = rng.choice(["Neg", "Abs", "Identity", "Relu", "Sign", "Floor", "Ceil", "Round", "Exp", "Sqrt", "Reciprocal"])
    return [helper.make_node(op, [source], [result])], []


def _clip(source: str, result: str, rng: random.Random) -> _Made:
    low, first = _constant(np.float32(rng.choice([-1e30, -1, 0, 0.5])), rng)
    high, second = _constant(np.float32(rng.choice([0, 1, 1e30])), rng)
    inputs = [source, rng.choice([low, ""]), rng.choice([high, ""])]
    return [helper.make_node("Clip", inputs, [result])], first + second


def _spike(source: str, result: str, rng: random.Random) -> _Made:
    threshold, constants = _constant(np.float32(rng.choice([-1, 0, 0.5, 1])), rng)
    op = rng.choice(["Greater", "GreaterOrEqual", "Less", "LessOrEqual"])
    cast = helper.make_node("Cast", [f"{result}_is"], [result], to=rng.choice([1, 1, 1, 7, 11]))
    return [helper.make_node(op, [source, threshold], [f"{result}_is"]), cast], constants


def _moved(op: str, *options: Sequence[int], **attributes: int) -> Callable[[str, str, random.Random], _Made]:
    """An op that moves values, with one of these for its second input."""

    def make(source: str, result: str, rng: random.Random) -> _Made:
        name, constants = _constant(np.array(rng.choice(options), np.int64), rng)
        return [helper.make_node(op, [source, name], [result], **attributes)], constants

    return make


def _transpose(source: str, result: str, rng: random.Random) -> _Made:
    order = rng.choice([[1, 0], [0, 2, 1], [0, 1, 3, 2], [0, 3, 2, 1], [0, 1]])
    return [helper.make_node("Transpose", [source], [result], perm=order)], []


def _slice(source: str, result: str, rng: random.Random) -> _Made:
    names: list[str] = []
    constants: list[onnx.TensorProto] = []
    for options in ([[0], [1], [-2]], [[1], [4], [1 << 40]], [[0], [1], [-1]], [[1], [2], [-1]]):
        name, made = _constant(np.array(rng.choice(options), np.int64), rng)
        names.append(name)
        constants += made
    return [helper.make_node("Slice", [source, *names], [result])], constants


def _twice(source: str, result: str, rng: random.Random) -> _Made:
    """A concatenation with itself, cut in two again, or not."""
    axis = rng.choice([0, 1, 2, -1])
    joined = helper.make_node(
        "Concat", [source, source], [result if rng.random() < 0.4 else f"{result}_both"], axis=axis
    )
    if joined.output[0] == result:
        return [joined], []
    return [joined, helper.make_node("Split", [f"{result}_both"], [result, f"{result}_rest"], axis=axis)], []


def _pool(source: str, result: str, rng: random.Random) -> _Made:
    attributes = {"kernel_shape": rng.choice([[2, 2], [2], [1, 3]]), "pads": rng.choice([None, [1, 0, 1, 0], [1, 1]])}
    op = rng.choice(["AveragePool", "MaxPool", "LpPool"])
    given = {key: value for key, value in attributes.items() if value}
    return [helper.make_node(op, [source], [result], **given)], []


def _linear(source: str, result: str, rng: random.Random) -> _Made:
    kind, own = rng.choice(["Gemm", "MatMul", "Conv"]), np.random.default_rng(rng.randrange(1 << 30))
    shape = (
        rng.choice([(5, 5), (12, 12), (3, 5)]) if kind != "Conv" else rng.choice([(3, 3, 1), (4, 1, 3), (2, 2, 3, 3)])
    )
    name, constants = _constant(own.normal(size=shape).astype(np.float32), rng)
    attributes = {"group": rng.choice([1, 1, 4])} if kind == "Conv" else {}
    return [helper.make_node(kind, [source, name], [result], **attributes)], constants


_MAKERS: tuple[Callable[[str, str, random.Random], _Made], ...] = (
    *(_arithmetic, _arithmetic, _elementwise, _clip, _spike, _transpose, _slice, _twice, _pool, _linear),
    _moved("Reshape", (1, -1), (-1,), (0, -1, 1), (1, 5), (1, 1, -1), (0, 0, -1)),
    _moved("Unsqueeze", (0,), (1,), (-1,), (0, 1)),
    _moved("Squeeze", (0,), (1,), (-1,)),
    _moved("Expand", (1, 5), (2, 1), (1, 1, 5), (3, 1, 1)),
    _moved("Tile", (1, 2), (1, 1), (2, 1), (1, 1, 2)),
    _moved("Gather", (0,), (1, 0), (0, 0, 0), (-1,), axis=1),
    _moved("Pad", (0, 0, 0, 1), (0, 1, 0, 1), (0, 0, 0, -1), (0, 0, 1, 0, 0, 1)),
    _moved("ReduceSum", (1,), (-1,), (2, 3), keepdims=1),
    _moved("ReduceMean", (1,), (-1,), (2, 3), keepdims=0),
    _moved("CumSum", (), (1,)),
)
