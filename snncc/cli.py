"""The command line: with `screen`, all that prints or exits; every command is one or two calls of the Python API."""

from __future__ import annotations

import sys
from collections.abc import Callable
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, cast, get_args

import typer

from snncc.diagnostics import CompileError, printable
from snncc.screen import Screen

if TYPE_CHECKING:
    from snncc.analysis.metrics import Run
    from snncc.data import Data
    from snncc.layers import Decoder
    from snncc.mapping import Method
    from snncc.program import CompiledModel

app = typer.Typer(
    name="snncc",
    help="Compile trained spiking neural networks for neuromorphic hardware, with the same bits everywhere.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)

Model = Annotated[Path, typer.Argument(help="A trained network: an .onnx, .nir or .net file.", show_default=False)]
Target = Annotated[
    str, typer.Option("--target", "-t", help="A name that `snncc targets` lists, or a chip's TOML file.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")]
Folder = Annotated[Path, typer.Argument(help="A folder that `snncc compile` wrote.", show_default=False)]
DataFile = Annotated[
    Path, typer.Option("--input", "-i", help="An .npz file: x, and y and lengths if there are.", show_default=False)
]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="Take the first N samples only.")]
Steps = Annotated[
    int | None,
    typer.Option("--steps", min=1, max=1_000_000, help="Time steps of a static input [default: the model's]."),
]
DecoderName = Annotated[
    str | None, typer.Option("--decoder", metavar="count|last|max|mean", help="How outputs over time become scores.")
]
LavaPython = Annotated[
    str | None,
    typer.Option("--lava-python", help="A Python 3.10 for Lava; one that has Lava is used as it is.", metavar="PATH"),
]
States = Annotated[
    list[str] | None,
    typer.Option("--state", metavar="IN=OUT", help="Pair a state input with its output; may be repeated."),
]

NirStyle = Annotated[
    str | None,
    typer.Option("--nir-style", metavar="NAME", help="Who wrote a .nir file, which leaves that open (docs/nir.md)."),
]
Dt = Annotated[float | None, typer.Option("--dt", help="Seconds of a time step of a .nir file.", metavar="SECONDS")]

Bits = Annotated[
    int | None, typer.Option("--weight-bits", min=2, max=8, help="Bits of a weight [default: the chip's widest].")
]
RequireProof = Annotated[bool, typer.Option("--require-proof", help="Refuse a network whose registers may overflow.")]
Samples = Annotated[
    Path | None, typer.Option(help="Calibration data (.npz), from the training set: chooses the scales.")
]
StockOnly = Annotated[
    bool, typer.Option("--stock-only", help="Refuse neurons that need microcode on Loihi (backend lava).")
]
AllowHardReset = Annotated[
    bool, typer.Option("--allow-hard-reset", help="Reset to 0 where the model subtracts; prints what it costs.")
]
Partition = Annotated[
    str, typer.Option(metavar="auto|sequential", help="How to cut a network into the cores of a chip that has many.")
]
RecordAll = Annotated[bool, typer.Option("--record-all", help="Save every population's spikes and membranes as well.")]
Seed = Annotated[int, typer.Option(min=0, help="The same seed gives the same cut.")]

_BAD_USE = {"cannot-read", "unknown-format", "unknown-target", "bad-chip-file"}  # says nothing about the model


@app.command()
def check(
    model: Model,
    target: Target = "host",
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
            imported = compiler.import_model(model, _pairs(state), nir_style=nir_style, dt=dt)
            found.append(views.recognised(imported))
            program = compiler.compile(imported, target, stage=shown.stage)
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
    state: States = None,
    nir_style: NirStyle = None,
    dt: Dt = None,
    require_proof: RequireProof = False,
    stock_only: StockOnly = False,
    allow_hard_reset: AllowHardReset = False,
    partition: Partition = "auto",
    seed: Seed = 0,
    dump: Annotated[Path | None, typer.Option(help="Write the graph after each stage, as text, to a folder.")] = None,
    json_: Json = False,
) -> None:
    """Compile a trained model for a target, and write the artefact to a folder."""
    from snncc import artefact, compiler, views

    screen = Screen(json_)
    try:
        artefact.place_for(output)
        with screen.progress("compile") as shown:
            program = compiler.compile(
                compiler.import_model(model, _pairs(state), nir_style=nir_style, dt=dt),
                target,
                samples=samples,
                weight_bits=weight_bits,
                steps=steps,
                decoder=_decoder(decoder),
                backend=backend,
                require_proof=require_proof,
                stock_only=stock_only,
                allow_hard_reset=allow_hard_reset,
                partition=_partition(partition),
                seed=seed,
                stage=shown.stage,
            )
            if dump is not None:
                program.dump(dump)
            shown.stage("write")
            program.write(output)
    except CompileError as error:
        screen.fail(error, 2)
    screen.show(views.compiled(program, output))
    screen.say("wrote {0}; next: snncc simulate {0} --input DATA.npz".format(printable(str(output))))


