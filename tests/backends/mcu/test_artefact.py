"""The folder that is dropped into a project: it builds by CMake, as an Arduino library and as a module of Zephyr."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import snncc
from snncc import chip as chips
from snncc.analysis.proof import prove
from snncc.backends.base import Job
from snncc.backends.c.mcu import BACKEND, counting
from snncc.diagnostics import CompileError
from snncc.graph import Graph
from snncc.integers import Fire, Population
from snncc.program import Program
from tests.backends.c_helpers import rich, small
from tests.backends.mcu.devices import each_device, each_kind, emitted, needs, place

MODELS = Path(__file__).parents[3] / "models"
ARDUINO = """#pragma once
struct SerialPort { void begin(long) {} void print(const char *) {} };
static SerialPort Serial;
void setup();
void loop();
int main() { setup(); loop(); return 0; }
"""
ZEPHYR = """
set(CONFIG_SNN y)
function(zephyr_library_named name)
  message("library ${name}")
endfunction()
function(zephyr_library_sources)
  foreach(each ${ARGN})
    if(NOT EXISTS ${each})
      message(FATAL_ERROR "no ${each}")
    endif()
  endforeach()
endfunction()
function(zephyr_include_directories)
  message("include")
endfunction()
include(zephyr/CMakeLists.txt)
"""


def emulated(name: str, program: Path) -> str:
    device = chips.load(name).device
    assert device
    arguments = [each.replace("{program}", str(program)) for each in device.emulator.arguments]
    command = [device.emulator.command, *arguments]
    done = subprocess.run(command, cwd=program.parent, capture_output=True, text=True, check=False, timeout=60)
    return done.stdout + done.stderr


def built(folder: Path) -> Path:
    """The self-test, built by CMake."""
    options = ["-DCMAKE_TOOLCHAIN_FILE=toolchain.cmake", "-DSNN_EXAMPLES=ON"]
    for arguments in (["-B", "build", *options], ["--build", "build"]):
        done = subprocess.run(["cmake", *arguments], cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "warning" not in done.stderr
    return folder / "build" / "selftest.elf"


@each_kind
@pytest.mark.skipif(shutil.which("cmake") is None, reason="CMake is not installed")
def test_the_self_test_passes_and_finds_a_changed_weight(name: str, tmp_path: Path) -> None:
    network = small() if name == "avr" else rich()
    place(emitted(network, chips.load(name)), tmp_path)
    assert "PASSED" in emulated(name, built(tmp_path))
    code = (tmp_path / "network.c").read_text()
    changed = re.sub(r"(\.threshold = )\d+", r"\g<1>1", code, count=1)
    assert changed != code
    (tmp_path / "network.c").write_text(changed)
    said = emulated(name, built(tmp_path))
    assert "FAILED" in said
    assert re.search(r"sample \d, step \d: \w+ sends \d+ spikes, expected are \d+", said)


@needs("cortex-m4")
@pytest.mark.skipif(shutil.which("cmake") is None, reason="CMake is not installed")
@pytest.mark.parametrize("frames", [1, 3])
def test_the_self_test_has_the_samples_that_were_given(frames: int, tmp_path: Path) -> None:
    network, chip = small(), chips.load("cortex-m4")
    given = np.random.default_rng(frames).integers(0, 1, (2, frames, 8), endpoint=True)
    place(BACKEND.emit(Job("a model", network, prove(network, 12), chip, vectors=given)), tmp_path)
    code = (tmp_path / "bare_metal" / "selftest.c").read_text()
    assert f"enum {{ SAMPLES = 3, STEPS = {4 if frames == 1 else 3}, FRAMES = {1 + 2 * frames}, " in code
    assert all(", ".join(map(str, frame)) in code for frame in given.reshape(-1, 8).tolist())
    assert "PASSED" in emulated("cortex-m4", built(tmp_path))


def test_a_program_keeps_the_first_samples_for_its_self_test() -> None:
    still = snncc.compile(MODELS / "digits_dense.onnx", "cortex-m4", samples=MODELS / "digits_dense.samples.npz")
    moving = snncc.compile(MODELS / "vowels_rnn.onnx", "cortex-m4", samples=MODELS / "vowels_rnn.samples.npz")
    assert isinstance(still, Program)
    assert isinstance(moving, Program)
    assert (still.vectors is None, moving.vectors is None) == (False, False)
    assert (np.shape(still.vectors), np.shape(moving.vectors)) == ((2, 1, 64), (2, 4, 12))
    first = np.load(MODELS / "digits_dense.samples.npz")["x"][0].reshape(-1)
    assert np.array_equal(still.vectors[0, 0], np.rint(first / still.source.scale))  # pyright: ignore[reportOptionalSubscript]
    assert "the others begin the data" in still.files()["bare_metal/selftest.c"].decode()


@pytest.mark.parametrize("name", ["cortex-m4", "avr"])
def test_the_arduino_layout_compiles(name: str, tmp_path: Path) -> None:
    """As the IDE does it: C as C, the sketch as C++, the library's folder and the sketch's own to be looked into."""
    chip = chips.load(name)
    assert chip.compiler
    compilers = ["cc", "c++"]
    if name == "avr" and shutil.which("avr-g++"):
        compilers = ["avr-gcc", "avr-g++"]
    network = small()
    place(BACKEND.emit(Job("my model", network, prove(network), chip, layout="arduino")), tmp_path)
    sketch = tmp_path / "examples" / "SelfTest"
    (sketch / "Arduino.h").write_text(ARDUINO)
    flags = ["-mmcu=atmega328p"] if compilers[0] == "avr-gcc" else []
    common = [*flags, "-Os", "-w", "-I", str(tmp_path), "-I", str(sketch), "-c"]
    for number, path in enumerate((tmp_path / "network.c", sketch / "selftest.c")):
        subprocess.run([compilers[0], "-std=gnu11", *common, path, "-o", f"{number}.o"], cwd=tmp_path, check=True)
    ino = [compilers[1], "-std=gnu++11", "-fpermissive", "-fno-exceptions", "-include", "Arduino.h", "-x", "c++"]
    subprocess.run([*ino, *common, sketch / "SelfTest.ino", "-o", "ino.o"], cwd=tmp_path, check=True)
    linked = [compilers[1], *flags, "0.o", "1.o", "ino.o", "-o", "sketch"]
    subprocess.run(linked, cwd=tmp_path, check=True)
    properties = dict(line.split("=", 1) for line in (tmp_path / "library.properties").read_text().splitlines())
    assert {"name", "version", "author", "maintainer", "sentence", "category", "architectures"} <= set(properties)
    assert (tmp_path / properties["includes"]).is_file()


@pytest.mark.skipif(shutil.which("cmake") is None, reason="CMake is not installed")
def test_the_module_of_zephyr_names_files_that_are_there(tmp_path: Path) -> None:
    place(emitted(small(), chips.load("cortex-m4")), tmp_path)
    (tmp_path / "check.cmake").write_text(ZEPHYR)
    done = subprocess.run(["cmake", "-P", "check.cmake"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, "library snn" in done.stderr) == (0, True)
    module = (tmp_path / "zephyr" / "module.yml").read_text()
    assert re.search(r"^build:\n  cmake: zephyr\n  kconfig: zephyr/Kconfig$", module, re.MULTILINE)


def test_there_is_no_arduino_layout_elsewhere() -> None:
    program = snncc.compile(MODELS / "digits_dense.onnx", "host")
    with pytest.raises(CompileError) as caught:
        program.laid_out("arduino")
    assert str(caught.value) == (
        "error[bad-option]: --arduino: host has no such layout\n  = hint: it is for microcontrollers"
    )


@each_device
def test_code_has_no_division_and_no_64_bits_where_32_are_proved(name: str, tmp_path: Path) -> None:
    program = snncc.compile(MODELS / "digits_dense.onnx", name, samples=MODELS / "digits_dense.samples.npz")
    place(program.files(), tmp_path)
    compiler = program.chip.compiler
    assert compiler
    subprocess.run([compiler.command, *compiler.flags, "-c", "network.c"], cwd=tmp_path, check=True)
    prefix = compiler.command.removesuffix("gcc")
    command = [f"{prefix}objdump", "-dr", "network.o"]
    listing = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    assert "update_lif_soft" in listing
    assert not re.findall(r"\b(?:sdiv|udiv|divu?|remu?|[us]mull|[us]mlal|mulhs?u?)\b", listing)
    assert not re.findall(r"__(?:aeabi_u?i?l?div|u?div|u?mod|muldi|aeabi_lmul)\w*", listing)


def test_a_targets_backend_is_not_for_others() -> None:
    with pytest.raises(CompileError) as caught:
        snncc.compile(MODELS / "digits_dense.onnx", "cortex-m4", backend="c")
    assert str(caught.value) == (
        "error[wrong-backend]: c: runs on this computer; cortex-m4's compiler is for another one\n"
        "  = hint: leave out --backend: cortex-m4 has mcu"
    )
    with pytest.raises(CompileError) as caught:
        snncc.compile(MODELS / "digits_dense.onnx", "host", backend="mcu")
    assert "error[wrong-backend]: mcu: is for microcontrollers; host has no [device]" in str(caught.value)


@needs("cortex-m0plus")
def test_the_digits_fit_the_smallest_parts() -> None:
    """On a Cortex-M0+, at 4 bits: less than 16 KiB of flash, and 2 KiB of RAM with stack and input."""
    samples = MODELS / "digits_dense.samples.npz"
    program = snncc.compile(MODELS / "digits_dense.onnx", "cortex-m0plus", samples=samples, weight_bits=4)
    found = program.footprint()  # pyright: ignore[reportAttributeAccessIssue]
    assert found is not None
    assert found.needed("flash") < 16 * 1024
    assert found.needed("ram") < 2 * 1024
    assert json.dumps([each.how for each in found.sections]).count("exact") == 5


@needs("cortex-m4")
@pytest.mark.parametrize(
    ("model", "bits", "most"),
    [
        ("digits_dense", 8, 2048),
        ("digits_dense", 4, 2048),
        pytest.param("digits_resnet", 8, 4096, marks=pytest.mark.slow),
    ],
)
def test_little_code(model: str, bits: int, most: int) -> None:
    """Besides constants, at most 2 KiB for a dense network of two layers, and 4 KiB for a convolutional one."""
    samples = MODELS / f"{model}.samples.npz"
    program = snncc.compile(MODELS / f"{model}.onnx", "cortex-m4", samples=samples, weight_bits=bits)
    sections = replace(program).footprint().sections  # pyright: ignore[reportAttributeAccessIssue]
    code = next(each for each in sections if each.name == "code")
    assert (code.how, code.bytes <= most) == ("measured", True)


@needs("cortex-m4")
def test_no_division_and_no_wide_product(tmp_path: Path) -> None:
    """Neurons of every kind that the proof keeps in 32 bits, several spikes a step among them."""
    network = small()
    many = Fire(np.int64(60), True, max_spikes=5)
    (name,) = (name for name, op in network.of_kind(Population).items() if op.fire)
    several = replace(network[name], fire=many, refractory=0)
    for number, each in enumerate((network, Graph({**network.ops, name: several}, network.edges))):
        folder = tmp_path / str(number)
        place(emitted(each, chips.load("cortex-m4")), folder)
        chip = chips.load("cortex-m4")
        assert chip.compiler
        command = [chip.compiler.command, *chip.compiler.flags, "-c", "network.c"]
        subprocess.run(command, cwd=folder, check=True)
        code = counting.tool_output(chip, "objdump", "-d", str(folder / "network.o"))
        assert "smla" in code or "mla" in code
        assert not re.search(r"\t([su]div|[su]mull|[su]mlal)\b|__aeabi_.*(div|lmul)", code)
