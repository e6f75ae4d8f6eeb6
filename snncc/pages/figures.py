"""The pictures of a simulation's page, as the plain data that plotly draws: networks, cores, traffic, spikes, energy.

Names come from strangers' models and plotly reads some HTML in texts, so every name is escaped on its way in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import networkx as nx
import numpy as np

from snncc.arrays import Array, Floats, Ints
from snncc.chip import Mesh
from snncc.integers import Network, Output, Population, Source, Synapse

Figure = Mapping[str, Any]
INK, PALE, LINE = "#1f2933", "#eef2f6", "#c3ccd6"
SEQUENCE = ("#2f6fb2", "#d9822b", "#3d9970", "#b5487a", "#7a5fb5", "#8a8f98", "#b59b2f", "#3aa0b5")
HEAT = [[0.0, "#f4f7fa"], [0.25, "#b9d3ea"], [0.5, "#6fa8d6"], [0.75, "#2f6fb2"], [1.0, "#123f6d"]]
_BEND = 0.45  # how far a line leaves the straight way, per column that it passes over
_LOOP = 0.22  # half the width of a line from a population to itself
_APART = 0.3  # how far lines between the same two populations are from each other
_FEW = 10
_BAND = 0.06  # of all neurons: the least part of a raster that a population takes, so that its name can be read
MOST_DOTS = 50_000  # of a raster; beyond it every k-th neuron is shown, and the title says so


def figure(data: Sequence[Any], height: int, **layout: Any) -> Figure:
    """Series in the style of all pages."""
    base: dict[str, Any] = {
        "height": height,
        "margin": {"l": 60, "r": 20, "t": 10, "b": 45},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "system-ui, sans-serif", "size": 13, "color": INK},
        "showlegend": False,
    }
    return {"data": list(data), "layout": base | layout, "config": {"displayModeBar": False, "responsive": True}}


def within(series: Sequence[Any], title: str, most: float, least: float) -> Figure:
    """Points by a quantity and their accuracy, with a shade over those within both limits."""
    shade = {"type": "rect", "xref": "x", "yref": "y", "x0": 0, "x1": most, "y0": least, "y1": 1, "line": {"width": 0}}
    axis = {"zeroline": False, "gridcolor": PALE}
    return figure(
        series,
        420,
        showlegend=True,
        legend={"orientation": "h", "y": 1.08},
        shapes=[{**shade, "fillcolor": SEQUENCE[2], "opacity": 0.12, "layer": "below"}],
        xaxis={**axis, "title": {"text": title}, "rangemode": "tozero"},
        yaxis={**axis, "title": {"text": "accuracy"}, "tickformat": ".0%"},
    )


def network(graph: Network) -> Figure:
    """Populations from left to right as the data flows, and a line for each synapse group, dotted if it recurs."""
    places = _places(graph)
    lines = _lines(graph, places)
    shown = {name: op for name, op in graph.ops.items() if not isinstance(op, Synapse)}
    points = {
        "type": "scatter",
        "mode": "markers+text",
        "x": [places[name][0] for name in shown],
        "y": [places[name][1] for name in shown],
        "text": [escape(name) for name in shown],
        "textposition": "bottom center",
        "hovertext": [_describe(name, op) for name, op in shown.items()],
        "hoverinfo": "text",
        "cliponaxis": False,
        "marker": {
            "size": 26,
            "color": [_colour(graph, name) for name in shown],
            "line": {"color": "white", "width": 2},
        },
    }
    hidden = {"visible": False, "fixedrange": True}
    xaxis = {**hidden, "range": [-0.6, max(x for x, _ in places.values()) + 0.6]}
    heights = [y for line in lines for y in line["y"]] + [y for _, y in places.values()]
    low, high = min(heights) - 0.5, max(heights) + 0.35
    return figure(
        [*lines, points],
        int(np.clip(120 * (high - low), 140, 600)),
        margin={"l": 20, "r": 20, "t": 10, "b": 10},
        xaxis=xaxis,
        yaxis={**hidden, "range": [low, high]},
    )


def _lines(graph: Network, places: Mapping[str, tuple[float, float]]) -> Sequence[Mapping[str, Any]]:
    """A line and a mark on it for each synapse group, and a line to each output."""
    lines: list[Any] = []
    drawn: dict[tuple[str, str], int] = {}  # groups between the same two lie beside each other
    for name, synapse in graph.of_kind(Synapse).items():
        source, target = graph.incoming(name)[0].source, graph.outgoing(name)[0].target
        (x0, y0), (x1, y1) = places[source], places[target]
        back = x1 <= x0
        beside = drawn.get((source, target), 0)
        drawn[source, target] = beside + 1
        aside = (beside + 1) // 2 * (1 if beside % 2 else -1)
        bend = _BEND * (x0 - x1 + 1.0 if back else 1.0 - (x1 - x0)) + _APART * (beside if source == target else aside)
        middle = (x0 + x1) / 2, (y0 + y1) / 2 + bend
        sides = [(x0 + each * _LOOP, y0 + 0.7 * bend) for each in (-1, 1)] if source == target else []
        way = [(x0, y0), *sides[:1], middle, *sides[1:], (x1, y1)]
        text = f"{escape(name)}: {escape(source)} → {escape(target)}, {synapse.map.weight.size:,} weights"
        line = {"color": LINE, "width": 2, "dash": "dot" if back else "solid", "shape": "spline"}
        lines.append(_line(way, line))
        dot = {"size": 8, "color": LINE}
        mark = {"type": "scatter", "mode": "markers", "x": [middle[0]], "y": [middle[1]], "marker": dot}
        lines.append({**mark, "hovertext": [text], "hoverinfo": "text"})
    for name in graph.of_kind(Output):
        way = [places[graph.incoming(name)[0].source], places[name]]
        lines.append(_line(way, {"color": LINE, "width": 1, "dash": "solid"}))
    return lines


def _line(way: Sequence[tuple[float, float]], line: Mapping[str, Any]) -> Mapping[str, Any]:
    """A line through points, behind all marks."""
    xs, ys = [x for x, _ in way], [y for _, y in way]
    return {"type": "scatter", "mode": "lines", "x": xs, "y": ys, "line": line, "hoverinfo": "skip"}


def _places(graph: Network) -> Mapping[str, tuple[float, float]]:
    """A column per distance from the source, without the connections that close a cycle; rows are centred."""
    nodes = [name for name, op in graph.ops.items() if not isinstance(op, Synapse)]
    flow: nx.DiGraph[str] = nx.DiGraph()
    flow.add_nodes_from(nodes)
    for name in graph.of_kind(Synapse):
        source, target = graph.incoming(name)[0].source, graph.outgoing(name)[0].target
        if source != target and not nx.has_path(flow, target, source):
            flow.add_edge(source, target)
    for name in graph.of_kind(Output):
        flow.add_edge(graph.incoming(name)[0].source, name)
    column = dict.fromkeys(nodes, 0)
    for name in nx.lexicographical_topological_sort(flow, key=nodes.index):
        column[name] = max((column[before] + 1 for before in flow.predecessors(name)), default=0)
    rows = {level: [name for name in nodes if column[name] == level] for level in set(column.values())}
    return {
        name: (float(level), (len(members) - 1) / 2 - index)
        for level, members in rows.items()
        for index, name in enumerate(members)
    }


def _describe(name: str, op: object) -> str:
    if isinstance(op, Population):
        return f"{escape(name)}: {op.size:,} neurons"
    if isinstance(op, Source):
        return f"{escape(name)}: input of {'×'.join(map(str, op.shape))}, {op.bits} bits"
    return f"{escape(name)}: output"


def _colour(graph: Network, name: str) -> str:
    """That of a population in every picture; inputs and outputs are dark."""
    populations = tuple(graph.of_kind(Population))
    return SEQUENCE[populations.index(name) % len(SEQUENCE)] if name in populations else INK


def cores(mesh: Mesh, fill: Floats, hover: Sequence[str]) -> Figure:
    """How full each core is, (cores,) from 0 to 1, where it lies; `hover`, already escaped, says what it holds."""
    wide = _split(mesh.cores)
    shape = mesh.rows * (mesh.cores // wide), mesh.columns * wide
    z, text = np.zeros(shape), np.full(shape, "", object)
    for core, (value, words) in enumerate(zip(fill.tolist(), hover, strict=True)):
        tile, place = divmod(core, mesh.cores)
        row, column = divmod(tile, mesh.columns)
        at = row * (mesh.cores // wide) + place // wide, column * wide + place % wide
        z[at], text[at] = 100 * value, words
    height = _grid_height((2 * mesh.rows - 1, 2 * mesh.columns - 1))  # as `traffic` beside it
    return figure([_heat(z, text, "%", (0, 100))], height, **_grid())


def _split(count: int) -> int:
    """How many of a tile's cores lie side by side: the greatest divisor up to the square root."""
    return max(each for each in range(1, count + 1) if count % each == 0 and each * each <= count)


