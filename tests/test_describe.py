"""Tests of the words for layers: what stands in the table of `snncc check`."""

from __future__ import annotations

import numpy as np
import pytest

from snncc.describe import details, kind
from snncc.layers import (
    Adapt,
    Affine,
    Conv2d,
    Current,
    HardReset,
    Input,
    Layer,
    Linear,
    Neuron,
    Output,
    Rearrange,
    Scale,
    SoftReset,
    SumPool2d,
)
from snncc.linear import Conv, Dense

HALF, ONE = np.array(0.5), np.array(1.0)
KERNEL = np.ones((4, 1, 3, 5))
LAYERS: list[tuple[Layer, str, str]] = [
    (Input((2,)), "Input", "values"),
    (Input((2,), events=True), "Input", "spikes"),
    (Affine(np.ones((3, 2)), (3,)), "Affine", "2→3"),
    (Affine(np.ones((3, 2)), (3,), np.array([-0.25, 0, 1 / 3])), "Affine", "2→3, bias -0.25..0.333"),
    (Conv2d(KERNEL, (2, 9, 9), (4, 9, 9), groups=2), "Conv2d", "2→4 channels, kernel 3×5, 2 groups"),
    (
        Conv2d(KERNEL, (1, 9, 9), (4, 9, 9), None, (2, 1), (1, 1, 1, 1), (1, 2)),
        "Conv2d",
        "1→4 channels, kernel 3×5, stride 2×1, padding 1, dilation 1×2",
    ),
    (
        SumPool2d((1, 4, 4), (1, 2, 2), (2, 2), (2, 2), (1, 0, 1, 0), 0.25),
        "SumPool2d",
        "window 2×2, stride 2×2, padding 1×0×1×0, times 0.25",
    ),
    (Scale((2,), np.array([1, 2.0])), "Scale", "times 1..2"),
    (Scale((2,), np.array([1, 2.0]), np.array(-1.0)), "Scale", "times 1..2, plus -1"),
    (Rearrange((2,)), "Rearrange", ""),
    (Linear(Dense(np.ones((3, 2))), (3,)), "Linear", "dense 2→3"),
    (Linear(Conv(KERNEL, (1, 9, 9)), (4, 7, 5)), "Linear", "1→4 channels, kernel 3×5"),
    (Output((2,)), "Output", "spikes"),
    (Output((2,), "membrane", "before"), "Output", "membrane before the reset"),
    (Neuron((2,), ONE, ONE, reset=SoftReset(ONE)), "IF neuron", "v <- 1 v + x; s = v > 1; reset by 1"),
    (Neuron((2,), HALF, None), "leaky integrator", "v <- 0.5 v + x; no reset"),
    (Neuron((2,), np.array(0.0), ONE), "threshold neuron", "v <- 0 v + x; s = v > 1; no reset"),
    (
        Neuron(
            (2,), HALF, ONE, inclusive=True, reset=HardReset(delay=1), bias=-ONE, current=Current(HALF), minimum=-ONE
        ),
        "CUBA LIF neuron",
        "i <- 0.5 i + x; v <- 0.5 v + i - 1; v <- max(v, -1); s = v >= 1; reset to 0 a step later",
    ),
    (
        Neuron((2,), HALF, ONE, reset=SoftReset(ONE, adaptive=True), adapt=Adapt(HALF, ONE), max_spikes=3),
        "LIF neuron",
        "v <- 0.5 v + x; s = v > 1 + a; several spikes a step; reset by the threshold",
    ),
    (
        Neuron((2,), HALF, ONE, reset=HardReset(HALF), refractory=2),
        "LIF neuron",
        "v <- 0.5 v + x; s = v > 1; reset to 0.5, then 2 steps of rest",
    ),
]


@pytest.mark.parametrize(("op", "called", "said"), LAYERS)
def test_a_layer_in_words(op: Layer, called: str, said: str) -> None:
    assert (kind(op), details(op)) == (called, said)
