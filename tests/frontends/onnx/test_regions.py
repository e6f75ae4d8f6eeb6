"""Where the elementwise part of a network is cut into populations, and what happens between them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from onnx import TensorProto, helper

from snncc.frontends import Model, read_model
from snncc.layers import HardReset, Neuron, Scale

from .step_graphs import StepGraph, agrees, two_layers

RNG = np.random.default_rng(11)


def imported(graph: StepGraph, folder: Path, shape: tuple[int, ...] = (3,)) -> Model:
    """Read the graph and compare every spike of 30 steps with ONNX Runtime's."""
    path = graph.save(folder)
    model = read_model(path, list(graph.states.items()))
    agrees(model, path, (2 * RNG.normal(size=(30, *shape))).astype(np.float32), graph.states, {})
    return model


def scaled(graph: StepGraph, source: str, factor: float, name: str) -> str:
    return graph.node("Mul", [source, graph.constant(f"{name}_factor", factor)], name)


def test_a_spike_added_to_the_next_input_does_not_join_two_populations(tmp_path: Path) -> None:
    graph = StepGraph()
    graph.input("x", (1, 3))
    first = graph.lif("a", "x", (3,))
    graph.output(graph.lif("b", graph.node("Add", [first, scaled(graph, "x", 0.5, "half")], "sum"), (3,)))
    model = imported(graph, tmp_path)
    assert {(edge.source, edge.gain) for edge in model.graph.incoming("b_v")} == {("a_v", 1.0), ("x", 0.5)}


def test_a_stateless_threshold_is_a_population_that_forgets(tmp_path: Path) -> None:
    graph = StepGraph()
    graph.input("x", (1, 3))
    fired = graph.node("Greater", ["x", graph.constant("threshold", 0.25)], "fired")
    spikes = graph.node("Cast", [fired], "spikes", to=TensorProto.FLOAT)
    graph.output(graph.lif("lif", spikes, (3,)))
    model = imported(graph, tmp_path)
    neuron = model.graph["neuron"]
    assert isinstance(neuron, Neuron)
    assert (neuron.decay, neuron.threshold, neuron.inclusive) == (0.0, 0.25, False)


def test_the_or_of_spikes_is_a_threshold_on_their_sum(tmp_path: Path) -> None:
    graph = StepGraph()
    graph.input("x", (1, 3))
    a, b = graph.lif("a", "x", (3,)), graph.lif("b", scaled(graph, "x", -1.0, "minus"), (3,))
    fired = graph.node("Greater", [graph.node("Add", [a, b], "sum"), graph.constant("half", 0.5)], "fired")
    graph.node("Cast", [fired], "either", to=TensorProto.FLOAT)
    graph.output("either")
    model = imported(graph, tmp_path)
    assert {edge.source for edge in model.graph.incoming("neuron")} == {"a_v", "b_v"}


def test_a_membrane_gated_by_its_own_last_spike_is_reset(tmp_path: Path) -> None:
    graph = StepGraph()
    graph.input("x", (1, 3))
    last = graph.state("last", (1, 3), after="spikes")
    kept = graph.node("Sub", [graph.constant("one", 1.0), last], "kept")
    leaked = scaled(graph, graph.state("mem", (1, 3)), 0.8, "leaked")
    graph.node("Add", [graph.node("Mul", [leaked, kept], "gated"), "x"], "mem_next")
    fired = graph.node("Greater", ["mem_next", graph.constant("threshold", 1.0)], "fired")
    graph.node("Cast", [fired], "spikes", to=TensorProto.FLOAT)
    graph.output("spikes")
    graph.output("mem_next")
    model = imported(graph, tmp_path)
    neuron = model.graph["mem"]
    assert isinstance(neuron, Neuron)
    assert isinstance(neuron.reset, HardReset)
    assert [edge.source for edge in model.graph.incoming("mem")] == ["x"]


def test_recurrent_layers_read_the_last_step(tmp_path: Path) -> None:
    graph = StepGraph()
    graph.input("x", (1, 3))
    last = graph.state("last", (1, 3), after="lif_spikes")
    fed = graph.node("Gemm", [last, graph.constant("w", RNG.normal(size=(3, 3)))], "fed")
    graph.output(graph.lif("lif", graph.node("Add", ["x", fed], "sum"), (3,)))
    model = imported(graph, tmp_path)
    assert [(edge.source, edge.delay) for edge in model.graph.incoming("fed")] == [("lif_v", 1)]


def test_a_source_read_now_and_a_step_later_goes_through_a_relay(tmp_path: Path) -> None:
    graph = StepGraph()
    graph.input("x", (1, 3))
    spikes = graph.lif("a", "x", (3,))
    late = graph.state("late", (1, 3), after=spikes)
    both = graph.node("Add", [spikes, scaled(graph, late, 0.25, "weak")], "both")
    graph.output(graph.lif("b", both, (3,)))
    graph.output(spikes)
    model = imported(graph, tmp_path)
    assert {(edge.source, edge.delay) for edge in model.graph.incoming("b_v")} == {("a_v", 0), ("a_v_delay1", 0)}


