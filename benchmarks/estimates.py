"""Compares energy estimated on calibration samples with what the emulated chip counts on held-back ones; prints JSON.

    python benchmarks/estimates.py [--targets mesh64 loihi1] [--limit N]

Bits are 8, and 4 where 8 do not fit. The aim is an energy within 10 % on all of the test file; `time` is a lower bound.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import snncc
from snncc.diagnostics import CompileError
from snncc.estimation import estimate

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


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--targets", nargs="*", default=["mesh64", "loihi1"])
    parser.add_argument("--limit", type=int)
    given = parser.parse_args()
    for target in given.targets:
        for model in USUAL:
            print(json.dumps(compared(model, target, given.limit)), flush=True)
