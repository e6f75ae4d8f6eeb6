"""Typed access to the attributes of a node, which a damaged or hostile file may hold in any type and size."""

from __future__ import annotations

from snncc.arrays import Array
from snncc.diagnostics import CompileError, fault
from snncc.frontends.onnx.region import Node

_MAX_INT = 1 << 40  # far beyond any axis, stride or padding of a real network


def integer(node: Node, name: str, default: int) -> int:
    value = node.attributes.get(name, default)
    if not isinstance(value, int) or abs(value) > _MAX_INT:
        raise bad_attribute(node, name, "must be an integer of sensible size")
    return value


def real(node: Node, name: str, default: float) -> float:
    value = node.attributes.get(name, default)
    if not isinstance(value, float):
        raise bad_attribute(node, name, "must be a number")
    return value


def text(node: Node, name: str, default: str) -> str:
    value = node.attributes.get(name, default)
    if not isinstance(value, str):
        raise bad_attribute(node, name, "must be a string")
    return value


def integers(node: Node, name: str, default: tuple[int, ...] | None = None) -> tuple[int, ...] | None:
    value = node.attributes.get(name, default)
    if value is None:
        return None
    if not isinstance(value, tuple) or not all(isinstance(each, int) and abs(each) <= _MAX_INT for each in value):
        raise bad_attribute(node, name, "must be a list of integers of sensible size")
    return value


def window(node: Node, name: str, count: int, least: int, default: int) -> tuple[int, ...]:
    """An attribute with one integer, at least `least`, for each of `count` spatial axes."""
    value = integers(node, name, (default,) * count)
    assert value is not None
    if len(value) != count or any(each < least for each in value):
        raise bad_attribute(node, name, f"must hold {count} integers, each at least {least}")
    return value


def axes(node: Node, given: Array | None, rank: int) -> tuple[int, ...] | None:
    """Axes from the second input (newer opsets) or the attribute (older ones), counted from the front, ascending."""
    listed = integers(node, "axes") if given is None else tuple(given.reshape(-1).tolist())
    if listed is None:
        return None
    return tuple(sorted({axis(node, each, rank) for each in listed}))


def axis(node: Node, value: int, rank: int) -> int:
    if not -rank <= value < rank:
        raise bad_attribute(node, "axis", f"is {value}, but the tensor has {rank} axes")
    return value % rank


def bad_attribute(node: Node, name: str, message: str) -> CompileError:
    return fault("bad-attribute", node.name, f"{node.op}: {name} {message}", "the file is damaged: export it again")


def bad_shape(node: Node, message: str) -> CompileError:
    return fault("bad-shape", node.name, f"{node.op}: {message}", "the file is damaged: export it again")
