"""Runs every shipped model on every microcontroller's emulator: equal bits, instructions or cycles, and memory.

    python benchmarks/microcontrollers.py [--models M ...] [--targets T ...] [--bits 8 4] [--samples 50] [--fit]

Prints a Markdown table, a line as soon as it is measured; a model that does not fit is named with what it lacks. With
`--fit` it prints each target's `device.costs` instead: those that give what the emulator counts on half of the samples,
and how far what they give is from what it counts on the other half.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from scipy.optimize import nnls

import snncc
from snncc import chip as chips
from snncc.arrays import Array
from snncc.backends.c.mcu.costs import events
from snncc.data import Data
from snncc.device import Costs
from snncc.estimation import frames
from snncc.integers import Source
from snncc.program import Program

MODELS = Path(__file__).parents[1] / "models"
NAMES = tuple(each.name for each in fields(Costs))
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


@dataclass(frozen=True, eq=False)
class Equations:
    """What some samples took, as shares of it: each row of `events` times the costs gives a number of `counted`.

    The first row is the whole program's; the others are of its synapses and populations, where those are counted.
    """

    events: Array
    counted: Array


def equations(program: Program, part: Data) -> Equations:
    """What the emulator counts of samples, beside what happened there."""
    x = frames(program.source, part)
    sent = {next(iter(program.network.of_kind(Source))): x.reshape(*x.shape[:2], -1)}
    sent |= program.expected(x, part.lengths).spikes
    active = {name: np.count_nonzero(each, axis=(0, 1)) for name, each in sent.items()}
    caused = events(program.job, active, int(part.lengths.sum()))
    rows = np.array([[each.get(name, 0.0) for name in NAMES] for each in caused.values()]) / len(part.x)
    profile = program.profile(part)
    counted = {each.name: each.counted for each in profile.rows}
    total = sum(each or 0.0 for each in counted.values())
    single = [counted[name] for name in caused] if None not in counted.values() else []
    whole = [rows.sum(axis=0), *(rows if single else [])]
    return Equations(np.array(whole) / total, np.array([total, *single]) / total)


def fit(target: str, models: Sequence[str], widths: Sequence[int], samples: int) -> Iterator[str]:
    """A target's costs as lines of its file, and by how much the estimates with them are wrong."""
    first: list[Equations] = []
    held: list[tuple[str, Equations]] = []
    for name, bits in itertools.product(models, widths):
        files = MODELS / f"{name}.onnx", MODELS / f"{name}.samples.npz"
        try:
            program = snncc.compile(files[0], target, samples=files[1], weight_bits=bits)
        except snncc.CompileError:
            continue  # it does not fit
        data = program.data(MODELS / f"{name}.npz", limit=samples)
        half = len(data.x) // 2
        first.append(equations(program, data.part(0, half)))
        held.append((f"{name} at {bits} bits", equations(program, data.part(half, len(data.x)))))
    rows, counted = (np.concatenate([getattr(each, name) for each in first]) for name in ("events", "counted"))
    costs = np.round(nnls(rows, counted)[0], 2)
    yield f"{target}: [device.costs]"
    yield from (f"{name} = {{ value = {cost:g}, assumed = true }}" for name, cost in zip(NAMES, costs, strict=True))
    yield from (f"# {name}: {each.events[0] @ costs - 1:+.1%}" for name, each in held)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    devices = [name for name in chips.known() if chips.load(name).device]
    parser.add_argument("--models", nargs="*", default=sorted(each.stem for each in MODELS.glob("*.onnx")))
    parser.add_argument("--targets", nargs="*", default=devices)
    parser.add_argument("--bits", nargs="*", type=int, default=[8, 4])
    parser.add_argument("--samples", type=int, default=50)
    parser.add_argument("--fit", action="store_true")
    given = parser.parse_args()
    for target in given.targets if given.fit else ():
        print("\n".join(fit(target, given.models, given.bits, given.samples)), flush=True)
    if given.fit:
        return
    print("| " + " | ".join(HEAD) + " |\n|" + "---|" * len(HEAD), flush=True)
    for name in given.models:
        for bits in given.bits:
            for target in given.targets:
                print("| " + " | ".join(line(name, target, bits, given.samples)) + " |", flush=True)


if __name__ == "__main__":
    main()
