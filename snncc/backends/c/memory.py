"""What a network takes of this computer's memory as a C program: its constants and one state, to the byte."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from snncc.backends.base import Footprint, Job, Section
from snncc.backends.c.emit import context_of
from snncc.backends.c.learning import trace_bytes
from snncc.backends.c.mcu.sizes import constants, struct_bytes
from snncc.backends.c.plan import Plan
from snncc.backends.c.tables import store
from snncc.backends.c.widths import CType

_U32, _BYTE = CType(32, signed=False), CType(8, signed=False)
_ALIGNED = 8  # bytes to which 64-bit machines align their widest integers


def footprint(job: Job) -> Footprint:
    """The sections of `network.c` and of one `snn_state`; a computer's memories have no bounds worth naming."""
    plan = Plan(job.network, job.proof)
    context = context_of(job, plan, store(plan.tables))
    weights, tables = constants(plan)
    fields = [(each["type"], math.prod(each["sizes"])) for each in context["fields"]]
    sums = [(each["type"], each["length"]) for each in context["sums"]]
    learnt, traces = _learnt(context), trace_bytes(plan)
    begun = [(_U32, learnt // _U32.bytes + 1)] * bool(learnt)  # the struct of what is learnt, then the step
    state, rest = struct_bytes([*begun, *fields, (plan.event, context["events"])], sums, _ALIGNED)
    sections = (
        Section("constants", "weights", weights, "exact"),
        Section("constants", "tables", tables, "exact"),
        *[Section("state", "learnt", learnt, "exact", plastic=True)] * bool(learnt),
        *[Section("state", "traces", traces, "exact", plastic=True)] * bool(traces),
        Section("state", "state", state - learnt - traces, "exact"),
        Section("state", "sums", rest, "exact"),
    )
    return Footprint(sections, {})


def _learnt(context: Mapping[str, Any]) -> int:
    """The bytes of `snn_learnt`, 0 where nothing learns; its widest members have 32 bits."""
    if not context["learning"]:
        return 0
    members = [(_U32, 1), *((each["type"], each["length"]) for each in context["learnt_fields"])]
    members += [(_U32, 1)] * bool(context["rewarded"])
    return sum(struct_bytes(members, [(_BYTE, 1)], _U32.bytes))
