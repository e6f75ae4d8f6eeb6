"""Instructions and flash beside other generators of C, on the same network, samples and steps.

    python -m venv emx && emx/bin/pip install emx-onnx-cgen
    python -m venv qualia && qualia/bin/pip install torch onnx tabulate qualia-codegen-plugin-snn
    python benchmarks/against_onnx_c.py --emx emx/bin/emx-onnx-cgen --qualia qualia/bin/python [--samples 50]

`digits_dense` on a Cortex-M4 in QEMU: its step graph by emx-onnx-cgen, once a step with the states handed on; its
weights with LIF neurons of SpikingJelly by Qualia-CodeGen's plugin for SNNs (qualia_export.py), in floats and in fixed
point; beside snncc's program. All are built with gcc -O2, floats for the core's floating-point unit, and counted by the
same plugin.
"""

from __future__ import annotations

import argparse
import subprocess
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

import snncc
from snncc.backends.c.building import built
from snncc.backends.c.mcu import counting
from snncc.program import Program

MODELS = Path(__file__).parents[1] / "models"
FPU = (
    "-mcpu=cortex-m4",
    "-mthumb",
    "-mfloat-abi=hard",
    "-mfpu=fpv4-sp-d16",
    "-O2",
    "-std=gnu99",
    "-ffunction-sections",
)
MAIN = """
#include "board.h"
void model(const float x[restrict 1][64], const float m1[restrict 1][128], const float m2[restrict 1][10],
           float y[restrict 1][10], float n1[restrict 1][128], float n2[restrict 1][10]);
static float x[1][64], m1[2][1][128], m2[2][1][10], y[1][10];
int main(void)
{
    *(volatile unsigned *)0xe000ed88 |= 0xf00000; /* the floating-point unit on */
    __asm__ volatile("dsb\\nisb");
    board_open();
    for (int sample = 0; sample < SAMPLES; sample++) {
        float count[10] = {0};
        for (int n = 0; n < 128; n++) m1[0][0][n] = 0;
        for (int n = 0; n < 10; n++) m2[0][0][n] = 0;
        board_read(x, sizeof x);
        for (int t = 0; t < STEPS; t++) {
            model(x, m1[t & 1], m2[t & 1], y, m1[~t & 1], m2[~t & 1]);
            for (int n = 0; n < 10; n++) count[n] += y[0][n];
        }
        board_write(count, sizeof count);
    }
    return 0;
}
"""


QUALIA_MAIN = """
#include <math.h>
#include "board.h"
void cnn(const NUMBER input[64], NUMBER output[10]);
void reset(void);
static float x[64];
static NUMBER taken[64], y[10];
__attribute__((noinline)) void samples(void)
{
    for (int sample = 0; sample < SAMPLES; sample++) {
        float count[10] = {0};
        reset();
        board_read(x, sizeof x);
        for (int n = 0; n < 64; n++) taken[n] = (NUMBER)(SCALE == 1 ? x[n] : floorf(x[n] * SCALE + 0.5f));
        for (int t = 0; t < STEPS; t++) {
            cnn(taken, y);
            for (int n = 0; n < 10; n++) count[n] += y[n] != 0;
        }
        board_write(count, sizeof count);
    }
}
int main(void)
{
    *(volatile unsigned *)0xe000ed88 |= 0xf00000; /* the floating-point unit on */
    __asm__ volatile("dsb\\nisb");
    board_open();
    samples();
    return 0;
}
"""
QUALIA = {32: ("float", 1), 16: ("int16_t", 1 << 14), 8: ("int8_t", 1 << 6)}


@dataclass(frozen=True)
class Took:
    """Instructions an inference, bytes of flash, and the classes that a program gave."""

    instructions: float
    flash: int
    classes: np.ndarray


