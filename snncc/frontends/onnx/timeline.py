"""Walks a file that holds a whole sequence, node by node, and gives each time step nodes of its own.

A tensor is plain, or a *sequence*: one part for each step, of size 1 along the axis of time. In an unrolled file the
parts are tensors of their own; in one with a Scan or a Loop a single part stands for every step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from snncc.arrays import Array, Shape, frozen
from snncc.diagnostics import CompileError, Diagnostic, fault
from snncc.frontends.onnx.along import Values, each_step, mixes_steps, sliced
from snncc.frontends.onnx.attributes import axes, axis, integer
from snncc.frontends.onnx.endings import left_out, ranks_scores
from snncc.frontends.onnx.rearranging import RESHAPING
from snncc.frontends.onnx.region import Node
from snncc.frontends.onnx.tensors import printable
from snncc.frontends.onnx.trace import Tracer
from snncc.frontends.onnx.unsupported import is_foreign, unsupported
from snncc.layers import Decoder

MAX_STEPS = 10_000
_MAX_NODES = 1_000_000
Ending = Literal["all", "count", "last", "max", "mean"]
_DECODERS: dict[str, Decoder] = {"ReduceSum": "count", "ReduceMean": "mean", "ReduceMax": "max"}


@dataclass(frozen=True)
class Parts:
    """A sequence of `count` steps along `axis`; one part stands for all steps if `names` has one only."""

    names: tuple[str, ...]
    axis: int
    count: int


@dataclass(frozen=True)
class Readout:
    """What a sequence comes to at its end: the sum, mean, maximum or last of its parts, times a factor."""

    names: tuple[str, ...]
    ending: Ending
    shape: Shape
    scale: float = 1.0


@dataclass(eq=False)
class Timeline:
    """What is known so far. `steps` is the number of time steps; `rolled`: one part stands for all steps."""

    tracer: Tracer
    steps: int
    rolled: bool
    taken: set[str]
    sequences: dict[str, Parts] = field(default_factory=dict[str, Parts])
    readouts: dict[str, Readout] = field(default_factory=dict[str, Readout])
    left_out: dict[str, Diagnostic] = field(default_factory=dict[str, Diagnostic])  # by what it would put out
    visited: int = 0

    # --- names ------------------------------------------------------------------------------------------------------

    def fresh(self, name: str) -> str:
        while name in self.taken:
            name += "'"
        self.taken.add(name)
        return name

    def shape(self, name: str) -> Shape:
        """The whole shape of a tensor, all steps included."""
        if name in self.readouts:
            return self.readouts[name].shape
        if name in self.tracer.constants:
            return self.tracer.constants[name].shape
        if (parts := self.sequences.get(name)) is None:
            return self.tracer.shapes.get(name, ())
        own = self.shape(parts.names[0])
        return (*own[: parts.axis], parts.count, *own[parts.axis + 1 :])

    def known(self, name: str) -> bool:
        tracer = self.tracer
        return name in tracer.alias or name in tracer.constants or name in self.sequences or name in self.readouts

    def input(self, name: str, shape: Shape, time: int, keep: bool) -> str:
        """A graph input that holds all steps along axis `time`; the stream of one step, without that axis if it may."""
        own = (*shape[:time], 1, *shape[time + 1 :])
        bare = own if keep or len(shape) < 2 or own[0 if time else 1] != 1 else (*shape[:time], *shape[time + 1 :])
        names: list[str] = []
        streams = [name] if self.rolled else [f"{name}[{t}]" for t in range(shape[time])]
        for each in streams:
            stream, part = self.fresh(f"{each} of a step"), self.fresh(each)
            self.tracer.stream(stream, stream, bare, "f")
            self.tracer.stream(part, stream, own, "f")
            names.append(part)
        self.sequences[name] = Parts(tuple(names), time, shape[time])
        return self.tracer.alias[names[-1]]

    # --- nodes ------------------------------------------------------------------------------------------------------

    def visit(self, node: Node) -> tuple[Diagnostic, ...]:
        """Handle one node; a fault makes its results unknown; of what depends on them only foreign ops are named."""
        tracer = self.tracer
        if any(value is None for value in node.attributes.values()) or not tracer.broken.isdisjoint(node.inputs):
            tracer.broken.update(node.outputs)
            return unsupported(node).diagnostics if is_foreign(node) else ()
        try:
            if missing := [name for name in node.inputs if name and not self.known(name)]:
                raise fault("undefined-tensor", node.name, f"reads {printable(missing[0])!r}, which nothing defines")
            return self._dispatch(node)
        except CompileError as error:
            tracer.broken.update(node.outputs)
            return error.diagnostics
        except (ValueError, TypeError, IndexError, OverflowError, ZeroDivisionError) as error:
            tracer.broken.update(node.outputs)
            return fault("bad-shape", node.name, f"does not fit its inputs: {error}").diagnostics

    def _dispatch(self, node: Node) -> tuple[Diagnostic, ...]:
        if any(name in self.readouts for name in node.inputs):
            return self._after_the_end(node)
        timed = any(name in self.sequences for name in node.inputs)
        if not timed:
            return self._repeated(node) if node.op in ("Expand", "Tile", "Concat") else self.emit(node)
        if node.op in ("Shape", "Size"):
            return self._measured(node)
        return self._joined(node) if node.op == "Concat" else self._timed(node)

    def _measured(self, node: Node) -> tuple[Diagnostic, ...]:
        shape = self.shape(node.inputs[0])
        cut = slice(integer(node, "start", 0), integer(node, "end", len(shape)))
        value = math.prod(shape) if node.op == "Size" else shape[cut]
        self.tracer.constants[node.outputs[0]] = frozen(np.array(value, np.int64))
        return ()

    def _timed(self, node: Node) -> tuple[Diagnostic, ...]:
        parts = self.sequences.get(node.inputs[0])
        if parts is not None and node.op in ("Gather", "Slice", "Split") and self._picks(node, parts):
            return self._picked(node, parts)
        if parts is not None and node.op in _DECODERS and self._reduces(node, parts):
            return self._reduced(node, parts)
        return self._spread(node)

    def emit(self, node: Node) -> tuple[Diagnostic, ...]:
        """One node of one step."""
        self.visited += 1
        if self.visited > _MAX_NODES:
            raise fault("too-many-nodes", "model", f"has more than {_MAX_NODES:,} nodes, all steps written out")
        return self.tracer.visit(node)

    def _values(self, name: str) -> Values:
        parts = self.sequences.get(name)
        return Values(self.shape(name), None if parts is None else parts.axis, self.tracer.constants.get(name))

    def _spread(self, node: Node) -> tuple[Diagnostic, ...]:
        """The op of a step, once for each part."""
        found = each_step(node, [self._values(name) for name in node.inputs])
        constants = {name: self.fresh(name) for name in found.constants}
        self.tracer.constants.update({constants[name]: value for name, value in found.constants.items()})
        read = {name: self.sequences[name] for name in found.node.inputs if name in self.sequences}
        if len({(len(each.names), each.count) for each in read.values()}) != 1:
            raise mixes_steps(node, "joins sequences of different lengths")
        first = next(iter(read.values()))
        made: list[list[str]] = [[] for _ in node.outputs]
        for t in range(len(first.names)):
            names = {name: parts.names[t] for name, parts in read.items()} | constants
            outputs = [self.fresh(f"{name}[{t}]") if name else "" for name in found.node.outputs]
            for listed, name in zip(made, outputs, strict=False):
                listed.append(name)
            inputs = tuple(names.get(name, name) for name in found.node.inputs)
            if faults := self.emit(replace(found.node, inputs=inputs, outputs=tuple(outputs))):
                self.tracer.broken.update(node.outputs)
                return faults
        for name, listed in zip(node.outputs, made, strict=False):
            if name and all(each in self.tracer.constants for each in listed):
                self.tracer.constants[name] = self.tracer.constants[listed[0]]
            elif name:
                self.sequences[name] = Parts(tuple(listed), found.time, first.count)
        return ()

    def reshape(self, name: str, shape: Shape, output: str) -> None:
        """`output` is a tensor with other sizes."""
        wanted = self.fresh(f"{output}#sizes")
        self.tracer.constants[wanted] = frozen(np.array(shape, np.int64))
        if faults := self.emit(Node("Reshape", output, (name, wanted), (output,), {})):
            raise CompileError(faults)

    # --- ops on the axis of time ------------------------------------------------------------------------------------

    def _picks(self, node: Node, parts: Parts) -> bool:
        shape = self.shape(node.inputs[0])
        if node.op == "Slice":
            kept, _ = sliced(node, [self._values(name) for name in node.inputs])
            return not np.array_equal(kept, np.arange(shape[parts.axis]))
        return axis(node, integer(node, "axis", 0), len(shape)) == parts.axis

    def _picked(self, node: Node, parts: Parts) -> tuple[Diagnostic, ...]:
        """Some steps of a sequence; from a loop, only the last can be had."""
        values = [self._values(name) for name in node.inputs]
        if node.op == "Gather":
            index = values[1].constant
            if index is None or index.dtype.kind != "i":
                raise mixes_steps(node, "picks a time step that depends on the data")
            chosen, flat = np.arange(parts.count)[index.reshape(-1)], index.ndim == 0
            if index.ndim > 1:
                raise mixes_steps(node)
            self._choose(node, parts, node.outputs[0], chosen, flat)
        elif node.op == "Slice":
            chosen, others = sliced(node, values)
            if others is None or others[0]:
                raise mixes_steps(node, "picks steps and other values at once")
            self._choose(node, parts, node.outputs[0], chosen, flat=False)
        else:
            sizes = None if len(values) < 2 else values[1].constant
            listed = self._split_sizes(node, parts, sizes)
            for output, chosen in zip(
                node.outputs, np.split(np.arange(parts.count), np.cumsum(listed)[:-1]), strict=True
            ):
                self._choose(node, parts, output, chosen, flat=False)
        return ()

    def _split_sizes(self, node: Node, parts: Parts, given: Array | None) -> list[int]:
        count = len(node.outputs)
        each = -(-parts.count // count)
        sizes = [max(0, min(each, parts.count - each * i)) for i in range(count)] if given is None else given.tolist()
        if len(sizes) != count or sum(sizes) != parts.count or min(sizes) < 0:
            raise fault("bad-shape", node.name, f"cannot split {parts.count} steps into {sizes}")
        return sizes

    def _choose(self, node: Node, parts: Parts, output: str, chosen: Array, flat: bool) -> None:
        own = self.shape(parts.names[0])
        bare = (*own[: parts.axis], *own[parts.axis + 1 :])
        if self.rolled:
            if chosen.tolist() != [parts.count - 1]:
                raise mixes_steps(node, "picks single steps of a loop, of which only the last can be had")
            self.readouts[output] = Readout(parts.names, "last", bare if flat else own)
        elif flat:
            self.reshape(parts.names[int(chosen[0])], bare, output)
        elif len(chosen) == 1:
            self.reshape(parts.names[int(chosen[0])], own, output)
        else:
            self.sequences[output] = Parts(tuple(parts.names[int(t)] for t in chosen), parts.axis, len(chosen))

    def _joined(self, node: Node) -> tuple[Diagnostic, ...]:
        """A Concat along time of sequences and single steps; or of sequences along another axis."""
        along = axis(node, integer(node, "axis", 0), len(self.shape(node.inputs[0])))
        if all(name in self.sequences and self.sequences[name].axis != along for name in node.inputs):
            return self._spread(node)
        names: list[str] = []
        for name in node.inputs:
            parts = self.sequences.get(name)
            if (
                self.rolled
                or (parts is not None and parts.axis != along)
                or (parts is None and self.shape(name)[along] != 1)
            ):
                raise mixes_steps(node)
            names += [name] if parts is None else parts.names
        self.sequences[node.outputs[0]] = Parts(tuple(names), along, len(names))
        return ()

    def _repeated(self, node: Node) -> tuple[Diagnostic, ...]:
        """Plain tensors put behind one another, or one repeated, as often as there are steps: a sequence."""
        if not any(name in self.tracer.alias for name in node.inputs):
            return self.emit(node)
        shape = self.shape(node.inputs[0])
        if node.op == "Concat":
            along = axis(node, integer(node, "axis", 0), len(shape))
            single = all(self.shape(name)[along] == 1 for name in node.inputs)
            if single and len(node.inputs) == self.steps and not self.rolled:
                self.sequences[node.outputs[0]] = Parts(node.inputs, along, self.steps)
                return ()
            return self.emit(node)
        place = self._repeats(node, shape)
        if place is None:
            return self.emit(node)
        rank, where = place
        part = self.fresh(f"{node.outputs[0]}[t]")
        self.reshape(node.inputs[0], (*(1,) * (rank - len(shape)), *shape), part)
        names = (part,) * (1 if self.rolled else self.steps)
        self.sequences[node.outputs[0]] = Parts(names, where, self.steps)
        return ()

    def _repeats(self, node: Node, shape: Shape) -> tuple[int, int] | None:
        """The rank that an Expand or a Tile gives, and the axis along which it repeats a tensor once for each step."""
        wanted = self.tracer.constants.get(node.inputs[1]) if len(node.inputs) > 1 else None
        if wanted is None or wanted.ndim != 1 or wanted.dtype.kind != "i":
            return None
        sizes: list[int] = wanted.tolist()
        grown = [i for i, size in enumerate(sizes) if size == self.steps > 1]
        own = (*(1,) * (len(sizes) - len(shape)), *shape)
        if len(grown) != 1 or len(own) != len(sizes) or own[grown[0]] != 1:
            return None
        others = [(size, full) for i, (size, full) in enumerate(zip(sizes, own, strict=True)) if i != grown[0]]
        return (len(sizes), grown[0]) if all(size in (1, full) for size, full in others) else None

    # --- the end of a sequence --------------------------------------------------------------------------------------

    def _reduces(self, node: Node, parts: Parts) -> bool:
        chosen = self._reduced_axes(node)
        return chosen is None or parts.axis in chosen

    def _reduced_axes(self, node: Node) -> tuple[int, ...] | None:
        rank = len(self.shape(node.inputs[0]))
        return axes(node, self.tracer.constants.get("".join(node.inputs[1:2])), rank)

    def _reduced(self, node: Node, parts: Parts) -> tuple[Diagnostic, ...]:
        shape, chosen = self.shape(node.inputs[0]), self._reduced_axes(node)
        if (
            parts.count != self.steps
            or chosen is None
            or any(shape[each] != 1 for each in chosen if each != parts.axis)
        ):
            raise mixes_steps(node, "joins time with other axes")
        own = self.shape(parts.names[0])
        out = own if integer(node, "keepdims", 1) else tuple(n for i, n in enumerate(own) if i not in chosen)
        self.readouts[node.outputs[0]] = Readout(parts.names, _DECODERS[node.op], out)
        return ()

    def _after_the_end(self, node: Node) -> tuple[Diagnostic, ...]:
        """Only a change of shape, a factor, and a last op that ranks scores, may follow what is read out.

        The last value is like any other.
        """
        found = next(self.readouts[name] for name in node.inputs if name in self.readouts)
        if not self.left_out.keys().isdisjoint(node.inputs):
            raise _late(node)
        if ranks_scores(node, found.shape):
            self.readouts[node.outputs[0]], self.left_out[node.outputs[0]] = found, left_out(node)
            return ()
        streams = [name for name in node.inputs if name in self.tracer.alias]
        if found.ending == "last" and not streams and sum(name in self.readouts for name in node.inputs) == 1:
            inner = self.fresh(f"{node.outputs[0]}[t]")
            bare = self.fresh(f"{node.outputs[0]}#last")
            self.reshape(found.names[0], found.shape, bare)
            inputs = tuple(bare if name in self.readouts else name for name in node.inputs)
            faults = self.emit(replace(node, inputs=inputs, outputs=(inner,)))
            self.readouts[node.outputs[0]] = Readout((inner,), "last", self.tracer.shapes.get(inner, ()))
            return faults
        rest = [self.tracer.constants[name] for name in node.inputs if name in self.tracer.constants]
        if node.op in RESHAPING and len(rest) == len([name for name in node.inputs[1:] if name]):
            self.readouts[node.outputs[0]] = replace(found, shape=self._shape_after(node, found))
        elif node.op in ("Mul", "Div") and len(rest) == 1 and rest[0].size == 1 and self._first(node):
            factor = float(rest[0].item())
            scale = found.scale * factor if node.op == "Mul" else found.scale / factor if factor else math.nan
            self.readouts[node.outputs[0]] = replace(found, scale=scale)
        else:
            raise _late(node)
        return ()

    def _first(self, node: Node) -> bool:
        return node.op == "Mul" or node.inputs[0] in self.readouts

    def _shape_after(self, node: Node, found: Readout) -> Shape:
        from snncc.frontends.onnx.rearranging import reshaped

        return reshaped(node, found.shape, [self.tracer.constants.get(name) for name in node.inputs[1:]])


def _late(node: Node) -> CompileError:
    message = f"{node.op} computes with what all steps came to"
    hint = "let the network end in the sum, mean, maximum or last value over time"
    return fault("after-readout", node.name, message, hint)
