"""What the templates need of a network that learns, beside its plastic groups: arrays that outlive samples."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

from snncc.backends.c.neurons import Field, compacted
from snncc.backends.c.plan import Plan, Step
from snncc.backends.c.widths import INT32, INT64, CType, literal, magnitude

_HEAD = 20  # bytes of a saved file before its arrays


def begun(plan: Plan) -> list[Field]:
    """The arrays of neurons that do not begin with zero."""
    return [each for step in plan.steps for each in step.neurons.fields if each.initial or each.initial_table]


def learning(plan: Plan) -> Mapping[str, Any]:
    """The words of the templates; there are no lessons and no fading thresholds where nothing learns."""
    arrays: list[dict[str, Any]] = [
        {"name": f"{p.ident}_cells", "type": p.cells.type, "length": p.cells.length} for p in plan.lessons
    ]
    learnt = [(step, each) for step in plan.steps for each in step.neurons.fields if each.learnt]
    arrays += [{"name": each.name, "type": each.type, "length": each.length} for _, each in learnt]
    return {
        "learning": bool(arrays),
        "lessons": plan.lessons,
        "learnt_fields": arrays,
        "learnt_members": sorted(arrays, key=lambda each: -each["type"].bytes),
        "fading": [_fading(step, each) for step, each in learnt],
        "learnt_bytes": _HEAD + sum(each["length"] * each["type"].bytes for each in arrays),
        "rewarded": max([0, *(p.rule.reward for p in plan.lessons)]),
        "reward_depth": _reward_depth(plan),
        "identity": zlib.crc32(plan.network.text().encode()),
        "caps": any(not each.latest for p in plan.lessons for each in p.traces),
        "divided": list(dict.fromkeys(p.wide for p in plan.lessons if any(term.per for term in p.terms))),
    }


def _reward_depth(plan: Plan) -> int:
    """How many rewards are kept, as populations that start late get theirs late; 0 where none does."""
    return 1 + plan.last_start if plan.windows and any(p.rule.reward for p in plan.lessons) else 0


def learnt_members(words: Mapping[str, Any]) -> list[tuple[CType, int]]:
    """The members of `snn_learnt` on a device, in its order; none where nothing learns. `words` are the templates'."""
    if not words["learning"]:
        return []
    numbers = [(CType(32, signed=False), 1 + bool(words["rewarded"]))]
    arrays = [(each["type"], each["length"]) for each in words["learnt_members"]]
    return [*numbers, *arrays, (CType(8, signed=False), 1)]


def trace_fields(plan: Plan) -> list[tuple[str, CType, tuple[int, ...]]]:
    """The arrays of the state that rules need: traces, the steps of the sample so far, targets to be normalised."""
    fields: list[tuple[str, CType, tuple[int, ...]]] = []
    if _reward_depth(plan):
        fields.append(("rewards", INT32, (_reward_depth(plan),)))
    for p in plan.lessons:
        sizes = {"pre": p.sources, "post": p.targets}
        fields += [(f"{p.ident}_age", CType(32, signed=False), ())]
        fields += [(each.name, each.type, (sizes[each.side],)) for each in p.traces]
        fields += [(f"{p.ident}_spiked", CType(8, signed=False), (p.targets,))] * p.marks
    return fields


def trace_bytes(plan: Plan) -> int:
    """The bytes of all traces, and of those that say which targets spiked."""
    sides = {p.ident: {"pre": p.sources, "post": p.targets} for p in plan.lessons}
    marks = sum(p.targets for p in plan.lessons if p.marks)
    return marks + sum(each.type.bytes * sides[p.ident][each.side] for p in plan.lessons for each in p.traces)


def _fading(step: Step, field: Field) -> Mapping[str, Any]:
    """The decay of a learnt adaptation at the end of a sample."""
    adapt = step.op.adapt
    assert adapt
    per, amount = compacted(adapt.decay.amount, step.op.shape, step.neurons.layout)
    assert per == "population", "validate refuses others"
    widest = magnitude((adapt.register.lo, adapt.register.hi)) << adapt.decay.bits
    return {
        "name": field.name,
        "type": field.type,
        "length": field.length,
        "rounding": adapt.decay.rounding,
        "product": INT32 if widest < 1 << 30 else INT64,
        "factor": literal((1 << adapt.decay.bits) - int(amount[0])),
        "bits": adapt.decay.bits,
    }
