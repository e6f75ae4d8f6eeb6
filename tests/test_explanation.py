"""Where accuracy went: the last stage is the compiled network itself, and each population has an error of its own."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import snncc
from snncc.cli import app
from snncc.data import to_integers
from snncc.diagnostics import CompileError
from snncc.explanation import explain
from snncc.importing import model_data
from snncc.integers import Population, Source
from snncc.layers import Neuron
from snncc.passes.quantise import Options, quantise
from snncc.passes.shrink import shrunk_by
from snncc.semantics import run, run_float, run_mixed
from tests.passes.float_nets import HOST, NEURONS, net, random_net, spike_samples

MODELS = Path(__file__).parents[1] / "models"


@pytest.mark.parametrize("name", NEURONS)
def test_a_mixed_network_is_either_where_nothing_is_mixed(name: str) -> None:
    graph = random_net(1, 8, 12, 6, neuron=NEURONS[name])
    samples = spike_samples(2, 15, 9, 8)
    network = quantise(graph, HOST, Options(3, steps=9), samples)
    lengths = np.arange(15) % 9 + 1
    both = samples.x, to_integers(network.of_kind(Source)["x"], samples.x)
    names = tuple(graph.of_kind(Neuron))
    for chosen, expected in (
        ((), run_float(graph, samples.x, lengths=lengths, record=names)),
        (names, run(network, both[1], lengths=lengths, record=names)),
    ):
        found = run_mixed(graph, network, chosen, both, 9, lengths, names)
        for each in names:
            assert np.array_equal(found.spikes[each], expected.spikes[each])
            assert np.array_equal(found.membranes[each], expected.membranes[each])
        assert np.array_equal(found.outputs["y"], expected.outputs["y"])


def test_what_is_compiled_acts_on_what_is_not() -> None:
    """The first population is that of the integers, and the second what floats make of its spikes."""
    graph = random_net(1, 8, 12, 6)
    samples = spike_samples(2, 15, 9, 8)
    network = quantise(graph, HOST, Options("ternary", steps=9), samples)
    both = samples.x, to_integers(network.of_kind(Source)["x"], samples.x)
    found = run_mixed(graph, network, ("p0",), both, 9, record=("p0", "p1"))
    integers = run(network, both[1], record=("p0", "p1"))
    assert np.array_equal(found.spikes["p0"], integers.spikes["p0"])
    alone = run_mixed(graph, network, ("p1",), both, 9, record=("p0", "p1"))
    floats = run_float(graph, samples.x, record=("p0", "p1"))
    assert np.array_equal(alone.spikes["p0"], floats.spikes["p0"])
    for one, other in ((found, integers), (found, floats), (alone, integers), (alone, floats)):
        assert not np.array_equal(one.spikes["p1"], other.spikes["p1"])


@pytest.mark.parametrize("target", ["host", "loihi2"])
def test_the_last_stage_is_the_program(target: str) -> None:
    """Also where it was retimed: the recurrent network's spikes come a step later on chips of many cores."""
    model = snncc.import_model(MODELS / "vowels_rnn.onnx")
    program = snncc.compile(model, target, samples=MODELS / "vowels_rnn.samples.npz", weight_bits="4,rlif1=ternary")
    data = program.data(MODELS / "vowels_rnn.npz", limit=80)
    found = explain(program, model, data)
    x = to_integers(program.source, data.x)
    trace = program.expected(x, data.lengths)
    assert [each.stage for each in found.stages] == ["float", "rlif1", "syn2", "li3"]
    decided = next(iter(trace.outputs.values()))
    live = np.arange(decided.shape[1])[None, :, None] < data.lengths[:, None, None]
    classes = np.where(live, decided, np.iinfo(np.int64).min).max(axis=1).argmax(axis=1)
    assert found.stages[-1].accuracy == np.mean(classes == data.y)
    assert found.stages[0].changed == 0
    for row in found.populations:
        if row.name in trace.spikes:
            assert row.compiled == pytest.approx(
                trace.spikes[row.name].sum() / data.lengths.sum() / program.sizes[row.name]
            )
    first = found.populations[0]
    assert (first.name, first.alone) == ("rlif1", found.stages[1].changed)
    assert 0 < first.error < first.differing


def test_another_model_is_refused() -> None:
    program = snncc.compile(MODELS / "digits_stock.onnx")
    model = snncc.import_model(MODELS / "digits_dense.onnx")
    with pytest.raises(CompileError) as caught:
        explain(program, model, program.data(np.zeros((2, 64))))
    assert str(caught.value) == (
        "error[another-model]: digits_stock: the program has the populations lif1 (96), lif2 (10); the model has "
        "lif1 (128), lif2 (10)\n  = hint: give the model that it was compiled from: --model FILE"
    )


