"""The machine gives what the naive model gives: on random runs, on floods of the queue, on the example of SPEC.md."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snncc.backends.tinyodin.config import Config, Events, Neurons, Registers, World
from snncc.backends.tinyodin.machine import Result, run
from snncc.backends.tinyodin.replay import first_difference, replay
from snncc.backends.tinyodin.trace import read
from tests.backends.tinyodin.files import RECORDED
from tests.backends.tinyodin.naive import Naive
from tests.backends.tinyodin.random_runs import Run, floods, races, runs

SHORT = ("01", "02", "03", "16", "18", "19", "20", "21")


def _machine(each: Run) -> Result:
    return run(each.config, each.events, each.world, each.stop, range(each.events.words.size))


def _same(each: Run) -> Counter[str]:
    """Compare everything; returns what happened how often."""
    result = _machine(each)
    model = Naive(each.config, each.events, each.world)
    seen, count = model.run(each.stop, range(each.events.words.size)), model.count
    assert (result.end, result.end_cycle) == (seen.end, seen.end_cycle)
    assert result.requests.tolist() == seen.in_req
    assert result.acks.tolist() == seen.in_ack
    assert result.ack_falls.tolist() == seen.in_ack_fall
    assert result.word_cycle.tolist() == seen.pop_cycle
    assert result.word.tolist() == seen.pop_word
    assert result.out_cycle.tolist() == seen.out_cycle
    assert result.out_address.tolist() == seen.out_addr
    assert result.idles.tolist() == seen.idle_cycle
    assert result.membrane.tolist() == seen.v_end
    assert {number: v.tolist() for number, v in result.checkpoints.items()} == seen.checkpoints
    queue, counts = result.queue, result.counts
    assert queue.left.tolist() == seen.waiting
    assert queue.fullest == seen.fullest
    assert queue.first_lost == (None if seen.first_lost < 0 else seen.first_lost)
    assert Counter({n: c for n, c in enumerate(queue.lost_by_neuron.tolist()) if c}) == seen.lost
    for name in ("full_priority", "full_sweeps", "full_virtual", "overtaking_pushes", "overtaking_leaks"):
        assert getattr(queue, name) == count[name], name
    for name in ("pushes", "leaks_all", "leaks_one", "synaptic", "silent"):
        assert getattr(counts, name) == count[name], name
    for name, state in (("sweep", "SWEEP"), ("virtual", "VIRT"), ("leak", "LEAK")):
        assert getattr(counts.spikes, name) == count[f"spikes_{state}"], name
        assert getattr(queue.lost, name) == count[f"lost_{state}"], name
    return count


def _agrees_with_hardware(path: Path) -> None:
    trace = read(path)
    _same(Run(trace.config, trace.events, trace.world, trace.stop_cycle))
    assert first_difference(trace, replay(trace)) is None


@pytest.mark.parametrize("path", [path for path in RECORDED if path.name[4:6] in SHORT], ids=lambda path: path.name[:6])
def test_the_naive_model_too_agrees_with_the_hardware(path: Path) -> None:
    _agrees_with_hardware(path)


@pytest.mark.slow
@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.name[:6])
def test_the_naive_model_agrees_with_all_of_it(path: Path) -> None:
    _agrees_with_hardware(path)


@given(runs())
@settings(max_examples=500, deadline=None)
def test_random_runs(each: Run) -> None:
    _same(each)


@pytest.mark.slow
@given(runs(longest=30000))
@settings(max_examples=1000, deadline=None)
def test_many_random_runs(each: Run) -> None:
    _same(each)


def test_floods_reach_every_corner_of_the_queue() -> None:
    total = sum((_same(floods(seed)) for seed in range(30)), Counter[str]())
    for name in ("lost_SWEEP", "lost_VIRT", "lost_LEAK", "full_priority", "full_sweeps", "full_virtual", "silent"):
        assert total[name], name
    for name in ("overtaking_pushes", "overtaking_leaks", "spikes_SWEEP", "spikes_VIRT", "spikes_LEAK"):
        assert total[name], name


def test_races() -> None:
    for seed in range(200):
        _same(races(seed))


@pytest.mark.slow
@given(st.integers(200, 1 << 32))
@settings(max_examples=5000)
def test_many_races(seed: int) -> None:
    _same(races(seed))


@pytest.mark.slow
@given(st.integers(30, 1 << 32))
@settings(max_examples=300)
def test_many_floods(seed: int) -> None:
    _same(floods(seed))


@pytest.mark.parametrize(("open_loop", "source_control"), [(False, False), (False, True), (True, False), (True, True)])
def test_a_run_can_be_cut_in_any_cycle(open_loop: bool, source_control: bool) -> None:
    """Also while the port is busy, while a request is on its way, and in the cycle in which the chip rests."""
    config = example(open_loop=open_loop, source_control=source_control)
    events = Events(np.array([7, 0x250, 511, 7, 257]), np.array([2, 0, 0, 150, 0]))
    for stop in range(260):
        _same(Run(config, events, World(gap=2, drop=1, delay=3), stop))


def example(last_neuron: int = 1, open_loop: bool = False, source_control: bool = False) -> Config:
    """The configuration of SPEC.md, section 11."""
    weights = np.zeros((256, 256), np.int8)
    weights[7, 0], weights[0, 1] = 2, 5
    zeros = np.zeros(256, np.int64)
    membrane = zeros.copy()
    membrane[0] = 3
    registers = Registers(last_neuron, open_loop, source_control)
    return Config(registers, Neurons(zeros + 5, zeros, zeros > 0, membrane), weights)


def test_worked_example() -> None:
    result = run(example(), Events(np.array([7])))
    assert result.requests.tolist() == [0]
    assert result.acks.tolist() == [4]
    assert result.ack_falls.tolist() == [8]
    assert result.out_cycle.tolist() == [11, 27]
    assert result.out_address.tolist() == [0, 1]
    assert result.word_cycle.tolist() == [9, 23, 37]
    assert result.word.tolist() == [7, 0, 1]
    assert result.idles.tolist() == [42]
    assert (result.end, result.end_cycle) == ("idle", 42)
    assert not result.membrane.any()


def test_nothing_to_do() -> None:
    result = run(example(), Events(np.zeros(0, np.int64)), stop_cycle=0)
    assert (result.end, result.end_cycle, result.idles.size) == ("idle", 0, 0)


def test_cut_at_once() -> None:
    result = run(example(), Events(np.array([7])), stop_cycle=0)
    assert (result.end, result.end_cycle, result.requests.tolist()) == ("cut", 0, [0])


def test_arguments_stay_as_they_are() -> None:
    config, events = example(), Events(np.array([7, 511]))
    first, second = run(config, events), run(config, events)
    assert config.neurons.membrane[0] == 3
    assert first.out_cycle.tolist() == second.out_cycle.tolist()
    assert first.membrane.tolist() == second.membrane.tolist()


def test_a_network_that_never_rests_ends_at_the_limit() -> None:
    config = example(last_neuron=0)
    weights = config.weights.copy()
    weights[0, 0] = 7
    restless = Config(config.registers, config.neurons, weights)
    result = run(restless, Events(np.array([0])), limit=10000)
    assert (result.end, result.word.size, result.out_cycle.size) == ("limit", 10000, 10000)
    cut = run(restless, Events(np.array([0])), stop_cycle=result.end_cycle)
    assert cut.out_cycle.tolist() == result.out_cycle.tolist()


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (lambda: Registers(256), "last_neuron is 256, not 0 to 255"),
        (lambda: World(delay=0), "delay is 0, not 1 to 16777216"),
        (lambda: Events(np.array([1024])), "words must hold integers from 0 to 1023"),
        (lambda: Events(np.array([0.5])), "words must hold integers from 0 to 1023"),
        (lambda: Events(np.array([1, 2]), np.array([0])), r"not_before has the shape \(1,\), not \(2,\)"),
        (lambda: Config(Registers(), example().neurons, np.full((256, 256), 8)), "weights must hold integers from -8"),
        (lambda: run(example(), Events(np.array([7])), stop_cycle=-1), "stop_cycle is -1, not 0 to"),
    ],
)
def test_what_the_chip_cannot_hold_is_refused(build: object, text: str) -> None:
    assert callable(build)
    with pytest.raises(ValueError, match=text):
        build()


def test_numba_is_loaded_by_the_first_run_only() -> None:
    code = "import sys, snncc.backends.tinyodin.replay; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_it_runs_where_compiled_code_cannot_be_kept() -> None:
    code = (
        "from numba.core import caching as c; c.CacheImpl._locator_classes = []; import snncc.backends.tinyodin.kernel"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
