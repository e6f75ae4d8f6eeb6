"""The exact machine, programmed and driven by an artefact, gives what the reference gives: every spike and membrane."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings

from snncc.backends.tinyodin.config import Neurons
from snncc.backends.tinyodin.layout import config, layout
from snncc.backends.tinyodin.run import events_of, run
from snncc.diagnostics import CompileError
from snncc.events.ops import EventNetwork, EventPopulation, crossbar
from snncc.events.reference import activity
from snncc.events.reference import run as reference
from tests.backends.tinyodin.networks import CHIP, fitting, written
from tests.events.random_networks import Case
from tests.events.test_reference import example

assert CHIP.crossbar
LIMITS = CHIP.crossbar


def agrees(case: Case) -> None:
    network = case.network
    flat = case.x.reshape(*case.x.shape[:2], -1)
    with TemporaryDirectory() as scratch:
        folder = written(network, Path(scratch))
        trace, used = run(folder, flat, case.lengths, record=True)
    wanted = reference(network, case.x, case.lengths, record=tuple(network.populations))
    for kind in ("spikes", "membranes", "outputs"):
        found, expected = getattr(trace, kind), getattr(wanted, kind)
        assert set(found) == set(expected)
        for name, values in expected.items():
            assert found[name].tolist() == values.tolist(), (kind, name)
    seen = activity(crossbar(network), network.source, flat, case.lengths)
    assert used.spikes == seen.spikes.sum()
    assert used.synaptic == seen.events.sum() * crossbar(network).neurons
    assert used.fullest == seen.fullest.max(initial=0)
    assert used.lost == 0


@given(fitting())
@settings(max_examples=40)
def test_random_networks(case: Case) -> None:
    agrees(case)


@given(fitting())
@settings(max_examples=5)
def test_what_is_not_recorded_changes_nothing_else(case: Case) -> None:
    flat = case.x.reshape(*case.x.shape[:2], -1)
    with TemporaryDirectory() as scratch:
        folder = written(case.network, Path(scratch))
        trace, used = run(folder, flat, case.lengths, record=True)
        spikes_only, same = run(folder, flat, case.lengths, record=False)
    assert (spikes_only.spikes, spikes_only.membranes) == ({}, {})
    assert all(np.array_equal(spikes_only.outputs[name], trace.outputs[name]) for name in trace.outputs)
    assert same == used


@pytest.mark.slow
@given(fitting())
@settings(max_examples=2000)
def test_many_random_networks(case: Case) -> None:
    agrees(case)


def test_cycles_by_hand() -> None:
    """Two neurons, one event with no spike: REQ at 0, ACK falls at 8, a sweep of 5 cycles, RETIRE; at rest at 14."""
    network = example([[3, 0]])
    with TemporaryDirectory() as scratch:
        _, used = run(written(network, Path(scratch)), np.ones((1, 1, 1), np.int64), np.array([1]), record=False)
    assert (used.cycles, used.events, used.synaptic, used.spikes) == (14, 1, 2, 0)
    # 17 events that take 2048 to 0 by 127: each 3 + 4 cycles to the acknowledge's rise, 4 to its fall, a gap of 1.
    assert used.reset_cycles == 16 * (7 + 4 + 1) + 7 + 4


def test_without_a_leak_the_leak_resets() -> None:
    plan = layout(example([[3, 0]]), LIMITS, "t", None)
    assert (plan.leaks, plan.reset.by, plan.reset.events, plan.reset.writes) == (False, "leak", 17, ())
    assert config(example([[3, 0]])).neurons.leak.tolist() == [127, 127] + [0] * 254


def test_with_a_small_leak_the_membranes_are_written_anew() -> None:
    plan = layout(example([[3, 0]], leak=3), LIMITS, "t", None)
    assert (plan.leaks, plan.reset.by, plan.reset.events) == (True, "spi", 0)
    assert len(plan.reset.writes) == 4 + 2 * 2


def test_with_a_large_leak_time_reference_events_reset() -> None:
    plan = layout(example([[3, 0]], leak=100), LIMITS, "t", None)
    assert (plan.leaks, plan.reset.by, plan.reset.events) == (True, "leak", 21)


def test_neurons_at_the_addresses_of_channels_are_silenced() -> None:
    neurons = config(example([[3, 0]])).neurons
    assert neurons.disabled.tolist() == [False] * 2 + [True] * 254
    assert neurons.threshold.tolist() == [5, 5] + [4095] * 254
    assert config(example([[3, 0]])).registers.last_neuron == 1


def test_events_go_in_order_and_a_time_reference_ends_each_step() -> None:
    """The channels of the example send in reverse."""
    plan = layout(example([[3, 0], [4, -2]], leak=1), LIMITS, "t", None)
    sent = events_of(plan, np.array([[1, 1], [0, 0], [1, 0]]))
    assert sent.words.tolist() == [255, 254, 0x1FF, 0x1FF, 254, 0x1FF]
    assert sent.steps.tolist() == [0, 0, 0, 1, 2, 2]


def test_a_sample_without_any_event() -> None:
    network = example([[3, 0]])
    with TemporaryDirectory() as scratch:
        trace, used = run(written(network, Path(scratch)), np.zeros((2, 3, 1), np.int64), np.array([3, 2]), record=True)
    assert not any(values.any() for values in trace.membranes.values())
    assert used.cycles == 0


def _bigger(network: EventNetwork, name: str, **changes: object) -> EventNetwork:
    from dataclasses import replace

    ops = {**network.ops, name: replace(network[name], **changes)}  # type: ignore[type-var]
    return EventNetwork(ops, network.edges)


def test_membranes_that_start_elsewhere() -> None:
    network = example([[3, 0]])
    population = network["a"]
    assert isinstance(population, EventPopulation)
    started = _bigger(network, "a", initial=np.array([-7]))
    agrees(Case(started, np.ones((3, 4, 1), np.int64), np.array([4, 2, 3])))
    assert layout(started, LIMITS, "t", None).reset.by == "spi"


DAMAGE = [
    ("spi.hex", b"50000 00001\n", "spi.hex:1: 50000 is written while the chip is not gated, or not in open loop"),
    ("spi.hex", b"00000 00001\n00001\n", "spi.hex:2: not enough values to unpack (expected 2, got 1)"),
    ("spi.hex", b"xyz 1\n", "spi.hex:1: invalid literal for int() with base 16: 'xyz'"),
    ("spi.hex", b"00000 00001\n", "spi.hex: the chip is left gated"),
    ("spi.hex", b"\xff\n", "spi.hex: is not text"),
    ("layout.json", b"{", "layout.json: is not JSON"),
    ("layout.json", b"{}", "layout.json: layout: '{}' does not belong there"),
]


@pytest.mark.parametrize(("name", "content", "text"), DAMAGE)
def test_a_damaged_artefact(name: str, content: bytes, text: str, tmp_path: Path) -> None:
    folder = written(example([[3, 0]]), tmp_path)
    (folder / name).write_bytes(content)
    with pytest.raises(CompileError) as caught:
        run(folder, np.ones((1, 1, 1), np.int64), np.array([1]), record=False)
    assert str(caught.value) == f"error[damaged-artefact]: {text}\n  = hint: compile the model again"


@pytest.mark.parametrize("name", ["spi.hex", "layout.json"])
def test_a_missing_file(name: str, tmp_path: Path) -> None:
    folder = written(example([[3, 0]]), tmp_path)
    (folder / name).unlink()
    with pytest.raises(CompileError) as caught:
        run(folder, np.ones((1, 1, 1), np.int64), np.array([1]), record=False)
    assert str(caught.value).startswith(f"error[damaged-artefact]: {name}: cannot be read: No such file")


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ('"first_channel": 255', '"first_channel": 256', "has channels from address 256 on"),
        ('"channels": 1', '"channels": 2', "has 2 channels, 0 of them for biases, for an input of 1"),
        ('"always": 0', '"always": -1', "has 1 channels, -1 of them for biases, for an input of 1"),
        ('"order": [\n  0\n ]', '"order": [\n  7\n ]', "has an order that is not of every channel once"),
        ('"last": 1', '"last": 300', "has b at the addresses 1 to 300"),
        ('"gap": 1', '"gap": 0', "has a gap of 0 cycles"),
        ('"events": 17', '"events": 5000', "has a reset of 5000 events and 0 writes"),
    ],
)
def test_a_layout_that_no_host_could_follow(old: str, new: str, text: str, tmp_path: Path) -> None:
    folder = written(example([[3, 0]]), tmp_path)
    content = (folder / "layout.json").read_text()
    assert old in content
    (folder / "layout.json").write_text(content.replace(old, new))
    with pytest.raises(CompileError) as caught:
        run(folder, np.ones((1, 1, 1), np.int64), np.array([1]), record=False)
    assert str(caught.value) == f"error[damaged-artefact]: layout.json: {text}\n  = hint: compile the model again"


def test_a_reset_that_the_chip_cannot_be_written_with(tmp_path: Path) -> None:
    folder = written(example([[3, 0]], leak=3), tmp_path)
    plan = json.loads((folder / "layout.json").read_text())
    plan["reset"]["writes"][0][0] = 1 << 20
    (folder / "layout.json").write_text(json.dumps(plan))
    with pytest.raises(CompileError) as caught:
        run(folder, np.ones((1, 1, 1), np.int64), np.array([1]), record=False)
    assert str(caught.value) == (
        "error[damaged-artefact]: layout.json: reset.writes: 100000 1 has more than 20 bits\n"
        "  = hint: compile the model again"
    )


def _programmed(folder: Path, **changes: object) -> None:
    """Program other contents than those that were compiled."""
    from dataclasses import replace

    from snncc.backends.tinyodin.programming import program

    writes = program(replace(config(example([[3, 0]])), **changes))  # type: ignore[arg-type]
    (folder / "spi.hex").write_text("".join(f"{address:05X} {data:05X}\n" for address, data in writes))


def test_a_program_that_keeps_the_chip_busy_for_ever(tmp_path: Path) -> None:
    """Neuron 0 excites itself: the fourth event makes it fire, and each spike the next one."""
    folder = written(example([[2, 0]]), tmp_path)
    weights = config(example([[2, 0]])).weights.copy()
    weights[0, 0] = 5
    _programmed(folder, weights=weights)
    with pytest.raises(CompileError) as caught:
        run(folder, np.ones((2, 4, 1), np.int64), np.array([1, 4]), record=False)
    assert str(caught.value) == (
        "error[never-rests]: sample 1: after event 2 of 4, 0FF, the chip executed 65,536 words, 65,538 in all, and did "
        "not come to rest\n  = hint: the network that is programmed keeps itself busy"
    )


def test_a_program_that_never_rests_after_the_reset(tmp_path: Path) -> None:
    """With a threshold of 0 the first time-reference event makes the neuron fire, and so does its own spike."""
    folder = written(example([[3, 0]]), tmp_path)
    neurons = config(example([[3, 0]])).neurons
    _programmed(folder, neurons=Neurons(neurons.threshold * 0, neurons.leak, neurons.disabled, neurons.membrane))
    with pytest.raises(CompileError) as caught:
        run(folder, np.zeros((1, 3, 1), np.int64), np.array([3]), record=True)
    assert str(caught.value).startswith(
        "error[never-rests]: the reset after sample 0: after event 0 of 17, 1FF, the chip executed 65,536 words, "
    )
