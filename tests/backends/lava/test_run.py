"""Running: wrong data, a Lava that fails or hangs half way, and nothing left behind."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from snncc.analysis.proof import prove
from snncc.backends.base import Batch, Job, Setting
from snncc.backends.lava import BACKEND
from snncc.backends.lava.environment import environment
from snncc.backends.lava.run import TIMEOUT_VARIABLE, run
from snncc.diagnostics import CompileError
from snncc.graph import Edge, Graph
from snncc.integers import Network, Output, Source, Synapse
from snncc.linear import Dense
from snncc.passes.retime import retime
from tests.backends.lava.loihi import lif
from tests.conformance.backends import LATE, expect


def network() -> Network:
    ops = {
        "x": Source((3,)),
        "w": Synapse(Dense(np.array([[3, -1, 2], [1, 1, 1]], np.int8))),
        "p": lif((2,), 3 << 6),
        "y": Output("spikes", "after", "count"),
    }
    return retime(Graph(ops, [Edge("x", "w"), Edge("w", "p"), Edge("p", "y")]), LATE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in BACKEND.emit(Job("tiny", network(), prove(network()), LATE)).items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    return tmp_path


def batch() -> Batch:
    x = np.random.default_rng(1).integers(0, 2, (4, 6, 3))
    return Batch(x, np.array([6, 2, 6, 5]))


def failure(folder: Path) -> str:
    with pytest.raises(CompileError) as caught:
        run(folder, network(), LATE, batch(), True)
    return str(caught.value)


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def in_the_recorder(folder: Path, statement: str) -> None:
    """Make the program's recorder do something else at every step, and write down the shared memory that it uses."""
    loop = "        for name in self.sent:"
    maps = f"open({str(folder / 'maps')!r}, 'w').write(open('/proc/self/maps').read())"
    change(folder / "recorder.py", loop, f"        {maps}\n        {statement}\n{loop}")


def leftovers(folder: Path) -> list[str]:
    """What is still there of a run's shared memory, and of its processes."""
    used = {row.split(maxsplit=5)[-1] for row in (folder / "maps").read_text().splitlines() if "/dev/shm/" in row}
    assert used
    running = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    return [each for each in used if Path(each).exists()] + [
        each for each in running.splitlines() if str(folder) in each
    ]


def test_a_run_leaves_nothing_and_says_what_it_ran_on(folder: Path) -> None:
    machines: list[str] = []
    in_the_recorder(folder, "pass")
    files = {path for path in folder.rglob("*") if path.is_file()}
    result = run(folder, network(), LATE, batch(), True, setting=Setting(machine=machines.append))
    expected = expect(network(), batch().x, batch().lengths)
    assert np.array_equal(result.trace.membranes["p"], expected.membranes["p"])
    assert machines == ["Loihi2SimCfg"]
    assert leftovers(folder) == []
    assert {path for path in folder.rglob("*") if path.is_file()} == files | {folder / "maps"}


def test_lava_fails_half_way(folder: Path) -> None:
    """Its other processes would wait for ever for the one that failed."""
    in_the_recorder(folder, "assert self.time_step < 9, 'half way'")
    assert failure(folder) == (
        f"error[lava-failed]: {folder}: Lava did not finish, and there is no result: it ended with status 1: "
        "AssertionError: half way\n"
        f"  = hint: run it yourself to see all of it: uv run {folder}/run.py DATA.npz RESULT.npz"
    )
    assert leftovers(folder) == []


def test_lava_hangs_half_way(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_the_recorder(folder, "__import__('time').sleep(600 * (self.time_step == 9))")
    monkeypatch.setenv(TIMEOUT_VARIABLE, "6")
    assert failure(folder) == (
        f"error[lava-failed]: {folder}: Lava did not finish, and there is no result: it was ended after 6 seconds "
        "without a sign of life: progress 6 25\n"
        f"  = hint: if the machine is only slow, set {TIMEOUT_VARIABLE} to a number of seconds; "
        f"else run it yourself to see all of it: uv run {folder}/run.py DATA.npz RESULT.npz"
    )
    assert leftovers(folder) == []


def test_a_timeout_that_is_no_number(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TIMEOUT_VARIABLE, "soon")
    assert failure(folder) == (
        "error[lava-environment]: SNNCC_LAVA_TIMEOUT: 'soon' is no number of seconds\n"
        "  = hint: give a number, such as 600"
    )


def test_a_result_that_cannot_be_read(folder: Path) -> None:
    change(folder / "run.py", "        np.savez(file, **result)", "        file.write(b'half a result')")
    assert failure(folder).startswith("error[lava-failed]: result.npz: Lava left no result that can be read")


def test_an_interrupt_leaves_nothing(folder: Path) -> None:
    """Ctrl-C in the middle of a run, as a user's terminal sends it."""
    in_the_recorder(folder, "__import__('time').sleep(0.5)")
    # A shell without a terminal starts what it puts into the background with Ctrl-C ignored, and children inherit that.
    program = f"""
import signal
from pathlib import Path
from tests.backends.lava.test_run import LATE, Setting, batch, network, run
signal.signal(signal.SIGINT, signal.default_int_handler)
heard = Setting(machine=lambda _: print("running", flush=True))
run(Path({str(folder)!r}), network(), LATE, batch(), True, setting=heard)
"""
    child = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=Path(__file__).parents[3],
    )
    assert child.stdout is not None
    with child.stdout:
        assert child.stdout.readline() == b"running\n"
        deadline = time.monotonic() + 60
        while not (folder / "maps").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        child.send_signal(signal.SIGINT)
        assert child.wait(60) != 0
    assert leftovers(folder) == []


def own(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The program as a user starts it, without snncc."""
    command = [str(environment().python), str(folder / "run.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_the_program_runs_by_itself(folder: Path, tmp_path: Path) -> None:
    data, result = tmp_path / "data.npz", tmp_path / "result.npz"
    x = batch().x[:, 0]
    np.savez(data, x=x, y=np.zeros(4, int))
    done = own(folder, str(data), str(result), "--steps", "7", "--record", "--config", "auto")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "machine Loihi2SimCfg"
    assert done.stdout.splitlines()[-1].startswith("accuracy ")
    expected = expect(network(), np.repeat(x[:, None], 7, axis=1))
    with np.load(result) as kept:
        assert set(kept.files) == {"out/y", "spikes/p", "v/p"}
        assert np.array_equal(kept["v/p"], expected.membranes["p"])


@pytest.mark.parametrize(
    ("x", "more", "said"),
    [
        (np.zeros((2, 4, 5)), [], "x has shape (2, 4, 5); this network needs (samples, steps, 3)\n"),
        (np.zeros((2, 3)), [], "x is presented at every step: give --steps N\n"),
        (np.zeros((0, 4, 3)), [], "x has shape (0, 4, 3); this network needs (samples, steps, 3)\n"),
        (
            np.zeros((2, 4, 3)),
            ["--config", "Loihi2HwCfg"],
            "no Loihi hardware: Lava's Loihi extension (lava.utils.loihi2_profiler) is not installed here\n",
        ),
    ],
)
def test_the_program_refuses_wrong_data(
    folder: Path, tmp_path: Path, x: np.ndarray, more: list[str], said: str
) -> None:
    np.savez(tmp_path / "data.npz", x=x)
    done = own(folder, str(tmp_path / "data.npz"), str(tmp_path / "result.npz"), *more)
    assert (done.returncode, done.stderr) == (1, said)
    assert not (tmp_path / "result.npz").exists()
