"""One time step of a network, as it stands after constants are folded: what is elementwise, and what is linear."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from snncc.arrays import Array, Shape
from snncc.frontends.onnx.region import Node
from snncc.layers import Layer

COMPARING = frozenset({"Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Equal", "IsNaN", "IsInf"})
LOGICAL = frozenset({"And", "Or", "Xor", "Not"})
STEPWISE = frozenset({"Floor", "Ceil", "Round", "Sign"})  # constant between jumps, as a comparison is
_WHOLE = frozenset({2, 3, 4, 5, 6, 7, 12, 13})  # ONNX's numbers for integer types, to which a Cast cuts the rest off


def jumps(node: Node) -> bool:
    """Whether an op's values are discrete, whatever it reads."""
    return node.op in COMPARING | LOGICAL | STEPWISE or (node.op == "Cast" and node.attributes.get("to") in _WHOLE)


@dataclass(frozen=True, eq=False)
class Pointwise:
    """An elementwise node; its streams have as many values as its result.

    `shape` leaves out the batch axis; `constants` broadcast to it. `linear`: a sum or a constant multiple of streams.
    """

    node: Node
    shape: Shape
    constants: Mapping[str, Array]
    linear: bool

    @property
    def output(self) -> str:
        return self.node.outputs[0]

    @cached_property
    def sources(self) -> tuple[str, ...]:
        """The streams that it reads, each once."""
        return tuple(dict.fromkeys(name for name in self.node.inputs if name and name not in self.constants))


@dataclass(frozen=True, eq=False)
class Layered:
    """`output` is the stream `source` sent through layers that are linear and stateless.

    Without layers, which there are only in a survey, the node could not be read, and its output stands for anything.
    """

    node: Node
    source: str
    layers: tuple[Layer, ...]
    output: str

    @property
    def sources(self) -> tuple[str, ...]:
        return (self.source,)


Piece = Pointwise | Layered


@dataclass(frozen=True, eq=False)
class Step:
    """`pieces` in topological order read and write *streams*, tensors that change from step to step.

    `alias` maps every changing tensor to its stream, the first tensor that held its values; `shapes` are ONNX's, with
    a batch of 1. `events` are streams of discrete values. `constants` are the tensors that do not change.
    """

    pieces: tuple[Piece, ...]
    alias: Mapping[str, str]
    shapes: Mapping[str, Shape]
    events: frozenset[str]
    constants: Mapping[str, Array]

    @cached_property
    def maker(self) -> Mapping[str, Piece]:
        """The piece that writes a stream; inputs have none."""
        return {piece.output: piece for piece in self.pieces}


def without_batch(shape: Shape) -> Shape:
    return shape[1:] if shape and shape[0] == 1 else shape
