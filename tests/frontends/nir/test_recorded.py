"""The networks of the NIR paper: what frameworks and chips recorded of them, and through the whole compiler."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import snncc
from snncc.arrays import Array
from snncc.diagnostics import CompileError
from snncc.frontends.nir import read_nir
from snncc.graph import Edge
from snncc.layers import Neuron
from snncc.semantics import run_float
from tests.frontends.nir.nmnist import nmnist

DATA = Path(__file__).parents[4] / "shared" / "data"
PAPER = DATA / "nir_paper"
CNN = PAPER / "02_cnn" / "cnn_sinabs.nir"
BRAILLE = {
    "braille_noDelay_bias_zero": "snntorch,reset=value",
    "braille_noDelay_noBias_subtract": "snntorch,reset=subtract",
}
pytestmark = pytest.mark.skipif(not PAPER.exists(), reason=f"no recordings in {DATA}")


def recorded(name: str) -> tuple[Array, Array, Array]:
    """What a LIF was given in each of 1000 steps of 0.1 ms, its membrane and its spikes."""
    rows = np.loadtxt(PAPER / "01_lif" / f"lif_{name}.csv", delimiter=",")
    return rows[:, 0], rows[:, 1], rows[:, 2]


def computed(file: str, style: str, given: Array) -> tuple[Array, Array]:
    """Membrane and spikes of the file's LIF."""
    graph = read_nir(PAPER / "01_lif" / file, style, 1e-4).graph
    (name,) = graph.of_kind(Neuron)
    trace = run_float(graph, given[None, :, None], record=(name,))
    return trace.membranes[name][0, :, 0], trace.outputs["output"][0, :, 0]


@pytest.mark.parametrize(
    ("name", "style"),
    [("norse", "norse"), ("snntorch", "snntorch"), ("sinabs", "sinabs"), ("exact", "exact"), ("nengo", "exact")],
)
def test_recorded_spikes(name: str, style: str) -> None:
    given, _, spikes = recorded(name)
    _, found = computed("lif_norse.nir", style, given)
    assert spikes.sum() == 4
    assert np.array_equal(found, spikes)


def test_recorded_membranes() -> None:
    """To float32. snnTorch's is in other units, its threshold being divided by dt/tau in place of its input."""
    for name in ("norse", "sinabs"):
        given, membrane, _ = recorded(name)
        assert np.abs(computed("lif_norse.nir", name, given)[0] - membrane).max() < 1e-7
    given, membrane, spikes = recorded("snntorch")
    before = np.where(spikes > 0, 0, membrane)  # recorded before the reset
    assert np.abs(computed("lif_norse.nir", "snntorch", given)[0] / 0.04 - before).max() < 1e-5
    given, membrane, spikes = recorded("rockpool")
    found = computed("lif_rockpool.nir", "rockpool", given)
    assert np.array_equal(found[1], spikes)
    assert np.abs(found[0] - membrane).max() < 1e-7


@pytest.mark.parametrize("name", ["lava_loihi_fixed", "lava_cpu_fixed", "lava_cpu_float"])
def test_lava_is_a_step_late_and_otherwise_the_same(name: str) -> None:
    """Its Dense sends the sum of the step before: so on Loihi, too, every spike comes exactly one step later."""
    given, membrane, spikes = recorded(name)
    found, fired = computed("lif_norse.nir", "lava", given)
    assert spikes.sum() == 4
    assert np.array_equal(spikes[1:], fired[:-1])
    scale = 16_000 if "fixed" in name else 1  # 0.04 is 640
    error = 20 if "fixed" in name else 1e-6  # rounded toward zero in every step, until it was reset
    shown = np.where(spikes > 0, 0, membrane)  # in the step of a spike, the chip shows 128
    assert np.abs(shown[1:] - found[:-1] * scale).max() < error


def test_the_lif_on_loihi_gives_the_recorded_spikes() -> None:
    given, _, spikes = recorded("lava_loihi_fixed")
    model = snncc.import_model(PAPER / "01_lif" / "lif_norse.nir", nir_style="lava", dt=1e-4)
    program = snncc.compile(model, "loihi2", backend="chip")
    found = program.simulate(program.data(given[None, :, None])).trace.outputs["output"][0, :, 0]
    assert np.array_equal(spikes[1:], found[:-1])


@pytest.mark.parametrize("name", BRAILLE)
def test_braille_networks(name: str) -> None:
    """They import, compile and verify, alike as flat and as nested files; their own input is not at hand."""
    options = {"nir_style": BRAILLE[name], "dt": 1e-4}
    model = snncc.import_model(PAPER / "03_rnn" / f"{name}.nir", **options)
    nested = snncc.import_model(PAPER / "03_rnn_subgraph_from_spyx" / f"{name}_subgraph.nir", **options)
    assert [edge for edge in model.graph.edges if edge.delay] == [Edge("lif1.lif", "lif1.w_rec", 1)]
    assert not any(op.endswith(".gain") for op in model.graph.ops)  # their gains are 1
    x = (np.random.default_rng(3).random((3, 128, 12)) < 0.1).astype(np.float64)
    expected = run_float(model.graph, x).outputs["output"]
    assert expected.sum() > 50
    assert np.array_equal(run_float(nested.graph, x).outputs["output"], expected)
    for target in ("host", "mesh64"):
        program = snncc.compile(model, target)
        verdict = program.verify(program.data(x))
        assert verdict.equal, verdict.difference
    assert snncc.compile(model, "loihi2").network


@pytest.mark.parametrize("name", BRAILLE)
def test_old_files_say_what_is_wrong(name: str) -> None:
    with pytest.raises(CompileError) as caught:
        read_nir(PAPER / "03_rnn_legacy_subgraph" / f"{name}_subgraph.nir", BRAILLE[name], 1e-4)
    first, hint, *others = str(caught.value).splitlines()
    assert first == (
        "error[bad-nir]: lif1: has an edge input -> lif, but no node lif; its nodes are input, lif1, lin, output"
    )
    assert hint == "  = hint: nothing is joined to lif1: it may be what the edges call lif; rename one"
    assert len(others) == 6


def test_rockpools_odd_shapes_are_read() -> None:
    """Its Output has three axes for one value; nir 1.0.8 refuses that."""
    assert read_nir(PAPER / "01_lif" / "lif_rockpool.nir", "rockpool", 1e-4).graph["output"].shape == (1,)


def test_the_cnn_on_a_few_recordings() -> None:
    x, y = nmnist(DATA / "nmnist_small" / "nmnist_train1K.zip", 4)
    model = snncc.import_model(CNN, nir_style="sinabs")
    assert snncc.simulate_float(model, snncc.model_data(model, x)).classes.tolist() == y.tolist()


@pytest.mark.slow
@pytest.mark.parametrize("style", ["sinabs", "lava"])
def test_the_cnn_recognises_recorded_digits(style: str) -> None:
    """0.98 of 100 samples, in floats and at 8 bits, and the same bits on every target."""
    x, y = nmnist(DATA / "nmnist_small" / "nmnist_train1K.zip", 130)
    model = snncc.import_model(CNN, nir_style=style)
    run = snncc.simulate_float(model, snncc.model_data(model, x[:100]))
    assert np.mean(run.classes == y[:100]) >= 0.98
    for target in ("host", "mesh64", "loihi2"):
        program = snncc.compile(model, target, samples=x[100:])
        if target == "host":
            accuracy = program.simulate(program.data(x[:100], y=y[:100])).accuracy
            assert accuracy is not None
            assert accuracy >= 0.98
        verdict = program.verify(program.data(x[: 10 if target == "host" else 1]))
        assert verdict.equal, verdict.difference
