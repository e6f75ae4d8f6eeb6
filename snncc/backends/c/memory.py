"""What a network takes of this computer's memory as a C program: its constants and one state, to the byte."""

from __future__ import annotations

import math

from snncc.backends.base import Footprint, Job, Section
from snncc.backends.c.emit import context_of
from snncc.backends.c.mcu.sizes import constants, struct_bytes
from snncc.backends.c.plan import Plan
from snncc.backends.c.tables import store

_ALIGNED = 8  # bytes to which 64-bit machines align their widest integers


def footprint(job: Job) -> Footprint:
    """The sections of `network.c` and of one `snn_state`; a computer's memories have no bounds worth naming."""
    plan = Plan(job.network, job.proof)
    context = context_of(job, plan, store(plan.tables))
    weights, tables = constants(plan)
    fields = [(each["type"], math.prod(each["sizes"])) for each in context["fields"]]
    sums = [(each["type"], each["length"]) for each in context["sums"]]
    state, rest = struct_bytes([*fields, (plan.event, context["events"])], sums, _ALIGNED)
    sections = (
        Section("constants", "weights", weights, "exact"),
        Section("constants", "tables", tables, "exact"),
        Section("state", "state", state, "exact"),
        Section("state", "sums", rest, "exact"),
    )
    return Footprint(sections, {})
