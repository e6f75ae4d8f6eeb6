"""Searches for programs that take a third of what plain 8-bit compilation takes, on held-out data; prints JSON.

    python benchmarks/search.py [MODEL...] [--target T] [--trials N] [--workers N]

The search sees the calibration samples alone, whose labels come from the training data. What it finds is compiled by
its command, whose bytes must be those of the search, and measured on the test file. `over` is how many times 8 bits
exceed the budget; the aim is 3 times, within 5 points of float, in less than 15 minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
import shlex
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import snncc
from snncc.cli import app
from snncc.estimation import estimate
from snncc.exploring.evaluate import digest
from snncc.exploring.search import Search, explore
from snncc.importing import import_model, model_data, simulate_float

MODELS = Path(__file__).parents[1] / "models"
USUAL = ("digits_dense", "digits_odin", "digits_resnet", "digits_stock", "vowels_rnn", "fashion_conv")


def searched(name: str, target: str, trials: int, workers: int | None) -> dict[str, object]:
    """The search, and what its best point is worth on the test file."""
    model, samples, test = (str(MODELS / f"{name}{end}") for end in (".onnx", ".samples.npz", ".npz"))
    wide = estimate(snncc.compile(model, target, samples=samples)).quantities["weights"]
    budget = f"weights<={wide // 3:.0f}"
    with TemporaryDirectory() as scratch:
        begun = time.perf_counter()
        found = explore(Search(model, target, samples, budget), Path(scratch, "study"), trials=trials, workers=workers)
        seconds = time.perf_counter() - begun
        best = found.front.best
        if best is None:
            return {"model": name, "budget": budget, "faults": [str(each) for each in found.faults]}
        command = [*shlex.split(found.commands[best.number])[1:], "-o", str(Path(scratch, "program"))]
        app(command, standalone_mode=False)
        program = snncc.open_program(Path(scratch, "program"))
        files = {
            str(each.relative_to(Path(scratch, "program"))): each.read_bytes()
            for each in Path(scratch, "program").rglob("*")
            if each.is_file()
        }
    trained = import_model(model)
    return {
        "model": name,
        "target": target,
        "budget": budget,
        "over": wide / (wide // 3),
        "weights": best.outcome.quantities["weights"],
        "choices": " ".join(found.words[best.number]),
        "points": len(found.found),
        "measured": sum(each.outcome.stage == "measured" for each in found.found),
        "seconds": seconds,
        "same_bytes": digest(files) == best.outcome.digest,
        "on_samples": best.outcome.quantities["accuracy"],
        "float": simulate_float(trained, model_data(trained, test)).accuracy,
        "test": program.simulate(test).accuracy if target in ("host", "mesh64") else estimate(program, test).accuracy,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=USUAL)
    parser.add_argument("--target", default="cortex-m4")
    parser.add_argument("--trials", type=int, default=32)
    parser.add_argument("--workers", type=int)
    given = parser.parse_args()
    for model in given.models:
        print(json.dumps(searched(model, given.target, given.trials, given.workers)), flush=True)
