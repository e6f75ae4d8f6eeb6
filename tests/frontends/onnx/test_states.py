"""States are paired where only one reading is possible, and asked for where it takes a guess."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from snncc.diagnostics import CompileError
from snncc.frontends import read_model
from snncc.frontends.onnx.ports import input_shapes
from snncc.frontends.onnx.source import load
from snncc.frontends.onnx.states import Pairing, pair
from snncc.frontends.onnx.trace import trace
from snncc.semantics import run_float

from .step_graphs import StepGraph, agrees, two_layers

CELLS = Path(__file__).parents[2] / "data" / "onnx_cells"


def pairing(path: Path, *given: tuple[str, str]) -> Pairing:
    source = load(path)
    step = trace(source, input_shapes(source))
    return pair(step, [port.name for port in source.inputs], source.outputs, given)


def renamed(model: onnx.ModelProto, names: dict[str, str]) -> onnx.ModelProto:
    graph = model.graph
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    for port in (*graph.input, *graph.output):
        port.name = names.get(port.name, port.name)
    return model


def permuted(model: onnx.ModelProto, inputs: list[int], outputs: list[int]) -> onnx.ModelProto:
    for ports, order in ((model.graph.input, inputs), (model.graph.output, outputs)):
        copies = [ports[i] for i in order]
        values = [each.SerializeToString() for each in copies]
        del ports[:]
        for value in values:
            ports.add().ParseFromString(value)
    return model


def cell(kind: str) -> onnx.ModelProto:
    """One neuron straight behind x: IF (x and v are alike), LIF, or LIF with a current."""
    graph = StepGraph()
    graph.input("x", (1, 3))
    if kind == "cuba":
        decayed = graph.node("Mul", [graph.state("i", (1, 3)), graph.constant("alpha", 0.5)], "decayed")
        current = graph.node("Add", [decayed, "x"], "i_next")
        graph.output("i_next")
    else:
        current = "x"
    spikes = graph.lif("n", current, (3,), beta=1.0 if kind == "if" else 0.75)
    graph.outputs.insert(0, onnx.helper.make_tensor_value_info(spikes, onnx.TensorProto.FLOAT, None))
    return graph.model()


def save(model: onnx.ModelProto, folder: Path) -> Path:
    path = folder / "net.onnx"
    path.write_bytes(model.SerializeToString())
    return path


NAMELESS = {"x": "a", "lif1_v": "b", "lif2_v": "c", "lif1_v_next": "d", "lif2_v_next": "e", "lif2_spikes": "f"}


def test_names_decide(tmp_path: Path) -> None:
    found = pairing(two_layers().save(tmp_path))
    assert found == Pairing("x", (("lif1_v", "lif1_v_next"), ("lif2_v", "lif2_v_next")), ("lif2_spikes",))


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0], [1, 0, 2]])
def test_without_names_shapes_and_dependence_decide(order: list[int], tmp_path: Path) -> None:
    model = permuted(renamed(two_layers().model(), NAMELESS), order, order)
    found = pairing(save(model, tmp_path))
    assert found.data == "a"
    assert dict(found.states) == {"b": "d", "c": "e"}
    assert found.outputs == ("f",)


def test_equal_shapes_are_told_apart_by_dependence(tmp_path: Path) -> None:
    graph = StepGraph()
    graph.input("a", (1, 3))
    current, weight = "a", graph.constant("w", np.eye(3))
    for name in ("p", "q", "r"):
        current = graph.lif(name, graph.node("Gemm", [current, weight], f"{name}_in"), (3,))
    graph.output(current)
    names = {"p_v": "s0", "q_v": "s1", "r_v": "s2", "p_v_next": "o2", "q_v_next": "o0", "r_v_next": "o1"}
    found = pairing(save(renamed(graph.model(), names), tmp_path))
    assert dict(found.states) == {"s0": "o2", "s1": "o0", "s2": "o1"}


def test_a_current_and_its_membrane_are_told_apart(tmp_path: Path) -> None:
    names = {"x": "a", "i": "b", "n_v": "c", "i_next": "d", "n_v_next": "e", "n_spikes": "f"}
    model = permuted(renamed(cell("cuba"), names), [0, 2, 1], [2, 0, 1])
    assert dict(pairing(save(model, tmp_path)).states) == {"b": "d", "c": "e"}


def test_the_data_comes_first_where_x_and_v_are_alike(tmp_path: Path) -> None:
    model = renamed(cell("if"), {"x": "a", "n_v": "b", "n_v_next": "c", "n_spikes": "d"})
    assert pairing(save(model, tmp_path)) == Pairing("a", (("b", "c"),), ("d",))


def test_a_name_overrules_the_position_of_x(tmp_path: Path) -> None:
    model = permuted(cell("if"), [1, 0], [1, 0])
    assert pairing(save(model, tmp_path)) == Pairing("x", (("n_v", "n_v_next"),), ("n_spikes",))


def test_a_spike_is_never_the_next_value_of_a_membrane(tmp_path: Path) -> None:
    model = permuted(renamed(cell("if"), {"x": "a", "n_v": "b", "n_v_next": "c", "n_spikes": "d"}), [0, 1], [0, 1])
    assert dict(pairing(save(model, tmp_path)).states) == {"b": "c"}


def test_the_user_overrules_all_guesses(tmp_path: Path) -> None:
    model = permuted(renamed(cell("if"), {"x": "a", "n_v": "b", "n_v_next": "c", "n_spikes": "d"}), [1, 0], [0, 1])
    assert pairing(save(model, tmp_path), ("b", "c")) == Pairing("a", (("b", "c"),), ("d",))


def test_recurrent_spikes_are_states_too(tmp_path: Path) -> None:
    found = pairing(CELLS / "net_recurrent_unnamed_dyn.onnx")
    assert found.data == "x"
    expected = {"states_0": "mul_6", "states_1": "sub_1", "states_2": "sub_2", "states_3": "add_5"}
    assert dict(found.states) == expected
    assert found.outputs == ("clone_2",)


def recurrent_pair() -> StepGraph:
    """Two layers of one size that both feed their spikes back through a matrix: only names tell the spikes apart."""
    graph = StepGraph()
    graph.input("x", (1, 3))
    current, weight = "x", graph.constant("w", 0.3 * np.ones((3, 3)))
    for name in ("p", "q"):
        last = graph.state(f"{name}_last", (1, 3), after=f"{name}_spikes")
        fed = graph.node("Gemm", [last, weight], f"{name}_fed")
        forward = graph.node("Gemm", [current, weight], f"{name}_in")
        current = graph.lif(name, graph.node("Add", [forward, fed], f"{name}_sum"), (3,))
        graph.output(current)
    return graph


def test_what_cannot_be_told_apart_is_asked_for(tmp_path: Path) -> None:
    path = recurrent_pair().save(tmp_path)
    with pytest.raises(CompileError) as caught:
        read_model(path)
    assert str(caught.value) == (
        "error[ambiguous-states]: p_last: this input could go on as any of: p_spikes, q_spikes\n"
        "  = hint: say which is its next value: --state p_last=p_spikes\n"
        "error[ambiguous-states]: q_last: this input could go on as any of: p_spikes, q_spikes\n"
        "  = hint: say which is its next value: --state q_last=p_spikes"
    )


def test_an_answer_settles_it(tmp_path: Path) -> None:
    graph = recurrent_pair()
    path = graph.save(tmp_path)
    model = read_model(path, [("p_last", "p_spikes"), ("q_last", "q_spikes")])
    x = np.random.default_rng(0).normal(size=(10, 3)).astype(np.float32)
    agrees(model, path, x, graph.states, {})
    assert [edge.delay for edge in model.graph.incoming("p_fed")] == [1]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("v", "lif1_v_next"), "--state v: is no input of the model: x, lif1_v, lif2_v"),
        (("lif1_v", "w"), "--state w: is no output of the model: lif2_spikes, lif1_v_next, lif2_v_next"),
        (("lif1_v", "lif2_v_next"), "--state lif1_v=lif2_v_next: the shapes differ: (1, 6) and (1, 3)"),
    ],
)
def test_pairs_that_make_no_sense_are_refused(given: tuple[str, str], message: str, tmp_path: Path) -> None:
    with pytest.raises(CompileError) as caught:
        read_model(two_layers().save(tmp_path), [given])
    assert str(caught.value) == f"error[unknown-state]: {message}"


def test_a_state_named_twice_is_refused(tmp_path: Path) -> None:
    pairs = [("lif1_v", "lif1_v_next"), ("lif1_v", "lif2_v_next")]
    with pytest.raises(CompileError, match="this input is in two pairs"):
        read_model(two_layers().save(tmp_path), pairs)


def test_two_data_inputs_are_refused(tmp_path: Path) -> None:
    graph = two_layers()
    graph.input("extra", (1, 5))
    with pytest.raises(CompileError) as caught:
        read_model(graph.save(tmp_path))
    assert str(caught.value) == (
        "error[several-inputs]: x, extra: none of these inputs has an output that could be its next state, "
        "and only one can be the data\n"
        "  = hint: export each state's next value as an output, and pair them with --state NAME_IN=NAME_OUT"
    )


def test_an_output_may_be_listed_as_a_state_as_well(tmp_path: Path) -> None:
    """A read-out returns its membrane twice, as y and as the next state; exporters then list one tensor twice."""
    model = read_model(CELLS / "net_same_output_raw_dyn.onnx")
    assert list(model.graph.ops)[-1] in ("y", "mem_next")


def test_a_network_may_give_its_states_only(tmp_path: Path) -> None:
    graph = two_layers()
    del graph.outputs[0]
    path = graph.save(tmp_path)
    model = read_model(path)
    x = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
    agrees(model, path, x, graph.states, {"lif2_v_next": "lif2_v_next"})


def test_a_delayed_copy_of_a_layer_is_an_edge_with_a_delay(tmp_path: Path) -> None:
    graph = StepGraph()
    graph.input("x", (1, 4))
    late = graph.state("late", (1, 3), after="fc")
    later = graph.state("later", (1, 3), after="late_copy")
    graph.node("Identity", [late], "late_copy")
    graph.node("Gemm", ["x", graph.constant("w", np.random.default_rng(2).normal(size=(3, 4)))], "fc", transB=1)
    graph.output("fc")
    graph.output("late_copy")
    spikes = graph.lif("lif", graph.node("Add", [late, later], "sum"), (3,))
    graph.output(spikes)
    path = graph.save(tmp_path)
    model = read_model(path, [("late", "fc"), ("later", "late_copy")])
    x = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
    agrees(model, path, x, graph.states, {})
    assert run_float(model.graph, x[None], 8).outputs.keys() == {"lif_spikes"}
