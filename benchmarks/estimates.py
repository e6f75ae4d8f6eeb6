"""Compares energy estimated on calibration samples with what the emulated chip counts on held-back ones; prints JSON.

    python -m benchmarks.estimates [--targets mesh64 loihi1] [--limit N]
    python -m benchmarks.estimates --learning ../shared/data/mnist --limit 10    samples that are learnt, then answered

Bits are 8, and 4 where 8 do not fit. The aim is an energy within 10 % on all of the test file; `time` is a lower bound.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import snncc
from benchmarks.learning import split
from snncc import classics
from snncc.analysis.costs import taken
from snncc.backends.base import Batch
from snncc.diagnostics import CompileError
from snncc.estimation import estimate, frames
from snncc.program import Program

MODELS = Path(__file__).parents[1] / "models"
USUAL = ("digits_dense", "digits_odin", "digits_resnet", "digits_stock", "vowels_rnn", "fashion_conv")


def compared(name: str, target: str, limit: int | None) -> dict[str, object]:
    """The two figures of each kind."""
    samples = MODELS / f"{name}.samples.npz"
    try:
        program = snncc.compile(MODELS / f"{name}.onnx", target, samples=samples, backend="chip")
    except CompileError as error:
        return {"model": name, "target": target, "refused": error.diagnostics[0].message}
    data = program.data(MODELS / f"{name}.npz", limit=limit)
    on_samples, on_test, spent = estimate(program, samples), estimate(program, data), program.simulate(data).spent
    assert spent
    assert spent.joules
    assert on_samples.joules
    assert on_test.joules
    assert on_samples.seconds
    assert on_test.seconds
    return {
        "model": name,
        "target": target,
        "samples": [on_samples.samples, on_test.samples],
        "joules": on_samples.joules.value,
        "counted": spent.joules.value,
        "error": on_samples.joules.value / spent.joules.value - 1,
        "error_on_the_same": on_test.joules.value / spent.joules.value - 1,
        "time": on_test.seconds.value / spent.seconds.value - 1,
        "time_on_samples": on_samples.seconds.value / spent.seconds.value - 1,
    }


def compared_learning(kind: str, folder: Path, neurons: int, limit: int) -> dict[str, object]:
    """What is off of an estimate, on the same samples: those that are learnt, and the same ones answered afterwards."""
    program = snncc.compile(classics.make(kind, classics.Shape(784, neurons)), "mesh64")
    assert isinstance(program, Program)
    data = program.data(split(folder, "validation", 0, limit, limit)[0])
    found, spent = estimate(program, data), program.simulate(data).spent
    x = frames(program.source, data.spiking())
    learnt = program.expected(x, data.lengths).learnt
    batch = Batch(x.reshape(*x.shape[:2], -1), data.lengths, learnt=learnt, frozen=True)
    with program.placed() as place:
        took = taken(program.chip, program.found(place, batch, record=False).counts, limit)
    assert spent
    assert spent.joules
    assert found.joules
    assert found.seconds
    assert found.answered
    assert found.answered.joules
    assert found.answered.seconds
    return {
        "network": kind,
        "updates": [found.updates, spent.changes],
        "learnt": [found.joules.value, found.joules.value / spent.joules.value - 1],
        "answered": [found.answered.joules.value, found.answered.joules.value / (took.joules / limit) - 1],
        "time learnt": found.seconds.value / spent.seconds.value - 1,
        "time answered": found.answered.seconds.value / (took.seconds / limit) - 1,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--targets", nargs="*", default=["mesh64", "loihi1"])
    parser.add_argument("--limit", type=int)
    parser.add_argument("--learning", type=Path, metavar="FOLDER", help="with the files of MNIST")
    given = parser.parse_args()
    for kind in ("spikedyn", "diehl-cook") if given.learning else ():
        print(json.dumps(compared_learning(kind, given.learning, 100, given.limit or 10)), flush=True)
    for target in given.targets if not given.learning else ():
        for model in USUAL:
            print(json.dumps(compared(model, target, given.limit)), flush=True)
