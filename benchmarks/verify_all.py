"""Compiles every shipped model at 8 and 4 bits and verifies it over its whole test file; prints JSON.

`values` counts every spike, membrane and output of every neuron and step that was compared, `differing` those of which
any bit differs between the target and the reference. `seconds` are of the clock, those of the reference alone of the
processor. Of a model that a target cannot take, `refused` says why. Exits with status 1 if there is a difference.

    python benchmarks/verify_all.py --target loihi1 --backend chip
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import snncc
from snncc.data import to_integers
from snncc.semantics import run

MODELS = Path(__file__).parents[1] / "models"
BITS = (8, 4)


def measure(model: Path, target: str, backend: str | None, bits: int) -> dict[str, Any]:
    """The figures of one model at one width of weights; the C compiler counts as part of verifying."""
    began = time.perf_counter()
    samples = model.with_suffix(".samples.npz")
    try:
        program = snncc.compile(model, target, samples=samples, weight_bits=bits, backend=backend)
    except snncc.CompileError as error:
        return {"refused": [str(each) for each in error.diagnostics if each.severity == "error"]}
    compiled = time.perf_counter()
    data = program.data(model.with_suffix(".npz"))
    found = program.verify(data)
    figures: dict[str, Any] = {"samples": found.samples, "values": found.values, "differing": found.differing}
    if found.difference:
        figures["first difference"] = str(found.difference)
    seconds = {"compile": compiled - began, "verify": time.perf_counter() - compiled}
    x = to_integers(program.source, data.x)
    seconds["reference"] = cpu_seconds(lambda: run(program.network, x, data.steps, data.lengths))
    return {**figures, "seconds": {what: round(value, 3) for what, value in seconds.items()}}


def cpu_seconds(function: Callable[[], object]) -> float:
    """The least of three; the reference runs on one thread."""
    times: list[float] = []
    for _ in range(3):
        began = time.process_time()
        function()
        times.append(time.process_time() - began)
    return min(times)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="models, all by default")
    parser.add_argument("--target", default="host")
    parser.add_argument("--backend", help="the target's own by default")
    options = parser.parse_args()
    names = options.names or sorted(path.stem for path in MODELS.glob("*.onnx"))
    result = {
        name: {f"{bits} bits": measure(MODELS / f"{name}.onnx", options.target, options.backend, bits) for bits in BITS}
        for name in names
    }
    print(json.dumps(result, indent=1))
    return int(any(row.get("differing") for rows in result.values() for row in rows.values()))


if __name__ == "__main__":
    sys.exit(main())
