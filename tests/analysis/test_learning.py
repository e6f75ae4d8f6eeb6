"""What learning takes of a chip, on examples counted by hand from `targets/README.md`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from snncc import chip as chips
from snncc.analysis.learning import EVENTS, counted, cycles, home_of
from snncc.backends.chip.validate import validate
from snncc.chip import Chip
from snncc.fabric import LearningCosts
from snncc.graph import Graph
from snncc.integers import (
    Decay,
    Factor,
    IntOp,
    Normalisation,
    Plasticity,
    Source,
    SpikeTrace,
    Synapse,
    Term,
)
from snncc.linear import Dense
from snncc.plasticity import Moment, begun, traced
from tests.chips import chain, figure, mesh_chip

FADES = SpikeTrace(Decay(np.array(1), 4, "floor"), 7, 7, latest=True)
COUNTS = SpikeTrace(Decay(np.array(0), 0, "floor"), 1, 255)
SPIKE = Term("post", 8, (Factor("pre"), Factor("weight", gain=-1, offset=9)))
SWEEP = Term("period", -4, (Factor("most post"), Factor("post", gain=-1, offset=1)))
RULE = Plasticity((FADES,), (COUNTS,), (SPIKE, SWEEP), 0, 255, guard=4, shift=4, period=2)
COSTS = LearningCosts(*map(figure, (1, 2, 3, 5, 7, 100)))


def step(rule: Plasticity, x: list[int], s: list[int], now: int, *, last: bool = False) -> list[list[int]]:
    """The events of a step of 3 sources and 4 targets, 3 on core 2 and one on core 5, in words of 16 bits."""
    chip = mesh_chip()
    assert chip.packing
    chip = replace(chip, packing=replace(chip.packing, word_bits=16))
    weight = np.ones((4, 3), np.int16)
    home = home_of(Synapse(Dense(weight), plasticity=rule), chip, np.array([2, 5, 2, 2]))
    assert (home.width, home.header) == (12, 16 + 3)
    old = begun(rule, weight.astype(np.int64))
    given = np.array(x), np.array(s)
    found = counted(home, old, traced(rule, old, *given), *given, Moment(now, 0), last=last)
    assert cycles(found, COSTS) == 100 * found[:, 5].sum() + max(int(row @ (1, 2, 3, 5, 7)) for row in found[:, :5])
    return found.tolist()


def test_a_spike_of_a_target_concerns_only_sources_with_a_trace() -> None:
    assert EVENTS == ("trace", "axon", "word", "change", "row", "merge")
    # target 2 is the second on core 2: its weight has the bits 31 to 42, in the words 1 and 2 of two blocks
    assert step(RULE, [1, 0, 1], [0, 0, 1, 0], 0) == [[3, 3, 4, 2, 0, 0], [2, 0, 0, 0, 0, 0]]


def test_a_sweep_leaves_out_targets_whose_factor_is_nothing() -> None:
    # all targets but number 2, whose factor is 1 - 1; on core 2 the weights have the bits 19 to 30 and 43 to 54
    assert step(replace(RULE, terms=(SWEEP,)), [0, 0, 0], [0, 0, 1, 0], 1) == [[1, 3, 9, 6, 0, 1], [0, 3, 3, 3, 0, 0]]
    # on core 5 there is no other target: nothing is looked at there
    assert step(replace(RULE, terms=(SWEEP,)), [0, 0, 0], [0, 1, 0, 0], 1) == [[0, 3, 9, 9, 0, 1], [1, 0, 0, 0, 0, 0]]
    # nobody has spiked yet: the sweep is idle, but that is known only after all have been asked
    assert step(RULE, [0, 0, 0], [0, 0, 0, 0], 1) == [[0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 0]]


def test_normalisation_reads_all_words_twice() -> None:
    rule = replace(RULE, normalisation=Normalisation(99))
    assert step(rule, [0, 0, 0], [0, 0, 0, 0], 0) == [[0] * 6, [0] * 6]
    assert step(rule, [0, 0, 0], [0, 0, 0, 0], 0, last=True) == [[0, 6, 18, 9, 3, 0], [0, 6, 6, 3, 1, 0]]


def test_of_targets_that_spiked_only_these_words_are_read_and_a_bit_each_is_kept() -> None:
    rule = replace(RULE, terms=(), normalisation=Normalisation(99, spiking=True))
    assert step(rule, [0, 0, 0], [0, 0, 0, 0], 0, last=True) == [[0] * 6, [0] * 6]
    # the count and the bit of target 2 are set; in the end the bit is cleared, too
    assert step(rule, [0, 0, 0], [0, 0, 1, 0], 0) == [[2, 0, 0, 0, 0, 0], [0] * 6]
    assert step(rule, [0, 0, 0], [0, 0, 1, 0], 0, last=True) == [[3, 6, 12, 3, 1, 0], [0] * 6]


def test_what_learning_units_cannot_do_is_named() -> None:
    network = chain(Dense(np.ones((2, 3), np.int8)))
    rule = replace(RULE, post=(FADES,) * 30, terms=(SPIKE,), normalisation=Normalisation(9, spiking=True))
    ops = {**network.ops, "s1": replace(network.of_kind(Synapse)["s1"], plasticity=rule)}

    def faults(ops: dict[str, IntOp], delay: int, chip: Chip) -> list[str]:
        edges = [replace(each, delay=delay) if each.target == "s1" else each for each in network.edges]
        return [str(each) for each in validate(Graph(ops, edges), chip)]

    mesh64 = chips.load("mesh64")
    assert faults(ops, 2, mesh64) == [
        "error[late-learning]: s1: gets its values 2 steps after they are sent; mesh64 learns from those of the step "
        "before\n  = hint: let a group learn whose source is directly before p1, or choose a target that delivers at "
        "once",
        "error[too-many-trace-bits]: p1: its neurons have traces of 91 bits; a neuron of mesh64 has room for 64\n"
        "  = hint: let its rules have fewer traces of targets, or fewer bits",
    ]
    mute = replace(mesh64, capabilities=("learning",))
    assert faults({**ops, "x": Source((3,), 4)}, 1, mute)[:1] == [
        "error[cannot-learn]: s1: feeds p1, which the host computes; only cores of mesh64 learn\n"
        "  = hint: compile without --learn, or choose a target that learns, as host and mesh64 do"
    ]
