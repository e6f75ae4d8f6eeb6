"""Instructions and flash beside a generator of dense float C from ONNX, on the same network, samples and steps.

    python -m venv emx && emx/bin/pip install emx-onnx-cgen
    python benchmarks/against_onnx_c.py --emx emx/bin/emx-onnx-cgen [--samples 5]

`digits_dense` on a Cortex-M4 in QEMU: its step graph by emx-onnx-cgen, once a step with the states handed on, compiled
for the core's floating-point unit, beside snncc's program. Both are built with gcc -O2 and counted by the same plugin.
"""

from __future__ import annotations

import argparse
import subprocess
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


def theirs(emx: str, program: Program, x: np.ndarray, steps: int) -> tuple[float, int, np.ndarray]:
    """Instructions an inference, bytes of flash, and the classes, of the program that emx-onnx-cgen writes."""
    files = program.files()
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        command = [emx, "compile", str(MODELS / "digits_dense.onnx"), "model.c", "--model-name", "model"]
        command += ["--fp32-accumulation-strategy", "simple", "--large-weight-threshold", "0"]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        sources = {"model.c": (folder / "model.c").read_bytes(), "main.c": MAIN.encode()}
        names = ("board.h", "board.c", "startup.c", "link.ld")
        sources |= {name: files[f"bare_metal/{name}"] for name in names}
        defines = (f"-DSAMPLES={len(x)}", f"-DSTEPS={steps}")
        linking = ("-nostartfiles", "-T", "link.ld", "-Wl,--gc-sections", "-I.")
        code = ("model.c", "main.c", "board.c", "startup.c", "-lm", "-o", "network.elf")
        build = built("arm-none-eabi-gcc", (*FPU, *defines, *linking, *code), tuple(sources.items()))
        assert not build.said, build.said
        kinds = {"model": "t", "main": "x"}
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
        counted = counting.count(folder, [], 0)
        counts = np.frombuffer((folder / "output.bin").read_bytes(), "<f4").reshape(len(x), 10)
        own = {"main", "snn_start", "board_open", "board_read", "board_write", "board_print", "board_exit", "call"}
        size = counting.tool_output(program.chip, "size", elf).splitlines()[1].split()
        flash = int(size[0]) + int(size[1]) - sum(length for name, (_, length) in found.items() if name in own)
        return counted.total / len(x), flash, counts.argmax(axis=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--emx", default="emx-onnx-cgen")
    parser.add_argument("--samples", type=int, default=5)
    given = parser.parse_args()
    print("| program | instructions an inference | flash |\n|---|---|---|")
    reference = None
    for bits in (8, 4):
        samples = MODELS / "digits_dense.samples.npz"
        program = snncc.compile(MODELS / "digits_dense.onnx", "cortex-m4", samples=samples, weight_bits=bits)
        assert isinstance(program, Program)
        data = program.data(MODELS / "digits_dense.npz", limit=given.samples)
        if reference is None:
            reference = theirs(given.emx, program, data.x.reshape(len(data.x), -1), data.steps)
            print(f"| emx-onnx-cgen, float, with FPU | {reference[0]:,.0f} | {reference[1]:,} |")
        run = program.simulate(data)
        assert (run.classes == reference[2]).all(), "both must give the same classes"
        counted = next(each.value for each in run.readings if each.key == "instructions")
        taken = program.footprint()
        assert taken is not None
        print(f"| snncc, {bits} bits | {counted:,.0f} | {taken.needed('flash'):,} |")


if __name__ == "__main__":
    main()
