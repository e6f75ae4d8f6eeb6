"""Networks written as NIR: they read back with the same spikes, the nir package takes them, and the rest is refused."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest

import snncc
from snncc.arrays import Array
from snncc.diagnostics import CompileError
from snncc.frontends.model import Model
from snncc.frontends.nir import read_nir
from snncc.frontends.nir.write import nir_bytes
from snncc.graph import Edge, Graph
from snncc.layers import (
    Adapt,
    Affine,
    Conv2d,
    Current,
    HardReset,
    Input,
    Layer,
    Neuron,
    Output,
    Rearrange,
    Scale,
    SoftReset,
    SumPool2d,
)
from snncc.semantics import run_float
from tests.frontends.nir.files import chain, lif, linear, write

ROOT = Path(__file__).parents[3]
CELLS = sorted((ROOT / "tests" / "data" / "onnx_cells").glob("*.onnx"))
MODELS = sorted((ROOT / "models").glob("*.onnx"))
SOME = [*(each for each in MODELS if "digits" in each.stem), *CELLS[::8]]


def rng() -> np.random.Generator:
    return np.random.default_rng(8)


def again(path: Path, graph: Graph[Layer], dt: float = 1e-4) -> Model:
    """The network written and read; nir's own reader takes the file, and finds its shapes to agree.

    Except those of convolutions in groups, whose channels nir 1.0.8 counts wrongly.
    """
    path.write_bytes(nir_bytes(Model("net", graph), dt))
    nir.read(path, type_check=all(op.groups == 1 for op in graph.of_kind(Conv2d).values()))
    return read_nir(path)


def assert_same(before: Graph[Layer], after: Graph[Layer], steps: int = 60) -> None:
    """The same outputs for random input; names may differ in characters that HDF5 has not."""
    shape = next(iter(before.of_kind(Input).values())).shape
    x = rng().normal(0.3, 1.0, (2, steps, *shape))
    expected, found = (run_float(each, x).outputs for each in (before, after))
    for one, other in zip(expected.values(), found.values(), strict=True):
        assert np.allclose(one, other, rtol=1e-9, atol=1e-9)


def refused(graph: Graph[Layer]) -> str:
    with pytest.raises(CompileError) as caught:
        nir_bytes(Model("net", graph))
    return str(caught.value)


def reads_back(tmp_path: Path, model: Model) -> bool:
    """Whether NIR has the network; then it reads back the same."""
    try:
        found = again(tmp_path / "net.nir", model.graph)
    except CompileError as error:
        if {each.rule for each in error.diagnostics} == {"nir-cannot-express"}:
            return False
        raise
    assert_same(model.graph, found.graph)
    return True


def imported(path: Path) -> list[Model]:
    """The model, if it is one that can be imported: not all of the zoo's cells are."""
    try:
        return [snncc.import_model(path)]
    except CompileError:
        return []


@pytest.mark.parametrize(
    "paths", [SOME, pytest.param([*MODELS, *CELLS], marks=pytest.mark.slow)], ids=["some", "the whole zoo"]
)
def test_models_read_back(tmp_path: Path, paths: list[Path]) -> None:
    """Shipped models, and cells of the exporters' zoo: the same, or a reason why NIR has none of it."""
    written = [reads_back(tmp_path, model) for path in paths for model in imported(path)]
    assert sum(written) > 0.6 * len(paths)


def layered(ops: dict[str, Layer], edges: Any = None) -> Graph[Layer]:
    """The ops one behind the other, or as the edges say."""
    names = list(ops)
    return Graph(ops, edges or [Edge(*pair) for pair in itertools.pairwise(names)])


def neuron(shape: tuple[int, ...] = (4,), **more: Any) -> Neuron:
    plain: dict[str, Any] = {"decay": np.array(0.9), "threshold": np.array(1.0), "reset": HardReset()}
    return Neuron(shape, **{**plain, **more})


KEEPS: dict[str, dict[str, Any]] = {
    "hard reset": {"reset": HardReset(np.array(-0.2))},
    "soft reset": {"reset": SoftReset(np.array(0.7))},
    "late soft reset": {"reset": SoftReset(np.array(1.0), delay=1)},
    "late hard reset": {"reset": HardReset(delay=1)},
    "no reset": {"reset": None},
    "at the threshold": {"inclusive": True},
    "several spikes": {"max_spikes": 5, "reset": SoftReset(np.array(1.0))},
    "current": {"current": Current(np.array(0.8))},
    "current, no reset": {"current": Current(np.array(0.8)), "reset": None},
    "bias": {"bias": np.array([0.05, -0.1, 0.0, 0.2])},
    "own decays": {"decay": np.array([0.9, 0.5, 0.0, 0.123456789])},
    "IF": {"decay": np.array(1.0)},
    "IF with a bias": {"decay": np.array(1.0), "bias": np.array([0.05, -0.1, 0.0, 0.2])},
    "IF with a lower bound": {"decay": np.array(1.0), "minimum": np.array(-1.0)},
    "IF without a reset": {"decay": np.array(1.0), "reset": None},
    "starts at its leak": {"bias": np.array(0.05), "initial": np.array(0.05) / (1 - np.array(0.9))},
    "starts at its reset": {"reset": HardReset(np.array(0.3)), "initial": np.array(0.3)},
    "integrator": {"threshold": None, "reset": None},
    "integrator with a current": {"threshold": None, "reset": None, "current": Current(np.array(0.5))},
}


