"""Runs every shipped model on every microcontroller's emulator: equal bits, instructions or cycles, and memory.

    python benchmarks/microcontrollers.py [--models M ...] [--targets T ...] [--bits 8 4] [--samples 50]

Prints a Markdown table, a line as soon as it is measured; a model that does not fit is named with what it lacks.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import snncc
from snncc import chip as chips
from snncc.program import Program

MODELS = Path(__file__).parents[1] / "models"
HEAD = (
    *("model", "bits", "target", "differing bits", "accuracy", "an inference", "a step", "a synaptic event"),
    *("a neuron step", "flash", "of it code", "RAM", "stack"),
)


def line(name: str, target: str, bits: int, samples: int) -> list[str]:
    """One row: what a model takes on a target, or what it lacks."""
    files = MODELS / f"{name}.onnx", MODELS / f"{name}.samples.npz"
    try:
        program = snncc.compile(files[0], target, samples=files[1], weight_bits=bits)
    except snncc.CompileError as error:
        reasons = [each.message for each in error.diagnostics if each.rule.endswith("-too-small")]
        return [name, str(bits), target, "does not fit: " + "; ".join(each.split(" (")[0] for each in reasons)]
    assert isinstance(program, Program)
    data = program.data(MODELS / f"{name}.npz", limit=samples)
    verdict, run = program.verify(data), program.simulate(data)
    rows = program.profile(data.part(0, min(10, samples))).rows
    figures = {each.key: each.value for each in run.readings}
    counted = figures.get("instructions", figures.get("cycles", 0.0))
    synaptic = [each for each in rows if each.synaptic and each.counted is not None]
    events = sum(each.synaptic or 0 for each in synaptic)
    neurons = [each for each in rows if each.synaptic is None]
    by_event = f"{sum(each.counted or 0 for each in synaptic) / events:.2f}" if events else ""
    by_step = f"{sum(each.counted or 0 for each in neurons) / sum(each.events for each in neurons):.1f}"
    taken = program.footprint()
    assert taken is not None
    part = {each.name: each.bytes for each in taken.sections}
    return [
        *(name, str(bits), target, f"{verdict.differing:,} of {verdict.values:,}", f"{run.accuracy:.1%}"),
        *(f"{counted:,.0f}", f"{counted * len(data.x) / int(data.lengths.sum()):,.0f}", by_event),
        by_step if synaptic else "",
        *(f"{taken.needed('flash'):,}", f"{part['code']:,}", f"{taken.needed('ram'):,}", f"{figures['stack']:,.0f}"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    devices = [name for name in chips.known() if chips.load(name).device]
    parser.add_argument("--models", nargs="*", default=sorted(each.stem for each in MODELS.glob("*.onnx")))
    parser.add_argument("--targets", nargs="*", default=devices)
    parser.add_argument("--bits", nargs="*", type=int, default=[8, 4])
    parser.add_argument("--samples", type=int, default=50)
    given = parser.parse_args()
    print("| " + " | ".join(HEAD) + " |\n|" + "---|" * len(HEAD), flush=True)
    for name in given.models:
        for bits in given.bits:
            for target in given.targets:
                print("| " + " | ".join(line(name, target, bits, given.samples)) + " |", flush=True)


if __name__ == "__main__":
    main()
