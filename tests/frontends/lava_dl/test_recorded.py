"""Networks that Lava's own project trained, on what it recorded of them, through Lava."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import snncc
from snncc import layers
from snncc.arrays import Array
from snncc.backends.lava.layout import convolution_of
from snncc.frontends.lava_dl import read_net
from snncc.graph import Edge, Graph
from snncc.integers import IntOp, Network, Output, Source, Synapse
from snncc.linear import Conv, Sparse, operator
from snncc.semantics import float_operator, run
from tests.backends.lava.loihi import lif
from tests.backends.lava.test_stock import LAVA
from tests.conformance.backends import assert_conforms

DATA = Path(__file__).parents[4] / "shared" / "data"
NETS, MNIST, CONVOLUTIONS = DATA / "lava_dl", DATA / "mnist", DATA / "lava_conv_gt"
pytestmark = pytest.mark.skipif(not NETS.exists(), reason=f"no recordings in {DATA}")


def digits(count: int) -> tuple[Array, Array]:
    """The first test images as spikes of neurons that integrate the image and reset to 0: (samples, 32, 784)."""
    pixels = gzip.decompress((MNIST / "t10k-images-idx3-ubyte.gz").read_bytes())[16 : 16 + 784 * count]
    labels = gzip.decompress((MNIST / "t10k-labels-idx1-ubyte.gz").read_bytes())[8 : 8 + count]
    image = np.frombuffer(pixels, np.uint8).reshape(count, 784).astype(np.int64)
    v, frames = np.zeros_like(image), []
    for _ in range(32):
        v = v + image
        frames.append(v >= 255)
        v = np.where(v >= 255, 0, v)
    return np.stack(frames, axis=1).astype(np.int8), np.frombuffer(labels, np.uint8).astype(np.int64)


def test_the_mnist_network_recognises_digits() -> None:
    program = snncc.compile(NETS / "mnist_784-128-64-10.net", "loihi2", steps=32, stock_only=True)
    x, y = digits(1000)
    outputs = run(program.network, x).outputs["output"]
    assert (outputs.sum(axis=1).argmax(axis=1) == y).mean() >= 0.94
    verdict = program.verify(program.data(x[:20]))
    assert verdict.equal, verdict.difference


@pytest.mark.slow
def test_the_mnist_network_recognises_digits_in_lava() -> None:
    program = snncc.compile(NETS / "mnist_784-128-64-10.net", "loihi2", steps=32, stock_only=True)
    x, y = digits(1000)
    accuracy = program.simulate(program.data(x, y=y)).accuracy
    assert accuracy is not None
    assert accuracy >= 0.94


def test_the_first_layer_of_oxford_gives_the_recorded_spikes() -> None:
    """Lava recorded its own output, which comes a step after the input."""
    program = snncc.compile(NETS / "oxford" / "Trained_network.net", "loihi2", stock_only=True)
    x = np.load(NETS / "oxford" / "gts_in.npy").T[None].astype(np.int64)
    recorded = np.load(NETS / "oxford" / "gts_out.npy").T.astype(np.int64)
    found = program.simulate(program.data(x), record=True).trace.spikes["layer0"][0]
    assert recorded.sum() > 1000
    assert np.array_equal(found[:-1], recorded[1:])


def test_the_convolution_of_tinynet_gives_the_recorded_currents() -> None:
    graph = read_net(NETS / "tinynet" / "tiny.net").graph
    layer = graph["layer1.weight"]
    assert isinstance(layer, layers.Conv2d)
    x = np.load(NETS / "tinynet" / "input.npy")[0]
    recorded = np.load(NETS / "tinynet" / "current.npy")[0]
    for step in range(x.shape[-1]):
        found = float_operator(layer)(x[..., step].reshape(1, -1).astype(np.float64))
        assert np.array_equal(found.reshape(24, 6, 6), recorded[..., step])


@pytest.mark.parametrize(("name", "differing"), [("layer1", 533), ("layer2", 14)])
def test_the_spikes_of_tinynet_are_lavas_but_for_the_first_bias(name: str, differing: int) -> None:
    """The recording parts from Lava's arithmetic in one thing: there a bias acts from the second step on.

    With that, every recorded spike comes out, in the reference and in Lava; with a bias from the first step on, spikes
    differ from the first step on.
    """
    graph = read_net(NETS / "tinynet" / "tiny.net").graph
    before, recorded = (np.load(NETS / "tinynet" / f"{each}.npy")[0].astype(np.int64) for each in _FILES[name])
    times = float_operator(graph[f"{name}.weight"])  # type: ignore[arg-type]
    currents = [times(before[..., step].reshape(1, -1).astype(np.float64)).reshape(-1) for step in range(16)]
    wanted = recorded.reshape(-1, 16).T

    network, x = _alone(graph, name, np.stack(currents).astype(np.int64), 1)
    assert np.array_equal(run(network, x).outputs["y"][0], wanted)
    assert_conforms(LAVA, network, x)
    parted = run(*_alone(graph, name, np.stack(currents).astype(np.int64), 0)).outputs["y"][0] != wanted
    assert parted.sum() == differing
    assert parted[0].any()


_FILES = {"layer1": ("input", "layer1"), "layer2": ("layer1", "output")}


def _alone(graph: Graph[layers.Layer], name: str, currents: Array, begins: int) -> tuple[Network, Array]:
    """A layer of tinynet by itself, as Lava's LIF on currents (steps, size); its bias acts from step `begins` on."""
    neuron = graph[name]
    assert isinstance(neuron, layers.Neuron)
    assert neuron.threshold is not None
    bias = np.broadcast_to(np.rint(neuron.bias), neuron.shape).astype(np.int64).reshape(-1)
    size = len(bias)
    one_each = Sparse(np.arange(size + 1), np.arange(size), np.ones(size, np.int8), size)
    dv = round(4096 * (1 - float(neuron.decay)))
    own = replace(lif((size,), int(neuron.threshold) << 6, dv=dv, bias=bias << 6), start=1)
    ops: dict[str, IntOp] = {
        "x": Source((size,), 12, signed=True),
        "w": Synapse(one_each),
        "p": own,
        "y": Output("spikes", "after", "count", latency=1),
    }
    x = currents - bias * (np.arange(len(currents)) < begins)[:, None]
    return Graph(ops, [Edge("x", "w", 1), Edge("w", "p"), Edge("p", "y")]), x[None]


