"""Tests of the array helpers: what is frozen stays so, and dumps are the same on every machine."""

from __future__ import annotations

import numpy as np
import pytest

from snncc.arrays import digest, frozen, short


def test_frozen_arrays_cannot_be_written() -> None:
    array = frozen([1, 2, 3], np.int64)
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 5


def test_freezing_leaves_the_original_writable() -> None:
    original = np.arange(3)
    array = frozen(original)
    original[0] = 7
    assert array[0] == 7  # a view, not a copy
    assert not array.flags.writeable


def test_a_frozen_number_has_no_axes() -> None:
    array = frozen(5, np.int64)
    assert array.shape == ()
    assert array.dtype == np.int64


def test_frozen_arrays_are_in_row_major_order() -> None:
    array = frozen(np.asfortranarray(np.arange(6).reshape(2, 3)))
    assert array.flags.c_contiguous
    assert array.tolist() == [[0, 1, 2], [3, 4, 5]]


def test_a_digest_depends_on_contents_and_not_on_byte_order() -> None:
    array = np.arange(6, dtype="<i4")
    assert digest(array) == digest(array.astype(">i4"))
    assert digest(array) != digest(array + 1)
    assert len(digest(array)) == 4


def test_short_forms() -> None:
    assert short(np.array(3)) == "3"
    assert short(np.array(0.5)) == "0.5"
    assert short(np.zeros((2, 3), np.int8)) == f"int8[2,3]#{digest(np.zeros((2, 3), np.int8))}"
    assert short(np.zeros(2, np.int8)).startswith("int8[2]#")
