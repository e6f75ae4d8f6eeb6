"""Puts a run of learning on a page: accuracy over time, receptive fields, weights, and what it took."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from snncc.arrays import Ints
from snncc.checkpoints import Exam, Progress
from snncc.integers import Output, Population, Source, Synapse, source_of
from snncc.learning_views import taken_by_sample
from snncc.pages.figures import PALE, SEQUENCE, Figure, figure
from snncc.pages.page import Section, Table, render
from snncc.program import Program
from snncc.training import receptive_fields
from snncc.workload import Work

_MOST_FIELDS = 400  # receptive fields on a page
_BINS = 64
_COUNTED = "Of a sample, counted from spikes; testing includes naming the neurons."
_SPENT = "Energy and time are counted on the chip, by the costs in its file."
_UNSPENT = (
    "{} counts no energy of learning. Chips of many cores do: the same model, compiled with --target mesh64 and learnt "
    "on the same data, has the same bits, and a row for it here."
)


def page(program: Program, at: Progress) -> bytes:
    """The page of a run."""
    last = at.exams[-1]
    facts = [
        ("samples learnt", f"{at.position:,}"),
        ("steps", f"{at.learnt.steps:,}"),
        ("accuracy", _share(last.overall)),
    ]
    if last.newest is not None:
        facts += [("newest class", _share(last.of([last.newest]))), ("earlier classes", _share(last.earlier))]
    if "energy" in (spent := taken_by_sample(at.took)):
        facts += [("energy to learn a sample", spent["energy"][0])]
    return render(program.title, f"learnt on {program.chip.name}", facts, list(_sections(program, at)))


def _share(value: float | None) -> str:
    return "none" if value is None else f"{value:.1%}"


def _sections(program: Program, at: Progress) -> Iterator[Section]:
    yield Section("Accuracy", "On test samples of the classes that had been shown by then.", _accuracy(at.exams), True)
    for name, weight in receptive_fields(program.network, at.learnt).items():
        op = program.network[name]
        assert isinstance(op, Synapse)
        source = program.network[source_of(program.network, name)[0]]
        shape = source.shape if isinstance(source, (Source, Population)) else (op.map.in_size,)
        names = at.exams[-1].names if _read_out(program, name) else ()
        yield Section(f"Receptive fields of {name}", _noted(len(weight), names), _fields(weight, shape, names), True)
        yield Section(f"Weights of {name}", "How many synapses have which weight.", _histogram(weight))
    spent = _SPENT if taken_by_sample(at.took) else _UNSPENT.format(program.chip.name)
    yield Section("Operations", f"{_COUNTED} {spent}", _work(at))


def _read_out(program: Program, name: str) -> bool:
    """Whether a group leads to the neurons that were named for classes: those of the first output."""
    output = next(iter(program.network.of_kind(Output)))
    return program.network.outgoing(name)[0].target == program.network.incoming(output)[0].source


def _noted(count: int, names: tuple[int, ...]) -> str:
    shown = "each neuron" if count <= _MOST_FIELDS else f"the first {_MOST_FIELDS:,} of {count:,} neurons"
    named = " The number is the class that it was named for in the last test, if it answered to any." if names else ""
    return f"What {shown} weighs its inputs with.{named}"


def _accuracy(exams: tuple[Exam, ...]) -> Figure:
    x = [each.samples for each in exams]
    lines: dict[str, list[float | None]] = {"all classes so far": [each.overall for each in exams]}
    if exams[-1].newest is not None:
        lines["newest class"] = [each.of([each.newest]) if each.newest is not None else None for each in exams]
        lines["earlier classes"] = [each.earlier for each in exams]
    kind = {"type": "scatter", "mode": "lines+markers", "x": x}
    data: list[dict[str, Any]] = [{**kind, "name": name, "y": y} for name, y in lines.items()]
    if len(data) > 1:  # a point of the newest class is of another class than the one before it
        classes = [f"{each.newest}" for each in exams]
        data[1] |= {"mode": "lines+markers+text", "text": classes, "textposition": "top center"}
    return figure(
        data,
        360,
        colorway=SEQUENCE,
        showlegend=True,
        legend={"orientation": "h", "y": 1.08},
        xaxis={"title": {"text": "samples learnt"}, "gridcolor": PALE, "zeroline": False, "rangemode": "tozero"},
        yaxis={"range": [0, 1.12], "tickformat": ".0%", "gridcolor": PALE, "tickvals": [0, 0.2, 0.4, 0.6, 0.8, 1]},
    )


def _fields(weight: Ints, shape: tuple[int, ...], names: tuple[int, ...]) -> Figure:
    """All fields side by side as one picture, with a line of nothing between them, and classes in their corners."""
    height, width = _picture(weight.shape[1], shape)
    shown = weight[:_MOST_FIELDS].reshape(-1, height, width)
    across = math.ceil(math.sqrt(len(shown)))
    down = math.ceil(len(shown) / across)
    canvas = np.full((down * (height + 1), across * (width + 1)), np.nan)
    corners = [(number // across * (height + 1), number % across * (width + 1)) for number in range(len(shown))]
    for (y, x), field in zip(corners, shown, strict=True):
        canvas[y : y + height, x : x + width] = field
    z = [[None if math.isnan(value) else int(value) for value in row] for row in canvas.tolist()]
    hidden = {"visible": False}
    bar = {"title": {"text": "weight"}}
    heat = {"type": "heatmap", "z": z, "colorscale": "Greys", "hoverinfo": "z", "colorbar": bar}
    named = [(y, x, str(name)) for (y, x), name in zip(corners, names, strict=False) if name >= 0]
    classes = {
        "type": "scatter",
        "mode": "text",
        "hoverinfo": "skip",
        "showlegend": False,
        "textposition": "bottom right",
        "textfont": {"color": SEQUENCE[1], "size": 14 if across <= 12 else 9},
        "y": [y for y, _, _ in named],
        "x": [x for _, x, _ in named],
        "text": [name for _, _, name in named],
    }
    return figure([heat, classes], 640, xaxis=hidden, yaxis={**hidden, "autorange": "reversed", "scaleanchor": "x"})


def _picture(inputs: int, shape: tuple[int, ...]) -> tuple[int, int]:
    """As what picture a neuron's inputs are shown: their own if they have two axes, else a square, else a row."""
    if len(shape) > 1:
        return math.prod(shape[:-1]), shape[-1]
    side = math.isqrt(inputs)
    return (side, side) if side * side == inputs else (1, inputs)


def _histogram(weight: Ints) -> Figure:
    counts, edges = np.histogram(weight, bins=min(_BINS, max(2, int(np.ptp(weight)) + 1)))
    middles = ((edges[1:] + edges[:-1]) / 2).tolist()
    bars = {"type": "bar", "x": middles, "y": counts.tolist(), "marker": {"color": SEQUENCE[0]}}
    across = {"title": {"text": "weight"}}
    up = {"type": "log", "dtick": 1, "title": {"text": "synapses"}, "gridcolor": PALE}
    return figure([bars], 320, xaxis=across, yaxis=up)


def _work(at: Progress) -> Table:
    rows: Mapping[str, str] = {
        "synaptic_events": "synaptic events",
        "neuron_steps": "steps of neurons",
        "weight_changes": "weights computed anew",
        "trace_steps": "steps of traces",
        "total": "together",
    }
    cells = ((words, _each(at.learning, key), _each(at.testing, key)) for key, words in rows.items())
    chip = ((f"{name} on the chip", *each) for name, each in taken_by_sample(at.took).items())
    return Table(("operation", "learning", "testing"), (*cells, *chip))


def _each(work: Work, key: str) -> str:
    return f"{getattr(work, key) / work.samples:,.0f}" if work.samples else "none"
