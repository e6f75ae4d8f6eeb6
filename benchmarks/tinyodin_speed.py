"""Measures simulated cycles per second of the tinyODIN machine on recorded runs of the hardware; prints JSON.

    python benchmarks/tinyodin_speed.py [TRACE...]

A run is timed whole, as a user gets it: from the checked configuration to the result. Reading the file and numba's
compilation are not part of it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from pathlib import Path

from snncc.backends.tinyodin.machine import run
from snncc.backends.tinyodin.trace import Trace, read

FOLDER = Path(__file__).parents[2] / "shared" / "tinyodin" / "traces"


def seconds(trace: Trace, repeats: int) -> list[float]:
    """CPU seconds of single runs."""
    times: list[float] = []
    for _ in range(repeats):
        begin = time.process_time()
        run(trace.config, trace.events, trace.world, trace.stop_cycle)
        times.append(time.process_time() - begin)
    return times


def main() -> None:
    """Measure every trace, the longest first."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("traces", nargs="*", type=Path, default=sorted(FOLDER.glob("*.json.gz")))
    arguments.add_argument("--repeats", type=int, default=101)
    given = arguments.parse_args()
    traces = {path.name: read(path) for path in given.traces}
    rows = {}
    for name, trace in sorted(traces.items(), key=lambda each: -each[1].record.end_cycle):
        run(trace.config, trace.events, trace.world, trace.stop_cycle)
        times, cycles = seconds(trace, given.repeats), trace.record.end_cycle
        rows[name] = {
            "cycles": cycles,
            "microseconds": round(statistics.median(times) * 1e6),
            "million_cycles_per_second": round(cycles / statistics.median(times) / 1e6),
            "slowest": round(cycles / max(times) / 1e6),
        }
    print(json.dumps({"load": os.getloadavg(), "repeats": given.repeats, "traces": rows}, indent=1))


if __name__ == "__main__":
    main()
