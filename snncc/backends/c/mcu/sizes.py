"""The bytes of a network's constants and of its state, as C lays them out on a device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from snncc.backends.c.plan import Plan
from snncc.backends.c.widths import CType
from snncc.device import Device

_WEIGHTS = ("weight", "entry")


def constants(plan: Plan) -> tuple[int, int]:
    """The bytes of the weights, and of all other constant arrays."""
    links = [link for step in plan.steps for link in step.links]
    every = sum(each.type.bytes * each.length for each in plan.tables)
    weights = sum(
        each.type.bytes * each.length
        for link in links
        for role, each in link.compiled.tables.items()
        if role in _WEIGHTS
    )
    return weights, every - weights


def state_bytes(context: Mapping[str, Any], device: Device) -> tuple[int, int]:
    """The bytes of `snn_state` but for its union of sums, and those of the union with what aligns the struct."""
    aligned = 1 if device.word_bits < 32 else 8
    fields: Sequence[Mapping[str, Any]] = context["fields"]
    sums: Sequence[Mapping[str, Any]] = context["sums"]
    at, widest = 0, 1
    for each in fields:
        kind: CType = each["type"]
        count = 1
        for size in each["sizes"]:
            count *= size
        at = _up(at, min(aligned, kind.bytes)) + count * kind.bytes
        widest = max(widest, min(aligned, kind.bytes))
    members = [(each["type"].bytes, each["length"]) for each in sums]
    members += [(4, context["sum_words"])] if device.words else []
    own = max(min(aligned, size) for size, _ in members)
    whole = _up(_up(at, own) + _up(max(size * length for size, length in members), own), max(own, widest))
    return at, whole - at


def _up(value: int, unit: int) -> int:
    return -(-value // unit) * unit
