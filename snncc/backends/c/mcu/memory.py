"""What a network takes of a device's flash and RAM, section by section, and what does not fit.

Constants and state are as C lays them out, to the byte. Code and stack are measured with the device's compiler where
it is installed, and else estimated from the length of the generated code; each figure says which.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from snncc import chip as chips
from snncc.analysis.proof import Proof
from snncc.backends.base import Footprint, Job, Section
from snncc.backends.c.building import compiled, no_room
from snncc.backends.c.emit import render
from snncc.backends.c.learning import trace_bytes
from snncc.backends.c.mcu.artefact import device_of
from snncc.backends.c.mcu.counting import tool_output
from snncc.backends.c.mcu.emit import context_for, plan_for
from snncc.backends.c.mcu.sizes import constants, learnt_size, state_bytes
from snncc.chip import Chip
from snncc.device import Device
from snncc.diagnostics import CompileError, Diagnostic
from snncc.integers import Network

_TOKEN = re.compile(r"\w+|[^\w\s(){},;]+")
_LEVELS = (
    *(r"snn_(step|drain|reset|init|finish)", r"step_.*|advance"),
    *(
        r"(add|update|gather|learn|normalise)_.*(?<!_span)(?<!_batch)|snn_(carry|settle)",
        r"add_.*_(span|batch)|few_events",
    ),
)
_KEEPS = "snn_memory memory = {0}; snn_finish(&state); snn_load(&state, &memory), snn_save(&state, &memory);"
_STUB = """#include "network.h"
static snn_state state;
static snn_input x[SNN_INPUTS];
int main(void);
int main(void)
{
    snn_init(&state);
    snn_step(&state, x);
    SNN_ANY_MEMORY
    return (int)SNN_ANY_OUTPUT(&state)[0];
}
"""


def footprint(job: Job) -> Footprint:
    """The sections of a network's program on a device, and what there is of each memory."""
    device, plan = device_of(job.chip), plan_for(job.network, job.proof, job.chip)
    context = context_for(job, plan)
    weights, tables = constants(plan)
    state, sums = state_bytes(context, device)
    source: Mapping[str, Any] = context["source"]
    read = source["size"] * source["type"].bytes
    measured = _measured(job.chip, context, weights + tables, state + sums + read)
    code, stack, how = measured or _estimated(context, device)
    learnt, traces = learnt_size(context, device), trace_bytes(plan)
    sections = (
        Section("flash", "weights", weights, "exact"),
        Section("flash", "tables", tables, "exact"),
        Section("flash", "code", code, how),
        *[Section("ram", "learnt", learnt, "exact", plastic=True)] * bool(learnt),
        *[Section("ram", "traces", traces, "exact", plastic=True)] * bool(traces),
        Section("ram", "state", state - learnt - traces, "exact"),
        Section("ram", "sums", sums, "exact"),
        Section("ram", "input", read, "exact"),
        Section("ram", "stack", stack, how),
    )
    return Footprint(sections, {"flash": int(device.flash.value), "ram": int(device.ram.value)})


def _measured(chip: Chip, context: Mapping[str, Any], constant: int, memory: int) -> tuple[int, int, str] | None:
    """The bytes of code and of stack as the device's compiler makes them, None if it is not installed.

    None as well where it does not link what is larger than the device. Raises CompileError: `compiler-failed`,
    `cannot-write`; an estimate in its place would be another figure for the same network.
    """
    compiler = chip.compiler
    if compiler is None or shutil.which(compiler.command) is None:
        return None
    output = context["outputs"][0]["ident"]
    stub = _STUB.replace("SNN_ANY_MEMORY", _KEEPS if context["learning"] else "")
    files = {
        "network.h": render("mcu/network.h", context),
        "network.c": render("mcu/network.c", context),
        "stub.c": stub.replace("SNN_ANY_OUTPUT", f"snn_output_{output}").encode(),
    }
    linking = ("-Wl,--gc-sections", "-Wl,--entry=main", "-nostartfiles", "-fstack-usage")
    try:
        build = compiled(chip, (*linking, "network.c", "stub.c", "-o", "stub.elf"), tuple(files.items()))
    except OSError as error:
        raise no_room(error) from error
    except CompileError:
        device = device_of(chip)
        if constant > device.flash.value or memory > device.ram.value:
            return None
        raise
    program = build.folder / "stub.elf"
    flash = sum(_sections(chip, program).values()) - _sizes(chip, program).get("main", 0)
    usage = next(iter(build.folder.glob("*network.su")), None)
    return flash - constant, _stack(usage, device_of(chip)), "measured"


def _sections(chip: Chip, program: Path) -> Mapping[str, int]:
    """The sections of a program that lie in flash."""
    found: dict[str, int] = {}
    for line in tool_output(chip, "size", "-A", str(program)).splitlines():
        parts = line.split()
        if len(parts) == 3 and re.match(r"\.(text|rodata|data|srodata|sdata|progmem)", parts[0]):
            found[parts[0]] = int(parts[1])
    return found


