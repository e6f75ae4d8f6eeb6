"""The commands about budgets: what a program would take of its target, and the search for one that fits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from snncc.cli.models import chip_of, made
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
    SpikeSeed,
    StateBits,
    States,
    Target,
    TargetAccuracy,
    WeightBytes,
    conversion,
    decoder_of,
    needs_samples,
    only_for_models,
    pairs,
    taught,
    whole,
)
from snncc.cli.screen import Screen
from snncc.diagnostics import CompileError

_OF_MODELS = (
    *("target", "backend", "weight_bits", "weight_bytes", "state_bits", "decay_bits", "prune", "prune_neurons", "loss"),
    *("decoder", "convert", "target_accuracy", "state", "nir_style", "dt", "learn"),
)
_CHOICES = ("prune", "prune_neurons", "loss", "state_bits", "decay_bits", "rate")

Budget = Annotated[str, typer.Option(help='Limits: "flash<=64KiB, time<=5ms, accuracy>=0.95".', show_default=False)]
Labelled = Annotated[
    Path,
    typer.Option("--data", "-d", help="Labelled data (.npz), x and y; learnt by what learns.", show_default=False),
]
Study = Annotated[
    Path, typer.Option("--output", "-o", help="The folder of the study; one that is there goes on.", metavar="STUDY")
]
Workers = Annotated[int | None, typer.Option(min=1, max=1024, help="Processes [default: one for each core].")]
Scheduler = Annotated[str | None, typer.Option(help="A Dask cluster's scheduler.", metavar="tcp://HOST:PORT")]
LearntTest = Annotated[Path | None, typer.Option(help="Of a network that learns: labelled data (.npz) that test it.")]
LearntLimit = Annotated[
    int | None, typer.Option(min=1, help="Of a network that learns: the first N samples of both files only.")
]
LearntNamed = Annotated[
    int | None, typer.Option("--labels-for-readout", min=1, help="Of a network that learns: as in `snncc learn`.")
]


def estimate(
    what: Annotated[
        Path, typer.Argument(help="A trained network, or a compiled folder.", metavar="MODEL|DIR", show_default=False)
    ],
    target: OwnTarget = None,
    backend: Backend = None,
    samples: Samples = None,
    limit: Limit = None,
    weight_bits: Bits = None,
    weight_bytes: WeightBytes = None,
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
    rate: Rate = None,
    seed: SpikeSeed = None,
    json_: Json = False,
) -> None:
    """Say what a program takes of its target, without running it there: memory, and on samples energy and time."""
    given = locals()
    from snncc import compiler, estimation, files, fit_views, importing

    screen, chosen, own = Screen(json_), "", None
    needs_samples({"--rate": rate, "--seed": seed}, samples)
    with screen.doing("estimate") as shown:
        if files.kind(what) == "folder":
            fixed = {f"--{name.replace('_', '-')}": given[name] for name in _OF_MODELS}
            only_for_models({**fixed, "--steps": "auto" in (steps or "")})
            program, own = compiler.open_program(what), whole(steps)
        else:
            how = conversion(convert, samples, whole(steps) if convert else None, target_accuracy)
            model = importing.import_model(what, pairs(state), conversion=how, nir_style=nir_style, dt=dt)
            choices = compiler.Choices(weight_bits, steps if how is None else None, decoder_of(decoder), backend)
            choices = replace(choices, learn=taught(learn), seed=seed or 0, **{name: given[name] for name in _CHOICES})
            chip = chip_of(target or "host")
            program, chosen = made(model, chip, choices, samples, weight_bytes, shown.stage)
        data = None if samples is None else program.data(samples, steps=own, limit=limit, rate=rate, seed=seed)
        shown.stage("estimate")
        found = estimation.estimate(program, data, shown.count)
    screen.show(fit_views.estimated(program, found))
    screen.say(chosen)


def explore(
    model: Model,
    budget: Budget,
    data: Labelled,
    output: Study,
    target: Target = "host",
    backend: Backend = None,
    samples: Samples = None,
    trials: Annotated[int, typer.Option(min=1, max=100_000, help="How many points to evaluate.")] = 64,
    workers: Workers = None,
    scheduler: Scheduler = None,
    seed: Annotated[int, typer.Option(help="The same seed tries the same points.")] = 0,
    state: States = None,
    nir_style: NirStyle = None,
    dt: Dt = None,
    learn: Learn = None,
    test: LearntTest = None,
    limit: LearntLimit = None,
    named: LearntNamed = None,
    rate: Rate = None,
    json_: Json = False,
) -> None:
    """Search for the most accurate program within a budget: bits of weights and states, pruning, steps; or of rules.

    Exit status 1 if none fits.
    """
    from snncc import files, fit_views
    from snncc.exploring import search as searching
    from snncc.exploring.study import PAGE
    from snncc.pages import front

    screen = Screen(json_)
    with screen.doing("explore") as shown:
        what = searching.Search(
            *(model, target, data, budget, samples, backend, tuple(pairs(state)), nir_style, dt, seed),
            *(taught(learn), test, limit, named, rate),
        )
        found = searching.explore(
            what, output, trials=trials, workers=workers, scheduler=scheduler, progress=shown.points
        )
        files.replace_file(output / PAGE, front.page(found))
    if found.faults:
        screen.fail(CompileError(found.faults), 1, fit_views.searched(found))
    screen.show(fit_views.searched(found))
    screen.wrote(output / PAGE)
