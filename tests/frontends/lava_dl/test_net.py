"""lava-dl's `.net` files: what they say, that the integer network is theirs, and what is wrong with bad ones."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import snncc
from snncc.arrays import Array
from snncc.diagnostics import CompileError
from snncc.frontends import read_model
from snncc.frontends.lava_dl import read_net
from snncc.integers import Population, Synapse
from snncc.semantics import run, run_float
from tests.frontends.lava_dl import files
from tests.frontends.lava_dl.files import NEURON, conv, dense, write


def rng() -> np.random.Generator:
    return np.random.default_rng(4)


def weights(*shape: int) -> Array:
    return rng().integers(-60, 70, shape) * 2


def spikes(*shape: int) -> Array:
    return (rng().random(shape) < 0.3).astype(np.int64)


def failure(path: Path) -> str:
    with pytest.raises(CompileError) as caught:
        read_model(path)
    return str(caught.value)


def emulated(parts: list[dict[str, Any]], x: Array) -> Array:
    """Loihi's arithmetic written out, for dense layers: the spikes of the last layer (steps, neurons)."""
    sent = x
    for part in parts:
        own, weight = part["neuron"], np.asarray(part["weight"], np.int64)
        bias = np.asarray(part.get("bias", 0), np.int64) << 6
        u = v = np.zeros(len(weight), np.int64)
        rests, out = u, []
        for step in range(len(x)):
            late = np.asarray(part.get("before", np.zeros(weight.shape[1])), np.int64)
            given = np.array([sent[step - d, n] if step >= d else 0 for n, d in enumerate(late)])
            u = _zero(u * (4096 - own["iDecay"])) + ((weight @ given) << 6)
            free = rests == 0
            v = np.where(free, np.clip(_zero(v * (4096 - own["vDecay"])) + u + bias, 1 - 2**23, 2**23 - 1), v)
            s = free & (v > own["vThMant"] << 6)
            v, rests = np.where(s, 0, v), np.where(s, own["refDelay"] - 1, np.maximum(rests - 1, 0))
            out.append(s.astype(np.int64))
        sent = np.array(out)
    return sent


def _zero(x: Array) -> Array:
    return np.sign(x) * (np.abs(x) >> 12)


def test_the_integer_network_is_the_files_own(tmp_path: Path) -> None:
    rest = {**NEURON, "refDelay": 3, "iDecay": 4096}
    parts = [dense(weights(9, 5), bias=[7]), dense(weights(8, 9), neuron=rest), dense(weights(4, 8))]
    model = read_net(write(tmp_path / "a.net", *parts))
    assert model.network is not None
    x = spikes(1, 200, 5)
    assert np.array_equal(run(model.network, x).outputs["output"][0], emulated(parts, x[0]))


def test_axonal_delays(tmp_path: Path) -> None:
    delay = np.array([0, 3, 1, 3, 0, 2, 0, 0, 5], np.float32)
    parts = [dense(weights(9, 5), delay=delay), dense(weights(4, 9), before=None)]
    model = read_net(write(tmp_path / "a.net", *parts))
    assert model.network is not None
    synapse = model.network.of_kind(Synapse)["layer1.weight"]
    assert synapse.axon_delays is not None
    x = spikes(1, 100, 5)
    expected = emulated([parts[0], {**parts[1], "before": delay}], x[0])
    assert np.array_equal(run(model.network, x).outputs["output"][0], expected)
    similar = run_float(model.graph, x.astype(float)).outputs["output"][0]
    assert (similar == expected).mean() > 0.98


def test_the_graph_is_the_same_network_in_floats(tmp_path: Path) -> None:
    parts = [conv(weights(3, 2, 3, 3), (3, 4, 6), padding=[0, 1], bias=[1, -2, 3]), {"type": [b"flatten"]}]
    shown = {"type": [b"input"], "shape": [2, 6, 6], "weight": [3.0], "bias": [2.0], "neuron": NEURON}
    path = write(tmp_path / "a.net", shown, *parts, dense(weights(5, 72), neuron=None))
    model = read_net(path)
    assert model.network is None  # its input is graded
    x = rng().random((2, 20, 2, 6, 6))
    trace = run_float(model.graph, x, record=("layer0", "layer1"))
    assert trace.spikes["layer1"].shape == (2, 20, 72)
    assert trace.outputs["output"].shape == (2, 20, 5)
    assert model.graph["layer1.weight"].stride == (1, 1)  # type: ignore[union-attr]


def test_another_arithmetic_is_quantised(tmp_path: Path) -> None:
    path = write(tmp_path / "a.net", dense(weights(9, 5)), dense(weights(4, 9)))
    on_host = snncc.compile(path, "host", steps=30)
    on_loihi = snncc.compile(path, "loihi2", steps=30)
    fewer = snncc.compile(path, "loihi2", steps=30, weight_bits=5)
    shifts = [each.network.of_kind(Population)["layer0"].input_shift for each in (on_host, on_loihi, fewer)]
    assert shifts[1:] == [6, 6]
    exact = on_loihi.network.of_kind(Synapse)["layer0.weight"]
    assert np.array_equal(exact.map.weight.astype(np.int64) << exact.exponent, weights(9, 5))
    assert np.abs(fewer.network.of_kind(Synapse)["layer0.weight"].map.weight).max() <= 15


def test_weights_that_are_no_integers_are_quantised(tmp_path: Path) -> None:
    assert read_net(write(tmp_path / "a.net", dense(weights(4, 5) / 7))).network is None
    assert read_net(write(tmp_path / "b.net", dense(weights(4, 5) * 3 + 1))).network is None


