"""How samples are read in fewer steps: as one would by hand, and never twice."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snncc.data import Data, paced
from snncc.diagnostics import CompileError
from snncc.pace import Adapted, FewerSteps, Gather, Pace


@given(st.data(), st.integers(1, 5), st.integers(1, 12), st.sampled_from(["f4", "i2", "u1", "?"]))
def test_steps_are_read_as_by_hand(draw: st.DataObject, samples: int, steps: int, kind: str) -> None:
    rng = np.random.default_rng(draw.draw(st.integers(0, 1 << 32)))
    x = (rng.normal(size=(samples, steps, 2, 3)) * 4).astype(kind)
    lengths = rng.integers(1, steps + 1, samples)
    gathers: list[Gather] = ["first", "largest"]
    pace = Pace(
        draw.draw(st.integers(1, 14)), draw.draw(st.sampled_from(gathers)), draw.draw(st.sampled_from([None, 1, 3]))
    )
    found = paced(Data(x, lengths), (2, 3), pace)
    for sample in range(samples):
        read = x[sample, : lengths[sample]]
        groups = [read[start : start + pace.every] for start in range(0, len(read), pace.every)][: pace.most]
        assert found.lengths[sample] == len(groups)
        for step, group in enumerate(groups):
            wanted = group[0] if pace.gather == "first" else group.max(axis=0)
            assert np.array_equal(found.x[sample, step], wanted)
    assert found.x.dtype == x.dtype
    assert paced(found, (2, 3), pace) is found


def test_what_comes_after_the_end_of_a_sample_does_not_count() -> None:
    x = np.array([[1, 2, 9, 9, 9]], np.float32)[:, :, None]
    found = paced(Data(x, np.array([2])), (1,), Pace(2, "largest"))
    assert found.x[0, :, 0].tolist() == [2, 0, 0]


def test_static_samples_have_no_steps_to_leave_out() -> None:
    data = Data(np.ones((2, 3)), np.array([4, 4]))
    assert paced(data, (3,), Pace(2)) is data


def test_samples_are_not_read_twice() -> None:
    read = paced(Data(np.ones((2, 6, 1)), np.array([6, 6])), (1,), Pace(2))
    with pytest.raises(CompileError) as caught:
        paced(read, (1,), Pace(3))
    assert str(caught.value) == (
        "error[bad-data]: x: x was read one step in 2 already, for a network other than this one\n"
        "  = hint: give the file or the array that it was read from"
    )


@pytest.mark.parametrize(
    ("record", "says"),
    [
        (FewerSteps(0, 4), "has 0, 4, 1, 1 for numbers of steps; 1 to 1,000,000 are possible"),
        (FewerSteps(8, 4, 2.0, Pace(0)), "has 8, 4, 0, 1 for numbers of steps; 1 to 1,000,000 are possible"),
        (FewerSteps(8, 4, 2.0, Pace(most=-1)), "has 8, 4, 1, -1 for numbers of steps; 1 to 1,000,000 are possible"),
        (FewerSteps(8, 4, float("nan")), "has factors such as nan; 1e-06 to 1e+06 are possible"),
        (FewerSteps(8, 4, neurons=(Adapted("a", 0.0),)), "has factors such as 1; 1e-06 to 1e+06 are possible"),
        (FewerSteps(8, 4, neurons=(Adapted("a", 1.0, -2.0),)), "has factors such as -2; 1e-06 to 1e+06 are possible"),
    ],
)
def test_records_that_make_no_sense_are_found(record: FewerSteps, says: str) -> None:
    assert list(record.faults()) == [says]
    assert not list(FewerSteps(8, 4, 2.0, Pace(2), (Adapted("a", 1.5, 2.0),)).faults())
