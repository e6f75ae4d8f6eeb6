"""Networks written as ONNX: ONNX Runtime computes their spikes, and they read back as they were, to the last bit."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snncc.arrays import Array
from snncc.diagnostics import CompileError
from snncc.frontends import Model, read_model
from snncc.frontends.onnx.dialect.functions import DOMAIN, layer_functions
from snncc.frontends.onnx.dialect.kinds import kinds
from snncc.frontends.onnx.dialect.read import read_dialect
from snncc.frontends.onnx.dialect.write import onnx_bytes
from snncc.graph import Edge, Graph
from snncc.layers import Affine, Input, Layer, Linear, Neuron, Output, SoftReset
from snncc.linear import Dense
from snncc.semantics import run_float

from ....passes.random_graphs import graphs
from ..step_graphs import runtime

ROOT = Path(__file__).parents[4]
MODELS = sorted((ROOT / "models").glob("*.onnx"))
CELLS = sorted((ROOT / "tests" / "data" / "onnx_cells").glob("*.onnx"))


def same(a: Any, b: Any) -> bool:
    """Whether two layers, or parts of them, are equal: values, shapes and types."""
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.dtype == b.dtype and a.shape == b.shape and np.array_equal(a, b)
    if dataclasses.is_dataclass(a):
        fields = [each.name for each in dataclasses.fields(a)]
        return type(a) is type(b) and all(same(getattr(a, each), getattr(b, each)) for each in fields)
    return type(a) is type(b) and a == b


def assert_same(one: Graph[Layer], other: Graph[Layer]) -> None:
    assert one.ops.keys() == other.ops.keys()
    for name, op in one.ops.items():
        assert same(op, other[name]), (name, op, other[name])
        assert one.incoming(name) == other.incoming(name), name


def by_onnx_runtime(data: bytes, graph: Graph[Layer], x: Array) -> dict[str, Array]:
    """Outputs for x (steps, *shape); a state starts at its constant `initial`, others at 0, and goes on as `_next`."""
    session = runtime(onnx.ModelProto.FromString(data))
    first, *states = session.get_inputs()
    values: dict[str, Array] = {}
    for each in states:
        name, _, role = each.name.rpartition(".")
        op, start = graph.ops.get(name), np.zeros(())
        if isinstance(op, Neuron):
            starts = {"v": op.initial, "i": op.current and op.current.initial, "a": op.adapt and op.adapt.initial}
            start = starts.get(role, start)
        values[each.name] = np.broadcast_to(np.asarray(start, np.float64), [1, *each.shape[1:]])
    names = [each.name for each in session.get_outputs()]
    rows: list[dict[str, Array]] = []
    for frame in x:
        feeds = {first.name: frame[None].astype(np.float32), **values}
        found = dict(zip(names, session.run(names, feeds), strict=True))
        values = {name: found[f"{name}_next"] for name in values}
        rows.append(found)
    return {name: np.stack([row[name].reshape(-1) for row in rows]) for name in graph.of_kind(Output)}


def read(data: bytes) -> Model | None:
    return read_dialect(onnx.ModelProto.FromString(data), Path("net.onnx"))


@settings(max_examples=40, deadline=None)
@given(graphs(), st.integers(0, 99))
def test_random_networks_run_and_read_back_exactly(graph: Graph[Layer], seed: int) -> None:
    data = onnx_bytes(Model("net", graph, steps=7, decoder="last"))
    onnx.checker.check_model(onnx.ModelProto.FromString(data), full_check=True)
    found = read(data)
    assert found is not None
    assert_same(graph, found.graph)
    assert (found.steps, found.decoder) == (7, "last")
    (layer,) = graph.of_kind(Input).values()
    x = np.random.default_rng(seed).integers(-8, 9, (8, *layer.shape)) / 4
    expected = run_float(graph, x[None]).outputs
    for name, value in by_onnx_runtime(data, graph, x).items():
        np.testing.assert_array_equal(value, expected[name][0], err_msg=name)


@pytest.mark.parametrize("path", [*MODELS, *CELLS], ids=lambda path: path.stem)
def test_imported_files_read_back_exactly(path: Path, tmp_path: Path) -> None:
    try:
        model = read_model(path)
    except CompileError:
        return  # some cells are outside of the normal form, as their own tests say
    written = tmp_path / path.name
    written.write_bytes(onnx_bytes(model))
    found = read_model(written)
    assert_same(model.graph, found.graph)
    assert (found.name, found.steps, found.decoder) == (model.name, model.steps, model.decoder)
    assert found.spike_tensors.keys() == model.graph.of_kind(Neuron).keys()
    assert onnx_bytes(found) == written.read_bytes()


def test_a_trained_network_has_the_spikes_of_the_reference(tmp_path: Path) -> None:
    model = read_model(ROOT / "models" / "vowels_rnn.onnx")
    with np.load(ROOT / "models" / "vowels_rnn.npz") as file:
        x = file["x"][0]
    found = by_onnx_runtime(onnx_bytes(model), model.graph, x)
    expected = run_float(model.graph, x[None].astype(np.float64)).outputs
    for name, value in found.items():
        np.testing.assert_array_equal(value, expected[name][0])


def small() -> Graph[Layer]:
    ops: dict[str, Layer] = {
        "x": Input((2,), events=True),
        "fc": Affine(np.eye(3, 2, dtype=np.float32), (3,)),
        "lif": Neuron((3,), np.asarray(0.5), np.asarray(1.0), reset=SoftReset(np.asarray(1.0))),
        "y": Output((3,), decoder="max"),
    }
    return Graph(ops, [Edge("x", "fc"), Edge("fc", "lif", 0, 2.0), Edge("lif", "lif", 2), Edge("lif", "y")])


def test_the_file_looks_as_a_person_would_write_it() -> None:
    proto = onnx.ModelProto.FromString(onnx_bytes(Model("net", small())))
    lines = [f"{node.op_type} {node.name}: {', '.join(node.input)}" for node in proto.graph.node]
    assert lines == [
        "Input x: x",
        "Linear fc: x.values, fc.weight",
        "Mul : fc, lif.fc.gain",
        "Sum : lif.fc.scaled, lif.late2",
        "LIFSoftReset lif: lif.sum, lif.v, lif.decay, lif.bias, lif.initial, lif.threshold, lif.reset",
        "Output y: lif.spikes",
        "Identity : lif.spikes",
        "Identity : lif.late1",
    ]
    assert [each.name for each in proto.graph.input] == ["x", "lif.late1", "lif.late2", "lif.v"]
    assert [each.name for each in proto.graph.output] == ["y", "lif.late1_next", "lif.late2_next", "lif.v_next"]
    assert [each.name for each in proto.functions] == ["Input", "LIFSoftReset", "Linear", "Output"]


def test_names_that_meet_stay_apart() -> None:
    graph = small()
    ops = {{"fc": "lif.v", "y": "lif.spikes"}.get(name, name): op for name, op in graph.ops.items()}
    edges = [
        Edge("x", "lif.v"), Edge("lif.v", "lif", 0, 2.0), Edge("lif", "lif", 2), Edge("lif", "lif.spikes")
    ]  # fmt: skip
    renamed = Graph(ops, edges)
    data = onnx_bytes(Model("net", renamed))
    found = read(data)
    assert found is not None
    assert_same(renamed, found.graph)


def test_every_kind_has_a_name_of_its_own() -> None:
    names = [kind.name for kind in kinds()]
    assert len({*names, *layer_functions()}) == len(names) + len(layer_functions())


def damaged(change: Any) -> Model | None:
    proto = onnx.ModelProto.FromString(onnx_bytes(Model("net", small())))
    change(proto)
    return read_dialect(proto, Path("net.onnx"))


def emptied(proto: onnx.ModelProto) -> None:
    for node in proto.graph.node:
        if not node.domain:
            node.ClearField("input")


def ringed(proto: onnx.ModelProto) -> None:
    """Two nodes that hand on each other's values, and a layer that reads them."""
    proto.graph.initializer.append(onnx.numpy_helper.from_array(np.array([-1, 3]), "sizes"))
    proto.graph.node.add(op_type="Reshape", input=["there", "sizes"], output=["here"])
    proto.graph.node.add(op_type="Reshape", input=["here", "sizes"], output=["there"])
    proto.graph.node[1].input[0] = "here"


