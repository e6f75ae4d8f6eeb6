"""The page of a simulation: its sections, and the numbers that it takes from a machine's counters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from typer.testing import CliRunner

import snncc
from snncc.analysis.usage import Usage
from snncc.chip import Mesh, load
from snncc.cli import app
from snncc.data import Data
from snncc.data import load as load_data
from snncc.explanation import explain
from snncc.mapping import Mapping, frozen_cores
from snncc.pages import simulation
from snncc.pages.page import Table
from snncc.pages.simulation import Cores, page
from snncc.program import CompiledModel

MODELS = Path(__file__).parents[2] / "models"
MESH = Mesh(2, 2, 2, (0, 0))


def page_of(program: CompiledModel, data: Data) -> bytes:
    return page(program, data, program.simulate(data), program.simulate(data.part(0, 1), record=True))


def cores() -> Cores:
    fabric = load("mesh64").fabric
    assert fabric is not None
    counts = {
        "steps": np.array([2]),
        "neuron_busy": np.array([10, 0, 0, 4, 0, 0, 0, 0, 9]),
        "synapse_busy": np.array([0, 0, 2, 8, 0, 0, 0, 0, 0]),
        "neuron_stalled": np.arange(9),
        "deliveries": np.array([1, 2, 0, 0, 0, 0, 0, 4, 0]),
        "hops": np.array([[0, 5, 7, 0], [0, 0, 1, 3], [2, 0, 0, 0], [4, 0, 0, 6]]),
    }
    one = np.array([1, 0, 0, 5, 0, 0, 0, 0])
    usage = Usage(np.array([1, 0, 0, 512, 0, 0, 0, 0]), one, one, one, one)
    mapping = Mapping(frozen_cores({"lif": np.array([0, 3, 3])}), {}, {})
    return Cores(type(fabric)(MESH, fabric.core, fabric.packing, fabric.timing, None), mapping, usage, counts)


def test_links_are_summed_both_ways() -> None:
    tiles, east, south = simulation._links(cores().fabric, cores().counts)
    assert tiles.tolist() == [[15, 4], [2, 14]]
    assert east.tolist() == [[8], [6]]
    assert south.tolist() == [[9, 5]]


def test_the_fullest_and_the_busiest_cores() -> None:
    sections = {each.heading: each.content for each in simulation._on_cores(cores())}
    resources, busiest = sections["Resources"], sections["Busiest cores"]
    assert isinstance(resources, Table)
    assert isinstance(busiest, Table)
    assert resources.rows[0] == ("neurons", "512 (50%)", "1,024", "513")
    assert busiest.rows == (("3", "2.0", "4.0", "1.5"), ("0", "5.0", "0.0", "0.0"), ("2", "0.0", "1.0", "1.0"))
    picture = sections["Cores"]
    assert not isinstance(picture, Table)
    assert "lif: 2 neurons" in picture["data"][0]["text"][1][1]


def test_a_program_on_one_core_has_a_page_too() -> None:
    program = snncc.compile(MODELS / "digits_dense.onnx", "host")
    data = program.data(MODELS / "digits_dense.npz", limit=5)
    text = page_of(program, data).decode()
    assert "<h1>digits_dense on host</h1>" in text
    for heading in ("Network", "Spikes", "Decisions", "Activity"):
        assert f"<h2>{heading}</h2>" in text
    assert "<h2>Cores</h2>" not in text


def test_the_page_says_where_accuracy_went(tmp_path: Path) -> None:
    model, data = MODELS / "digits_stock.onnx", MODELS / "digits_stock.npz"
    snncc.compile(model, "host", weight_bits=3).write(tmp_path / "program")
    given = ["simulate", str(tmp_path / "program"), "-i", str(data), "--limit", "20", "--model", str(model)]
    done = CliRunner().invoke(app, [*given, "--report", str(tmp_path / "page.html")])
    assert done.exit_code == 0, done.output
    text = (tmp_path / "page.html").read_text()
    found = explain(snncc.open_program(tmp_path / "program"), snncc.import_model(model), load_data(data, (64,), 16, 20))
    for heading in ("Where accuracy went", "Spikes and the trained model&#39;s"):
        assert f"<h2>{heading}</h2>" in text
    for stage in found.stages:
        assert f"<tr><td>{stage.stage}</td><td>{stage.accuracy:.2%}</td><td>{stage.changed:.2%}</td></tr>" in text
    for each in found.populations:
        assert f"<td>{each.error:.4f}</td><td>{each.differing:.2%}</td><td>{each.alone:.2%}</td></tr>" in text
    assert CliRunner().invoke(app, given).exit_code == 2
    asked = [*given, "--report", str(tmp_path / "page.html")]  # how the model is to be read is what its reader says
    states = ["--state", "mem1=mem1_next", "--state", "mem2=mem2_next"]
    assert CliRunner().invoke(app, [*asked, *states]).exit_code == 0
    assert (tmp_path / "page.html").read_text() == text
    refused = CliRunner().invoke(app, [*asked, "--state", "a=mem1_next", "--nir-style", "norse", "--dt", "0.1"])
    assert refused.exit_code == 2
    assert "is fixed in a compiled folder" not in refused.stderr
    assert "error[" in refused.stderr


def test_the_page_of_an_opened_program_on_many_cores(tmp_path: Path) -> None:
    snncc.compile(MODELS / "digits_dense.onnx", "mesh64").write(tmp_path / "digits")
    program = snncc.open_program(tmp_path / "digits")
    data = program.data(MODELS / "digits_dense.npz", limit=5)
    text = page_of(program, data).decode()
    for heading in ("Network", "Cores", "Traffic", "Resources", "Busiest cores", "Spikes", "Energy", "Decisions"):
        assert f"<h2>{heading}</h2>" in text
    assert "lif1: 128 neurons" in text
    assert "energy a sample" in text
