"""Measures what `--early-exit` saves on shipped models with counted spikes, on their whole test files; prints JSON.

On the emulated mesh64: steps until a sample is decided, energy and time, beside the same program run to the end.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

import snncc
from snncc.analysis.metrics import Run
from snncc.chip import load
from snncc.compiler import compiled
from snncc.preparation import Choices

MODELS = Path(__file__).parents[1] / "models"
NAMES = ("digits_dense", "digits_stock", "digits_odin", "digits_resnet")


def figures(run: Run) -> dict[str, Any]:
    assert run.spent
    assert run.spent.joules
    found = {"accuracy": run.accuracy, "energy": run.spent.joules.value, "time": run.spent.seconds.value}
    return found | {each.key: each.value for each in run.readings}


def measure(name: str, steps: str | None) -> dict[str, Any]:
    model = snncc.import_model(MODELS / f"{name}.onnx")
    samples, test = (MODELS / f"{name}{end}.npz" for end in (".samples", ""))
    runs = [
        compiled(model, load("mesh64"), Choices(steps=steps, early_exit=early), samples).simulate(test)
        for early in (False, True)
    ]
    row = {"all": figures(runs[0]), "early": figures(runs[1])}
    row["same classes"] = bool(np.array_equal(runs[0].classes, runs[1].classes))
    print(name, steps, row, file=sys.stderr, flush=True)
    return row


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("names", nargs="*", default=NAMES)
    arguments.add_argument("--steps")
    options = arguments.parse_args()
    print(json.dumps({name: measure(name, options.steps) for name in options.names}, indent=1))


if __name__ == "__main__":
    main()
