"""Describes the generated program to people: the table at its head, and its README."""

from __future__ import annotations

from collections.abc import Sequence

from snncc.analysis.proof import Verdict
from snncc.backends.base import Job
from snncc.backends.c.names import text
from snncc.backends.c.plan import Link, Plan, Step
from snncc.backends.c.tables import Storage
from snncc.backends.templates import fill
from snncc.integers import Source
from snncc.linear import synapse_count

_HEAD = ("layer", "shape", "synapses", "bits", "bytes", "kernel or verdict")


def overview(plan: Plan) -> list[str]:
    """The network as a table in plain text, one line per population and synapse, in the order of a step."""
    rows = [_HEAD, *_rows(plan)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _rows(plan: Plan) -> list[tuple[str, ...]]:
    source = plan.network[plan.source_name]
    assert isinstance(source, Source)
    rows = [(text(plan.source_name), _shape(source.shape), "", str(source.bits), "", "input")]
    for step in plan.steps:
        rows += [_synapse(plan, link) for link in step.links]
        rows.append(_population(step, plan))
    return rows


def _synapse(plan: Plan, link: Link) -> tuple[str, ...]:
    op = plan.network[link.name]
    count = synapse_count(op.map)  # pyright: ignore[reportAttributeAccessIssue]
    size = sum(each.bytes for each in link.compiled.tables.values())
    shape = f"{op.map.in_size} -> {op.map.out_size}"  # pyright: ignore[reportAttributeAccessIssue]
    bits = str(link.compiled.kernel.bits)
    return f"  {text(link.name)}", shape, str(count), bits, str(size), link.compiled.kernel.name


def _population(step: Step, plan: Plan) -> tuple[str, ...]:
    neurons, proof = step.neurons, plan.proof.populations[step.name]
    kinds = [("v", proof.membrane, neurons.kind.membrane), ("i", proof.current, neurons.kind.current)]
    kinds.append(("a", proof.adapt, neurons.kind.adapt))
    verdicts = [f"{name} {_verdict(verdict)}" for name, verdict, stage in kinds if verdict and stage]
    bits = "/".join(f"{name}{stage.type.bits}" for name, verdict, stage in kinds if verdict and stage)
    size = sum(each.type.bytes * each.length for each in neurons.fields)
    sent = step.sender.type.bytes * step.sender.depth * step.sender.size
    return text(step.name), _shape(step.op.shape), "", bits, str(size + sent), ", ".join(verdicts)


def _verdict(verdict: Verdict) -> str:
    return f"safe for {verdict.steps} steps" if verdict.kind == "safe for steps" else verdict.kind


def _shape(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


def readme(job: Job, plan: Plan, storage: Storage) -> str:
    source = plan.network[plan.source_name]
    assert isinstance(source, Source)
    return fill(
        "snncc.backends.c",
        "README.md.j2",
        title=text(job.title),
        chip=text(job.chip.name),
        overview=overview(plan),
        source=source,
        size=plan.senders[plan.source_name].size,
        windows=plan.windows,
        tail=plan.tail,
        outputs=[(plan.ident[name], text(name), op) for name, op in plan.outputs.items()],
        loaded=storage.loaded,
        weights_bytes=storage.bytes,
        flags=" ".join(job.chip.compiler.flags) if job.chip.compiler else "-std=c99 -O3",
    )
