"""Programs that fail, hang, and leave processes and shared memory behind: nothing of them stays."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from snncc.backends.lava import supervise as supervising
from snncc.backends.lava.supervise import Ended, supervise

SHARED = Path("/dev/shm")


def python(program: str, **options: float) -> tuple[Ended, list[str]]:
    lines: list[str] = []
    limit = options.pop("limit", 60.0)
    ended = supervise([sys.executable, "-c", program], limit=limit, line=lines.append, **options)
    return ended, lines


def alive(mark: str) -> list[str]:
    found: list[str] = []
    for each in Path("/proc").iterdir():
        with suppress(OSError):
            if each.name.isdigit() and mark in (each / "cmdline").read_text():
                found.append(each.name)
    return found


def test_lines_arrive_and_a_good_end_has_no_reason() -> None:
    ended, lines = python("print('one'); import sys; print('two', file=sys.stderr); sys.stdout.write('three')")
    assert (ended.why, lines) == ("", ["one", "two"])
    assert ended.said.endswith("three")


def test_a_failure_says_its_last_line() -> None:
    ended, _ = python("raise ValueError('weights are lost')")
    assert ended.summary == "it ended with status 1: ValueError: weights are lost"


def test_a_signal_is_named() -> None:
    ended, _ = python("import os; os.kill(os.getpid(), 9)")
    assert ended.why == "it was ended by SIGKILL"


def test_a_program_that_is_not_there() -> None:
    assert supervise(["/no/such/program"], limit=1).summary == (
        "/no/such/program cannot be started: No such file or directory"
    )


@pytest.mark.parametrize("ignoring", [False, True])
def test_a_program_that_hangs_is_ended(ignoring: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervising, "_GRACE", 0.5)
    mark = f"mark_of_a_hang_{ignoring}"
    stubborn = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);" if ignoring else ""
    begun = time.monotonic()
    ended, _ = python(f"{stubborn}import time; print('{mark}'); time.sleep(600)", limit=0.5)
    assert ended.why == "it was ended after 0 seconds"
    assert time.monotonic() - begun < 20
    assert not alive(mark)


def test_silence_ends_a_program_and_talk_keeps_it() -> None:
    talk = "import time\nfor _ in range(8): print('here', flush=True); time.sleep(0.25)\n"
    assert python(talk, silence=1.5)[0].why == ""
    ended, _ = python("import time; print('here', flush=True); time.sleep(600)", silence=1.5)
    assert ended.why == "it was ended after 2 seconds without a sign of life"


def test_a_traceback_and_then_silence_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervising, "_LAST_WORDS", 1.0)
    program = """
import threading, time
threading.Thread(target=lambda: 1 / 0).start()
time.sleep(600)
"""
    ended, _ = python(program, limit=60.0)
    assert ended.summary == "one of its processes failed: ZeroDivisionError: division by zero"


@pytest.mark.parametrize("end", ["time.sleep(600)", "os.kill(os.getpid(), 9)", "raise SystemExit(3)"])
def test_children_and_shared_memory_go_with_the_program(end: str) -> None:
    program = f"""
import os, time, subprocess, sys
from multiprocessing import resource_tracker, shared_memory
block = shared_memory.SharedMemory(create=True, size=5000)
resource_tracker.unregister(block._name, "shared_memory")
child = "from multiprocessing import shared_memory; import time;"
child += f"b = shared_memory.SharedMemory({{block.name!r}}); print(1, flush=True); time.sleep(600)  # mark_of_a_child"
subprocess.Popen([sys.executable, "-c", child], stdout=subprocess.PIPE).stdout.readline()
print(block.name, flush=True)
{end}
"""
    ended, lines = python(program, limit=4.0)
    assert ended.why
    assert len(lines) >= 1
    assert not (SHARED / lines[0].lstrip("/")).exists()
    assert not alive("mark_of_a_child")
