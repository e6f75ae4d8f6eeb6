"""The commands about compiled programs: running one, showing that its bits are right, saying where accuracy went."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from snncc.cli.options import (
    Convert,
    DataFile,
    DecoderName,
    Dt,
    Explained,
    Folder,
    Json,
    LavaPython,
    Limit,
    NirStyle,
    Profile,
    Rate,
    Record,
    RecordAll,
    Samples,
    SpikeSeed,
    States,
    Steps,
    TargetAccuracy,
    Trace,
    conversion,
    decoder_of,
    only_for_folders,
    only_for_models,
    pairs,
)
from snncc.cli.screen import Screen

if TYPE_CHECKING:
    from snncc.analysis.metrics import Run
    from snncc.data import Data
    from snncc.event_program import EventProgram
    from snncc.explanation import Explanation
    from snncc.program import Program


def simulate(
    what: Annotated[Path, typer.Argument(help="A compiled folder; or a model, run in floats.", metavar="DIR|MODEL")],
    input_: DataFile,
    record: Record = None,
    record_all: RecordAll = False,
    report: Annotated[Path | None, typer.Option(help="Write a page on the run to this .html file.")] = None,
    model: Explained = None,
    trace: Trace = None,
    profile: Profile = False,
    limit: Limit = None,
    steps: Steps = None,
    rate: Rate = None,
    seed: SpikeSeed = None,
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
    from snncc.importing import import_model, model_data, simulate_float

    screen = Screen(json_)
    with screen.doing("simulate") as shown:
        _places_for(record, report, trace, record_all, model)
        if files.kind(what) == "folder":
            fixed = {"--decoder": decoder, "--convert": convert, "--target-accuracy": target_accuracy}
            named = {} if model else {"--state": state, "--nir-style": nir_style, "--dt": dt}
            only_for_models({**fixed, **named, "--samples": samples})
            program = _opened(what, lava_python, shown.stage)
            data = program.data(input_, steps=steps, limit=limit, rate=rate, seed=seed)
            run = program.simulate(data, record=record_all, progress=shown.count)
            run = replace(run, profile=program.profile(data)) if profile else run
            told = _Told(model, input_, steps, limit, rate, seed, pairs(state), nir_style, dt)
            _pages(program, data, run, report, trace, shown.stage, told)
        else:
            only_for_folders({"--report": report, "--trace": trace, "--profile": profile})
            how = conversion(convert, samples, steps, target_accuracy)
            net = import_model(what, pairs(state), conversion=how, nir_style=nir_style, dt=dt)
            data = model_data(net, input_, steps=None if how else steps, limit=limit, rate=rate, seed=seed)
            run = simulate_float(net, data, decoder=decoder_of(decoder), record=record_all, progress=shown.count)
        _save_record(record, run, shown.stage)
    screen.show(views.simulated(what, run))


def verify(
    folder: Folder,
    input_: DataFile,
    limit: Limit = None,
    steps: Steps = None,
    rate: Rate = None,
    seed: SpikeSeed = None,
    lava_python: LavaPython = None,
    json_: Json = False,
) -> None:
    """Show that the target gives the reference's bits, or the first that differs; exit 1 on a difference."""
    from snncc import views

    screen = Screen(json_)
    with screen.doing("verify") as shown:
        program = _opened(folder, lava_python, shown.stage)
        data = program.data(input_, steps=steps, limit=limit, rate=rate, seed=seed)
        verdict = program.verify(data, progress=shown.count)
    screen.show(views.verified(verdict))
    raise typer.Exit(0 if verdict.equal else 1)


