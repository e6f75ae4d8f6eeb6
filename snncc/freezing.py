"""What a run has learnt, taken out of it: a program of the same spikes that learns no more, a model, or a save."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from snncc import artefact, files
from snncc.arrays import Array
from snncc.compiler import settled
from snncc.diagnostics import fault
from snncc.frontends import Model, model_bytes
from snncc.graph import Graph
from snncc.integers import IntOp, Learnt, Network, Population, SoftReset, Synapse, learns
from snncc.linear import with_weight
from snncc.named import UNNAMED, Named
from snncc.passes.express import express
from snncc.passes.naming import OPTION, answering
from snncc.passes.restate import restated
from snncc.passes.retime import retime
from snncc.passes.shrink import shrunk_by
from snncc.preparation import Choices, Stage, no_stage
from snncc.program import CompiledModel, Program
from snncc.semantics import frozen_network

Names = Sequence[int] | None  # the class of each neuron, -1 for none

_MODEL, _SAVE = ".onnx", ".learnt"
_OTHER_MODELS = (".nir", ".net", ".h5", ".hdf5")
_NARROW = (np.int8, np.int16, np.int32, np.int64)


def is_file(output: Path) -> bool:
    """Whether a name asks for a file, a model in .onnx or a save in .learnt, and not for a program's folder.

    Raises CompileError (`unknown-format`) for models of other formats.
    """
    suffix = output.suffix.lower()
    if suffix in _OTHER_MODELS:
        message = f"has the suffix {suffix!r}; what was learnt is written to .onnx and .learnt files and to folders"
        raise fault(
            "unknown-format", output.name, message, "write an .onnx file, and turn that into others: snncc convert"
        )
    return suffix in (_MODEL, _SAVE)


def place_for(output: Path, folder: Path, run: Path) -> None:
    """Raise CompileError if what was learnt may not be put there, before the work for it is done.

    `output-exists` for a folder that would replace the program that learns, or its run, or be replaced with them; and
    as `files.place_for_file` and `artefact.place_for`.
    """
    if is_file(output):
        files.place_for_file(output)
        return
    there, source, learnt = (Path(os.path.realpath(each)) for each in (output, folder, run))
    for each, what in ((source, "the program that learns"), (learnt, "the run in which it learnt")):
        lost = there == each or there in each.parents
        if lost or (each == source and each in there.parents):
            message = f"is {what}" if there == each else f"{'holds' if lost else 'lies in'} {what}"
            hint = "choose a folder beside it: a frozen program learns no more"
            raise fault("output-exists", str(output), message, hint)
    artefact.place_for(output)


def content(program: CompiledModel, learnt: Learnt, output: Path, names: Names = None) -> bytes:
    """What is written to a file of that name; raises CompileError as `relearnt` and `saved`."""
    if output.suffix.lower() != _SAVE:
        return model_bytes(relearnt(program, learnt, names), output)
    if names is not None:
        raise fault("bad-option", OPTION, "a save has no outputs", "leave it out, or write a folder or an .onnx file")
    return saved(program, learnt)


def pupil(program: CompiledModel) -> Program:
    """A program that learns; raises CompileError (`cannot-freeze`) for any other."""
    if not isinstance(program, Program) or not learns(program.network):
        message = "was compiled without anything that learns"
        raise fault("cannot-freeze", program.title, message, "give the folder of a program that snncc learn has run")
    return program


def frozen(
    program: CompiledModel, learnt: Learnt, stage: Stage = no_stage, names: Names = None, named: Named = UNNAMED
) -> Program:
    """The program, for the same target, that answers as this one does once it has learnt so much and learns no more.

    It is made of the same integers: nothing is quantised again. Weights that are 0 are not there. With the classes that
    neurons were named for (`Exam.names`) it answers with them; else `named` says what its neurons stand for. Raises
    CompileError: `cannot-freeze`, `bad-option`, and what is wrong with the network on its chip.
    """
    taught = pupil(program)
    stage("freeze")
    network, gone = shrunk_by(_within_reach(_narrowed(_still(taught, learnt, names))))
    network = express(retime(network, taught.chip), taught.chip, same_spikes=True)
    choices = Choices(early_exit=taught.early_exit)
    made = settled(taught.title, network, taught.chip, taught.backend, choices, taught.steps, None, stage)
    told = None if names is not None else named
    return replace(made, stages={"3-integer": network.text()}, gone=gone, fewer=taught.fewer, named=told)


def _still(taught: Program, learnt: Learnt, names: Names) -> Network:
    network = frozen_network(taught.network, learnt)
    return network if names is None else answering(network, names, taught.chip)


def relearnt(program: CompiledModel, learnt: Learnt, names: Names = None) -> Model:
    """The network as an ordinary model, that learns no more and compiles for any target, quantised again.

    Its weights and thresholds are those that the grid holds, in the units of the model that was to learn; `names` are
    as in `frozen`. Raises CompileError: `cannot-freeze`, `cannot-restate`, `bad-option`.
    """
    taught = pupil(program)
    return Model(taught.title, restated(_still(taught, learnt, names)), taught.steps)


def saved(program: CompiledModel, learnt: Learnt) -> bytes:
    """The save from which the program, on its own target, goes on learning: what its `snn_load` takes.

    Raises CompileError: `cannot-freeze`, `no-save` for targets whose programs load none.
    """
    taught = pupil(program)
    if taught.backend.saved is None:
        message = "has programs that load no saves"
        raise fault(
            "no-save", taught.chip.name, message, "write a program that no longer learns, by the name of a folder"
        )
    return taught.backend.saved(taught.network, learnt)


def _narrowed(network: Network) -> Network:
    """The network with weights in the narrowest type that holds them."""
    ops: dict[str, IntOp] = {
        name: replace(op, map=with_weight(op.map, _narrow(op.map.weight))) if isinstance(op, Synapse) else op
        for name, op in network.ops.items()
    }
    return Graph(ops, network.edges)


def _narrow(weight: Array) -> Array:
    low, high = int(weight.min(initial=0)), int(weight.max(initial=0))
    return weight.astype(next(each for each in _NARROW if np.iinfo(each).min <= low and high <= np.iinfo(each).max))


def _within_reach(network: Network) -> Network:
    """The network with thresholds that a register holds, where learning raised some beyond what a membrane can be."""
    ops = {name: _held(op) if isinstance(op, Population) else op for name, op in network.ops.items()}
    return Graph(ops, network.edges)


def _held(op: Population) -> Population:
    """v >= t is v > t - 1, and no membrane is greater than its register's end: neurons that never fire never do."""
    fire, high = op.fire, op.membrane.register.hi
    if fire is None or fire.max_spikes > 1 or not (fire.threshold > high).any():
        return op
    reset = op.reset
    if isinstance(reset, SoftReset):
        reset = replace(reset, amount=np.where(fire.threshold > high, 0, reset.amount))
    threshold = np.minimum(fire.threshold - fire.inclusive, high)
    return replace(op, fire=replace(fire, threshold=threshold, inclusive=False), reset=reset)