BAD = {
    "layer0: is of type pool; read are input, dense, conv, flatten": [{"type": [b"pool"]}],
    "layer0: has neurons of type ALIF; read are CUBA and LOIHI": [dense(np.ones((2, 2)), neuron={"type": b"ALIF"})],
    "layer0: sends graded spikes, which are not read": [dense(np.ones((2, 2)), neuron={**NEURON, "gradedSpike": True})],
    "layer0: neuron/vDecay is no number of 0 to 4,096": [dense(np.ones((2, 2)), neuron={**NEURON, "vDecay": 5000})],
    "layer0: has no shape of (neurons) or (channels, height, width)": [{"type": [b"dense"], "weight": [[1.0]]}],
    "layer0: has no weights, or some that are no numbers": [dense(np.full((2, 2), np.nan))],
    "layer1: has weights (3, 4); it needs (3, 2)": [dense(np.ones((2, 5))), dense(np.ones((3, 4)))],
    "layer0: has no layer before it that says the shape of its input": [conv(np.ones((1, 1, 3, 3)), (1, 2, 2))],
    "layer1: gives (1, 2, 2), but has the shape (1, 3, 3)": [
        {"type": [b"input"], "shape": [1, 4, 4]},
        conv(np.ones((1, 1, 3, 3)), (1, 3, 3)),
    ],
    "layer1: has weights (1, 2, 3, 3) for an input of (1, 4, 4)": [
        {"type": [b"input"], "shape": [1, 4, 4]},
        conv(np.ones((1, 2, 3, 3)), (1, 2, 2)),
    ],
    "layer0: has 3 biases for 2 channels, or some that are no numbers": [dense(np.ones((2, 2)), bias=[1, 2, 3])],
    "layer0: has 3 delays for 2 neurons, or some that are no numbers of steps": [
        dense(np.ones((2, 2)), delay=[1, 2, 3]),
        dense(np.ones((2, 2))),
    ],
    "layer0: delays the network's output": [dense(np.ones((2, 2)), delay=[1, 2])],
    "layer0: has weight_rec, which is not read": [dense(np.ones((2, 2)), weight_rec=np.ones((2, 2)))],
}


@pytest.mark.parametrize("said", BAD)
def test_bad_files(tmp_path: Path, said: str) -> None:
    found = failure(write(tmp_path / "bad.net", *BAD[said]))
    assert found.partition("]: ")[2].partition("\n")[0] == said


def test_files_that_are_no_nets(tmp_path: Path) -> None:
    (tmp_path / "text.net").write_text("no HDF5")
    assert failure(tmp_path / "text.net") == (
        "error[cannot-read]: text.net: is no HDF5 file that can be read\n  = hint: export it with net.export_hdf5"
    )
    assert failure(tmp_path / "none.net") == "error[cannot-read]: none.net: No such file or directory"
    (tmp_path / "folder.net").mkdir()
    assert failure(tmp_path / "folder.net") == "error[cannot-read]: folder.net: it is a folder"
    with h5py.File(tmp_path / "empty.net", "w") as file:
        file["other"] = 1
    assert failure(tmp_path / "empty.net") == (
        "error[bad-net]: empty.net: has no layers under layer/0, layer/1, ...\n  = hint: export it with net.export_hdf5"
    )
    with h5py.File(tmp_path / "gap.net", "w") as file:
        file["layer/1/type"] = [b"dense"]
    assert failure(tmp_path / "gap.net") == "error[bad-net]: layer/0: is missing"


def test_other_files_are_not_read(tmp_path: Path) -> None:
    write(tmp_path / "other.net", dense(weights(2, 2)))
    for link in (h5py.ExternalLink("other.net", "/layer/0"), h5py.SoftLink("/elsewhere")):
        with h5py.File(tmp_path / "link.net", "w") as file:
            file.create_group("layer")["0"] = link
        assert failure(tmp_path / "link.net") == "error[bad-net]: layer/0: is missing"
    write(tmp_path / "raw.net", dense(weights(2, 2)))
    with h5py.File(tmp_path / "raw.net", "a") as file:
        del file["layer/0/weight"]
        file["layer/0"].create_dataset("weight", (2, 2), "f4", external=[("/etc/passwd", 0, 16)])
    assert failure(tmp_path / "raw.net") == (
        "error[bad-net]: /layer/0/weight: lies in another file\n  = hint: export the network into one file"
    )


def test_a_small_file_never_takes_much_memory(tmp_path: Path) -> None:
    write(tmp_path / "bomb.net", dense(weights(2, 2)))
    with h5py.File(tmp_path / "bomb.net", "a") as file:
        del file["layer/0/weight"]
        file["layer/0"].create_dataset("weight", (1 << 14, 1 << 14), "f4", chunks=True, compression="gzip")
    tracemalloc.start()
    try:
        assert failure(tmp_path / "bomb.net") == (
            "error[bad-net]: /layer/0/weight: unpacks to more than a file of this size should hold\n"
            "  = hint: export it with net.export_hdf5"
        )
        assert tracemalloc.get_traced_memory()[1] < 1 << 24
    finally:
        tracemalloc.stop()


def test_groups_in_groups_are_not_followed_for_ever(tmp_path: Path) -> None:
    path = write(tmp_path / "deep.net", dense(weights(2, 2)))
    with h5py.File(path, "a") as file:
        group = file["layer/0"]
        for _ in range(2000):
            group = group.create_group("inner")
        file["layer/0/inner/back"] = file["layer/0"]
    assert read_model(path).graph["layer0"].shape == (2,)


def test_without_h5py(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = files.write(tmp_path / "a.net", dense(weights(2, 2)))
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    assert failure(path) == (
        "error[no-h5py]: a.net: is an HDF5 file, which h5py reads, and h5py is not installed\n"
        '  = hint: pip install h5py, or pip install "snncc[hdf5]"'
    )
