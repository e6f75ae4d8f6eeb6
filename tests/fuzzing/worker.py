"""Runs cases under limits and reports escapes: `python -W error -m tests.fuzzing.worker KIND FIRST COUNT [SECONDS]`.

An escape is anything but success or a diagnostic: another exception, a warning, too much time or memory, a half-written
folder, a control character on the terminal.
"""

from __future__ import annotations

import json
import random
import resource
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from typer.testing import CliRunner

from snncc.cli import app

from .cases import KINDS, Command

MEMORY = 2 << 30  # address space, the interpreter and its libraries included
WORK = 30  # seconds of the processor for one command, whatever else runs on this machine
PATIENCE = 20 * WORK  # seconds by the clock


class TooSlowError(BaseException):
    """Passes through what catches an Exception."""


def _alarm(*_: Any) -> None:
    raise TooSlowError


def _allow(work: int, patience: int) -> None:
    """End with TooSlowError after so many seconds of the processor, or by the clock; 0 lifts a limit."""
    signal.setitimer(signal.ITIMER_PROF, work)
    signal.setitimer(signal.ITIMER_REAL, patience)


def escapes(kind: str, seed: int) -> Iterator[str]:
    """What is wrong with the answers to one case."""
    rng = random.Random(f"{kind} {seed}")
    with TemporaryDirectory(prefix="snncc-fuzz-") as scratch:
        folder = Path(scratch, "case")
        folder.mkdir()
        before = ""
        for command in KINDS[kind](folder, rng):
            _allow(WORK, PATIENCE)
            try:
                done = CliRunner().invoke(app, list(command))
            except TooSlowError:
                yield f"{command}: more than {WORK} s of work, or {PATIENCE} s\n{traceback.format_exc()}"
                break
            finally:
                _allow(0, 0)
            yield from (f"{command}: {each}" for each in _wrong(command, done, folder))
            if before == "compile" and done.exit_code == 1:
                yield f"{command}: what was compiled does not verify: {done.stdout}{done.stderr}"
            if done.exit_code:
                break
            before = command[0]
        if {each.name for each in Path(scratch).iterdir()} != {"case"}:
            yield "wrote outside its folder"


def _wrong(command: Command, done: Any, folder: Path) -> Iterator[str]:
    if not isinstance(done.exception, (SystemExit, type(None))):
        yield "".join(traceback.format_exception(*done.exc_info))
        return
    said = done.stdout + done.stderr
    if done.exit_code not in (0, 1, 2):
        yield f"exit status {done.exit_code}"
    if done.exit_code == 2 and "error[" not in said and '"diagnostics"' not in said and "Usage:" not in said:
        yield f"no diagnostic in {said!r}"
    if "--json" in command and "Usage:" not in said:
        json.loads(done.stdout)
    if not all(each.isprintable() or each == "\n" for each in said):
        yield f"control characters in {said!r}"
    hidden = [each.name for each in folder.iterdir() if each.name.startswith(".")]
    if hidden or (command[0] == "compile" and (folder / "out").exists() != (done.exit_code == 0)):
        yield f"exit status {done.exit_code}, but the folder holds {hidden or [each.name for each in folder.iterdir()]}"


def main(kind: str, first: int, count: int, seconds: float = 1e9) -> None:
    """Write a line of JSON before each case, one for each escape, and one at the end."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, resource.RLIM_INFINITY))
    for limit in (signal.SIGALRM, signal.SIGPROF):
        signal.signal(limit, _alarm)
    end = time.monotonic() + seconds
    for seed in range(first, first + count):
        if time.monotonic() > end:
            break
        _say(seed=seed)
        try:
            found = list(escapes(kind, seed))
        except Exception:  # the case itself could not be made: a fault of the fuzzer's
            found = [f"cannot make the case: {traceback.format_exc()}"]
        for each in found:
            _say(seed=seed, escape=each)
    _say(done=True)


def _say(**what: Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
