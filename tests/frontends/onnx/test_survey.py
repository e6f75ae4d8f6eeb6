"""What `snncc check` shows of an ONNX file that is refused: each node, recognised or not, and why."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper
from typer.testing import CliRunner

from snncc.cli import app
from snncc.diagnostics import CompileError
from snncc.frontends import Finding, read_model, survey

from .ann_graphs import pooled
from .step_graphs import StepGraph, two_layers

ZOO = Path(__file__).parents[2] / "zoo" / "files"


def found(path: Path, *, ordinary: bool = False) -> dict[str, Finding]:
    with pytest.raises(CompileError) as caught:
        read_model(path)
    rows = survey(path, (), None, None, caught.value.diagnostics, ordinary)
    assert len({each.node for each in rows}) == len(rows)
    return {each.node: each for each in rows}


def between(graph: StepGraph, op: str) -> None:
    """Put a node `bend` between the first neurons and the second layer."""
    (gemm,) = [node for node in graph.nodes if node.op_type == "Gemm" and "lif1_spikes" in node.input]
    gemm.input[0] = "bend"
    graph.nodes.insert(graph.nodes.index(gemm), helper.make_node(op, ["lif1_spikes"], ["bend"], name="bend"))


def test_neurons_before_and_behind_an_op_that_is_not_read_are_recognised(tmp_path: Path) -> None:
    graph = two_layers()
    between(graph, "Softmax")
    rows = found(graph.save(tmp_path))
    assert [(each.node, each.kind) for each in rows.values()][:3] == [
        ("x", "Input"),
        ("fc1", "Affine"),
        ("lif1_v", "LIF neuron"),
    ]
    assert rows["bend"] == Finding(
        "bend", "", None, ("lif1_v",), rule="unsupported-op", why="Softmax is not supported here"
    )
    assert rows["fc2"].reads == ("bend",)
    assert rows["lif2_v"].kind == "LIF neuron"
    assert rows["lif2_v"].parameters == rows["lif1_v"].parameters != ""
    assert all(rows[name].fit_error is not None for name in ("lif1_v", "lif2_v"))


def test_an_activation_shows_beside_the_neurons(tmp_path: Path) -> None:
    graph = two_layers()
    graph.nodes[0].input[0] = "bend"
    graph.nodes.insert(0, helper.make_node("Elu", ["x"], ["bend"], name="bend"))
    rows = found(graph.save(tmp_path))
    assert (rows["bend"].rule, rows["bend"].kind, rows["fc1"].reads) == ("not-a-neuron", "", ("bend",))
    assert [rows[name].kind for name in ("lif1_v", "fc2", "lif2_v")] == ["LIF neuron", "Affine", "LIF neuron"]


def test_a_neuron_outside_of_the_normal_form_shows_beside_the_others(tmp_path: Path) -> None:
    graph = two_layers()
    square = helper.make_node("Mul", ["lif1_v", "lif1_v"], ["squared"], name="square")
    graph.nodes.insert(0, square)
    first = next(each for each in graph.nodes if each is not square and "lif1_v" in each.input)
    first.input[:] = ["squared" if name == "lif1_v" else name for name in first.input]
    rows = found(graph.save(tmp_path))
    (refused,) = [each for each in rows.values() if each.rule]
    assert (refused.node, refused.kind, refused.reads) == ("lif1_v", "", ("fc1",))
    assert rows["lif2_v"].kind == "LIF neuron"


def test_a_sequence_shows_its_step(tmp_path: Path) -> None:
    model = onnx.load(ZOO / "snntorch_count_unrolled_ts.onnx")
    spikes = [node for node in model.graph.node if node.op_type == "Gemm" and "fc2" in node.name]
    for index, gemm in enumerate(spikes):
        softened = f"soft{index}"
        position = list(model.graph.node).index(gemm)
        model.graph.node.insert(position, helper.make_node("Sin", [gemm.input[0]], [softened], name=softened))
        model.graph.node[position + 1].input[0] = softened
    path = tmp_path / "net.onnx"
    onnx.save(model, path)
    rows = found(path)
    assert [each.kind for each in rows.values()].count("LIF neuron") == 2
    assert [each.rule for each in rows.values() if each.rule] == ["unsupported-op"]


def test_every_custom_op_is_named_and_has_a_row_of_its_own(tmp_path: Path) -> None:
    model = onnx.load(ZOO / "snntorch_leaky_functions_ts.onnx")
    del model.functions[:]
    path = tmp_path / "net.onnx"
    onnx.save(model, path)
    rows = found(path)
    for name in ("lif1", "lif2"):
        op = f"zoo.neurons::Neuron{name == 'lif2':d}"
        assert (rows[name].rule, rows[name].kind) == ("custom-op", "")
        assert rows[name].why == f"{op} is a custom op, and the file does not say what it computes"


def test_a_custom_op_of_every_step_has_a_row_of_its_own(tmp_path: Path) -> None:
    graph = StepGraph()
    sent, state = graph.input("x", (20, 1, 3)), graph.constant("start", np.zeros((1, 3)))
    for step in range(20):
        now = graph.node("Gather", [sent, graph.constant(f"t{step}", step, np.int64)], f"x{step}", axis=0)
        state = graph.node("LIF", [now, state], f"v{step}", name=f"lif_{step}", domain="my.ops")
    graph.output(state)
    path = graph.save(tmp_path)
    assert [each.rule for name, each in found(path).items() if "lif" in name] == ["custom-op"] * 20
    done = CliRunner().invoke(app, ["check", str(path)])
    assert [f"\nlif_{step} " in done.stdout for step in range(20)] == [True] * 20
    places = ", ".join(f"lif_{step}" for step in range(16))
    assert done.stderr.startswith(f"error[custom-op]: {places} and 4 more: my.ops::LIF is a custom op, and the file ")


def test_nodes_that_make_no_step_are_listed_as_they_stand(tmp_path: Path) -> None:
    graph = two_layers()
    for name in ("a", "b"):
        graph.input(name, (1, 3))
        graph.output(graph.node("Add", ["lif2_spikes", "a"], f"{name}_then"))
    graph.node("Greater", ["x", "nothing"], "odd", name="odd")
    graph.output("odd")
    rows = found(graph.save(tmp_path))
    assert [each.kind for each in rows.values()][:3] == ["linear", "elementwise", "elementwise"]
    assert rows["odd"] == Finding(
        "odd", "", parameters="Greater", rule="undefined-tensor", why="reads 'nothing', which nothing defines"
    )


def test_an_ordinary_network_shows_what_could_be_rates(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    onnx.save(pooled().model(), path)
    rows = found(path)
    assert {"Conv2d", "Relu"} <= {each.kind for each in rows.values()}


def test_what_is_no_graph_shows_nothing(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(b"not a model")
    assert not found(path)
