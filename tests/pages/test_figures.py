"""The pictures of a page: what they show, where, and that no name becomes HTML."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from snncc.chip import Mesh
from snncc.graph import Edge, Graph
from snncc.integers import Decay, Fire, Membrane, Output, Population, Register, Source, Synapse
from snncc.linear import Dense
from snncc.pages import figures
from snncc.pages.figures import Figure

NEURONS = Population((2,), Membrane(Decay(np.asarray(0), 4, "zero"), Register(-8, 7)), Fire(np.asarray(1), True))
WEIGHT = Synapse(Dense(np.ones((2, 2), np.int8)))
NETWORK = Graph(
    {
        "x": Source((2,)),
        "fc": WEIGHT,
        "a": NEURONS,
        "again": WEIGHT,
        "on": WEIGHT,
        "b<br>": NEURONS,
        "back": WEIGHT,
        "y": Output("spikes", "after", "count"),
    },
    [
        *(Edge("x", "fc"), Edge("fc", "a"), Edge("a", "again", 1), Edge("again", "a"), Edge("a", "on")),
        *(Edge("on", "b<br>"), Edge("b<br>", "back", 1), Edge("back", "a"), Edge("b<br>", "y")),
    ],
)


def points(figure: Figure) -> dict[str, tuple[float, float]]:
    data = figure["data"][-1]
    return dict(zip(data["text"], zip(data["x"], data["y"], strict=True), strict=True))


def heat(figure: Figure) -> np.ndarray[Any, Any]:
    return np.asarray(figure["data"][0]["z"], float)


def test_a_network_goes_from_left_to_right_and_names_are_escaped() -> None:
    found = points(figures.network(NETWORK))
    assert [name for name, _ in sorted(found.items(), key=lambda each: each[1])] == ["x", "a", "b&lt;br&gt;", "y"]


def test_what_goes_back_is_dotted() -> None:
    lines = [each for each in figures.network(NETWORK)["data"] if each["mode"] == "lines"]
    assert [line["line"]["dash"] for line in lines] == ["solid", "dot", "solid", "dot", "solid"]


def test_a_line_from_a_population_to_itself_goes_round() -> None:
    data = figures.network(NETWORK)["data"]
    ((x, y),) = [(each["x"], each["y"]) for each in data if each["mode"] == "lines" and len(each["x"]) == 5]
    assert (x[0], y[0]) == (x[-1], y[-1]) == points({"data": data})["a"]
    assert x[1] < x[2] == x[0] < x[3]
    assert y[0] < y[1] == y[3] < y[2]


def test_an_output_is_joined_to_what_it_reads() -> None:
    figure = figures.network(NETWORK)
    where = points(figure)
    ways = [list(zip(each["x"], each["y"], strict=True)) for each in figure["data"] if each["mode"] == "lines"]
    assert [where["b&lt;br&gt;"], where["y"]] in ways


def test_groups_between_the_same_two_lie_beside_each_other() -> None:
    ops = {"x": Source((2,)), "s1": WEIGHT, "s2": WEIGHT, "s3": WEIGHT, "a": NEURONS}
    joins = [Edge(*ends) for name in ("s1", "s2", "s3") for ends in (("x", name), (name, "a"))]
    output = Output("spikes", "after", "count")
    found = figures.network(Graph({**ops, "y": output}, [*joins, Edge("a", "y")]))
    marks = [(each["x"][0], each["y"][0]) for each in found["data"] if each.get("hovertext") and len(each["x"]) == 1]
    assert len(set(marks)) == 3
    heights = sorted(y for _, y in marks)
    assert min(np.diff(heights)) >= 0.29


@pytest.mark.parametrize(("cores", "shape"), [(1, (2, 3)), (4, (4, 6)), (3, (6, 3)), (6, (6, 6))])
def test_cores_lie_in_their_tiles(cores: int, shape: tuple[int, int]) -> None:
    mesh = Mesh(3, 2, cores, (0, 0))
    fill = np.arange(6 * cores) / (6 * cores)
    z = heat(figures.cores(mesh, fill, [f"core {each}" for each in range(len(fill))]))
    assert z.shape == shape
    tall, wide = shape[0] // 2, shape[1] // 3
    first_of_second_row = z[tall : 2 * tall, :wide].reshape(-1)
    assert first_of_second_row == pytest.approx(100 * fill[3 * cores : 4 * cores])


def test_links_lie_between_tiles() -> None:
    mesh = Mesh(2, 2, 1, (0, 0))
    z = heat(figures.traffic(mesh, np.array([[1, 2], [3, 4]]), np.array([[5], [6]]), np.array([[7, 8]])))
    assert z[[0, 0, 0, 1, 1, 2, 2, 2], [0, 1, 2, 0, 2, 0, 1, 2]].tolist() == [1, 5, 2, 7, 8, 3, 6, 4]
    assert np.isnan(z[1, 1])


def test_a_raster_has_a_mark_for_every_spike() -> None:
    spikes = {"a": np.array([[0, 1], [2, 0]]), "<b>": np.array([[1], [1]])}
    first, second = figures.raster(spikes)["data"]
    assert (first["x"], first["customdata"]) == ([0, 1], [1, 0])
    assert second["x"] == [0, 1]
    assert "<b>" not in second["hovertemplate"]
    assert min(second["y"]) > max(first["y"])


def test_small_populations_have_room_for_their_names_beside_large_ones() -> None:
    small = {f"small{number}": np.ones((2, 10)) for number in range(3)}
    axis = figures.raster({"large": np.zeros((2, 9000)), **small})["layout"]["yaxis"]
    assert min(np.diff(axis["tickvals"])) > 0.04 * axis["tickvals"][-1]


def test_marks_are_whole_numbers_of_steps_and_samples() -> None:
    assert figures.raster({"a": np.eye(4)})["layout"]["xaxis"]["dtick"] == 1
    assert "dtick" not in figures.raster({"a": np.eye(40)})["layout"]["xaxis"]
    few, many = (figures.confusion(np.zeros(each, int), np.zeros(each, int))["data"][0] for each in (4, 40))
    assert few["colorbar"]["dtick"] == 1
    assert "dtick" not in many["colorbar"]


def test_a_raster_of_too_many_spikes_shows_every_kth_neuron_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "MOST_DOTS", 10)
    figure = figures.raster({"a": np.ones((4, 8), np.int64)})
    assert set(figure["data"][0]["customdata"]) == {0, 4}
    assert figure["layout"]["yaxis"]["title"]["text"] == "neuron (every 4th)"


def test_a_raster_without_spikes_or_steps() -> None:
    assert figures.raster({"a": np.zeros((0, 3))})["data"][0]["x"] == []
    assert figures.raster({})["data"] == []


@pytest.mark.parametrize(
    ("number", "said"), [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (22, "22nd")]
)
def test_ordinals(number: int, said: str) -> None:
    assert figures._ordinal(number) == said


def test_bars_are_sorted_and_say_what_they_are() -> None:
    data = figures.bars({"small": 1.0, "large & great": 3.0}, "pJ", {"small": "(assumed)"})["data"][0]
    assert data["y"] == ["small", "large &amp; great"]
    assert data["hovertext"] == ["small: 1 pJ (assumed)", "large &amp; great: 3 pJ"]


def test_decisions_are_counted() -> None:
    z = heat(figures.confusion(np.array([0, 0, 2]), np.array([0, 1, 2])))
    assert z.tolist() == [[1, 1, 0], [0, 0, 0], [0, 0, 1]]


def test_every_figure_is_json() -> None:
    made = [figures.network(NETWORK), figures.raster({"a": np.eye(2)})]
    assert all(json.loads(json.dumps(each, allow_nan=False)) for each in made)
