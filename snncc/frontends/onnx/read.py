"""Reads a trained spiking network from an ONNX file that holds one time step: the order of all that is done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from snncc.diagnostics import CompileError, Diagnostic, check, fault
from snncc.frontends.model import Model
from snncc.frontends.onnx.build import Interface, build
from snncc.frontends.onnx.dialect.read import read_dialect
from snncc.frontends.onnx.identify import identify
from snncc.frontends.onnx.names import Names, population_names
from snncc.frontends.onnx.ports import WHOLE, decoder, input_shapes, of_wrong_type, steps, widened_types
from snncc.frontends.onnx.region import Fit, Region
from snncc.frontends.onnx.regions import Cut, cut
from snncc.frontends.onnx.sequence import OneStep, has_loop, looks_unrolled, sequence
from snncc.frontends.onnx.source import Source, extract, parse
from snncc.frontends.onnx.states import Pairing, pair
from snncc.frontends.onnx.step import COMPARING, STEPWISE, Step
from snncc.frontends.onnx.tensors import printable
from snncc.frontends.onnx.trace import trace
from snncc.layers import Decoder

_ACTIVATIONS = frozenset(
    {"Relu", "LeakyRelu", "PRelu", "Elu", "Selu", "Celu", "Gelu", "Sigmoid", "HardSigmoid", "Tanh", "Softplus"}
    | {"Softsign", "Mish", "HardSwish", "Softmax", "LogSoftmax", "MaxPool", "GlobalMaxPool", "Clip", "Erf"}
)


def read_onnx(path: Path, states: Sequence[tuple[str, str]] = ()) -> Model:
    """Import the file; `states` are (input, output) pairs that the user gives."""
    proto = parse(path)
    written = None if states else read_dialect(proto, path)
    if written is not None:
        return written
    source = extract(proto, path)
    neurons_exist(source)
    one = one_step(source, states)
    names = Names()
    found, interface = regions_of(source, one, names)
    fits = _identified(found.regions)
    graph = build(one.step, found, fits, interface, names, source.scopes)

    count, bad_count = steps(source.properties)
    kind, bad_kind = decoder(source.properties)
    return Model(
        printable(path.stem),
        graph,
        one.steps if count is None else count,
        kind,
        {} if one.whole else dict(_spike_tensors(found.regions, fits)),
        {region.name: fit.error for region, fit in zip(found.regions, fits, strict=True)},
        (*widened_types(source), *one.left_out, *bad_count, *bad_kind),
    )


def regions_of(source: Source, one: OneStep, names: Names) -> tuple[Cut, Interface]:
    """The regions of a step, and what enters and leaves it, all of them named."""
    step, pairing, outputs = one.step, one.pairing, one.pairing.outputs
    following = {state: step.alias[output] for state, output in pairing.states}
    found = cut(step, following, [step.alias[n] for n in outputs], one.initial, source.survey)
    data = names.give([one.data_name or pairing.data], "input")
    listed: list[tuple[str, str, Decoder | None]] = [
        (name, names.give([name], "output"), one.decoders.get(name)) for name in outputs
    ]
    named = (replace(each, name=names.give(population_names(each, source.scopes), "neuron")) for each in found.regions)
    return replace(found, regions=tuple(named)), Interface((pairing.data, data), tuple(listed))


def neurons_exist(source: Source) -> None:
    """An ordinary network gets a diagnostic of its own, before the many that its nodes would get."""
    ops = activations_of(source)
    if ops is None:
        return
    counted = ", ".join(f"{count} {op}" for op, count in ops.items())
    what = f"is an ordinary neural network (ANN) with {counted}" if counted else "is a linear network"
    message = f"{what}: nothing in it keeps a state from step to step, compares it with a threshold and fires"
    hint = "train a spiking network; or let spike rates stand for its values: --convert rate --samples FILE --steps N"
    raise fault("no-spiking-neurons", printable(source.path.name), message, hint)


def activations_of(source: Source) -> dict[str, int] | None:
    """How many of each activation an ordinary network has; None for a file that may hold spiking neurons."""
    ops = Counter(node.op for node in source.nodes)
    if len(source.inputs) != 1 or ops.keys() & (COMPARING | STEPWISE | {"If", "Loop", "Scan"}):
        return None
    if any("::" in op for op in ops):
        return None
    return {op: count for op, count in ops.items() if op in _ACTIVATIONS}


def outputs_change(source: Source, step: Step) -> None:
    """Raise CompileError for outputs that nothing makes, or that are always the same."""
    found: list[Diagnostic] = []
    for name in source.outputs:
        if name not in step.alias:
            constant = name in step.constants
            message = "this output never changes" if constant else "nothing computes this output"
            rule = "constant-output" if constant else "undefined-tensor"
            found.append(Diagnostic(rule, printable(name), message, "remove it from the exported step"))
    if not source.outputs:
        found.append(Diagnostic("no-output", printable(source.path.name), "has no outputs", "export the model again"))
    if found:
        raise CompileError(found)


def one_step(source: Source, states: Sequence[tuple[str, str]]) -> OneStep:
    """One time step of the network, whatever the file holds: a step, a loop over it, or all steps written out."""
    if has_loop(source):
        return sequence(source)
    if len(source.inputs) > 1 and not looks_unrolled(source):
        return _single(source, states)
    attempts = [lambda: sequence(source), lambda: _single(source, states)]
    if len(source.inputs) > 1:  # states, or first states of a loop that is written out
        attempts.reverse()
    errors: list[CompileError] = []
    for attempt in attempts:
        try:
            return attempt()
        except CompileError as error:  # noqa: PERF203
            errors.append(error)
    rules = {each.rule for each in errors[0].diagnostics}
    loop = looks_unrolled(source) or not rules.isdisjoint({"uneven-steps", "too-few-steps"})
    raise errors[0] if loop and "single-step" not in rules else errors[-1]


def _single(source: Source, states: Sequence[tuple[str, str]]) -> OneStep:
    step = trace(source, input_shapes(source))
    outputs_change(source, step)
    pairing = pair(step, [port.name for port in source.inputs], source.outputs, states)
    check(of_wrong_type(port) for port in source.inputs if port.name == pairing.data and port.type in WHOLE)
    return OneStep(step, replace(pairing, outputs=model_outputs(step, pairing)))


def model_outputs(step: Step, pairing: Pairing) -> tuple[str, ...]:
    """The outputs that are no next state; without any, the last spike (else value) that nothing depends on."""
    if pairing.outputs:
        return pairing.outputs
    read = {source for piece in step.pieces for source in piece.sources}
    following = [output for _, output in pairing.states]
    final = [output for output in following if step.alias[output] not in read] or following
    spikes = [output for output in final if step.alias[output] in step.events]
    return tuple((spikes or final)[-1:])


def _identified(regions: Sequence[Region]) -> list[Fit]:
    fits: list[Fit] = []
    faults: list[Diagnostic] = []
    for region in regions:
        try:
            fits.append(identify(region))
        except CompileError as error:  # noqa: PERF203
            faults.extend(error.diagnostics)
    if faults:
        raise CompileError(faults)
    return fits


def _spike_tensors(regions: Sequence[Region], fits: Sequence[Fit]) -> Iterator[tuple[str, str]]:
    """The tensors that are not 0 just where a neuron fires; spikes of height 0, or turned around, are others."""
    for region, fit in zip(regions, fits, strict=True):
        for tensor, meaning in fit.meanings.items():
            if meaning == "spikes" and np.all(fit.scales.get(tensor, 1.0)) and not np.any(fit.offsets.get(tensor, 0.0)):
                yield region.name, tensor