@pytest.mark.parametrize("what", KEEPS)
def test_neurons_read_back(tmp_path: Path, what: str) -> None:
    own = neuron(**KEEPS[what])
    value = "spikes" if own.threshold is not None else "membrane"
    weight = rng().normal(size=(4, 3))
    graph = layered({"x": Input((3,)), "w": Affine(weight, (4,)), "n": own, "y": Output((4,), value)})
    found = again(tmp_path / "n.nir", graph).graph
    assert_same(graph, found)
    assert type(found["n"]) is Neuron


def test_other_layers_read_back(tmp_path: Path) -> None:
    """Also what NIR has no node of its own for: a shift, an order, a sum over part of a window."""
    index = np.array([5, -1, 0, 3])
    graph = layered(
        {
            "x": Input((2, 6, 4)),
            "conv/1": Conv2d(
                rng().normal(size=(4, 1, 3, 3)),
                (2, 6, 4),
                (4, 6, 4),
                rng().normal(size=4),
                padding=(1, 1, 1, 1),
                groups=2,
            ),
            "norm": Scale((4, 6, 4), rng().normal(size=(4, 1, 1)), rng().normal(size=(4, 1, 1))),
            "n": neuron((4, 6, 4)),
            "pool": SumPool2d((4, 6, 4), (4, 3, 2), (2, 2), (2, 2), scale=0.3),
            "mean": SumPool2d((4, 3, 2), (4, 3, 1), (1, 2), (1, 2), scale=0.5),
            "flat": Rearrange((12,)),
            "some": Rearrange((4,), index),
            "shift": Scale((4,), rng().normal(size=4), rng().normal(size=4)),
            "m": neuron((4,)),
            "y": Output((4,)),
        }
    )
    assert_same(graph, again(tmp_path / "n.nir", graph).graph)


def test_a_convolution_along_one_axis_reads_back(tmp_path: Path) -> None:
    weight = rng().normal(size=(3, 2, 1, 3))
    conv = Conv2d(weight, (2, 1, 9), (3, 1, 5), None, (1, 2), (0, 1, 0, 1))
    graph = layered({"x": Input((2, 9)), "c": conv, "n": neuron((3, 1, 5)), "y": Output((3, 1, 5))})
    found = again(tmp_path / "n.nir", graph)
    assert_same(graph, found.graph)
    assert type(nir.read(tmp_path / "n.nir").nodes["c"]) is nir.Conv1d


def test_delays_gains_and_recurrence_read_back(tmp_path: Path) -> None:
    ops: dict[str, Layer] = {
        "x": Input((4,)),
        "n": neuron(),
        "w": Affine(rng().normal(size=(4, 4)), (4,)),
        "m": neuron(),
    }
    ops["y"] = Output((4,))
    edges = [Edge("x", "n"), Edge("n", "w", 1), Edge("w", "n"), Edge("n", "m", 3, 2.0), Edge("x", "m", 0, -0.5)]
    graph = layered(ops, [*edges, Edge("m", "y")])
    found = again(tmp_path / "n.nir", graph).graph
    assert_same(graph, found)
    assert [edge for edge in found.edges if edge.delay == 1] == [Edge("n", "w", 1)]
    assert "n.delay1" not in found.ops  # the reader closes this cycle itself
    late = layered(ops, [*(edge for edge in edges if edge.target != "w"), Edge("n", "w", 2), Edge("m", "y")])
    again_ = again(tmp_path / "m.nir", late).graph
    assert_same(late, again_)
    assert "n.delay2" in again_.ops


def test_ways_back_that_a_reader_would_not_see(tmp_path: Path) -> None:
    """Both neurons read the input, and the delay is on one of the two ways between them."""
    ops: dict[str, Layer] = {"x": Input((4,)), "a": neuron(), "b": neuron(), "y": Output((4,))}
    graph = layered(ops, [Edge("x", "a"), Edge("x", "b"), Edge("a", "b"), Edge("b", "a", 1), Edge("b", "y")])
    found = again(tmp_path / "n.nir", graph).graph
    assert_same(graph, found)
    assert "b.delay1" in found.ops


