"""The input as integers: exact where values lie on a grid, else near; samples that cannot be used are refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from snncc.chip import Chip
from snncc.data import to_integers
from snncc.diagnostics import CompileError
from snncc.graph import Graph
from snncc.integers import Source
from snncc.layers import Input, Layer
from snncc.passes.inputs import source_for
from snncc.passes.quantise import Options, Samples, assumptions, quantise
from tests.passes.float_nets import HOST, net

GRADED = net(np.ones((1, 2)))


def said(graph: Graph[Layer], chip: Chip = HOST, options: Options | None = None, samples: Samples | None = None) -> str:
    with pytest.raises(CompileError) as caught:
        quantise(graph, chip, options or Options(), samples)
    return str(caught.value)


@pytest.mark.parametrize(
    ("x", "bits", "signed", "scale"),
    [
        ([0.0, 0.25, 0.75], 2, False, 0.25),
        ([0.0, 3 / 255, 1.0, 254 / 255], 8, False, 1 / 255),
        ([-1.0, 0.5], 3, True, 0.5),
        ([0.0, 1.0], 1, False, 1.0),
        ([0.0, 0.3183098, 0.7853981, 1.5707963], 8, False, 1.5707963 / 255),
        ([-0.3183098, 0.7853981, 1.5707963], 8, True, 1.5707963 / 127),
        ([0.0, 0.0], 8, False, 1 / 255),
    ],
)
def test_inputs_on_a_grid_are_exact(x: list[float], bits: int, signed: bool, scale: float) -> None:
    samples = Samples(np.array(x, np.float32)[:, None, None])
    source = quantise(net(np.ones((1, 1))), HOST, Options(), samples).of_kind(Source)["x"]
    assert (source.bits, source.signed) == (bits, signed)
    assert source.scale == pytest.approx(scale, rel=1e-6)


def test_without_samples_the_range_is_assumed() -> None:
    graph = net(np.ones((1, 1)))
    source = quantise(graph, HOST, Options()).of_kind(Source)["x"]
    assert (source.bits, source.signed, source.scale) == (8, True, 1 / 127)
    (warning,) = assumptions(graph, None)
    assert str(warning) == (
        "warning[assumed-input-range]: x: there are no samples, so its values are taken to lie in -1..1; "
        "others saturate\n"
        "  = hint: give --samples, a file of inputs from the training data"
    )
    assert not list(assumptions(net(np.ones((1, 1)), events=True), None))


def test_rare_large_values_are_clipped_where_that_spares_the_others_more() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(5000, 40))
    x[0, 0] = 7.0
    source = source_for(Input((40,)), HOST, Samples(x))
    assert source.scale < 0.8 * 7.0 / 127
    even = source_for(Input((40,)), HOST, Samples(rng.uniform(-1, 1, (50, 40))))
    assert even.scale == pytest.approx(1 / 127, rel=0.01)

    def error(scale: float) -> float:
        other = replace(source, scale=scale)
        return float(np.square(to_integers(other, x) * scale - x).sum())

    assert error(source.scale) < min(error(7.0 / 127), error(0.5 * source.scale), error(1.3 * source.scale))


@pytest.mark.parametrize(
    ("samples", "text"),
    [
        (
            Samples(np.zeros((3, 5))),
            "x has shape (3, 5); x needs (samples, 2) or (samples, steps, 2)\n"
            "  = hint: reshape x; `snncc check` shows the network's input",
        ),
        (Samples(np.zeros((0, 4, 2))), "x holds no sample"),
        (Samples(np.full((3, 4, 2), np.nan)), "x holds values that are not finite numbers"),
        (Samples(np.full((3, 4, 2), "a")), "x holds values that are not finite numbers"),
        (
            Samples(np.zeros((3, 2))),
            "x is static, and the number of steps is not known\n"
            "  = hint: give --steps N, or x as (samples, steps, ...)",
        ),
        (Samples(np.zeros((3, 4, 2)), np.ones(2, np.int64)), "lengths has shape (2,); it must be (3,)"),
    ],
)
def test_samples_that_do_not_fit(samples: Samples, text: str) -> None:
    assert said(GRADED, samples=samples) == f"error[bad-samples]: --samples: {text}"


def test_all_faults_at_once() -> None:
    found = said(GRADED, options=Options(17), samples=Samples(np.full((2, 2), np.inf)))
    assert found.count("error[") == 3


def test_graded_values_where_spikes_are_needed() -> None:
    graded = Samples(np.full((2, 3, 2), 0.5))
    assert said(net(np.ones((1, 2)), events=True), samples=graded) == (
        "error[bad-samples]: --samples: x takes spikes; x holds values other than 0 and 1"
    )
    spikes_only = replace(HOST, input=replace(HOST.input, bits=1, signed=False))
    text = (
        "error[graded-input]: x: its values are graded; host takes spikes only\n"
        "  = hint: train with an input that is encoded as spikes, or choose another target"
    )
    assert said(GRADED, spikes_only, samples=graded) == text
    assert said(GRADED, spikes_only) == text
    binary = quantise(GRADED, spikes_only, Options(), Samples(np.ones((2, 3, 2))))
    assert binary.of_kind(Source)["x"] == Source((2,))


def test_negative_values_where_there_are_none() -> None:
    unsigned = replace(HOST, input=replace(HOST.input, signed=False))
    assert said(GRADED, unsigned, samples=Samples(np.full((2, 3, 2), -0.5))) == (
        "error[signed-input]: x: x holds negative values, down to -0.5; host takes none\n"
        "  = hint: shift the data in training, or choose another target"
    )
