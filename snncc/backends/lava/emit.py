"""Writes the Lava program of an integer network: what the templates need, in the words of the templates."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from snncc.analysis.intervals import spread
from snncc.arrays import Array
from snncc.backends.base import Job
from snncc.backends.lava.environment import PYTHON, REQUIREMENTS
from snncc.backends.lava.layout import Layout
from snncc.backends.lava.learnt import STEPS, arrays_of, identity
from snncc.backends.lava.names import text
from snncc.backends.lava.plan import Cells, Plan
from snncc.backends.lava.plastic import Plastic
from snncc.backends.lava.stock import SHIFT
from snncc.backends.lava.synapses import Connection, input_matrix, message_bits
from snncc.backends.templates import fill, tidy
from snncc.integers import Output, Population, Synapse, source_of
from snncc.plasticity import untaught


def emit(job: Job) -> Mapping[str, bytes]:
    """The artefact's files by relative path; the same job gives the same bytes."""
    plan = Plan(job.network, job.proof, job.chip)
    files: dict[str, bytes] = {}
    context = _context(job, plan, files)
    names = ["network.py", "recorder.py", "run.py", "README.md"]
    names += ["neurons.py"] * bool(plan.kinds) + ["learning.py"] * bool(plan.rules)
    return {**{name: _render(name, context) for name in names}, **files}


def _render(name: str, context: Mapping[str, Any]) -> bytes:
    return tidy(fill("snncc.backends.lava", f"{name}.j2", **context), 2 if name.endswith(".py") else 1).encode("ascii")


def _context(job: Job, plan: Plan, files: dict[str, bytes]) -> Mapping[str, Any]:
    config = job.chip.lava
    connections = [_connection(each, plan, files) for each in plan.connections]
    shown = [_shown(each, plan, files) for each in plan.cells if each.shown]
    cells = [_cells(each, plan, files) for each in plan.cells]
    synapses = [*connections, *(_plastic(each, plan) for each in plan.plastic)]
    order = list(plan.ident.values())
    return {
        "title": text(job.title),
        "chip": text(job.chip.name),
        "config": config.run_config if config else "Loihi2SimCfg",
        "python": PYTHON,
        "requirements": REQUIREMENTS,
        "source": _source(plan),
        "connections": connections,
        "synapses": sorted(synapses, key=lambda each: order.index(each["ident"])),
        "forms": sorted({each["form"] for each in connections}),
        "cells": cells,
        "stock": [each for each in cells if each["stock"]],
        "own": [each for each in cells if not each["stock"]],
        "shown": shown,
        "uses_files": bool(shown or plan.plastic)
        or any("load(" in value for each in (*connections, *cells) for _, value in each["arguments"]),
        "kinds": [(name, kind) for kind, name in plan.kinds.items()],
        "roundings": sorted({each for kind in plan.kinds for each in kind.rounding}),
        "fits": sorted({each for kind in plan.kinds for each in kind.fits}),
        "outputs": [_output(plan, name, op) for name, op in plan.outputs.items()],
        **_lessons(job, plan, files),
        "judged": job.classes,
        "timing": plan.timing,
        "last_start": plan.last_start,
    }


def _source(plan: Plan) -> Mapping[str, Any]:
    op, layout = plan.source, plan.layouts[plan.source_name]
    return {
        "ident": plan.ident[plan.source_name],
        "name": text(plan.source_name),
        "shape": op.shape,
        "layout": layout,
        "lowest": op.lowest,
        "highest": op.highest,
        "scale": op.scale,
        "graded": message_bits(plan.network, plan.source_name) > 0,
        "readers": [each.ident for each in plan.connections if each.source == plan.source_name],
    }


def _connection(each: Connection, plan: Plan, files: dict[str, bytes]) -> Mapping[str, Any]:
    arrays = {role: _load(f"{each.ident}.{role}", array, files) for role, array in each.arrays.items()}
    ends = plan.layouts[each.source], plan.layouts[each.target]
    return {
        "ident": each.ident,
        "form": each.form,
        "comment": f"{text(each.name)}: {text(each.source)} to {text(each.target)}",
        "source": plan.ident[each.source],
        "target": plan.ident[each.target],
        "arguments": list(_arguments(each, arrays)),
        "before": "" if ends[0].flat or each.convolution else ".flatten()",
        "after": "" if ends[1].flat or each.convolution else f".reshape({ends[1].shape})",
        "buffer": "a_buf" if each.convolution else "a_buff",
    }


