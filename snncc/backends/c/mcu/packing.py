"""Packs small signed integers into bytes and words, in the order in which kernels take them out."""

from __future__ import annotations

import numpy as np

from snncc.arrays import Array, Ints
from snncc.backends.c.widths import CType, span_of

PACKED = (2, 4, 8, 16, 32)


def stored_bits(weight: Array) -> int:
    """The bits in which each weight of an array is stored: the least of 2, 4, 8, 16 and 32 that hold them all."""
    low, high = span_of(weight)
    return next((bits for bits in PACKED if -(1 << bits - 1) <= low and high < 1 << bits - 1), 64)


def natural(fields: int) -> Ints:
    """Field k of a unit, from its lowest bits on, is number k."""
    return np.arange(fields)


def paired(fields: int) -> Ints:
    """Field k is number 2k, and field k + fields/2 is number 2k + 1: one mask takes a pair out of a word."""
    return np.concatenate([np.arange(0, fields, 2), np.arange(1, fields, 2)])


def pack(values: Array, bits: int, unit: CType, order: Ints) -> Array:
    """Rows (rows, k * fields) of integers that fit `bits` as (rows, k) units: field f of a unit is value order[f]."""
    groups = values.reshape(len(values), -1, len(order))[:, :, order].astype(np.uint64)
    fields = groups & np.uint64((1 << bits) - 1)
    shifts = (np.arange(len(order)) * bits).astype(np.uint64)
    return np.bitwise_or.reduce(fields << shifts, axis=2).astype(unit.numpy)
