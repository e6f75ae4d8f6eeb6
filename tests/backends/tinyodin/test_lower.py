"""Lowering: the ideal network, rounding, the stages in between, and the choice on samples."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snncc import chip as chips
from snncc.arrays import Array
from snncc.backends.tinyodin import choose, rounding, stages
from snncc.backends.tinyodin.emit import emit
from snncc.backends.tinyodin.ideal import ideal
from snncc.backends.tinyodin.lower import lower
from snncc.backends.tinyodin.validate import validate
from snncc.data import Data
from snncc.diagnostics import CompileError
from snncc.events.ops import EventPopulation, crossbar
from snncc.events.reference import run
from snncc.graph import Edge, Graph
from snncc.integers import Register, Synapse
from snncc.layers import HardReset, Input, Layer, Linear, Neuron, Output
from snncc.linear import Dense
from snncc.passes.quantise import Options
from snncc.semantics import run_float

CHIP = chips.load("tinyodin")
assert CHIP.crossbar
LIMITS = rounding.widths(CHIP, CHIP.crossbar, 4)


def layered(seed: int, *, decay: float = 1.0, bias: float = 0.0, inclusive: bool = True) -> Graph[Layer]:
    """Seven inputs, two populations; the second also reads the input."""
    random = np.random.default_rng(seed)

    def neuron(size: int) -> Neuron:
        threshold = random.uniform(0.5, 1.5, size)
        biases = random.uniform(-bias, bias, size) if bias else np.zeros(())
        return Neuron((size,), np.full(size, decay), threshold, inclusive, HardReset(), biases)

    def linear(size: int, reads: int) -> Linear:
        return Linear(Dense(random.normal(0.1, 0.4, (size, reads)).astype(np.float32)), (size,))

    ops: dict[str, Layer] = {
        "x": Input((7,)),
        "fc1": linear(9, 7),
        "lif1": neuron(9),
        "fc2": linear(4, 9),
        "skip": linear(4, 7),
        "lif2": neuron(4),
        "y": Output((4,)),
    }
    pairs = (
        ("x", "fc1"),
        ("fc1", "lif1"),
        ("lif1", "fc2"),
        ("fc2", "lif2"),
        ("x", "skip"),
        ("skip", "lif2"),
        ("lif2", "y"),
    )
    return Graph(ops, [Edge(*pair) for pair in pairs])


def spikes(seed: int, samples: int = 20, steps: int = 10) -> Array:
    return (np.random.default_rng(seed).random((samples, steps, 7)) < 0.3).astype(np.int64)


def own(x: Array) -> Array:
    return np.full(len(x), x.shape[1], np.int64)


def trained(graph: Graph[Layer], x: Array) -> Array:
    """The spikes of all neurons of the model as it was trained."""
    trace = run_float(graph, x, record=("lif1", "lif2"))
    return np.concatenate([trace.spikes["lif1"], trace.spikes["lif2"]], axis=2).astype(np.int64)


@given(st.integers(0, 1000), st.sampled_from([1.0, 0.9, 0.0]), st.sampled_from([0.0, 0.3, 2.0]), st.booleans())
@settings(max_examples=60)
def test_step_by_step_on_a_fine_grid_is_the_trained_model(
    seed: int, decay: float, bias: float, inclusive: bool
) -> None:
    graph, x = layered(seed, decay=decay, bias=bias, inclusive=inclusive), spikes(seed)
    given_ = ideal(graph)
    found, size = stages.by_steps(given_, rounding.fine(given_), x, own(x))
    assert np.mean(found != trained(graph, x)) < 0.001
    membranes = run_float(graph, x, record=("lif1", "lif2")).membranes
    mean = np.concatenate([np.abs(membranes[name]).mean(axis=(0, 1)) for name in ("lif1", "lif2")])
    assert size * given_.threshold / (1 << 22) == pytest.approx(mean, rel=0.05, abs=1e-3)


@given(st.integers(0, 1000), st.sampled_from([0.0, 0.3]))
@settings(max_examples=30)
def test_one_event_a_step_makes_steps_and_events_the_same_in_the_first_population(seed: int, bias: float) -> None:
    """Biases are events as well, so only networks without them qualify; those with one differ in general."""
    given_ = ideal(layered(seed, bias=bias))
    random = np.random.default_rng(seed)
    x = np.zeros((15, 12, 7), np.int64)
    x[np.arange(15)[:, None], np.arange(12), random.integers(0, 7, (15, 12))] = 1
    numbers, order = rounding.plain(given_, LIMITS), np.arange(given_.channels)
    steps = stages.by_steps(given_, numbers, x, own(x))[0]
    events = stages.by_events(given_, numbers, order, x, own(x), LIMITS)
    same = np.array_equal(steps[:, :, :9], events[:, :, :9])
    assert same or bias


def test_a_trained_grid_is_found_and_nothing_is_rounded() -> None:
    random = np.random.default_rng(3)
    weight = random.integers(-7, 8, (9, 7)) * random.uniform(0.01, 0.2, (9, 1))
    graph = layered(3)
    given_ = ideal(Graph({**graph.ops, "fc1": Linear(Dense(weight.astype(np.float32)), (9,))}, graph.edges))
    numbers = rounding.plain(given_, LIMITS)
    back = numbers.weights[:, :9] * numbers.quantum[:9]
    assert back == pytest.approx(given_.weights[:, :9], rel=1e-5)


@pytest.mark.parametrize(("inclusive", "wanted"), [(True, 20), (False, 21)])
def test_a_threshold_on_the_grid_is_met_exactly(inclusive: bool, wanted: int) -> None:
    """0.7 is not a binary number: 14 / 0.7 is a little less or more than 20, and counts as 20."""
    neuron = Neuron((1,), np.ones(()), np.array([14.0]), inclusive, HardReset())
    ops = {"x": Input((1,)), "fc": Linear(Dense(np.array([[0.7 * 7]])), (1,)), "n": neuron, "y": Output((1,))}
    given_ = ideal(Graph(ops, [Edge("x", "fc"), Edge("fc", "n"), Edge("n", "y")]))
    assert rounding.thresholds(given_, np.array([0.7])).tolist() == [wanted]


def test_numbers_never_leave_the_chip_s_widths() -> None:
    """A threshold a thousand times the weights takes a coarser grid; a neuron without input gets one all the same."""
    graph = layered(0)
    lif1 = graph["lif1"]
    assert isinstance(lif1, Neuron)
    assert lif1.threshold is not None
    weight = np.array(graph["fc1"].map.weight)  # type: ignore[union-attr]
    weight[4] = 0
    ops = {**graph.ops, "lif1": replace(lif1, threshold=lif1.threshold * 1000), "fc1": Linear(Dense(weight), (9,))}
    given_ = ideal(Graph(ops, graph.edges))
    for quantum in rounding.quanta(given_, LIMITS):
        numbers = rounding.rounded(given_, quantum, LIMITS)
        assert -8 <= numbers.weights.min() <= numbers.weights.max() <= 7
        assert 1 <= numbers.threshold.min() <= numbers.threshold.max() <= 2047
    assert not numbers.weights[:, 4].any()


@pytest.mark.parametrize("decay", [1.0, 0.85])
@pytest.mark.parametrize("seed", range(4))
def test_chosen_numbers_come_closer_than_the_nearest_ones(seed: int, decay: float) -> None:
    given_ = ideal(layered(seed, decay=decay))
    x = spikes(seed, samples=40)
    seen = choose.calibration(given_, x, own(x))
    plain = choose.leaking(rounding.plain(given_, LIMITS), seen.lost, LIMITS)
    order = np.arange(given_.channels)
    chosen = choose.chosen(given_, order, LIMITS, seen)

    def error(numbers: rounding.Numbers, x: Array, wanted: Array) -> int:
        found = choose.respond(given_, choose.Choice(numbers, order), LIMITS, x, own(x)).spikes
        return int(np.abs(np.cumsum(found - wanted, axis=1)).sum())

    assert error(chosen, x, seen.wanted) < error(plain, x, seen.wanted)
    fresh = spikes(seed + 100, samples=40)
    assert error(chosen, fresh, trained(layered(seed, decay=decay), fresh)) < error(
        plain, fresh, trained(layered(seed, decay=decay), fresh)
    )


def test_a_leak_takes_what_the_decay_takes_on_average() -> None:
    given_ = ideal(layered(1, decay=0.8))
    x = spikes(1)
    seen = choose.calibration(given_, x, own(x))
    numbers = choose.leaking(rounding.plain(given_, LIMITS), seen.lost, LIMITS)
    assert (numbers.leak >= 1).all()
    assert (np.abs(numbers.leak * numbers.quantum - seen.lost) <= numbers.quantum).all()
    still = choose.leaking(rounding.plain(ideal(layered(1)), LIMITS), seen.lost * 0, LIMITS)
    assert not still.leak.any()


def test_the_network_has_the_model_s_names_and_the_chip_s_numbers() -> None:
    network = lower(layered(5, bias=0.2), CHIP, Options(weight_bits=4), None).network
    assert set(network.ops) == {"x", "fc1", "lif1", "fc2", "skip", "lif2", "y"}
    matrix, source = crossbar(network), network.source
    assert (source.always, source.order.tolist()) == (1, list(range(8)))
    assert matrix.weights.shape == (13 + 8, 13)
    assert network["lif1"].register == Register(-2048, 2047)  # type: ignore[union-attr]
    assert all(op.map.weight.dtype == np.int8 for op in network.of_kind(Synapse).values())


def test_biases_without_other_input_get_a_synapse_of_their_own() -> None:
    graph = layered(5)
    lif2 = graph["lif2"]
    assert isinstance(lif2, Neuron)
    ops = {**graph.ops, "lif2": replace(lif2, bias=np.array(0.4))}
    ops = {name: op for name, op in ops.items() if name != "skip"}
    network = lower(Graph(ops, [e for e in graph.edges if "skip" not in (e.source, e.target)]), CHIP, Options(4), None)
    assert "x.lif2" in network.network.ops
    trace = run(network.network, np.zeros((1, 30, 7), np.int64), record=("lif2",))
    assert trace.spikes["lif2"].any()


def test_fidelity_is_told_stage_by_stage() -> None:
    graph, x = layered(2, decay=0.9), spikes(2, samples=30)
    labels = run_float(graph, x).outputs["y"].sum(axis=1).argmax(axis=1)
    found = lower(graph, CHIP, Options(weight_bits=4), Data(x, own(x), labels.astype(np.int64)))
    assert [each.stage for each in found.fidelity] == [
        *("float", "4 bits", "event by event", "linear leak", "chosen on samples")
    ]
    assert (found.fidelity[0].accuracy, found.fidelity[0].changed) == (1.0, 0.0)
    for each in found.fidelity:
        assert each.accuracy == pytest.approx(1 - each.changed)
    still = lower(layered(2), CHIP, Options(weight_bits=3), Data(x, own(x)))
    assert [each.stage for each in still.fidelity] == ["float", "3 bits", "event by event", "chosen on samples"]
    assert {each.accuracy for each in still.fidelity} == {None}


def test_the_same_samples_give_the_same_numbers_and_lengths_count() -> None:
    graph, x = layered(2), spikes(2, samples=30)
    lengths = np.arange(30) % 10 + 1
    beyond = x.copy()
    beyond[np.arange(10) >= lengths[:, None]] = 1
    first, second = (lower(graph, CHIP, Options(4), Data(each, lengths)).network for each in (x, beyond))
    assert first.text() == second.text()


def test_static_samples_are_presented_at_every_step() -> None:
    graph, x = layered(2), spikes(2, samples=30, steps=1)
    still = lower(graph, CHIP, Options(4, steps=6), Data(x[:, 0], np.full(30, 6)))
    moving = lower(graph, CHIP, Options(4, steps=6), Data(np.repeat(x, 6, axis=1), np.full(30, 6)))
    assert still.network.text() == moving.network.text()


def test_the_decoder_is_the_user_s_then_the_model_s() -> None:
    graph = layered(2)
    assert lower(graph, CHIP, Options(4), None).network["y"].decoder == "count"  # type: ignore[union-attr]
    assert lower(graph, CHIP, Options(4, decoder="last"), None).network["y"].decoder == "last"  # type: ignore[union-attr]


def test_more_bits_than_the_chip_has() -> None:
    with pytest.raises(CompileError) as caught:
        lower(layered(2), CHIP, Options(weight_bits=5), None)
    assert "error[weight-bits]: --weight-bits: 5 bits were asked for; tinyodin takes 2 to 4" in str(caught.value)
    with pytest.raises(CompileError) as caught:
        lower(layered(2), CHIP, Options(weight_bits="ternary", own_bits={"w0": 4}), None)
    assert str(caught.value).endswith(
        "error[weight-bits]: --weight-bits: tinyodin has one crossbar, and one width for all its weights"
        "\n  = hint: leave out the widths that have names\n"
        "error[weight-bits]: --weight-bits: tinyodin has the whole range of its bits in each weight"
        "\n  = hint: ask for 2 bits in place of ternary weights"
    )


def test_fewer_bits_are_kept_to() -> None:
    matrix = crossbar(lower(layered(2), CHIP, Options(weight_bits=2), None).network)
    assert set(np.unique(matrix.weights).tolist()) <= {-2, -1, 0, 1}


def test_populations_start_where_the_model_does() -> None:
    graph = layered(2)
    lif1 = graph["lif1"]
    assert isinstance(lif1, Neuron)
    started = Graph({**graph.ops, "lif1": replace(lif1, initial=np.array(-0.5))}, graph.edges)
    population = lower(started, CHIP, Options(4), None).network["lif1"]
    assert isinstance(population, EventPopulation)
    assert (population.initial < 0).all()


def deep(decay: float) -> Graph[Layer]:
    """Twenty layers in which every event makes both neurons fire."""
    ops: dict[str, Layer] = {"x": Input((2,))}
    edges: list[Edge] = []
    before = "x"
    for layer in range(20):
        linear, name = f"fc{layer}", f"lif{layer}"
        ops[linear] = Linear(Dense(np.ones((2, 2), np.float32)), (2,))
        ops[name] = Neuron((2,), np.full((), decay), np.full((), 0.5), True, HardReset())
        edges += [Edge(before, linear), Edge(linear, name)]
        before = name
    return Graph({**ops, "y": Output((2,))}, [*edges, Edge(before, "y")])


@pytest.mark.parametrize("decay", [1.0, 0.5])
def test_what_one_event_starts_may_be_too_much(decay: float) -> None:
    """Without samples it can only be feared; on samples it is seen, at every stage that goes event by event."""
    graph, x = deep(decay), np.ones((2, 3, 2), np.int64)
    compiled = lower(graph, CHIP, Options(weight_bits=4), None).network
    (doubt,) = validate(compiled, CHIP, require_proof=False)
    assert doubt.message == "one event of channel 0 may start more than 65,536 events; the queue holds 128"
    assert "one event may start more than 65536: watch" in emit("deep", compiled, CHIP, 3)["README.md"].decode()
    given, lengths = ideal(graph), np.full(2, 3)
    with pytest.raises(CompileError, match="one event of channel 0 starts more than 65,536 events"):
        stages.by_events(given, rounding.plain(given, LIMITS), np.arange(2), x, lengths, LIMITS)
    with pytest.raises(CompileError, match="one event of channel 0 starts more than 65,536 events"):
        lower(graph, CHIP, Options(weight_bits=4), Data(x.astype(np.float32), lengths))
