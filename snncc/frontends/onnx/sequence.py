"""Turns a file that holds a whole sequence, unrolled or in a loop, into one time step, wherever its time axis is."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from snncc.arrays import Array, Shape
from snncc.diagnostics import CompileError, Diagnostic, fault
from snncc.frontends.onnx.beginnings import first_values
from snncc.frontends.onnx.linear_ops import LINEAR, MAX_VALUES
from snncc.frontends.onnx.loops import Looped
from snncc.frontends.onnx.region import Node
from snncc.frontends.onnx.roll import Ends, roll
from snncc.frontends.onnx.source import Port, Source
from snncc.frontends.onnx.states import DATA_NAMES, Pairing
from snncc.frontends.onnx.step import Step
from snncc.frontends.onnx.tensors import printable
from snncc.frontends.onnx.timeline import MAX_STEPS, Ending, Parts, Readout
from snncc.frontends.onnx.trace import Tracer
from snncc.frontends.onnx.unsupported import knows_its_ops
from snncc.layers import Decoder

LOOPS = frozenset({"Scan", "Loop"})
_OPEN = 1009  # stands for a number of steps that the file leaves open; a prime, which no other size is likely to be
_PICKING = frozenset({"Gather", "Slice", "Split"})


@dataclass(frozen=True, eq=False)
class OneStep:
    """One time step of a network. `initial` are values before step 0 that are not zero, by state.

    `decoders` says for an output what its values over time come to; `steps` is None where the file leaves it open.
    `data_name` is what the file calls its data, and `whole` says that it holds all steps; `left_out` says of what
    follows the read-outs.
    """

    step: Step
    pairing: Pairing
    initial: Mapping[str, Array] = field(default_factory=dict[str, Array])
    decoders: Mapping[str, Decoder] = field(default_factory=dict[str, Decoder])
    steps: int | None = None
    data_name: str = ""
    whole: bool = False
    left_out: tuple[Diagnostic, ...] = ()


def has_loop(source: Source) -> bool:
    return any(node.op in LOOPS for node in source.nodes)


def looks_unrolled(source: Source) -> bool:
    """Whether a weight is used again and again, or the input is taken apart."""
    weights = Counter(name for node in source.nodes if node.op in LINEAR for name in node.inputs[1:2])
    if any(count > 1 and name in source.constants for name, count in weights.items()):
        return True
    names = {port.name for port in source.inputs}
    picked = sum(
        len(node.outputs) for node in source.nodes if node.op in _PICKING and not names.isdisjoint(node.inputs[:1])
    )
    return picked > 1


def sequence(source: Source) -> OneStep:
    """Try every axis of the data as time, and none; raises CompileError with what is wrong with the likeliest."""
    knows_its_ops(source)
    faults: list[CompileError] = []
    data = _data(source)
    for time in _places(data):
        try:
            return _in_loop(source, data, time) if has_loop(source) else _unrolled(source, data, time)
        except CompileError as error:  # noqa: PERF203
            faults.append(error)
    raise min(faults, key=lambda error: (_unlikely(error), len(error.diagnostics)))


def _unlikely(error: CompileError) -> bool:
    """Whether a fault is more likely that of a wrong guess of the time axis."""
    return any(each.rule in ("mixes-steps", "single-step", "no-input") for each in error.diagnostics)


def _data(source: Source) -> Port:
    if not source.inputs:
        raise CompileError([*source.faults, Diagnostic("no-input", "model", "has no inputs", "export the model again")])
    named = [port for port in source.inputs if port.name.lower() in DATA_NAMES]
    found = named[0] if len(named) == 1 else source.inputs[0]
    bad = [each for port in source.inputs for each in _check(port)]
    if bad:
        raise CompileError([*source.faults, *bad])
    return found


def _check(port: Port) -> Iterator[Diagnostic]:
    where = printable(port.name)
    if port.type not in ("float", "double", "float16"):
        hint = "spikes and states are floats: cast them before the export"
        yield Diagnostic("unsupported-type", where, f"is an input of type {port.type}", hint)
    if not port.shape:
        yield Diagnostic("dynamic-shape", where, "is an input without a shape", "export the model with fixed shapes")
    elif any(size is not None and size < 1 for size in port.shape):
        yield Diagnostic("bad-shape", where, f"has the impossible shape {port.shape}", "export the model again")
    elif math.prod(size or 1 for size in port.shape) > MAX_VALUES * 64:
        yield Diagnostic("too-large", where, f"has the shape {port.shape}, more than can be held")


def _places(data: Port) -> Iterator[int | None]:
    """Where time may be: axes that are open first, then those with several steps; none for a static input."""
    shape = data.shape or ()
    yield from (i for i, size in enumerate(shape) if size is None)
    yield from (i for i, size in enumerate(shape) if size is not None and 1 < size <= MAX_STEPS)
    yield None


def _start(source: Source, data: Port, time: int | None, rolled: bool) -> tuple[Looped, str]:
    """A timeline that knows the inputs, and the stream of the data; the other inputs hold first states."""
    shape: Shape = tuple(
        (size or (_OPEN if rolled else 1)) if i == time else size or 1 for i, size in enumerate(data.shape or ())
    )
    others = frozenset(port.name for port in source.inputs) - {data.name}
    taken = {name for node in source.nodes for name in node.outputs} | {port.name for port in source.inputs}
    steps = 1 if time is None else shape[time]
    line = Looped(Tracer.of(source), steps, rolled, taken | set(source.constants), states=others)
    for port in source.inputs:
        if port.name in others:
            line.tracer.stream(port.name, port.name, tuple(size or 1 for size in port.shape or ()), "f")
    if time is None:
        line.tracer.stream(data.name, data.name, shape, "f")
        return line, data.name
    keep = any(node.op in ("Conv", "BatchNormalization") and data.name in node.inputs[:1] for node in source.nodes)
    return line, line.input(data.name, shape, time, keep and time == 0)


def _visit(line: Looped, source: Source) -> None:
    faults = [*source.faults, *(found for node in source.nodes for found in line.visit(node))]
    if faults:
        raise CompileError(faults)


def _readouts(line: Looped, source: Source) -> dict[str, Readout]:
    """What each output of the file reads out; states at the end are left out if there is anything else."""
    found: dict[str, Readout] = {}
    faults: list[Diagnostic] = []
    for name in dict.fromkeys(source.outputs):
        parts: Parts | None = line.sequences.get(name)
        if name in line.readouts:
            found[name] = _scaled(line, line.readouts[name], name)
        elif parts is not None:
            found[name] = Readout(_bare(line, parts, name), "all", ())
        elif name in line.tracer.alias:
            found[name] = Readout((name,), "last", line.tracer.shapes[name])
        elif name not in line.tracer.constants:
            faults.append(Diagnostic("undefined-tensor", printable(name), "nothing computes this output"))
    if faults:
        raise CompileError(faults)
    kept = {name: each for name, each in found.items() if each.ending != "last"} or found
    if not kept:
        raise fault("no-output", printable(source.path.name), "has no outputs that change", "export the model again")
    return kept


def _bare(line: Looped, parts: Parts, name: str) -> tuple[str, ...]:
    """The parts of an output without the axis of time."""
    own = line.shape(parts.names[0])
    if len(own) < 2 or own[0 if parts.axis else 1] != 1:
        return parts.names
    shape = (*own[: parts.axis], *own[parts.axis + 1 :])
    names: list[str] = []
    for part in parts.names:
        names.append(line.fresh(f"{name} of a step"))
        line.reshape(part, shape, names[-1])
    return tuple(names)


def _scaled(line: Looped, found: Readout, name: str) -> Readout:
    """A sum divided by the number of steps is a mean; any other factor moves into each step."""
    if found.scale == 1.0:
        return found
    if found.ending == "count" and math.isclose(found.scale * line.steps, 1.0, rel_tol=1e-6):
        return replace(found, ending="mean", scale=1.0)
    if not math.isfinite(found.scale) or (found.ending == "max" and found.scale < 0):
        raise fault("after-readout", printable(name), f"multiplies what all steps came to by {found.scale:g}")
    factor = line.fresh(f"{name}#factor")
    line.tracer.constants[factor] = np.array(found.scale, np.float32)
    names: list[str] = []
    for part in found.names:
        names.append(line.fresh(f"{name} of a step"))
        if faults := line.emit(Node("Mul", printable(name), (part, factor), (names[-1],), {})):
            raise CompileError(faults)
    return replace(found, names=tuple(names), scale=1.0)


def _decoder(ending: Ending) -> Decoder | None:
    return None if ending == "all" else ending


def _decoders(readouts: Mapping[str, Readout]) -> dict[str, Decoder]:
    return {name: decoder for name, each in readouts.items() if (decoder := _decoder(each.ending)) is not None}


def _in_loop(source: Source, data: Port, time: int | None) -> OneStep:
    line, stream = _start(source, data, time, rolled=True)
    _visit(line, source)
    if not line.carried:
        raise fault("single-step", "model", "has a loop that carries nothing from step to step")
    readouts = _readouts(line, source)
    step = line.tracer.step()
    states = tuple((each.state, each.following) for each in line.carried)
    initial = {each.state: each.initial for each in line.carried if np.any(each.initial)}
    alias = {**step.alias, **{name: step.alias[each.names[-1]] for name, each in readouts.items()}}
    shapes = {**step.shapes, **{name: step.shapes[each.names[-1]] for name, each in readouts.items()}}
    steps = None if time is not None and (data.shape or ())[time] is None else line.steps
    whole = replace(step, alias=alias, shapes=shapes)
    pairing, said = Pairing(stream, states, tuple(readouts)), tuple(line.left_out.values())
    return OneStep(whole, pairing, initial, _decoders(readouts), steps, data.name, True, said)


def _unrolled(source: Source, data: Port, time: int | None) -> OneStep:
    line, _ = _start(source, data, time, rolled=False)
    if time is None:
        line.steps = _steps_of_outputs(source)
    _visit(line, source)
    readouts = _readouts(line, source)
    if time is None and all(each.ending == "last" for each in readouts.values()):
        line.steps = 1
    times: dict[str, int] = {}
    if time is not None:
        times = {line.tracer.alias[part]: t for t, part in enumerate(line.sequences[data.name].names)}
    rolled = roll(line.tracer.step(), Ends(readouts, times, line.steps, line.states))
    if not rolled.states:
        raise fault("single-step", "model", "nothing is carried from step to step")
    if not rolled.data:
        raise fault("no-input", "model", "nothing that it puts out depends on its input", "export the model again")
    initial = first_values(rolled)
    alias = {**rolled.step.alias, **rolled.outputs}
    shapes = {
        **rolled.step.shapes,
        **{name: line.shape(each.names[-1]) for name, each in readouts.items()},
    }
    step = replace(rolled.step, alias=alias, shapes=shapes)
    pairing = Pairing(rolled.data, rolled.states, tuple(readouts))
    said = tuple(line.left_out.values())
    return OneStep(step, pairing, initial, _decoders(readouts), rolled.steps, data.name, True, said)


def _steps_of_outputs(source: Source) -> int:
    """How many tensors the file puts behind one another last; a static input does not say how many steps there are."""
    joined = [len(node.inputs) for node in source.nodes if node.op == "Concat" and len(node.inputs) > 1]
    return joined[-1] if joined else 1
