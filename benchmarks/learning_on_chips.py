"""Compares what networks that learn take of an emulated chip, and their bits with the reference and the C program's.

MNIST's test images from a folder: the first are learnt, in their order, 100 steps each; then as many others are only
answered. Per network and number of neurons: bits that differ after each part, and energy and time a sample. Prints JSON.
"""

from __future__ import annotations

import argparse
import gzip
import json
import time
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from snncc import classics, compiler
from snncc.analysis.costs import Took, taken
from snncc.arrays import Array
from snncc.backends.base import Batch, Result
from snncc.integers import Learnt, Population
from snncc.program import Program
from snncc.runner import Trace
from snncc.semantics import run
from snncc.training import Course, encoded
from snncc.verify import compare

_HEAD = 16  # bytes in front of the images


def images(folder: Path) -> Array:
    """(10,000, 784) in 0..1."""
    content = gzip.decompress((folder / "mnist" / "t10k-images-idx3-ubyte.gz").read_bytes())
    return np.frombuffer(content, np.uint8, offset=_HEAD).reshape(-1, 784) / 255.0


def program(kind: str, shape: classics.Shape, target: str) -> Program:
    made = compiler.compile(classics.make(kind, shape), target)
    assert isinstance(made, Program)
    return made


def result_of(made: Program, folder: Path, batch: Batch) -> Result:
    return made.backend.run(folder, made.network, made.chip, batch, True)


def measured(kind: str, shape: classics.Shape, x: Array, options: argparse.Namespace) -> dict[str, Any]:
    """The figures of one network, after `options.samples` samples, `options.part` at a time."""
    chip, host = program(kind, shape, options.target), program(kind, shape, "host")
    course = Course(steps=shape.steps)
    names = tuple(chip.network.of_kind(Population))
    values = differing = 0
    learning, testing = Took(), Took()
    seconds = dict.fromkeys(("reference", "c", "chip"), 0.0)
    learnt: dict[str, Learnt | None] = dict.fromkeys(seconds)
    with TemporaryDirectory() as scratch:
        on_chip, on_host = chip.write(Path(scratch, "chip")).folder, host.write(Path(scratch, "host")).folder
        assert on_chip
        assert on_host
        for first in range(0, options.samples, options.part):
            rows = np.arange(first, min(first + options.part, options.samples))
            batch = Batch(encoded(x[rows], rows, course), np.full(len(rows), shape.steps))
            found: dict[str, Trace] = {}
            for name in seconds if options.compare else ("chip",):
                begun, given = time.process_time(), replace(batch, learnt=learnt[name])
                if name == "chip":
                    result = result_of(chip, on_chip, given)
                    learning += taken(chip.chip, result.counts, len(rows))
                    found[name] = result.trace
                elif name == "c":
                    found[name] = result_of(host, on_host, given).trace
                else:
                    found[name] = run(chip.network, batch.x, lengths=batch.lengths, record=names, learnt=learnt[name])
                seconds[name] += time.process_time() - begun
                learnt[name] = found[name].learnt
            for name in ("c", "chip") if options.compare else ():
                verdict = compare(found["reference"], found[name], names, first)
                values, differing = values + verdict.values, differing + verdict.differing
        for first in range(0, options.tested, options.part):
            rows = np.arange(first, min(first + options.part, options.tested))
            spikes = encoded(x[options.samples + rows], options.samples + rows, course)
            batch = Batch(spikes, np.full(len(rows), shape.steps), learnt["chip"], frozen=True)
            testing += taken(chip.chip, result_of(chip, on_chip, batch).counts, len(rows))
    excitatory = int(found["chip"].spikes["excitatory"].sum())
    return {
        "kind": kind,
        "neurons": shape.neurons,
        "bits": shape.bits,
        "values": values,
        "differing": differing,
        "learning": per_sample(learning),
        "testing": per_sample(testing),
        "spikes_of_the_last_part": excitatory,
        "cpu_seconds": seconds,
    }


def per_sample(took: Took) -> dict[str, float]:
    return {name: value / took.samples for name, value in asdict(took).items() if name != "samples" and took.samples}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--kinds", nargs="+", default=["spikedyn", "diehl-cook"])
    parser.add_argument("--neurons", type=int, default=100)
    parser.add_argument("--bits", type=int, default=8)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--tested", type=int, default=200)
    parser.add_argument("--part", type=int, default=50)
    parser.add_argument("--target", default="mesh64")
    parser.add_argument("--compare", action="store_true", help="with the reference and with the C program")
    options = parser.parse_args()
    x = images(options.data)
    shape = classics.Shape(784, options.neurons, options.bits)
    found = [measured(kind, shape, x, options) for kind in options.kinds]
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
