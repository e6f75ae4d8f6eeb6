"""Says what of a refused NIR file was recognised nonetheless, node by node, and why the rest was not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from snncc.diagnostics import CompileError, Diagnostic
from snncc.frontends.model import Finding, rows
from snncc.frontends.nir.build import readable
from snncc.frontends.nir.flat import flat
from snncc.frontends.nir.neurons import Setting
from snncc.frontends.nir.stored import stored_graph
from snncc.frontends.nir.styles import named

_BEHIND = "reads only what was not recognised"


def survey(path: Path, style: str | None, dt: float | None, faults: Sequence[Diagnostic]) -> tuple[Finding, ...]:
    """What each node of a file was recognised as that was refused for `faults`; nothing if it holds no graph."""
    try:
        setting = Setting(None if style is None else named(style), dt)
    except CompileError:
        setting = Setting()
    try:
        network = flat(stored_graph(path))
    except CompileError:
        return ()
    known = {each.node: each for each in rows(readable(network, setting), {})}
    why = {each.where: each for each in reversed(faults)}
    found: list[Finding] = []
    for name, node in network.nodes.items():
        row, fault = known.get(name), why.get(name, Diagnostic("not-reached", name, _BEHIND))
        if row is None:
            reads = tuple(source for source, target in network.edges if target == name)
            found.append(Finding(name, "", None, reads, node.kind, rule=fault.rule, why=fault.message))
        else:
            found.append(replace(row, rule=fault.rule, why=fault.message) if name in why else row)
    return tuple(found)
