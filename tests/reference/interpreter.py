"""Runs an integer network neuron by neuron and spike by spike, in plain Python integers, to check `semantics.run`.

Written from DESIGN section 3 and the docstrings of `integers`, not from `semantics`: spikes are *pushed* along single
synapses into the boxes of a later step, a neuron is an object, and nothing is vectorised or shared between samples.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from snncc.integers import Learnt, Network, Output, Population, Source, Synapse
from snncc.runner import Trace
from tests.reference.learner import Learner
from tests.reference.neuron import Neuron
from tests.reference.synapses import targets_of


@dataclass(frozen=True)
class Wire:
    """One synapse: the neuron it leads to, what a spike adds there, and how many steps later."""

    population: str
    index: int
    weight: int
    delay: int


@dataclass(eq=False)
class Machine:
    """A network at work: neurons, wires, and a box per neuron and step, in which its input of that step piles up."""

    network: Network
    neurons: dict[str, list[Neuron]] = field(init=False)
    wires: dict[str, list[list[Wire]]] = field(init=False)
    boxes: dict[tuple[str, int], list[int]] = field(default_factory=dict)
    past: dict[tuple[str, int], list[int]] = field(default_factory=dict)

    learners: dict[str, Learner] = field(init=False)
    heard: dict[str, list[int]] = field(default_factory=dict)
    taught: int = 0  # steps of all samples before this one
    length: int = 0

    def __post_init__(self) -> None:
        populations = self.network.of_kind(Population)
        self.neurons = {name: [Neuron(op, index) for index in range(op.size)] for name, op in populations.items()}
        self.wires = wires_of(self.network)
        self.sequence = sequence(self.network)
        self.learners = {
            name: Learner(rule, [[int(w) * 2**rule.guard for w in row] for row in op.map.weight])
            for name, op in self.network.of_kind(Synapse).items()
            if (rule := op.plasticity)
        }

    def start(self) -> None:
        """A new sample: all neurons at rest, all boxes empty."""
        self.boxes, self.past = {}, {}
        for neurons in self.neurons.values():
            for neuron in neurons:
                neuron.start()
        for learner in self.learners.values():
            learner.start()

    def remembered(self) -> Iterator[tuple[str, int, list[int]]]:
        """Every trace: its name, the last step of the model in which its synapses learnt, and its values."""
        for name, learner in self.learners.items():
            for end, side in (("sources", learner.pre), ("targets", learner.post)):
                for number, values in enumerate(side.values, 1):
                    yield f"{name}, trace {number} of its {end}", learner.now - 1, values

    def finish(self, length: int) -> None:
        """The end of a sample of so many steps."""
        self.taught += length
        for learner in self.learners.values():
            learner.finish(self.taught)
        for neurons in self.neurons.values():
            for neuron in neurons:
                neuron.finish()

    def step(self, now: int, frames: Sequence[Sequence[int]], reward: Sequence[int] = ()) -> None:
        """One step, for a sample that has as many steps of its own as it has frames."""
        for name in self.sequence:
            op = self.network[name]
            if isinstance(op, Source) and now < len(frames):
                self.send(name, now, frames[now])
            elif isinstance(op, Population):
                neurons = self.neurons[name]
                inputs = self.boxes.pop((name, now), [0] * op.size)
                self.listen(name, now, inputs)
                for neuron, acc in zip(neurons, inputs, strict=True):
                    if op.start <= now < op.start + len(frames):
                        neuron.step(acc)
                    else:
                        neuron.sleep()
                self.send(name, now, [neuron.s for neuron in neurons])
                if op.start <= now < op.start + len(frames):
                    self.learn(name, now - op.start, reward[now - op.start] if len(reward) else 0)

    def plastic(self, name: str) -> list[str]:
        return [edge.source for edge in self.network.incoming(name) if edge.source in self.learners]

    def listen(self, name: str, now: int, inputs: list[int]) -> None:
        """What plastic synapses add, by the weights of this very step."""
        for synapse in self.plastic(name):
            (into,) = self.network.incoming(synapse)
            op, learner = self.network[synapse], self.learners[synapse]
            assert isinstance(op, Synapse)
            sources = len(learner.weights[0])
            self.heard[synapse] = self.past.get((into.source, now - into.delay), [0] * sources)
            for source, value in enumerate(self.heard[synapse]):
                for target in range(len(learner.weights) if value else 0):
                    inputs[target] += learner.visible(target, source) * value * 2**op.exponent

    def learn(self, name: str, now: int, reward: int) -> None:
        for synapse in self.plastic(name):
            spikes = [neuron.s for neuron in self.neurons[name]]
            self.learners[synapse].step(self.heard[synapse], spikes, self.taught + now, reward)

    def send(self, name: str, now: int, values: Sequence[int]) -> None:
        self.past[name, now] = [int(value) for value in values]
        for wires, value in zip(self.wires[name], values, strict=True):
            if value:
                for wire in wires:
                    place = wire.population, now + wire.delay
                    if place not in self.boxes:
                        self.boxes[place] = [0] * len(self.neurons[wire.population])
                    self.boxes[place][wire.index] += wire.weight * value


def sequence(network: Network) -> list[str]:
    """The ops such that whatever arrives within the same step was sent before."""
    done: list[str] = []
    while len(done) < len(network.ops):
        ready = [
            name
            for name in network.ops
            if name not in done and all(edge.delay > 0 or edge.source in done for edge in network.incoming(name))
        ]
        assert ready, "a cycle without a delay"
        done += ready
    return done


def wires_of(network: Network) -> dict[str, list[list[Wire]]]:
    """The wires that start at each neuron of each source and population."""
    result: dict[str, list[list[Wire]]] = {
        name: [[] for _ in range(int(np.prod(op.shape, dtype=int)))]
        for name, op in network.ops.items()
        if isinstance(op, (Source, Population))
    }
    for name, synapse in network.of_kind(Synapse).items():
        if synapse.plasticity:
            continue  # its weights change: the target reads them itself
        (into,) = network.incoming(name)
        for out in network.outgoing(name):
            assert into.gain == out.gain == 1.0, "gains are for floats"
            assert out.delay == 0, "the edge into a synapse carries its delay"
            for index, wires in enumerate(result[into.source]):
                own = 0 if synapse.axon_delays is None else int(synapse.axon_delays[index])
                for target, weight in targets_of(synapse.map, index):
                    wires.append(Wire(out.target, target, weight * 2**synapse.exponent, into.delay + own))
    return result


def interpret(
    network: Network,
    x: np.ndarray,
    lengths: np.ndarray,
    record: Collection[str],
    reward: np.ndarray | None = None,
) -> Trace:
    """What `semantics.run` gives for x (samples, steps, ...)."""
    steps, own = x.shape[1], [int(each) for each in lengths]
    populations, machine = network.of_kind(Population), Machine(network)
    readers = {name: network.incoming(name)[0].source for name in network.of_kind(Output)}
    outputs = {name: np.zeros((len(x), steps, populations[of].size), np.int64) for name, of in readers.items()}
    spikes, membranes = (
        {name: np.zeros((len(x), steps, populations[name].size), np.int64) for name in record} for _ in range(2)
    )
    last = max(op.start for op in populations.values())
    traces = {name: np.zeros((len(x), steps, len(values)), np.int64) for name, _, values in machine.remembered()}
    for sample, length in enumerate(own):
        frames = [[int(value) for value in x[sample, step].reshape(-1)] for step in range(length)]
        machine.start()
        for now in range(steps + last):
            machine.step(now, frames, () if reward is None else [int(each) for each in reward[sample]])
            for name, of in readers.items():
                op = network[name]
                assert isinstance(op, Output)
                if 0 <= now - op.latency < length:
                    outputs[name][sample, now - op.latency] = [shown(op, neuron) for neuron in machine.neurons[of]]
            for name in record:
                step = now - populations[name].start
                if 0 <= step < length:
                    spikes[name][sample, step] = [neuron.s for neuron in machine.neurons[name]]
                    membranes[name][sample, step] = [neuron.v for neuron in machine.neurons[name]]
            for name, step, values in machine.remembered():
                if step >= 0:
                    traces[name][sample, step] = values
        machine.finish(length)
    weights = {name: np.array(each.weights) for name, each in machine.learners.items()}
    kept = {
        name: np.array([neuron.a for neuron in machine.neurons[name]]).reshape(op.shape)
        for name, op in populations.items()
        if op.adapt and op.adapt.learnt
    }
    learnt = Learnt(machine.taught, weights, kept) if weights or kept else None
    return Trace(outputs, spikes, membranes, learnt, traces)


def shown(output: Output, neuron: Neuron) -> int:
    """What an output takes from a neuron in a step."""
    if output.value == "spikes":
        return neuron.s
    return neuron.before if output.when == "before" else neuron.v
