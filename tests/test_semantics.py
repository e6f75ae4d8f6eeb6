"""Tests of the integer semantics: worked examples of each record, and what holds of any network's run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from math import floor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snncc.arrays import Array
from snncc.graph import Edge, Graph
from snncc.integers import (
    Adapt,
    Current,
    Decay,
    Fire,
    HardReset,
    IntOp,
    Membrane,
    Network,
    Output,
    Population,
    Register,
    SoftReset,
    Source,
    Synapse,
)
from snncc.linear import Dense
from snncc.runner import Trace
from snncc.semantics import decode, fired, run
from snncc.states import decayed, fit
from tests.networks import Case, cases, networks

WIDE = Register(-1000, 1000)
KEEP = Decay(np.array(0), 1, "floor")
HALF = Decay(np.array(1), 1, "floor")


# --- single functions, worked by hand


@pytest.mark.parametrize(
    ("rounding", "halves"),
    [
        ("zero", [-2, -2, -1, -1, 0, 0, 0, 1, 1, 2, 2]),
        ("floor", [-3, -2, -2, -1, -1, 0, 0, 1, 1, 2, 2]),
        ("nearest", [-2, -2, -1, -1, 0, 0, 1, 1, 2, 2, 3]),
    ],
)
def test_half_of_minus_five_to_five(rounding: Any, halves: list[int]) -> None:
    assert decayed(np.arange(-5, 6), Decay(np.array(1), 1, rounding)).tolist() == halves


@pytest.mark.parametrize("rounding", ["zero", "floor", "nearest"])
@given(x=st.integers(-(1 << 23), 1 << 23), bits=st.integers(0, 15), share=st.floats(0, 1))
def test_a_decay_is_the_rounded_quotient(rounding: Any, x: int, bits: int, share: float) -> None:
    amount = round(share * (1 << bits))
    exact = Fraction(x * ((1 << bits) - amount), 1 << bits)
    expected = {"zero": int(exact), "floor": floor(exact), "nearest": floor(exact + Fraction(1, 2))}[rounding]
    assert decayed(np.array(x), Decay(np.array(amount), bits, rounding)) == expected


def test_a_decay_of_nothing_keeps_and_of_all_clears() -> None:
    x = np.array([-7, 0, 9])
    assert decayed(x, Decay(np.array(0), 12, "nearest")).tolist() == [-7, 0, 9]
    assert decayed(x, Decay(np.array(4096), 12, "nearest")).tolist() == [0, 0, 0]


def test_registers_clip_or_wrap_once() -> None:
    x = np.array([-100, -41, -40, -9, -8, 0, 7, 8, 23, 24, 100])
    assert fit(x, Register(-8, 7)).tolist() == [-8, -8, -8, -8, -8, 0, 7, 7, 7, 7, 7]
    assert fit(x, Register(-8, 7, "wrap")).tolist() == [-84, -25, -24, 7, -8, 0, 7, -8, 7, 8, 84]


def test_comparisons() -> None:
    v = np.array([4, 5, 6])
    assert fired(v, Fire(np.array(5), False), 0).tolist() == [0, 0, 1]
    assert fired(v, Fire(np.array(5), True), 0).tolist() == [0, 1, 1]
    assert fired(v, Fire(np.array(3), True), np.array([1, 2, 4])).tolist() == [1, 1, 0]
    assert fired(v, None, 0).tolist() == [0, 0, 0]


def test_several_spikes_a_step() -> None:
    v = np.array([-6, -1, 0, 1, 4, 5, 6, 9, 10, 11, 15, 16, 100])
    assert fired(v, Fire(np.array(5), True, 3), 0).tolist() == [0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 3, 3, 3]
    assert fired(v, Fire(np.array(5), False, 3), 0).tolist() == [0, 0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 3, 3]


@pytest.mark.parametrize(
    ("decoder", "scores"),
    [
        ("count", [[6, 9, 0], [-2, 4, 4]]),
        ("mean", [[6, 9, 0], [-2, 4, 4]]),
        ("last", [[3, 2, 0], [-1, 4, 4]]),
        ("max", [[3, 4, 0], [-1, 4, 4]]),
    ],
)
def test_decoders_read_a_sample_up_to_its_own_last_step(decoder: Any, scores: list[list[int]]) -> None:
    first = [[1, 3, 0], [2, 4, 0], [3, 2, 0]]
    second = [[-1, 0, 0], [-1, 4, 4], [99, 99, 99]]
    assert decode(np.array([first, second]), decoder, np.array([3, 2])).tolist() == scores
    assert decode(np.array([first]), decoder).tolist() == scores[:1]


def test_a_tie_goes_to_the_lowest_index() -> None:
    scores = decode(np.array([[[1, 2, 2]], [[0, 0, 0]]]), "count")
    assert scores.argmax(axis=1).tolist() == [1, 0]


# --- one neuron over time, worked by hand


def alone(population: Population, bits: int = 8) -> Network:
    """A neuron that reads one source neuron through a weight of 1."""
    ops: dict[str, IntOp] = {
        "x": Source((1,), bits, signed=True),
        "s": Synapse(Dense(np.ones((1, 1), np.int8))),
        "p": population,
        "before": Output("membrane", "before", "last", population.start),
    }
    return Graph(ops, [Edge("x", "s"), Edge("s", "p"), Edge("p", "before")])


def neuron(**changes: Any) -> Population:
    """It keeps half of v, rounded down, fires at 10 or more, and has no reset."""
    plain = Population((1,), Membrane(HALF, WIDE), Fire(np.array(10), True))
    return replace(plain, **changes)


def history(population: Population, x: Sequence[int]) -> Mapping[str, list[int]]:
    """Spikes, and v before and after the reset, step by step."""
    trace = run(alone(population), np.array(x).reshape(1, -1, 1), record=["p"])
    arrays = {"s": trace.spikes["p"], "before": trace.outputs["before"], "after": trace.membranes["p"]}
    return {name: array[0, :, 0].tolist() for name, array in arrays.items()}


def test_without_a_reset_v_decays_on() -> None:
    assert history(neuron(), [12, 5, -20, 0]) == {
        "s": [1, 1, 0, 0],
        "before": [12, 11, -15, -8],
        "after": [12, 11, -15, -8],
    }


def test_a_soft_reset_is_seen_after_the_spike() -> None:
    found = history(neuron(reset=SoftReset(np.array(10))), [12, 9, 0])
    assert found == {"s": [1, 1, 0], "before": [12, 10, 0], "after": [2, 0, 0]}


def test_a_delayed_soft_reset_is_not_decayed() -> None:
    # 25 fires; then 25 // 2 - 10 = 2; then 1 + 20 fires; then 10 - 10
    found = history(neuron(reset=SoftReset(np.array(10), delay=1)), [25, 0, 20, 0])
    assert found == {"s": [1, 0, 1, 0], "before": [25, 2, 21, 0], "after": [25, 2, 21, 0]}


def test_a_hard_reset() -> None:
    found = history(neuron(reset=HardReset(np.array(-4))), [25, 1, 10])
    assert found == {"s": [1, 0, 0], "before": [25, -1, 9], "after": [-4, -1, 9]}


def test_a_delayed_hard_reset_takes_the_place_of_the_decayed_v() -> None:
    found = history(neuron(reset=HardReset(np.array(-4), delay=1)), [25, 1, 12])
    assert found == {"s": [1, 0, 1], "before": [25, -3, 10], "after": [25, -3, 10]}


def test_a_reset_per_spike() -> None:
    population = neuron(fire=Fire(np.array(10), True, 4), reset=SoftReset(np.array(10)))
    assert history(population, [35, 0, 99])["s"] == [3, 0, 4]
    assert history(population, [35, 0, 99])["after"] == [5, 2, 60]


def test_a_current_outlives_its_input() -> None:
    current = Current(Decay(np.array(1), 1, "zero"), Register(-20, 20), np.array(8))
    population = neuron(current=current, membrane=Membrane(KEEP, WIDE), fire=None)
    # i: 8 -> 4 + 30 saturates at 20, 10, 5 - 9 = -4, -2; v adds them up
    assert history(population, [30, 0, -9, 0])["after"] == [20, 30, 26, 24]


def test_bias_minimum_and_start() -> None:
    membrane = Membrane(HALF, WIDE, np.array(3), np.array(-5), np.array(40))
    assert history(neuron(membrane=membrane, fire=None), [0, -50, 0])["after"] == [23, -5, 0]


def test_an_adapting_threshold() -> None:
    adapt = Adapt(HALF, Register(-50, 50), np.array(6))
    population = neuron(membrane=Membrane(Decay(np.array(2), 1, "floor"), WIDE), adapt=adapt)
    # a at the comparison: 0, 3, 1, 3 (after jumps to 6, 3, 7, 9)
    assert history(population, [10, 12, 11, 13])["s"] == [1, 0, 1, 1]


def test_an_adaptive_reset_takes_the_adaptation_too() -> None:
    adapt = Adapt(KEEP, Register(-50, 50), np.array(6))
    population = neuron(membrane=Membrane(KEEP, WIDE), adapt=adapt, reset=SoftReset(np.array(10), adaptive=True))
    found = history(population, [11, 14, 1])
    assert found == {"s": [1, 0, 1], "before": [11, 15, 16], "after": [1, 15, 0]}


def test_a_delayed_adaptive_reset_takes_the_adaptation_of_its_own_step() -> None:
    adapt = Adapt(HALF, Register(-50, 50), np.array(6))
    population = neuron(membrane=Membrane(KEEP, WIDE), adapt=adapt, reset=SoftReset(np.array(10), 1, adaptive=True))
    assert history(population, [20, 0])["before"] == [20, 20 - (10 + 3)]


def test_a_refractory_neuron_holds_v_while_its_current_goes_on() -> None:
    current = Current(HALF, WIDE)
    population = neuron(current=current, reset=HardReset(np.array(1)), refractory=2)
    found = history(population, [20, 99, 0, 0, 0])  # i: 20, 109, 54, 27, 13
    assert found == {"s": [1, 0, 0, 1, 0], "before": [20, 1, 1, 27, 1], "after": [1, 1, 1, 1, 1]}


def test_sums_are_shifted_into_the_state() -> None:
    assert history(neuron(input_shift=3, fire=None), [1, 0])["after"] == [8, 4]


def test_a_population_rests_before_its_start() -> None:
    membrane = Membrane(HALF, WIDE, np.array(3), initial=np.array(8))
    late = alone(neuron(membrane=membrane, start=2))
    late = Graph(late.ops, [replace(edge, delay=2 if edge.source == "x" else 0) for edge in late.edges])
    x = np.array([1, 2, 3]).reshape(1, 3, 1)
    assert run(late, x, record=["p"]).membranes["p"][0, :, 0].tolist() == [8, 9, 10]
    assert run(late, x).outputs["before"][0, :, 0].tolist() == [8, 9, 10]


# --- what holds of any run


def equal(first: Trace, second: Trace) -> None:
    for kind in ("outputs", "spikes", "membranes"):
        ours, theirs = getattr(first, kind), getattr(second, kind)
        assert set(ours) == set(theirs)
        for name, values in ours.items():
            np.testing.assert_array_equal(values, theirs[name], err_msg=f"{kind} of {name}")


def part(trace: Trace, samples: slice, steps: int) -> Trace:
    kinds = (trace.outputs, trace.spikes, trace.membranes)
    return Trace(*({name: array[samples, :steps] for name, array in kind.items()} for kind in kinds))


def recorded(network: Network, x: Array, **arguments: Any) -> Trace:
    return run(network, x, record=tuple(network.of_kind(Population)), **arguments)


@settings(max_examples=40)
@given(cases())
def test_a_samples_run_is_its_own(case: Case) -> None:
    """Neither the other samples of a batch nor what lies behind a sample's end have any influence."""
    together = recorded(case.network, case.x, lengths=case.lengths)
    for number, length in enumerate(case.lengths):
        alone = recorded(case.network, case.x[number : number + 1, :length])
        equal(alone, part(together, slice(number, number + 1), length))
        for values in (*together.outputs.values(), *together.spikes.values(), *together.membranes.values()):
            assert not values[number, length:].any()


