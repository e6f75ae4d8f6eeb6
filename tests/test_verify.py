"""Tests of the comparison between a target and the reference."""

from __future__ import annotations

import numpy as np

from snncc.runner import Trace
from snncc.verify import compare, joined


def trace(value: np.ndarray) -> Trace:
    return Trace({"y": value.copy()}, {"a": value.copy(), "b": value.copy()}, {"a": value.copy(), "b": value.copy()})


ZEROS = np.zeros((2, 3, 4), np.int64)


def test_equal_traces_are_equal_and_counted() -> None:
    verdict = compare(trace(ZEROS), trace(ZEROS), ("a", "b"))
    assert verdict.equal
    assert (verdict.samples, verdict.values, verdict.differing) == (2, 5 * 24, 0)


def test_the_first_difference_is_earliest_in_sample_step_population_and_neuron() -> None:
    found = trace(ZEROS)
    found.spikes["a"][1, 0, 0] = 1  # a later sample
    found.membranes["a"][0, 2, 0] = 1  # a later step
    found.spikes["b"][0, 1, 3] = 1
    found.membranes["b"][0, 1, 2] = 7  # the membrane is computed before the spikes
    found.outputs["y"][0, 1, 0] = 1  # comes after the populations
    verdict = compare(trace(ZEROS), found, ("a", "b"), first_sample=10)
    assert verdict.differing == 5
    assert str(verdict.difference) == (
        "b: membrane of neuron 2 at step 1 of sample 10: the reference gives 0, the target 7"
    )


def test_a_missing_or_misshapen_recording_is_a_difference() -> None:
    found = Trace(trace(ZEROS).outputs, {"a": ZEROS}, {"a": ZEROS, "b": ZEROS[:, :2]})
    verdict = compare(trace(ZEROS), found, ("a", "b"))
    assert verdict.differing == 48
    assert verdict.difference is not None
    assert verdict.difference.name == "b"


def test_joined_verdicts_add_up_and_keep_the_first_difference() -> None:
    wrong = trace(ZEROS)
    wrong.outputs["y"][0, 0, 0] = 1
    parts = [compare(trace(ZEROS), trace(ZEROS), ("a",)), compare(trace(ZEROS), wrong, ("a",), first_sample=2)]
    verdict = joined(parts)
    assert (verdict.samples, verdict.differing) == (4, 1)
    assert verdict.difference is not None
    assert verdict.difference.sample == 2
