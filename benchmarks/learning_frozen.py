"""Measures what an answer takes once a network has stopped learning: SpikeDyn's arrangement beside the baseline.

    python benchmarks/learning_frozen.py ../shared/data/mnist --neurons 100
    python benchmarks/learning_frozen.py ../shared/data/mnist --emulated 3            with a Cortex-M4, in QEMU
    python benchmarks/learning_frozen.py ../shared/data/mnist --as-published          350 steps of 1 ms, 63.75 Hz

Learnt as C on this computer, on the split of `learning.py`. Then, by the program that learns, with learning switched
off, and by what `snncc freeze` makes of it: energy, time and synapses read of a sample on the emulated mesh64,
instructions and bytes on a Cortex-M4. Spikes of both must be the same, or it ends. `--model` adds the accuracy of the
learnt model, compiled for a target that does not learn. A line of JSON a row.

`--as-published` shows samples for as long, and as strongly, as Diehl and Cook (2015) do, with a threshold for fewer
spikes a step; nothing else was chosen for it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import learning
import numpy as np

from snncc import classics, compiler, freezing
from snncc.analysis.costs import events_of, joules, seconds
from snncc.arrays import Array
from snncc.backends.base import Batch, Result
from snncc.courses import Course
from snncc.data import Data
from snncc.integers import Learnt, Population
from snncc.program import Program
from snncc.semantics import run
from snncc.spike_draws import encoded
from snncc.training import Progress, classified, learn, receptive_fields

_KINDS = {"spikedyn": learning.SPIKEDYN, "diehl-cook": learning.BASELINE}


def program_of(kind: str, bits: int, given: argparse.Namespace, target: str) -> Program:
    row = _KINDS[kind]
    text = row.rule.replace("bits = 8", f"bits = {bits}", 1)
    shape = classics.Shape(784, given.neurons, bits, 0, given.steps, given.threshold, row.inhibition)
    made = compiler.compile(replace(classics.make(kind, shape), learn={"synapses": text}), target)
    assert isinstance(made, Program)
    return made


def ran(program: Program, batch: Batch) -> Result:
    with program.placed() as folder:
        return program.backend.run(folder, program.network, program.chip, batch, False)


def both(taught: Program, known: Learnt, batch: Batch) -> Iterator[tuple[str, Program, Result]]:
    """The program that learns, which only answers, and the frozen one: of the same spikes."""
    still = freezing.frozen(taught, known)
    found = ran(taught, replace(batch, learnt=known, frozen=True)), ran(still, batch)
    assert all((found[0].trace.outputs[name] == values).all() for name, values in found[1].trace.outputs.items())
    yield "learning", taught, found[0]
    yield "frozen", still, found[1]


def on_cores(program: Program, result: Result, samples: int) -> dict[str, float]:
    """Joules and seconds of a sample, and the synapses that it reads."""
    chip = program.chip
    assert chip.fabric
    energy = joules(events_of(result.counts), chip.fabric, samples)
    parts = {name: each * 1e6 for name, each in energy.parts.items() if each}
    price = {name: getattr(chip.fabric.energy, name).value for name in ("synapse_dense", "synapse_sparse")}
    read = sum(parts.get(name, 0.0) * 1e6 / each for name, each in price.items())
    time = seconds(float(result.counts["cycles"].sum()), chip.fabric, samples).value
    return {"uJ": energy.value * 1e6, "us": time * 1e6, "synapses read": read, **parts}


def on_device(program: Program, result: Result, samples: int) -> dict[str, float]:
    """Instructions of a sample, and bytes."""
    taken = program.footprint()
    assert taken
    return {"instructions": result.figures["counted"] / samples, **{m: taken.needed(m) for m in ("flash", "ram")}}


def zeros(program: Program, known: Learnt, test: Data) -> dict[str, float]:
    """Which share of weights is 0, and of those that test samples meet."""
    ((_, weight),) = receptive_fields(program.network, known).items()
    bright = test.x.reshape(len(test.x), -1).mean(axis=0)
    return {
        "zero": float((weight == 0).mean()),
        "zero where read": float(((weight == 0).mean(0) * bright).sum() / bright.sum()),
    }


def spikes(x: Array, course: Course, first: int) -> Batch:
    made = encoded(x.reshape(len(x), -1) / 255.0, np.arange(len(x)) + first, *course.draws)
    return Batch(made, np.full(len(x), course.steps))


def as_model(taught: Program, at: Progress, test: Data, course: Course, target: str) -> float:
    """The accuracy of the learnt model, compiled for another target at 8 bits, with the names of the run's neurons."""
    made = compiler.compile(freezing.relearnt(taught, at.learnt), target)
    assert isinstance(made, Program)
    classes = np.array(sorted(at.exams[-1].accuracy))
    right = 0
    for start in range(0, len(test.x), 100):
        part = slice(start, start + 100)
        batch = spikes(test.x[part], course, at.position + start)
        (output,) = run(made.network, batch.x, lengths=batch.lengths).outputs.values()
        names = np.array(at.exams[-1].names)
        assert test.y is not None
        right += int((classified(output.sum(axis=1), names, classes) == test.y[part]).sum())
    return right / len(test.x)


def measured(given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    course = Course(given.steps, given.rate)
    for bits in given.bits:
        for kind in given.kinds:
            train, test = learning.split(given.folder, "test", 0, given.train, given.test)
            taught = program_of(kind, bits, given, "host")
            with TemporaryDirectory() as scratch:
                at = learn(taught, train, test, course, Path(scratch))
            op = taught.network["excitatory"]
            assert isinstance(op, Population)
            assert op.fire
            dead = (at.learnt.adaptations["excitatory"] + op.fire.threshold > op.membrane.register.hi).mean()
            row = {"network": kind, "neurons": given.neurons, "bits": bits, "accuracy": at.exams[-1].overall}
            yield {**row, **zeros(taught, at.learnt, test), "neurons out of reach": float(dead)}
            if given.model:
                yield {
                    **row,
                    "compiled for": given.model,
                    "as a model": as_model(taught, at, test, course, given.model),
                }
            chip = program_of(kind, bits, given, "mesh64")
            batch = spikes(test.x[: given.answered], course, at.position)
            for how, program, result in both(chip, at.learnt, batch):
                yield {**row, "on": "mesh64", "how": how, **on_cores(program, result, given.answered)}
            if given.emulated:
                device = program_of(kind, bits, given, "cortex-m4")
                batch = spikes(test.x[: given.emulated], course, at.position)
                for how, program, result in both(device, at.learnt, batch):
                    yield {**row, "on": "cortex-m4", "how": how, **on_device(program, result, given.emulated)}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--neurons", type=int, default=400)
    parser.add_argument("--kinds", nargs="+", default=list(_KINDS))
    parser.add_argument("--bits", type=int, nargs="+", default=[8, 4])
    parser.add_argument("--train", type=int, default=4000)
    parser.add_argument("--test", type=int, default=1000)
    parser.add_argument("--answered", type=int, default=50, help="samples on the emulated chip")
    parser.add_argument("--emulated", type=int, default=0, help="samples in QEMU")
    parser.add_argument("--model", help="a target to compile the learnt model for: loihi2")
    parser.add_argument("--as-published", action="store_true")
    given = parser.parse_args()
    given.steps, given.rate, given.threshold = (350, 0.06375, 14.0) if given.as_published else (100, 0.25, 40.0)
    for row in measured(given):
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
