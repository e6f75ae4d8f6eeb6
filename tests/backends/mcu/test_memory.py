"""The memory that the compiler states is what the linker gives, and what does not fit is said in numbers."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from snncc import chip as chips
from snncc.analysis.proof import prove
from snncc.backends.base import Footprint, Job
from snncc.backends.c.mcu.memory import fits, footprint
from snncc.chip import Chip, Figure
from snncc.diagnostics import CompileError
from snncc.integers import Network, Source
from snncc.linear import Dense
from tests.backends.c_helpers import chained, lif, rich, small
from tests.backends.mcu.devices import each_device, emitted, needs, place

PROGRAM = """#include "network.h"
snn_state state; snn_input x[SNN_INPUTS];
int main(void) { snn_init(&state); snn_step(&state, x); return (int)OUTPUT(&state)[0]; }
"""


def taken(network: Network, chip: Chip) -> Footprint:
    return footprint(Job("a model", network, prove(network, 12), chip))


def linked(network: Network, chip: Chip, folder: Path) -> dict[str, int]:
    """The linker's figures: the bytes of the constant arrays, of the state, and of all that lies in flash."""
    files = emitted(network, chip)
    place(files, folder)
    output = re.findall(r"\*(snn_output_\w+)\(", files["network.h"].decode())[0]
    (folder / "main.c").write_text(PROGRAM.replace("OUTPUT", output))
    assert chip.compiler
    flags = [*chip.compiler.flags, "-Wl,--gc-sections", "-Wl,--entry=main", "-nostartfiles"]
    subprocess.run([chip.compiler.command, *flags, "network.c", "main.c", "-o", "p.elf"], cwd=folder, check=True)
    prefix = chip.compiler.command.removesuffix("gcc")
    named = subprocess.run([f"{prefix}nm", "-S", "p.elf"], cwd=folder, check=True, capture_output=True, text=True)
    symbols = {parts[3]: int(parts[1], 16) for line in named.stdout.splitlines() if len(parts := line.split()) == 4}
    sized = subprocess.run([f"{prefix}size", "p.elf"], cwd=folder, check=True, capture_output=True, text=True)
    text, data = map(int, sized.stdout.splitlines()[1].split()[:2])
    arrays = re.findall(r"^static const \S*\s*\w+ (snn_\w+)\[", files["network.c"].decode(), re.MULTILINE)
    assert arrays
    constants = sum(symbols.get(name, 0) for name in arrays)  # small ones become instructions
    return {"constants": constants, "state": symbols["state"], "flash": text + data - symbols["main"]}


@each_device
@pytest.mark.parametrize("make", [small, rich])
def test_it_is_the_linkers_figure(name: str, make: object, tmp_path: Path) -> None:
    assert callable(make)
    network, chip = make(), chips.load(name)
    found, real = taken(network, chip), linked(network, chip, tmp_path)
    part = {each.name: each for each in found.sections}
    assert part["weights"].bytes + part["tables"].bytes == real["constants"]
    assert part["state"].bytes + part["sums"].bytes == real["state"]
    assert part["code"].how == "measured"
    assert part["code"].bytes == pytest.approx(real["flash"] - real["constants"], rel=0.1)


@needs("cortex-m4")
def test_code_is_estimated_without_the_compiler_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    chip = chips.load("cortex-m4")
    measured = {each.name: each for each in taken(small(), chip).sections}
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "which", lambda command: None)
        estimated = {each.name: each for each in taken(small(), chip).sections}
    assert {name for name, each in estimated.items() if each.how == "estimated"} == {"code", "stack"}
    assert estimated["code"].bytes == pytest.approx(measured["code"].bytes, rel=0.5)
    assert all(estimated[name] == each for name, each in measured.items() if name not in ("code", "stack"))


@needs("cortex-m4")
def test_a_compiler_that_fails_is_no_compiler_that_is_missing() -> None:
    chip = chips.load("cortex-m4")
    assert chip.compiler
    broken = replace(chip, compiler=replace(chip.compiler, flags=("-mcpu=cortex-m99",)))
    with pytest.raises(CompileError) as found:
        taken(small(), broken)
    (said,) = found.value.diagnostics
    assert (said.rule, said.where) == ("compiler-failed", "cortex-m4")
    assert "gcc -mcpu=cortex-m99 cannot build the program: " in said.message


@needs("avr")
def test_what_no_linker_takes_is_estimated_and_said_to_be_too_large() -> None:
    chip = chips.load("avr")
    network = chained(Source((40_000,)), {"h": (Dense(np.ones((1, 40_000), np.int64)), lif((1,)))})
    assert {each.rule for each in fits(network, prove(network), chip)} == {"flash-too-small", "ram-too-small"}


def tight(flash: int, ram: int) -> Chip:
    chip = chips.load("cortex-m0plus")
    assert chip.device
    return replace(chip, device=replace(chip.device, flash=Figure(flash, "test"), ram=Figure(ram, "test")))


def wide() -> Network:
    weight = np.tile(np.arange(-127, 128, 2), (100, 1))[:, :100]
    return chained(Source((100,)), {"h": (Dense(weight), lif((100,)))})


def test_what_does_not_fit_is_said_in_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda command: None)
    network = wide()
    chip = tight(8192, 512)
    flash, ram = fits(network, prove(network), chip)
    assert flash.rule == "flash-too-small"
    assert flash.where == "to h"
    code = next(each.bytes for each in taken(network, chip).sections if each.name == "code")
    needed = 10_000 + code
    assert flash.message == (
        f"needs {needed:,} bytes of flash (weights 10,000, tables 0, code {code}); cortex-m0plus has 8,192: "
        f"{needed - 8192:,} too many"
    )
    assert flash.hint == (
        f"compile with --weight-bits 4; train with {1 - (needed - 8192) / 10_000:.0%} of the weights; choose avr or "
        "cortex-m0plus or cortex-m4 or cortex-m7 or riscv32"
    )
    assert (ram.rule, ram.where) == ("ram-too-small", "h")
    assert ram.message == (
        "needs 960 bytes of RAM (state 500, sums 200, input 100, stack 160); cortex-m0plus has 512: 448 too many"
    )
    assert ram.hint == "choose avr or cortex-m0plus or cortex-m4 or cortex-m7 or riscv32"


def test_what_fits_is_not_spoken_of() -> None:
    network = small()
    assert list(fits(network, prove(network), chips.load("cortex-m0plus"))) == []
    assert list(fits(network, prove(network), chips.load("host"))) == []
