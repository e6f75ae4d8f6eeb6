"""Ordinary networks for tests, written by hand."""

from __future__ import annotations

from typing import Any

import numpy as np

from .step_graphs import StepGraph


class Ann(StepGraph):
    """A network on (1, 2, 7, 6) images; weights come from a seed."""

    def __init__(self, seed: int = 0, opset: int = 17) -> None:
        super().__init__(opset)
        self.rng = np.random.default_rng(seed)
        self.input("x", (1, 2, 7, 6))

    def conv(self, name: str, source: str, channels: tuple[int, int], **attributes: Any) -> str:
        weight = self.constant(f"{name}.weight", self.rng.normal(size=(channels[1], channels[0], 3, 3)) / 3)
        bias = self.constant(f"{name}.bias", self.rng.normal(size=channels[1]) / 3)
        return self.node("Conv", [source, weight, bias], name, **attributes)

    def dense(self, name: str, source: str, sizes: tuple[int, int]) -> str:
        weight = self.constant(f"{name}.weight", self.rng.normal(size=sizes) / np.sqrt(sizes[0]))
        flat = self.node("Flatten", [source], f"{name}_flat")
        return self.node("Gemm", [flat, weight, self.constant(f"{name}.bias", self.rng.normal(size=sizes[1]))], name)


def pooled(seed: int = 0, opset: int = 17, **pool: Any) -> Ann:
    """conv, Relu, MaxPool, dense; by default 3 x 2 windows that overlap, with padding."""
    graph = Ann(seed, opset)
    shape = pool or {"kernel_shape": [3, 2], "strides": [2, 1], "pads": [1, 0, 0, 1]}
    relu = graph.node("Relu", [graph.conv("conv", "x", (2, 3), pads=[1, 1, 1, 1])], "relu")
    graph.node("MaxPool", [relu], "pool", name="pool", **shape)
    mean = graph.node("GlobalAveragePool", ["pool"], "mean")
    graph.dense("fc", mean, (3, 4))
    graph.output("fc")
    return graph


def branched(seed: int = 0) -> Ann:
    """What residual networks and their like have: BatchNormalization, Add, Concat, pools, Clip, Softmax at the end."""
    graph = Ann(seed)
    first = graph.node("Relu", [graph.conv("conv1", "x", (2, 4), pads=[1, 1, 1, 1])], "relu1")
    second = graph.conv("conv2", first, (4, 4), pads=[1, 1, 1, 1])
    for each in ("scale", "shift", "mean"):
        graph.constant(each, graph.rng.normal(size=4))
    graph.constant("variance", graph.rng.uniform(0.5, 2, size=4))
    normal = graph.node("BatchNormalization", [second, "scale", "shift", "mean", "variance"], "bn")
    summed = graph.node("Add", [normal, first], "sum")
    graph.constant("low", 0.0), graph.constant("high", 1.5)
    clipped = graph.node("Clip", [summed, "low", "high"], "relu6")
    both = graph.node("Concat", [clipped, first], "both", axis=1)
    largest = graph.node("MaxPool", [clipped], "largest", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)
    average = graph.node("AveragePool", [both], "average", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)
    joined = graph.node("Concat", [largest, average], "joined", axis=1)
    graph.node("Softmax", [graph.dense("fc", joined, (12 * 12, 5))], "classes", name="softmax")
    graph.output("classes")
    return graph
