"""Which files an artefact for a device has, and from which templates they come."""

from __future__ import annotations

from collections.abc import Mapping

from snncc.chip import Chip
from snncc.device import Device

_CODE = ("network.h", "network.c")
_PROJECT = (
    *("README.md", "CMakeLists.txt", "toolchain.cmake"),
    *("zephyr/module.yml", "zephyr/CMakeLists.txt", "zephyr/Kconfig"),
)
_BARE = ("board.h", "run.c", "selftest.h", "selftest.c", "selftest_main.c")


def device_of(chip: Chip) -> Device:
    """The device of a chip that `validate` has let through."""
    assert chip.device is not None
    return chip.device


def templates(device: Device, arduino: str = "") -> Mapping[str, str]:
    """The template of each file of an artefact; with `arduino` also those of a library of that name."""
    board = f"board_{device.emulator.channel}.c"
    files = {each: each for each in (*_CODE, *_PROJECT)} | {f"bare_metal/{each}": each for each in _BARE}
    files["bare_metal/board.c"] = board
    if device.emulator.channel == "semihosting":
        files |= {"bare_metal/startup.c": "startup.c", "bare_metal/link.ld": "link.ld"}
    if arduino:
        sketch = "examples/SelfTest"
        files |= {"library.properties": "library.properties", f"{arduino}.h": "arduino.h"}
        files |= {f"{sketch}/SelfTest.ino": "SelfTest.ino", f"{sketch}/selftest.c": "selftest.c"}
        files[f"{sketch}/selftest.h"] = "selftest.h"
    return files


def sources(device: Device) -> tuple[str, ...]:
    """The files that the program which runs samples is built from."""
    return tuple(name for name in templates(device) if name not in _PROJECT and "selftest" not in name)


def example_sources(device: Device) -> tuple[str, ...]:
    """The C files of the self-test, besides the network's."""
    return tuple(
        name
        for name in templates(device)
        if name.startswith("bare_metal/") and name.endswith(".c") and name != "bare_metal/run.c"
    )
