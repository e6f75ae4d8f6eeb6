"""The naive chip on examples that were worked out by hand from targets/README.md, with every cycle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from snncc import chip as chips
from snncc.chip import Chip, Core, Figure, Mesh, Packing, Timing
from snncc.graph import Edge, Graph
from snncc.integers import Decay, Fire, HardReset, IntOp, Membrane, Network, Population, Register, Source, Synapse
from snncc.linear import Conv, Dense, LinearMap, Sparse
from snncc.mapping import HOST, frozen_cores
from tests.backends.chip.naive import NaiveChip, Seen
from tests.backends.chip.naive_layout import layout_of

CYCLES = {
    **dict.fromkeys(("clock_ns", "packet", "host", "axon", "link"), 1),
    **dict.fromkeys(("hop_horizontal", "hop_vertical", "hop_local"), 1),
    **dict.fromkeys(("neuron", "spike", "word", "synapse_dense", "synapse_sparse", "synapse_shared"), 0),
    **dict.fromkeys(("buffer", "queue"), 9),
}


def chip(
    columns: int = 1,
    rows: int = 1,
    cores: int = 1,
    at: tuple[int, int] = (0, 0),
    barrier: tuple[tuple[int, int], ...] = ((99, 0),),
    **cycles: int,
) -> Chip:
    """A chip whose cycles are those of CYCLES unless said otherwise; words of 8 bits, headers of 8, indices of 4."""
    plenty = Figure(1 << 20, assumed=True)
    figures: dict[str, Any] = {name: Figure(value, assumed=True) for name, value in {**CYCLES, **cycles}.items()}
    return replace(
        chips.load("host"),
        mesh=Mesh(columns, rows, cores, at),
        core=Core(plenty, plenty, plenty, plenty),
        packing=Packing(8, Figure(8, assumed=True), Figure(4, assumed=True), Figure(1, assumed=True)),
        timing=Timing(**figures, barrier=barrier),
    )


def neurons(size: int, bias: int = 0, start: int = 0, threshold: int = 1) -> Population:
    """Fire whenever bias and input of a step reach the threshold, and forget everything in every step."""
    return Population(
        (size,),
        Membrane(Decay(np.array(1), 0, "floor"), Register(-999, 999), np.array(bias)),
        Fire(np.array(threshold), inclusive=True),
        HardReset(),
        start=start,
    )


def network(ops: Mapping[str, IntOp], *links: tuple[str, str, LinearMap, int]) -> Network:
    """Ops and synapses between them: (from, to, map, delay)."""
    synapses = {f"{source}-{target}": Synapse(linear) for source, target, linear, _ in links}
    edges = [Edge(source, f"{source}-{target}", delay) for source, target, _, delay in links]
    edges += [Edge(f"{source}-{target}", target) for source, target, _, _ in links]
    return Graph({**ops, **synapses}, edges)


def ones(targets: int, sources: int) -> Dense:
    return Dense(np.ones((targets, sources), np.int8))


def run(net: Network, on: Chip, cores: Mapping[str, Sequence[int]], *frames: Sequence[int]) -> Seen:
    placement = frozen_cores({name: np.array(each, np.int32) for name, each in cores.items()})
    return NaiveChip(net, on, placement).run(frames)


def test_a_value_of_the_input_wakes_a_neuron_in_the_next_step() -> None:
    """The host puts at 5, ripe at 8, to the queue at 8, ripe at 11; busy for 7 + 2 words + 1 synapse, until 23."""
    on = chip(neuron=3, spike=2, packet=4, host=5, axon=7, word=2, synapse_dense=1, hop_local=3, barrier=((1, 100),))
    seen = run(network({"x": Source((1,)), "a": neurons(1)}, ("x", "a", ones(1, 1), 1)), on, {"a": [0]}, [1], [0])
    assert seen.deliveries == [[(11, 0, 0)], []]
    assert seen.cycles == [123, 105]  # the neuron fires in the second step: 3 + 2, though nothing listens
    assert seen.spikes == {"a": [[0], [1]]}
    assert seen.counts() == {"neuron": 2, "packet": 1, "delivery": 1, "synapse_dense": 1, "spike": 1}


def test_packets_wait_where_there_is_no_room() -> None:
    """With one place in the buffer and in the queue, each waits for the one before it to be done."""
    on = chip(axon=10, buffer=1, queue=1)
    net = network({"x": Source((4,)), "a": neurons(1)}, ("x", "a", ones(1, 4), 1))
    seen = run(net, on, {"a": [0]}, [1, 1, 1, 1])
    assert seen.deliveries == [[(3, 0, 0), (13, 0, 1), (23, 0, 2), (33, 0, 3)]]
    assert seen.cycles == [43]
    (step,) = seen.steps
    assert step.stalled == [0, 1 + 1 + 9]  # put at 1, 3, 5 and 15
    assert step.peaks[0, 5] == 1
    assert step.queue_peaks == [1]


def test_packets_go_to_their_column_first() -> None:
    """From the host at 1, ripe at 3; east, ripe at 7; south, ripe at 13; to the queue, ripe at 15."""
    on = chip(2, 2, hop_horizontal=4, hop_vertical=6, hop_local=2)
    seen = run(network({"x": Source((1,)), "a": neurons(1)}, ("x", "a", ones(1, 1), 1)), on, {"a": [3]}, [1])
    assert seen.deliveries == [[(15, 3, 0)]]
    assert seen.cycles == [16]
    assert seen.steps[0].moves == [(3, 0, 1), (7, 1, 2), (13, 3, 4)]  # cycle, tile, port
    assert seen.times == [[(1, 16)]]
    assert seen.counts()["hop_horizontal"] == seen.counts()["hop_vertical"] == 1


def test_packets_go_west_and_north_too() -> None:
    on = chip(2, 2, at=(1, 1))
    seen = run(network({"x": Source((1,)), "a": neurons(1)}, ("x", "a", ones(1, 1), 1)), on, {"a": [0]}, [1])
    assert seen.deliveries == [[(5, 0, 0)]]
    assert seen.steps[0].moves == [(2, 3, 3), (3, 2, 0), (4, 0, 4)]


def three_cores() -> Network:
    """Two neurons on each of two cores always fire; both cores' packets go to a third one."""
    ops = {"x": Source((1,)), "a": neurons(2, bias=1), "b": neurons(2, bias=1), "c": neurons(1)}
    return network(ops, ("a", "c", ones(1, 2), 1), ("b", "c", ones(1, 2), 1))