@settings(max_examples=20)
@given(cases())
def test_every_sample_begins_at_rest(case: Case) -> None:
    twice = recorded(case.network, np.concatenate([case.x, case.x[::-1]]))
    equal(part(twice, slice(0, len(case.x)), case.x.shape[1]), recorded(case.network, case.x))
    backwards = part(twice, slice(None, len(case.x) - 1, -1), case.x.shape[1])
    equal(backwards, recorded(case.network, case.x))


@settings(max_examples=20)
@given(cases())
def test_blocks_of_samples_leave_no_trace(case: Case) -> None:
    whole = recorded(case.network, case.x, lengths=case.lengths)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("snncc.runner._BLOCK", 1)
        patch.setattr("snncc.runner._LEAST", 1)
        equal(recorded(case.network, case.x, lengths=case.lengths), whole)


@settings(max_examples=20)
@given(cases())
def test_no_sample_gives_no_values(case: Case) -> None:
    none = recorded(case.network, case.x[:0], lengths=case.lengths[:0])
    equal(none, part(recorded(case.network, case.x), slice(0), case.x.shape[1]))
    equal(none, recorded(case.network, case.x[:0, 0], steps=case.x.shape[1]))
    for name, output in case.network.of_kind(Output).items():
        assert decode(none.outputs[name], output.decoder).shape == (0, none.outputs[name].shape[2])


