"""The command line: with `screen`, all that prints or exits; every command is one or two calls of the Python API."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from snncc.diagnostics import CompileError, printable
from snncc.options import (
    AllowHardReset,
    Arduino,
    Bits,
    Convert,
    DataFile,
    DecoderName,
    Dt,
    Folder,
    Json,
    LavaPython,
    Limit,
    Model,
    NirStyle,
    Partition,
    Profile,
    RecordAll,
    RequireProof,
    Samples,
    Seed,
    States,
    Steps,
    StockOnly,
    Target,
    TargetAccuracy,
    Trace,
    conversion,
    decoder_of,
    only_for_folders,
    only_for_models,
    pairs,
    partition_of,
)
from snncc.screen import Screen

if TYPE_CHECKING:
    from snncc.analysis.metrics import Run
    from snncc.data import Data
    from snncc.program import CompiledModel
    from snncc.views import View

app = typer.Typer(
    name="snncc",
    help="Compile trained spiking neural networks for neuromorphic hardware, with the same bits everywhere.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)

_BAD_USE = {"cannot-read", "unknown-format", "unknown-target", "bad-chip-file"}  # says nothing about the model


@app.command()
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
    from snncc import compiler, views

    screen = Screen(json_)
    found: list[views.View] = []
    try:
        with screen.progress("check") as shown:
            shown.stage("read")
            how = conversion(convert, samples, steps, target_accuracy)
            imported = compiler.import_model(model, pairs(state), conversion=how, nir_style=nir_style, dt=dt)
            found.append(views.recognised(imported))
            own = steps if how is None else None
            program = compiler.compile(imported, target, samples=samples, steps=own, stage=shown.stage)
            found.append(views.compiled(program, None))
    except CompileError as error:
        screen.fail(error, 2 if {each.rule for each in error.diagnostics} & _BAD_USE else 1, *found)
    screen.show(*found)


@app.command(name="compile")
def compile_(
    model: Model,
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to write.", show_default=False)],
    target: Target = "host",
    backend: Annotated[str | None, typer.Option(help="Another backend than the target's own.")] = None,
    samples: Samples = None,
    weight_bits: Bits = None,
    steps: Steps = None,
    decoder: DecoderName = None,
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
    arduino: Arduino = False,
    dump: Annotated[Path | None, typer.Option(help="Write the graph after each stage, as text, to a folder.")] = None,
    json_: Json = False,
) -> None:
    """Compile a trained model for a target, and write the artefact to a folder."""
    from snncc import artefact, compiler, views

    screen = Screen(json_)
    try:
        artefact.place_for(output)
        with screen.progress("compile") as shown:
            how = conversion(convert, samples, steps, target_accuracy)
            program = compiler.compile(
                compiler.import_model(model, pairs(state), conversion=how, nir_style=nir_style, dt=dt),
                target,
                samples=samples,
                weight_bits=weight_bits,
                steps=steps if how is None else None,
                decoder=decoder_of(decoder),
                backend=backend,
                require_proof=require_proof,
                stock_only=stock_only,
                allow_hard_reset=allow_hard_reset,
                partition=partition_of(partition),
                seed=seed,
                stage=shown.stage,
            )
            _write(program.laid_out("arduino") if arduino else program, output, dump, shown.stage)
    except CompileError as error:
        screen.fail(error, 2)
    _wrote(screen, views.compiled(program, output), output)


@app.command()
def simulate(
    what: Annotated[Path, typer.Argument(help="A compiled folder; or a model, run in floats.", metavar="DIR|MODEL")],
    input_: DataFile,
    record: Annotated[Path | None, typer.Option(help="Save the outputs of every step to this .npz file.")] = None,
    record_all: RecordAll = False,
    report: Annotated[Path | None, typer.Option(help="Write a page on the run to this .html file.")] = None,
    trace: Trace = None,
    profile: Profile = False,
    limit: Limit = None,
    steps: Steps = None,
    decoder: DecoderName = None,
    convert: Convert = None,
    samples: Samples = None,
    target_accuracy: TargetAccuracy = None,
    state: States = None,
    nir_style: NirStyle = None,
    dt: Dt = None,
    lava_python: LavaPython = None,
    json_: Json = False,
) -> None:
    """Run a compiled program on its own machine, or a model in floats, and report the accuracy."""
    from snncc import files, views
    from snncc.backends.base import Setting
    from snncc.compiler import import_model, model_data, open_program, simulate_float
    from snncc.deploy import prepared

    screen = Screen(json_)
    if record_all and record is None:
        raise typer.BadParameter("needs --record FILE.npz", param_hint="--record-all")
    try:
        _places_for(record, report, trace)
        with screen.progress("simulate") as shown:
            if files.kind(what) == "folder":
                only_for_models({"--decoder": decoder, "--state": state, "--nir-style": nir_style, "--dt": dt})
                only_for_models({"--convert": convert, "--samples": samples, "--target-accuracy": target_accuracy})
                program = prepared(open_program(what), Setting(lava_python, notice=shown.stage))
                data = program.data(input_, steps=steps, limit=limit)
                run = program.simulate(data, record=record_all, progress=shown.count)
                run = replace(run, profile=program.profile(data)) if profile else run
                _pages(program, data, run, report, trace, shown.stage)
            else:
                only_for_folders({"--report": report, "--trace": trace, "--profile": profile})
                how = conversion(convert, samples, steps, target_accuracy)
                model = import_model(what, pairs(state), conversion=how, nir_style=nir_style, dt=dt)
                data = model_data(model, input_, steps=None if how else steps, limit=limit)
                run = simulate_float(model, data, decoder=decoder_of(decoder), record=record_all, progress=shown.count)
            _save_record(record, run, shown.stage)
    except CompileError as error:
        screen.fail(error, 2)
    screen.show(views.simulated(what, run))


@app.command()
def verify(
    folder: Folder,
    input_: DataFile,
    limit: Limit = None,
    steps: Steps = None,
    lava_python: LavaPython = None,
    json_: Json = False,
) -> None:
    """Show that the target gives the reference's bits, or the first that differs; exit 1 on a difference."""
    from snncc import views
    from snncc.backends.base import Setting
    from snncc.compiler import open_program
    from snncc.deploy import prepared

    screen = Screen(json_)
    try:
        with screen.progress("verify") as shown:
            program = prepared(open_program(folder), Setting(lava_python, notice=shown.stage))
            data = program.data(input_, steps=steps, limit=limit)
            verdict = program.verify(data, progress=shown.count)
    except CompileError as error:
        screen.fail(error, 2)
    screen.show(views.verified(verdict))
    raise typer.Exit(0 if verdict.equal else 1)


