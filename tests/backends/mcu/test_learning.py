"""Networks that learn on microcontrollers: what they take, the bits that they learn, and saves without power."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from snncc import chip as chips
from snncc import classics, compiler
from snncc.backends.base import Batch, Job
from snncc.backends.c.learnt import learnt_bytes, read_learnt
from snncc.backends.c.mcu.emulate import worst_step
from snncc.backends.c.mcu.memory import footprint
from snncc.checkpoints import learnt_in
from snncc.chip import Chip
from snncc.courses import Course
from snncc.data import Data
from snncc.diagnostics import CompileError
from snncc.freezing import content
from snncc.graph import Graph
from snncc.integers import Synapse
from snncc.program import Program
from snncc.rules import text_of
from snncc.semantics import run
from snncc.training import learn
from snncc.verify import compare
from tests.backends.mcu.devices import NAMES, each_kind, needs, place, ran
from tests.backends.mcu.test_artefact import built, emulated
from tests.backends.mcu.test_memory import linked

SLOWER = {name: [pytest.mark.slow] * (name != "cortex-m4") for name in NAMES}
TARGETS = Path(__file__).parents[3] / "targets"


def with_ram(name: str, size: int, folder: Path) -> Path:
    """The file of a target like the shipped one, with so many bytes of RAM."""
    text = (TARGETS / f"{name}.toml").read_text()
    changed = re.sub(r"ram = \{ value = \d+", f"ram = {{ value = {size}", text, count=1)
    assert changed != text
    (folder / f"{name}.toml").write_text(changed)
    return folder / f"{name}.toml"


def learner(shape: classics.Shape, target: str | Path, kind: str = "spikedyn") -> Program:
    made = compiler.compile(classics.make(kind, shape), str(target))
    assert isinstance(made, Program)
    return made


def spikes(samples: int, steps: int, size: int) -> np.ndarray:
    rng = np.random.default_rng(samples)
    return (rng.random((samples, steps, size)) < 0.3 * rng.random(size)).astype(np.int64)


def section(program: Program, name: str) -> int:
    taken = footprint(Job("m", program.network, program.proof, program.chip))
    return next(each.bytes for each in taken.sections if each.name == name)


@needs("cortex-m4")
def test_78_400_synapses_of_4_bits_learn_in_64_kib(tmp_path: Path) -> None:
    program = learner(classics.Shape(784, 100, bits=4), with_ram("cortex-m4", 65536, tmp_path))
    taken = footprint(Job("m", program.network, program.proof, program.chip))
    assert section(program, "learnt") == 784 * 100 // 2 + 100 * 4 + 4 + 4  # cells, thresholds, steps, a flag
    assert taken.needed("ram") < 46_000
    x = spikes(3, 30, 784)
    names = ["excitatory"]
    expected = run(program.network, x, record=names)
    assert expected.spikes["excitatory"].any()
    with program.placed() as artefact:
        found = program.backend.run(artefact, program.network, program.chip, Batch(x, np.full(3, 30)), True)
    assert compare(expected, found.trace, names).differing == 0
    assert found.peaks["stack"][0] <= section(program, "stack")


def test_what_does_not_fit_is_said_with_numbers(tmp_path: Path) -> None:
    target = with_ram("cortex-m4", 65536, tmp_path)
    with pytest.raises(CompileError) as caught:
        learner(classics.Shape(784, 100, bits=8), target)
    (found,) = (each for each in caught.value.diagnostics if each.severity == "error")
    assert (found.rule, found.where) == ("ram-too-small", "synapses")
    assert re.fullmatch(
        r"needs 82,\d{3} bytes of RAM \(learnt 78,808, traces 1,868, state 712, sums 400, input 784, stack \d+\); "
        r"cortex-m4 has 65,536: 17,\d{3} too many",
        found.message,
    )
    assert found.hint
    assert found.hint.startswith("let the rule's weights have 4 bits, guard bits included; choose cortex-m4")


def test_weights_that_learn_are_not_made_fewer_bits_by_an_option_that_is_for_others() -> None:
    with pytest.raises(CompileError) as caught:
        learner(classics.Shape(784, 400, bits=8), "cortex-m0plus")
    hints = {each.rule: each.hint for each in caught.value.diagnostics if each.severity == "error"}
    assert hints == {
        "flash-too-small": "train with 40% of the weights; choose cortex-m7",
        "ram-too-small": "learn with 2% of the weights: fewer neurons; choose cortex-m7",
    }


@each_kind
@pytest.mark.parametrize("bits", [4, pytest.param(8, marks=pytest.mark.slow)])
def test_the_figures_are_the_linkers(name: str, bits: int, tmp_path: Path) -> None:
    program = learner(classics.Shape(10, 9, bits=bits, steps=10, threshold=400.0), name, "diehl-cook")
    real = linked(program.network, program.chip, tmp_path)
    assert real["state"] == sum(section(program, each) for each in ("learnt", "traces", "state", "sums"))
    assert worst_step(tmp_path, program.network, program.proof, program.chip) is None


@pytest.mark.parametrize("name", [pytest.param(each, marks=[needs(each), *SLOWER[each]]) for each in NAMES])
@pytest.mark.skipif(shutil.which("cmake") is None, reason="CMake is not installed")
def test_the_self_test_checks_what_is_learnt(name: str, tmp_path: Path) -> None:
    program = learner(classics.Shape(10, 6, steps=10, threshold=20.0), name)
    place(program.files(), tmp_path)
    assert "PASSED" in emulated(name, built(tmp_path))
    code = (tmp_path / "network.c").read_text()
    changed = code.replace("s->learnt.steps += s->shown;", "s->learnt.steps += s->shown + 1;")
    assert changed != code
    (tmp_path / "network.c").write_text(changed)
    said = emulated(name, built(tmp_path))
    assert "it learnt something else than expected" in said
    assert "FAILED" in said


POWER = """/* Saves, learns, saves again while power is lost after each number of bytes, and loads. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "network.h"

static uint8_t flash[2][SNN_SLOT_BYTES], kept[2][SNN_SLOT_BYTES];
static long power;
static uint32_t next;

static bool lost(void) { return power-- <= 0; }

static bool erase(void *user, uint8_t slot)
{
    (void)user;
    next = 0;
    for (uint32_t k = 0; k < SNN_SLOT_BYTES; k++) {
        if (lost())
            return false;
        flash[slot][k] = 0xff;
    }
    return true;
}

static bool put(void *user, uint8_t slot, uint32_t at, const void *from, uint8_t bytes)
{
    (void)user;
    if (at != next || bytes > 16 || at + bytes > SNN_SLOT_BYTES)
        abort();
    for (uint8_t k = 0; k < bytes; k++) {
        if (lost())
            return false;
        if (flash[slot][at + k] != 0xff)
            abort();
        flash[slot][at + k] = ((const uint8_t *)from)[k];
    }
    next = at + bytes;
    return true;
}

static bool get(void *user, uint8_t slot, uint32_t at, void *to, uint8_t bytes)
{
    (void)user;
    if (at + bytes > SNN_SLOT_BYTES)
        abort();
    memcpy(to, flash[slot] + at, bytes);
    return true;
}

static snn_state state, before, after, again;
static const snn_memory memory = {erase, put, get, NULL};

static void learn(void)
{
    snn_input x[SNN_INPUTS];
    snn_reset(&state);
    for (int t = 0; t < 20; t++) {
        for (uint32_t j = 0; j < SNN_INPUTS; j++)
            x[j] = (j + (uint32_t)t) % 3 == 0;
        snn_step(&state, x);
    }
    snn_finish(&state);
}

static int same(const snn_state *a) { return !memcmp(&a->learnt, &again.learnt, sizeof a->learnt); }

int main(void)
{
    FILE *const file = fopen("slot.bin", "wb");
    long whole = 0, old = 0, fresh = 0;
    power = 1L << 30;
    memset(flash, 0xff, sizeof flash);
    snn_init(&state);
    if (snn_load(&state, &memory))
        return 1; /* there is none */
    for (int saves = 0; saves < 3; saves++) {
        before = state;
        if (saves && !snn_load(&before, &memory))
            return 2;
        learn();
        after = state;
        memcpy(kept, flash, sizeof flash);
        for (long at = 0;; at++) {
            memcpy(flash, kept, sizeof flash);
            power = at;
            const bool saved = snn_save(&state, &memory);
            const bool complete = power >= 0;
            power = 1L << 30;
            if (saved != complete)
                return 3;
            snn_init(&again);
            if (!snn_load(&again, &memory)) {
                if (saves || complete)
                    return 4; /* there was an older one */
                fresh++;
            } else if (same(&after)) {
                whole++;
            } else if (saves && same(&before)) {
                old++;
            } else {
                return 5;
            }
            if (complete)
                break;
        }
    }
    fwrite(flash[0], 1, SNN_SLOT_BYTES, file);
    fclose(file);
    for (uint32_t k = 0; k < SNN_SLOT_BYTES; k++) { /* one wrong bit anywhere: the other slot counts */
        flash[0][k] ^= 1u << k % 8;
        snn_init(&again);
        if (!snn_load(&again, &memory) || !same(&before))
            return 6;
        flash[0][k] ^= 1u << k % 8;
    }
    printf("%ld %ld %ld\\n", fresh, old, whole);
    return 0;
}
"""


@pytest.mark.parametrize("kind", ["spikedyn", "diehl-cook"])
def test_a_loss_of_power_leaves_this_save_or_the_one_before(kind: str, tmp_path: Path) -> None:
    """The device's code, on this computer: power is lost after each byte that is erased or written."""
    program = learner(classics.Shape(7, 5, bits=4, steps=20, threshold=20.0), "cortex-m4", kind)
    place(program.files(), tmp_path)
    (tmp_path / "power.c").write_text(POWER)
    flags = ["-std=c99", "-O1", "-Wall", "-Wextra", "-Werror", "-pedantic", "-fsanitize=address,undefined"]
    subprocess.run(["cc", *flags, "-o", "power", "power.c", "network.c"], cwd=tmp_path, check=True)
    done = subprocess.run(["./power"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.returncode, done.stderr)
    fresh, old, whole = map(int, done.stdout.split())
    assert min(fresh, old) > 50
    assert whole == 3 * (1 + 3)  # the last three bytes are those of erased memory
    x = np.array([[[[(j + t) % 3 == 0 for j in range(7)] for t in range(20)]] * 3][0]).astype(np.int64)
    learnt = run(program.network, x).learnt
    assert learnt
    assert (tmp_path / "slot.bin").read_bytes() == learnt_bytes(program.network, learnt, 3)


@pytest.mark.parametrize("name", [pytest.param(each, marks=[needs(each), *SLOWER[each]]) for each in NAMES])
def test_what_comes_after_a_sample_is_counted(name: str) -> None:
    """Nobody spikes: one network normalises all weights after each sample, the other none; their steps are alike."""
    rule, _ = text_of("spikedyn").split("[threshold]")
    model = replace(classics.make("spikedyn", classics.Shape(12, 10, steps=4)), learn={"synapses": rule})
    program = compiler.compile(model, name)
    assert isinstance(program, Program)
    synapse = program.network["synapses"]
    assert isinstance(synapse, Synapse)
    assert synapse.plasticity
    assert synapse.plasticity.normalisation
    whole = replace(synapse.plasticity.normalisation, spiking=False)
    other = replace(synapse, plasticity=replace(synapse.plasticity, normalisation=whole))
    networks = program.network, Graph({**program.network.ops, "synapses": other}, program.network.edges)
    none, all_ = (ran(each, program.chip, np.zeros((3, 4, 12), np.int64)) for each in networks)
    each = (all_.figures["counted"] - none.figures["counted"]) / (3 * 120)
    assert 10 < each < 1000
    assert all_.peaks["worst"] <= none.peaks["worst"]


@needs("cortex-m4")
def test_a_stream_is_learnt_in_the_emulator(tmp_path: Path) -> None:
    """`snncc learn` on a device's artefact: batches go on from each other, tests learn nothing."""
    shape = classics.Shape(16, 8, bits=4, steps=20, threshold=60.0)
    course = Course(steps=20, rate=0.5, named=2, batch=6)
    rng = np.random.default_rng(4)
    y = rng.integers(0, 2, 12)
    x = np.where((np.arange(16) < 8)[None] == (y == 0)[:, None], 230, 5).astype(np.uint8)
    data = Data(x, np.full(12, 20), y)
    device, host = (learner(shape, target) for target in ("cortex-m4", "host"))
    there = learn(device, data, data, course, tmp_path / "device")
    here = learn(replace_network(host, device), data, data, course, tmp_path / "host")
    assert there.exams == here.exams
    assert there.learnt.steps == here.learnt.steps == 240
    assert np.array_equal(there.learnt.weights["synapses"], here.learnt.weights["synapses"])
    assert np.array_equal(there.learnt.adaptations["excitatory"], here.learnt.adaptations["excitatory"])


def replace_network(program: Program, other: Program) -> Program:
    """A program for this computer of the network that was compiled for another target."""
    return replace(program, network=other.network, proof=other.proof)


def test_every_shipped_device_learns() -> None:
    found: list[Chip] = [chips.load(name) for name in chips.known()]
    assert all("learning" in each.capabilities for each in found if each.device)


@needs("cortex-m4")
def test_a_device_goes_on_from_what_a_computer_has_learnt(tmp_path: Path) -> None:
    """A run of the host's program, by its checkpoint, and the save that `snncc freeze` writes for the device."""
    shape = classics.Shape(16, 8, bits=4, steps=20, threshold=60.0)
    course = Course(steps=20, rate=0.5, named=2, batch=6)
    data = Data((np.random.default_rng(2).random((8, 16)) * 255).astype(np.uint8), np.full(8, 20), np.arange(8) % 2)
    learn(learner(shape, "host"), data, data, course, tmp_path)
    device = learner(shape, "cortex-m4")
    at = learnt_in(device.network, tmp_path)
    saved = content(device, at.learnt, tmp_path / "save.learnt")
    given = read_learnt(device.network, saved, "save.learnt")
    assert saved == learnt_bytes(device.network, given), "what the emulator puts into a slot"
    x = spikes(2, 20, 16)
    expected = run(device.network, x, record=["excitatory"], learnt=at.learnt)
    with device.placed() as artefact:
        found = device.backend.run(artefact, device.network, device.chip, Batch(x, np.full(2, 20), given), True)
    assert expected.spikes["excitatory"].any()
    assert compare(expected, found.trace, ["excitatory"]).differing == 0