@pytest.mark.parametrize(
    "change",
    [
        emptied,
        ringed,
        lambda proto: proto.functions[1].node[0].attribute.clear(),
        lambda proto: proto.functions.pop(),
        lambda proto: proto.graph.node.add(op_type="Relu", input=["fc"], output=["r"]),
        lambda proto: proto.graph.node.add(op_type="LIFSoftReset", domain=DOMAIN, name="lif", output=["fc"]),
        lambda proto: proto.graph.node[1].ClearField("name"),
        lambda proto: proto.graph.node[1].input.pop(),
        lambda proto: proto.graph.node[1].attribute.pop(),
        lambda proto: proto.graph.initializer.pop(),
        lambda proto: proto.graph.output.pop(),
        lambda proto: proto.graph.node.pop(),
        lambda proto: proto.graph.node[4].attribute[0].CopyFrom(onnx.helper.make_attribute("shape", [-3])),
        lambda proto: proto.graph.node[5].attribute[-1].CopyFrom(onnx.helper.make_attribute("decoder", "worst")),
        lambda proto: proto.graph.node[3].input.append("lif.late2_next"),
    ],
)
def test_what_is_not_quite_the_dialect_is_left_to_the_general_reader(change: Any) -> None:
    assert damaged(lambda proto: None) is not None
    found = damaged(change)
    assert found is None or found.graph.text() == small().text()  # an output that nothing needs may be missing


def test_a_network_between_passes_is_refused() -> None:
    ops: dict[str, Layer] = {"x": Input((2,)), "map": Linear(Dense(np.eye(2)), (2,)), "y": Output((2,))}
    with pytest.raises(CompileError) as caught:
        onnx_bytes(Model("net", Graph(ops, [Edge("x", "map"), Edge("map", "y")])))
    assert str(caught.value) == (
        "error[dialect-cannot-express]: map: is a Linear, which the dialect has no op for\n"
        "  = hint: write the network as it was imported"
    )
