"""Layers hold their parameters as they came, safe from changes, and spread them over their neurons."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from snncc.layers import (
    Affine,
    Conv2d,
    Current,
    HardReset,
    Linear,
    Neuron,
    Output,
    Rearrange,
    Scale,
    SumPool2d,
    default_decoder,
    size,
    spread,
)
from snncc.linear import Conv, Dense
from snncc.semantics import linear_map


def test_parameters_keep_their_type_and_cannot_be_written() -> None:
    weight = np.ones((2, 3), np.float32)
    affine = Affine(weight, (2,), np.zeros(2, np.float32))
    assert affine.weight.dtype == np.float32
    assert np.shares_memory(affine.weight, weight)
    with pytest.raises(ValueError, match="read-only"):
        affine.weight[0, 0] = 2.0
    with pytest.raises(dataclasses.FrozenInstanceError):
        affine.shape = (3,)  # pyright: ignore[reportAttributeAccessIssue]


def test_single_numbers_become_float64() -> None:
    neuron = Neuron((2,), np.float32(0.5), np.float32(1), current=Current(np.float32(0.25)))
    assert neuron.decay.dtype == np.float64
    assert neuron.threshold is not None
    assert neuron.threshold.dtype == np.float64
    assert neuron.current is not None
    assert neuron.current.decay.dtype == np.float64


def test_defaults_do_nothing() -> None:
    neuron = Neuron((2,), np.asarray(0.5), None)
    assert (float(neuron.bias), float(neuron.initial), neuron.reset, neuron.max_spikes) == (0.0, 0.0, None, 1)
    assert float(HardReset().value) == 0.0
    scale = Scale((2,))
    assert (float(scale.scale), float(scale.shift)) == (1.0, 0.0)
    assert Rearrange((4,)).index is None
    assert Rearrange((2,), np.asarray([1, 0], np.int32)).index.dtype == np.int64  # pyright: ignore[reportOptionalMemberAccess]


def test_parameters_spread_over_channels_or_neurons() -> None:
    assert size(()) == 1
    assert size((2, 3)) == 6
    assert spread(np.asarray(2.0), (2, 2)).tolist() == [2.0, 2.0, 2.0, 2.0]
    assert spread(np.asarray([[[1]], [[2]]]), (2, 1, 2)).tolist() == [1.0, 1.0, 2.0, 2.0]
    with pytest.raises(ValueError, match="broadcast"):
        spread(np.ones(3), (2, 2))


def test_the_linear_part_of_a_layer_is_a_map() -> None:
    weight = np.ones((2, 1, 3, 3))
    conv = linear_map(Conv2d(weight, (2, 5, 5), (2, 5, 5), None, (1, 1), (1, 1, 1, 1), groups=2))
    assert isinstance(conv, Conv)
    assert conv.out_shape == (2, 5, 5)
    pool = linear_map(SumPool2d((2, 5, 5), (2, 2, 2), (2, 2), (2, 2), scale=0.25))
    assert isinstance(pool, Conv)
    assert (pool.out_shape, pool.groups, float(pool.weight.sum())) == ((2, 2, 2), 2, 2.0)
    dense = Dense(np.ones((2, 3)))
    assert linear_map(Linear(dense, (2,))) is dense


def test_spikes_are_counted_and_membranes_averaged_unless_told() -> None:
    assert default_decoder(Output((2,))) == "count"
    assert default_decoder(Output((2,), "membrane")) == "mean"