def _plastic(each: Plastic, plan: Plan) -> Mapping[str, Any]:
    """A process that learns: it has neurons in the network's order, as its draws are numbered."""
    before, after = (_flattened(plan.layouts[end]) for end in (each.source, each.target))
    lesson = [
        ("interval", "interval"),
        ("lengths", "lengths"),
        ("rewards", "lesson.rewards"),
        ("count", 'int(lesson.learnt["steps"])'),
        ("frozen", "lesson.frozen"),
    ]
    return {
        "ident": each.ident,
        "form": plan.rules[each.rule],
        "comment": f"{text(each.name)}: {text(each.source)} to {text(each.target)}, which learns",
        "source": plan.ident[each.source],
        "target": plan.ident[each.target],
        "arguments": [
            ("weights", f'lesson.learnt["weights/{each.ident}"]'),
            ("weight_exp", str(each.weight_exp)),
            ("delay", str(each.delay)),
            ("start", str(each.start)),
            ("seed", str(each.seed)),
            *lesson,
        ],
        "before": before,
        "heard": after,
        "after": _unflattened(plan.layouts[each.target]),
        "buffer": "s_buff",
    }


def _flattened(layout: Layout) -> str:
    """How a port of a population becomes one of the network's own order."""
    return ".transpose((2, 1, 0)).flatten()" if layout.turned else ""


def _unflattened(layout: Layout) -> str:
    return f".reshape({layout.shape[::-1]}).transpose((2, 1, 0))" if layout.turned else ""


def _lessons(job: Job, plan: Plan, files: dict[str, bytes]) -> Mapping[str, Any]:
    """What a network learns: its rules, what it knows at first, and what is kept of it, by the names of `learnt`."""
    rules = [op.plasticity for op in job.network.of_kind(Synapse).values() if op.plasticity]
    known = arrays_of(plan.network, untaught(plan.network))
    values = {name: _known(name, np.asarray(value), files) for name, value in known.items() if name != STEPS}
    memory = [
        *((f"weights/{each.ident}", each.ident, "weights", each.shape) for each in plan.plastic),
        *((f"adaptations/{each.ident}", each.ident, "a", each.layout.shape) for each in plan.learning),
    ]
    return {
        "learns": bool(memory),
        "rules": [(name, rule) for rule, name in plan.rules.items()],
        "trace_roundings": sorted({each for rule in plan.rules for each in rule.roundings}),
        "learnt": bool(plan.learning),
        "untaught": list(values.items()),
        "memory": [
            {"name": name, "ident": ident, "variable": variable, "port": f"{ident}_{variable}", "shape": shape}
            for name, ident, variable, shape in memory
        ],
        "traces": [
            {
                "name": f"{each.ident}/{trace.name}",
                "tape": f"{each.ident}_{trace.name}",
                "ident": each.ident,
                "variable": trace.name,
                "shape": (each.shape[trace in each.rule.pre],),
                "start": each.start,
            }
            for each in plan.plastic
            for trace in each.rule.traces
        ],
        "most_reward": max((each.reward for each in rules), default=0),
        "identity": identity(plan.network),
    }


def _known(name: str, value: Array, files: dict[str, bytes]) -> str:
    """Python for what a network knows at first."""
    if value.min() == value.max():
        return f"np.full({value.shape}, {int(value.flat[0])})"
    return _load(name.replace("/", "."), value.astype(np.int32), files)


