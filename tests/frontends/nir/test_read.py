"""Nodes without a state, delays, recurrence and graphs within graphs, against numpy and the nir package's reader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
from scipy.signal import correlate

from snncc.arrays import Array
from snncc.frontends.nir import read_nir
from snncc.frontends.nir.stored import stored_graph
from snncc.graph import Edge
from snncc.layers import Conv2d, Output
from snncc.semantics import run_float
from tests.frontends.nir.files import DT, Nodes, chain, graph, lif, linear, node, write


def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def output(path: Path, x: Array, **options: Any) -> Array:
    """What leaves the network in the first sample's first step, or all of them."""
    return run_float(read_nir(path, **options).graph, x).outputs["out"]


def passed(tmp_path: Path, x: Array, one: dict[str, Any]) -> Array:
    """What a stateless node makes of values (channels, ...)."""
    nodes, edges = chain(1, {"n": one}, 1)
    nodes["in"]["shape"] = np.array(x.shape)
    return output(write(tmp_path / "n.nir", nodes, edges), x[None, None])[0, 0]


def test_linear_nodes(tmp_path: Path) -> None:
    weight, bias, x = rng().normal(size=(4, 3)), rng().normal(size=4), rng().normal(size=3)
    assert passed(tmp_path, x, node("Linear", weight=weight)) == pytest.approx(weight @ x)
    assert passed(tmp_path, x, node("Affine", weight=weight, bias=bias)) == pytest.approx(weight @ x + bias)
    assert passed(tmp_path, x, node("Scale", scale=bias[:3])) == pytest.approx(x * bias[:3])