def traffic(mesh: Mesh, tiles: Ints, east: Ints, south: Ints) -> Figure:
    """Packets through each router, `tiles` (rows, columns), and on each link, both directions together.

    `east` (rows, columns - 1) is between a tile and the next in its row, `south` (rows - 1, columns) in its column.
    """
    shape = 2 * mesh.rows - 1, 2 * mesh.columns - 1
    z, text = np.full(shape, np.nan), np.full(shape, "", object)
    for row in range(mesh.rows):
        for column in range(mesh.columns):
            _put(z, text, (2 * row, 2 * column), tiles[row, column], f"tile ({column}, {row})")
            if column + 1 < mesh.columns:
                _put(
                    z, text, (2 * row, 2 * column + 1), east[row, column], f"({column}, {row}) to ({column + 1}, {row})"
                )
            if row + 1 < mesh.rows:
                _put(
                    z,
                    text,
                    (2 * row + 1, 2 * column),
                    south[row, column],
                    f"({column}, {row}) to ({column}, {row + 1})",
                )
    return figure([_heat(z, text, "packets", None)], _grid_height(shape), **_grid())


def _put(z: Array, text: Array, at: tuple[int, int], value: int, words: str) -> None:
    z[at], text[at] = value, f"{words}: {value:,} packets"


