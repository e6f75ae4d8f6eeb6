"""The commands about learning: new networks that learn without labels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from snncc.cli.options import Json
from snncc.cli.screen import Screen
from snncc.diagnostics import CompileError, printable


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
    try:
        model = classics.make(kind, classics.Shape(inputs, neurons, bits, seed, steps))
        files.replace_file(output, onnx_bytes(model))
    except CompileError as error:
        screen.fail(error, 2)
    screen.say("wrote {0}; next: snncc compile {0} -o DIR".format(printable(str(output))))
