"""Packs small signed integers into bytes and words, in the order in which kernels take them out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from snncc.arrays import Array, Ints
from snncc.backends.c.widths import CType, span_of

PACKED = (2, 4, 8, 16, 32)
HALVED = (2, 3, 4, 5, 8, 16, 32)  # where half a word holds whole weights; of 6 and 7 bits it holds as many as of 8


def stored_bits(weight: Array, widths: Sequence[int] = PACKED) -> int:
    """The bits in which each weight of an array is stored: the least of `widths` that hold them all."""
    low, high = span_of(weight)
    return next((bits for bits in widths if -(1 << bits - 1) <= low and high < 1 << bits - 1), 64)


def unsigned_bits(weight: Array, widths: Sequence[int] = PACKED) -> int:
    """As `stored_bits`, of weights without a sign; 64 where one is negative."""
    low, high = span_of(weight)
    return next((bits for bits in widths if high < 1 << bits), 64) if low >= 0 else 64


def natural(fields: int) -> Ints:
    """Field k of a unit, from its lowest bits on, is number k."""
    return np.arange(fields)


def paired(fields: int) -> Ints:
    """Field k is number 2k, and field k + fields/2 is number 2k + 1: one mask takes a pair out of a word."""
    return np.concatenate([np.arange(0, fields, 2), np.arange(1, fields, 2)])


def adjacent(fields: int, bits: int) -> Ints:
    """The lowest bit of each field where one follows the other."""
    return np.arange(fields) * bits


def halved(fields: int, bits: int) -> Ints:
    """The lowest bit of each field where one half of them lies in either half of a 32-bit word."""
    return np.arange(fields) % (fields // 2) * bits + np.arange(fields) // (fields // 2) * 16


def pack(values: Array, bits: int, unit: CType, order: Ints, places: Ints) -> Array:
    """Rows (rows, k * fields) of integers that fit `bits` as (rows, k) units.

    Field f of a unit, whose lowest bit is `places[f]`, is value order[f].
    """
    groups = values.reshape(len(values), -1, len(order))[:, :, order].astype(np.uint64)
    fields = groups & np.uint64((1 << bits) - 1)
    return np.bitwise_or.reduce(fields << places.astype(np.uint64), axis=2).astype(unit.numpy)