def test_ports_take_turns() -> None:
    seen = run(three_cores(), chip(cores=3), {"a": [0, 0], "b": [1, 1], "c": [2]}, [0])
    assert seen.deliveries == [[(3, 2, 0), (4, 2, 2), (5, 2, 1), (6, 2, 3)]]


def test_turns_are_kept_while_the_link_is_busy() -> None:
    seen = run(three_cores(), chip(cores=3, link=2), {"a": [0, 0], "b": [1, 1], "c": [2]}, [0])
    assert seen.deliveries == [[(3, 2, 0), (5, 2, 2), (7, 2, 1), (9, 2, 3)]]


def test_turns_begin_anew_with_every_step() -> None:
    """After an odd number of packets the pointer is past the first port; the next step does not know of it."""
    ops = {"x": Source((1,)), "a": neurons(1, bias=1), "b": neurons(2, bias=1), "c": neurons(1)}
    net = network(ops, ("a", "c", ones(1, 1), 1), ("b", "c", ones(1, 2), 1))
    seen = run(net, chip(cores=3), {"a": [0], "b": [1, 1], "c": [2]}, [0], [0])
    assert seen.deliveries == [[(3, 2, 0), (4, 2, 1), (5, 2, 2)]] * 2


def test_a_core_sends_to_itself_through_its_router() -> None:
    """Both packets of a neuron leave one after the other, its own core's first; silent neurons go on counting."""
    ops = {"x": Source((1,)), "a": neurons(3, bias=1), "b": neurons(2)}
    recurrent = Sparse(np.array([0, 2, 2, 2]), np.array([0, 2]), np.array([-1, -1], np.int8), 3)
    away = Sparse(np.array([0, 1, 1, 1]), np.array([1]), np.array([1], np.int8), 2)
    net = network(ops, ("a", "a", recurrent, 1), ("a", "b", away, 2))
    seen = run(net, chip(cores=2, neuron=4, spike=1, packet=2), {"a": [0, 0, 0], "b": [1, 1]}, [0], [0], [0])
    # T: neuron 0 fires at 5, puts at 7 and 9; the others fire at 14 and 19, or stay silent
    assert seen.deliveries == [[(9, 0, 0), (11, 1, 0)], [], [(9, 0, 0), (11, 1, 0)]]
    assert seen.spikes["a"] == [[1, 1, 1], [0, 1, 0], [1, 1, 1]]
    assert seen.spikes["b"] == [[0, 0], [0, 0], [0, 1]]
    assert seen.cycles == [19, 13, 19]


def test_the_host_computes_populations_in_no_time() -> None:
    """Its populations hear the input in the same step; they send after it, and only what is not 0."""
    ops = {"h": neurons(3), "x": Source((2,)), "a": neurons(2, threshold=2)}
    first = Dense(np.array([[1, 0], [0, 0], [0, 1]], np.int8))
    net = network(ops, ("x", "h", first, 0), ("h", "a", ones(2, 3), 1), ("x", "a", ones(2, 2), 1))
    seen = run(net, chip(host=3), {"h": [HOST] * 3, "a": [0, 0]}, [0, 1], [0, 0])
    # x[1] is put at 3 and h[2] at 6; the axons are numbered h first, as the network has it first
    assert seen.deliveries == [[(5, 0, 4), (8, 0, 2)], []]
    assert seen.spikes == {"h": [[0, 0, 1], [0, 0, 0]], "a": [[0, 0], [1, 1]]}
    assert seen.counts()["neuron"] == 4
    assert seen.counts()["spike"] == 2