@settings(max_examples=20)
@given(cases(), st.integers(1, 6))
def test_a_static_input_is_one_that_repeats(case: Case, steps: int) -> None:
    still = case.x[:, 0]
    lengths = np.minimum(case.lengths, steps)
    repeated = np.stack([still] * steps, axis=1)
    equal(
        recorded(case.network, still, steps=steps, lengths=lengths), recorded(case.network, repeated, lengths=lengths)
    )


@settings(max_examples=40)
@given(cases(), st.lists(st.integers(0, 3), min_size=4, max_size=4))
def test_retiming_changes_no_bit(case: Case, shifts: list[int]) -> None:
    """Later starts with edges lengthened to match: the same values at the same steps of the model."""
    late = retimed(case.network, shifts)
    equal(recorded(late, case.x, lengths=case.lengths), recorded(case.network, case.x, lengths=case.lengths))


def retimed(network: Network, shifts: Sequence[int]) -> Network:
    """The network with its populations started later by `shifts`, or by more where an edge would have to lead back."""
    shift = dict(zip(network.of_kind(Population), shifts, strict=False))
    joined = [
        (into.source, edge.target, into)
        for edge in network.edges
        if isinstance(network[edge.source], Synapse)
        for into in network.incoming(edge.source)
    ]
    for _ in shift:
        for source, target, into in joined:
            shift[target] = max(shift[target], shift.get(source, 0) - into.delay)
    delays = {into: into.delay + shift[target] - shift.get(source, 0) for source, target, into in joined}
    ops: dict[str, IntOp] = {}
    for name, op in network.ops.items():
        if isinstance(op, Population):
            ops[name] = replace(op, start=op.start + shift[name])
        elif isinstance(op, Output):
            ops[name] = replace(op, latency=op.latency + shift[network.incoming(name)[0].source])
        else:
            ops[name] = op
    return Graph(ops, [replace(edge, delay=delays.get(edge, edge.delay)) for edge in network.edges])


