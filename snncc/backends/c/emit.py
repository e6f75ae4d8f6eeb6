"""Writes the C program of an integer network: what the templates need, in the words of the templates."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from snncc.backends.base import Job
from snncc.backends.c.calls import Calls
from snncc.backends.c.layout import Layout
from snncc.backends.c.learning import begun, learning, trace_fields
from snncc.backends.c.names import text
from snncc.backends.c.neurons import Kind, Neurons
from snncc.backends.c.overview import overview, readme
from snncc.backends.c.plan import Link, Plan, Step, ring_fields, state_fields
from snncc.backends.c.tables import Storage, blob, store
from snncc.backends.c.widths import CType
from snncc.backends.templates import fill, tidy
from snncc.exits import counts_in_words, rhythm
from snncc.integers import Output, Source
from snncc.pace import Pace

_ROLES = ("row", "row_out", "row_weight", "run", "run_out", "run_weight", "run_length")


def emit(job: Job) -> Mapping[str, bytes]:
    """The artefact's files by relative path; the same job gives the same bytes."""
    plan = Plan(job.network, job.proof)
    storage = store(plan.tables)
    header, body = blob(storage.loaded)
    context = {**context_of(job, plan, storage), "header": list(header), "crc": zlib.crc32(body)}
    names = ("network.h", "network.c", "weights.h", "weights.c", "main.c")
    files = {name: render(name, context) for name in names}
    files["README.md"] = readme(job, plan, storage).encode()
    return {**files, "weights.bin": header + body} if storage.loaded else files


def render(name: str, context: Mapping[str, Any]) -> bytes:
    """The file of a template `NAME.j2`, without superfluous blanks."""
    return tidy(fill("snncc.backends.c", f"{name}.j2", **context)).encode("ascii")


def context_of(job: Job, plan: Plan, storage: Storage, calls: Callable[[Plan], Calls] = Calls) -> Mapping[str, Any]:
    """The words of the templates; `calls` spells out the calls of kernels."""
    functions = _functions(plan)
    links = [link for step in plan.steps for link in step.links]
    senders = [link.sender for link in links if link.compiled.kernel.form != "lateral"]
    return {
        "title": text(job.title),
        "pace": str(job.fewer) if job.fewer and job.fewer.pace != Pace() else "",
        "chip": text(job.chip.name),
        "index": "uint32_t",
        "flash": "",
        "noinline": "",
        "branches": False,
        "listed": True,
        "overview": overview(plan),
        "source": _source(plan),
        "windows": plan.windows,
        "tail": plan.tail,
        "last_start": plan.last_start,
        "event": plan.event.name,
        "events": max([1, *(each.size for each in senders)]),
        "uses_events": bool(senders),
        "fields": _fields(plan),
        "sums": [{"name": f"{n.ident}_acc", "type": n.kind.acc, "length": n.layout.size} for n in _neurons(plan)],
        "rings": [each for each in plan.senders.values() if each.ring],
        "finders": _unique(each.type for each in senders),
        "gatherers": _unique((link.sender.type, own.type) for link in links if (own := link.own_delays)),
        "kernels": _unique(link.compiled.kernel for link in links if not link.lesson),
        "walks": [_walk(link) for link in links if link.compiled.walk],
        "kinds": [(name, kind, _users(plan, kind)) for kind, name in functions.items()],
        "populations": [_population(step, functions[step.neurons.kind], calls(plan)) for step in plan.steps],
        "initial": [_initial(each) for each in begun(plan) if not each.learnt],
        "learnt_initial": [_initial(each) for each in begun(plan) if each.learnt],
        **learning(plan),
        "outputs": [_output(plan, name, op) for name, op in plan.outputs.items()],
        "decides": _decides(plan) if job.early_exit else {},
        "records": list(_records(plan)),
        "written": _unique(each["type"] for each in _records(plan)),
        "text": storage.text,
        "loaded": storage.loaded,
        "weights_bytes": storage.bytes,
        **_arithmetic(functions, plan),
    }


def _neurons(plan: Plan) -> list[Neurons]:
    return [each.neurons for each in plan.steps]


def _unique(items: Iterable[Any]) -> list[Any]:
    return list(dict.fromkeys(items))


