"""Says what of a refused `.net` file was recognised nonetheless, layer by layer, and why the rest was not."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from snncc.diagnostics import CompileError, Diagnostic
from snncc.frontends.lava_dl.graph import graph_of
from snncc.frontends.lava_dl.parts import Part, Reading, readings
from snncc.frontends.model import Finding, rows
from snncc.layers import Input, Output

_BEHIND = "cannot be read behind what was not recognised"


def survey(path: Path) -> tuple[Finding, ...]:
    """What each layer was recognised as; nothing if the file holds no layers."""
    try:
        found = readings(path)
    except CompileError:
        return ()
    listed: list[Finding] = []
    for read, several in itertools.groupby(found, lambda each: each.part is not None):
        rows_of = _read if read else _refused
        listed += rows_of(tuple(several), listed[-1].node if listed else "")
    return tuple(listed)


def _read(layers: tuple[Reading, ...], before: str) -> Iterator[Finding]:
    """The rows of layers one behind the other; `before` is the row that the first of them reads, if there is one."""
    parts: tuple[Part, ...] = tuple(each.part for each in layers if each.part is not None)
    graph = graph_of(parts)
    for row in rows(graph, {}):
        op = graph[row.node]
        if isinstance(op, Output) or (before and isinstance(op, Input)):
            continue
        yield replace(row, reads=(before,)) if before and row.reads == ("input",) else row


def _refused(layers: tuple[Reading, ...], before: str) -> Iterator[Finding]:
    for each in layers:
        first = each.faults[0] if each.faults else Diagnostic("not-reached", each.name, _BEHIND)
        reads = (before,) if before else ()
        yield Finding(each.name, "", None, reads, each.kind, rule=first.rule, why=first.message)
        before = each.name
