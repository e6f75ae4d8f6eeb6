"""Measures accuracy on every target's arithmetic, beside the float model's; prints JSON.

    python benchmarks/accuracy_on_targets.py [MODEL ...] [--target T ...] [--bits B] [--limit N] [--no-samples]

Each model is compiled with its calibration samples, or without; the reference runs its shipped test file. Every backend
gives the reference's bits (`verify_all.py`), so its accuracy is the target's. A model that a target refuses has its
rules listed.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import snncc
from snncc.analysis.metrics import summarise
from snncc.data import to_integers
from snncc.semantics import run

MODELS = Path(__file__).parents[1] / "models"
TARGETS = ("host", "mesh64", "loihi1", "loihi2")


def measure(model: Path, target: str, bits: int, limit: int, samples: bool) -> dict[str, Any]:
    """Accuracy of one model on one target; `overflows` are populations whose registers are not proved to hold."""
    calibration = model.with_suffix(".samples.npz") if samples else None
    try:
        program = snncc.compile(model, target, samples=calibration, weight_bits=bits)
    except snncc.CompileError as error:
        return {"refused": sorted({each.rule for each in error.diagnostics})}
    data = program.data(model.with_suffix(".npz"), limit=limit)
    trace = run(program.network, to_integers(program.source, data.x), data.steps, data.lengths)
    found = summarise([trace], data.lengths, data.y, program.decoders, 0.0)
    overflows = [each.where for each in program.warnings if each.rule == "may-overflow"]
    return {"accuracy": found.accuracy, "overflows": overflows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="models, all by default")
    parser.add_argument("--target", action="append", help=f"may be repeated; {', '.join(TARGETS)} by default")
    parser.add_argument("--bits", type=int, default=8)
    parser.add_argument("--limit", type=int, default=400, help="test samples [%(default)s]")
    parser.add_argument("--no-samples", action="store_true", help="compile without calibration samples")
    options = parser.parse_args()
    result: dict[str, Any] = {}
    for name in options.names or sorted(path.stem for path in MODELS.glob("*.onnx")):
        path = MODELS / f"{name}.onnx"
        imported = snncc.import_model(path)
        data = snncc.model_data(imported, path.with_suffix(".npz"), limit=options.limit)
        floats = snncc.simulate_float(imported, data)
        result[name] = {"samples": len(data.x), "float": floats.accuracy}
        for target in options.target or TARGETS:
            result[name][target] = measure(path, target, options.bits, options.limit, not options.no_samples)
            print(name, target, json.dumps(result[name][target]), flush=True)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