def _heat(z: Array, text: Array, unit: str, span: tuple[float, float] | None) -> Mapping[str, Any]:
    low, high = span or (0, float(max(1.0, np.nanmax(z))))
    values = [[None if np.isnan(each) else each for each in row] for row in z.tolist()]
    return {
        "type": "heatmap",
        "z": values,
        "text": text.tolist(),
        "hoverinfo": "text",
        "colorscale": HEAT,
        "zmin": low,
        "zmax": high,
        "xgap": 2,
        "ygap": 2,
        "colorbar": {"title": {"text": unit}, "thickness": 12, "outlinewidth": 0} | _whole(high),
    }


def _whole(most: float) -> dict[str, Any]:
    """Keeps plotly from putting marks between whole numbers of things, steps or samples, of which there are few."""
    return {"dtick": 1} if most <= _FEW else {}


def _grid() -> Mapping[str, Any]:
    """Squares without axes."""
    hidden = {"visible": False, "fixedrange": True}
    yaxis = {**hidden, "autorange": "reversed", "scaleanchor": "x", "constrain": "domain"}
    margin = {"l": 10, "r": 10, "t": 10, "b": 10}
    return {"xaxis": {**hidden, "constrain": "domain"}, "yaxis": yaxis, "margin": margin}


def _grid_height(shape: tuple[int, ...]) -> int:
    return int(np.clip(22 * shape[0] + 60, 220, 420))


