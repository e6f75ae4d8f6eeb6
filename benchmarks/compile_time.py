"""Measures time and peak memory of `snncc.compile` for networks of 0.1, 1 and 10 M weights; prints JSON.

Each compilation runs in a process of its own, so that the peak is its own. The C compiler is not part of it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from networks import mlp

HIDDEN = {"0.1 M": [100, 250, 250, 10], "1 M": [400, 800, 800, 10], "10 M": [1000, 2700, 2700, 10]}

CHILD = """
import json, resource, sys, time
begin = time.perf_counter()
import snncc
imported = time.perf_counter()
program = snncc.compile(sys.argv[1], "host", steps=16)
program.write(sys.argv[2])
end = time.perf_counter()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({"import_s": imported - begin, "compile_s": end - imported, "peak_bytes": peak}))
"""


def measure(model: Path, folder: Path, repeats: int) -> dict[str, float]:
    """Medians over `repeats` processes."""
    runs = []
    for index in range(repeats):
        command = [sys.executable, "-c", CHILD, str(model), str(folder / f"out{index}")]
        runs.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    return {key: round(statistics.median(run[key] for run in runs), 3) for key in runs[0]}


def main() -> None:
    """Measure every size."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--repeats", type=int, default=3)
    repeats = arguments.parse_args().repeats
    results = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name, sizes in HIDDEN.items():
            model = Path(scratch, f"{name.replace(' ', '')}.onnx")
            weights = mlp(model, sizes)
            folder = Path(scratch, name)
            folder.mkdir()
            results[name] = {"weights": weights, **measure(model, folder, repeats)}
    print(json.dumps({"load": os.getloadavg(), "repeats": repeats, "networks": results}, indent=1))


if __name__ == "__main__":
    main()
