"""What is made of a run's traces: classes, accuracy, and labels that cannot be."""

from __future__ import annotations

import numpy as np
import pytest

from snncc.analysis.metrics import summarise
from snncc.diagnostics import CompileError
from snncc.runner import Trace


def trace(classes: list[int]) -> Trace:
    """Two steps of an output of three neurons, of which the one that is the class fires."""
    spikes = np.zeros((len(classes), 2, 3), np.int64)
    spikes[np.arange(len(classes)), :, classes] = 1
    return Trace({"y": spikes}, {"lif": spikes}, {})


def test_parts_of_a_run_are_one() -> None:
    labels = np.array([0, 2, 2])
    run = summarise([trace([0, 1]), trace([2])], np.array([2, 2, 2]), labels, {"y": "count"}, 1.5)
    assert run.classes.tolist() == [0, 1, 2]
    assert run.accuracy == pytest.approx(2 / 3)
    assert run.rates == {"lif": pytest.approx(1 / 3)}
    assert run.seconds == 1.5


def test_a_label_that_the_output_has_no_neuron_for() -> None:
    with pytest.raises(CompileError) as caught:
        summarise([trace([0, 1])], np.array([2, 2]), np.array([0, 3]), {"y": "count"}, 0.0)
    assert str(caught.value) == (
        "error[bad-data]: y: y holds the class 3; the output y has 3 neurons\n"
        "  = hint: classes count from 0, one for each neuron of the output"
    )