def test_the_bootstrapped_network_is_read() -> None:
    model = read_net(NETS / "bootstrap_mnist_784-512-512-10.net")
    assert model.network is None
    assert [type(op).__name__ for op in model.graph.ops.values()].count("Neuron") == 4


def _case(number: int) -> tuple[Conv, Array, Array]:
    """A convolution as the network has it, with its recorded input (channels, height, width) and output."""
    with np.load(CONVOLUTIONS / f"gt_conv_paris_{number}.npz") as case:
        turned = case["weights"][:, ::-1, ::-1].transpose(0, 3, 2, 1)  # Lava's (out, width, height, in), and it flips
        stride, (across, down), dilation = (case[name][::-1] for name in ("stride", "padding", "dilation"))
        x, expected = case["input"].transpose(2, 1, 0), case["out_gt"].transpose(2, 1, 0)
        padding = (int(across), int(down), int(across), int(down))
        conv = Conv(
            turned.astype(np.int8),
            x.shape,
            (int(stride[0]), int(stride[1])),
            padding,
            (int(dilation[0]), int(dilation[1])),
            int(np.ravel(case["groups"])[0]),
        )
    return conv, x, expected


@pytest.mark.parametrize("number", range(10))
def test_recorded_convolutions(number: int) -> None:
    """In floats as they were recorded, and in Lava's Conv on spikes, with the reference's bits."""
    conv, x, expected = _case(number)
    found = operator(conv, np.float64)(x.reshape(1, -1))
    assert np.allclose(found.reshape(expected.shape), expected, atol=1e-2)
    ops: dict[str, IntOp] = {
        "x": Source(x.shape),
        "w": Synapse(conv),
        "p": replace(lif(conv.out_shape, 300 << 6), start=1),
        "y": Output("spikes", "after", "count", latency=1),
    }
    network = Graph(ops, [Edge("x", "w", 1), Edge("w", "p"), Edge("p", "y")])
    assert convolution_of(network, "w") is conv
    assert_conforms(LAVA, network, np.stack([x > 0.5, x > 0.7]).astype(np.int64)[None])
