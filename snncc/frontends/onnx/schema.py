"""Holds each node against ONNX's own definition of its op: number of inputs and outputs, attributes, element types.

All code behind this check may rely on it, so that a damaged file cannot reach an op with arguments that make no sense.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
from onnx import defs

from snncc.diagnostics import CompileError, fault
from snncc.frontends.onnx.inline import Subgraph
from snncc.frontends.onnx.region import Node

_HINT = "the file is damaged: export it again"
_Attribute = defs.OpSchema.AttrType
_PYTHON: Mapping[defs.OpSchema.AttrType, tuple[type, type | None]] = {  # the type of an attribute, and of its members
    _Attribute.INT: (int, None),
    _Attribute.FLOAT: (float, None),
    _Attribute.STRING: (str, None),
    _Attribute.TENSOR: (np.ndarray, None),
    _Attribute.GRAPH: (Subgraph, None),
    _Attribute.INTS: (tuple, int),
    _Attribute.FLOATS: (tuple, float),
    _Attribute.STRINGS: (tuple, str),
}


@lru_cache(maxsize=512)
def _schema(op: str, opset: int) -> defs.OpSchema | None:
    """The definition of an op of the standard domain; None for ops that it does not have, handled elsewhere."""
    try:
        return defs.get_schema(op, min(max(opset, 1), defs.onnx_opset_version()), "")
    except defs.SchemaError:
        return None


_ANY = 1000  # inputs; a schema that allows more allows any number
_OPEN = {"Loop", "Scan"}  # whose first inputs may be left out


def check_form(node: Node, opset: int) -> None:
    """Raise CompileError if the node has inputs, outputs or attributes that its op does not."""
    schema = _schema(node.op, opset)
    if schema is None:
        return
    _check_counts(node, schema)
    for name, value in node.attributes.items():
        if name not in schema.attributes:
            raise _bad(node, f"{node.op} has an attribute {name!r}, which ONNX does not define")
        outer, inner = _PYTHON.get(schema.attributes[name].type, (object, None))
        right = isinstance(value, outer)
        if right and inner is not None:
            right = all(isinstance(each, inner) for each in value)
        if not right:
            raise _bad(node, f"the attribute {name!r} of {node.op} has the wrong type")
    for name, attribute in schema.attributes.items():
        if attribute.required and name not in node.attributes:
            raise _bad(node, f"{node.op} lacks its attribute {name!r}")


def _check_counts(node: Node, schema: defs.OpSchema) -> None:
    if schema.max_input > _ANY and node.op not in _OPEN and "" in node.inputs:
        raise _bad(node, f"{node.op} leaves out one of its inputs")
    for what, names, least, most in (
        ("input", node.inputs, schema.min_input, schema.max_input),
        ("output", node.outputs, schema.min_output, schema.max_output),
    ):
        if not least <= len(names) <= most or "" in names[:least]:
            wanted = f"{least}" if least == most else f"at least {least}" if most > _ANY else f"{least} to {most}"
            raise _bad(node, f"{node.op} has {len([n for n in names if n])} {what}s, needs {wanted}")


def check_types(node: Node, opset: int, kinds: Sequence[str]) -> None:
    """Raise CompileError if the inputs are of `kinds` (numpy's letters, "" where absent) that the op does not take."""
    schema = _schema(node.op, opset)
    if schema is None:
        return
    allowed = {each.type_param_str: _kinds(tuple(each.allowed_type_strs)) for each in schema.type_constraints}
    seen: dict[str, str] = {}
    for position, kind in enumerate(kinds):
        formal = schema.inputs[min(position, len(schema.inputs) - 1)]
        if not kind:
            continue
        if kind not in allowed.get(formal.type_str, _kinds((formal.type_str,))):
            raise _bad(node, f"{node.op} does not take {_WORDS.get(kind, kind)} as input {position + 1}")
        if formal.is_homogeneous and seen.setdefault(formal.type_str, kind) != kind:
            raise _bad(node, f"{node.op} mixes {_WORDS[seen[formal.type_str]]} and {_WORDS[kind]}")


_WORDS = {"f": "floats", "b": "truth values", "i": "integers", "u": "unsigned integers"}


@lru_cache(maxsize=512)
def _kinds(types: tuple[str, ...]) -> frozenset[str]:
    found = {"b" if "bool" in each else "u" if "uint" in each else "i" if "int" in each else "f" for each in types}
    return frozenset(found)


def _bad(node: Node, message: str) -> CompileError:
    return fault("bad-node", node.name, message, _HINT)
