"""Replaces resets that a target's own neurons lack by the one that they have, and says what that costs on samples."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from snncc.data import Data
from snncc.diagnostics import Diagnostic
from snncc.graph import Graph
from snncc.layers import Decoder, HardReset, Layer, Neuron, Output, SoftReset, default_decoder
from snncc.semantics import decode, run_float

_SAMPLES = 500


def softly_reset(graph: Graph[Layer]) -> tuple[str, ...]:
    """The populations whose reset subtracts, or acts a step later."""
    return tuple(
        name
        for name, op in graph.of_kind(Neuron).items()
        if op.reset and (isinstance(op.reset, SoftReset) or op.reset.delay)
    )


def hardly_reset(graph: Graph[Layer]) -> Graph[Layer]:
    """The same network with membranes set to 0 at once where they were to be lowered, or to be set later."""
    changed = softly_reset(graph)
    ops = {
        name: replace(op, reset=HardReset(getattr(op.reset, "value", np.zeros(()))))
        if name in changed and isinstance(op, Neuron)
        else op
        for name, op in graph.ops.items()
    }
    return Graph(ops, graph.edges)


def cost(graph: Graph[Layer], samples: Data | None, decoder: Decoder | None) -> Diagnostic:
    """What hard resets change: in accuracy where samples have labels, in the classes where not."""
    names = softly_reset(graph)
    listed = f"{', '.join(names[:4])}{', ...' if len(names) > 4 else ''}"
    done = "became hard ones, as --allow-hard-reset says"
    if samples is None:
        hint = "give --samples to see what that costs, or train with hard resets"
        return Diagnostic("hard-reset", listed, f"their soft resets {done}", hint, "warning")
    part = samples.part(0, _SAMPLES)
    before, after = (_classes(each, part, decoder) for each in (graph, hardly_reset(graph)))
    if part.y is None:
        found = f"{np.mean(before == after):.1%} of the {len(part.x):,} samples keep their class"
    else:
        right = [f"{np.mean(each == part.y):.1%}" for each in (before, after)]
        found = f"accuracy on the {len(part.x):,} samples goes from {right[0]} to {right[1]}, in floats"
    hint = "train with hard resets, for which no accuracy is lost"
    return Diagnostic("hard-reset", listed, f"their soft resets {done}: {found}", hint, "warning")


def _classes(graph: Graph[Layer], part: Data, decoder: Decoder | None) -> np.ndarray:
    trace = run_float(graph, part.x, part.steps, part.lengths)
    name, output = next(iter(graph.of_kind(Output).items()))
    own = decoder or output.decoder or default_decoder(output)
    return decode(trace.outputs[name], own, part.lengths).argmax(axis=1)
