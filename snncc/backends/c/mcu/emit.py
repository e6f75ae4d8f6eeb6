"""Writes a network for a microcontroller: one C file, one header, and what builds, runs and tests them there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from snncc.analysis.proof import Proof
from snncc.backends.base import Job
from snncc.backends.c.calls import Calls
from snncc.backends.c.emit import context_of, render
from snncc.backends.c.mcu.artefact import device_of, example_sources, templates
from snncc.backends.c.mcu.linking import STACK
from snncc.backends.c.mcu.sizes import constants, state_bytes
from snncc.backends.c.mcu.synapses import PackedKernel, padding, synthesis
from snncc.backends.c.mcu.vectors import vectors
from snncc.backends.c.names import identifiers
from snncc.backends.c.plan import Link, Plan, Step
from snncc.backends.c.tables import Storage
from snncc.backends.c.widths import INT32, CType
from snncc.chip import Chip
from snncc.device import Device
from snncc.integers import Network

_ROLES = ("row", "row_out", "row_weight", "run", "run_out", "run_weight", "run_length")
_FLASH = "SNN_FLASH "


@dataclass(frozen=True)
class PackedCalls(Calls):
    """The calls of kernels that find the events themselves."""

    def listing(self, link: Link, values: str) -> list[str]:  # noqa: ARG002  theirs list nothing
        return []

    def synapse(self, link: Link, listed: str | None) -> tuple[Mapping[str, Any], str | None]:
        """Sums of pairs that are not 0 are told to borrow, before another kernel adds to them."""
        spelled, key = super().synapse(link, listed)
        step = self.step_of(link)
        if carries(step, link):
            carry = f"snn_carry({self.sums(link)}, {padded_sums(step) // 2});"
            spelled = {**spelled, "prepare": [*spelled["prepare"], carry]}
        return spelled, key

    def step_of(self, link: Link) -> Step:
        return next(step for step in self.plan.steps if link in step.links)

    def kernel(self, link: Link, values: str) -> str:
        compiled, tables = link.compiled, link.compiled.tables
        if compiled.kernel.form == "lateral":
            return self.lateral(link, values)
        if link.lesson:
            return f"add_plastic_{link.ident}(&s->learnt, {self.sums(link)}, {values});"
        tabled = {
            "rows": lambda: [tables["weight"].name, str(compiled.targets)],
            "targets": lambda: [tables[role].name for role in ("first", "entry")],
            "walk": lambda: [f"&{link.ident}_walk", tables["weight"].name],
            "each": lambda: [tables["weight"].name, str(compiled.targets)],
        }[compiled.kernel.form]()
        sources = [] if compiled.kernel.form == "walk" else [str(link.sender.size)]
        scale = [str(compiled.scale)] * (compiled.scale > 1)
        return f"{compiled.kernel.name}({', '.join([self.sums(link), *tabled, values, *sources, *scale])});"


def plan_for(network: Network, proof: Proof, chip: Chip) -> Plan:
    """The plan of a network on a chip's device."""
    device = device_of(chip)
    return Plan(network, proof, synthesis(device), 16 if device.words else 8)


def emit(job: Job) -> Mapping[str, bytes]:
    """The artefact's files by relative path; the same job gives the same bytes."""
    plan, device = plan_for(job.network, job.proof, job.chip), device_of(job.chip)
    context = {**context_for(job, plan), **vectors(plan, job.vectors), **_project(job, plan)}
    files = templates(device, context["arduino_name"] if job.layout == "arduino" else "")
    return {name: render(f"mcu/{template}", context) for name, template in files.items()}


def _project(job: Job, plan: Plan) -> Mapping[str, Any]:
    """The words of the files around the code."""
    device, compiler = device_of(job.chip), job.chip.compiler
    assert compiler
    context = context_for(job, plan)
    weights, tables = constants(plan)
    (name,) = identifiers([f"snn_{job.title}"]).values()
    return {
        "arduino": job.layout == "arduino",
        "arduino_name": name,
        "compiler": compiler.command,
        "compiler_flags": " ".join(compiler.flags),
        "example_sources": example_sources(device),
        "linker_script": device.emulator.channel == "semihosting",
        "weights_bytes": weights,
        "table_bytes": tables,
        "state_bytes": sum(state_bytes(context, device)),
    }


