"""Compiles every shipped model at 8 and 4 bits and verifies it over its whole test file; prints JSON.

`values` counts every spike, membrane and output of every neuron and step that was compared, `differing` those of which
any bit differs between the target and the reference. Exits with status 1 if there is one.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import snncc

MODELS = Path(__file__).parents[1] / "models"
BITS = (8, 4)


def measure(model: Path, target: str, backend: str | None, bits: int) -> dict[str, Any]:
    """The figures of one model at one width of weights; the C compiler counts as part of verifying."""
    began = time.perf_counter()
    samples = model.with_suffix(".samples.npz")
    program = snncc.compile(model, target, samples=samples, weight_bits=bits, backend=backend)
    compiled = time.perf_counter()
    found = program.verify(model.with_suffix(".npz"))
    figures: dict[str, Any] = {"samples": found.samples, "values": found.values, "differing": found.differing}
    if found.difference:
        figures["first difference"] = str(found.difference)
    seconds = {"compile": compiled - began, "verify": time.perf_counter() - compiled}
    return {**figures, "seconds": {what: round(value, 2) for what, value in seconds.items()}}


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
    return int(any(row["differing"] for rows in result.values() for row in rows.values()))


if __name__ == "__main__":
    sys.exit(main())
