"""The commands about budgets: what a program would take of its target, and the search for one that fits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from snncc.cli.options import (
    Backend,
    Bits,
    Convert,
    DecayBits,
    DecoderName,
    Dt,
    FewerSteps,
    Json,
    Learn,
    Limit,
    Loss,
    Model,
    NirStyle,
    OwnTarget,
    Prune,
    PruneNeurons,
    Rate,
    Samples,
    StateBits,
    States,
    Target,
    TargetAccuracy,
    conversion,
    decoder_of,
    only_for_models,
    pairs,
    whole,
)
from snncc.cli.screen import Screen
from snncc.diagnostics import CompileError


def estimate(
    what: Annotated[
        Path, typer.Argument(help="A trained network, or a compiled folder.", metavar="MODEL|DIR", show_default=False)
    ],
    target: OwnTarget = None,
    backend: Backend = None,
    samples: Samples = None,
    limit: Limit = None,
    weight_bits: Bits = None,
    state_bits: StateBits = None,
    decay_bits: DecayBits = None,
    prune: Prune = None,
    prune_neurons: PruneNeurons = None,
    steps: FewerSteps = None,
    loss: Loss = None,
    decoder: DecoderName = None,
    convert: Convert = None,
    target_accuracy: TargetAccuracy = None,
    state: States = None,
    nir_style: NirStyle = None,
    dt: Dt = None,
    learn: Learn = None,
    rate: Rate = 0.25,
    json_: Json = False,
) -> None:
    """Say what a program takes of its target, without running it there: memory, and on samples energy and time."""
    from snncc import chip as chips
    from snncc import compiler, estimation, files, fit_views, importing

    screen = Screen(json_)
    with screen.doing("estimate") as shown:
        if files.kind(what) == "folder":
            only_for_models({"--target": target, "--backend": backend, "--decoder": decoder, "--convert": convert})
            only_for_models({"--weight-bits": weight_bits, "--state-bits": state_bits, "--decay-bits": decay_bits})
            only_for_models({"--state": state, "--nir-style": nir_style, "--dt": dt, "--learn": learn, "--loss": loss})
            only_for_models({"--target-accuracy": target_accuracy, "--prune": prune, "--prune-neurons": prune_neurons})
            only_for_models({"--steps": steps if steps and "auto" in steps else None})
            program, own = compiler.open_program(what), whole(steps)
        else:
            how = conversion(convert, samples, whole(steps) if convert else None, target_accuracy)
            model = importing.import_model(what, pairs(state), conversion=how, nir_style=nir_style, dt=dt)
            own, taught = None, tuple(pairs(learn, "--learn", "LAYER=RULE"))
            choices = compiler.Choices(weight_bits, steps if how is None else None, decoder_of(decoder), backend)
            choices = replace(choices, learn=taught, prune=prune, prune_neurons=prune_neurons, loss=loss)
            choices = replace(choices, state_bits=state_bits, decay_bits=decay_bits)
            program = compiler.compiled(model, chips.load(target or "host"), choices, samples, shown.stage)
        data = None if samples is None else program.data(samples, steps=own, limit=limit)
        shown.stage("estimate")
        found = estimation.estimate(program, data, shown.count, rate=rate)
    screen.show(fit_views.estimated(program, found))


def explore(
    model: Model,
    budget: Annotated[str, typer.Option(help='Limits: "flash<=64KiB, time<=5ms, accuracy>=0.95".', show_default=False)],
    data: Annotated[Path, typer.Option("--data", "-d", help="Labelled data (.npz): x and y.", show_default=False)],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="The folder of the study; one that is there goes on.", metavar="STUDY"),
    ],
    target: Target = "host",
    backend: Backend = None,
    samples: Samples = None,
    trials: Annotated[int, typer.Option(min=1, max=100_000, help="How many points to evaluate.")] = 64,
    workers: Annotated[
        int | None, typer.Option(min=1, max=1024, help="Processes [default: one for each core].")
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="A Dask cluster's scheduler.", metavar="tcp://HOST:PORT")
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed tries the same points.")] = 0,
    state: States = None,
    nir_style: NirStyle = None,
    dt: Dt = None,
    json_: Json = False,
) -> None:
    """Search for the most accurate program within a budget: bits of weights and states, pruning, steps.

    Exit status 1 if none fits.
    """
    from snncc import files, fit_views
    from snncc.exploring import search as searching
    from snncc.exploring.study import PAGE
    from snncc.pages import front

    screen = Screen(json_)
    with screen.doing("explore") as shown:
        what = searching.Search(
            *(model, target, data, budget, samples, backend, tuple(pairs(state)), nir_style, dt, seed)
        )
        found = searching.explore(
            what, output, trials=trials, workers=workers, scheduler=scheduler, progress=shown.points
        )
        files.replace_file(output / PAGE, front.page(found))
    if found.faults:
        screen.fail(CompileError(found.faults), 1, fit_views.searched(found))
    screen.show(fit_views.searched(found))
    screen.wrote(output / PAGE)