def context_for(job: Job, plan: Plan) -> Mapping[str, Any]:
    """The words of the templates for a device."""
    device = device_of(job.chip)
    base = context_of(job, plan, Storage(plan.tables, ()), PackedCalls)
    index = index_type(plan, device)
    walks = [_walk(step, link) for step in plan.steps for link in step.links if link.compiled.walk]
    senders = [step.sender for step in plan.steps]
    senders += [plan.senders[plan.source_name]] * plan.copied
    padded = {f"{step.neurons.ident}_acc": padded_sums(step) for step in plan.steps}
    return {
        **base,
        "words": device.words,
        "family": device.family,
        "clocked": device.emulator.counts == "cycles",
        "painted": 256 if device.word_bits < 32 else 1024,
        "buffer": 16 if device.word_bits < 32 else 256,
        "flash_origin": device.emulator.flash,
        "ram_origin": device.emulator.ram,
        "flash_bytes": int(device.flash.value),
        "ram_bytes": int(device.ram.value),
        "stack_bytes": STACK,
        "progmem": "progmem" in device.features,
        "flash": _FLASH if "progmem" in device.features else "",
        "noinline": "SNN_NOINLINE ",
        "branches": True,
        "listed": False,
        "carries": any(carries(step, link) for step in plan.steps for link in step.links),
        **_arithmetic(base, device),
        "index": index.name,
        "fields": sorted(base["fields"], key=lambda each: -each["type"].bytes),
        "sums": [{**each, "length": padded[each["name"]]} for each in base["sums"]],
        "sum_words": max([1, *(sum_bytes(step) // 4 for step in plan.steps)]),
        "text": list(plan.tables),
        "walks": walks,
        "sent_arrays": [{"pointer": f"state.{each.array}", "byte": 1} for each in senders],
        "walk_types": list(dict.fromkeys(each["type"] for each in walks)),
    }


def _arithmetic(base: Mapping[str, Any], device: Device) -> Mapping[str, Any]:
    """The helpers of neurons' equations: `held` are the types in which halves, for rounding, are kept in registers.

    `narrowed` are the bits of registers whose saturation is an instruction of some cores.
    """
    held = (INT32,) if device.words else ()
    fading = [(each["rounding"], each["product"]) for each in base["fading"]]
    fits = {(each.fit, kind.wide) for _, kind, _ in base["kinds"] for each in kind.stages.values() if each.fit}
    narrow = {(fit, wide) for fit, wide in fits if fit.how == "saturate" and fit.bits and wide == INT32}
    return {
        "held": held,
        "rounds": any(how == "nearest" and product in held for how, product in base["decays"]),
        "narrowed": sorted({fit.bits for fit, _ in narrow}),
        "decays": [each for each in base["decays"] if each[0] != "nearest" or each[1] not in held or each in fading],
        "fits": sorted({(fit.how, wide) for fit, wide in fits - narrow}, key=str),
        "counts": (),
    }


def carries(step: Step, link: Link) -> bool:
    """Whether a synapse's kernel adds pairs of sums to what another one left."""
    kernel = link.compiled.kernel
    return isinstance(kernel, PackedKernel) and kernel.corrected and link is not step.links[0]


def padded_sums(step: Step) -> int:
    """How many sums a population has, with those that kernels add to besides its own."""
    units = [4 // step.neurons.kind.acc.bytes, 1, *(padding(link.compiled) for link in step.links)]
    most = max(-(-step.neurons.layout.size // unit) * unit for unit in units)
    return -(-most // units[0]) * units[0] if units[0] else most


def sum_bytes(step: Step) -> int:
    return padded_sums(step) * step.neurons.kind.acc.bytes


def index_type(plan: Plan, device: Device) -> CType:
    """The type that counts neurons, sums and units of weights."""
    sizes = [each.size * each.depth for each in plan.senders.values()]
    most = max([*sizes, *(padded_sums(step) for step in plan.steps), *(each.length for each in plan.tables)])
    return CType(16 if device.word_bits < 32 and most < 1 << 16 else 32, signed=False)


def _walk(step: Step, link: Link) -> Mapping[str, Any]:
    walk = link.compiled.walk
    assert walk
    words = padded_sums(step) // 2
    numbers = [walk.channels, walk.height, walk.width, walk.filter, walk.group_inputs, walk.group_outputs, words]
    kind = link.compiled.kernel.target
    return {
        "ident": link.ident,
        "type": kind,
        "numbers": numbers,
        "roles": [link.compiled.tables[role].name for role in _ROLES],
    }
