"""Compares what networks that learn take of an emulated chip, and their bits with the reference and the C program's.

MNIST's test images from a folder: the first are learnt, in their order, `--steps` each; then as many others are only
answered. Per network: how many values differ, energy and time a sample. Prints a line of JSON each.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from snncc import classics, compiler
from snncc.analysis.costs import Counts, added, events_of, joules, seconds
from snncc.analysis.learning import EVENTS
from snncc.arrays import Array
from snncc.backends.base import Batch
from snncc.chip import Chip
from snncc.courses import Course
from snncc.integers import Learnt, Population
from snncc.program import Program
from snncc.runner import Trace
from snncc.semantics import run
from snncc.spike_draws import encoded
from snncc.verify import compare

_HEAD = 16  # bytes in front of the images


def images(folder: Path) -> Array:
    """(10,000, 784) in 0..1."""
    content = gzip.decompress((folder / "mnist" / "t10k-images-idx3-ubyte.gz").read_bytes())
    return np.frombuffer(content, np.uint8, offset=_HEAD).reshape(-1, 784) / 255.0


def program(row: str, shape: classics.Shape, target: str) -> Program:
    """A network of a kind, with its own rule or with another, KIND:RULE."""
    kind, _, rule = row.partition(":")
    made = compiler.compile(classics.make(kind, shape), target, learn=[("synapses", rule)] if rule else [])
    assert isinstance(made, Program)
    return made


@dataclass
class Runs:
    """The same samples, learnt by the chip and, to compare, by the reference and the C program."""

    chip: Program
    host: Program
    folders: dict[str, Path]
    x: Array
    course: Course
    values: int = 0
    differing: int = 0
    learning: list[Counts] = field(default_factory=list[Counts])
    testing: list[Counts] = field(default_factory=list[Counts])
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(("chip", "reference", "c"), 0.0))
    learnt: dict[str, Learnt | None] = field(default_factory=lambda: dict.fromkeys(("chip", "reference", "c")))

    def batch(self, rows: Array, known: Learnt | None, *, frozen: bool = False) -> Batch:
        spikes = encoded(self.x[rows], rows, *self.course.draws)
        return Batch(spikes, np.full(len(rows), self.course.steps), known, frozen=frozen)

    def learn(self, rows: Array, who: str) -> Trace:
        """One of the three learns some samples."""
        begun, batch = time.process_time(), self.batch(rows, self.learnt[who])
        if who == "reference":
            network = self.chip.network
            trace = run(network, batch.x, None, batch.lengths, tuple(network.of_kind(Population)), batch.learnt)
        else:
            made = self.chip if who == "chip" else self.host
            result = made.backend.run(self.folders[who], made.network, made.chip, batch, True)
            trace = result.trace
            if who == "chip":
                self.learning.append(result.counts)
        self.seconds[who] += time.process_time() - begun
        self.learnt[who] = trace.learnt
        return trace

    def compare(self, rows: Array, found: Trace) -> None:
        """The reference and the C program learn what the chip has learnt; what differs is counted."""
        expected, names = self.learn(rows, "reference"), tuple(self.chip.network.of_kind(Population))
        for trace in (found, self.learn(rows, "c")):
            verdict = compare(expected, trace, names, int(rows[0]))
            self.values, self.differing = self.values + verdict.values, self.differing + verdict.differing

    def test(self, rows: Array) -> None:
        """Samples are answered only."""
        batch = self.batch(rows, self.learnt["chip"], frozen=True)
        result = self.chip.backend.run(self.folders["chip"], self.chip.network, self.chip.chip, batch, True)
        self.testing.append(result.counts)


def measured(kind: str, shape: classics.Shape, x: Array, options: argparse.Namespace) -> dict[str, Any]:
    """The figures of one network, after `options.samples` samples, `options.part` at a time."""
    chip, host = program(kind, shape, options.target), program(kind, shape, "host")
    with TemporaryDirectory() as scratch:
        folders = {"chip": Path(scratch, "chip"), "c": Path(scratch, "c")}
        chip.write(folders["chip"])
        host.write(folders["c"])
        runs = Runs(chip, host, folders, x, Course(shape.steps, options.rate))
        for rows in parts(0, options.samples, options.part):
            found = runs.learn(rows, "chip")
            if options.compare:
                runs.compare(rows, found)
                print(
                    f"{kind}: {runs.differing} of {runs.values:,} differ", f"{rows[-1] + 1:,} samples", file=sys.stderr
                )
        for rows in parts(options.samples, options.samples + options.tested, options.part):
            runs.test(rows)
    return {
        "kind": kind,
        "neurons": shape.neurons,
        "bits": shape.bits,
        "values": runs.values,
        "differing": runs.differing,
        "learning": per_sample(chip.chip, runs.learning, options.samples),
        "testing": per_sample(chip.chip, runs.testing, options.tested),
        "cpu_seconds": runs.seconds,
    }


def parts(first: int, last: int, size: int) -> Iterator[Array]:
    """The numbers from `first` to before `last`, so many at a time."""
    for begin in range(first, last, size):
        yield np.arange(begin, min(begin + size, last))


def per_sample(chip: Chip, parts: list[Counts], samples: int) -> dict[str, Any]:
    """Seconds and joules of a sample, these by what they are for, and how often each event of learning happened."""
    counts = added(parts)
    assert chip.fabric
    energy = joules(events_of(counts), chip.fabric, samples)
    lessons = dict(zip(EVENTS, (counts["learning"].sum(axis=0) / samples).tolist(), strict=True))
    return {
        "seconds": seconds(float(counts["cycles"].sum()), chip.fabric, samples).value,
        "joules": energy.value,
        "parts": {name: each for name, each in energy.parts.items() if each},
        "events": {name: each for name, each in lessons.items() if each},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--kinds", nargs="+", default=["spikedyn", "diehl-cook", "diehl-cook:pair-stdp"])
    parser.add_argument("--neurons", type=int, default=100)
    parser.add_argument("--bits", type=int, default=8)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--rate", type=float, default=0.25, help="how likely a white pixel spikes in a step")
    parser.add_argument("--threshold", type=float, default=40.0)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--tested", type=int, default=200)
    parser.add_argument("--part", type=int, default=50)
    parser.add_argument("--target", default="mesh64")
    parser.add_argument("--compare", action="store_true", help="with the reference and with the C program")
    options = parser.parse_args()
    x = images(options.data)
    shape = classics.Shape(784, options.neurons, options.bits, steps=options.steps, threshold=options.threshold)
    for kind in options.kinds:
        print(json.dumps(measured(kind, shape, x, options)), flush=True)


if __name__ == "__main__":
    main()