def test_a_stream_that_is_broadcast_is_rearranged(tmp_path: Path) -> None:
    graph = StepGraph()
    graph.input("x", (1, 2, 1))
    graph.node("Add", ["x", graph.constant("row", [[[0.5, 1.0, 1.5]]])], "wide")
    graph.output(graph.lif("lif", "wide", (2, 3)))
    imported(graph, tmp_path, (2, 1))


def test_parameters_may_differ_by_channel(tmp_path: Path) -> None:
    graph = StepGraph()
    graph.input("x", (1, 2, 3))
    graph.output(graph.lif("lif", "x", (2, 3), beta=np.array([[[0.5], [0.75]]]), threshold=np.array([[[1.0], [2.0]]])))
    neuron = imported(graph, tmp_path, (2, 3)).graph["lif_v"]
    assert isinstance(neuron, Neuron)
    assert neuron.decay.shape == (2, 1)


def test_shape_changes_inside_a_neuron_do_not_matter(tmp_path: Path) -> None:
    graph = StepGraph()
    graph.input("x", (1, 2, 3))
    flat = graph.node("Reshape", ["x", graph.constant("flat", [1, 6], np.int64)], "flattened")
    v = graph.node("Reshape", [graph.state("v", (1, 2, 3)), "flat"], "v_flat")
    summed = graph.node(
        "Add", [graph.node("Mul", [v, graph.constant("beta", np.linspace(0, 1, 6))], "leaked"), flat], "u"
    )
    back = graph.node("Reshape", [summed, graph.constant("square", [1, 2, 3], np.int64)], "back")
    threshold = graph.constant("threshold", np.array([[1.0], [2.0]]))
    fired = graph.node("GreaterOrEqual", [back, threshold], "fired")
    graph.node("Cast", [fired], "spikes", to=TensorProto.FLOAT)
    graph.node("Sub", [back, graph.node("Mul", ["spikes", threshold], "amount")], "v_next")
    graph.output("spikes")
    graph.output("v_next")
    imported(graph, tmp_path, (2, 3))


def test_noise_times_zero_is_nothing(tmp_path: Path) -> None:
    graph = StepGraph()
    graph.input("x", (1, 3))
    noise = graph.node("Mul", [graph.node("Exp", ["x"], "noise"), graph.constant("none", 0.0)], "silenced")
    graph.output(graph.lif("lif", graph.node("Add", ["x", noise], "sum"), (3,)))
    model = imported(graph, tmp_path)
    assert [edge.source for edge in model.graph.incoming("lif_v")] == ["x"]


def test_per_neuron_gains_are_a_layer(tmp_path: Path) -> None:
    graph = StepGraph()
    graph.input("x", (1, 3))
    graph.node("Mul", ["x", graph.constant("g", [[0.5, 1.0, 2.0]])], "weighed", name="weigh")
    graph.output(graph.lif("lif", "weighed", (3,)))
    model = imported(graph, tmp_path)
    assert list(model.graph.of_kind(Scale)) == ["weigh"]


def test_names_come_from_modules_and_stay_unique(tmp_path: Path) -> None:
    graph = StepGraph()
    graph.input("x", (1, 3))
    weight = graph.constant("w", np.eye(3))
    current = "x"
    for name in ("/net/block/block.0/fc/Gemm", "/net/block/block.0/fc/Gemm_1", '1 + evil"; name'):
        current = graph.node("Gemm", [current, weight], f"t{len(graph.nodes)}", name=name)
    graph.output(graph.lif("lif", current, (3,)))
    model = imported(graph, tmp_path)
    names = list(model.graph.ops)
    assert names[:4] == ["x", "net.block.0.fc", "Gemm_1", "gemm1_evil_name"]
    assert all(name.isascii() and name.isprintable() for name in names)


def test_half_precision_is_widened_with_a_warning(tmp_path: Path) -> None:
    graph = two_layers()
    for i, tensor in enumerate(graph.initializers):
        values = np.frombuffer(tensor.raw_data, np.float32).reshape(tuple(tensor.dims)).astype(np.float16)
        graph.initializers[i] = helper.make_tensor(
            tensor.name, TensorProto.FLOAT16, values.shape, values.tobytes(), True
        )
    for port in graph.inputs:
        port.type.tensor_type.elem_type = TensorProto.FLOAT16
    for node in graph.nodes:
        for attribute in node.attribute:
            if attribute.name == "to":
                attribute.i = TensorProto.FLOAT16
    model = read_model(graph.save(tmp_path))
    assert str(model.warnings[0]) == (
        "warning[float16]: x: is float16: the network is read as if it were computed in float32\n"
        "  = hint: export in float32"
    )


def test_the_product_of_spikes_is_a_population(tmp_path: Path) -> None:
    graph = StepGraph()
    graph.input("x", (1, 3))
    a, b = graph.lif("a", "x", (3,)), graph.lif("b", scaled(graph, "x", 0.5, "half"), (3,))
    graph.node("Mul", [a, b], "both", name="both")
    graph.output("both")
    assert len(read_model(graph.save(tmp_path)).graph.of_kind(Neuron)) == 3
