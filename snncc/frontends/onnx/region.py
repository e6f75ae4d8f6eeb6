"""What the two halves of neuron recognition hand each other: a region of the graph, and the fit found for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from snncc.arrays import Array, Shape
from snncc.layers import Neuron

Meaning = Literal["spikes", "membrane before", "membrane after", "current"]


@dataclass(frozen=True, eq=False)
class Node:
    """One ONNX node, detached from its file: inputs are tensor names, "" where an optional input is absent."""

    op: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, eq=False)
class Region:
    """An elementwise, stateful piece of the step graph: one population before it is known what it computes.

    `nodes` are in topological order and elementwise, or keep count and order (those act as identity);
    `streams` are the non-constant tensors that enter besides the states; `states` pairs each state's tensor with
    the tensor of its next value; `exports` are the tensors read outside, next states only if something else reads
    them as well; `constants` broadcast to `shape` (ONNX's own dtypes). Shapes leave out the batch axis.
    `initial` is the value of states before the first step, where it is not zero. `feedback` maps a stream that is
    nothing but the last step's value of a tensor of this region (its own spike, say) to that tensor.
    """

    name: str
    shape: Shape
    nodes: tuple[Node, ...]
    streams: tuple[str, ...]
    states: tuple[tuple[str, str], ...]
    exports: tuple[str, ...]
    constants: Mapping[str, Array]
    initial: Mapping[str, Array] = field(default_factory=dict[str, Array])
    feedback: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, eq=False)
class Fit:
    """A region in the normal form: `neuron` reads the sum over streams of gain * stream, `delay` steps late.

    Streams that the neuron does not read have no gain; a state that holds the region's own last spike may have one.
    `meanings` says of each export what it is, times `scales` plus `offsets` where those are given (a spike may have
    another height than 1). `error` is the worst deviation of a membrane seen in verification, relative to the sizes of
    what is added up in a step (decayed membrane, input, threshold).
    """

    neuron: Neuron
    gains: Mapping[str, Array]
    delays: Mapping[str, int]
    meanings: Mapping[str, Meaning]
    error: float
    scales: Mapping[str, Array] = field(default_factory=dict[str, Array])
    offsets: Mapping[str, Array] = field(default_factory=dict[str, Array])