def _arguments(each: Connection, arrays: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    if each.convolution:
        conv = each.convolution
        yield "weight", f"{arrays['weight']}.astype(np.int32)"
        yield "input_shape", str(conv.in_shape[::-1])
        yield "padding", str(conv.padding[:2][::-1])
        yield "stride", str(conv.stride[::-1])
        yield "dilation", str(conv.dilation[::-1])
        yield "groups", str(conv.groups)
        yield "num_message_bits", str(each.message_bits)
        return
    rows = [arrays[role] for role in ("data", "indices", "indptr", "delays") if role in arrays] if each.sparse else []
    if each.sparse:
        yield "weights", f"matrix({rows[0]}, {rows[1]}, {rows[2]}, {each.shape})"
    else:
        yield "weights", f"{arrays['weights']}.astype(np.int32)"
    if each.delayed:
        listed = arrays.get("delays", str(each.max_delay))
        if each.sparse:
            yield "delays", f"matrix({listed}, {rows[1]}, {rows[2]}, {each.shape}, int)"
        else:
            yield "delays", f"{listed}.astype(int)" if "delays" in arrays else listed
        yield "max_delay", str(each.max_delay)
    yield "weight_exp", str(each.weight_exp)
    yield "sign_mode", f"SignMode.{each.sign_mode}"
    yield "num_message_bits", str(each.message_bits)


def _load(name: str, array: Array, files: dict[str, bytes]) -> str:
    """Python that loads an array from the file which it puts among `files`."""
    packed = io.BytesIO()
    np.lib.format.write_array(packed, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False)
    files[f"weights/{name}.npy"] = packed.getvalue()
    return f'load("{name}")'


def _value(name: str, value: Array, files: dict[str, bytes]) -> str:
    """Python for a parameter: a number, or an array from a file."""
    return str(int(value)) if value.ndim == 0 else _load(name, value, files)


def _cells(each: Cells, plan: Plan, files: dict[str, bytes]) -> Mapping[str, Any]:
    shape, stock, own = each.layout.shape, each.stock, each.own
    arguments: list[tuple[str, str]] = [("shape", str(shape))]
    if stock:
        bias = {"bias_mant": stock.bias_mant, "bias_exp": stock.bias_exp} if stock.bias_mant.any() else {}
        arguments += [("du", str(stock.du)), ("dv", str(stock.dv)), ("vth", str(stock.vth))]
        if each.shown:
            bias = {}
            arguments += [("bias_mant", f"{each.ident}_bias(first)"), ("bias_exp", str(SHIFT))]
        for role, value in bias.items():
            arranged = value if value.ndim == 0 else each.layout.arrange(value)
            arguments.append((role, _value(f"{each.ident}.{role}", arranged, files)))
        arguments += [("reset_interval", "interval"), ("reset_offset", str(each.op.start + 1))]
    else:
        assert own is not None
        for role, value in own.parameters.items():
            arguments.append((role, _value(f"{each.ident}.{role}", value, files)))
        arguments += [("interval", "interval"), ("lengths", "lengths"), ("start", str(each.op.start))]
        if own.kind.learnt:
            arguments += [("a0", f'lesson.learnt["adaptations/{each.ident}"]'), ("frozen", "lesson.frozen")]
    return {
        "ident": each.ident,
        "name": text(each.name),
        "process": "LIFReset" if stock else plan.kinds[own.kind],  # pyright: ignore[reportOptionalMemberAccess]
        "stock": stock is not None,
        "why": each.why,
        "host": each.on_host,
        "shown": each.shown,
        "comment": f"{text(each.name)}: {' x '.join(map(str, each.op.shape))} neurons",
        "shape": shape,
        "network_shape": each.op.shape,
        "turned": each.layout.turned,
        "size": each.op.size,
        "start": each.op.start,
        "arguments": arguments,
        "before": bool(own and own.kind.before),
    }


def _shown(each: Cells, plan: Plan, files: dict[str, bytes]) -> Mapping[str, Any]:
    """A population that gets the input as biases: the matrix and the offset that give their mantissas."""
    arrays = input_matrix(plan.network, each.name, each.layout)
    rows = [_load(f"{each.ident}.input_{role}", arrays[role], files) for role in ("data", "indices", "indptr")]
    own = np.asarray(each.op.membrane.bias) >> SHIFT
    offset = own.reshape(-1)[0] if (own == own.flat[0]).all() else each.layout.arrange(spread(own, each.op)).reshape(-1)
    return {
        "ident": each.ident,
        "shape": each.layout.shape,
        "matrix": f"matrix({', '.join(rows)}, {(each.op.size, plan.layouts[plan.source_name].size)})",
        "offset": _value(f"{each.ident}.input_offset", offset, files),
    }


def _output(plan: Plan, name: str, op: Output) -> Mapping[str, Any]:
    population = source_of(plan.network, name)[0]
    cells = next(each for each in plan.cells if each.name == population)
    before = bool(cells.own and cells.own.kind.before) and (op.value, op.when) == ("membrane", "before")
    assert isinstance(cells.op, Population)
    return {
        "ident": plan.ident[name],
        "name": text(name),
        "tape": f"{cells.ident}_{'s' if op.value == 'spikes' else 'before' if before else 'v'}",
        "latency": op.latency,
        "decoder": op.decoder,
        "value": op.value,
        "population": text(population),
    }
