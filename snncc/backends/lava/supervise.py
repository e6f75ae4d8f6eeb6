"""Runs a program in a session of its own, within a time limit, and leaves nothing of it behind, however it ends.

Lava starts a process for each of its processes, which talk through shared memory; when it fails or hangs, they stay.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_GRACE = 5.0  # seconds that a program gets to end by itself once it is told to
_LAST_WORDS = 10.0  # seconds of silence after a traceback: a process has failed, and the others wait for it for ever
_TRACEBACK = "Traceback (most recent call last)"
_KEPT = 20_000  # characters of output
_SHARED = "/dev/shm/"  # noqa: S108  where POSIX shared memory lies on Linux

Line = Callable[[str], None]


@dataclass(frozen=True)
class Ended:
    """How a program ended: `why` is empty if it ended well; `said` is the last of what it printed."""

    why: str
    said: str

    @property
    def summary(self) -> str:
        """What went wrong, in one line: the exception that was shown, else the last line."""
        _, traceback, rest = self.said.partition(_TRACEBACK)
        shown = [each for each in (rest if traceback else self.said).splitlines()[bool(traceback) :] if each.strip()]
        lines = [each for each in shown if not each.startswith(" ")] if traceback else shown[-1:]
        return f"{self.why}: {lines[0].strip()[:500]}" if lines else self.why


def ignore(_: str) -> None:
    """Take no notice of a line of output."""


def supervise(
    command: Sequence[str],
    *,
    limit: float,
    silence: float | None = None,
    folder: Path | None = None,
    variables: Mapping[str, str] | None = None,
    line: Line = ignore,
) -> Ended:
    """Run a command; each line that it prints, on either stream, goes to `line`.

    `limit` bounds its time in seconds, `silence` the time between two lines.
    """
    own = {**os.environ, **(variables or {}), "PYTHONUNBUFFERED": "1"}
    try:
        process = subprocess.Popen(  # noqa: S603  our own run.py, without a shell
            list(command),
            cwd=folder,
            env=own,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        return Ended(f"{command[0]} cannot be started", error.strerror or str(error))
    try:
        return _follow(process, limit, silence, line)
    finally:
        end_session(process)


def _follow(process: subprocess.Popen[bytes], limit: float, silence: float | None, line: Line) -> Ended:
    assert process.stdout is not None
    begun = heard = time.monotonic()
    said, rest, failed = "", b"", False
    os.set_blocking(process.stdout.fileno(), False)
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while process.poll() is None or selector.select(0):
            now = time.monotonic()
            if now - begun > limit:
                return Ended(f"it was ended after {limit:,.0f} seconds", said)
            if failed and now - heard > _LAST_WORDS:
                return Ended("one of its processes failed", said)
            if silence is not None and now - heard > silence:
                return Ended(f"it was ended after {silence:,.0f} seconds without a sign of life", said)
            if not selector.select(0.2):
                continue
            chunk = process.stdout.read(1 << 16)
            if not chunk:  # the program closed its streams, or ended
                selector.unregister(process.stdout)
                break
            heard = now
            *whole, rest = (rest + chunk).split(b"\n")
            for each in whole:
                text = each.decode(errors="replace")
                said = f"{said}{text}\n"[-_KEPT:]
                failed = failed or _TRACEBACK in text
                line(text)
    return _ended(process, begun + limit, said + rest.decode(errors="replace"))


def _ended(process: subprocess.Popen[bytes], deadline: float, said: str) -> Ended:
    try:
        status = process.wait(max(0.1, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return Ended("it closed its output and went on", said)
    if status < 0:
        return Ended(f"it was ended by {signal.Signals(-status).name}", said)
    return Ended(f"it ended with status {status}" if status else "", said)


def end_session(process: subprocess.Popen[bytes]) -> None:
    """End every process of the program's session, and free the shared memory that they held."""
    members = list(_members(process.pid))
    shared = {name for each in members for name in _shared_memory(each)}
    _signal(members, signal.SIGTERM)
    deadline = time.monotonic() + _GRACE
    while members and time.monotonic() < deadline:  # Python's own tracker of shared memory is the last to go
        time.sleep(0.02)
        process.poll()
        members = list(_members(process.pid))
    while members:
        _signal(members, signal.SIGKILL)
        time.sleep(0.01)
        members = [each for each in _members(process.pid) if each != process.pid or process.poll() is None]
    process.wait()
    if process.stdout:
        process.stdout.close()
    for name in shared:
        with contextlib.suppress(OSError):
            Path(name).unlink()


def _signal(members: Sequence[int], number: signal.Signals) -> None:
    for each in members:
        with contextlib.suppress(OSError):
            os.kill(each, number)


def _members(session: int) -> Iterator[int]:
    """The live processes of a session; where there is no /proc, its leader."""
    if not Path("/proc/self").exists():
        with contextlib.suppress(OSError):
            os.kill(session, 0)
            yield session
        return
    for each in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            # the fields after the name, which is in parentheses: state, parent, group, session
            fields = (
                (each / "stat").read_text(errors="replace").rpartition(")")[2].split() if each.name.isdigit() else []
            )
            if fields and int(fields[3]) == session and fields[0] != "Z":
                yield int(each.name)


def _shared_memory(process: int) -> Iterator[str]:
    """The files of shared memory that a process has mapped."""
    with contextlib.suppress(OSError):
        for row in Path(f"/proc/{process}/maps").read_text(errors="replace").splitlines():
            place = row.split(maxsplit=5)[-1]
            if place.startswith(_SHARED) and not place.endswith("(deleted)"):
                yield place
