"""An estimate is what the target itself says, without a run there: bytes exactly, and energy, on the same samples."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import snncc
from snncc import classics
from snncc.analysis.costs import taken
from snncc.analysis.proof import prove
from snncc.backends.base import Batch, Job
from snncc.backends.c.memory import footprint
from snncc.cli import app
from snncc.courses import Course, presented
from snncc.data import Data
from snncc.diagnostics import CompileError
from snncc.estimation import Answered, estimate, frames, quantities_of
from snncc.integers import Network
from snncc.program import Program
from snncc.workload import work_of
from tests.backends.c_helpers import chip, emitted, placed, rich, small
from tests.backends.mcu.devices import needs

MODELS = Path(__file__).parents[1] / "models"
STOCK, SAMPLES = MODELS / "digits_stock.onnx", MODELS / "digits_stock.samples.npz"


@pytest.mark.parametrize("target", ["mesh64", "loihi1"])
def test_energy_is_what_the_emulated_chip_counts(target: str) -> None:
    program = snncc.compile(STOCK, target, backend="chip", weight_bits=4)
    data = program.data(SAMPLES, limit=12)
    found, run = estimate(program, data), program.simulate(data)
    assert run.spent
    assert run.spent.joules
    assert found.joules
    assert found.joules.parts == pytest.approx(run.spent.joules.parts, rel=1e-12)
    assert found.accuracy == run.accuracy
    assert found.seconds
    assert 0.95 * run.spent.seconds.value < found.seconds.value <= run.spent.seconds.value


@pytest.mark.parametrize(("rule", "bits"), [("spikedyn", 1 + 8 + 1), ("diehl-cook", 0), ("reward", 12)])
def test_learning_is_estimated_as_the_emulated_chip_counts_it(rule: str, bits: int) -> None:
    model = classics.make("spikedyn" if rule == "reward" else rule, classics.Shape(30, 9, steps=40))
    program = snncc.compile(model, "mesh64", learn=[("synapses", rule)])
    rng, lengths = np.random.default_rng(1), [40, 30, 40, 5, 40]
    data = program.data(rng.random((5, 40, 30)) < 0.3, lengths=lengths, reward=rng.integers(-1, 2, (5, 40)))
    found, run = estimate(program, data), program.simulate(data)
    assert run.spent
    assert run.spent.joules
    assert found.joules
    assert found.joules.parts == pytest.approx(run.spent.joules.parts, rel=1e-12)
    assert found.events["learning_change"] > 1000
    assert found.seconds
    assert 0.95 * run.spent.seconds.value < found.seconds.value <= run.spent.seconds.value
    assert (found.updates, found.traces) == (run.spent.changes, found.events["learning_trace"])
    sections = {each.name: each.bytes for each in found.footprint.sections}
    assert sections["synapses"] >= 30 * 9
    assert sections.get("traces of synapses", 0) == -(-bits * 9 // 8)
    assert found.quantities["plastic"] == sections["synapses"] + sections.get("traces of synapses", 0)
    assert set(found.quantities) == set(quantities_of(program.chip, learning=True)) - {"accuracy"}
    assert found.answered
    assert found.answered.joules
    assert found.answered.seconds
    _equals_a_frozen_run(program, data, found.answered)


def _equals_a_frozen_run(program: Program, data: Data, found: Answered) -> None:
    """What is answered once the samples were learnt, by the chip's own count."""
    x = frames(program.source, data).reshape(5, 40, 30)
    learnt = program.expected(x, data.lengths, reward=data.reward).learnt
    with program.placed() as folder:
        result = program.found(folder, Batch(x, data.lengths, learnt=learnt, frozen=True), record=False)
    took = taken(program.chip, result.counts, 5)
    assert found.joules
    assert found.seconds
    assert found.joules.value == pytest.approx(took.joules / 5, rel=1e-12)
    assert 0.95 * took.seconds / 5 < found.seconds.value <= took.seconds / 5


