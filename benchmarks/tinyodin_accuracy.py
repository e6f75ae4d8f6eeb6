"""Measures what a network keeps of its accuracy on tinyODIN, and what it takes there; prints JSON.

    python benchmarks/tinyodin_accuracy.py [MODEL.onnx...]

Beside MODEL.onnx lie MODEL.npz, the test data, and MODEL.samples.npz, the calibration samples, as in models/.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import snncc
from snncc.event_program import EventProgram

MODEL = Path(__file__).parents[1] / "models" / "digits_odin.onnx"


def measured(path: Path) -> dict[str, Any]:
    """One model: compile, simulate all test data, verify it."""
    begin = time.process_time()
    program = snncc.compile(path, "tinyodin", samples=path.with_suffix(".samples.npz"))
    compiling = time.process_time() - begin
    assert isinstance(program, EventProgram)
    data = program.data(path.with_suffix(".npz"))
    begin = time.process_time()
    run = program.simulate(data)
    simulating = time.process_time() - begin
    trained = snncc.simulate_float(snncc.import_model(path), data)
    figures = {each.key: each.value for each in run.readings}
    cycles = (figures["cycles"] + figures["reset_cycles"]) * run.samples
    return {
        "samples": run.samples,
        "float": trained.accuracy,
        "chip": run.accuracy,
        "changed": float((run.classes != trained.classes).mean()),
        "on the samples": {each.stage: [each.accuracy, each.changed] for each in program.fidelity},
        "proved": not program.warnings,
        "equal": program.verify(data).equal,
        "figures": figures,
        "seconds to compile": round(compiling, 2),
        "million cycles a second, with programming": round(cycles / simulating / 1e6),
    }


def main() -> None:
    """Measure each model."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("models", nargs="*", type=Path, default=[MODEL])
    rows = {str(path): measured(path) for path in arguments.parse_args().models}
    print(json.dumps({"load": os.getloadavg(), "models": rows}, indent=1))


if __name__ == "__main__":
    main()
