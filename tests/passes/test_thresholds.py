"""Thresholds that learn, in integers: how far they may rise, what makes them fade, and hints that lead somewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from snncc import chip as chips
from snncc.diagnostics import CompileError, Diagnostic
from snncc.graph import Graph
from snncc.integers import Decay, Fire, HardReset, Membrane, Population, Register
from snncc.passes.thresholds import learning, shortfalls, unlearnable
from snncc.plasticity import untaught
from snncc.rules import ThresholdRule
from snncc.states import decayed
from tests.passes.test_teach import taught

HOST = chips.load("host")
DECAY = "decay = 0.00012"
SLOW = "decay = 0.00006104"  # one part of 16,384
LASTING = "error[rule-too-fine]: excitatory: its learnt threshold loses nothing while it is at most "


def population(own: int, bits: int = 24, *, inclusive: bool = True) -> Population:
    register = Register(-(1 << bits - 1), (1 << bits - 1) - 1)
    membrane = Membrane(Decay(np.array(0), 8, "nearest"), register, np.array(0))
    return Population((1,), membrane, Fire(np.array(own), inclusive), HardReset())


def said(own: Population, rule: ThresholdRule) -> Iterator[Diagnostic]:
    return shortfalls(Graph({"p": learning(own, rule, HOST)}, []), {"p": rule}, HOST)


@pytest.mark.parametrize("most", [8.0, 40.0, 60_000.0])
def test_thresholds_that_have_grown_as_far_as_they_may_can_still_be_reached(most: float, tmp_path: Path) -> None:
    program = taught(tmp_path, ("jump = 0.0088", f"most = {most}\njump = {min(most, 40.0)}"))
    neurons = program.network["excitatory"]
    assert isinstance(neurons, Population)
    assert neurons.fire
    assert neurons.adapt
    own, end = int(neurons.fire.threshold.max()), neurons.adapt.register.hi
    assert own + end <= neurons.membrane.register.hi <= program.chip.membrane.register.hi
    if most < 60_000:  # for which no register has room
        assert end == int(own * most)
    assert any(each.rule == "clipped-threshold" for each in program.warnings) == (most == 60_000)
    learnt = replace(untaught(program.network), adaptations={"excitatory": np.full(6, end)})
    x = np.ones((1, 40, 25), np.uint8)
    trace = program.expected(x, np.array([40]), learnt)
    assert most == 60_000 or trace.outputs["output"].any()


@pytest.mark.parametrize("inclusive", [False, True])
def test_thresholds_end_with_their_own_state_however_wide_the_chips_are(inclusive: bool) -> None:
    own = population(521, 12, inclusive=inclusive)
    made = learning(own, ThresholdRule(0.01), HOST)
    assert made.adapt
    end = 2047 - 521 - (not inclusive)
    assert (made.adapt.register.lo, made.adapt.register.hi) == (0, end)
    assert [str(each) for each in said(own, ThresholdRule(0.01))] == [
        f"warning[clipped-threshold]: p: its learnt threshold ends at {end:,}, 2.92 times the neuron's own, where its "
        "state of 12 bits does; its rule lets it come to 8 times\n"
        "  = hint: give it 14 bits: --state-bits p=14; or lower threshold.most to 2.92"
    ]
    for enough in (replace(own, membrane=population(521, 14).membrane), own):
        assert not list(said(enough, ThresholdRule(0.01, most=8.0 if enough is not own else 2.92)))
    (beyond,) = said(population(52_100, 32), ThresholdRule(0.01, most=60_000.0))
    assert beyond.hint == "lower threshold.most to 41200"


def test_states_too_narrow_for_one_jump_are_refused() -> None:
    for most, jump, expected in (
        (2047, 0.01, "would jump by 20, and its state of 12 bits ends 0 above the neuron's own"),
        (2000, 0.5, "would jump by 1,000, and its state of 12 bits ends 47 above the neuron's own"),
    ):
        (found,) = unlearnable("p", learning(population(most, 12), ThresholdRule(jump), HOST))
        assert str(found) == (
            f"error[clipped-threshold]: p: its learnt threshold {expected}\n"
            "  = hint: give it more bits, or lower threshold.jump"
        )
    assert not list(unlearnable("p", learning(population(2000, 12), ThresholdRule(0.02), HOST)))
    (found,) = unlearnable("p", learning(population(40, 12), ThresholdRule(0.01), HOST))
    assert str(found) == (
        "error[rule-too-fine]: p: its learnt threshold would jump by less than the integer 1\n"
        "  = hint: raise threshold.jump, or compile with more --weight-bits"
    )


def test_a_narrow_state_is_named_with_the_bits_that_it_needs(tmp_path: Path) -> None:
    def warned(bits: int) -> list[str]:
        program = taught(tmp_path, (DECAY, "decay = 0.0"), state_bits=bits)
        adapt, membrane = (getattr(program.network["excitatory"], each) for each in ("adapt", "membrane"))
        own = int(program.network.of_kind(Population)["excitatory"].fire.threshold.max())  # type: ignore[union-attr]
        assert own + adapt.register.hi <= membrane.register.hi
        return [str(each) for each in program.warnings if each.rule == "clipped-threshold"]

    found = warned(12)
    assert len(found) == 1
    needed = re.search("--state-bits excitatory=([0-9]+);", found[0])
    assert needed
    assert warned(int(needed[1])) == []


@pytest.mark.parametrize(
    ("decay", "expected"),
    [
        (
            "1e-7",
            "error[rule-too-fine]: excitatory: its learnt threshold would lose 1e-07 of itself with each sample, too "
            "little for 24 bits\n  = hint: raise threshold.decay to 0.00096 at least, or leave it out",
        ),
        (
            "0.000001",
            f"{LASTING}493,447 (95 times the neuron's own); it ends at 41,640\n"
            "  = hint: raise threshold.decay to 0.00096, or leave it out; fewer --decay-bits leave more bits to states",
        ),
    ],
)
def test_thresholds_that_would_never_decay_are_refused(decay: str, expected: str, tmp_path: Path) -> None:
    with pytest.raises(CompileError) as caught:
        taught(tmp_path, (DECAY, f"decay = {decay}"))
    assert str(caught.value.diagnostics[0]) == expected


def test_thresholds_that_keep_much_of_what_they_learn_are_warned_of(tmp_path: Path) -> None:
    """With 8 bits to the leak, 24 are left to the state; then what the rule says comes to pass."""
    found = [str(each) for each in taught(tmp_path, (DECAY, SLOW)).warnings if each.rule == "rule-too-fine"]
    assert found == [
        f"{LASTING.replace('error', 'warning')}8,192 (1.6 times the neuron's own): the loss of a sample rounds to 0\n"
        "  = hint: raise threshold.decay to 0.00096, or leave it out; fewer --decay-bits leave more bits to states"
    ]
    for change, more in (("decay = 0.00096", {}), ("", {}), (SLOW, {"decay_bits": 8})):
        program = taught(tmp_path, (DECAY, change), **more)
        assert not any(each.rule == "rule-too-fine" for each in program.warnings)
    adapt = program.network.of_kind(Population)["excitatory"].adapt
    assert adapt
    values = np.array([0, 8192, 8193, 100_000, 5_000_000])
    np.testing.assert_array_equal(decayed(values, adapt.decay), values - [0, 0, 1, 6, 305])


@pytest.mark.parametrize("rounding", ["nearest", "zero"])
@pytest.mark.parametrize("decay", [1e-9, 3e-7, 1e-6])
def test_a_decay_that_was_asked_for_is_one_that_is_taken(rounding: str, decay: float) -> None:
    chip = replace(HOST, membrane=replace(HOST.membrane, rounding=rounding))
    owns = (*range(1, 400), 999, 5_205, 33_281, 1 << 19, 1 << 20)
    hints = 0
    for own in owns:
        rule = ThresholdRule(1.0, decay, most=4.0)
        made = learning(population(own), rule, chip)
        for each in shortfalls(Graph({"p": made}, []), {"p": rule}, chip):
            hints += 1
            asked = re.search("raise threshold.decay to ([0-9.e-]+)", each.hint)
            assert asked
            assert float(asked[1]) <= 1, "what a rule's file takes"
            taken = replace(rule, decay=float(asked[1]))
            again = Graph({"p": learning(population(own), taken, chip)}, [])
            assert not list(shortfalls(again, {"p": taken}, chip)), (own, each)
    assert (hints > 0) == (rounding == "nearest" or decay == 1e-9)
