"""Recorded runs of the hardware pass, and where a record differs from the machine, the first place is told."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from snncc.backends.tinyodin.replay import first_difference, replay
from snncc.backends.tinyodin.trace import read
from tests.backends.tinyodin.files import FOLDER, RECORDED, plain, put, write
from tests.replay_tinyodin import main

_NAMES = (
    *("push", "tref_all", "tref_one", "sop", "spk_popneur", "spk_popvirt", "spk_tref"),
    *("drop_popneur", "drop_popvirt", "drop_tref", "silent", "fullprio", "overtake_push", "overtake_tref", "maxfill"),
)


@pytest.mark.skipif(not RECORDED, reason=f"no recorded runs in {FOLDER}")
def test_all_recorded_runs_pass(capsys: pytest.CaptureFixture[str]) -> None:
    assert len(RECORDED) >= 28
    assert main([str(path) for path in RECORDED]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(RECORDED)
    assert lines[0] == f"{RECORDED[0]}: same: 202 cycles, 12 events, 2 outputs"


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.name[:6])
def test_counts_are_those_of_the_hardware(path: Path) -> None:
    """The `info` of a trace, but for the words started while full: it counts one that a cut forestalls."""
    import gzip
    import json

    with gzip.open(path) as file:
        info = json.load(file)["info"]
    result = replay(read(path))
    counts, queue = result.counts, result.queue
    found = (
        *(counts.pushes, counts.leaks_all, counts.leaks_one, counts.synaptic),
        *(counts.spikes.sweep, counts.spikes.virtual, counts.spikes.leak),
        *(queue.lost.sweep, queue.lost.virtual, queue.lost.leak, counts.silent),
        *(queue.full_priority, queue.overtaking_pushes, queue.overtaking_leaks, queue.fullest),
    )
    assert dict(zip(_NAMES, found, strict=True)) == {name: info[name] for name in _NAMES}
    forestalled = info["full_popneur"] + info["full_popvirt"] - queue.full_sweeps - queue.full_virtual
    assert forestalled in ((0, 1) if result.end == "cut" else (0,))


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("expect.in_req.0", 1, "cycle 0, before any event, expect.in_req[0]: 1 in the trace, 0 here"),
        ("expect.in_ack.0", 3, "cycle 3, event 0, expect.in_ack[0]: 3 in the trace, 4 here"),
        ("expect.in_ack_fall.1", 70, "cycle 70, event 1, expect.in_ack_fall[1]: 70 in the trace, 71 here"),
        ("expect.in_ack_fall", [8], "cycle 71, event 1, expect.in_ack_fall[1]: nothing in the trace, 71 here"),
        ("expect.out_cycle.1", 29, "cycle 27, event 0, expect.out_cycle[1]: 29 in the trace, 27 here"),
        ("expect.out_addr.1", 0, "cycle 27, event 0, expect.out_addr[1]: 0 in the trace, 1 here"),
        ("expect.pop_cycle.2", 38, "cycle 37, event 0, expect.pop_cycle[2]: 38 in the trace, 37 here"),
        ("expect.pop_word.0", 8, "cycle 9, event 0, expect.pop_word[0]: 8 in the trace, 7 here"),
        ("expect.idle_cycle.0", 40, "cycle 40, event 0, expect.idle_cycle[0]: 40 in the trace, 42 here"),
        ("expect.end_cycle", 72, "cycle 71, event 1, expect.end_cycle: 72 in the trace, 71 here"),
        ("expect.v_end.5", -1, "cycle 71, event 1, expect.v_end[5]: -1 in the trace, 0 here"),
        ("expect.checkpoints.0.cycle", 9, "cycle 8, event 0, expect.checkpoints[0].cycle: 9 in the trace, 8 here"),
        ("expect.checkpoints.0.v.2", 1, "cycle 8, event 0, expect.checkpoints[0].v[2]: 1 in the trace, 0 here"),
        ("config.open_loop", 1, "cycle 22, event 0, expect.idle_cycle[0]: 42 in the trace, 22 here"),
        ("stop_cycle", 30, "cycle 36, event 0, expect.end_cycle: 71 in the trace, 36 here"),
    ],
)
def test_the_first_difference(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], field: str, value: Any, text: str
) -> None:
    content = plain()
    put(content, field, value)
    path = write(tmp_path, content)
    assert main([str(path)]) == 1
    assert capsys.readouterr().out == f"{path}: differs: {text}\n"


def test_a_record_of_a_network_that_never_rests(tmp_path: Path) -> None:
    """The machine does not go on for ever when the trace says that the hardware came to rest."""
    content = plain()
    content["neurons"]["thr"] = [0] * 256
    trace = read(write(tmp_path, content))
    difference = first_difference(trace, replay(trace))
    assert difference is not None
    assert difference.field == "expect.out_cycle[1]"


def test_as_a_program(tmp_path: Path) -> None:
    """Every file gets its line, and the worst sets the exit status."""
    good = write(tmp_path, plain())
    bad = tmp_path / "bad.json.gz"
    bad.write_bytes(b"no")
    script = Path(__file__).parents[2] / "replay_tinyodin.py"
    done = subprocess.run([sys.executable, script, bad, good], check=False, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout.splitlines() == [
        f"error[damaged-trace]: {bad}: is no complete gzip file: Not a gzipped file (b'no')",
        f"{good}: same: 71 cycles, 2 events, 2 outputs",
    ]