def test_outputs_keep_their_decoders(tmp_path: Path) -> None:
    ops: dict[str, Layer] = {"x": Input((4,)), "n": neuron(), "y": Output((4,), decoder="max"), "z": Output((4,))}
    graph = layered(ops, [Edge("x", "n"), Edge("n", "y"), Edge("n", "z")])
    (tmp_path / "n.nir").write_bytes(nir_bytes(Model("net", graph, steps=7, decoder="last")))
    model = read_nir(tmp_path / "n.nir")
    assert model.steps == 7
    assert {name: op.decoder for name, op in model.graph.of_kind(Output).items()} == {"y": "max", "z": "last"}


def test_the_same_network_gives_the_same_bytes(tmp_path: Path) -> None:
    model = snncc.import_model(ROOT / "models" / "digits_resnet.onnx")
    assert nir_bytes(model) == nir_bytes(replace(model))


def test_a_file_that_says_itself_takes_no_options(tmp_path: Path) -> None:
    graph = layered({"x": Input((4,)), "n": neuron(), "y": Output((4,))})
    (tmp_path / "n.nir").write_bytes(nir_bytes(Model("net", graph), 1e-3))
    assert read_nir(tmp_path / "n.nir", dt=1e-3).graph["n"]
    for options, said in (
        ({"style": "lava"}, "--nir-style: n.nir says itself how n integrates, fires and resets"),
        ({"dt": 1e-4}, "--dt: is 0.0001; n.nir says that its steps take 0.001"),
    ):
        with pytest.raises(CompileError) as caught:
            read_nir(tmp_path / "n.nir", **options)
        assert str(caught.value) == f"error[bad-option]: {said}\n  = hint: leave it out"


REFUSED: dict[str, dict[str, Any]] = {
    "has a threshold that adapts\n  = hint: NIR has no node for that": {"adapt": Adapt(np.array(0.9), np.array(0.1))},
    "rests after a spike, steps: 2\n  = hint: NIR has no node for that": {"refractory": 2},
    "starts at another membrane than 0, v_leak or v_reset\n  = hint: start it at 0": {"initial": np.array(0.4)},
    "has neurons with and without a leak\n  = hint: give all of them a leak, or none": {
        "decay": np.array([1, 1, 0.9, 1])
    },
    "has a synaptic current and no leak\n  = hint: give both states a leak, or leave the current out": {
        "decay": np.array(1.0),
        "current": Current(np.array(0.5)),
    },
    "starts with a synaptic current\n  = hint: start it at 0": {"current": Current(np.array(0.5), np.array(1.0))},
    "has a lower bound of its membrane\n  = hint: NIR's IF can have one at -v_threshold": {"minimum": np.array(0.0)},
}


@pytest.mark.parametrize("said", REFUSED)
def test_neurons_that_nir_has_not(said: str) -> None:
    graph = layered({"x": Input((4,)), "n": neuron(**REFUSED[said]), "y": Output((4,))})
    assert refused(graph) == f"error[nir-cannot-express]: n: {said}"


def test_everything_that_nir_has_not_at_once() -> None:
    weight: Array = rng().normal(size=(2, 1, 3, 3))
    ops: dict[str, Layer] = {
        "x": Input((36,)),
        "image": Rearrange((1, 6, 6)),
        "conv": Conv2d(weight, (1, 6, 6), (2, 5, 5), padding=(1, 1, 0, 0)),
        "shift": Scale((2, 5, 5), np.ones(()), rng().normal(size=(2, 5, 5))),
        "n": neuron((2, 5, 5), refractory=1),
        "y": Output((2, 5, 5), "membrane"),
    }
    assert refused(layered(ops)) == (
        "error[nir-cannot-express]: image: reads 36 values as 1×6×6; NIR has no node that splits an axis\n"
        "  = hint: let the model's input have the axes of the first layer\n"
        "error[nir-cannot-express]: conv: pads one side more than the other\n"
        "  = hint: pad both sides alike\n"
        "error[nir-cannot-express]: shift: shifts each of 2×5×5 values by its own number, and NIR shifts "
        "whole channels\n"
        "  = hint: put the shift into the bias of the layer before it\n"
        "error[nir-cannot-express]: n: rests after a spike, steps: 1\n"
        "  = hint: NIR has no node for that\n"
        "error[nir-cannot-express]: y: is the membrane of n, which fires; NIR's n gives its spikes\n"
        "  = hint: make the last layer an integrator, or read spikes"
    )


@pytest.mark.parametrize("style", ["exact", "sinabs", "lava"])
def test_files_of_others_read_back(tmp_path: Path, style: str) -> None:
    nodes, edges = chain(
        3, {"w": linear(rng().normal(size=(4, 3))), "lif": lif(4, tau=7e-3), "u": linear(np.eye(4))}, 4
    )
    before = read_nir(write(tmp_path / "a.nir", nodes, [*edges, ("u", "lif")]), style, 1e-3).graph
    assert_same(before, again(tmp_path / "b.nir", before, 1e-3).graph)
