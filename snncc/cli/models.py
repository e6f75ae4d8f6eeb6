"""The commands about models: what of one is supported, its program for a target, another format of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from snncc.cli.options import (
    AllowHardReset,
    Arduino,
    Backend,
    Bits,
    Convert,
    DecayBits,
    DecoderName,
    Dt,
    EarlyExit,
    FewerSteps,
    Json,
    Learn,
    Loss,
    Model,
    NirStyle,
    Partition,
    Prune,
    PruneNeurons,
    Rate,
    RequireProof,
    Samples,
    Seed,
    StateBits,
    States,
    Steps,
    StockOnly,
    Target,
    TargetAccuracy,
    WeightBytes,
    conversion,
    decoder_of,
    needs_samples,
    pairs,
    partition_of,
    taught,
    whole,
)
from snncc.cli.screen import Screen
from snncc.diagnostics import CompileError, printable

if TYPE_CHECKING:
    from snncc.chip import Chip
    from snncc.event_program import EventProgram
    from snncc.frontends import Model as Trained
    from snncc.preparation import Choices
    from snncc.program import CompiledModel, Program

_RUN, _LEARN = "snncc simulate {} --input DATA.npz", "snncc learn {} --input TRAIN.npz --test TEST.npz -o RUN"
_BAD_USE = {"cannot-read", "unknown-format", "unknown-target", "bad-chip-file"}  # says nothing about the model


def check(
    model: Model,
    target: Target = "host",
    samples: Samples = None,
    steps: Steps = None,
    convert: Convert = None,
    target_accuracy: TargetAccuracy = None,
    state: States = None,
    nir_style: NirStyle = None,
    dt: Dt = None,
    json_: Json = False,
) -> None:
    """Say what of a model is supported, node by node, and why the rest is not; exit 1 if it cannot be compiled."""
    from snncc import compiler, importing, views
    from snncc.frontends import findings, survey

    screen = Screen(json_)
    found: list[views.View] = []
    try:
        with screen.progress("check") as shown:
            shown.stage("read")
            how = conversion(convert, samples, steps, target_accuracy)
            imported = importing.import_model(model, pairs(state), conversion=how, nir_style=nir_style, dt=dt)
            found.append(views.recognised(imported.name, findings(imported)))
            own = steps if how is None else None
            program = compiler.compile(imported, target, samples=samples, steps=own, stage=shown.stage)
            found.append(views.compiled(program, None))
    except CompileError as error:
        faults, ordinary = error.diagnostics, convert is not None
        found = found or [views.recognised(model.stem, survey(model, pairs(state), nir_style, dt, faults, ordinary))]
        screen.fail(error, 2 if {each.rule for each in faults} & _BAD_USE else 1, *found)
    screen.show(*found)


def compile(  # noqa: A001  the word of the field
    model: Model,
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to write.", show_default=False)],
    target: Target = "host",
    backend: Backend = None,
    samples: Samples = None,
    weight_bits: Bits = None,
    weight_bytes: WeightBytes = None,
    state_bits: StateBits = None,
    decay_bits: DecayBits = None,
    prune: Prune = None,
    prune_neurons: PruneNeurons = None,
    steps: FewerSteps = None,
    loss: Loss = None,
    decoder: DecoderName = None,
    early_exit: EarlyExit = False,
    convert: Convert = None,
    target_accuracy: TargetAccuracy = None,
    state: States = None,
    nir_style: NirStyle = None,
    dt: Dt = None,
    require_proof: RequireProof = False,
    stock_only: StockOnly = False,
    allow_hard_reset: AllowHardReset = False,
    partition: Partition = "auto",
    seed: Seed = 0,
    learn: Learn = None,
    rate: Rate = None,
    arduino: Arduino = False,
    dump: Annotated[Path | None, typer.Option(help="Write the graph after each stage, as text, to a folder.")] = None,
    json_: Json = False,
) -> None:
    """Compile a trained model for a target, and write the artefact to a folder."""
    from snncc import artefact, compiler, importing, views

    screen = Screen(json_)
    with screen.doing("compile") as shown:
        needs_samples({"--rate": rate}, samples)
        artefact.place_for(output)
        how = conversion(convert, samples, whole(steps) if convert else None, target_accuracy)
        own, chip, less = steps if how is None else None, chip_of(target), (prune, prune_neurons)
        rest = decoder_of(decoder), backend, require_proof, stock_only, allow_hard_reset, partition_of(partition)
        more = loss, early_exit, state_bits, decay_bits, rate
        choices = compiler.Choices(weight_bits, own, *rest, seed, *less, taught(learn), *more)
        imported = importing.import_model(model, pairs(state), conversion=how, nir_style=nir_style, dt=dt)
        program, chosen = made(imported, chip, choices, samples, weight_bytes, shown.stage)
        _write(program.laid_out("arduino") if arduino else program, output, dump, shown.stage)
    screen.show(views.compiled(program, output))
    screen.wrote(output, _LEARN if program.learning else _RUN)
    screen.say(chosen)


def made(
    model: Trained,
    chip: Chip,
    choices: Choices,
    samples: Path | None,
    weight_bytes: str | None,
    stage: Callable[[str], None],
) -> tuple[Program | EventProgram, str]:
    """The program of a model, and what is to be said of weights that were chosen for a size."""
    from snncc import allocation, compiler

    if weight_bytes is None:
        return compiler.compiled(model, chip, choices, samples, stage), ""
    chosen = allocation.weight_bits(model, chip, choices, samples, allocation.bytes_of(weight_bytes), stage)
    program = compiler.compiled(model, chip, replace(choices, weight_bits=chosen), samples, stage)
    return program, f"chosen for {weight_bytes}: --weight-bits {printable(chosen)}"


def chip_of(target: str) -> Chip:
    from snncc import chip as chips

    return chips.load(target)


def convert(
    model: Model,
    output: Annotated[Path, typer.Argument(help="The file to write; its suffix is the format.", show_default=False)],
    samples: Samples = None,
    steps: Steps = None,
    rate: Convert = None,
    target_accuracy: TargetAccuracy = None,
    state: States = None,
    nir_style: NirStyle = None,
    dt: Dt = None,
    json_: Json = False,
) -> None:
    """Write a trained network in another format: .nir, or .onnx with an op for each neuron (docs/dialect.md)."""
    from snncc import importing, views

    screen = Screen(json_)
    with screen.doing("convert"):
        if rate is None and (samples or steps):
            raise typer.BadParameter("needs --convert rate", param_hint="--samples" if samples else "--steps")
        how = conversion(rate, samples, steps, target_accuracy)
        warnings = importing.convert(model, output, states=pairs(state), conversion=how, nir_style=nir_style, dt=dt)
    screen.show(views.diagnostics(warnings))
    screen.wrote(output)


def targets(json_: Json = False) -> None:
    """List the chips that snncc knows, and their limits."""
    from snncc import chip, views

    Screen(json_).show(views.targets([chip.load(name) for name in chip.known()]))


def _write(program: CompiledModel, output: Path, dump: Path | None, stage: Callable[[str], None]) -> None:
    if dump is not None:
        program.dump(dump)
    stage("write")
    program.write(output)
