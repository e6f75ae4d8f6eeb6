"""Loops over time that are written out: rolled up again, checked against the file, or refused with a reason."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import onnx
import pytest

from snncc.diagnostics import CompileError
from snncc.frontends import read_model
from snncc.layers import Neuron, Output
from snncc.semantics import decode, run_float

from .step_graphs import StepGraph, runtime


def unrolled(
    steps: int, *, inputs: int = 4, outputs: int = 3, beta: float | list[float] = 0.8, start: object = None
) -> StepGraph:
    """x (steps, 1, inputs) -> fc -> LIF with soft reset, spikes of all steps stacked."""
    rng = np.random.default_rng(1)
    graph = StepGraph()
    graph.input("x", (steps, 1, inputs))
    graph.constant("w", rng.normal(size=(inputs, outputs)) / np.sqrt(inputs) * 2)
    graph.constant("theta", 1.0)
    graph.constant("first", [0], np.int64)
    betas = beta if isinstance(beta, list) else [beta] * steps
    v = None if start is None else graph.constant("start", start)
    spikes: list[str] = []
    for t in range(steps):
        leak = graph.constant(f"beta_{t}", betas[t])
        frame = graph.node("Gather", ["x", graph.constant(f"t{t}", t, np.int64)], f"x_{t}", axis=0)
        current = graph.node("MatMul", [frame, "w"], f"current_{t}")
        leaked = None if v is None else graph.node("Mul", [v, leak], f"leaked_{t}")
        h = current if leaked is None else graph.node("Add", [leaked, current], f"h_{t}")
        s = graph.node("Cast", [graph.node("GreaterOrEqual", [h, "theta"], f"fired_{t}")], f"s_{t}", to=1)
        v = graph.node("Sub", [h, s], f"v_{t}")
        spikes.append(graph.node("Unsqueeze", [s, "first"], f"y_{t}"))
    graph.node("Concat", spikes, "y", axis=0)
    graph.output("y")
    return graph


def agrees(graph: StepGraph, folder: Path, steps: int, inputs: int = 4) -> None:
    path = graph.save(folder)
    model = read_model(path)
    assert model.steps == steps
    x = np.random.default_rng(0).normal(0.5, 1.5, (steps, 1, inputs)).astype(np.float32)
    wanted = runtime(onnx.load(path)).run(None, {"x": x})[0]
    (output,) = model.graph.of_kind(Output).values()
    (found,) = run_float(model.graph, x.reshape(1, steps, inputs), steps).outputs.values()
    found = found if output.decoder is None else decode(found, output.decoder)
    assert wanted.any()
    np.testing.assert_allclose(found.reshape(-1), wanted.reshape(-1), atol=1e-5)


def said(graph: StepGraph, folder: Path) -> str:
    with pytest.raises(CompileError) as caught:
        read_model(graph.save(folder))
    return str(caught.value)


@pytest.mark.parametrize("steps", [3, 4, 25])
def test_all_steps_become_one(steps: int, tmp_path: Path) -> None:
    agrees(unrolled(steps), tmp_path, steps)


def test_two_steps_are_too_few(tmp_path: Path) -> None:
    assert said(unrolled(2), tmp_path) == (
        "error[too-few-steps]: model: it has too few steps to tell what is done in each\n"
        "  = hint: export one time step, (x, states) -> (y, next states), or a loop of three steps or more"
    )


def test_a_first_state_that_the_file_shows_is_kept(tmp_path: Path) -> None:
    graph = unrolled(5, start=[[0.5, -0.5, 2.5]])
    agrees(graph, tmp_path, 5)
    (neuron,) = read_model(graph.save(tmp_path)).graph.of_kind(Neuron).values()
    np.testing.assert_array_equal(neuron.initial, [0.5, -0.5, 2.5])


def test_a_first_state_that_was_folded_is_solved_for(tmp_path: Path) -> None:
    graph = unrolled(5, start=[[0.5, -0.5, 2.5]])
    node = next(each for each in graph.nodes if "leaked_0" in each.output)
    graph.nodes.remove(node)
    graph.constant("leaked_0", np.float32(0.8) * np.array([[0.5, -0.5, 2.5]], np.float32))
    agrees(graph, tmp_path, 5)
    (neuron,) = read_model(graph.save(tmp_path)).graph.of_kind(Neuron).values()
    np.testing.assert_allclose(neuron.initial, [0.5, -0.5, 2.5], rtol=1e-6)


def test_steps_that_differ_are_refused(tmp_path: Path) -> None:
    assert said(unrolled(6, beta=[0.8, 0.8, 0.8, 0.5, 0.8, 0.8]), tmp_path) == (
        "error[uneven-steps]: node_leaked: the steps of this unrolled loop are not copies of one another: no initial "
        "state makes the first 4 steps like those that follow\n"
        "  = hint: export one step, or a loop whose steps all compute the same with the same parameters"
    )


def test_a_sum_over_time_that_is_added_up_one_by_one(tmp_path: Path) -> None:
    graph = unrolled(6)
    graph.outputs.clear()
    total = "s_0"
    for t in range(1, 6):
        total = graph.node("Add", [total, f"s_{t}"], f"total_{t}")
    graph.output(total)
    agrees(graph, tmp_path, 6)


def test_a_sum_over_the_last_steps_only_is_refused(tmp_path: Path) -> None:
    graph = unrolled(6)
    graph.outputs.clear()
    bounds = [graph.constant(name, [value], np.int64) for name, value in (("from", 3), ("to", 6), ("axis", 0))]
    graph.node("Slice", ["y", *bounds], "late")
    graph.node("ReduceSum", ["late", bounds[2]], "total", keepdims=0)
    graph.output("total")
    assert said(graph, tmp_path).startswith("error[mixes-steps]: node_total: ReduceSum ")


def test_a_layer_after_the_last_step_is_computed_in_every_step(tmp_path: Path) -> None:
    graph = unrolled(6)
    graph.outputs.clear()
    graph.node("MatMul", ["v_5", graph.constant("late", np.ones((3, 2)))], "out")
    graph.output("out")
    assert "membrane-travels" in said(graph, tmp_path)
    graph = unrolled(6)
    graph.outputs.clear()
    graph.node("MatMul", ["s_5", graph.constant("late", np.ones((3, 2)))], "out")
    graph.output("out")
    agrees(graph, tmp_path, 6)


def test_a_hundred_steps_of_a_million_weights_are_read_in_seconds(tmp_path: Path) -> None:
    path = unrolled(100, inputs=1000, outputs=1000).save(tmp_path)
    start = time.process_time()
    model = read_model(path)
    assert model.steps == 100
    assert time.process_time() - start < 20
