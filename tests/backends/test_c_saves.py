"""Saves of what a C program on a computer learnt: which one is newer, what is refused, and going on from one."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from snncc import classics, compiler
from snncc.backends.c.learnt import learnt_bytes, read_learnt
from snncc.diagnostics import CompileError
from snncc.freezing import content
from snncc.integers import Learnt
from snncc.program import Program
from snncc.semantics import run
from tests.backends.c_helpers import STRICT

SPIKES = (np.random.default_rng(4).random((6, 20, 7)) < 0.4).astype(np.int64)

COUNTED = """/* Saves are counted: the newest is the one that was made last, whatever was learnt. */
#include <stdio.h>
#include <string.h>
#include "network.h"

static snn_state state, again;
static unsigned char a[SNN_LEARNT_BYTES], b[SNN_LEARNT_BYTES];

static void learn(int samples)
{
    snn_input x[SNN_INPUTS];
    for (; samples; samples--) {
        snn_reset(&state);
        for (int t = 0; t < 20; t++) {
            for (uint32_t j = 0; j < SNN_INPUTS; j++)
                x[j] = (j + (uint32_t)t) % 3 == 0;
            snn_step(&state, x);
        }
        snn_finish(&state);
    }
}

int main(void)
{
    if (snn_newer(a, b) != -1)
        return 1;
    snn_begin(&state);
    learn(3);
    snn_save(&state, NULL, a);
    if (snn_newer(a, b) != 0 || snn_newer(b, a) != 1)
        return 2;
    snn_begin(&state); /* from the beginning: fewer steps, and newer */
    learn(1);
    snn_save(&state, a, b);
    if (snn_newer(a, b) != 1 || snn_newer(b, a) != 0)
        return 3;
    snn_begin(&again);
    if (snn_load(&again, b, sizeof b) || memcmp(&again.learnt, &state.learnt, sizeof state.learnt))
        return 4;
    learn(1);
    snn_save(&state, b, a);
    if (snn_newer(a, b) != 0)
        return 5;
    for (uint32_t k = 0; k < sizeof a; k++) { /* one wrong bit anywhere: the other one counts, and counting goes on */
        a[k] ^= (unsigned char)(1u << k % 8);
        if (snn_newer(a, b) != 1 || !snn_load(&again, a, sizeof a))
            return 6;
        a[k] ^= (unsigned char)(1u << k % 8);
    }
    FILE *const file = fopen("third.learnt", "wb");
    fwrite(a, 1, sizeof a, file);
    fclose(file);
    memset(a + sizeof a - 8, 0xff, 4); /* the greatest number: 0 comes after it */
    memset(a + sizeof a - 4, 0, 4);
    snn_save(&state, a, b);
    if (snn_newer(a, b) != 1 || b[sizeof b - 8] != 0)
        return 7;
    snn_save(&state, b, b); /* in its own place */
    return b[sizeof b - 8] != 1;
}
"""


@pytest.fixture(scope="module")
def made() -> Program:
    shape = classics.Shape(7, 5, bits=4, steps=20, threshold=20.0)
    found = compiler.compile(classics.make("spikedyn", shape))
    assert isinstance(found, Program)
    return found


def learnt_from(made: Program, x: np.ndarray, before: Learnt | None = None) -> Learnt:
    found = run(made.network, x, learnt=before).learnt
    assert found
    return found


def test_the_newest_save_is_the_last_one_that_was_made(made: Program, tmp_path: Path) -> None:
    for name, file in made.files().items():
        if "/" not in name:
            (tmp_path / name).write_bytes(file)
    (tmp_path / "counted.c").write_text(COUNTED)
    flags = [*STRICT, "-O1", "-fsanitize=address,undefined"]
    subprocess.run(["cc", *flags, "-o", "counted", "counted.c", "network.c", "weights.c"], cwd=tmp_path, check=True)
    done = subprocess.run(["./counted"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.returncode, done.stderr)
    x = np.array([[[(j + t) % 3 == 0 for j in range(7)] for t in range(20)]] * 2).astype(np.int64)
    assert (tmp_path / "third.learnt").read_bytes() == learnt_bytes(made.network, learnt_from(made, x), 3)


def test_a_program_goes_on_from_what_a_run_has_learnt(made: Program, tmp_path: Path) -> None:
    """Its own command line, with the file that `snncc freeze` writes; and it counts the saves in a place."""
    known = learnt_from(made, SPIKES[:3])
    (tmp_path / "given.learnt").write_bytes(content(made, known, Path("given.learnt")))
    made.write(tmp_path / "build")
    build = [*STRICT, "-O1", "-o", "network", "main.c", "network.c", "weights.c"]
    subprocess.run(["cc", *build], cwd=tmp_path / "build", check=True)
    header = np.array([3, 20, 7, 1], "<u4").tobytes()
    samples = b"".join(np.uint32(20).tobytes() + each.astype(np.uint8).tobytes() for each in SPIKES[3:])
    (tmp_path / "in.bin").write_bytes(b"SNNCCIN1" + header + samples)
    expected = learnt_from(made, SPIKES[3:], known)
    for save in (1, 2):
        command = ["build/network", "-l", "given.learnt", "-s", "kept.learnt", "in.bin", "out.bin"]
        subprocess.run(command, cwd=tmp_path, check=True)
        assert (tmp_path / "kept.learnt").read_bytes() == learnt_bytes(made.network, expected, save)
    assert not (tmp_path / "kept.learnt.new").exists()


def test_a_save_of_another_network_or_a_damaged_one_is_refused(made: Program) -> None:
    saved = learnt_bytes(made.network, learnt_from(made, SPIKES[:2]))
    other = compiler.compile(classics.make("spikedyn", classics.Shape(7, 5, bits=4, steps=20, seed=1)))
    assert isinstance(other, Program)
    for network, changed, why in (
        (made.network, saved[:-1], f"is damaged: {len(saved) - 1} of {len(saved)} bytes, or others than were written"),
        (made.network, saved[:-1] + b"\0", "is damaged: "),
        (made.network, saved[:20], "is damaged: "),
        (made.network, b"", "is not what a network has learnt"),
        (other.network, saved, "is what another network has learnt, or this one with another rule"),
    ):
        with pytest.raises(CompileError) as caught:
            read_learnt(network, changed, "x.learnt")
        assert str(caught.value).startswith(f"error[bad-checkpoint]: x.learnt: {why}")


def test_a_chip_of_many_cores_loads_no_saves(made: Program) -> None:
    chip = compiler.compile(classics.make("spikedyn", classics.Shape(7, 5, bits=4, steps=20)), "mesh64")
    assert isinstance(chip, Program)
    with pytest.raises(CompileError) as caught:
        content(chip, learnt_from(made, SPIKES[:2]), Path("x.learnt"))
    assert str(caught.value) == (
        "error[no-save]: mesh64: has programs that load no saves\n"
        "  = hint: write a program that no longer learns, by the name of a folder"
    )