def test_windows_open_and_close() -> None:
    """Two steps of a sample on a network whose second population starts two steps later: four steps of the chip."""
    ops = {"x": Source((1,)), "a": neurons(1, bias=1), "b": neurons(1, start=2)}
    net = network(ops, ("x", "a", ones(1, 1), 1), ("a", "b", ones(1, 1), 2))
    seen = run(net, chip(2, neuron=10, barrier=((0, 0), (2, 5), (3, 500))), {"a": [0], "b": [1]}, [0], [1])
    assert seen.cycles == [20, 20, 15, 15]  # put at 11, ripe at 12, 13 and 14, done at 15; then only the neuron of b
    assert seen.spikes == {"a": [[1], [1]], "b": [[1], [1]]}
    assert [sum(events["neuron", core] for core in range(2)) for events in seen.events] == [1, 1, 1, 1]
    assert [events["delivery", 1] for events in seen.events] == [1, 1, 0, 0]


def test_blocks_take_the_form_of_fewer_bits() -> None:
    """Of weights up to 3, 3 bits wide: dense 8 + 3 s, sparse 8 + 7 n, where s leaves out the neurons of other cores."""
    weight = np.zeros((6, 4), np.int8)
    weight[[0, 2], 0] = 3  # on core 0 next to each other: dense, 8 + 6 bits
    weight[[0, 5], 1] = -1  # 0 and 5 on core 0: s = 4, dense, 8 + 12 bits against 8 + 14
    weight[5, 2] = 1  # sparse would be 8 + 7 bits, dense 8 + 3
    weight[[1, 3], 3] = 2  # on core 1
    net = network({"x": Source((4,)), "a": neurons(6)}, ("x", "a", Dense(weight), 1))
    layout = layout_of(net, chip(cores=2), frozen_cores({"a": np.array([0, 1, 0, 1, 0, 0], np.int32)}))
    found = {
        (index, axon.core, axon.number): [(block.form, block.words, block.synapses) for block in axon.blocks]
        for (name, index), axons in layout.routes.items()
        if name == "x"
        for axon in axons
    }
    assert found == {
        (0, 0, 0): [("dense", 2, 2)],
        (1, 0, 1): [("dense", 3, 4)],
        (2, 0, 2): [("dense", 2, 1)],
        (3, 1, 0): [("dense", 2, 2)],
    }


def test_few_synapses_far_apart_are_sparse() -> None:
    """Two of seven neurons: 8 + 2 * 7 bits, not 8 + 7 * 3; three of seven: equal, so dense."""
    weight = np.zeros((7, 2), np.int8)
    weight[[0, 6], 0] = 3
    weight[[0, 3, 6], 1] = 3
    net = network({"x": Source((2,)), "a": neurons(7)}, ("x", "a", Dense(weight), 1))
    layout = layout_of(net, chip(), frozen_cores({"a": np.zeros(7, np.int32)}))
    blocks = [layout.routes["x", index][0].blocks[0] for index in range(2)]
    assert [(block.form, block.words, block.synapses) for block in blocks] == [("sparse", 3, 2), ("dense", 4, 7)]


def test_a_convolution_reads_its_kernel_only() -> None:
    """Of a kernel of 3 numbers, 5 bits wide as one of them is 8, the middle value reads 3 synapses, the first 2."""
    conv = Conv(np.array([[[[8, 1, -1]]]], np.int8), (1, 1, 4), padding=(0, 1, 0, 1))
    net = network({"x": Source((1, 1, 4)), "a": neurons(4)}, ("x", "a", conv, 1))
    place = frozen_cores({"a": np.zeros(4, np.int32)})
    blocks = [layout_of(net, chip(), place).routes["x", index][0].blocks[0] for index in range(2)]
    assert [(block.form, block.words, block.synapses) for block in blocks] == [("shared", 2, 2), ("shared", 2, 3)]
    plain = replace(chip(), capabilities=tuple(each for each in chip().capabilities if each != "convolution"))
    blocks = [layout_of(net, plain, place).routes["x", index][0].blocks[0] for index in range(2)]
    assert [(block.form, block.words, block.synapses) for block in blocks] == [("dense", 3, 2), ("dense", 3, 3)]


def test_values_arrive_after_their_own_delays() -> None:
    """One packet serves both groups: one adds in the next step, the other, with an axon delay, three steps later."""
    ops: dict[str, IntOp] = {"x": Source((1,), 4), "a": neurons(1, threshold=5), "b": neurons(1, threshold=5)}
    net = network(ops, ("x", "a", ones(1, 1), 1), ("x", "b", ones(1, 1), 1))
    late = replace(net["x-b"], axon_delays=np.array([2]), exponent=1)
    net = Graph({**net.ops, "x-b": late}, net.edges)
    seen = run(net, chip(), {"a": [0], "b": [0]}, [5], [0], [0], [0])
    assert seen.spikes == {"a": [[0], [1], [0], [0]], "b": [[0], [0], [0], [1]]}
    assert [len(each) for each in seen.deliveries] == [1, 0, 0, 0]
