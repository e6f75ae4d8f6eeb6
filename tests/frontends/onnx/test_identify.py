"""Neurons are recognised by what they compute: every framework's spelling gives exactly its parameters."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from snncc.diagnostics import CompileError
from snncc.frontends.onnx.identify import identify
from snncc.layers import Neuron
from tests.frontends.onnx.build import region
from tests.frontends.onnx.cells import CELLS, Cell
from tests.frontends.onnx.odd_cells import ODD_CELLS


def assert_same(found: Any, expected: Any, path: str = "neuron") -> None:
    """Equal records, arrays up to the rounding of float64, and of the same shape."""
    assert type(found) is type(expected), path
    if dataclasses.is_dataclass(expected):
        for each in dataclasses.fields(expected):
            assert_same(getattr(found, each.name), getattr(expected, each.name), f"{path}.{each.name}")
    elif isinstance(expected, np.ndarray):
        assert found.shape == expected.shape, path
        np.testing.assert_allclose(found, expected, rtol=1e-12, err_msg=path)
    else:
        assert found == expected, path


def assert_values(found: Any, expected: Any) -> None:
    assert set(found) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-12)


@pytest.mark.parametrize("cell", [pytest.param(cell, id=name) for name, cell in {**CELLS, **ODD_CELLS}.items()])
def test_a_spelling_gives_its_parameters(cell: Cell) -> None:
    fit = identify(cell.region)
    assert_same(fit.neuron, cell.neuron)
    assert_values(fit.gains, cell.gains)
    assert fit.delays == dict.fromkeys(cell.gains, int(cell.late))
    assert fit.meanings == cell.meanings
    assert_values(fit.scales, cell.scales)
    assert_values(fit.offsets, cell.offsets)
    assert fit.error < 5e-7


def test_equal_parameters_come_back_as_one_number() -> None:
    full = np.full((2, 3, 4), 0.9)
    rows = np.broadcast_to(np.arange(1.0, 4.0).reshape(1, 3, 1), (2, 3, 4))
    neuron = identify(
        region(
            "b=Mul(v,beta); h=Add(b,x); g=Greater(h,th); s=Cast(g,to=1); v1=Sub(h,s)",
            shape=(2, 3, 4),
            beta=full,
            th=rows,
        )
    ).neuron
    assert neuron.decay.shape == ()
    assert neuron.threshold is not None
    assert neuron.threshold.shape == (1, 3, 1)


def test_a_branch_that_no_sample_reaches_is_found() -> None:
    spike = "b=Mul(v,0.9); h=Add(b,x); g=Greater(h,1.0); s=Cast(g,to=1)"
    far = "u=Greater(h,1000000000.0); z=Cast(u,to=1); w=Sub(h,s); v1=Sub(w,z)"
    with pytest.raises(CompileError, match="the next v is 999999999, but 1e\\+09 in the nearest"):
        identify(region(f"{spike}; {far}"))


def test_many_neurons_with_parameters_of_their_own() -> None:
    count = 20_000
    rng = np.random.default_rng(0)
    beta = rng.uniform(0.5, 0.99, count).astype(np.float32)
    theta = rng.uniform(0.5, 2.0, count).astype(np.float32)
    text = "b=Mul(v,beta); h=Add(b,x); g=GreaterOrEqual(h,th); s=Cast(g,to=1); k=Sub(1.0,s); v1=Mul(k,h)"
    neuron: Neuron = identify(region(text, shape=(count,), beta=beta, th=theta)).neuron
    np.testing.assert_array_equal(neuron.decay, beta.astype(np.float64))
    assert neuron.threshold is not None
    np.testing.assert_array_equal(neuron.threshold, theta.astype(np.float64))
