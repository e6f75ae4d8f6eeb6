"""Measures what `--steps auto` saves and costs on shipped models, on their whole test files; prints JSON.

Accuracy is that of the float network, with neurons as they are cut to as many steps and adapted to them, and that of
the 8-bit program for mesh64, of which energy is estimated on the test file.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import snncc
from snncc.chip import load
from snncc.compiler import compiled
from snncc.data import Data
from snncc.estimation import estimate
from snncc.frontends import Model
from snncc.graph import Graph
from snncc.importing import simulate_float
from snncc.layers import Layer
from snncc.pace import FewerSteps, Pace
from snncc.passes.fewer_steps import with_fewer_steps
from snncc.passes.legalise import legalise
from snncc.passes.steps import Found, Wanted, fewer_steps, taking
from snncc.preparation import Choices

MODELS = Path(__file__).parents[1] / "models"


def accuracy(model: Model, graph: Graph[Layer], data: Data) -> float:
    return float(simulate_float(replace(model, graph=graph), data).accuracy or 0)


def measure(name: str, loss: float, target: str) -> dict[str, Any]:
    model = snncc.import_model(MODELS / f"{name}.onnx")
    graph = legalise(model.graph)
    samples, test = (snncc.model_data(model, MODELS / f"{name}{end}.npz") for end in (".samples", ""))
    begun = time.process_time()
    found = fewer_steps(graph, samples, model.decoder, model.steps or samples.steps, Wanted(None), loss)
    row: dict[str, Any] = {
        "seconds": time.process_time() - begun,
        "steps": model.steps,
        "float": accuracy(model, graph, test),
    }
    row["taken"] = float(test.lengths.mean())
    for key, chosen in (("all", None), ("fewer", found)):
        program = compiled(model, load(target), Choices(steps=chosen), samples)
        taken = estimate(program, MODELS / f"{name}.npz").quantities
        row[key] = {each: taken.get(each) for each in ("accuracy", "energy", "time")}
    if found.fewer:
        row |= {"fewer steps": found.fewer.steps, "pace": str(found.fewer.pace), "on samples": found.accuracy}
        row |= _in_floats(model, graph, test, found)
    print(name, row, file=sys.stderr, flush=True)
    return row


def _in_floats(model: Model, graph: Graph[Layer], test: Data, found: Found) -> dict[str, Any]:
    fewer = found.fewer
    assert fewer
    read = taking(test, graph, fewer)
    cut = taking(test, graph, FewerSteps(fewer.of, fewer.steps, pace=Pace(most=fewer.steps)))
    return {
        "fewer taken": float(read.lengths.mean()),
        "adapted": accuracy(model, with_fewer_steps(graph, fewer), read),
        "as they are": accuracy(model, graph, read),
        "first steps": accuracy(model, graph, cut),
    }


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("names", nargs="*", default=sorted(each.stem for each in MODELS.glob("*.onnx")))
    arguments.add_argument("--loss", type=float, default=2.0)
    arguments.add_argument("--target", default="mesh64")
    options = arguments.parse_args()
    print(json.dumps({name: measure(name, options.loss, options.target) for name in options.names}, indent=1))


if __name__ == "__main__":
    main()
