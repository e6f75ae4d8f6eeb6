"""Widths of weights: what users write, and that each synapse group gets its own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snncc.diagnostics import CompileError
from snncc.graph import Edge, Graph
from snncc.integers import Synapse
from snncc.layers import Input, Layer, Linear, Output
from snncc.linear import Dense
from snncc.passes.precision import Levels, Width, by_group, faults, levels, parsed, stored_width
from snncc.passes.quantise import Options, quantise
from tests.passes.float_nets import HOST, NEURONS, agreement, random_net, spike_samples

FORM = "\n  = hint: give BITS, NAME=BITS, or several with commas between, as in 4,fc2=8,conv1=ternary"


def test_levels() -> None:
    assert [levels(width) for width in (2, 4, 8)] == [Levels(-2, 1), Levels(-8, 7), Levels(-128, 127)]
    assert (levels("ternary"), stored_width("ternary"), stored_width(5)) == (Levels(-1, 1), 2, 5)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, (8, {})),
        (5, (5, {})),
        ("4", (4, {})),
        ("ternary", ("ternary", {})),
        ("4,fc2=8,conv1=ternary", (4, {"fc2": 8, "conv1": "ternary"})),
        ("fc2=8 , 3", (3, {"fc2": 8})),
        ("/a=b/Gemm=2", (8, {"/a=b/Gemm": 2})),
    ],
)
def test_what_is_written(text: int | str | None, expected: Any) -> None:
    width, own = parsed(text, 8)
    assert (width, dict(own)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", f"error[weight-bits]: --weight-bits: '' is no width of weights{FORM}"),
        ("four", f"error[weight-bits]: --weight-bits: 'four' is no width of weights{FORM}"),
        ("4,=8", f"error[weight-bits]: --weight-bits: '=8' is no width of weights{FORM}"),
        ("fc1=-3", f"error[weight-bits]: --weight-bits: 'fc1=-3' is no width of weights{FORM}"),
        ("fc1=4,fc1=8", f"error[weight-bits]: --weight-bits: fc1 is given twice{FORM}"),
        ("4,8", f"error[weight-bits]: --weight-bits: the width of all weights is given twice{FORM}"),
        (
            "x=y,2.5",
            f"error[weight-bits]: --weight-bits: 'x=y' is no width of weights{FORM}\n"
            f"error[weight-bits]: --weight-bits: '2.5' is no width of weights{FORM}",
        ),
    ],
)
def test_what_is_misspelt(text: str, expected: str) -> None:
    with pytest.raises(CompileError) as caught:
        parsed(text, 8)
    assert str(caught.value) == expected


@pytest.mark.parametrize("value", [4.5, True, float("nan"), [4]])
def test_what_is_no_number_of_bits_is_refused(value: Any) -> None:
    with pytest.raises(CompileError) as caught:
        parsed(value, 8)
    assert str(caught.value) == f"error[weight-bits]: --weight-bits: {str(value)!r} is no width of weights{FORM}"


@given(st.text(alphabet="0123456789=,ternary fc²-", max_size=20))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        width, own = parsed(text, 8)
    except CompileError:
        return
    for each in (width, *own.values()):
        assert each == "ternary" or 0 <= each < 10_000


GRAPH = random_net(1, 12, 20, 10, 5, events=True)


def test_names_and_widths_that_there_are_not() -> None:
    found = faults(GRAPH, HOST, 9, {"w1": 1, "p1": "ternary", "w7": 4, "x": 4})
    hint = "there are w0, p0, w1, p1 and 2 more; `snncc compile` lists them"
    assert [str(each) for each in found] == [
        "error[weight-bits]: --weight-bits: 9 bits were asked for; host takes 2 to 8",
        "error[weight-bits]: --weight-bits: 1 bits were asked for of w1; host takes 2 to 8",
        "error[weight-bits]: --weight-bits: there are no synapses and no population called w7"
        f"\n  = hint: did you mean w2? {hint}",
        f"error[weight-bits]: --weight-bits: there are no synapses and no population called x\n  = hint: {hint}",
    ]


def test_a_population_stands_for_what_feeds_it() -> None:
    assert by_group(GRAPH, {"p0": 4, "p1": 3, "w1": 8}) == {"w0": 4, "w1": 8}


@pytest.mark.parametrize("with_samples", [False, True])
def test_each_group_has_its_width(with_samples: bool) -> None:
    """And uses it: the largest weights are beyond half of what there is."""
    samples = spike_samples(5, 40, 10, 12)
    own: dict[str, Width] = {"w0": 3, "p1": "ternary"}
    options = Options(6, steps=10, own_bits=own)
    network = quantise(GRAPH, HOST, options, samples if with_samples else None)
    for name, width in {"w0": 3, "w1": "ternary", "w2": 6}.items():
        weight, limits = network.of_kind(Synapse)[name].map.weight.astype(int), levels(width)
        assert limits.low <= weight.min()
        assert weight.max() <= limits.high < 2 * np.abs(weight).max()


def test_maps_into_one_population_have_widths_of_their_own() -> None:
    """A population that reads itself: its rounded maps fit their widths, and fine ones serve it better than coarse."""
    rng = np.random.default_rng(3)
    ops: dict[str, Layer] = {
        "x": Input((12,), events=True),
        "in": Linear(Dense(rng.normal(0.1, 0.5, (16, 12))), (16,)),
        "p": replace(NEURONS["if"], shape=(16,)),
        "back": Linear(Dense(rng.normal(0, 0.4, (16, 16))), (16,)),
        "y": Output((16,)),
    }
    edges = [Edge("x", "in"), Edge("in", "p"), Edge("p", "back", 1), Edge("back", "p"), Edge("p", "y")]
    graph, samples, fresh = Graph(ops, edges), spike_samples(4, 40, 10, 12), spike_samples(5, 40, 10, 12)
    found: list[float] = []
    for own in ({"in": "ternary", "back": "ternary"}, {"back": "ternary"}, {}):
        network = quantise(graph, HOST, Options(8, steps=10, own_bits=own), samples)
        for name, op in network.of_kind(Synapse).items():
            assert np.abs(op.map.weight.astype(int)).max() <= (1 if name in own else 128)
        found.append(agreement(graph, network, fresh))
    assert found == sorted(found)
    assert found[-1] > 0.95