@pytest.mark.parametrize("target", ["host", "cortex-m4"])
def test_programs_in_c_say_how_much_they_learn(target: str) -> None:
    program = snncc.compile(classics.make("spikedyn", classics.Shape(30, 9, bits=4, steps=40)), target)
    data = program.data(np.random.default_rng(1).integers(0, 256, (5, 30), np.uint8), y=np.arange(5), rate=0.5)
    found = estimate(program, data)
    course = Course(steps=40, rate=0.5)
    x = presented(program.source, data, np.arange(5), course)
    trace = program.expected(x.x.reshape(5, 40, 30), x.lengths)
    work = work_of(program.network, x, trace.spikes)
    assert work.weight_changes > 5 * 30 * 9
    assert (found.updates, found.traces) == (work.weight_changes / 5, work.trace_steps / 5)
    assert found.accuracy is None
    sections = {each.name: each.bytes for each in found.footprint.sections}
    assert sections["traces"] == 30 * 2 + 3 * 9  # x; whether a target fired, how often, and since it was normalised
    assert found.quantities["plastic"] == sections["learnt"] + sections["traces"]
    assert set(found.quantities) == set(quantities_of(program.chip, learning=True)) - {"accuracy"}


def test_an_opened_program_is_estimated_like_the_one_that_was_written(tmp_path: Path) -> None:
    program = snncc.compile(STOCK, "mesh64", weight_bits=4).write(tmp_path / "program")
    opened = snncc.open_program(tmp_path / "program")
    data = np.load(SAMPLES)["x"][:3]
    assert estimate(opened, data) == estimate(program, data)


def test_a_program_for_lava_is_laid_out_to_be_estimated() -> None:
    program = snncc.compile(STOCK, "loihi1", weight_bits=4)
    found = estimate(program)
    assert found.cores == (1, 128)
    assert found.joules is None
    assert set(found.quantities) == {"synapses", "state", "weights", "cores"}


@pytest.mark.parametrize("make", [small, rich])
def test_the_memory_of_a_c_program_is_the_linkers_figure(make: Callable[[], Network]) -> None:
    network = make()
    part = {each.name: each.bytes for each in footprint(Job("a model", network, prove(network, 12), chip())).sections}
    main = '#include "network.h"\nsnn_state state;\nint main(void) { snn_reset(&state); return 0; }\n'
    with placed({**emitted(network), "other.c": main.encode()}) as folder:
        sources = ["network.c", "weights.c", "other.c"]
        subprocess.run(["cc", "-std=c99", "-c", *sources], cwd=folder, check=True)
        objects = [each.replace(".c", ".o") for each in sources]
        named = subprocess.run(["nm", "-S", *objects], cwd=folder, check=True, capture_output=True, text=True).stdout
        code = "".join((folder / each).read_text() for each in ("network.c", "weights.c"))
    arrays = set(re.findall(r"^(?:static )?(?:const )?\w+ (snn_\w+)\[", code, re.MULTILINE))
    rows = [line.split() for line in named.splitlines()]
    sizes = {each[3]: int(each[1], 16) for each in rows if len(each) == 4}
    assert part["weights"] + part["tables"] == sum(sizes[name] for name in arrays) > 0
    assert part["state"] + part["sums"] == sizes["state"]


def test_a_chip_that_acts_event_by_event_is_told_apart() -> None:
    program = snncc.compile(MODELS / "digits_odin.onnx", "tinyodin")
    with pytest.raises(CompileError) as found:
        estimate(program)
    assert str(found.value) == (
        "error[no-estimate]: tinyodin: acts event by event: what a sample takes is counted by running it\n"
        "  = hint: compile for it, and run `snncc simulate DIR --input DATA.npz`"
    )


def snncc_says(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["estimate", *map(str, arguments)])
    return done.exit_code, done.stdout


