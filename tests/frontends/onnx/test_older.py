"""Ops of older opsets, whose settings are attributes: what ONNX Runtime computes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from snncc.frontends import read_model

from .step_graphs import StepGraph, agrees


@pytest.mark.parametrize("opset", [7, 9, 10, 12])
def test_settings_that_were_attributes_are_read(opset: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    graph = StepGraph(opset=opset)
    graph.input("x", (1, 3, 6))
    if opset < 10:
        part = graph.node("Slice", ["x"], "part", axes=[2], starts=[1], ends=[5])
    else:
        names = [graph.constant(name, [value], np.int64) for name, value in (("s", 1), ("e", 5), ("a", 2))]
        part = graph.node("Slice", ["x", *names], "part")
    if opset < 11:
        wide = graph.node("Pad", [part], "wide", pads=[0, 1, 0, 0, 0, 1], value=0.0)
    else:
        wide = graph.node("Pad", [part, graph.constant("p", [0, 1, 0, 0, 0, 1], np.int64)], "wide")
    flat = graph.node("Squeeze", [graph.node("Unsqueeze", [wide], "up", axes=[0])], "down", axes=[0])
    flat = graph.node("Flatten", [flat], "flat")
    weight = graph.constant("fc.weight", rng.normal(size=(20, 4)))
    v = graph.state("v", (1, 4))
    total = graph.node("Add", [v, graph.node("MatMul", [flat, weight], "current")], "total")
    fired = graph.node("Greater", [total, graph.constant("one", 1.0)], "fired")
    spikes = graph.node("Cast", [fired], "spikes", to=1)
    graph.node("Sub", [total, spikes], "v_next")
    graph.output("spikes")
    graph.output("v_next")
    path = graph.save(tmp_path)
    model = read_model(path)
    agrees(model, path, rng.normal(size=(20, 3, 6)).astype(np.float32), {"v": "v_next"}, {"spikes": "spikes"})