@app.command()
def explain(
    folder: Folder,
    model: Annotated[Path, typer.Option("--model", help="The model that it was compiled from.", show_default=False)],
    data: Annotated[
        Path, typer.Option("--data", "-d", help="An .npz file: x, and y and lengths if there are.", show_default=False)
    ],
    limit: Limit = None,
    steps: Steps = None,
    state: States = None,
    nir_style: NirStyle = None,
    dt: Dt = None,
    json_: Json = False,
) -> None:
    """Say where accuracy went: after each population that is compiled, and how far its spikes are off."""
    from snncc import explanation, views
    from snncc.compiler import import_model, open_program

    screen = Screen(json_)
    try:
        with screen.progress("explain") as shown:
            program = open_program(folder)
            samples = program.data(data, steps=steps, limit=limit)
            imported = import_model(model, pairs(state), nir_style=nir_style, dt=dt)
            found = explanation.explain(program, imported, samples, progress=shown.count)
    except CompileError as error:
        screen.fail(error, 2)
    screen.show(views.explained(found))


@app.command()
def deploy(
    folder: Folder,
    input_: DataFile,
    record: Annotated[Path | None, typer.Option(help="Save the outputs of every step to this .npz file.")] = None,
    limit: Limit = None,
    steps: Steps = None,
    lava_python: LavaPython = None,
    json_: Json = False,
) -> None:
    """Run a Lava program on Loihi hardware where there is some, else on Lava's simulator, and say which."""
    from snncc import files, views
    from snncc.backends.base import Setting
    from snncc.compiler import open_program
    from snncc.deploy import prepared

    screen = Screen(json_)
    machines: list[str] = []
    try:
        if record is not None:
            files.place_for_file(record)
        with screen.progress("deploy") as shown:
            program = prepared(open_program(folder), Setting(lava_python, True, shown.stage, machines.append))
            run = program.simulate(program.data(input_, steps=steps, limit=limit), progress=shown.count)
            _save_record(record, run, shown.stage)
    except CompileError as error:
        screen.fail(error, 2)
    screen.show(views.simulated(folder, run), views.deployed(machines[-1]))


@app.command()
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
    from snncc import compiler, views

    screen = Screen(json_)
    try:
        if rate is None and (samples or steps):
            raise typer.BadParameter("needs --convert rate", param_hint="--samples" if samples else "--steps")
        how = conversion(rate, samples, steps, target_accuracy)
        with screen.progress("convert"):
            warnings = compiler.convert(model, output, states=pairs(state), conversion=how, nir_style=nir_style, dt=dt)
    except CompileError as error:
        screen.fail(error, 2)
    screen.show(views.diagnostics(warnings))
    screen.say(f"wrote {printable(str(output))}")


@app.command()
def targets(json_: Json = False) -> None:
    """List the chips that snncc knows, and their limits."""
    from snncc import chip, views

    Screen(json_).show(views.targets([chip.load(name) for name in chip.known()]))


def _version(show: bool) -> None:
    if show:
        from importlib.metadata import version

        typer.echo(f"snncc {version('snncc')}")
        raise typer.Exit


@app.callback()
def options(
    _: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """Take the options that stand before a command."""


def _places_for(*paths: Path | None) -> None:
    from snncc import files

    for path in paths:
        if path is not None:
            files.place_for_file(path)


def _save_record(record: Path | None, run: Run, stage: Callable[[str], None]) -> None:
    from snncc.data import save_trace

    if record is not None:
        stage("write")
        save_trace(record, run.trace)


def _wrote(screen: Screen, view: View, output: Path) -> None:
    screen.show(view)
    screen.say("wrote {0}; next: snncc simulate {0} --input DATA.npz".format(printable(str(output))))


def _write(program: CompiledModel, output: Path, dump: Path | None, stage: Callable[[str], None]) -> None:
    if dump is not None:
        program.dump(dump)
    stage("write")
    program.write(output)


def _pages(
    program: CompiledModel, data: Data, run: Run, report: Path | None, trace: Path | None, stage: Callable[[str], None]
) -> None:
    """Write the page and the trace of a run."""
    from snncc import files
    from snncc.pages.simulation import page

    if report is not None:
        stage("report")
        first = program.simulate(data.part(0, 1), record=True)
        files.replace_file(report, page(program, data, run, first))
    if trace is not None:
        stage("trace")
        found = program.timeline(data)
        files.replace_file(trace, found.content)
        if found.steps < found.of:
            typer.echo(f"the trace ends after {found.steps} of {found.of} steps, as a browser opens no more", err=True)


def main() -> NoReturn:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without arrows gets question marks
    app()
    sys.exit(0)
