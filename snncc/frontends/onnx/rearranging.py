"""Ops that only move, repeat or drop values, on any array: the values of a constant, or the indices of a population."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from snncc.arrays import Array, Shape
from snncc.frontends.onnx.attributes import axes, axis, bad_attribute, bad_shape, integer, integers, text
from snncc.frontends.onnx.region import Node
from snncc.frontends.onnx.tensors import MAX_RANK

Arguments = Sequence[Array | None]  # the node's inputs after the first, None where absent

# Ops that keep every value and their order.
RESHAPING = frozenset({"Identity", "Dropout", "Reshape", "Flatten", "Squeeze", "Unsqueeze"})


def reshaped(node: Node, shape: Shape, args: Arguments) -> Shape:
    """The shape after one of the ops in `RESHAPING`."""
    result = _reshaped(node, shape, args)
    if len(result) > MAX_RANK:
        raise bad_shape(node, f"gives a tensor of {len(result)} axes; {MAX_RANK} can be handled")
    return result


def _reshaped(node: Node, shape: Shape, args: Arguments) -> Shape:
    rank = len(shape)
    first = args[0] if args else None
    if node.op == "Reshape":
        return _reshape(node, shape, first)
    if node.op == "Flatten":
        cut = integer(node, "axis", 1)
        if not -rank <= cut <= rank:
            raise bad_attribute(node, "axis", f"is {cut}, but the tensor has {rank} axes")
        cut = cut + rank if cut < 0 else cut
        return math.prod(shape[:cut]), math.prod(shape[cut:])
    if node.op == "Squeeze":
        gone = axes(node, first, rank)
        if gone is None:
            return tuple(each for each in shape if each != 1)
        if any(shape[each] != 1 for each in gone):
            raise bad_shape(node, f"cannot squeeze axes {gone} of shape {shape}")
        return tuple(size for each, size in enumerate(shape) if each not in gone)
    if node.op == "Unsqueeze":
        count = len(integers(node, "axes") or ()) if first is None else first.size
        new = axes(node, first, rank + count) or ()
        if len(new) != count:
            raise bad_attribute(node, "axes", "repeat themselves")
        rest = iter(shape)
        return tuple(1 if each in new else next(rest) for each in range(rank + count))
    return shape


def _reshape(node: Node, shape: Shape, wanted: Array | None) -> Shape:
    if wanted is None or wanted.dtype.kind != "i" or wanted.ndim != 1:
        raise bad_shape(node, "needs a list of integers as its second input")
    sizes: list[int] = wanted.tolist()
    if not integer(node, "allowzero", 0):
        sizes = [shape[i] if size == 0 and i < len(shape) else size for i, size in enumerate(sizes)]
    count, known = math.prod(shape), math.prod(size for size in sizes if size != -1)
    if sizes.count(-1) == 1 and known > 0 and count % known == 0:
        sizes[sizes.index(-1)] = count // known
    if any(size < 0 for size in sizes) or math.prod(sizes) != count:
        raise bad_shape(node, f"cannot make {tuple(wanted.tolist())} of shape {shape}")
    return tuple(sizes)


def size_after(node: Node, shape: Shape, args: Arguments) -> int:
    """How many values the op will give, found before any of them is made."""
    first = args[0] if args else None
    count = math.prod(shape)
    if first is None:
        return count
    if node.op == "Expand":
        return math.prod(_expanded(node, shape, first))
    if node.op == "Tile":
        return count * math.prod(max(0, each) for each in first.reshape(-1).tolist())
    if node.op == "Pad":
        return math.prod(max(0, size + sum(both)) for size, both in zip(shape, _pads(node, shape, args), strict=True))
    if node.op == "Gather":
        along = axis(node, integer(node, "axis", 0), len(shape))
        return math.prod(shape[:along] + shape[along + 1 :]) * first.size
    return first.size if node.op == "GatherElements" else count


def rearranged(node: Node, x: Array, args: Arguments, fill: float) -> list[Array]:
    """The outputs of one of the ops in `REARRANGING` for x; `fill` is what Pad puts around it."""
    if node.op == "Pad":
        return [_pad(node, x, args, fill)]
    return REARRANGING[node.op](node, x, args)


def _needed(node: Node, args: Arguments, index: int, what: str) -> Array:
    if index >= len(args) or (found := args[index]) is None:
        raise bad_shape(node, f"lacks its {what}")
    return found


def _transpose(node: Node, x: Array, _: Arguments) -> list[Array]:
    order = integers(node, "perm", tuple(reversed(range(x.ndim))))
    if sorted(order or ()) != list(range(x.ndim)):
        raise bad_attribute(node, "perm", f"is {order}, but the tensor has {x.ndim} axes")
    return [x.transpose(order)]


def _slice(node: Node, x: Array, args: Arguments) -> list[Array]:
    starts, ends = (_needed(node, args, i, "starts or ends").reshape(-1).tolist() for i in (0, 1))
    along = args[2].reshape(-1).tolist() if len(args) > 2 and args[2] is not None else list(range(len(starts)))
    steps = args[3].reshape(-1).tolist() if len(args) > 3 and args[3] is not None else [1] * len(starts)
    if not len(starts) == len(ends) == len(along) == len(steps) or 0 in steps:
        raise bad_shape(node, "needs as many starts, ends, axes and nonzero steps")
    cuts = [slice(None)] * x.ndim
    for start, end, each, step in zip(starts, ends, along, steps, strict=True):
        where = axis(node, each, x.ndim)
        size = x.shape[where]
        lowest = -1 if step < 0 else 0
        first = min(max(start + size if start < 0 else start, lowest), size)
        last = min(max(end + size if end < 0 else end, lowest), size)
        cuts[where] = slice(first, None if last < 0 else last, step)
    return [x[tuple(cuts)]]


def _gather(node: Node, x: Array, args: Arguments) -> list[Array]:
    return [np.take(x, _index(node, args), axis=axis(node, integer(node, "axis", 0), x.ndim))]


def _gather_elements(node: Node, x: Array, args: Arguments) -> list[Array]:
    return [np.take_along_axis(x, _index(node, args), axis(node, integer(node, "axis", 0), x.ndim))]


def _index(node: Node, args: Arguments) -> Array:
    index = _needed(node, args, 0, "indices")
    if index.dtype.kind != "i":
        raise bad_shape(node, "has indices that are not integers")
    return index


def _split(node: Node, x: Array, args: Arguments) -> list[Array]:
    along = axis(node, integer(node, "axis", 0), x.ndim)
    size, count = x.shape[along], len(node.outputs)
    listed = integers(node, "split") if not args or args[0] is None else tuple(args[0].reshape(-1).tolist())
    if listed is None:
        each = -(-size // count)
        listed = tuple(max(0, min(each, size - each * i)) for i in range(count))
    if len(listed) != count or sum(listed) != size or min(listed) < 0:
        raise bad_shape(node, f"cannot split {size} values into {listed}")
    return np.split(x, np.cumsum(listed)[:-1], axis=along)


def _expanded(node: Node, shape: Shape, wanted: Array) -> Shape:
    sizes = tuple(wanted.reshape(-1).tolist())
    rank = max(len(shape), len(sizes))
    old, new = (1,) * (rank - len(shape)) + shape, (1,) * (rank - len(sizes)) + sizes
    if any(a != b and 1 not in (a, b) for a, b in zip(old, new, strict=True)) or min(new, default=0) < 0:
        raise bad_shape(node, f"cannot expand shape {shape} to {sizes}")
    return tuple(b if a == 1 else a for a, b in zip(old, new, strict=True))


def _expand(node: Node, x: Array, args: Arguments) -> list[Array]:
    return [np.broadcast_to(x, _expanded(node, x.shape, _needed(node, args, 0, "shape")))]


def _tile(node: Node, x: Array, args: Arguments) -> list[Array]:
    repeats = _needed(node, args, 0, "repeats").reshape(-1).tolist()
    if len(repeats) != x.ndim or any(not isinstance(each, int) or each < 0 for each in repeats):
        raise bad_shape(node, f"cannot repeat shape {x.shape} by {repeats}")
    return [np.tile(x, repeats)]


def _pads(node: Node, shape: Shape, args: Arguments) -> list[tuple[int, int]]:
    listed = _needed(node, args, 0, "pads").reshape(-1).tolist()
    chosen = axes(node, args[2] if len(args) > 2 else None, len(shape))
    chosen = tuple(range(len(shape))) if chosen is None else chosen
    if len(listed) != 2 * len(chosen) or any(not isinstance(each, int) for each in listed):
        raise bad_shape(node, f"needs two pads for each of {len(chosen)} axes")
    result = [(0, 0)] * len(shape)
    for i, each in enumerate(chosen):
        result[each] = listed[i], listed[len(chosen) + i]
    return result


def _pad(node: Node, x: Array, args: Arguments, fill: float) -> Array:
    if text(node, "mode", "constant") != "constant":
        raise bad_attribute(node, "mode", "must be constant: other paddings are not supported")
    pads = _pads(node, x.shape, args)
    cuts = tuple(slice(max(0, -a), x.shape[i] - max(0, -b)) for i, (a, b) in enumerate(pads))
    return np.pad(x[cuts], [(max(0, a), max(0, b)) for a, b in pads], constant_values=fill)


def _depth_to_space(node: Node, x: Array, _: Arguments) -> list[Array]:
    size = integer(node, "blocksize", 0)
    if x.ndim != 4 or size < 1 or x.shape[1] % (size * size):
        raise bad_shape(node, f"cannot cut shape {x.shape} into blocks of {size}")
    n, c, h, w = x.shape
    if text(node, "mode", "DCR") == "DCR":
        blocks = x.reshape(n, size, size, c // size**2, h, w).transpose(0, 3, 4, 1, 5, 2)
    else:
        blocks = x.reshape(n, c // size**2, size, size, h, w).transpose(0, 1, 4, 2, 5, 3)
    return [blocks.reshape(n, c // size**2, h * size, w * size)]


def _space_to_depth(node: Node, x: Array, _: Arguments) -> list[Array]:
    size = integer(node, "blocksize", 0)
    if x.ndim != 4 or size < 1 or x.shape[2] % size or x.shape[3] % size:
        raise bad_shape(node, f"cannot cut shape {x.shape} into blocks of {size}")
    n, c, h, w = x.shape
    blocks = x.reshape(n, c, h // size, size, w // size, size).transpose(0, 3, 5, 1, 2, 4)
    return [blocks.reshape(n, c * size**2, h // size, w // size)]


REARRANGING: dict[str, Callable[[Node, Array, Arguments], list[Array]]] = {
    "Transpose": _transpose,
    "Slice": _slice,
    "Gather": _gather,
    "GatherElements": _gather_elements,
    "Split": _split,
    "Expand": _expand,
    "Tile": _tile,
    "Pad": lambda node, x, args: [_pad(node, x, args, 0.0)],
    "DepthToSpace": _depth_to_space,
    "SpaceToDepth": _space_to_depth,
}
