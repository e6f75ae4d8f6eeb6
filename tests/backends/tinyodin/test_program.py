"""The main job for tinyODIN, from the command line and from Python: compile, simulate, verify, open again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import snncc
from snncc import chip as chips
from snncc.cli import app
from snncc.event_program import EventProgram
from snncc.events.cascade import cascades
from snncc.events.ops import crossbar

MODELS = Path(__file__).parents[3] / "models"
MODEL, DATA, SAMPLES = (MODELS / f"digits_odin{end}" for end in (".onnx", ".npz", ".samples.npz"))
TOML = (chips.folder() / "tinyodin.toml").read_text(encoding="utf-8")


def command(*arguments: str | Path) -> Any:
    return CliRunner().invoke(app, [str(each) for each in arguments])


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> EventProgram:
    compiled = snncc.compile(MODEL, "tinyodin", samples=SAMPLES)
    assert isinstance(compiled, EventProgram)
    written = compiled.write(tmp_path_factory.mktemp("tinyodin") / "out")
    assert isinstance(written, EventProgram)
    return written


def test_digits_on_the_chip(program: EventProgram) -> None:
    """The bars: 90 % or more, no lost spike, within 3 points of the trained model."""
    run = program.simulate(DATA)
    figures = {each.key: each.value for each in run.readings}
    trained = json.loads((MODELS / "digits_odin.json").read_text())["accuracy"]["file"]
    assert run.samples == 360
    assert run.accuracy is not None
    assert run.accuracy >= 0.9
    assert run.accuracy >= trained - 0.03
    assert figures["lost_spikes"] == 0
    assert figures["fullest_queue"] <= 20
    assert figures["nanojoules"] == pytest.approx(figures["synaptic_operations"] * 12.7 / 1000)
    assert figures["microseconds"] == pytest.approx(figures["cycles"] / 75)


def test_it_is_proved_that_no_spike_can_be_lost(program: EventProgram) -> None:
    assert program.warnings == ()
    snncc.compile(MODEL, "tinyodin", samples=SAMPLES, require_proof=True)


def test_verify_compares_every_spike_and_membrane(program: EventProgram) -> None:
    verdict = program.verify(program.data(DATA, limit=40))
    assert verdict.equal
    assert verdict.values == 40 * 16 * (2 * 128 + 10)


def test_an_opened_program_is_the_same(program: EventProgram) -> None:
    assert program.folder
    again = snncc.open_program(program.folder)
    assert again.files() == program.files()
    data = program.data(DATA, limit=5)
    assert again.simulate(data).scores.tolist() == program.simulate(data).scores.tolist()


def test_the_same_model_gives_the_same_bytes(program: EventProgram) -> None:
    assert snncc.compile(MODEL, "tinyodin", samples=SAMPLES).files() == program.files()


def test_a_changed_weight_is_found(program: EventProgram, tmp_path: Path) -> None:
    """Weights 0 and 1 of channel 20 lie in byte 0 of word (192 + 20) * 32."""
    folder = tmp_path / "out"
    program.write(folder)
    lines = (folder / "spi.hex").read_text().splitlines()
    at = next(index for index, line in enumerate(lines) if line.startswith(f"{0x60000 | (192 + 20) * 32:05X}"))
    lines[at] = f"{lines[at][:6]}000{int(lines[at][-2:], 16) ^ 0x77:02X}"
    (folder / "spi.hex").write_text("\n".join(lines) + "\n")
    done = command("verify", folder, "--input", DATA, "--limit", "20")
    assert done.exit_code == 1
    assert done.output.startswith("different: 20 samples")
    assert "v1: membrane of neuron" in done.output


def test_the_command_line(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    done = command("compile", MODEL, "--target", "tinyodin", "--samples", SAMPLES, "-o", folder)
    assert done.exit_code == 0, done.output
    for expected in ("event by event, no leak", "128 neurons, 8,732 synapses", "chosen on samples"):
        assert expected in done.output
    done = command("simulate", folder, "--input", DATA, "--limit", "10")
    assert done.exit_code == 0, done.output
    for expected in ("lost spikes", "of 128 words", "a sample at 75 MHz (assumed)", "12.7 pJ", "Frenkel 2019"):
        assert expected in done.output
    done = command("simulate", folder, "--input", DATA, "--limit", "10", "--json")
    assert json.loads(done.output)["lost_spikes"] == 0
    done = command("verify", folder, "--input", DATA, "--limit", "10")
    assert (done.exit_code, done.output[:17]) == (0, "equal: 10 samples")


def test_record_all(program: EventProgram, tmp_path: Path) -> None:
    assert program.folder
    saved = tmp_path / "trace.npz"
    done = command("simulate", program.folder, "-i", DATA, "--limit", "3", "--record", saved, "--record-all")
    assert done.exit_code == 0, done.output
    with np.load(saved) as trace:
        assert {name: trace[name].shape for name in trace.files} == {
            "out/y": (3, 16, 10),
            **{f"{kind}/v1": (3, 16, 118) for kind in ("spikes", "v")},
            **{f"{kind}/v2": (3, 16, 10) for kind in ("spikes", "v")},
        }


def test_check_needs_no_samples() -> None:
    done = command("check", MODEL, "--target", "tinyodin", "--json")
    assert done.exit_code == 0, done.output
    assert [each["rule"] for each in json.loads(done.output)["warnings"]] == ["assumed-spikes"]


def test_dump_shows_the_network(tmp_path: Path) -> None:
    arguments = ("--target", "tinyodin", "-o", tmp_path / "out", "--dump", tmp_path / "dump")
    assert command("compile", MODEL, *arguments).exit_code == 0
    text = (tmp_path / "dump" / "3-integer.txt").read_text()
    assert "EventPopulation(shape=(118)" in text


def test_check_says_all_that_keeps_a_model_from_the_chip() -> None:
    done = command("check", MODELS / "digits_resnet.onnx", "--target", "tinyodin", "--json")
    assert done.exit_code == 1
    found = [(each["rule"], each["message"]) for each in json.loads(done.output)["diagnostics"]]
    errors = [each for each in found if each[0] != "assumed-spikes"]
    assert errors[0] == (
        "too-many-rows",
        "needs 3,147 rows, 64 for input channels, 3,082 for neurons, 1 for biases; tinyodin has 256",
    )
    assert sum(rule == "missing-capability" and "soft-reset" in message for rule, message in errors) == 3


def test_a_recurrent_model_and_its_membranes() -> None:
    done = command("check", MODELS / "vowels_rnn.onnx", "--target", "tinyodin", "--json")
    rules = {each["rule"] for each in json.loads(done.output)["diagnostics"]}
    assert rules >= {"delay-out-of-range", "missing-capability", "no-threshold"}


@pytest.mark.parametrize(
    ("target", "backend", "text"),
    [
        (
            "tinyodin",
            "c",
            "error[wrong-backend]: c: runs networks step by step; tinyodin works event by event\n"
            "  = hint: leave out --backend: tinyodin has tinyodin",
        ),
        (
            "host",
            "tinyodin",
            "error[wrong-backend]: tinyodin: runs networks event by event; host works step by step\n"
            "  = hint: leave out --backend: host has c",
        ),
    ],
)
def test_a_backend_of_another_kind(target: str, backend: str, text: str) -> None:
    with pytest.raises(snncc.CompileError) as caught:
        snncc.compile(MODEL, target, backend=backend)
    assert str(caught.value) == text


def test_a_network_of_another_kind_in_an_artefact(program: EventProgram, tmp_path: Path) -> None:
    snncc.compile(MODELS / "digits_dense.onnx").write(tmp_path / "host")
    program.write(tmp_path / "tinyodin")
    paths = {name: tmp_path / name / "reference" / "artefact.json" for name in ("host", "tinyodin")}
    manifests = {name: json.loads(path.read_text()) for name, path in paths.items()}
    for name, other, backend in (("host", "tinyodin", "tinyodin"), ("tinyodin", "host", "c")):
        foreign = {key: manifests[other][key] for key in ("chip", "backend")}
        paths[name].write_text(json.dumps({**manifests[name], **foreign}))
        with pytest.raises(snncc.CompileError) as caught:
            snncc.open_program(tmp_path / name)
        message = f"reference/network.json: is a network of another kind than {backend} runs"
        assert str(caught.value) == f"error[damaged-artefact]: {message}\n  = hint: compile the model again"


def test_a_file_of_the_user_s_own_changes_clock_and_cost(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(TOML.replace("clock_mhz = { value = 75", "clock_mhz = { value = 25").replace("12.7", "20"))
    mine = snncc.compile(MODEL, path, samples=SAMPLES)
    figures = {each.key: each.value for each in mine.simulate(mine.data(DATA, limit=3)).readings}
    assert figures["microseconds"] == pytest.approx(figures["cycles"] / 25)
    assert figures["nanojoules"] == pytest.approx(figures["synaptic_operations"] * 20 / 1000)


def test_a_chip_that_is_not_the_one_emulated(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        TOML.replace("rows = { value = 256", "rows = { value = 512")
        .replace("queue = { value = 128", "queue = { value = 64")
        .replace("leak_bits = { value = 7", "leak_bits = { value = 9")
    )
    with pytest.raises(snncc.CompileError) as caught:
        snncc.compile(MODEL, path, samples=SAMPLES)
    assert str(caught.value).splitlines()[:2] == [
        "error[other-chip]: tinyodin: its file gives 512 rows; the chip that is emulated has 256",
        "error[other-chip]: tinyodin: its file gives 9 leak bits; the chip that is emulated has 7",
    ]


def test_a_queue_that_is_not_proved(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(TOML.replace("queue = { value = 128", "queue = { value = 64"))
    warned = snncc.compile(MODEL, path, samples=SAMPLES)
    assert isinstance(warned, EventProgram)
    bounds = cascades(crossbar(warned.network)).events
    (warning,) = warned.warnings
    assert str(warning).splitlines() == [
        "warning[queue-not-proved]: the network: "
        f"one event of channel {bounds.argmax()} may start up to {bounds.max()} events; the queue holds 64",
        "  = hint: `snncc simulate` measures the fullest queue; train with fewer neurons, or higher thresholds",
    ]
    with pytest.raises(snncc.CompileError) as caught:
        snncc.compile(MODEL, path, samples=SAMPLES, require_proof=True)
    assert str(caught.value).startswith("error[queue-not-proved]: the network: one event of channel")
