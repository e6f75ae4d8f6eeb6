"""Replays recorded runs of the tinyODIN hardware on the machine, and says of each file where the two first differ.

    python tests/replay_tinyodin.py TRACE...

One line a file. Exits 0 if all are the same, 1 if one differs, 2 if one cannot be read or is damaged.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from snncc.backends.tinyodin.replay import first_difference, replay
from snncc.backends.tinyodin.trace import read
from snncc.diagnostics import CompileError


def line(path: Path) -> tuple[int, str]:
    """The exit status that the file gives, and what to print of it."""
    try:
        trace = read(path)
    except CompileError as error:
        return 2, str(error)
    result = replay(trace)
    difference = first_difference(trace, result)
    if difference:
        return 1, f"{path}: differs: {difference}"
    events, outputs = trace.events.words.size, result.out_cycle.size
    return 0, f"{path}: same: {result.end_cycle} cycles, {events} events, {outputs} outputs"


def main(arguments: Sequence[str] | None = None) -> int:
    """Replay every file, whatever became of those before."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("traces", metavar="TRACE", type=Path, nargs="+")
    worst = 0
    for path in parser.parse_args(arguments).traces:
        status, text = line(path)
        sys.stdout.write(text + "\n")
        worst = max(worst, status)
    return worst


if __name__ == "__main__":
    sys.exit(main())
