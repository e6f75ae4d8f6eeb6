"""Ordinary networks as spiking ones: rates that approach the values, and how thresholds and steps are chosen."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from snncc.arrays import Array
from snncc.data import Data
from snncc.diagnostics import CompileError
from snncc.graph import Edge, Graph
from snncc.layers import Affine, Input, Layer, Neuron, Output, Rearrange, Relu
from snncc.passes.rates.convert import Converted, convert
from snncc.passes.rates.heights import candidates
from snncc.passes.rates.spiking import completed, spiking
from snncc.passes.rates.values import values
from snncc.semantics import run_float

RNG = np.random.default_rng(2)


def dense(seed: int = 0, sizes: tuple[int, ...] = (6, 12, 10, 4)) -> Graph[Layer]:
    """Affine layers with a Relu between each two; the last values are the output."""
    rng = np.random.default_rng(seed)
    ops: dict[str, Layer] = {"x": Input((sizes[0],))}
    edges: list[Edge] = []
    last = "x"
    for i, (few, many) in enumerate(itertools.pairwise(sizes)):
        weight = rng.normal(size=(many, few)) / np.sqrt(few)
        ops[f"fc{i}"] = Affine(weight, (many,), rng.normal(size=many) / 4)
        edges.append(Edge(last, f"fc{i}"))
        last = f"fc{i}"
        if i < len(sizes) - 2:
            ops[f"relu{i}"] = Relu((many,))
            edges.append(Edge(last, f"relu{i}"))
            last = f"relu{i}"
    ops["readout"] = Neuron((sizes[-1],), np.zeros(()), None)
    ops["out"] = Output((sizes[-1],), "membrane")
    return Graph(ops, [*edges, Edge(last, "readout"), Edge("readout", "out")])


def samples(count: int = 60, labels: Array | None = None) -> Data:
    x = np.random.default_rng(7).normal(size=(count, 6))
    return Data(x, np.ones(count, np.int64), labels)


def converted(graph: Graph[Layer], data: Data, steps: int | None, target: float | None = None) -> Converted:
    return convert(graph, data, steps, target)


def largest_values(graph: Graph[Layer], x: Array) -> dict[str, float]:
    relus = [name for name, op in graph.of_kind(Relu).items() if not op.selects]
    return {name: float(each.max()) for name, each in values(graph, x, relus).items()}


def test_values_are_those_of_plain_numpy() -> None:
    graph, x = dense(), samples().x
    v = x
    for i in range(3):
        op = graph[f"fc{i}"]
        assert isinstance(op, Affine)
        assert op.bias is not None
        v = v @ op.weight.T + op.bias
        v = np.maximum(v, 0) if i < 2 else v
    np.testing.assert_allclose(values(graph, x, ["out"])["out"], v)


def test_one_layer_of_rates_is_exact_to_half_a_spike() -> None:
    """A constant input leaves after T steps the count round(T x / h), ties up, whatever x is up to h."""
    graph = Graph[Layer](
        {"x": Input((41,)), "relu": Relu((41,)), "out": Output((41,))}, [Edge("x", "relu"), Edge("relu", "out")]
    )
    x = np.linspace(-1.0, 1.0, 41)[None]
    for steps in (1, 3, 8, 64):
        trace = run_float(spiking(graph, {"relu": 1.0}), x, steps)
        counts = trace.outputs["out"][0].sum(axis=0)
        np.testing.assert_array_equal(counts, np.floor(np.maximum(x[0], 0) * steps + 0.5 + 1e-9))


@pytest.mark.parametrize("seed", range(4))
def test_rates_approach_the_values_with_more_steps(seed: int) -> None:
    graph, x = dense(seed), samples().x
    network = spiking(graph, largest_values(graph, x))
    expected = values(graph, x, ["out"])["out"]
    errors: list[float] = []
    for steps in (8, 32, 128, 512):
        found = run_float(network, x, steps).outputs["out"].mean(axis=1)
        errors.append(float(np.abs(found - expected).mean() / np.abs(expected).mean()))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.02


def largest_of(count: int) -> Graph[Layer]:
    """The largest of `count` rectified values, as pairs of the first with each other one, one after another."""
    ops: dict[str, Layer] = {"x": Input((count,)), "relu": Relu((count,))}
    edges = [Edge("x", "relu")]
    best: list[str] = []
    for i in range(count):
        ops[f"take{i}"] = Rearrange((1,), np.array([i]))
        edges.append(Edge("relu", f"take{i}"))
        if i:
            ops[f"more{i}"] = Relu((1,), selects=True)
            edges += [Edge(f"take{i}", f"more{i}"), *(Edge(each, f"more{i}", 0, -1.0) for each in best)]
            best.append(f"more{i}")
        else:
            best.append("take0")
    ops["out"] = Output((1,))
    return Graph(ops, [*edges, *(Edge(each, "out") for each in best)])


def test_the_largest_count_is_found_to_a_spike_a_pair() -> None:
    """Parts of a max pool count as the largest of their inputs does, and never fewer spikes."""
    count, steps = 5, 64
    graph = largest_of(count)
    heights = completed(graph, {"relu": 1.0})
    assert set(heights.values()) == {1.0}
    x = np.random.default_rng(1).uniform(-0.2, 1, size=(300, count))
    trace = run_float(spiking(graph, heights), x, steps, record=["relu"])
    found, expected = trace.outputs["out"].sum(axis=1)[:, 0], trace.spikes["relu"].sum(axis=1).max(axis=1)
    assert set(found - expected) <= {0, 1, 2}
    assert np.mean(found - expected) < 1
    assert trace.outputs["out"].max() == 1  # one spike a step, as any other neuron


def test_candidates_are_those_of_the_papers() -> None:
    graph = Graph[Layer]({"a": Relu((1000,)), "b": Relu((1000,), ceiling=6.0), "dead": Relu((2,))})
    seen = {"a": np.arange(1000.0)[None], "b": np.arange(1000.0)[None], "dead": np.zeros((1, 2))}
    found = dict(candidates(graph, seen, 16))
    assert [(name, dict(each)) for name, each in found.items()][:3] == [
        ("largest value", {"a": 999.0, "b": 6.0, "dead": 1.0}),
        ("99.9th percentile", {"a": 999.0, "b": 6.0, "dead": 1.0}),
        ("99th percentile", {"a": 990.0, "b": 6.0, "dead": 1.0}),
    ]
    # uniform values: rounding costs (h / T)^2 / 12 each, so clipping a few is not worth it
    assert 900 < found["least error in 16 steps"]["a"] <= 1000


def test_labels_choose_the_thresholds_and_classes_where_there_are_none() -> None:
    graph = dense(3)
    result = converted(graph, samples(), 16)
    kinds = {type(op) for op in result.graph.ops.values()}
    assert Relu not in kinds
    assert result.steps == 16
    first, last = result.fidelity
    assert (first.stage, first.accuracy, first.changed) == ("ordinary network", None, 0.0)
    assert last.stage.startswith("rates over 16 steps, thresholds by the ")
    assert last.changed <= 0.1
    own = values(graph, samples().x, ["out"])["out"].argmax(axis=1)
    labelled = converted(graph, samples(labels=own), 16)
    assert labelled.fidelity[0].accuracy == 1.0
    assert labelled.fidelity[1].accuracy == 1.0 - last.changed


def test_the_fewest_steps_are_taken_that_keep_an_accuracy() -> None:
    graph = dense(3)
    own = values(graph, samples().x, ["out"])["out"].argmax(axis=1)
    data = samples(labels=own)
    steps = [converted(graph, data, None, target).steps for target in (0.5, 0.9, 1.0)]
    assert steps == sorted(steps)
    assert 1 <= steps[0] < steps[2] < 256
    result = converted(graph, data, None, 0.9)
    trace = run_float(result.graph, data.x, result.steps + 20).outputs["out"].cumsum(axis=1)
    right = (trace.argmax(axis=2) == own[:, None]).mean(axis=0)
    assert (right[result.steps - 1 :] >= 0.9).all()


def refused(graph: Graph[Layer], data: Data, steps: int | None, target: float | None = None) -> str:
    with pytest.raises(CompileError) as caught:
        converted(graph, data, steps, target)
    return str(caught.value)


def test_an_accuracy_that_is_not_reached_is_refused() -> None:
    graph = dense()
    own = values(graph, samples().x, ["out"])["out"].argmax(axis=1)
    own[0] = 1 - own[0] if own[0] < 2 else 0  # one label that the network does not give
    text = refused(graph, samples(labels=own), 8, 1.0)
    assert text.startswith("error[target-accuracy]: --target-accuracy: 100.00% is not reached in 8 steps: ")
    assert text.endswith("  = hint: the network itself has 98.33%; allow more --steps, or ask for less")


def test_samples_that_do_not_serve_are_refused() -> None:
    time = Data(np.zeros((2, 3, 6)), np.full(2, 3))
    assert refused(dense(), time, 8, 0.9) == (
        "error[bad-samples]: --samples: x has time steps; an ordinary network sees each sample once\n"
        "  = hint: give x as (samples, *shape), without time\n"
        "error[bad-samples]: --target-accuracy: the samples have no labels y, so that no accuracy can be measured\n"
        "  = hint: add y to the file, or give --steps N"
    )
    assert refused(dense(), samples(0), 8) == "error[bad-samples]: --samples: x holds no sample"
    assert refused(dense(), samples(labels=np.full(60, 4)), 8) == (
        "error[bad-samples]: --samples: y holds the class 4; the network tells 4\n"
        "  = hint: classes count from 0, one for each value of the output"
    )
    linear = dense(sizes=(6, 4))
    assert refused(linear, samples(), 8) == (
        "error[no-activations]: x: is linear: it has no activation that spike rates could stand for\n"
        "  = hint: a linear network needs no neurons"
    )
