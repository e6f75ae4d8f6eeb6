"""The bytes of a network's constants and of its state, as C lays them out on a device."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from snncc.backends.c.learning import learnt_members
from snncc.backends.c.plan import Plan
from snncc.backends.c.widths import CType
from snncc.device import Device

Member = tuple[CType, int]  # a type, and how many of them
_WEIGHTS = ("weight", "entry")
_BYTE = CType(8, signed=False)


def constants(plan: Plan) -> tuple[int, int]:
    """The bytes of the weights, and of all other constant arrays."""
    links = [link for step in plan.steps for link in step.links]
    of_weights = {
        link.compiled.tables[role].name for link in links for role in _WEIGHTS if role in link.compiled.tables
    }
    sizes = {each.name: each.type.bytes * each.length for each in plan.tables}
    weights = sum(sizes[name] for name in of_weights)
    return weights, sum(sizes.values()) - weights


def learnt_size(context: Mapping[str, Any], device: Device) -> int:
    """The bytes of `snn_learnt`, 0 where nothing learns."""
    members = learnt_members(context)
    return sum(struct_bytes(members, [(_BYTE, 0)], _aligned(device))) if members else 0


def state_bytes(context: Mapping[str, Any], device: Device) -> tuple[int, int]:
    """The bytes of `snn_state` but for its union of sums, and those of the union with what aligns the struct."""
    learnt = learnt_size(context, device)
    begun = [(CType(32, signed=False), learnt // 4), (_BYTE, learnt % 4), (CType(32, signed=False), 1)]
    fields = begun if learnt else []
    fields += [(each["type"], math.prod(each["sizes"])) for each in context["fields"]]
    sums = [(each["type"], each["length"]) for each in context["sums"]]
    sums += [(CType(32, signed=True), context["sum_words"])] if device.words else []
    return struct_bytes(fields, sums, _aligned(device))


def _aligned(device: Device) -> int:
    """The greatest alignment of a type."""
    return 1 if device.word_bits < 32 else 8


def struct_bytes(fields: Sequence[Member], union: Sequence[Member], aligned: int) -> tuple[int, int]:
    """The bytes of a struct's fields, and of the union behind them with what aligns the struct.

    A type of the machine is aligned to its own size, to `aligned` bytes at most.
    """
    at, widest = 0, 1
    for kind, count in fields:
        at = _up(at, min(aligned, kind.bytes)) + count * kind.bytes
        widest = max(widest, min(aligned, kind.bytes))
    own = max(min(aligned, kind.bytes) for kind, _ in union)
    most = max(kind.bytes * length for kind, length in union)
    whole = _up(_up(at, own) + _up(most, own), max(own, widest))
    return at, whole - at


def _up(value: int, unit: int) -> int:
    return -(-value // unit) * unit
