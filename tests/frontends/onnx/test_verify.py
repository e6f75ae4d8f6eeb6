"""A neuron that is almost the region's is refused twice: by the symbolic comparison, and by running both."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from snncc.frontends.onnx.affine import variable
from snncc.frontends.onnx.assemble import Candidate, assemble
from snncc.frontends.onnx.forest import Forest, Leaf
from snncc.frontends.onnx.hypothesis import Behaviour, MisfitError, Reading
from snncc.frontends.onnx.normal_form import compare, normal_step
from snncc.frontends.onnx.propagate import propagate
from snncc.frontends.onnx.reading import readings
from snncc.frontends.onnx.region import Region
from snncc.frontends.onnx.verify import Subject, verify
from snncc.layers import Adapt, Current, HardReset, Neuron, SoftReset
from tests.frontends.onnx.cells import CELLS


def seen(region: Region) -> tuple[Behaviour, dict[str, Any]]:
    forest = Forest("cell")
    inputs = {name: Leaf(variable(name)) for name in (*region.streams, *(state for state, _ in region.states))}
    trees = propagate(forest, region.nodes, region.constants, inputs)
    return Behaviour(forest, trees["s"], {state: trees[tensor] for state, tensor in region.states}), trees


def fits(region: Region) -> tuple[Behaviour, dict[str, Any], list[Candidate]]:
    """The candidates that the symbolic comparison accepts."""
    behaviour, trees = seen(region)
    found: list[Candidate] = []
    for reading in readings(behaviour):
        if isinstance(reading, Reading):
            try:
                candidate = assemble(behaviour, reading, region.shape, region.initial)
            except MisfitError:
                continue
            if not compare(behaviour, candidate, trees, normal_step(behaviour.forest, candidate, trees)):
                found.append(candidate)
    return behaviour, trees, found


def nudged(neuron: Neuron, name: str) -> Neuron:
    """The neuron with one parameter off by one part in 100,000."""
    one, more = 1.00001, 1e-5
    reset, current, adapt = neuron.reset, neuron.current, neuron.adapt
    if name == "reset":
        if isinstance(reset, SoftReset):
            return replace(neuron, reset=SoftReset(reset.amount * one, reset.delay, reset.adaptive))
        assert isinstance(reset, HardReset)
        return replace(neuron, reset=HardReset(reset.value + more))
    if name == "current":
        assert current is not None
        return replace(neuron, current=Current(current.decay * one, current.initial))
    if name == "adapt":
        assert adapt is not None
        return replace(neuron, adapt=Adapt(adapt.decay, adapt.jump * one, adapt.initial))
    return replace(neuron, **{name: getattr(neuron, name) * one + more})


NUDGES = [
    ("leaky-subtract", ["decay", "threshold", "bias", "reset"]),
    ("leaky-zero", ["decay", "threshold", "bias", "reset"]),
    ("lif-hard", ["decay", "threshold", "bias", "reset"]),
    ("synaptic-zero", ["decay", "threshold", "current"]),
    ("norse-lsnn", ["decay", "threshold", "current", "adapt"]),
    ("klif", ["minimum", "decay"]),
    ("sinabs-multi", ["threshold", "reset"]),
    ("sinabs-alif", ["adapt", "reset"]),
]


@pytest.mark.parametrize(("cell", "name"), [(cell, name) for cell, names in NUDGES for name in names])
def test_a_parameter_slightly_off_is_found_by_both(cell: str, name: str) -> None:
    region = CELLS[cell].region
    behaviour, trees, (candidate, *_) = fits(region)
    assert verify(Subject(region, candidate, "s", None)) < 5e-7
    wrong = replace(candidate, neuron=nudged(candidate.neuron, name))
    assert compare(behaviour, wrong, trees, normal_step(behaviour.forest, wrong, trees))
    with pytest.raises(MisfitError, match="in the nearest neuron"):
        verify(Subject(region, wrong, "s", None))


@pytest.mark.parametrize("cell", ["leaky-subtract", "lif-soft", "leaky-zero", "sinabs-multi"])
def test_the_other_comparison_is_found(cell: str) -> None:
    behaviour, trees, (candidate, *_) = fits(CELLS[cell].region)
    wrong = replace(candidate, neuron=replace(candidate.neuron, inclusive=not candidate.neuron.inclusive))
    assert compare(behaviour, wrong, trees, normal_step(behaviour.forest, wrong, trees))


def test_a_gain_slightly_off_is_found_by_both() -> None:
    region = CELLS["lif-soft"].region
    behaviour, trees, (candidate, *_) = fits(region)
    wrong = replace(candidate, gains={"x": np.asarray(0.25001)})
    assert compare(behaviour, wrong, trees, normal_step(behaviour.forest, wrong, trees))
    with pytest.raises(MisfitError, match="in the nearest neuron"):
        verify(Subject(region, wrong, "s", None))