def _sizes(chip: Chip, program: Path) -> Mapping[str, int]:
    """The bytes of each symbol."""
    lines = tool_output(chip, "nm", "--print-size", str(program)).splitlines()
    parts = [line.split() for line in lines]
    return {each[3]: int(each[1], 16) for each in parts if len(each) == 4}


def _stack(usage: Path | None, device: Device) -> int:
    """The deepest chain of calls: a step, a population, a kernel, its batch, and what the compiler's library takes."""
    frames: dict[str, int] = {}
    for line in usage.read_text().splitlines() if usage else ():
        place, size, _ = line.split("\t")
        frames[place.split(":")[-1].split(".")[0]] = int(size)
    call = 2 if device.word_bits < 32 else 0  # the return address, where the compiler leaves it out
    depth = int(device.library_stack.value)
    for level in _LEVELS:
        depth += max((call + size for name, size in frames.items() if re.fullmatch(level, name)), default=0)
    return depth


def _estimated(context: Mapping[str, Any], device: Device) -> tuple[int, int, str]:
    """Code by the number of its words and operators; the stack as the device's file has it."""
    text = render("mcu/network.c", {**context, "text": ()}).decode()
    tokens = len(_TOKEN.findall(re.sub(r"/\*(?s:.*?)\*/|#.*", "", text)))
    return round(tokens * device.code_per_token.value), int(device.usual_stack.value), "estimated"


def fits(network: Network, proof: Proof, chip: Chip) -> Iterator[Diagnostic]:
    """Every memory of the device that is too small, by how much, and what would help."""
    if chip.device is None:
        return
    job = Job("network", network, proof, chip)
    taken = footprint(job)
    for memory, there in taken.there.items():
        parts = [each for each in taken.sections if each.memory == memory]
        needed = sum(each.bytes for each in parts)
        if needed > there:
            listed = ", ".join(f"{each.name} {each.bytes:,}" for each in parts)
            name = {"flash": "flash", "ram": "RAM"}[memory]
            message = (
                f"needs {needed:,} bytes of {name} ({listed}); {chip.name} has {there:,}: {needed - there:,} too many"
            )
            yield Diagnostic(f"{memory}-too-small", _largest(job, memory), message, _ways_out(taken, memory, job))


def _largest(job: Job, memory: str) -> str:
    """The op that takes the most."""
    plan = plan_for(job.network, job.proof, job.chip)
    if memory == "ram":
        learning = [(link.lesson.cells, link.name) for step in plan.steps for link in step.links if link.lesson]
        if learning:
            return max(learning, key=lambda each: each[0].length * each[0].type.bytes)[1]
        return max(plan.steps, key=lambda step: step.op.size).name
    links = [link for step in plan.steps for link in step.links]
    return max(links, key=lambda link: sum(each.bytes for each in link.compiled.tables.values())).name


def _ways_out(taken: Footprint, memory: str, job: Job) -> str:
    """Fewer bits, fewer weights, or another target."""
    ways: list[str] = []
    needed = taken.needed(memory)
    if memory == "flash":
        weights = sum(each.bytes for each in taken.sections if each.name == "weights")
        excess = needed - taken.there[memory]
        links = [link for step in _steps(job) for link in step.links]
        widest = max(link.compiled.kernel.bits for link in links)
        learns = any(link.lesson for link in links)  # those have the bits of their rules
        for bits in (4, 2):
            if bits < widest and weights * (1 - bits / widest) >= excess and not learns:
                ways.append(f"compile with --weight-bits {bits}")
                break
        ways += _narrower(taken, job, memory)
        if excess < weights:
            ways.append(f"train with {1 - excess / weights:.0%} of the weights")
    if memory == "ram":
        ways += _narrower(taken, job, memory)
    others = [chips.load(name) for name in chips.known()]
    rooms = [each.name for each in others if each.device and _room(each.device, taken)]
    ways += [f"choose {' or '.join(rooms)}"] if rooms else ["no shipped microcontroller has room"]
    return "; ".join(ways)


def _narrower(taken: Footprint, job: Job, memory: str) -> Iterator[str]:
    """Fewer bits for weights that learn, where these would fit; else the part of such weights that would."""
    cells = [link.lesson.cells for step in _steps(job) for link in step.links if link.lesson]
    excess, whole = taken.needed(memory) - taken.there[memory], sum(each.length * each.type.bytes for each in cells)
    for bits in (8, 4):
        spared = sum(each.length * each.type.bytes - (each.count * bits + 7) // 8 for each in cells if each.bits > bits)
        if spared >= excess:
            yield f"let the rule's weights have {bits} bits, guard bits included"
            return
    if memory == "ram" and excess < whole:
        yield f"learn with {1 - excess / whole:.0%} of the weights: fewer neurons"


def _steps(job: Job) -> Sequence[Any]:
    return plan_for(job.network, job.proof, job.chip).steps


def _room(device: Device, taken: Footprint) -> bool:
    return device.flash.value >= taken.needed("flash") and device.ram.value >= taken.needed("ram")
