"""What the linker says of memories that are too small, in numbers and all at once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from snncc import chip as chips
from snncc.backends.c.mcu.linking import overflows
from snncc.chip import Chip
from snncc.diagnostics import CompileError
from snncc.fabric import Figure
from tests.backends.c_helpers import inputs, small
from tests.backends.mcu.devices import needs, ran

HINT = (
    "the network by itself fits; run samples on a copy of the target's file with more of it, as far as the emulator's "
    "board has it, or choose a larger target"
)


def tight(name: str, flash: int, ram: int) -> Chip:
    chip = chips.load(name)
    assert chip.device
    return replace(chip, device=replace(chip.device, flash=Figure(flash, "test"), ram=Figure(ram, "test")))


@pytest.mark.parametrize(
    ("name", "flash", "ram"),
    [
        pytest.param(name, *sizes, marks=needs(name))
        for name, *sizes in (("cortex-m4", 3000, 300), ("riscv32", 3000, 300))
    ],
)
def test_every_memory_is_said_at_once(name: str, flash: int, ram: int) -> None:
    network = small()
    with pytest.raises(CompileError) as caught:
        ran(network, tight(name, flash, ram), *inputs(network))
    first, second = caught.value.diagnostics
    assert [first.rule, second.rule] == ["flash-too-small", "ram-too-small"]
    assert first.hint == second.hint == HINT
    assert first.message.startswith("the program that runs samples, which moves data besides, needs ")
    assert f"bytes of flash; {name} has {flash:,}: " in first.message
    assert f"bytes of RAM; {name} has {ram:,}: " in second.message


def test_what_each_linker_says() -> None:
    arm = "ld: region `FLASH' overflowed by 1448 bytes\nld: region `RAM' overflowed by 90 bytes\n"
    assert [each.message.split(", ")[-1] for each in overflows(arm, tight("cortex-m4", 12_400, 1450))] == [
        "needs 13,848 bytes of flash; cortex-m4 has 12,400: 1,448 too many",
        "needs 1,540 bytes of RAM; cortex-m4 has 1,450: 90 too many",
    ]
    avr = "ld: region `text' overflowed by 1466 bytes\n"
    avr += "ld: address 0x800a00 of x.elf section `.bss' is not within region `data'"
    assert [each.message.split(", ")[-1] for each in overflows(avr, chips.load("avr"))] == [
        "needs 34,234 bytes of flash; avr has 32,768: 1,466 too many",
        "needs 2,304 bytes of RAM; avr has 2,048: 256 too many",
    ]
    (stack,) = overflows("ld: RAM leaves too little for the stack", chips.load("cortex-m4"))
    assert stack.message.endswith("leaves less than 512 bytes of RAM for its stack")
    assert overflows("error: unknown type name 'snn_sate'", chips.load("cortex-m4")) == ()
