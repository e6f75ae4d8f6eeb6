"""Responses on samples are those of the reference, and errors count what they should."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from snncc.graph import Edge, Graph
from snncc.integers import Source
from snncc.layers import Input, Layer, Linear, Output
from snncc.linear import Dense
from snncc.passes.assemble import assembled
from snncc.passes.calibration import Drive, frames_of, membrane_errors, narrowest, respond, spike_errors
from snncc.passes.candidates import Candidate, Problem, Setting, build, plain_grid, problem
from snncc.semantics import run
from tests.passes.float_nets import HOST, NEURONS, single

SOURCE = Source((4,), bits=4, signed=True, scale=0.2)
LENGTHS = np.array([9, 4, 7])


def recurrent(delay: int) -> Graph[Layer]:
    rng = np.random.default_rng(3)
    ops: dict[str, Layer] = {"x": Input((4,)), "w": Linear(Dense(rng.normal(size=(5, 4))), (5,))}
    ops |= {"back": Linear(Dense(rng.normal(size=(5, 5))), (5,)), "p": replace(NEURONS["bias"], shape=(5,))}
    ops["y"] = Output((5,))
    edges = [Edge("x", "w", delay), Edge("w", "p"), Edge("p", "back", 2), Edge("back", "p"), Edge("p", "y")]
    return Graph(ops, edges)


def setup(delay: int) -> tuple[Graph[Layer], Problem, Candidate]:
    graph = recurrent(delay)
    given = problem(Setting(graph, SOURCE, HOST, 8, 9), "p")
    return graph, given, build(given, plain_grid(given))


@pytest.mark.parametrize("static", [False, True])
@pytest.mark.parametrize("delay", [0, 2])
def test_a_response_is_that_of_the_reference(delay: int, static: bool) -> None:
    graph, given, candidate = setup(delay)
    x = np.random.default_rng(4).integers(-7, 8, (3, 1 if static else 9, 4))
    live = np.arange(9) < LENGTHS[:, None]
    found = respond(given, candidate, Drive({"x": x}, live), membranes=True)
    frames = np.broadcast_to(x, (3, 9, 4)) * live[:, :, None]
    trace = run(assembled(graph, SOURCE, {"p": candidate}), frames, lengths=LENGTHS, record=("p",))
    assert found.membranes is not None
    assert found.spikes.dtype == np.int8
    assert np.array_equal(found.spikes, trace.spikes["p"])
    assert np.array_equal(found.membranes, trace.membranes["p"])
    assert found.spikes.any()
    assert found.peak >= np.abs(found.membranes).max()


def test_frames_are_what_the_maps_read() -> None:
    _, given, candidate = setup(1)
    x = np.random.default_rng(5).integers(-7, 8, (3, 9, 4))
    live = np.arange(9) < LENGTHS[:, None]
    response = respond(given, candidate, Drive({"x": x}, live))
    frames = frames_of(given, Drive({"x": x}, live), response)
    assert frames is not None
    total = np.zeros(5, np.int64)
    for read, synapse in zip(frames.values, candidate.synapses, strict=True):
        sums = read.astype(np.int64) @ synapse.map.weight.T.astype(np.int64)
        total = total + (sums << synapse.exponent).sum(axis=0)
    assert np.array_equal(total, response.total)


def test_a_still_input_has_one_frame_a_sample() -> None:
    graph = single(Dense(np.ones((5, 4))), (4,), replace(NEURONS["if"], shape=(5,)))
    given = problem(Setting(graph, SOURCE, HOST, 8, 9), "p")
    drive = Drive({"x": np.ones((3, 1, 4), np.int64)}, np.ones((3, 9), np.bool_))
    frames = frames_of(given, drive, respond(given, build(given, plain_grid(given)), drive))
    assert frames is not None
    assert frames.values[0].shape == (3, 4)


def test_spikes_are_compared_by_how_many_there_were_so_far() -> None:
    wanted = np.array([[[1, 0], [0, 0], [1, 1]]], np.int8)
    late = np.array([[[0, 0], [1, 0], [1, 0]]], np.int8)
    assert spike_errors(late, wanted).tolist() == [1, 1]
    missing = np.zeros_like(wanted)
    assert spike_errors(missing, wanted).tolist() == [1 + 1 + 4, 1]
    assert spike_errors(wanted, wanted).tolist() == [0, 0]


def test_membranes_are_compared_in_the_models_measure() -> None:
    wanted = np.array([[[100, -50]]])
    assert membrane_errors(wanted * 3, 3.0, wanted, 1.0).tolist() == [0, 0]
    assert membrane_errors(np.array([[[0, -50]]]), 1.0, wanted, 1.0).tolist() == [4096**2, 0]


def test_counts_are_kept_in_small_types() -> None:
    kinds = [narrowest(each) for each in (1, 127, 128, 40_000, 1 << 40)]
    assert kinds == [np.int8, np.int8, np.int16, np.int32, np.int64]