@pytest.mark.parametrize("padding", [0, 1, "same", "valid"])
@pytest.mark.parametrize("groups", [1, 2])
def test_convolutions(tmp_path: Path, padding: Any, groups: int) -> None:
    weight, bias, x = rng().normal(size=(4, 2 // groups, 3, 2)), rng().normal(size=4), rng().normal(size=(2, 6, 5))
    more = {"padding": padding, "groups": groups, "stride": 1, "dilation": [1, 2], "bias": bias}
    found = passed(tmp_path, x, node("Conv2d", weight=weight, input_shape=[6, 5], **more))
    around = {0: ((0, 0), (0, 0)), 1: ((1, 1), (1, 1)), "same": ((1, 1), (1, 1)), "valid": ((0, 0), (0, 0))}[padding]
    wide = np.zeros((4, 2 // groups, 3, 3))
    wide[..., ::2] = weight
    padded = np.pad(x, ((0, 0), *around)).reshape(groups, 2 // groups, 6 + sum(around[0]), 5 + sum(around[1]))
    expected = [correlate(padded[k * groups // 4], wide[k], "valid")[0] + bias[k] for k in range(4)]
    assert found == pytest.approx(np.ravel(expected))


def test_a_convolution_along_one_axis(tmp_path: Path) -> None:
    weight, x = rng().normal(size=(3, 2, 4)), rng().normal(size=(2, 9))
    more = {"bias": np.zeros(3), "stride": [2], "padding": [1], "dilation": [1], "groups": 1}
    found = passed(tmp_path, x, node("Conv1d", weight=weight, input_shape=9, **more))
    padded = np.pad(x, ((0, 0), (1, 1)))
    expected = [correlate(padded, kernel, "valid")[0, ::2] for kernel in weight]
    assert found == pytest.approx(np.ravel(expected))
    nodes, edges = chain(
        1, {"a": node("Conv1d", weight=weight, **more), "b": node("Conv1d", weight=np.ones((1, 3, 2)))}, 3
    )
    nodes["in"]["shape"] = np.array([2, 9])
    second = read_nir(write(tmp_path / "two.nir", nodes, edges)).graph["b"]
    assert isinstance(second, Conv2d)
    assert second.in_shape == (3, 1, 4)
    assert second.shape == (1, 1, 3)


@pytest.mark.parametrize("kind", ["SumPool2d", "AvgPool2d"])
def test_pools(tmp_path: Path, kind: str) -> None:
    """Zeros around count in an average, as in torch's AvgPool2d."""
    x = rng().normal(size=(2, 6, 4))
    found = passed(tmp_path, x, node(kind, kernel_size=[3, 2], stride=[3, 2], padding=[1, 0])).reshape(2, 2, 2)
    padded = np.pad(x, ((0, 0), (1, 1), (0, 0)))[:, :6]
    expected = padded.reshape(2, 2, 3, 2, 2).sum(axis=(2, 4)) / (1 if kind == "SumPool2d" else 6)
    assert found == pytest.approx(expected)


def test_flattening_some_axes(tmp_path: Path) -> None:
    x = rng().normal(size=(2, 3, 4))
    for more, shape in (
        ({"start_dim": 0}, (24,)),
        ({"start_dim": 1}, (2, 12)),
        ({"start_dim": 0, "end_dim": 1}, (6, 4)),
    ):
        nodes, edges = chain(1, {"n": node("Flatten", input_type=[2, 3, 4], **more)}, 24)
        nodes["in"]["shape"] = np.array(x.shape)
        path = write(tmp_path / "n.nir", nodes, edges)
        assert read_nir(path).graph["n"].shape == shape
        assert np.array_equal(output(path, x[None, None])[0, 0], x.reshape(-1))


def test_delays(tmp_path: Path) -> None:
    """In whole steps, each value its own."""
    nodes, edges = chain(3, {"d": node("Delay", delay=np.array([0, 3, 1]) * DT), "w": linear(np.eye(3))}, 3)
    x = rng().normal(size=(1, 8, 3))
    found = output(write(tmp_path / "n.nir", nodes, edges), x, dt=DT)[0]
    for column, delay in enumerate((0, 3, 1)):
        assert np.allclose(found[delay:, column], x[0, : 8 - delay, column])
        assert not found[:delay, column].any()
    nodes["d"]["delay"] = np.array(2 * DT)
    found = output(write(tmp_path / "m.nir", nodes, edges), x, dt=DT)[0]
    assert np.allclose(found[2:], x[0, :-2])


def recurrent() -> tuple[Nodes, list[tuple[str, str]]]:
    nodes, edges = chain(2, {"w": linear(np.eye(2)), "lif": lif(2)}, 2)
    nodes["back"] = node("Affine", weight=np.array([[0.0, -3.0], [0.4, 0.0]]), bias=np.array([0.1, 0.0]))
    return nodes, [*edges, ("lif", "back"), ("back", "lif")]


def test_a_cycle_reads_the_spikes_of_the_step_before(tmp_path: Path) -> None:
    """A bias on the way back acts from the first step on."""
    nodes, edges = recurrent()
    x = (rng().random((1, 50, 2)) < 0.6).astype(float)
    found = output(write(tmp_path / "n.nir", nodes, edges), x, style="lava", dt=DT)[0]
    v = s = np.zeros(2)
    for step in range(50):
        v = 0.8 * v + x[0, step] + np.array([[0.0, -3.0], [0.4, 0.0]]) @ s + [0.1, 0]
        s = (v > 1).astype(float)
        v = np.where(s > 0, 0, v)
        assert np.array_equal(found[step], s)


def test_two_populations_that_feed_each_other(tmp_path: Path) -> None:
    """On the way from the input nothing is late; what leads back is."""
    nodes, edges = chain(2, {"a": lif(2), "w": linear(np.eye(2)), "b": lif(2)}, 2)
    nodes["u"] = linear(-np.eye(2))
    graph_ = read_nir(write(tmp_path / "n.nir", nodes, [*edges, ("b", "u"), ("u", "a")]), "lava", DT).graph
    assert [edge for edge in graph_.edges if edge.delay] == [Edge("b", "u", 1)]


def test_a_delay_closes_a_cycle_itself(tmp_path: Path) -> None:
    nodes, edges = recurrent()
    nodes["late"] = node("Delay", delay=np.full(2, 2 * DT))
    edges = [edge for edge in edges if edge != ("back", "lif")]
    path = write(tmp_path / "n.nir", nodes, [*edges, ("back", "late"), ("late", "lif")])
    assert [edge for edge in read_nir(path, "lava", DT).graph.edges if edge.delay] == [Edge("back", "late", 2)]


def test_graphs_within_graphs(tmp_path: Path) -> None:
    nodes, edges = recurrent()
    x = (rng().random((1, 50, 2)) < 0.6).astype(float)
    expected = output(write(tmp_path / "n.nir", nodes, edges), x, style="lava", dt=DT)
    inside = {"i": node("Input", shape=[2]), "lif": nodes["lif"], "back": nodes["back"], "o": node("Output", shape=[2])}
    inner = graph(inside, [("i", "lif"), ("lif", "back"), ("back", "lif"), ("lif", "o")])
    shell = graph({"i": node("Input", shape=[2]), "g": inner, "o": node("Output", shape=[2])}, [("i", "g"), ("g", "o")])
    outer, path = chain(2, {"w": linear(np.eye(2)), "rnn": shell}, 2)
    found = read_nir(write(tmp_path / "m.nir", outer, path), "lava", DT).graph
    assert set(found.ops) == {"in", "out", "rnn.g.back", "rnn.g.lif", "w"}
    assert np.array_equal(run_float(found, x).outputs["out"], expected)


def test_outputs_show_spikes_membranes_or_sums(tmp_path: Path) -> None:
    nodes, edges = chain(2, {"w": linear(np.eye(2)), "lif": lif(2)}, 2)
    nodes |= {"sum": node("Output", shape=[2]), "li": node("LI", tau=5e-3, r=1.0, v_leak=0.0)}
    nodes["v"] = node("Output", shape=[2])
    edges += [("w", "sum"), ("w", "li"), ("li", "v")]
    outputs = read_nir(write(tmp_path / "n.nir", nodes, edges), "lava", DT).graph.of_kind(Output)
    assert {name: op.value for name, op in outputs.items()} == {"out": "spikes", "sum": "spikes", "v": "membrane"}


def test_files_of_the_nir_package(tmp_path: Path) -> None:
    """Every type of node that the package knows, as it writes it; and what it reads again is what is read here."""
    size = np.array([8])
    one = {"r": np.ones(8), "v_leak": np.zeros(8)}
    rows: list[Any] = [
        nir.Conv2d((4, 4), rng().normal(size=(2, 1, 3, 3)), 1, "same", 1, 1, np.zeros(2)),
        nir.SumPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])),
        nir.Flatten(np.array([2, 2, 2]), 0, -1),
        nir.Linear(rng().normal(size=(8, 8))),
        nir.CubaLIF(np.full(8, 4e-3), np.full(8, 5e-3), v_threshold=np.full(8, 0.1), w_in=np.full(8, 2.0), **one),
        nir.Affine(rng().normal(size=(8, 8)), np.zeros(8)),
        nir.Scale(np.full(8, 2.0)),
        nir.LIF(np.full(8, 4e-3), v_threshold=np.full(8, 0.1), **one),
        nir.Delay(np.full(8, 2e-3)),
        nir.IF(np.ones(8), np.ones(8)),
        nir.Threshold(np.full(8, 0.5)),
        nir.CubaLI(np.full(8, 4e-3), np.full(8, 5e-3), **one),
    ]
    network = nir.NIRGraph.from_list(nir.Input(np.array([1, 4, 4])), *rows, nir.Output(size))
    nir.write(tmp_path / "a.nir", network)
    graph_ = read_nir(tmp_path / "a.nir", "exact", DT).graph
    assert set(graph_.ops) >= set(network.nodes)
    assert np.isfinite(run_float(graph_, rng().normal(size=(1, 20, 1, 4, 4)) + 1).outputs["output"]).all()
    stored = stored_graph(tmp_path / "a.nir")
    assert sorted(stored.edges) == sorted(network.edges)
    for name, each in network.nodes.items():
        theirs = each.to_dict()
        assert stored.nodes[name].kind == theirs.pop("type")
        assert all(np.array_equal(stored.nodes[name].values[key], theirs[key]) for key in stored.nodes[name].values)


def test_every_type_of_the_package_is_known() -> None:
    from snncc.frontends.nir.build import KEYS

    known = {name for name in nir.ir.__all__ if isinstance(getattr(nir.ir, name), type)} - {"NIRNode", "NIRGraph"}
    assert known == set(KEYS)
