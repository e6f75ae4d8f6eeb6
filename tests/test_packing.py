"""How a core stores synapses: widths, forms and words, worked out by hand from `targets/README.md`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from snncc.chip import load
from snncc.integers import Synapse
from snncc.linear import Conv, Dense
from snncc.packing import block_words, form_of, is_dense, kernel_words, stored_words, width_of

CHIP = load("mesh64")  # words of 64 bits, headers of 16, indices of 10, a word for a shared axon


@pytest.mark.parametrize(
    ("weights", "width"), [([0], 1), ([1], 2), ([-1], 1), ([-2, 1], 2), ([127], 8), ([-128], 8), ([128], 9), ([], 1)]
)
def test_the_fewest_bits_that_hold_all_weights(weights: list[int], width: int) -> None:
    assert width_of(np.array(weights, np.int64)) == width


def test_what_needs_a_bit_more_than_there_are_has_no_sign() -> None:
    """Weights from 0 to 255 of 8 bits, as a group that learns has them."""
    widths = [form_of(Synapse(Dense(np.full((1, 1), each, np.int16))), CHIP).width for each in (127, 128, 255)]
    assert widths == [8, 8, 8]


def test_the_smaller_form_is_taken_dense_if_equal() -> None:
    form = form_of(Synapse(Dense(np.full((1, 1), 31, np.int8))), CHIP)  # 6 bits
    synapses, span = np.array([3, 3, 3]), np.array([7, 8, 9])  # sparse is 3 * 16 = 48 bits; dense 42, 48, 54
    assert is_dense(form, synapses, span).tolist() == [True, True, False]
    assert stored_words(form, synapses, span).tolist() == [1, 1, 1]
    assert block_words(4, 9, 6, 16, 10, 64) == 2  # 16 + 54 bits


def test_a_shared_kernel_is_stored_once() -> None:
    conv = Synapse(Conv(np.full((4, 2, 3, 3), 7, np.int8), (2, 8, 8)))  # 4 bits, 18 weights a channel
    form = form_of(conv, CHIP)
    assert form.shared
    assert stored_words(form, np.array([36, 5]), np.array([100, 5])).tolist() == [1, 1]
    assert [kernel_words(form, channels) for channels in (0, 1, 4)] == [0, 2, 5]  # 72 and 288 bits


def test_a_chip_without_shared_weights_stores_each() -> None:
    plain = replace(CHIP, capabilities=tuple(each for each in CHIP.capabilities if each != "convolution"))
    form = form_of(Synapse(Conv(np.full((4, 2, 3, 3), 7, np.int8), (2, 8, 8))), plain)
    assert not form.shared
    assert stored_words(form, np.array([36]), np.array([100])).tolist() == [7]  # 16 + 400 bits
