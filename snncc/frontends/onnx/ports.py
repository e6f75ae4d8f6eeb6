"""Checks what a model takes in and says about itself: shapes, types, number of steps, decoder."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import cast, get_args

from snncc.arrays import Shape
from snncc.diagnostics import CompileError, Diagnostic
from snncc.frontends.onnx.linear_ops import MAX_VALUES
from snncc.frontends.onnx.source import Port, Source
from snncc.frontends.onnx.tensors import printable
from snncc.layers import Decoder

WHOLE = ("int32", "int64")
_MAX_STATES = 1024
_MAX_STEPS = 10**6


def input_shapes(source: Source) -> dict[str, Shape]:
    """The shape of every input, with a batch of 1; raises CompileError with all that is wrong with any of them."""
    faults = [*source.faults]
    if not 0 < len(source.inputs) <= _MAX_STATES:
        message = f"has {len(source.inputs):,} inputs; a step needs its data, and at most {_MAX_STATES:,} are possible"
        faults.append(Diagnostic("no-input", "model", message, "export one step, (x, states) -> (y, next states)"))
        raise CompileError(faults)
    found = [fault for place, port in enumerate(source.inputs) for fault in _check(port, counts=place > 0)]
    if found:
        raise CompileError([*faults, *found])
    return {port.name: (1, *(size or 0 for size in (port.shape or ())[1:])) for port in source.inputs}


def of_wrong_type(port: Port) -> Diagnostic:
    hint = "spikes and states are floats in a step: cast them before the export"
    return Diagnostic("unsupported-type", printable(port.name), f"is an input of type {port.type}", hint)


def _check(port: Port, counts: bool) -> Iterator[Diagnostic]:
    """What is wrong with an input; one that `counts` may be a state that holds whole numbers."""
    where = printable(port.name)
    if port.type not in ("float", "double", "float16", *(WHOLE if counts else ())):
        yield of_wrong_type(port)
    if not port.shape:
        yield Diagnostic("dynamic-shape", where, "is an input without a shape", "export the model with fixed shapes")
        return
    unknown = [i for i, size in enumerate(port.shape) if i and size is None]
    if unknown:
        message = f"axis {unknown[0]} of this input has no fixed size"
        yield Diagnostic("dynamic-shape", where, message, "only the first axis, the batch, may be left open")
    if port.shape[0] not in (None, 1):
        message = f"the first axis of this input has size {port.shape[0]:,}; it must be a batch of 1, or left open"
        hint = "export one sample and one time step: x of shape (1, ...), not a batch and not a whole sequence"
        yield Diagnostic("fixed-batch", where, message, hint)
    elif any(size is not None and size < 1 for size in port.shape):
        yield Diagnostic("bad-shape", where, f"has the impossible shape {port.shape}", "export the model again")
    elif math.prod(size or 1 for size in port.shape) > MAX_VALUES:
        count = math.prod(size or 1 for size in port.shape)
        yield Diagnostic("too-large", where, f"has {count:,} values; a population holds at most {MAX_VALUES:,}")


def widened_types(source: Source) -> Iterator[Diagnostic]:
    """Warnings about inputs whose arithmetic is followed in higher precision only."""
    for port in source.inputs:
        if port.type == "float16":
            message = "is float16: the network is read as if it were computed in float32"
            yield Diagnostic("float16", printable(port.name), message, "export in float32", "warning")


def steps(properties: Mapping[str, str]) -> tuple[int | None, tuple[Diagnostic, ...]]:
    """The file's `snncc.steps`, or a warning where it is no number of steps."""
    text = properties.get("snncc.steps")
    if text is None:
        return None, ()
    if text.isascii() and text.isdigit() and len(text) < 10 and 0 < int(text) <= _MAX_STEPS:
        return int(text), ()
    message = f"snncc.steps is {printable(text)!r}, not a number from 1 to {_MAX_STEPS:,}: ignored"
    return None, (Diagnostic("bad-metadata", "model", message, "give the number with --steps", "warning"),)


def decoder(properties: Mapping[str, str]) -> tuple[Decoder | None, tuple[Diagnostic, ...]]:
    """The file's `snncc.decoder`, or a warning where there is no such decoder."""
    text, known = properties.get("snncc.decoder"), get_args(Decoder)
    if text is None:
        return None, ()
    if text in known:
        return cast("Decoder", text), ()
    message = f"snncc.decoder is {printable(text)!r}, none of {', '.join(known)}: ignored"
    return None, (Diagnostic("bad-metadata", "model", message, "choose one with --decoder", "warning"),)
