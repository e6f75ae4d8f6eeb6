"""Grids that a chip's parameters hold: a bias or a threshold is not cut off where weights can give way."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given as with_any
from hypothesis import strategies as st

from snncc import chip as chips
from snncc.analysis.intervals import spread
from snncc.chip import Parameters
from snncc.integers import Population
from snncc.passes.grids import Grid
from snncc.passes.held import held, holds
from snncc.passes.quantise import Options, Samples, quantise
from snncc.semantics import run, run_float
from tests.passes.float_nets import HOST, NEURONS, net, number
from tests.passes.test_quantise import said

PARAMETERS = Parameters(threshold_bits=17, threshold_shift=6, bias_bits=13, bias_exponent=(0, 7))
CHIP = replace(chips.load("loihi2"), capabilities=HOST.capabilities)


def test_the_largest_parameters() -> None:
    assert (PARAMETERS.largest_threshold, PARAMETERS.largest_bias) == (131071 << 6, 4095 << 7)


@pytest.mark.parametrize("shape", [(), (3, 1, 1), (3, 2, 2)])
@with_any(st.integers(0, 2**32 - 1))
def test_parameters_on_the_grid_are_within_the_chips(shape: tuple[int, ...], seed: int) -> None:
    rng = np.random.default_rng(seed)
    bias = rng.normal(size=(3, 1, 1)) * 10.0 ** rng.integers(-2, 3)
    neuron = replace(NEURONS["if"], shape=(3, 2, 2), bias=bias, threshold=number(10.0 ** rng.integers(-1, 3)))
    grid = Grid(np.full(shape, 1 / 127), (0,))
    found = held(neuron, grid, CHIP, 1 << 19)  # so many bits that the weights always give way
    scale = np.broadcast_to(np.ldexp(1 / found.quantum, 6), neuron.shape)
    assert (np.abs(np.rint(bias * scale)) <= PARAMETERS.largest_bias).all()
    assert (np.rint(neuron.threshold * scale) <= PARAMETERS.largest_threshold).all()
    assert holds(neuron, found, CHIP, 6)
    assert (found.quantum >= grid.quantum).all()
    finer = replace(found, quantum=found.quantum * 0.999)
    assert (found.quantum == grid.quantum).all() or not holds(neuron, finer, CHIP, 6)
    assert held(neuron, found, CHIP, 1 << 19).quantum.tolist() == found.quantum.tolist()


def test_the_largest_weight_stays_and_membranes_count_where_they_were_seen() -> None:
    neuron = replace(NEURONS["if"], shape=(2,), bias=number(1e9))
    grid = Grid(np.asarray(0.5), (0,))
    assert held(neuron, grid, CHIP, 127).quantum == 0.5 * 127
    quiet = replace(neuron, bias=number(0.0))
    assert held(quiet, grid, CHIP, 127).quantum == 0.5
    assert held(quiet, grid, CHIP, 127, seen=1e6).quantum == 1e6 * 64 / CHIP.membrane.register.hi


def test_a_chip_without_such_limits_keeps_every_grid() -> None:
    neuron = replace(NEURONS["if"], shape=(2,), bias=number(1e9))
    grid = Grid(np.asarray(0.5), (0,))
    assert held(neuron, grid, HOST, 127).quantum == 0.5
    assert holds(neuron, grid, HOST, 21)
    assert not holds(neuron, grid, HOST, 22)  # a threshold of 2 << 22 is beyond the register


@pytest.mark.parametrize("with_samples", [False, True])
def test_a_strong_bias_survives_quantisation(with_samples: bool) -> None:
    """The weights are so small that on their finest grid the bias would be cut to a hundredth."""
    weights = np.array([[0.003, -0.002], [0.001, 0.0027]])
    graph = net(weights, neuron=replace(NEURONS["if"], bias=np.array([-0.7, 0.9])), events=True)
    x = (np.random.default_rng(2).random((8, 40, 2)) < 0.5).astype(np.float32)
    network = quantise(graph, CHIP, Options(steps=40), Samples(x) if with_samples else None)
    population = network.of_kind(Population)["p0"]
    assert np.allclose(spread(population.membrane.bias, population) / population.scale, [-0.7, 0.9], atol=2e-3)
    assert (
        np.abs(run(network, x.astype(np.int64)).outputs["y"].sum(1) - run_float(graph, x).outputs["y"].sum(1)).max() < 2
    )


def test_a_bias_that_no_weights_can_make_room_for() -> None:
    neuron = replace(NEURONS["if"], threshold=number(0.05), bias=number(-0.5))
    graph = net(np.array([[1e-6, -1e-6]]), neuron=neuron, events=True)
    assert said(graph, CHIP) == (
        "error[scale-range]: p0: its bias is so far above its weights that it is 32,000,000 at least; "
        "loihi2 holds 524,160\n"
        "  = hint: weights this small can hardly make it fire: check the model, or prune the population"
    )