def _functions(plan: Plan) -> Mapping[Kind, str]:
    """A function per kind, named by what it is, numbered where several have the same title."""
    kinds = _unique(each.kind for each in _neurons(plan))
    names: dict[Kind, str] = {}
    for kind in kinds:
        alike = sum(each.title == kind.title for each in names)
        names[kind] = kind.title + (f"_{alike + 1}" if alike else "")
    return names


def _users(plan: Plan, kind: Kind) -> str:
    return ", ".join(text(each.name) for each in plan.steps if each.neurons.kind == kind)


def _arithmetic(kinds: Iterable[Kind], plan: Plan) -> Mapping[str, Any]:
    """The helpers in use: roundings by product type, overflows and spike counts by the type of the equation."""
    decays: list[tuple[str, CType]] = []
    fits: list[tuple[str, CType]] = []
    counts: list[tuple[bool, CType]] = []
    for kind in kinds:
        stages = [each for each in (kind.membrane, kind.current, kind.adapt) if each]
        decays += [(each.decay, each.product) for each in stages if each.factor]
        fits += [(each.fit.how, kind.wide) for each in stages if each.fit]
        counts += [(kind.inclusive, kind.wide)] if kind.max_spikes > 1 else []
    decays += [(each["rounding"], each["product"]) for each in learning(plan)["fading"]]
    shifts = [product for rounding, product in decays if rounding != "zero"]
    shifts = _unique([*shifts, *(p.wide for p in plan.lessons)])
    return {"decays": _unique(decays), "fits": _unique(fits), "counts": _unique(counts), "shifts": shifts}


def _source(plan: Plan) -> Mapping[str, Any]:
    sender, op = plan.senders[plan.source_name], plan.network[plan.source_name]
    assert isinstance(op, Source)
    copied = plan.copied
    low, high = sender.type.span
    below, above = op.lowest > low, op.highest < high
    checks = ["x[n] < SNN_INPUT_LOWEST"] * below + ["x[n] > SNN_INPUT_HIGHEST"] * above
    return {
        "size": sender.size,
        "type": sender.type,
        "lowest": op.lowest,
        "highest": op.highest,
        "unit": f"round-half-even(x / {op.scale!r}), saturated" if op.bits > 1 else "1 is a spike",
        "check": " || ".join(checks),
        "copied": copied,
        "current": sender.at(0) if copied else "x",
        "used": any(link.sender is sender for step in plan.steps for link in step.links),
    }


def _fields(plan: Plan) -> list[Mapping[str, Any]]:
    """The members of the state struct but for its scratch."""
    counter = CType(32, signed=False)
    fields: list[tuple[str, CType, tuple[int, ...]]] = []
    if _source(plan)["copied"]:
        fields += ring_fields(plan.senders[plan.source_name])
    if plan.windows:
        fields += [("step", counter, ()), ("length", counter, ())]
    for step in plan.steps:
        fields += state_fields(step)
    fields += trace_fields(plan)
    gathered = {}
    for link in (link for step in plan.steps for link in step.links if link.own_delays):
        kind = link.sender.type
        gathered[kind] = max(gathered.get(kind, 0), link.sender.size)
    fields += [(f"gathered_{kind.short}", kind, (size,)) for kind, size in gathered.items()]
    return [{"name": name, "type": kind, "sizes": sizes} for name, kind, sizes in fields]


def _initial(field: Any) -> Mapping[str, Any]:
    start = field.initial_table.name if field.initial_table else None
    return {"name": field.name, "length": field.length, "value": field.initial, "table": start}


def _walk(link: Link) -> Mapping[str, Any]:
    roles = [link.compiled.tables[role].name for role in _ROLES]
    return {"ident": link.ident, "walk": link.compiled.walk, "roles": roles}