@settings(max_examples=20)
@given(networks())
def test_a_run_is_of_int64_and_can_be_repeated(network: Network) -> None:
    ((_, source),) = network.of_kind(Source).items()
    x = np.full((2, 3, *source.shape), source.highest)
    first = recorded(network, x)
    equal(first, recorded(network, x))
    for values in (*first.outputs.values(), *first.spikes.values(), *first.membranes.values()):
        assert values.dtype == np.int64


# --- exact sums


@pytest.mark.parametrize("weight", [(1 << 16) - 1, 1 << 16, (1 << 16) + 1, (1 << 44) - 1])
def test_sums_are_exact_beyond_float32(weight: int) -> None:
    """256 values of up to 255: sums on either side of 2**24, and up to nearly 2**53."""
    weights = np.full((1, 2), weight, np.int64)
    weights[0, 1] = -weight + 1
    ops: dict[str, IntOp] = {
        "x": Source((2,), 8),
        "s": Synapse(Dense(weights)),
        "p": Population((1,), Membrane(KEEP, Register(-(1 << 60), 1 << 60)), None),
        "y": Output("membrane", "after", "last"),
    }
    network = Graph(ops, [Edge("x", "s"), Edge("s", "p"), Edge("p", "y")])
    x = np.array([[255, 255], [255, 254], [1, 0], [255, 0]]).reshape(4, 1, 2)
    expected = [255, 255 * weight - 254 * (weight - 1), weight, 255 * weight]
    assert run(network, x).outputs["y"].reshape(-1).tolist() == expected


def test_sums_that_could_be_inexact_are_refused() -> None:
    network = alone(neuron())
    ops = {**network.ops, "s": Synapse(Dense(np.full((1, 1), 1 << 50, np.int64)))}
    with pytest.raises(ValueError, match=r"s: sums up to .* beyond exact"):
        run(Graph(ops, network.edges), np.zeros((1, 1, 1), np.int64))


def test_a_static_input_needs_a_number_of_steps() -> None:
    with pytest.raises(ValueError, match="number of steps"):
        run(alone(neuron()), np.zeros((2, 1), np.int64))
