"""A host that sends an event only when the chip rests: it does what the naive model does at the cycles it chose."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import assume, given, settings

from snncc.backends.tinyodin.config import Config, Events, Registers, World
from snncc.backends.tinyodin.machine import Result, run
from tests.backends.tinyodin.naive import Naive
from tests.backends.tinyodin.random_runs import Run, runs
from tests.backends.tinyodin.test_machine import example


def _settled(each: Run) -> Result:
    return run(each.config, each.events, each.world, each.stop, range(each.events.words.size), settle=True)


@given(runs(longest=6000))
@settings(max_examples=300, deadline=None)
def test_the_naive_model_given_the_same_cycles_does_the_same(each: Run) -> None:
    result = _settled(each)
    assume(result.requests.size == each.events.words.size)
    events = Events(each.events.words, result.requests)
    seen = Naive(each.config, events, each.world).run(each.stop, range(events.words.size))
    assert (result.end, result.end_cycle) == (seen.end, seen.end_cycle)
    assert result.requests.tolist() == seen.in_req
    assert result.ack_falls.tolist() == seen.in_ack_fall
    assert result.word_cycle.tolist() == seen.pop_cycle
    assert result.word.tolist() == seen.pop_word
    assert result.out_cycle.tolist() == seen.out_cycle
    assert result.out_address.tolist() == seen.out_addr
    assert result.idles.tolist() == seen.idle_cycle
    assert result.membrane.tolist() == seen.v_end
    assert {number: v.tolist() for number, v in result.checkpoints.items()} == seen.checkpoints


@given(runs(longest=6000))
@settings(max_examples=200, deadline=None)
def test_every_request_comes_when_nothing_is_left_to_do(each: Run) -> None:
    result = _settled(each)
    for number, request in enumerate(result.requests.tolist()[1:], 1):
        fall = result.ack_falls[number - 1]
        rested = result.idles[(result.idles >= fall) & (result.idles <= request)]
        assert rested.size, f"event {number} was sent while the chip worked"
        assert request >= max(rested[0] + each.world.gap, each.events.not_before[number])
        assert not ((result.word_cycle > rested[0]) & (result.word_cycle < request)).any()
    assert result.queue.overtaking_leaks == result.queue.overtaking_pushes == 0


@given(runs(longest=6000))
@settings(max_examples=200, deadline=None)
def test_a_host_can_tell_from_outside_when_the_chip_rests(each: Run) -> None:
    """What README.md and driver.py of an artefact tell hosts to count: each word that is seen to enter, and outputs."""
    registers = Registers(each.config.registers.last_neuron)
    neurons = replace(each.config.neurons, threshold=np.maximum(each.config.neurons.threshold, 1))
    words = each.events.words & 0x1FF  # neuron and time-reference events
    world, sweep = each.world, 2 * registers.last_neuron + 4
    stop = 6000 if each.stop is None else each.stop
    result = _settled(Run(Config(registers, neurons, each.config.weights), Events(words), world, stop))
    if result.queue.lost_by_neuron.any():
        return  # what is lost was seen outside, and counted in vain
    falls, outputs = result.ack_falls.tolist(), result.out_cycle
    for number in range(1, result.requests.size):
        begin, end = result.requests[number - 1], result.requests[number]
        due, leak = falls[number - 1], words[number - 1] & 0x100
        if not leak:
            due += sweep
        between = outputs[(begin <= outputs) & (outputs < end)].tolist()
        for at in between:
            due = max(due, at) + sweep + 2 * world.delay + 6
        if leak and between:
            assert end <= due + world.gap  # a spike of a leak holds up the acknowledgement too: late, never early
        else:
            assert end == due + world.gap
    assert (result.requests[1:] >= result.ack_falls[: max(0, result.requests.size - 1)]).all()


def test_the_example_of_the_specification_with_a_second_event() -> None:
    """Section 11 rests in cycle 42; the next request comes a gap later."""
    result = run(example(), Events(np.array([7, 7])), World(gap=5), settle=True)
    assert result.requests.tolist() == [0, 47]


def test_patience_is_for_one_event() -> None:
    """Each event of section 11 takes three words: the chip rests after each, however many there are."""
    config = example()
    events = Events(np.tile([7, 511], 10))
    assert run(config, events, settle=True, patience=3).end == "idle"
    ended = run(config, events, settle=True, patience=2)
    assert (ended.end, ended.word.size, ended.requests.size) == ("limit", 2, 1)
