"""The commands about learning: new networks that learn without labels, and learning from a stream of data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from snncc.cli.options import Json, Rate, SpikeSeed, Steps
from snncc.cli.screen import Screen


def new(
    kind: Annotated[str, typer.Argument(help="spikedyn, fspinn or diehl-cook.", metavar="KIND")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The .onnx file to write.", show_default=False)],
    inputs: Annotated[int, typer.Option(help="Input channels.")] = 784,
    neurons: Annotated[int, typer.Option(help="Excitatory neurons.")] = 400,
    bits: Annotated[int, typer.Option(help="Bits of a weight, without a sign.")] = 8,
    steps: Annotated[int, typer.Option(help="Steps for which a sample is shown.")] = 100,
    seed: Annotated[int, typer.Option(help="Of the weights that it begins with.")] = 0,
    json_: Json = False,
) -> None:
    """Write a network that learns without labels, its rule included, as an ONNX model (docs/learning.md)."""
    from snncc import classics, files
    from snncc.frontends.onnx.dialect.write import onnx_bytes

    screen = Screen(json_)
    with screen.doing("new"):
        model = classics.make(kind, classics.Shape(inputs, neurons, bits, seed, steps))
        files.replace_file(output, onnx_bytes(model))
    screen.wrote(output, "snncc compile {} -o DIR")


def learn(
    folder: Annotated[Path, typer.Argument(help="A compiled folder of a network that learns.", metavar="DIR")],
    input_: Annotated[Path, typer.Option("--input", help="The .npz file to learn from.", show_default=False)],
    test: Annotated[Path, typer.Option(help="The .npz file to test with.", show_default=False)],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The folder for checkpoints and the report.", show_default=False)
    ],
    named: Annotated[
        int, typer.Option("--labels-for-readout", min=1, help="Labelled samples of each class, to name neurons by.")
    ] = 10,
    dynamic: Annotated[bool, typer.Option(help="Show one class after another, and test after each.")] = False,
    every: Annotated[int, typer.Option("--test-every", min=0, help="Test after so many samples.")] = 0,
    rate: Rate = None,
    steps: Steps = None,
    batch: Annotated[int, typer.Option(min=1, help="Samples between two checkpoints.")] = 100,
    seed: SpikeSeed = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first samples of both files.")] = None,
    json_: Json = False,
) -> None:
    """Learn from a stream of data on the target, name neurons with a few labels, and test; go on if it was stopped."""
    from snncc import courses, files, learning_views, training
    from snncc.compiler import open_program
    from snncc.pages.learning import page

    screen = Screen(json_)
    with screen.doing("learn") as shown:
        program = training.pupil(open_program(folder))
        length = steps or program.steps or courses.Course.steps
        given = None if program.steps and steps is None else steps
        train, tested = (program.data(path, steps=given, limit=limit, rate=rate, seed=seed) for path in (input_, test))
        shown_at = courses.Course.rate if rate is None else rate
        course = courses.Course(length, shown_at, dynamic, every, named, batch, seed or 0)
        at = training.learn(program, train, tested, course, output, shown.count)
        files.replace_file(output / "report.html", page(program, at))
    screen.show(learning_views.learnt(at))
    screen.wrote(output / "report.html")


def freeze(
    folder: Annotated[Path, typer.Argument(help="A compiled folder of a network that learns.", metavar="DIR")],
    run: Annotated[
        Path, typer.Option(help="The folder of the run in which it learnt, on whatever target.", show_default=False)
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="A folder; or an .onnx or a .learnt file.", show_default=False),
    ],
    classes: Annotated[
        bool, typer.Option("--classes", help="Answer with classes, by the names that the run's last test gave neurons.")
    ] = False,
    json_: Json = False,
) -> None:
    """Write what a run has learnt: a program that learns no more, a model, or a save (docs/learning.md)."""
    from snncc import checkpoints, files, freezing, learning_views, views
    from snncc.compiler import open_program

    screen = Screen(json_)
    with screen.doing("freeze") as shown:
        freezing.place_for(output, folder, run)
        program = freezing.pupil(open_program(folder))
        at = checkpoints.learnt_in(program.network, run)
        as_file = freezing.is_file(output)
        names = (at.exams[-1].names if at.exams else ()) if classes else None
        given = at.learnt, shown.stage, names, checkpoints.named_in(at)
        made = None if as_file else freezing.frozen(program, *given).write(output)
        if as_file:
            files.replace_file(output, freezing.content(program, at.learnt, output, names))
    screen.show(*[views.compiled(made, output)] if made else [])
    screen.say(learning_views.reached(at))
    next_ = {".onnx": "snncc compile {} -o DIR", ".learnt": ""}
    screen.wrote(output, next_.get(output.suffix.lower(), "snncc verify {} --input DATA.npz"))
