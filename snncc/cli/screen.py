"""The terminal: where results, progress and errors of the command line go."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from threading import Lock, Timer
from typing import Any, NoReturn

import typer
from rich.console import Console
from rich.measure import Measurement
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from snncc.diagnostics import CompileError, printable

_WIDE = 400  # columns of a table that no person reads on a terminal: it is not folded
_PATIENCE = 1.0  # seconds after which whatever is going on shows a progress bar


@dataclass(frozen=True)
class Screen:
    """Where results go: tables on standard output, or one JSON object; progress and errors on standard error."""

    json: bool

    def show(self, *views: Any) -> None:
        """Print views one under the other, or as one JSON object."""
        if self.json:
            typer.echo(json.dumps({key: value for view in views for key, value in view.plain.items()}))
            return
        console = Console()
        for each in (each for view in views for each in view.shown):
            if isinstance(each, Text):
                _print_wrapped(console, each)
            elif console.is_terminal:
                console.print(_narrowed(console, each) if isinstance(each, Table) else each)
            else:  # without the spaces that fill a table's lines
                text = StringIO()
                Console(width=_WIDE, file=text).print(each)
                typer.echo("\n".join(line.rstrip() for line in text.getvalue().splitlines()))

    def say(self, text: str) -> None:
        """Print a line that no machine reads, if there is one."""
        if text and not self.json:
            typer.echo(text)

    def fail(self, error: CompileError, status: int, *before: Any) -> NoReturn:
        """Show the views there are, and every diagnostic, and end."""
        from snncc import views

        found = views.diagnostics(error.diagnostics)
        self.show(*before, *[found] * self.json)
        if not self.json:
            console = Console(stderr=True)
            for each in found.shown:
                _print_wrapped(console, each)
        raise typer.Exit(status) from error

    def wrote(self, path: Path, then: str = "") -> None:
        """Say which file or folder was written, and which command comes next: {} in it is the path."""
        name = printable(str(path))
        self.say(f"wrote {name}; next: {then.format(name)}" if then else f"wrote {name}")

    @contextmanager
    def doing(self, name: str) -> Generator[Shown]:
        """Show what is going on; what is wrong ends the command with exit status 2."""
        try:
            with self.progress(name) as shown:
                yield shown
        except CompileError as error:
            self.fail(error, 2)

    @contextmanager
    def progress(self, name: str) -> Generator[Shown]:
        """Shows what is going on, on a terminal, once that has taken a second."""
        console = Console(stderr=True)
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[count]}"))
        bar = Progress(*columns, TimeRemainingColumn(), console=console, transient=True)
        shown = Shown(bar, bar.add_task(name, total=None, count=""))
        timer = Timer(_PATIENCE, shown.start)
        timer.daemon = True
        if console.is_terminal and not self.json:
            timer.start()
        try:
            yield shown
        finally:
            timer.cancel()
            shown.stop()


def _narrowed(console: Console, table: Table) -> Table:
    """The table with one space between its columns instead of two, if it is too wide for the terminal otherwise."""
    options = console.options.update(max_width=_WIDE)
    if Measurement.get(console, options, table).maximum <= console.width:
        return table
    narrow = copy(table)
    narrow.padding = (0, 1, 0, 0)
    return narrow


def _print_wrapped(console: Console, text: Any) -> None:
    """Print a text between words, with a hanging indent; as it is where no person reads it."""
    for line in text.split():
        folded = console.is_terminal and line.cell_len > console.width
        wrapped = line.wrap(console, console.width - 4) if folded else [line]
        for number, each in enumerate(wrapped):
            each.rstrip()
            console.print(Text("    " * (number > 0)) + each, soft_wrap=True)


@dataclass
class Shown:
    """A progress bar that may not be there yet, or not any more."""

    bar: Progress
    task: TaskID
    lock: Any = field(default_factory=Lock)
    over: bool = False

    def start(self) -> None:
        with self.lock:
            if not self.over:
                self.bar.start()

    def stop(self) -> None:
        with self.lock:
            self.over = True
            if self.bar.live.is_started:
                self.bar.stop()

    def stage(self, name: str) -> None:
        """Something else is going on, and nobody knows for how long."""
        self.bar.update(self.task, description=name, total=None, count="")

    def count(self, done: int, of: int) -> None:
        """`done` of `of` samples are through."""
        self._counted(done, of, "samples")

    def points(self, done: int, of: int) -> None:
        """`done` of `of` points of a search are evaluated."""
        self._counted(done, of, "points")

    def _counted(self, done: int, of: int, things: str) -> None:
        self.bar.update(self.task, completed=done, total=of, count=f"{done:,} of {of:,} {things}")