def raster(spikes: Mapping[str, Array]) -> Figure:
    """The spikes of one sample, (steps, neurons) by population: a dot for each step and neuron that fired."""
    data: list[Any] = []
    ticks: list[tuple[float, str]] = []
    total = sum(int(np.count_nonzero(each)) for each in spikes.values())
    every = -(-total // MOST_DOTS) if total else 1
    base = 0.0
    steps = max((each.shape[0] for each in spikes.values()), default=0)
    band = _BAND * sum(len(range(0, each.shape[1], every)) for each in spikes.values())
    wide = int(np.clip(600 // max(1, steps), 4, 30))
    for index, (name, fired) in enumerate(spikes.items()):
        shown = np.arange(0, fired.shape[1], every)
        step, neuron = np.nonzero(fired[:, shown])
        spread = max(1.0, band / max(1, len(shown)))
        colour = SEQUENCE[index % len(SEQUENCE)]
        marker = {"size": wide, "symbol": "line-ew", "line": {"width": 1.5, "color": colour}}
        text = f"{escape(name)}, neuron %{{customdata}}, step %{{x}}<extra></extra>"
        dots = {"type": "scattergl", "mode": "markers", "x": step.tolist(), "y": (base + spread * neuron).tolist()}
        data.append({**dots, "customdata": shown[neuron].tolist(), "marker": marker, "hovertemplate": text})
        ticks.append((base + spread * len(shown) / 2, escape(name)))
        base += spread * len(shown) + max(2, len(shown) // 20)
    note = f"neuron (every {_ordinal(every)})" if every > 1 else "neuron"
    yaxis = {"tickvals": [at for at, _ in ticks], "ticktext": [name for _, name in ticks], "zeroline": False}
    yaxis |= {"gridcolor": PALE, "title": {"text": note, "standoff": 14}, "autorange": "reversed", "automargin": True}
    xaxis = {"title": {"text": "time step"}, "gridcolor": PALE, "zeroline": False} | _whole(steps)
    return figure(data, int(np.clip(300 + 30 * len(spikes), 420, 900)), xaxis=xaxis, yaxis=yaxis)


def _ordinal(number: int) -> str:
    ending = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def bars(values: Mapping[str, float], unit: str, notes: Mapping[str, str]) -> Figure:
    """A bar for each label, the greatest first; `notes` are shown on hovering."""
    ordered = sorted(values, key=lambda name: (values[name], name))
    data = {
        "type": "bar",
        "orientation": "h",
        "x": [values[name] for name in ordered],
        "y": [escape(name) for name in ordered],
        "hovertext": [escape(f"{name}: {values[name]:.4g} {unit} {notes.get(name, '')}".strip()) for name in ordered],
        "hoverinfo": "text",
        "marker": {"color": SEQUENCE[0]},
    }
    height = 70 + 30 * len(ordered)
    yaxis = {"automargin": True, "ticks": "outside", "ticklen": 6, "tickcolor": "rgba(0,0,0,0)"}
    return figure([data], height, xaxis={"title": {"text": unit}, "gridcolor": PALE}, yaxis=yaxis)


def confusion(labels: Ints, classes: Ints) -> Figure:
    """How many samples of each label were put in each class; both (samples,)."""
    count = int(max(labels.max(initial=0), classes.max(initial=0))) + 1
    z = np.zeros((count, count))
    np.add.at(z, (labels, classes), 1)
    text = np.array(
        [
            [f"label {row}, decided {column}: {int(z[row, column]):,}" for column in range(count)]
            for row in range(count)
        ],
        object,
    )
    axis = {"tickmode": "linear", "dtick": max(1, count // 20), "showgrid": False, "zeroline": False}
    xaxis = {**axis, "title": {"text": "decided"}, "constrain": "domain"}
    yaxis = {**axis, "title": {"text": "label"}, "autorange": "reversed", "scaleanchor": "x", "constrain": "domain"}
    return figure([_heat(z, text, "samples", None)], 380, xaxis=xaxis, yaxis=yaxis)
