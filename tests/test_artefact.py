"""Tests of writing artefacts whole or not at all, and of reading them back, damaged ones included."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

import numpy as np
import pytest

from snncc import artefact, chip
from snncc.diagnostics import CompileError
from snncc.graph import Edge, Graph
from snncc.integers import Decay, Fire, HardReset, Membrane, Network, Output, Population, Register, Source, Synapse
from snncc.linear import Conv, Sparse


def network() -> Network:
    membrane = Membrane(Decay(np.array(3), 4, "nearest"), Register(-128, 127), np.arange(8).reshape(2, 2, 2))
    conv = Conv(np.arange(-9, 9, dtype=np.int8).reshape(2, 1, 3, 3), (1, 4, 4))
    sparse = Sparse(np.array([0, 1, 2, 2, 2, 2, 2, 2, 3]), np.array([0, 2, 7]), np.array([1, -2, 3], np.int8), 8)
    return Graph(
        {
            "x": Source((1, 4, 4), bits=4, scale=0.25),
            "conv": Synapse(conv),
            "loop": Synapse(sparse, 1),
            "lif": Population((2, 2, 2), membrane, Fire(np.array(5), False), HardReset()),
            "y": Output("spikes", "after", "count"),
        },
        [Edge("x", "conv"), Edge("conv", "lif"), Edge("lif", "loop", 1), Edge("loop", "lif"), Edge("lif", "y")],
    )


def files() -> dict[str, bytes]:
    return dict(artefact.reference_files("tiny", "c", chip.load("host"), 5, network()))


def test_a_network_reads_back_the_same(tmp_path: Path) -> None:
    artefact.write(tmp_path / "out", files())
    manifest, read, *_ = artefact.read(tmp_path / "out")
    assert (manifest.title, manifest.backend, manifest.steps, manifest.chip) == ("tiny", "c", 5, chip.load("host"))
    assert read.text() == network().text()


def test_weights_that_pruning_left_read_back_the_same(tmp_path: Path) -> None:
    weights = {"fc": np.array([[0.0, -1.5], [1e-30, 3.25]], np.float32), "out": np.array([0.1, 0.0])}
    given = "tiny", "c", chip.load("host"), 5, network()
    artefact.write(tmp_path / "out", artefact.reference_files(*given, pruned=weights))
    found = artefact.read(tmp_path / "out")[2]
    assert found
    assert [(name, each.dtype, each.tolist()) for name, each in found.items()] == [
        (name, each.dtype, each.tolist()) for name, each in weights.items()
    ]
    bad = {"fc": np.array([np.inf], np.float32)}
    artefact.write(tmp_path / "out", artefact.reference_files(*given, pruned=bad))
    with pytest.raises(CompileError) as caught:
        artefact.read(tmp_path / "out")
    assert str(caught.value) == (
        "error[damaged-artefact]: reference/network.json: 'fc' was pruned to weights that are no numbers\n"
        "  = hint: compile the model again"
    )


def test_the_same_network_gives_the_same_bytes() -> None:
    assert files() == files()


def test_an_older_artefact_is_replaced_and_nothing_else_stays(tmp_path: Path) -> None:
    artefact.write(tmp_path / "out", {**files(), "old.c": b"old"})
    artefact.write(tmp_path / "out", files())
    assert not (tmp_path / "out" / "old.c").exists()
    assert [each.name for each in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_is_no_artefact_is_not_overwritten(tmp_path: Path, kind: str) -> None:
    out = tmp_path / "out"
    if kind == "file":
        out.write_text("mine")
    else:
        out.mkdir()
        (out / "mine.txt").write_text("mine")
    with pytest.raises(CompileError) as caught:
        artefact.write(out, files())
    assert str(caught.value) == (
        f"error[output-exists]: {out}: is there already and is no snncc artefact\n"
        "  = hint: choose another folder, or empty it first"
    )


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    artefact.write(tmp_path / "out", files())
    assert artefact.read(tmp_path / "out")[0].title == "tiny"


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(CompileError, match="cannot-write"):
        artefact.write(tmp_path / "out", {**files(), "a" * 300: b""})
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_manifest(tmp_path: Path) -> None:
    with pytest.raises(CompileError) as caught:
        artefact.read(tmp_path)
    assert str(caught.value) == (
        f"error[not-an-artefact]: {tmp_path}: has no reference/artefact.json\n"
        "  = hint: compile a model: snncc compile MODEL -o DIR"
    )
    with pytest.raises(CompileError, match="nowhere: is not there"):
        artefact.read(tmp_path / "nowhere")


def test_a_pipe_in_place_of_a_file_is_not_read(tmp_path: Path) -> None:
    artefact.write(tmp_path / "out", files())
    path = tmp_path / "out/reference/network.bin"
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(CompileError) as caught:
        artefact.read(tmp_path / "out")
    assert str(caught.value) == (
        "error[damaged-artefact]: reference/network.bin: cannot be read: it is not a regular file\n"
        "  = hint: compile the model again"
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"steps": 5', '"steps": 0', "has 0 steps; 1 to 1,000,000 are possible"),
        ('"format": 1', '"format": 2', "is of format 2; this snncc reads format 1"),
        ('"bits": 32', '"bits": 99', "accumulator.bits: must be a whole number from 1 to 64, not 99"),
        ('"bits": 32', '"bits": 60', "accumulator.bits: must be at most 53: the reference adds up in float64, exactly"),
    ],
)
def test_hostile_manifests_are_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    artefact.write(tmp_path, files())
    path = tmp_path / "reference/artefact.json"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(CompileError) as caught:
        artefact.read(tmp_path)
    assert message in str(caught.value)
    assert "error[damaged-artefact]: reference/artefact.json" in str(caught.value)


def test_a_changed_network_is_found(tmp_path: Path) -> None:
    artefact.write(tmp_path, files())
    blob = tmp_path / "reference/network.bin"
    blob.write_bytes(blob.read_bytes()[:-1] + b"\x01")
    with pytest.raises(CompileError, match=r"reference/network.\*: does not have the digest"):
        artefact.read(tmp_path)


def rewritten(folder: Path, text: str) -> None:
    """Put another network.json in place, with the digest that it should have."""
    import hashlib

    blob = (folder / "reference/network.bin").read_bytes()
    (folder / "reference/network.json").write_text(text)
    path = folder / "reference/artefact.json"
    manifest = json.loads(path.read_text())
    manifest["sha256"] = hashlib.sha256(text.encode() + blob).hexdigest()
    path.write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"in_shape": [\n     1,', '"in_shape": [\n     3,', "conv: a convolution's channels are split evenly"),
        ('"shape": [\n    1,\n    4,', '"shape": [\n    1000000000,\n    4,', "neurons"),
        ('"source": "x"', '"source": "nowhere"', "joins ops that are not there"),
        ('"edges"', '"ends"', "must hold ops and edges"),
        ('"ops": {', '"ops": {,', "is not JSON"),
    ],
)
def test_hostile_networks_are_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    artefact.write(tmp_path, files())
    text = (tmp_path / "reference/network.json").read_text()
    assert old in text
    rewritten(tmp_path, text.replace(old, new, 1))
    with pytest.raises(CompileError, match=message):
        artefact.read(tmp_path)


def test_damaged_files_read_or_are_compile_errors(tmp_path: Path) -> None:
    artefact.write(tmp_path, files())
    text = (tmp_path / "reference/network.json").read_text()
    random = np.random.default_rng(0)
    for _ in range(400):
        damaged = list(text)
        for place in random.integers(0, len(damaged), 3):
            damaged[place] = str(random.choice(list('0123456789-{}[],"aen')))
        rewritten(tmp_path, "".join(damaged))
        with contextlib.suppress(CompileError):
            artefact.read(tmp_path)
