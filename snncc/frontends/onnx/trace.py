"""Walks the nodes of a file once, in order: folds constants, finds shapes, and sorts what is left by kind."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np

from snncc.arrays import Array, Shape, frozen
from snncc.diagnostics import CompileError, Diagnostic, fault
from snncc.frontends.onnx import elementwise
from snncc.frontends.onnx.attributes import axis, bad_shape, integer, real
from snncc.frontends.onnx.fold import FOLDABLE, Budget, fold
from snncc.frontends.onnx.gates import MAXIMA, gate, no_gate, unchanged, unchanged_by
from snncc.frontends.onnx.linear_ops import LINEAR, check_size, linear_op, not_finite
from snncc.frontends.onnx.older import modern
from snncc.frontends.onnx.rearranging import REARRANGING, RESHAPING, rearranged, reshaped, size_after
from snncc.frontends.onnx.rectifying import OTHERS, POOLS, RECTIFYING, max_pool, rectifier, unrectified
from snncc.frontends.onnx.region import Node
from snncc.frontends.onnx.schema import check_form, check_types
from snncc.frontends.onnx.source import Source
from snncc.frontends.onnx.step import COMPARING, LOGICAL, Layered, Piece, Pointwise, Step, jumps, without_batch
from snncc.frontends.onnx.tensors import printable
from snncc.frontends.onnx.unsupported import SUPPORTED, is_foreign, knows_its_ops, unsupported
from snncc.layers import Layer, Rearrange, Relu

_T = TypeVar("_T")
_CODES = {"f": 1, "b": 9, "i": 7, "u": 7}  # ONNX's numbers for a type of each kind
_BOUNDING = frozenset({"Clip", "Max", "Min", "Where", *COMPARING})  # an infinite constant means "no bound" there
_FREE_VALUES = 1 << 24  # what may be made beside copies of the file's own constants


def trace(source: Source, shapes: Mapping[str, Shape], rectified: bool = False) -> Step:
    """Sort out all nodes; `shapes` are those of the inputs. Raises every fault found here and in `source`.

    `rectified`: of an ordinary network, whose ReLUs and max pools are layers.
    """
    knows_its_ops(source)
    tracer = replace(Tracer.of(source), rectified=rectified)
    whole = {port.name for port in source.inputs if port.type.startswith("int")}
    for name, shape in shapes.items():
        tracer.stream(name, name, shape, "i" if name in whole else "f")
    faults = list(source.faults)
    for node in source.nodes:
        faults.extend(tracer.visit(node))
    if faults:
        raise CompileError(faults)
    return tracer.step()


@dataclass(eq=False)
class Tracer:
    """What is known so far of the tensors that were visited. `kinds` are numpy's letters: f, b, i or u."""

    opset: int
    budget: Budget
    constants: dict[str, Array]
    broken: set[str]
    rectified: bool = False
    survey: bool = False
    pieces: list[Piece] = field(default_factory=list[Piece])
    alias: dict[str, str] = field(default_factory=dict[str, str])
    shapes: dict[str, Shape] = field(default_factory=dict[str, Shape])
    kinds: dict[str, str] = field(default_factory=dict[str, str])
    events: set[str] = field(default_factory=set[str])
    positive: set[str] = field(default_factory=set[str])  # spikes as numbers and what is rectified, never below zero
    binary: set[str] = field(default_factory=set[str])  # spikes as numbers, 0 or 1
    makers: dict[str, Node] = field(default_factory=dict[str, Node])  # of streams, their sources as streams

    @staticmethod
    def of(source: Source) -> Tracer:
        """One that knows the constants of a file."""
        budget = Budget(4 * sum(each.size for each in source.constants.values()) + _FREE_VALUES)
        constants, broken = dict(source.constants), set(source.broken)
        return Tracer(source.opset, budget, constants, broken, survey=source.survey)

    def step(self) -> Step:
        """All that was visited, as one step."""
        return Step(tuple(self.pieces), self.alias, self.shapes, frozenset(self.events), self.constants)

    def stream(self, name: str, stream: str, shape: Shape, kind: str) -> None:
        self.alias[name] = stream
        self.shapes[name] = shape
        self.kinds[name] = kind

    def visit(self, node: Node) -> tuple[Diagnostic, ...]:
        """Handle one node; if it is faulty, only foreign ops are named of what depends on it."""
        if any(value is None for value in node.attributes.values()) or not self.broken.isdisjoint(node.inputs):
            return self._pass_over(node, unsupported(node).diagnostics if is_foreign(node) else ())
        try:
            for name in node.inputs:
                if name and name not in self.alias and name not in self.constants:
                    hint = "the file is damaged: export it again"
                    raise fault(
                        "undefined-tensor", node.name, f"reads {printable(name)!r}, which nothing defines", hint
                    )
            check_form(node, self.opset)
            check_types(node, self.opset, [self._kind_of(name) for name in node.inputs])
            node, settings = modern(node, self.opset)
            self.constants.update(settings)
            self._dispatch(node)
        except CompileError as error:
            return self._pass_over(node, error.diagnostics)
        return ()

    def _pass_over(self, node: Node, faults: tuple[Diagnostic, ...]) -> tuple[Diagnostic, ...]:
        """Make the results of a faulty node unknown; or in a survey, go on as if they were what it reads first."""
        read = next((name for name in node.inputs if name in self.alias), None)
        if not self.survey or read is None:
            self.broken.update(node.outputs)
            return faults
        for output in filter(None, node.outputs):
            self._layered(node, read, (), self.shapes[read], output)
        return ()

    def _kind_of(self, name: str) -> str:
        return (self.kinds.get(name) or self.constants[name].dtype.kind) if name else ""

    def _dispatch(self, node: Node) -> None:
        args = [self.constants.get(name) for name in node.inputs]
        streams = [name for name in node.inputs if name in self.alias]
        if node.op in ("Shape", "Size"):
            self._measure(node)
        elif node.op == "CastLike" and len(node.inputs) == 2:
            to = _CODES[self._kind_of(node.inputs[1])]
            self._dispatch(replace(node, op="Cast", inputs=node.inputs[:1], attributes={"to": to}))
        elif not streams and node.op in FOLDABLE:
            self.constants.update(zip(node.outputs, fold(node, args, self.budget), strict=False))
        else:
            self._stream_op(node, args, streams)

    def _stream_op(self, node: Node, args: Sequence[Array | None], streams: Sequence[str]) -> None:
        if not self.rectified and (found := gate(node, streams, lambda name: self.alias[name] in self.binary)):
            self.constants.update(found.constants)
            for each in found.nodes:
                self._dispatch(each)
        elif node.op in RESHAPING or node.op in REARRANGING:
            self._only_first(node, streams == [node.inputs[0]])
            self._move(node, args)
        elif node.op == "Concat" and streams:
            self._concat(node, args)
        elif node.op == "Gemm" and len(streams) == 2 and node.inputs[2:] == (streams[1],):
            self._gemm_with_stream(node)
        elif node.op in LINEAR and len(streams) == 1:
            self._linear(node, args)
        elif self.rectified and node.op in RECTIFYING | OTHERS:
            self._rectify(node, args, streams)
        elif node.op in elementwise.OPS:
            self._pointwise(node)
        elif node.op in MAXIMA:
            raise no_gate(node)
        else:
            raise unsupported(node)

    def _only_first(self, node: Node, first: bool) -> None:
        if not first:
            message = f"{node.op} whose shape or indices depend on the data"
            raise fault("data-dependent-shape", node.name, message, "export the model with fixed shapes, batch size 1")

    def _measure(self, node: Node) -> None:
        name = node.inputs[0]
        shape = self.shapes[name] if name in self.alias else self.constants[name].shape
        cut = slice(integer(node, "start", 0), integer(node, "end", len(shape)))
        value = np.array(math.prod(shape) if node.op == "Size" else shape[cut], np.int64)
        self.constants[node.outputs[0]] = frozen(value)

    def _move(self, node: Node, args: Sequence[Array | None]) -> None:
        """Ops that keep, drop or repeat values of one stream."""
        name = node.inputs[0]
        shape, rest = self.shapes[name], args[1:]
        if node.op in RESHAPING:
            if node.op == "Dropout" and len(rest) > 1 and rest[1] is not None and rest[1].any():
                raise fault("random-op", node.name, "is a Dropout in training mode", "export after model.eval()")
            self._rename(node.outputs[0], name, _try(node, lambda: reshaped(node, shape, rest)))
            return
        size = _try(node, lambda: size_after(node, shape, rest))
        check_size(node, (size,))
        self.budget.spend(node, size + math.prod(shape))
        if node.op == "Pad" and len(rest) > 1 and rest[1] is not None and rest[1].any():
            raise fault("unsupported-op", node.name, "pads with a number other than 0", "pad with zeros")
        indices = np.arange(math.prod(shape)).reshape(shape)
        for output, index in zip(node.outputs, _try(node, lambda: rearranged(node, indices, rest, -1)), strict=False):
            if output:
                self._rearranged(node, name, output, index)

    def _rename(self, output: str, name: str, shape: Shape) -> None:
        self.stream(output, self.alias[name], shape, self.kinds[name])

    def _rearranged(self, node: Node, name: str, output: str, index: Array) -> None:
        """`output` holds the values of stream `name` that `index` points to, -1 for a zero."""
        flat = index.reshape(-1)
        if np.array_equal(flat, np.arange(math.prod(self.shapes[name]))):
            self._rename(output, name, index.shape)
            return
        self._layered(node, name, (Rearrange(without_batch(index.shape), flat),), index.shape, output)
        self.kinds[output] = self.kinds[name]
        for known in (self.events, self.positive, self.binary):
            if self.alias[name] in known:
                known.add(output)

    def _layered(self, node: Node, name: str, layers: tuple[Layer, ...], shape: Shape, output: str) -> None:
        self.stream(output, output, shape, "f")
        self.pieces.append(Layered(node, self.alias[name], layers, output))

    def _linear(self, node: Node, args: Sequence[Array | None]) -> None:
        (name,) = (each for each in node.inputs if each in self.alias)
        if self.kinds[name] != "f":
            raise fault("unsupported-type", node.name, "reads values that are not floats", "cast spikes to float first")
        if node.op == "LpPool" and (integer(node, "p", 2) != 1 or self.alias[name] not in self.positive):
            raise fault("unsupported-op", node.name, "LpPool is linear only for p = 1, on spikes", SUPPORTED)
        if broken := not_finite(node, args):
            raise CompileError(broken)
        result = _try(node, lambda: linear_op(node, self.shapes[name], args))
        if not result.layers:
            self._rename(node.outputs[0], name, result.shape)
        else:
            self._layered(node, name, result.layers, result.shape, node.outputs[0])

    def _rectify(self, node: Node, args: Sequence[Array | None], streams: Sequence[str]) -> None:
        if node.op in POOLS:
            self._max_pool(node)
            return
        name, shape = streams[0], self.shapes[streams[0]]
        bounds = [each for given, each in zip(node.inputs, args, strict=True) if given != name]
        layer = rectifier(node, without_batch(shape), bounds) if len(streams) == 1 else None
        if layer is None:
            raise unrectified(node)
        self._layered(node, name, (layer,), shape, node.outputs[0])
        self.positive.add(node.outputs[0])

    def _max_pool(self, node: Node) -> None:
        self._only_first(node, (name := node.inputs[0]) in self.alias)
        if self.alias[name] not in self.positive:
            message = "takes the largest of values that may be negative, which no spike rate stands for"
            raise fault("signed-max-pool", node.name, message, "put a Relu before the MaxPool")
        for each, index in max_pool(node, self.shapes[name]):
            if index is not None:
                self._rearranged(each, each.inputs[0], each.outputs[0], index)
            elif each.op == "Relu":
                shape = self.shapes[each.inputs[0]]
                self._layered(each, each.inputs[0], (Relu(without_batch(shape), selects=True),), shape, each.outputs[0])
                self.positive.add(each.outputs[0])
            else:
                self._pointwise(each)

    def _gemm_with_stream(self, node: Node) -> None:
        """A B + beta C with a stream C: the product, and then the sum."""
        beta, product, scaled = real(node, "beta", 1.0), f"{node.outputs[0]}#product", f"{node.outputs[0]}#scaled"
        gemm = replace(node, inputs=node.inputs[:2], outputs=(product,))
        self._linear(gemm, [self.constants.get(name) for name in gemm.inputs])
        self.constants[f"{scaled}/beta"] = np.array(beta, np.float32)
        self._pointwise(replace(node, op="Mul", inputs=(node.inputs[2], f"{scaled}/beta"), outputs=(scaled,)))
        self._pointwise(replace(node, op="Add", inputs=(product, scaled)))

    def _concat(self, node: Node, args: Sequence[Array | None]) -> None:
        """Each part in its place among zeros, and the sum of the parts."""
        shapes = [self.shapes[name] if name in self.alias else self.constants[name].shape for name in node.inputs]
        along = axis(node, integer(node, "axis", 0), len(shapes[0]))
        if len({(*each[:along], *each[along + 1 :]) for each in shapes}) > 1:
            raise bad_shape(node, f"cannot join shapes {shapes}")
        total = sum(each[along] for each in shapes)
        out = (*shapes[0][:along], total, *shapes[0][along + 1 :])
        check_size(node, out)
        parts: list[str] = []
        start = 0
        for i, (name, shape) in enumerate(zip(node.inputs, shapes, strict=True)):
            place = (*[slice(None)] * along, slice(start, start + shape[along]))
            start += shape[along]
            part = f"{node.outputs[0]}#{i}"
            self.budget.spend(node, math.prod(out))
            if name in self.alias:
                index = np.full(out, -1)
                index[place] = np.arange(math.prod(shape)).reshape(shape)
                self._rearranged(node, name, part, index)
            else:
                self.constants[part] = np.zeros(out, np.float32)
                self.constants[part][place] = args[i]
            parts.append(part)
        self._pointwise(replace(node, op="Sum", inputs=tuple(parts)))

    def _pointwise(self, node: Node) -> None:
        shape = self._common_shape(node)
        check_size(node, shape)
        streams = {name: self._expanded(node, name, shape) for name in node.inputs if name in self.alias}
        constants = {name: self._fitted(node, name, shape) for name in node.inputs if name in self.constants}
        kind = self._kind(node)
        if node.op == "Div" and kind in "iu":
            message = "divides whole numbers, which cuts off the rest"
            raise fault(
                "unsupported-op", node.name, message, "count steps down by subtraction, or cast to float before"
            )
        output = node.outputs[0]
        floats = kind == "f" and all(self.kinds[name] == "f" for name in streams)
        named = replace(node, inputs=tuple(self.alias[streams[n]] if n in streams else n for n in node.inputs))
        kept = unchanged(named, constants) or unchanged_by(named, self.makers, self.positive)
        if floats and kept is not None:
            self._rename(output, kept, shape)
        elif floats and node.op == "Mul" and any(not each.any() for each in constants.values()):
            self.constants[output] = np.broadcast_to(np.float32(0), shape)
        elif node.op == "Cast" and kind == self.kinds[node.inputs[0]] in ("f", "b"):
            self._rename(output, streams[node.inputs[0]], shape)
        else:
            self.makers[output] = named
            piece = Pointwise(
                replace(named, outputs=(output,)),
                without_batch(shape),
                constants,
                floats and _is_linear(node, constants),
            )
            self.pieces.append(piece)
            self.stream(output, output, shape, kind)
            self._bound(piece, output)
            if jumps(node) or all(each in self.events for each in piece.sources):
                self.events.add(output)

    def _bound(self, piece: Pointwise, output: str) -> None:
        """Keep in mind what the values of a stream may be."""
        node = piece.node
        inverted = node.op == "Sub" and node.inputs[0] in piece.constants and self.binary.issuperset(piece.sources)
        cast = node.op == "Cast" and (self.kinds[node.inputs[0]] == "b" or node.inputs[0] in self.binary)
        if cast or (inverted and bool(np.all(piece.constants[node.inputs[0]] == 1))):
            self.binary.add(output)
        if cast or node.op == "Abs":
            self.positive.add(output)

    def _common_shape(self, node: Node) -> Shape:
        shapes = [
            self.shapes[name] if name in self.alias else self.constants[name].shape for name in node.inputs if name
        ]
        if node.op == "Clip":
            return shapes[0]
        try:
            return np.broadcast_shapes(*shapes)
        except ValueError:
            raise bad_shape(node, f"its inputs have shapes that do not fit: {shapes}") from None

    def _expanded(self, node: Node, name: str, shape: Shape) -> str:
        """The stream itself, or one that repeats its values to fill `shape`."""
        own = self.shapes[name]
        if math.prod(own) == math.prod(shape):
            return name
        output = f"{node.outputs[0]}#{name}"
        self.budget.spend(node, math.prod(shape))
        places = np.arange(math.prod(own)).reshape(own)
        self._rearranged(node, name, output, _try(node, lambda: np.broadcast_to(places, shape)))
        return output

    def _fitted(self, node: Node, name: str, shape: Shape) -> Array:
        """A constant that broadcasts to `shape` without its batch axis."""
        value = self.constants[name]
        allowed = np.isfinite(value) if node.op not in _BOUNDING else ~np.isnan(value)
        if not allowed.all():
            count = value.size - int(np.count_nonzero(allowed))
            message = f"{printable(name)}: {count:,} of {value.size:,} values are NaN or infinite"
            raise fault("not-finite", node.name, message, "the training has diverged, or the file is damaged")
        if value.size == 1:
            return value.reshape(())
        padded = value.reshape((1,) * (len(shape) - value.ndim) + value.shape)
        if any(own not in (1, full) for own, full in zip(padded.shape, shape, strict=False)):
            raise bad_shape(node, f"{printable(name)} of shape {value.shape} does not fit {shape}")
        return padded[0] if shape[0] == 1 else padded

    def _kind(self, node: Node) -> str:
        if node.op in COMPARING | LOGICAL:
            return "b"
        if node.op == "Cast":
            return elementwise.target_type(node).kind
        chosen = node.inputs[1:] if node.op == "Where" else node.inputs
        kinds = [self._kind_of(name) for name in chosen if name]
        return kinds[0] if kinds else "f"


def _try(node: Node, compute: Callable[[], _T]) -> _T:
    """What `compute` gives; numpy refusing a shape is a fault of the node."""
    try:
        return compute()
    except (ValueError, TypeError, IndexError, OverflowError, ZeroDivisionError) as error:
        raise bad_shape(node, f"does not fit its inputs: {error}") from None


def _is_linear(node: Node, constants: Mapping[str, Array]) -> bool:
    if node.op == "Mul":
        return bool(constants)
    if node.op == "Div":
        return node.inputs[-1] in constants
    return node.op in ("Add", "Sub", "Sum", "Mean", "Neg")