@app.command()
def simulate(
    what: Annotated[Path, typer.Argument(help="A compiled folder; or a model, run in floats.", metavar="DIR|MODEL")],
    input_: DataFile,
    record: Annotated[Path | None, typer.Option(help="Save the outputs of every step to this .npz file.")] = None,
    record_all: RecordAll = False,
    report: Annotated[Path | None, typer.Option(help="Write a page on the run to this .html file.")] = None,
    trace: Annotated[
        Path | None, typer.Option(help="Write what cores and links do in the first sample, for Perfetto.")
    ] = None,
    limit: Limit = None,
    steps: Steps = None,
    decoder: DecoderName = None,
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
    from snncc.data import save_trace
    from snncc.deploy import prepared

    screen = Screen(json_)
    if record_all and record is None:
        raise typer.BadParameter("needs --record FILE.npz", param_hint="--record-all")
    try:
        for path in (record, report, trace):
            if path is not None:
                files.place_for_file(path)
        with screen.progress("simulate") as shown:
            if files.kind(what) == "folder":
                _only_for_models({"--decoder": decoder, "--state": state, "--nir-style": nir_style, "--dt": dt})
                program = prepared(open_program(what), Setting(lava_python, notice=shown.stage))
                data = program.data(input_, steps=steps, limit=limit)
                run = program.simulate(data, record=record_all, progress=shown.count)
                _pages(program, data, run, report, trace, shown.stage)
            else:
                _only_for_folders({"--report": report, "--trace": trace})
                model = import_model(what, _pairs(state), nir_style=nir_style, dt=dt)
                data = model_data(model, input_, steps=steps, limit=limit)
                run = simulate_float(model, data, decoder=_decoder(decoder), record=record_all, progress=shown.count)
            if record is not None:
                shown.stage("write")
                save_trace(record, run.trace)
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
    from snncc.data import save_trace
    from snncc.deploy import prepared

    screen = Screen(json_)
    machines: list[str] = []
    try:
        if record is not None:
            files.place_for_file(record)
        with screen.progress("deploy") as shown:
            program = prepared(open_program(folder), Setting(lava_python, True, shown.stage, machines.append))
            run = program.simulate(program.data(input_, steps=steps, limit=limit), progress=shown.count)
            if record is not None:
                save_trace(record, run.trace)
    except CompileError as error:
        screen.fail(error, 2)
    screen.show(views.simulated(folder, run), views.deployed(machines[-1]))


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


def _pairs(states: list[str] | None) -> list[tuple[str, str]]:
    pairs = [tuple(each.split("=")) for each in states or []]
    for pair in pairs:
        if len(pair) != 2 or not all(pair):
            raise typer.BadParameter(f"{'='.join(pair)!r} is not IN=OUT", param_hint="--state")
    return [(pair[0], pair[1]) for pair in pairs]


def _decoder(name: str | None) -> Decoder | None:
    from snncc.layers import Decoder

    if name is None or name in get_args(Decoder):
        return cast("Decoder | None", name)
    raise typer.BadParameter(f"{name!r} is none of count, last, max, mean", param_hint="--decoder")


def _partition(name: str) -> Method:
    from snncc.mapping import Method

    if name in get_args(Method):
        return cast("Method", name)
    raise typer.BadParameter(f"{name!r} is none of {', '.join(get_args(Method))}", param_hint="--partition")


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


def _only_for_folders(options: dict[str, Any]) -> None:
    for name, value in options.items():
        if value:
            raise typer.BadParameter("needs a compiled folder, which says where a program runs", param_hint=name)


def _only_for_models(options: dict[str, Any]) -> None:
    for name, value in options.items():
        if value:
            raise typer.BadParameter("is fixed in a compiled folder; compile again to change it", param_hint=name)


def main() -> NoReturn:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without arrows gets question marks
    app()
    sys.exit(0)