@pytest.mark.parametrize(("name", "target"), [("digits_dense", "host"), ("digits_odin", "tinyodin")])
def test_on_the_command_line(name: str, target: str, tmp_path: Path) -> None:
    path, samples = str(MODELS / f"{name}.onnx"), str(MODELS / f"{name}.samples.npz")
    snncc.compile(path, target, samples=samples, weight_bits=4).write(tmp_path / "out")
    command = [
        "explain",
        str(tmp_path / "out"),
        "--model",
        path,
        "--data",
        str(MODELS / f"{name}.npz"),
        "--limit",
        "40",
    ]
    shown = CliRunner().invoke(app, command)
    assert shown.exit_code == 0
    assert "classes changed" in shown.stdout
    plain = json.loads(CliRunner().invoke(app, [*command, "--json"]).stdout)
    populations = list(snncc.open_program(tmp_path / "out").sizes)
    assert [each["name"] for each in plain["populations"]] == populations
    last = populations if target == "host" else ["event by event"]
    assert [each["stage"] for each in plain["stages"]] == ["float", *last]
    assert plain["stages"][0]["accuracy"] > 0.9


@pytest.mark.parametrize("steps", [None, "auto:6"])
def test_what_pruning_cost_is_told_apart(steps: str | None, tmp_path: Path) -> None:
    """Before it comes the model as it was trained, after it the weights as they were fitted, from the artefact."""
    path, samples = MODELS / "digits_stock.onnx", MODELS / "digits_stock.samples.npz"
    given = {"prune": 0.7, "prune_neurons": 0.7, "steps": steps}
    snncc.compile(path, samples=samples, **given).write(tmp_path / "p")  # type: ignore[arg-type]
    program, model = snncc.open_program(tmp_path / "p"), snncc.import_model(path)
    whole = model_data(model, MODELS / "digits_stock.npz", limit=150)
    found = explain(program, model, program.data(MODELS / "digits_stock.npz", limit=150), whole=whole)
    fewer = ["fewer steps"] if steps else []
    assert [each.stage for each in found.stages] == ["float", *fewer, "pruned", "lif1", "lif2"]
    assert found.stages[0].accuracy == snncc.simulate_float(model, whole).accuracy
    assert found.stages[0].changed == 0
    assert found.stages[-1].accuracy == program.simulate(program.data(MODELS / "digits_stock.npz", limit=150)).accuracy
    losses = [100 * (each.accuracy or 0) for each in found.stages]
    if steps:
        assert losses[0] - losses[1] < 3
    cost = losses[len(fewer)] - losses[len(fewer) + 1]
    assert cost > 4
    assert abs(losses[len(fewer) + 1] - losses[-1]) < 2
    assert (found.populations[0].name, program.sizes["lif1"]) == ("lif1", 29)


def test_of_neurons_that_fire_alike_floats_have_all() -> None:
    """Where the first population is compiled, in which one stands for two; and where it is not."""
    rng = np.random.default_rng(3)
    first, second = rng.normal(0, 0.6, (12, 8)), rng.normal(0, 0.5, (6, 12))
    first[7] = first[2]
    graph = net(first, second)
    samples = spike_samples(2, 15, 9, 8)
    network, _ = shrunk_by(quantise(graph, HOST, Options(8, steps=9), samples))
    assert network.of_kind(Population)["p0"].size == 11
    both = samples.x, to_integers(network.of_kind(Source)["x"], samples.x)
    floats = run_float(graph, samples.x, record=("p0", "p1"))
    exact = run(network, both[1], record=("p0", "p1"))
    wholly = run_mixed(graph, network, ("p0", "p1"), both, 9, record=("p0", "p1"))
    assert np.array_equal(wholly.spikes["p1"], exact.spikes["p1"])
    kept = network.of_kind(Population)["p0"].kept
    assert kept
    for chosen, apart in ((("p1",), floats), (("p0",), exact)):
        found = run_mixed(graph, network, chosen, both, 9, record=("p0", "p1"))
        assert np.array_equal(found.spikes["p0"], apart.spikes["p0"])
    # eight bits hardly differ from floats; without the second of two alike, it would be another network
    one = run_mixed(graph, network, ("p1",), both, 9, record=("p1",)).spikes["p1"]
    assert np.mean(one != floats.spikes["p1"]) < 0.02


def test_an_event_driven_chip_is_explained_but_for_neurons_that_were_pruned() -> None:
    model = snncc.import_model(MODELS / "digits_odin.onnx")
    x = np.load(MODELS / "digits_odin.npz")["x"][:20]
    program = snncc.compile(model, "tinyodin", prune=0.5)
    found = explain(program, model, program.data(x))
    assert [each.stage for each in found.stages] == ["float", "pruned", "event by event"]
    fewer = snncc.compile(model, "tinyodin", prune_neurons=0.3)
    with pytest.raises(CompileError) as caught:
        explain(fewer, model, fewer.data(x))
    assert str(caught.value) == (
        "error[no-explanation]: digits_odin: lost neurons to --prune-neurons, and on chips that act event by event it "
        "does not say which are left\n  = hint: compile without --prune-neurons; --prune may stay"
    )
