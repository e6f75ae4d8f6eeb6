"""Runs a region's nodes on decision trees instead of numbers, so that what it computes is known for every input."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce

import numpy as np

from snncc.arrays import Array
from snncc.frontends.onnx import elementwise
from snncc.frontends.onnx.affine import Affine, Form, Opaque
from snncc.frontends.onnx.forest import FALSE, TRUE, Forest, Leaf, Tree, leaf, leaves, names
from snncc.frontends.onnx.region import Node

Trees = dict[str, Tree]


def propagate(
    forest: Forest, nodes: Sequence[Node], constants: Mapping[str, Array], inputs: Mapping[str, Tree]
) -> Trees:
    """The tree of every tensor, given those of the streams and states."""
    trees: Trees = {name: leaf(value) for name, value in constants.items()}
    trees.update(inputs)
    dtypes = {name: value.dtype for name, value in constants.items()}
    for node in nodes:
        values = [trees[name] if name else None for name in node.inputs]
        _dropout_is_identity(node, [constants.get(name) for name in node.inputs])
        if node.op in _IDENTITIES:
            result = values[0]
            assert result is not None
        else:
            result = _apply(forest, node, values, [dtypes.get(name, _FLOAT) for name in node.inputs])
        named = [name for name in node.outputs if name]
        trees.update(dict.fromkeys(named, result))
        dtypes.update(dict.fromkeys(named, _result_type(node, dtypes)))
    return trees


_IDENTITIES = elementwise.SHAPE_OPS | {"Identity", "Dropout"}
_FLOAT = np.dtype(np.float32)
_DECISIONS = {"And", "Equal", "Greater", "GreaterOrEqual", "IsInf", "IsNaN", "Less", "LessOrEqual", "Not", "Or", "Xor"}


def _result_type(node: Node, dtypes: Mapping[str, np.dtype[np.generic]]) -> np.dtype[np.generic]:
    if node.op in _DECISIONS:
        return np.dtype(np.bool_)
    if node.op == "Cast":
        return elementwise.target_type(node)
    index = {"Where": 1, "CastLike": 1}.get(node.op, 0)
    return dtypes.get(node.inputs[index], _FLOAT)


def _dropout_is_identity(node: Node, constants: Sequence[Array | None]) -> None:
    if node.op == "Dropout":
        elementwise.evaluate(node, [np.zeros(()), *constants[1:]])


def _apply(forest: Forest, node: Node, values: Sequence[Tree | None], dtypes: Sequence[np.dtype[np.generic]]) -> Tree:
    present = [value for value in values if value is not None]
    if node.op == "Div" and all(dtype.kind in "iu" for dtype in dtypes):
        return _numeric(forest, node, present, np.int64)  # it truncates
    if node.op == "Clip":
        return _clip(forest, node, values)
    if node.op == "CastLike":
        return _convert(forest, present[0], dtypes[1])
    if node.op in _PLAIN:
        return _named(forest, node, _PLAIN[node.op](forest, *present))
    if node.op in _WITH_NODE:
        return _named(forest, node, _WITH_NODE[node.op](forest, node, *present))
    return _numeric(forest, node, present, np.float64)


def _numeric(forest: Forest, node: Node, values: Sequence[Tree], dtype: type[np.generic]) -> Tree:
    """An op that is not piecewise affine: its value where the inputs are constant, else opaque."""

    def function(*forms: Form) -> Tree:
        opaque = next((form for form in forms if isinstance(form, Opaque)), None)
        if opaque is not None:
            return Leaf(opaque)
        inputs = [form for form in forms if isinstance(form, Affine)]
        moving = {name: value for form in inputs for name, value in form.terms.items()}
        if moving:
            return Leaf(_nonlinear(node, inputs, moving))
        return leaf(elementwise.evaluate(node, [form.constant.astype(dtype) for form in inputs]).astype(np.float64))

    return forest.map(function, *values)


def _nonlinear(node: Node, inputs: Sequence[Affine], moving: Mapping[str, Array]) -> Opaque:
    of = names(Affine(np.zeros(()), moving))
    if node.op == "Pow" and not inputs[1].terms:
        return Opaque("nonlinear-neuron", f"node {node.name} raises {of} to the power {inputs[1].constant.flat[0]:g}")
    if node.op == "Div":
        return Opaque("nonlinear-neuron", f"node {node.name} divides by {names(inputs[1])}")
    return Opaque("nonlinear-neuron", f"node {node.name} takes {node.op} of {of}")


def _named(forest: Forest, node: Node, tree: Tree) -> Tree:
    """The tree with products of two variables blamed on the node that made them."""

    def blame(form: Form) -> Tree:
        if isinstance(form, Opaque) and not form.why.startswith("node "):
            return Leaf(Opaque(form.rule, f"node {node.name} {form.why}"))
        return Leaf(form)

    return forest.map(blame, tree) if any(isinstance(form, Opaque) for form in leaves(tree)) else tree


def _clip(forest: Forest, node: Node, values: Sequence[Tree | None]) -> Tree:
    tree, low, high = (*values, None, None)[:3]
    assert tree is not None
    attributes = elementwise.clip_bounds(node)
    if low is None and attributes[0] is not None:
        low = leaf(attributes[0])
    if high is None and attributes[1] is not None:
        high = leaf(attributes[1])
    tree = tree if low is None else forest.maximum(tree, low)
    return tree if high is None else _minimum(forest, tree, high)


def _minimum(forest: Forest, a: Tree, b: Tree) -> Tree:
    return forest.where(forest.greater(a, b), b, a)


def _subtract(forest: Forest, a: Tree, b: Tree) -> Tree:
    return forest.add(a, forest.scale(b, -1.0))


def _divide(forest: Forest, node: Node, a: Tree, b: Tree) -> Tree:
    if any(isinstance(form, Affine) and form.terms for form in leaves(b)):
        return _numeric(forest, node, [a, b], np.float64)
    return forest.multiply(a, _numeric(forest, Node("Reciprocal", node.name, (), ()), [b], np.float64))


def _slope(forest: Forest, tree: Tree, negative: Tree) -> Tree:
    return forest.where(_is_positive(forest, tree), tree, forest.multiply(tree, negative))


def _is_positive(forest: Forest, tree: Tree) -> Tree:
    return forest.map(forest.positive, tree)


def _is_negative(forest: Forest, tree: Tree) -> Tree:
    return _is_positive(forest, forest.scale(tree, -1.0))


def _nonzero(forest: Forest, tree: Tree) -> Tree:
    return forest.where(_is_positive(forest, tree), TRUE, _is_negative(forest, tree))


def _sign(forest: Forest, tree: Tree) -> Tree:
    return forest.where(_is_positive(forest, tree), TRUE, forest.scale(_is_negative(forest, tree), -1.0))


def _floor(forest: Forest, tree: Tree) -> Tree:
    return forest.map(lambda form: Leaf(form if isinstance(form, Opaque) else forest.floor(form)), tree)


def _ceil(forest: Forest, tree: Tree) -> Tree:
    return forest.scale(_floor(forest, forest.scale(tree, -1.0)), -1.0)


def _truncate(forest: Forest, tree: Tree) -> Tree:
    return forest.where(_is_positive(forest, tree), _floor(forest, tree), _ceil(forest, tree))


def _convert(forest: Forest, tree: Tree, dtype: np.dtype[np.generic]) -> Tree:
    if dtype.kind == "b":
        return _nonzero(forest, tree)
    return tree if dtype.kind == "f" else _truncate(forest, tree)


def _hard_sigmoid(forest: Forest, node: Node, tree: Tree) -> Tree:
    line = forest.scale(tree, elementwise.number(node, "alpha", 0.2))
    line = forest.add(line, leaf(elementwise.number(node, "beta", 0.5)))
    return _minimum(forest, forest.maximum(line, FALSE), TRUE)


def _thresholded_relu(forest: Forest, node: Node, tree: Tree) -> Tree:
    over = forest.greater(tree, leaf(elementwise.number(node, "alpha", 1.0)))
    return forest.where(over, tree, FALSE)


def _power(forest: Forest, node: Node, tree: Tree, exponent: Tree) -> Tree:
    if isinstance(exponent, Leaf) and isinstance(exponent.form, Affine) and not exponent.form.terms:
        if np.all(exponent.form.constant == 1):
            return tree
        if np.all(exponent.form.constant == 2):
            return forest.multiply(tree, tree)
    return _numeric(forest, node, [tree, exponent], np.float64)


def _equal(forest: Forest, a: Tree, b: Tree) -> Tree:
    return forest.negation(_nonzero(forest, _subtract(forest, a, b)))


def _at_least(forest: Forest, a: Tree, b: Tree) -> Tree:
    return forest.negation(forest.greater(b, a))


_PLAIN: dict[str, Callable[..., Tree]] = {
    "Abs": lambda f, x: _slope(f, x, leaf(-1.0)),
    "Add": Forest.add,
    "And": lambda f, a, b: f.where(a, b, FALSE),
    "Ceil": _ceil,
    "Equal": _equal,
    "Floor": _floor,
    "Greater": Forest.greater,
    "GreaterOrEqual": _at_least,
    "Less": lambda f, a, b: f.greater(b, a),
    "LessOrEqual": lambda f, a, b: _at_least(f, b, a),
    "Max": lambda f, *xs: reduce(f.maximum, xs),
    "Mean": lambda f, *xs: f.scale(reduce(f.add, xs), 1.0 / len(xs)),
    "Min": lambda f, *xs: reduce(lambda a, b: _minimum(f, a, b), xs),
    "Mul": Forest.multiply,
    "Neg": lambda f, x: f.scale(x, -1.0),
    "Not": Forest.negation,
    "Or": lambda f, a, b: f.where(a, TRUE, b),
    "PRelu": _slope,
    "Relu": lambda f, x: f.maximum(x, FALSE),
    "Sign": _sign,
    "Sub": _subtract,
    "Sum": lambda f, *xs: reduce(f.add, xs),
    "Where": Forest.where,
    "Xor": lambda f, a, b: f.where(a, f.negation(b), b),
}
_WITH_NODE: dict[str, Callable[..., Tree]] = {
    "Cast": lambda f, node, x: _convert(f, x, elementwise.target_type(node)),
    "Div": _divide,
    "HardSigmoid": _hard_sigmoid,
    "LeakyRelu": lambda f, node, x: _slope(f, x, leaf(elementwise.number(node, "alpha", 0.01))),
    "Pow": _power,
    "ThresholdedRelu": _thresholded_relu,
}
