"""Static values become the same spikes for every command, and who gives values that cannot is told so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from snncc import classics, compiler
from snncc.cli import app
from snncc.courses import Course
from snncc.data import Coding, Data
from snncc.diagnostics import CompileError
from snncc.encoding import shown
from snncc.estimation import estimate
from snncc.importing import model_data, simulate_float
from snncc.integers import Source
from snncc.program import Program
from snncc.semantics import run
from snncc.spike_draws import encoded
from snncc.training import learn

MODEL = classics.make("spikedyn", classics.Shape(16, 8, steps=20, threshold=100.0))
PICTURES = np.random.default_rng(5).integers(0, 256, (9, 16)).astype(np.uint8)


def program(**more: Any) -> Program:
    made = compiler.compile(MODEL, **more)
    assert isinstance(made, Program)
    return made


def test_every_run_reads_what_is_learnt(tmp_path: Path) -> None:
    made, labels = program(), np.arange(9) % 2
    course = Course(steps=20, rate=0.5, seed=7)
    data = made.data(PICTURES, y=labels, rate=0.5, seed=7)
    spikes = encoded(PICTURES / 255.0, np.arange(9), *course.draws)
    expected = run(made.network, spikes, record=("excitatory",))
    at = learn(made, data, data, course, tmp_path)  # which reads the values, not their spikes
    assert expected.learnt
    np.testing.assert_array_equal(at.learnt.weights["synapses"], expected.learnt.weights["synapses"])
    given = made.data(spikes, y=labels)
    assert made.verify(data) == made.verify(given)
    assert made.verify(data).equal
    one, other = (made.simulate(each, record=True) for each in (data, given))
    np.testing.assert_array_equal(one.trace.spikes["excitatory"], expected.spikes["excitatory"])
    np.testing.assert_array_equal(other.trace.spikes["excitatory"], expected.spikes["excitatory"])
    assert estimate(made, data) == estimate(made, given)
    assert estimate(made, PICTURES) == estimate(made, encoded(PICTURES / 255.0, np.arange(9), *Course(steps=20).draws))
    floats = model_data(MODEL, PICTURES, rate=0.5, seed=7)
    np.testing.assert_array_equal(floats.spiking().x, spikes)
    assert simulate_float(MODEL, floats).accuracy == simulate_float(MODEL, model_data(MODEL, spikes)).accuracy


def test_parts_of_the_data_have_the_draws_of_the_whole() -> None:
    data = program().data(PICTURES)
    whole = data.spiking().x
    np.testing.assert_array_equal(data.part(2, 5).spiking().x, whole[2:5])
    np.testing.assert_array_equal(data.rows(np.array([8, 1])).spiking().x, whole[[8, 1]])
    again = program().data(data)
    np.testing.assert_array_equal(again.spiking().x, whole)
    shorter = program().data(PICTURES, lengths=np.arange(9) + 1)
    np.testing.assert_array_equal(shorter.spiking().x, whole)


def test_samples_that_choose_scales_are_read_so_too() -> None:
    spikes = encoded(PICTURES / 255.0, np.arange(9), *Course(steps=20, rate=0.125, seed=3).draws)
    texts = {
        program(samples=each, seed=3, **more).network.text()
        for each, more in ((PICTURES, {"prune": 0.5}), (spikes, {"prune": 0.5}))
    }
    assert len(texts) == 2, "0.25 is not 0.125"
    chosen = compiler.Choices(prune=0.5, seed=3, rate=0.125)
    made = compiler.compiled(MODEL, program().chip, chosen, PICTURES)
    assert isinstance(made, Program)
    assert made.network.text() in texts


def test_a_network_on_a_grid_of_its_own_reads_its_own_unit() -> None:
    source = Source((16,), scale=255.0)
    data = shown(Data(PICTURES, np.full(9, 20)), source, 20, learning=True, where="x")
    assert data.coding
    assert data.coding.unit == 255.0
    assert set(np.unique(data.spiking().x)) == {0.0, 255.0}


def test_networks_that_learn_nothing_read_0_and_1_in_each_step() -> None:
    source, data = Source((16,)), Data((PICTURES > 99).astype(np.uint8), np.full(9, 20))
    assert shown(data, source, 20, learning=False, where="x") is data
    assert isinstance(shown(data, source, 20, 0.5, learning=False, where="x").coding, Coding)


@pytest.mark.parametrize(
    ("x", "more", "expected"),
    [
        (
            PICTURES,
            {"learning": False},
            "error[bad-data]: a.npz: x holds static values other than 0 and 1, and this network reads spikes\n"
            "  = hint: turn them into spikes with --rate 0.25, or give x as (samples, steps, ...)",
        ),
        (
            PICTURES / 100.0,
            {},
            f"error[bad-data]: a.npz: x lies in {PICTURES.min() / 100:g}..{PICTURES.max() / 100:g}; what is turned "
            "into spikes lies in 0..1\n  = hint: scale it, or give bytes (uint8): 255 counts as 1",
        ),
        (PICTURES, {"rate": 1.5}, "error[bad-option]: --rate: 1.5 is no probability from above 0 to 1"),
        (
            PICTURES[:, None],
            {"rate": 0.5},
            "error[bad-option]: --rate: is for static values that are read as spikes; x has steps of its own\n"
            "  = hint: leave it out",
        ),
        (
            PICTURES[:, None],
            {"seed": 0},
            "error[bad-option]: --seed: is for static values that are read as spikes; x has steps of its own\n"
            "  = hint: leave it out",
        ),
        (
            (PICTURES > 99).astype(np.uint8),
            {"seed": 10**22, "learning": False},
            "error[bad-option]: --seed: is for static values that are read as spikes; 0 and 1 are read as they are, "
            "in each step\n  = hint: leave it out, or draw spikes with --rate 0.25",
        ),
        (PICTURES, {"seed": -1}, "error[bad-option]: --seed: -1 is not within 0 to 4,294,967,295"),
    ],
)
def test_what_cannot_become_spikes_is_named(x: np.ndarray, more: dict[str, Any], expected: str) -> None:
    how: dict[str, Any] = {"rate": None, "learning": True, **more}
    with pytest.raises(CompileError) as caught:
        shown(Data(x, np.full(9, 1)), Source((16,)), 20, where="a.npz", **how)
    assert str(caught.value) == expected
    with pytest.raises(CompileError) as caught:
        shown(Data(x[:, 0] if x.ndim > 2 else x, np.full(9, 1)), Source((16,), 8), 20, 0.5, learning=True, where="x")
    assert str(caught.value).splitlines()[0] == (
        "error[bad-option]: --rate: is for static values that are read as spikes; this network reads graded values"
    )


def test_the_commands_take_the_rate(tmp_path: Path) -> None:
    program().write(tmp_path / "build")
    np.savez(tmp_path / "a.npz", x=PICTURES, y=np.arange(9) % 2)
    spikes = encoded(PICTURES / 255.0, np.arange(9), *Course(steps=20, rate=0.5, seed=7).draws)
    np.savez(tmp_path / "spikes.npz", x=spikes, y=np.arange(9) % 2)

    def said(command: str, *arguments: str) -> str:
        done = CliRunner().invoke(app, [command, str(tmp_path / "build"), *arguments, "--json"])
        assert done.exit_code == 0, done.output
        return done.stdout

    pictures, given, how = str(tmp_path / "a.npz"), str(tmp_path / "spikes.npz"), ("--rate", "0.5", "--seed", "7")
    for command, option in (("verify", "--input"), ("estimate", "--samples")):
        assert said(command, option, pictures, *how) == said(command, option, given)
        assert said(command, option, pictures) != said(command, option, given) or command == "verify"
    one, other = tmp_path / "one.npz", tmp_path / "other.npz"
    said("simulate", "--input", pictures, *how, "--record", str(one), "--record-all")
    said("simulate", "--input", given, "--record", str(other), "--record-all")
    with np.load(one) as first, np.load(other) as second:
        np.testing.assert_array_equal(first["spikes/excitatory"], second["spikes/excitatory"])
        assert first["spikes/excitatory"].any()
    done = CliRunner().invoke(app, ["estimate", str(tmp_path / "build"), "--rate", "0.5"])
    assert done.exit_code == 2
    assert "is how --samples are read; there are none" in " ".join(done.stderr.replace("│", "").split())
    done = CliRunner().invoke(app, ["verify", str(tmp_path / "build"), "--input", given, "--rate", "0.5"])
    assert done.exit_code == 2
    assert "--rate: is for static values that are read as spikes; x has steps of its own" in done.stderr


def test_a_seed_of_which_nothing_is_drawn_is_refused(tmp_path: Path) -> None:
    made = program()
    drawn = made.data(PICTURES, seed=3)
    assert drawn.coding
    assert drawn.coding.seed == 3
    with pytest.raises(CompileError) as caught:
        made.data(drawn, seed=4)
    assert str(caught.value) == (
        "error[bad-option]: --seed: is for static values that are read as spikes; these have become spikes already\n"
        "  = hint: leave it out"
    )
    made.write(tmp_path / "build")
    np.savez(tmp_path / "a.npz", x=np.zeros((2, 20, 16), np.uint8), y=np.arange(2))
    build, data, run = (str(tmp_path / name) for name in ("build", "a.npz", "run"))
    for command in (
        *(("verify", build, "--input", data), ("simulate", build, "--input", data)),
        *(("estimate", build, "--samples", data), ("learn", build, "--input", data, "--test", data, "-o", run)),
    ):
        done = CliRunner().invoke(app, [*command, "--rate", "0.5", "--seed", "1"])
        assert done.exit_code == 2
        of = "is for static values that are read as spikes; x has steps of its own\n  = hint: leave it out"
        assert done.stderr == f"error[bad-option]: --rate, --seed: {of}\n"
    done = CliRunner().invoke(app, ["estimate", build, "--seed", "0"])
    assert done.exit_code == 2
    assert "is how --samples are read; there are none" in " ".join(done.stderr.replace("│", "").split())


def test_plain_data_are_not_changed() -> None:
    data = Data(PICTURES, np.full(9, 20))
    assert data.spiking() is data
    assert replace(data, coding=None).part(0, 3).coding is None
