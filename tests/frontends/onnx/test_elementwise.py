"""The numpy ops compute what ONNX's reference implementation computes, in its types."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx.helper
import onnx.reference
import pytest

from snncc.arrays import Array
from snncc.diagnostics import CompileError
from snncc.frontends.onnx import elementwise
from snncc.frontends.onnx.region import Node

FLOATS = np.float32([-3.5, -1.0, -0.5, -0.0, 0.0, 0.3, 0.5, 1.0, 1.5, 2.5, 7.0])
OTHERS = np.float32([2.0, -1.0, 3.0, 0.5, 0.0, 0.3, -0.5, 1.0, -1.5, 2.5, 0.1])
POSITIVE = np.abs(FLOATS) + np.float32(0.1)
INTEGERS = np.int64([-7, -6, -1, 0, 1, 6, 7])
DIVISORS = np.int64([2, -4, 3, 5, -2, 4, -3])
TRUTHS = np.array([True, True, False, False])
LIES = np.array([True, False, True, False])
CASES: list[tuple[str, Sequence[Array | None], dict[str, Any]]] = [
    *((op, [FLOATS, OTHERS], {}) for op in ("Add", "Sub", "Mul", "Div", "Max", "Min", "Mean", "Sum", "PRelu")),
    *((op, [FLOATS, OTHERS], {}) for op in ("Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Equal")),
    *((op, [FLOATS], {}) for op in ("Abs", "Ceil", "Floor", "Neg", "Relu", "Round", "Sign", "Identity", "IsNaN")),
    *((op, [FLOATS], {}) for op in ("Exp", "Sigmoid", "Tanh", "Erf", "Softplus", "Softsign", "HardSwish", "Elu")),
    *((op, [FLOATS], {}) for op in ("LeakyRelu", "ThresholdedRelu", "HardSigmoid", "IsInf")),
    *((op, [POSITIVE], {}) for op in ("Log", "Sqrt", "Reciprocal")),
    *((op, [TRUTHS, LIES], {}) for op in ("And", "Or", "Xor")),
    *((op, [INTEGERS, DIVISORS], {}) for op in ("Add", "Sub", "Mul", "Mod", "Max", "Min")),
    ("Not", [TRUTHS], {}),
    ("Where", [TRUTHS, FLOATS[:4], OTHERS[:4]], {}),
    ("Pow", [POSITIVE, OTHERS], {}),
    ("Mod", [FLOATS, POSITIVE], {"fmod": 1}),
    ("Mod", [INTEGERS, DIVISORS], {"fmod": 1}),
    ("LeakyRelu", [FLOATS], {"alpha": 0.3}),
    ("Clip", [FLOATS, np.float32(-1), np.float32(2)], {}),
    ("Clip", [FLOATS, None, np.float32(2)], {}),
    ("Clip", [FLOATS, np.float32(-1)], {}),
    ("Clip", [FLOATS], {}),
    *(("Cast", [FLOATS], {"to": to}) for to in (1, 6, 7, 9, 10, 11)),
    *(("Cast", [TRUTHS], {"to": to}) for to in (1, 7, 9)),
    ("CastLike", [FLOATS, INTEGERS], {}),
    ("CastLike", [FLOATS, TRUTHS], {}),
    ("Dropout", [FLOATS, np.float32(0.5), np.array(False)], {}),
]


def reference(op: str, inputs: Sequence[Array | None], attributes: dict[str, Any]) -> Array:
    names = [f"i{k}" if each is not None else "" for k, each in enumerate(inputs)]
    present = {name: np.asarray(each) for name, each in zip(names, inputs, strict=True) if each is not None}
    infos = [
        onnx.helper.make_tensor_value_info(name, onnx.helper.np_dtype_to_tensor_dtype(each.dtype), each.shape)
        for name, each in present.items()
    ]
    output = onnx.helper.make_empty_tensor_value_info("y")
    graph = onnx.helper.make_graph([onnx.helper.make_node(op, names, ["y"], **attributes)], "g", infos, [output])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)])
    with np.errstate(all="ignore"):
        return np.asarray(onnx.reference.ReferenceEvaluator(model).run(None, present)[0])


def evaluate(op: str, *inputs: Array | None, **attributes: Any) -> Array:
    return elementwise.evaluate(Node(op, "n", (), ("y",), attributes), inputs)


@pytest.mark.parametrize(("op", "inputs", "attributes"), CASES)
def test_ops_agree_with_the_reference(op: str, inputs: Sequence[Array | None], attributes: dict[str, Any]) -> None:
    expected = reference(op, inputs, attributes)
    found = evaluate(op, *inputs, **attributes)
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_every_op_is_tested() -> None:
    assert {op for op, _, _ in CASES} == elementwise.OPS


def test_integer_division_truncates() -> None:
    np.testing.assert_array_equal(evaluate("Div", INTEGERS, DIVISORS), [-3, 1, 0, 0, 0, 1, -2])
    assert evaluate("Div", INTEGERS, DIVISORS).dtype == np.int64


def test_a_cast_to_bool_asks_for_zero() -> None:
    found = evaluate("Cast", np.float32([0.0, -0.0, 0.3, -2.0, np.nan]), to=9)
    np.testing.assert_array_equal(found, [False, False, True, True, True])


def test_limits_may_be_attributes() -> None:
    np.testing.assert_array_equal(evaluate("Clip", FLOATS, min=-1.0, max=2.0), np.clip(FLOATS, -1, 2))


def test_scalars_keep_their_type() -> None:
    half = np.asarray(0.5, np.float32)
    for op in sorted(elementwise.OPS - {"And", "Or", "Xor", "Not", "Where", "Cast", "CastLike", "Mod"}):
        count = {"Clip": 1, "Dropout": 1}.get(op, len(next(inputs for name, inputs, _ in CASES if name == op)))
        found = evaluate(op, *[half] * count)
        assert isinstance(found, np.ndarray), op
        assert found.dtype in (np.float32, np.bool_), op
        assert found.shape == (), op


def test_random_and_unknown_types_are_refused() -> None:
    with pytest.raises(CompileError, match="training mode is random"):
        evaluate("Dropout", FLOATS, np.float32(0.5), np.array(True))
    with pytest.raises(CompileError, match="ONNX data type 8"):
        evaluate("Cast", FLOATS, to=8)
