"""The artefact's driver: what it prints programs and drives a chip to the classes that `simulate` gives."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snncc.arrays import Array
from snncc.backends.tinyodin.config import Config, Events, World
from snncc.backends.tinyodin.machine import run as run_machine
from snncc.backends.tinyodin.programming import Memories
from snncc.backends.tinyodin.run import run
from snncc.events.ops import EventNetwork
from snncc.integers import Output
from tests.backends.tinyodin.networks import fitting, written
from tests.events.random_networks import Case
from tests.events.test_reference import example


def driver_in(folder: Path) -> Any:
    """The artefact's driver as a module."""
    spec = importlib.util.spec_from_file_location("driver", folder / "driver.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
    try:
        spec.loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = before
    return module


class Chip:
    """A link that ends at the exact machine: it obeys each line, and keeps a log with the outputs."""

    def __init__(self, driver: Any) -> None:
        outer = self

        class Link(driver.Link):
            def put(self, line: str) -> None:
                outer.put(line)

        self.link, self.memories, self.log = Link(), Memories(), list[str]()
        self.sent: int | None = None

    def put(self, line: str) -> None:
        kind, *rest = line.split()
        if kind == "SPI":
            self.memories.write((int(rest[0], 16), int(rest[1], 16)))
        elif kind == "AER":
            assert self.sent is None, "an event before the last one has settled"
            self.sent = int(rest[0], 16)
        elif kind == "SETTLE":
            assert self.sent is not None
            config: Config = self.memories.config()
            done = run_machine(config, Events(np.array([self.sent])), World())
            self.log += [f"OUT {address:02X}" for address in done.out_address.tolist()]
            self.memories.neurons = [
                word & ~0xFFF | v & 0xFFF for word, v in zip(self.memories.neurons, done.membrane.tolist(), strict=True)
            ]
            self.sent = None
        else:
            self.log.append(line)


def driven(folder: Path, x: Array, lengths: Array | None = None) -> list[tuple[str, int, list[int]]]:
    """What the driver decodes after it programmed a chip and ran a data file."""
    data = folder / "data.npz"
    arrays = {"x": x} | ({} if lengths is None else {"lengths": lengths})
    np.savez(data, **arrays)
    driver = driver_in(folder)
    chip = Chip(driver)
    driver.program(chip.link)
    driver.run(chip.link, data)
    return list(driver.decode(chip.log))


@given(fitting(), st.sampled_from(["count", "mean", "max", "last"]))
@settings(max_examples=15)
def test_the_driver_gives_the_scores_of_the_machine(case: Case, decoder: Any) -> None:
    from dataclasses import replace
    from tempfile import TemporaryDirectory

    from snncc.semantics import decode

    ops = {
        name: replace(op, decoder=decoder) if isinstance(op, Output) else op for name, op in case.network.ops.items()
    }
    network = EventNetwork(ops, case.network.edges)
    with TemporaryDirectory() as scratch:
        folder = written(network, Path(scratch))
        found = driven(folder, case.x, case.lengths)
        trace, _ = run(folder, case.x.reshape(*case.x.shape[:2], -1), case.lengths, record=False)
    scores = decode(next(iter(trace.outputs.values())), decoder, case.lengths)
    assert [(int(sample), label) for sample, label, _ in found] == list(enumerate(scores.argmax(axis=1).tolist()))
    assert [each for _, _, each in found] == scores.tolist()


def test_static_data_is_presented_at_every_step(tmp_path: Path) -> None:
    """One event of weight 3 a step against a threshold of 5: a spike every second step."""
    folder = written(example([[3, 3]]), tmp_path, steps=6)
    ((_, _, still),) = driven(folder, np.ones((1, 1)))
    ((_, _, moving),) = driven(folder, np.ones((1, 6, 1)))
    assert still == moving
    assert still != [0]


def test_pace_counts_every_word_and_every_output(tmp_path: Path) -> None:
    """Section 11 of the specification in the artefact's words: three words of 6 cycles and two outputs of 8."""
    driver = driver_in(written(example([[3, 0]]), tmp_path))
    pace = driver.Pace()
    pace.sent(8)
    assert pace.due == 14
    pace.output(11)
    pace.output(27)
    assert pace.due == 14 + 2 * (6 + 8)
    pace.sent(100, leak=True)
    assert pace.due == 100


def _command(folder: Path, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-B", "-W", "error", str(folder / "driver.py"), *arguments]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False, cwd="/")


def test_the_command_line(tmp_path: Path) -> None:
    folder = written(example([[3, 0]], leak=100), tmp_path)
    printed = _command(folder, "program").stdout.splitlines()
    assert printed[:2] == ["SPI 00000 00001", "SPI 00001 00001"]
    assert [line[4:] for line in printed] == (folder / "spi.hex").read_text().splitlines()
    np.savez(folder / "data.npz", x=np.array([[[1], [0]], [[1], [1]]]))
    lines = _command(folder, "run", str(folder / "data.npz"), "1").stdout.splitlines()
    assert lines[:8] == ["SAMPLE 0", "STEP 0", "AER 0FF", "SETTLE", "AER 1FF", "SETTLE", "STEP 1", "AER 1FF"]
    assert lines[8:] == ["SETTLE", *["AER 1FF", "SETTLE"] * 21]
    decoded = _command(folder, "decode", text="SAMPLE 0\nSTEP 0\nOUT 01\nOUT 00\nSTEP 1\nOUT 01\nSAMPLE 1\nSTEP 0\n")
    assert decoded.stdout == "sample 0: class 0, scores 2\nsample 1: class 0, scores 0\n"


def test_whoever_reads_the_lines_may_stop(tmp_path: Path) -> None:
    command = [sys.executable, "-B", "-u", str(written(example([[3, 0]]), tmp_path) / "driver.py"), "program"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout
        assert running.stderr
        assert running.stdout.readline() == b"SPI 00000 00001\n"
        running.stdout.close()
        assert running.stderr.read() == b""


@pytest.mark.parametrize("arguments", [(), ("fly",), ("run",), ("decode", "x")])
def test_bad_use_prints_what_there_is(arguments: tuple[str, ...], tmp_path: Path) -> None:
    done = _command(written(example([[3, 0]]), tmp_path), *arguments)
    assert done.returncode == 1
    assert done.stderr.startswith("Prints what a host sends to a tinyODIN chip")