def explain(
    folder: Folder,
    model: Annotated[Path, typer.Option("--model", help="The model that it was compiled from.", show_default=False)],
    data: Annotated[
        Path, typer.Option("--data", "-d", help="An .npz file: x, and y and lengths if there are.", show_default=False)
    ],
    limit: Limit = None,
    steps: Steps = None,
    rate: Rate = None,
    seed: SpikeSeed = None,
    state: States = None,
    nir_style: NirStyle = None,
    dt: Dt = None,
    json_: Json = False,
) -> None:
    """Say where accuracy went: after each population that is compiled, and how far its spikes are off."""
    from snncc import explanation, fit_views
    from snncc.compiler import open_program
    from snncc.importing import import_model, model_data

    screen = Screen(json_)
    with screen.doing("explain") as shown:
        program = open_program(folder)
        samples = program.data(data, steps=steps, limit=limit, rate=rate, seed=seed)
        imported = import_model(model, pairs(state), nir_style=nir_style, dt=dt)
        whole = model_data(imported, data, steps=steps, limit=limit, rate=rate, seed=seed)
        found = explanation.explain(program, imported, samples, whole=whole, progress=shown.count)
    screen.show(fit_views.explained(found))


def deploy(
    folder: Folder,
    input_: DataFile,
    record: Record = None,
    limit: Limit = None,
    steps: Steps = None,
    rate: Rate = None,
    seed: SpikeSeed = None,
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
    with screen.doing("deploy") as shown:
        if record is not None:
            files.place_for_file(record)
        program = prepared(open_program(folder), Setting(lava_python, True, shown.stage, machines.append))
        run = program.simulate(
            program.data(input_, steps=steps, limit=limit, rate=rate, seed=seed), progress=shown.count
        )
        _save_record(record, run, shown.stage)
    screen.show(views.simulated(folder, run), views.deployed(machines[-1], learning=program.learning))


def _opened(folder: Path, lava_python: str | None, notice: Callable[[str], None]) -> Program | EventProgram:
    """The program of a folder, with all that it needs to run."""
    from snncc.backends.base import Setting
    from snncc.compiler import open_program
    from snncc.deploy import prepared

    return prepared(open_program(folder), Setting(lava_python, notice=notice))


def _places_for(
    record: Path | None, report: Path | None, trace: Path | None, record_all: bool, model: Path | None
) -> None:
    from snncc import files

    if model is not None and report is None:
        raise typer.BadParameter("needs --report FILE.html", param_hint="--model")
    if record_all and record is None:
        raise typer.BadParameter("needs --record FILE.npz", param_hint="--record-all")
    for path in (record, report, trace):
        if path is not None:
            files.place_for_file(path)


def _save_record(record: Path | None, run: Run, stage: Callable[[str], None]) -> None:
    from snncc.data import save_trace

    if record is not None:
        stage("write")
        save_trace(record, run.trace)


@dataclass(frozen=True)
class _Told:
    """What a user says of the model that was compiled, and of the file that is run."""

    model: Path | None
    file: Path
    steps: int | None
    limit: int | None
    rate: float | None
    seed: int | None
    states: list[tuple[str, str]]
    nir_style: str | None
    dt: float | None


def _explained(program: Program | EventProgram, data: Data, told: _Told) -> Explanation | None:
    """Where the accuracy of a run went, if it is said which model was compiled."""
    from snncc.explanation import explain
    from snncc.importing import import_model, model_data

    if told.model is None:
        return None
    imported = import_model(told.model, told.states, nir_style=told.nir_style, dt=told.dt)
    whole = model_data(imported, told.file, steps=told.steps, limit=told.limit, rate=told.rate, seed=told.seed)
    return explain(program, imported, data, whole=whole)


def _pages(
    program: Program | EventProgram,
    data: Data,
    run: Run,
    report: Path | None,
    trace: Path | None,
    stage: Callable[[str], None],
    told: _Told,
) -> None:
    """Write the page and the trace of a run; with its model and file, the page says where accuracy went."""
    from snncc import files
    from snncc.pages.simulation import page

    if report is not None:
        stage("report")
        first = program.simulate(data.part(0, 1), record=True)
        files.replace_file(report, page(program, data, run, first, _explained(program, data, told)))
    if trace is not None:
        stage("trace")
        found = program.timeline(data)
        files.replace_file(trace, found.content)
        if found.steps < found.of:
            typer.echo(f"the trace ends after {found.steps} of {found.of} steps, as a browser opens no more", err=True)
