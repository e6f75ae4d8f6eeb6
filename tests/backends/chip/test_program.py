"""The emitted program: its files, what they tell people, and that nothing else is needed to run it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from snncc.analysis.proof import prove
from snncc.backends.base import Batch, Job
from snncc.backends.chip import machine as machines
from snncc.backends.chip.emit import emit
from snncc.backends.chip.image import ARRAYS, STRUCTURE, Contents, parsed
from snncc.backends.chip.run import load, run
from snncc.backends.chip.validate import validate
from snncc.chip import Chip
from snncc.chip import load as load_chip
from snncc.diagnostics import CompileError
from snncc.graph import Edge, Graph
from snncc.integers import (
    Decay,
    Fire,
    Membrane,
    Network,
    Output,
    Population,
    Register,
    SoftReset,
    Source,
    Synapse,
)
from snncc.linear import Conv, Dense, Sparse, to_sparse
from snncc.mapping import frozen_cores
from snncc.passes.route import route
from snncc.semantics import run as reference
from tests.chips import mesh_chip

CHIP = mesh_chip(2, 2, 1)
ODD = "a|b\n# c `d` \x1b[31m"


def neurons(shape: tuple[int, ...], threshold: int = 9) -> Population:
    register = Register(-(1 << 40), 1 << 40)
    membrane = Membrane(Decay(np.array(1), 3, "floor"), register)
    return Population(shape, membrane, Fire(np.array(threshold), True), SoftReset(np.array(threshold)))


def network(exponent: int = 0, seed: int = 0) -> Network:
    """A convolution, a dense and a sparse map, one after another."""
    random = np.random.default_rng(seed)
    kernel = Conv(random.integers(-9, 10, (3, 1, 3, 3)).astype(np.int8), (1, 6, 6), padding=(1, 1, 1, 1))
    mixed = Dense(random.integers(-9, 10, (40, 108)).astype(np.int8))
    rare = random.integers(-9, 10, (50, 40)) * (random.random((50, 40)) < 0.1)
    few = to_sparse(Dense(rare.astype(np.int8)))
    ops = {
        "x": Source((1, 6, 6), 4),
        "conv": Synapse(kernel, exponent),
        ODD: neurons((3, 6, 6)),
        "dense": Synapse(mixed),
        "b": neurons((40,)),
        "sparse": Synapse(few),
        "c": neurons((50,), 3),
        "y": Output("membrane", "after", "last"),
    }
    edges = [Edge("x", "conv", 1), Edge("conv", ODD), Edge(ODD, "dense", 2), Edge("dense", "b")]
    return Graph(ops, [*edges, Edge("b", "sparse", 1), Edge("sparse", "c"), Edge("c", "y")])


def job(net: Network, chip: Chip = CHIP) -> Job:
    homes = {ODD: np.arange(108) // 54, "b": np.full(40, 2), "c": np.arange(50) % 2 + 2}
    mapping = route(net, frozen_cores({name: home.astype(np.int32) for name, home in homes.items()}))
    return Job("the | title", net, prove(net), chip, mapping)


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def inputs(samples: int = 5, steps: int = 6) -> Batch:
    random = np.random.default_rng(1)
    x = random.integers(0, 16, (samples, steps, 36)) * (random.random((samples, steps, 36)) < 0.5)
    return Batch(x, random.integers(1, steps + 1, samples))


def test_the_same_job_gives_the_same_bytes() -> None:
    assert emit(job(network())) == emit(job(network()))
    assert sorted(emit(job(network()))) == ["README.md", "cores.txt", "program.bin", "program.json"]


def test_texts_tell_where_everything_lies() -> None:
    files = emit(job(network()))
    readme, cores = files["README.md"].decode(), files["cores.txt"].decode()
    assert "# the _ title" in readme
    assert "4 of its 4 cores hold 198 neurons" in readme
    assert "36 integers from 0 to 15" in readme
    assert "core 2, tile column 0 row 1\n  b: 40 neurons (0-39), sending to 1 to 2 cores" in cores
    assert "  c: 25 neurons (0, 2, 4, 6, ...), sending to 0 cores" in cores
    assert "36 shared blocks" in cores
    assert "108 dense blocks: " in cores
    assert " sparse blocks: " in cores
    assert cores.endswith("host\n  x: 36 values\n")
    for text in (readme, cores):
        assert all(each.isprintable() or each == "\n" for each in text)
        assert ODD not in text


def test_weights_are_stored_once_and_narrow() -> None:
    files = emit(job(network()))
    image = parsed(Contents(files[STRUCTURE], files[ARRAYS]))
    assert image.weights.dtype == np.int8
    document = json.loads(files[STRUCTURE])["program"]
    assert document["blocks"]["form"]["dtype"] == "int8"
    kernel = image.groups[0].kernel
    assert kernel is not None
    assert kernel.weight.size == 27
    cells = image.blocks.count[image.blocks.form == 1].sum()
    assert len(image.weights) == cells + image.blocks.count[image.blocks.form == 0].sum()


def test_it_runs_without_the_network(tmp_path: Path) -> None:
    """What is in the folder is run: the network beside it says only what the ops are called and how large they are."""
    folder, batch = write(tmp_path, dict(emit(job(network())))), inputs()
    found = run(folder, network(seed=5), CHIP, batch, False).trace.outputs["y"]
    x = batch.x.reshape(*batch.x.shape[:2], 1, 6, 6)
    assert np.array_equal(found, reference(network(), x, lengths=batch.lengths).outputs["y"])
    assert found.any()
    assert not np.array_equal(found, reference(network(seed=5), x, lengths=batch.lengths).outputs["y"])


def test_another_network_beside_it_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path, dict(emit(job(network()))))
    other = Graph({**network().ops, "c": neurons((50, 1))}, network().edges)
    with pytest.raises(CompileError, match="is not the program of the network beside it"):
        run(folder, other, CHIP, inputs(), False)


@pytest.mark.parametrize("exponent", [0, 30])
def test_sums_are_as_wide_as_they_have_to_be(tmp_path: Path, exponent: int) -> None:
    net, batch = network(exponent), inputs()
    folder = write(tmp_path, dict(emit(job(net))))
    machine = load(folder, net, CHIP)
    assert machine.image.sums == ("int64" if exponent else "int32")
    expected = reference(net, batch.x.reshape(*batch.x.shape[:2], 1, 6, 6), lengths=batch.lengths)
    assert np.array_equal(machines.run(machine, batch, False).outputs["y"], expected.outputs["y"])


def test_samples_are_run_in_parts_that_fit_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, batch = write(tmp_path, dict(emit(job(network())))), inputs(samples=7)
    together = run(folder, network(), CHIP, batch, True)
    monkeypatch.setattr(machines, "_AT_ONCE", 1)
    apart = run(folder, network(), CHIP, batch, True)
    for kind in ("outputs", "spikes", "membranes"):
        ours, theirs = getattr(together.trace, kind), getattr(apart.trace, kind)
        assert all(np.array_equal(ours[name], theirs[name]) for name in ours)
    assert all(np.array_equal(together.counts[name], apart.counts[name]) for name in together.counts)
    assert all(np.array_equal(together.peaks[name], apart.peaks[name]) for name in together.peaks)


def test_a_machine_is_at_rest_again_and_counts_on(tmp_path: Path) -> None:
    folder, batch = write(tmp_path, dict(emit(job(network())))), inputs()
    machine = load(folder, network(), CHIP)
    first = machines.run(machine, batch, False).outputs["y"]
    cycles = int(machine.cycles[0])
    assert np.array_equal(machines.run(machine, batch, False).outputs["y"], first)
    assert machine.cycles[0] == 2 * cycles


def test_a_chip_without_cores_is_refused(tmp_path: Path) -> None:
    host = load_chip("host")
    assert [each.rule for each in validate(network(), host)] == ["no-cores"]
    with pytest.raises(CompileError, match="no-cores"):
        run(write(tmp_path, dict(emit(job(network())))), network(), host, inputs(), False)


def test_values_wider_than_a_packet_are_refused() -> None:
    wide = Graph({**network().ops, "x": Source((1, 6, 6), 32)}, network().edges)
    assert [each.rule for each in validate(wide, CHIP)] == ["value-too-wide"]
    assert not list(validate(network(), CHIP))


def test_a_group_without_synapses_takes_nothing(tmp_path: Path) -> None:
    empty = Sparse(np.zeros(41, np.int64), np.zeros(0, np.int32), np.zeros(0, np.int8), 50)
    net = Graph({**network().ops, "sparse": Synapse(empty)}, network().edges)
    result = run(write(tmp_path, dict(emit(job(net)))), net, CHIP, inputs(), True)
    assert not result.trace.membranes["c"].any()
    shared = replace(CHIP, capabilities=tuple(each for each in CHIP.capabilities if each != "convolution"))
    listed = run(write(tmp_path, dict(emit(job(net, shared)))), net, shared, inputs(), True)
    assert np.array_equal(listed.trace.spikes["b"], result.trace.spikes["b"])
    assert not listed.counts["synapses"][:, 2].any()
