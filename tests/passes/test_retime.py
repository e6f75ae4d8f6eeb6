"""Retiming changes no bit but the latency, meets the chip's delays, and says why where it cannot."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given

from snncc import chip as chips
from snncc.chip import Chip
from snncc.diagnostics import CompileError
from snncc.graph import Edge, Graph
from snncc.integers import Decay, Fire, HardReset, Membrane, Network, Output, Population, Register, Source, Synapse
from snncc.linear import Dense
from snncc.passes.retime import retime
from snncc.semantics import run
from tests.networks import Case, cases


def chip(least: int, most: int) -> Chip:
    return replace(chips.load("host"), name="chip1", delay=chips.Delay((least, most)))


NEURON = Population(
    (2,), Membrane(Decay(np.asarray(1), 4, "zero"), Register(-99, 99)), Fire(np.asarray(3), inclusive=True), HardReset()
)


def chain(*links: tuple[str, str, int], axons: list[int] | None = None, read: str = "a") -> Network:
    """Populations named by the links (source, target, delay), two neurons each; `x` is the source."""
    names = dict.fromkeys(name for link in links for name in link[:2] if name != "x")
    ops = {"x": Source((2,)), **dict.fromkeys(names, NEURON)}
    edges: list[Edge] = []
    for source, target, delay in links:
        synapse = f"{source}-{target}"
        weight = np.asarray([[3, -1], [2, 4]], np.int8)
        ops[synapse] = Synapse(Dense(weight), 0, None if axons is None else np.asarray(axons))
        edges += [Edge(source, synapse, delay), Edge(synapse, target)]
    ops["y"] = Output("membrane", "after", "last")
    return Graph(ops, [*edges, Edge(read, "y")])


def starts(network: Network) -> dict[str, int]:
    return {name: op.start for name, op in network.of_kind(Population).items()}


def delays(network: Network) -> dict[str, int]:
    return {name: network.incoming(name)[0].delay for name in network.of_kind(Synapse)}


def test_each_layer_starts_a_step_later_than_the_one_before() -> None:
    found = retime(chain(("x", "a", 0), ("a", "b", 0), ("b", "c", 0), read="c"), chip(1, 63))
    assert starts(found) == {"a": 1, "b": 2, "c": 3}
    assert delays(found) == {"x-a": 1, "a-b": 1, "b-c": 1}
    assert found.of_kind(Output)["y"].latency == 3


def test_a_recurrent_connection_of_one_step_stays_and_skips_wait() -> None:
    network = chain(("x", "a", 0), ("a", "a", 1), ("a", "b", 0), ("b", "c", 0), ("a", "c", 0), read="c")
    assert delays(retime(network, chip(1, 63))) == {"x-a": 1, "a-a": 1, "a-b": 1, "b-c": 1, "a-c": 2}


def test_a_population_that_skips_cannot_wait_for_starts_later_itself() -> None:
    """Delays of at most 2: b has to start late although its own input would let it start at once."""
    network = chain(("x", "a", 0), ("a", "c", 0), ("c", "d", 0), ("d", "e", 0), ("x", "b", 0), ("b", "e", 0), read="e")
    found = retime(network, chip(1, 3))
    assert starts(found) == {"a": 1, "c": 2, "d": 3, "e": 4, "b": 1}
    tight = retime(network, chip(1, 2))
    assert starts(tight) == {"a": 1, "c": 2, "d": 3, "e": 4, "b": 2}
    assert delays(tight)["b-e"] == delays(tight)["x-b"] == 2


def test_delays_of_source_neurons_count() -> None:
    found = retime(chain(("x", "a", 0), ("a", "b", 0), axons=[1, 4]), chip(2, 5))
    assert delays(found) == {"x-a": 1, "a-b": 1}


def test_a_chip_that_delivers_within_a_step_gets_the_very_network() -> None:
    network = chain(("x", "a", 0), ("a", "a", 1))
    assert retime(network, chip(0, 63)) is network
    once = retime(network, chip(1, 63))
    assert retime(once, chip(1, 63)) is once


@given(cases())
@pytest.mark.parametrize(("least", "most"), [(1, 63), (2, 12)])
def test_random_networks_keep_their_bits(least: int, most: int, case: Case) -> None:
    try:
        later = retime(case.network, chip(least, most))
    except CompileError as error:
        rules = {each.rule for each in error.diagnostics}
    else:
        rules = set()
    assert rules <= {"no-timing"}
    if rules:
        return
    for name, synapse in later.of_kind(Synapse).items():
        own = np.zeros(1) if synapse.axon_delays is None else synapse.axon_delays
        assert delays(later)[name] + own.min() >= least
        assert delays(later)[name] + own.max() <= most
    names = tuple(case.network.of_kind(Population))
    before = run(case.network, case.x, lengths=case.lengths, record=names)
    after = run(later, case.x, lengths=case.lengths, record=names)
    for kind in ("outputs", "spikes", "membranes"):
        for name, expected in getattr(before, kind).items():
            np.testing.assert_array_equal(getattr(after, kind)[name], expected, err_msg=f"{kind} of {name}")


def said(network: Network, target: Chip) -> str:
    with pytest.raises(CompileError) as caught:
        retime(network, target)
    return str(caught.value)


def test_a_cycle_with_too_little_delay_is_named() -> None:
    network = chain(("x", "a", 0), ("a", "b", 0), ("b", "a", 1))
    assert said(network, chip(1, 63)) == (
        "error[no-timing]: a: feeds itself within 1 step (a -> b -> a); chip1 takes 2 steps for that\n"
        "  = hint: train it with 2 steps of delay around this cycle, or choose a target that delivers within a step"
    )
    assert "a: feeds itself within 1 step (a -> a); chip1 takes 2 steps" in said(
        chain(("x", "a", 0), ("a", "a", 1)), chip(2, 9)
    )


def test_a_connection_that_would_wait_too_long_is_named() -> None:
    network = chain(("x", "a", 0), ("a", "b", 0), ("b", "c", 0), ("a", "c", 0))
    assert said(network, chip(1, 1)) == (
        "error[no-timing]: a-c: needs a delay of 2 steps to keep pace with a-b, b-c; chip1 has delays of 1 to 1\n"
        "  = hint: shorten the way beside it or its own delays, or choose a target with longer delays"
    )
    assert "x-a: needs a delay of 5 steps; chip1 has delays of 1 to 4" in said(
        chain(("x", "a", 0), axons=[1, 5]), chip(1, 4)
    )