def counted(program: Program, x: np.ndarray, code: dict[str, bytes], step: str, defines: tuple[str, ...]) -> Took:
    """What another generator's `code` takes from each call of `step` until it returns to main, with our board."""
    files = program.files()
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        names = ("board.h", "board.c", "startup.c", "link.ld")
        sources = code | {name: files[f"bare_metal/{name}"] for name in names}
        linking = ("-nostartfiles", "-T", "link.ld", "-Wl,--gc-sections", "-I.")
        given = ("model.c", "main.c", "board.c", "startup.c", "-lm", "-o", "network.elf")
        build = built("arm-none-eabi-gcc", (*FPU, *defines, *linking, *given), tuple(sources.items()))
        assert not build.said, build.said
        kinds = {step: "t"} | dict.fromkeys(("main", "samples", "board_read", "board_write"), "x")
        found = counting.functions(build.folder / "network.elf", program.chip)
        lines = [f"{begin:x} {size:x} {kinds.get(name, 'o')} 0" for name, (begin, size) in found.items()]
        (folder / "regions.txt").write_text("\n".join(lines) + "\n")
        (folder / "input.bin").write_bytes(x.astype("<f4").tobytes())
        device = program.chip.device
        assert device
        elf = str(build.folder / "network.elf")
        arguments = [each.replace("{program}", elf) for each in device.emulator.arguments]
        options = ["-plugin", f"{counting.plugin()},regions=regions.txt,counts=counts.txt"]
        subprocess.run([device.emulator.command, *arguments, *options], cwd=folder, check=True, timeout=300)
        total = counting.count(folder, [], 0).total
        counts = np.frombuffer((folder / "output.bin").read_bytes(), "<f4").reshape(len(x), 10)
        own = {
            "main",
            "samples",
            "snn_start",
            "board_open",
            "board_read",
            "board_write",
            "board_print",
            "board_exit",
            "call",
        }
        size = counting.tool_output(program.chip, "size", elf).splitlines()[1].split()
        flash = int(size[0]) + int(size[1]) - sum(length for name, (_, length) in found.items() if name in own)
        return Took(total / len(x), flash, counts.argmax(axis=1))


def emx(command: str, program: Program, x: np.ndarray, steps: int) -> Took:
    """The program that emx-onnx-cgen writes."""
    with TemporaryDirectory() as scratch:
        line = [command, "compile", str(MODELS / "digits_dense.onnx"), "model.c", "--model-name", "model"]
        line += ["--fp32-accumulation-strategy", "simple", "--large-weight-threshold", "0"]
        subprocess.run(line, cwd=scratch, check=True, capture_output=True)
        code = {"model.c": (Path(scratch) / "model.c").read_bytes(), "main.c": MAIN.encode()}
    return counted(program, x, code, "model", (f"-DSAMPLES={len(x)}", f"-DSTEPS={steps}"))


def qualia(python: str, program: Program, x: np.ndarray, steps: int, bits: int) -> Took:
    """The program that Qualia-CodeGen writes, in floats (32 bits) or in fixed point."""
    number, scale = QUALIA[bits]
    with TemporaryDirectory() as scratch:
        script = Path(__file__).with_name("qualia_export.py").resolve()
        line = [python, str(script), str((MODELS / "digits_dense.onnx").resolve()), "--bits", str(bits)]
        line += ["--samples", str((MODELS / "digits_dense.samples.npz").resolve()), "-o", "model.c"]
        subprocess.run(line, cwd=scratch, check=True, capture_output=True)
        model = (Path(scratch) / "model.c").read_bytes()
    code = {"model.c": model, "main.c": b"#include <stdint.h>\n" + QUALIA_MAIN.encode()}
    defines = (f"-DSAMPLES={len(x)}", f"-DSTEPS={steps}", f"-DNUMBER={number}", f"-DSCALE={scale}")
    return counted(program, x, code, "cnn", defines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--emx", help="the command emx-onnx-cgen")
    parser.add_argument("--qualia", help="a Python that has Qualia-CodeGen's plugin for SNNs")
    parser.add_argument("--samples", type=int, default=50)
    given = parser.parse_args()
    print("| program, on a Cortex-M4 | instructions an inference | flash | accuracy |\n|---|---|---|---|")
    samples, model = MODELS / "digits_dense.samples.npz", MODELS / "digits_dense.onnx"
    for bits in (8, 4):
        program = snncc.compile(model, "cortex-m4", samples=samples, weight_bits=bits)
        assert isinstance(program, Program)
        data = program.data(MODELS / "digits_dense.npz", limit=given.samples)
        assert data.y is not None
        x = data.x.reshape(len(data.x), -1)
        others: dict[str, Took] = {}
        if bits == 8 and given.emx:
            others["emx-onnx-cgen, float, with FPU"] = emx(given.emx, program, x, data.steps)
        for each in QUALIA if bits == 8 and given.qualia else ():
            how = "float, with FPU" if each == 32 else f"{each} bits"
            others[f"Qualia-CodeGen SNN, {how}"] = qualia(given.qualia, program, x, data.steps, each)
        run, taken = program.simulate(data), program.footprint()
        assert taken is not None
        assert run.classes is not None
        instructions = next(each.value for each in run.readings if each.key == "instructions")
        others[f"snncc, {bits} bits"] = Took(instructions, taken.needed("flash"), run.classes)
        for name, took in others.items():
            right = float((took.classes == data.y).mean())
            print(f"| {name} | {took.instructions:,.0f} | {took.flash:,} | {right:.1%} |", flush=True)


if __name__ == "__main__":
    main()