def test_the_command_says_what_it_found() -> None:
    code, said = snncc_says(STOCK, "-t", "mesh64", "--samples", SAMPLES, "--limit", "5", "--weight-bits", "4")
    assert code == 0
    lines = [re.split(r"  +", line) for line in said.splitlines()]
    assert lines[0] == ["digits_stock on mesh64, without running it there"]
    assert ["samples", "5"] in lines
    assert ["cores", "1 of 64"] in lines
    assert ["synapses", "4,352", "4,194,304", "0%"] in lines
    code, plain = snncc_says(
        STOCK, "-t", "mesh64", "--samples", SAMPLES, "--limit", "5", "--weight-bits", "4", "--json"
    )
    assert code == 0
    found = json.loads(plain)
    assert set(found["quantities"]) == {"synapses", "state", "weights", "cores", "energy", "time", "accuracy"}
    assert found["quantities"]["synapses"] == 4352
    assert found["joules"]["value"] == found["quantities"]["energy"]
    assert found["samples"] == 5


def test_a_microcontrollers_memories_are_named() -> None:
    code, plain = snncc_says(STOCK, "-t", "cortex-m4", "--json")
    assert code == 0
    found = json.loads(plain)
    assert set(found["quantities"]) == {"flash", "ram", "weights"}
    assert found["footprint"]["there"] == {"flash": 524288, "ram": 131072}


@needs("cortex-m4")
def test_a_microcontrollers_time_is_near_what_its_emulator_counts() -> None:
    program = snncc.compile(STOCK, "cortex-m4")
    data = program.data(SAMPLES, limit=3)
    found = estimate(program, data)
    counted = {each.key: each.value for each in program.simulate(data).readings}
    assert found.counted
    assert found.counted[0] == pytest.approx(counted["instructions"], rel=0.15)
    assert found.seconds
    assert found.seconds.value == pytest.approx(counted["latency"], rel=0.15)
    assert found.seconds.origin == "of 1 published and 8 assumed numbers"
    assert set(found.quantities) == set(quantities_of(program.chip))


def test_a_device_without_costs_has_no_time_before_it_runs() -> None:
    program = snncc.compile(STOCK, "avr")
    assert program.chip.device
    plain = replace(program.chip, device=replace(program.chip.device, costs=None))
    assert isinstance(program, Program)
    found = estimate(replace(program, chip=plain), np.load(SAMPLES)["x"][:2])
    assert (found.counted, found.seconds, found.joules) == (None, None, None)
    assert quantities_of(plain) == ("flash", "ram", "weights", "accuracy")
    assert quantities_of(program.chip) == ("flash", "ram", "weights", "energy", "time", "accuracy")


def test_a_folder_has_its_options_already(tmp_path: Path) -> None:
    snncc.compile(STOCK, "mesh64").write(tmp_path / "program")
    assert snncc_says(tmp_path / "program", "--json")[0] == 0
    for option in (("--weight-bits", "4"), ("--target", "host"), ("--prune", "0.5"), ("--steps", "auto")):
        done = CliRunner().invoke(app, ["estimate", str(tmp_path / "program"), *option])
        assert done.exit_code == 2
        said = " ".join(done.stderr.replace("│", " ").split())
        assert "is fixed in a compiled folder; compile again to change it" in said
        assert option[0] in said


def test_what_makes_a_program_smaller_shows_in_the_estimate() -> None:
    """The same bytes as of the program that is compiled with the same options."""
    given = ["--prune", "0.5", "--prune-neurons", "0.5", "--steps", "auto:3", "--state-bits", "12"]
    code, plain = snncc_says(STOCK, "-t", "mesh64", "--samples", SAMPLES, "--limit", "5", "--json", *given)
    assert code == 0
    fewer = {"prune": 0.5, "prune_neurons": 0.5, "steps": "auto:3", "state_bits": 12}
    program = snncc.compile(STOCK, "mesh64", samples=SAMPLES, **fewer)  # type: ignore[arg-type]
    found = json.loads(plain)["quantities"]
    expected = estimate(program, program.data(SAMPLES, limit=5)).quantities
    assert found == dict(expected)
    assert found["synapses"] < 4352  # half of what it takes at 8 bits