def _population(step: Step, function: str, calls: Calls) -> Mapping[str, Any]:
    neurons, plan = step.neurons, calls.plan
    synapses: list[Mapping[str, Any]] = []
    listed: str | None = None
    for link in step.links:
        spelled, listed = calls.synapse(link, listed)
        synapses.append(spelled)
    kind, ident = neurons.kind, neurons.ident
    past = [step.sender.at(1)] if kind.ring and kind.reset_delay else []
    states: list[str] = []
    for each in neurons.fields:
        states += [f"s->learnt.{each.name}", "s->learnt.learning"] if each.learnt else [f"s->{each.name}"]
    learn = [f"learn_{link.ident}(s, {calls.values(link)}, {step.sender.at(0)});" for link in step.links if link.lesson]
    arguments = [f"&{ident}_parameters", f"s->sums.{ident}_acc", *states, *past, step.sender.at(0)]
    shape = " x ".join(map(str, step.op.shape))
    return {
        "ident": ident,
        "function": function,
        "size": step.op.size,
        "channels": neurons.layout.channels,
        "by_channel": kind.by_channel,
        "initialisers": neurons.values,
        "comment": f"{text(step.name)}: {shape} neurons",
        "synapses": synapses,
        "lessons": learn,
        "finish": f"update_{function}({', '.join(arguments)});",
        "windowed": plan.windows,
        "start": step.op.start,
        "before": kind.before is not None,
        "current": step.sender.at(0),
        "spike_bytes": step.op.size * kind.spike.bytes,
    }


def _output(plan: Plan, name: str, op: Output) -> Mapping[str, Any]:
    step = plan.target_of(name)
    ident = step.neurons.ident
    stored = {each.name: each.type for each in step.neurons.fields}
    if op.value == "spikes":
        pointer, kind = step.sender.at(0), step.sender.type
    else:
        early = op.when == "before" and step.neurons.kind.before is not None
        member = f"{ident}_before" if early else f"{ident}_v"
        pointer, kind = f"s->{member}", stored[member]
    late = f", due {op.latency} steps after its input" if op.latency else ""
    layout = step.neurons.layout
    order = f"; channel c of position p at p * {layout.channels} + c" if layout.moved else ""
    value = op.value if op.value == "spikes" else f"membrane {op.when} the reset"
    comment = (
        f"{text(name)}: the {value} of {text(step.name)}, {layout.size} values{late}{order}; decoder: {op.decoder}"
    )
    return {
        "ident": plan.ident[name],
        "pointer": pointer,
        "type": kind,
        "comment": comment,
        "step": step,
        "due": op.latency,
    }


def _decides(plan: Plan) -> Mapping[str, Any]:
    """What tells when a sample is decided by the spikes of the first output."""
    name = next(iter(plan.outputs))
    step = plan.target_of(name)
    most, of = rhythm(step.op)
    layout = step.neurons.layout
    positions = layout.size // layout.channels
    place = f"n % {positions}u * {layout.channels}u + n / {positions}u" if layout.moved else "n"
    return {
        "ident": plan.ident[name],
        "name": text(name),
        "classes": step.op.size,
        "type": step.sender.type.name,
        "most": most,
        "of": of,
        "place": place,
        "count": "uint32_t" if counts_in_words(step.op) else "uint64_t",
    }


def _records(plan: Plan) -> Iterator[Mapping[str, Any]]:
    """What main.c writes each step: every output, and on request each population's spikes and membrane, and traces."""
    for name, op in plan.outputs.items():
        output = _output(plan, name, op)
        call = f"snn_output_{plan.ident[name]}(s)"
        yield _record(0, output["step"].neurons.layout, (output["type"], call), op.latency, name)
    for step in plan.steps:
        membrane = f"{step.neurons.ident}_v"
        kind = next(each.type for each in step.neurons.fields if each.name == membrane)
        yield _record(1, step.neurons.layout, (step.sender.type, step.sender.at(0)), step.op.start, step.name)
        yield _record(2, step.neurons.layout, (kind, f"s->{membrane}"), step.op.start, step.name)
    for step in plan.steps:
        for link in step.links:
            ends = {"pre": link.sender.layout, "post": step.neurons.layout}
            for trace in link.lesson.traces if link.lesson else ():
                values = trace.type, f"s->{trace.name}"
                yield _record(3, ends[trace.side], values, step.op.start, f"{link.name}, {trace.side} {trace.number}")


def _record(kind: int, layout: Layout, values: tuple[CType, str], due: int, name: str) -> Mapping[str, Any]:
    channels, positions = (layout.channels, layout.positions) if layout.moved else (1, layout.size)
    word = ("output", "spikes", "membrane", "trace")[kind]
    return {
        "kind": kind,
        "always": kind == 0,
        "traced": kind == 3,
        "type": values[0],
        "pointer": values[1],
        "size": layout.size,
        "channels": channels,
        "positions": positions,
        "due": due,
        "comment": f"{word} {text(name)}",
    }
