"""Counts what the steps of a network take in an emulator: QEMU's instructions by a plugin, or a timer's cycles."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from snncc.arrays import Ints
from snncc.backends.c.building import Build, built
from snncc.backends.c.mcu.artefact import device_of
from snncc.chip import Chip
from snncc.diagnostics import fault

NEURONS = 31  # the slot of a population's neurons
SLOTS = 32
_KINDS = (
    (re.compile(r"snn_step|snn_drain"), "t"),
    (re.compile(r"add_(rows|targets|walk|each|lateral|plastic)_.*(?<!_span)(?<!_batch)"), "k"),
    (re.compile(r"update_.*"), "n"),
    (re.compile(r"snn_decide"), "d"),
    (re.compile(r"snn_finish"), "f"),
)
_OUTSIDE = re.compile(
    r"main|fail|take|number|flush|put\w*|read_frame|measured|step|all_active|drain|is_decided|run_sample|board_\w+|call"
)


@dataclass(frozen=True, eq=False)
class Counted:
    """Of all steps of a run: `at` (1 + populations, slots), slot 0 being what comes before a population's synapses.

    Row 0 is what comes before the first population, and what a network that learns does after a sample; `total` has
    that, too. `worst` is the greatest number of one step, 0 where unknown.
    """

    total: int
    worst: int
    steps: int
    at: Ints


def counter_options(build: Build, chip: Chip, folder: Path) -> list[str]:
    """The emulator's options that make it count, with what they need in `folder`; none where the program counts.

    Raises CompileError: `no-compiler` if this computer cannot build the plugin.
    """
    device = device_of(chip)
    if device.emulator.counts != "instructions":
        return []
    lines = [f"{begin:x} {size:x} {kind} {number}" for begin, size, kind, number in _regions(build, chip)]
    (folder / "regions.txt").write_text("\n".join(lines) + "\n")
    return ["-plugin", f"{plugin()},regions=regions.txt,counts=counts.txt"]


def count(folder: Path, cycles: Sequence[int], steps: int) -> Counted:
    """What was counted in a run: by the plugin, which left `counts.txt`, or by the program itself, in `cycles`."""
    path = folder / "counts.txt"
    if not path.is_file():
        at = np.zeros((max(1, len(cycles)), SLOTS), np.int64)
        at[1:, 0] = cycles[1:]
        return Counted(cycles[0] if cycles else 0, 0, steps, at)
    named: dict[str, int] = {}
    rows: list[tuple[int, int, int]] = []
    for line in path.read_text().splitlines():
        key, *numbers = line.split()
        if key == "at":
            rows.append((int(numbers[0]), int(numbers[1]), int(numbers[2])))
        else:
            named[key] = int(numbers[0])
    at = np.zeros((1 + max((row[0] for row in rows), default=0), SLOTS), np.int64)
    for population, slot, number in rows:
        at[population, slot] = number
    return Counted(named["total"], named["worst"], named["steps"], at)


def _regions(build: Build, chip: Chip) -> list[tuple[int, int, str, int]]:
    """Address, size, kind and number of every function of a program, as the plugin wants them."""
    found: list[tuple[int, int, str, int]] = []
    order = populations(build)
    for name, (begin, size) in functions(build.folder / "network.elf", chip).items():
        kind, number = "o", 0
        if name.removeprefix("step_") in order and name.startswith("step_"):
            kind, number = "p", 1 + order.index(name.removeprefix("step_"))
        elif _OUTSIDE.fullmatch(name):
            kind = "x"
        else:
            kind = next((kind for pattern, kind in _KINDS if pattern.fullmatch(name)), "o")
        found.append((begin, size, kind, number))
    return found


def populations(build: Build) -> list[str]:
    """The identifiers of the populations, in the order of a step."""
    code = (build.folder / "network.c").read_text()
    return re.findall(r"^static void SNN_NOINLINE step_(\w+)\(snn_state", code, re.MULTILINE)


def functions(program: Path, chip: Chip) -> Mapping[str, tuple[int, int]]:
    """The address and the size of each function, without what the compiler appends to names of its variants."""
    found: dict[str, tuple[int, int]] = {}
    for line in tool_output(chip, "nm", "--print-size", str(program)).splitlines():
        parts = line.split()
        if len(parts) == 4 and parts[2] in "tTwW":
            found[parts[3].split(".")[0]] = int(parts[0], 16), int(parts[1], 16)
    return found


def instructions(program: Path, chip: Chip) -> Mapping[str, int]:
    """How many instructions each function consists of."""
    found: dict[str, int] = {}
    name = ""
    for line in tool_output(chip, "objdump", "-d", "--no-show-raw-insn", str(program)).splitlines():
        head = re.fullmatch(r"[0-9a-f]+ <([^>]+)>:", line)
        if head:
            name = head[1].split(".")[0]
        elif re.match(r"\s*[0-9a-f]+:\s+(?!\.(word|short|byte))\w", line):
            found[name] = found.get(name, 0) + 1
    return found


def tool_output(chip: Chip, tool: str, *arguments: str) -> str:
    """What a tool beside the chip's compiler prints; raises CompileError (`no-compiler`, `compiler-failed`)."""
    assert chip.compiler
    name = chip.compiler.command.removesuffix("gcc") + tool
    command = shutil.which(name)
    if command is None:
        message = f"measuring a program needs {name!r}, which belongs to its compiler and is not installed"
        raise fault("no-compiler", chip.name, message, chip.compiler.install or f"install {name}")
    done = subprocess.run(  # noqa: S603  found beside the compiler
        [command, *arguments], capture_output=True, text=True, errors="replace", check=False
    )
    if done.returncode:
        said = " ".join(done.stderr.split()) or f"exit status {done.returncode}"
        raise fault("compiler-failed", chip.name, f"{name} cannot read the program: {said}", "install it anew")
    return done.stdout


def plugin() -> Path:
    """QEMU's plugin, built with this computer's compiler."""
    command = shutil.which("cc") or shutil.which("gcc")
    if command is None:
        raise fault("no-compiler", "counter.c", "counting instructions needs a C compiler", "apt-get install gcc")
    code = Path(__file__).with_name("counter.c").read_bytes()
    build = built(command, ("-O2", "-shared", "-fPIC", "-o", "counter.so", "counter.c"), (("counter.c", code),))
    if build.said:
        raise fault("compiler-failed", "counter.c", f"{command} cannot build QEMU's plugin: {build.said}")
    return build.folder / "counter.so"
