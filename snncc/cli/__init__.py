"""The command line: all that prints or exits; every command is one or two calls of the Python API."""

from __future__ import annotations

import sys
from io import TextIOWrapper
from typing import Annotated, NoReturn

import typer

from snncc.cli import fitting, learning, models, runs

app = typer.Typer(
    name="snncc",
    help="Compile trained spiking neural networks for neuromorphic hardware, with the same bits everywhere.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
for command in (
    *(models.check, models.compile, runs.simulate, runs.verify, runs.explain, runs.deploy),
    *(fitting.estimate, fitting.explore, models.convert, models.targets),
    *(learning.new, learning.learn, learning.freeze),
):
    app.command()(command)


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


def main() -> NoReturn:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without arrows gets question marks
    app()
    sys.exit(0)
