"""A second, naive chip of many cores, written from targets/README.md alone: it steps every component in every cycle.

It shares with `snncc.backends.chip` only what goes in: network, chip and placement. The neurons' arithmetic is that of
the scalar interpreter in `tests/reference`; what travels between cores travels in packets.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from snncc.chip import Chip
from snncc.integers import Network, Population, Source, Synapse
from snncc.mapping import HOST, Placement
from tests.backends.chip.naive_layout import Block, Sender, layout_of
from tests.backends.chip.naive_learning import Unit, cycles
from tests.backends.chip.naive_mesh import EAST, FIRST_CORE, WEST, Done, Mesh, cycles_of
from tests.backends.chip.naive_parts import Packet, Work
from tests.reference.interpreter import sequence, wires_of
from tests.reference.learner import Learner
from tests.reference.neuron import Neuron

Delivery = tuple[int, int, int]  # the cycle within the step, the core, the axon
Times = tuple[int, int]  # of a delivery: when its packet was put into its first buffer, and until when the unit is busy
Rows = list[list[int]]


@dataclass(eq=False)
class Seen:
    """One sample: by model step the spikes and membranes (after the reset), by chip step everything else.

    `sent` are the values of the input and of all populations.
    `events` are counted by core or HOST (those of routers by tile), as the energies of a chip's file are named.
    """

    spikes: dict[str, Rows] = field(default_factory=dict)
    membranes: dict[str, Rows] = field(default_factory=dict)
    sent: list[dict[str, list[int]]] = field(default_factory=list)
    deliveries: list[list[Delivery]] = field(default_factory=list)
    times: list[list[Times]] = field(default_factory=list)
    cycles: list[int] = field(default_factory=list)
    events: list[Counter[tuple[str, int]]] = field(default_factory=list)
    steps: list[Done] = field(default_factory=list)

    def counts(self) -> Counter[str]:
        """The events of the whole sample."""
        counts: Counter[str] = Counter()
        for events in self.events:
            for (name, _), count in events.items():
                counts[name] += count
        return counts

    def of(self, name: str, places: int) -> list[int]:
        """How often something happened in the whole sample, by place, the host being one more at the end."""
        return [sum(events[name, place] for events in self.events) for place in (*range(places), HOST)]

    def hardship(self) -> Counter[str]:
        """How often packets were in each other's way."""
        return sum((step.hardship for step in self.steps), Counter())


class NaiveChip:
    """A network on a chip. It is at rest again whenever a sample begins."""

    def __init__(self, network: Network, chip: Chip, placement: Placement) -> None:
        assert chip.timing
        assert chip.mesh
        self.network, self.chip, self.timing = network, chip, chip.timing
        self.layout = layout_of(network, chip, placement)
        self.populations = network.of_kind(Population)
        self.neurons = {name: [Neuron(op, at) for at in range(op.size)] for name, op in self.populations.items()}
        self.order, self.wires = sequence(network), wires_of(network)
        self.last_start = max((op.start for op in self.populations.values()), default=0)
        self.units = {
            name: Unit(Learner(op.plasticity, _stored(op)), placement.cores[self.target(name)].tolist(), op, chip)
            for name, op in network.of_kind(Synapse).items()
            if op.plasticity
        }
        self.placement, self.taught = placement, 0
        self.tiles = len({core // chip.mesh.cores for core, own in enumerate(self.layout.neurons) if own})

    def target(self, group: str) -> str:
        return self.network.outgoing(group)[0].target

    def run(self, frames: Sequence[Sequence[int]], rewards: Sequence[int] = ()) -> Seen:
        """A sample that has as many steps of its own as it has frames."""
        self.rewards = rewards
        self.values: dict[str, list[int]] = {}
        for unit in self.units.values():
            unit.learner.start()
        self.boxes: dict[tuple[str, int], list[int]] = {}  # what neurons get in a later step
        self.seen = Seen({name: [] for name in self.populations}, {name: [] for name in self.populations})
        for neurons in self.neurons.values():
            for neuron in neurons:
                neuron.start()
        for now in range(len(frames) + self.last_start):
            self.step(now, frames)
        self.taught += len(frames)
        for unit in self.units.values():
            unit.learner.finish(self.taught)
        for neurons in self.neurons.values():
            for neuron in neurons:
                neuron.finish()
        return self.seen

    def step(self, now: int, frames: Sequence[Sequence[int]]) -> None:
        """All neurons first: what they send in this step arrives in a later one, whenever in this step it does."""
        self.before = self.values
        self.now, self.open, self.values = now, set[str](), dict[str, list[int]]()
        self.seen.sent.append(self.values)
        self.seen.deliveries.append([])
        self.seen.times.append([])
        self.seen.events.append(Counter())
        for name in self.order:
            if name in self.populations:
                self.update(name, now, len(frames))
            elif isinstance(self.network[name], Source):
                self.values[name] = list(frames[now]) if now < len(frames) else []
            if name in self.layout.host or isinstance(self.network[name], Source):
                self.tell_the_host(name)
        learning = self.learn(now, len(frames))
        programmes = [self.neuron_programme(core, own) for core, own in enumerate(self.layout.neurons)]
        done = Mesh(self.chip, programmes, self.host_programme(), self.deliver).run()
        for _, tile, port in done.moves:
            if port < FIRST_CORE:
                self.events["hop_horizontal" if port in (EAST, WEST) else "hop_vertical", tile] += 1
        self.seen.cycles.append(learning + done.end + self.barrier())
        self.seen.steps.append(done)

    @property
    def events(self) -> Counter[tuple[str, int]]:
        return self.seen.events[-1]

    def update(self, name: str, now: int, length: int) -> None:
        """The neurons of a population, if its window is open."""
        op, neurons = self.populations[name], self.neurons[name]
        inputs = self.boxes.pop((name, now), [0] * op.size)
        if op.start <= now < op.start + length:
            self.open.add(name)
            for neuron, acc in zip(neurons, inputs, strict=True):
                neuron.step(acc)
            self.seen.spikes[name].append([neuron.s for neuron in neurons])
            self.seen.membranes[name].append([neuron.v for neuron in neurons])
        else:
            for neuron in neurons:
                neuron.sleep()
        self.values[name] = [neuron.s for neuron in neurons]

    def learn(self, now: int, length: int) -> int:
        """The learning phase of a step; returns its cycles."""
        if self.chip.learning is None:
            return 0
        events: Counter[tuple[str, int]] = Counter()
        for name, unit in self.units.items():
            target, source = self.target(name), self.network.incoming(name)[0].source
            step = now - self.populations[target].start
            if 0 <= step < length:
                x = self.before.get(source) or [0] * len(unit.learner.weights[0])
                reward = self.rewards[step] if len(self.rewards) else 0
                events += unit.step(x, self.values[target], self.taught + step, reward, step == length - 1)
        for name, op in self.populations.items():
            if op.adapt and op.adapt.learnt and now - op.start == length - 1 and op.adapt.decay.amount.any():
                for neuron, core in zip(self.neurons[name], self.placement.cores[name].tolist(), strict=True):
                    events["trace", core] += neuron.a != 0 and core != HOST
        for (name, core), count in events.items():
            self.events[f"learning {name}", core] += count
        return cycles(self.chip, events)

    def tell_the_host(self, name: str) -> None:
        """What the populations of the host get from the input and from each other needs no packets."""
        for wires, value in zip(self.wires[name], self.values[name], strict=False):
            for wire in wires:
                if wire.population in self.layout.host:
                    self.add(wire.population, wire.index, self.now + wire.delay, wire.weight * value)

    def add(self, population: str, index: int, step: int, value: int) -> None:
        box = self.boxes.setdefault((population, step), [0] * self.populations[population].size)
        box[index] += value

    def neuron_programme(self, core: int, own: list[Sender]) -> Iterator[Work]:
        """What the neuron unit of a core has to do in this step."""
        for name, index in own:
            if name in self.open:
                self.events["neuron", core] += 1
                yield Work(cycles_of(self.timing, "neuron"))
                if self.values[name][index]:
                    self.events["spike", core] += 1
                    yield Work(cycles_of(self.timing, "spike"))
                    yield from self.packets((name, index), core, "packet")

    def host_programme(self) -> Iterator[Work]:
        """What the host's port has to send in this step."""
        inputs = [name for name, op in self.network.ops.items() if isinstance(op, Source)]
        for name in (*inputs, *self.layout.host):
            for index, value in enumerate(self.values[name]):
                if value:
                    yield from self.packets((name, index), HOST, "host")

    def packets(self, sender: Sender, place: int, cost: str) -> Iterator[Work]:
        for axon in self.layout.routes[sender]:
            self.events["packet", place] += 1
            yield Work(cycles_of(self.timing, cost), Packet(axon, self.values[sender[0]][sender[1]]))

    def deliver(self, cycle: int, packet: Packet) -> int:
        """A synapse unit takes a packet; returns for how long it is busy then."""
        self.events["delivery", packet.axon.core] += 1
        busy = cycles_of(self.timing, "axon")
        for block in packet.axon.blocks:
            busy += block.words * cycles_of(self.timing, "word")
            busy += block.synapses * cycles_of(self.timing, f"synapse_{block.form}")
            self.events[f"synapse_{block.form}", packet.axon.core] += block.synapses
            for touch in block.touches:
                weight = self.weight(block, touch.index) if block.group in self.units else touch.weight
                self.add(touch.population, touch.index, self.now + touch.delay, weight * packet.value)
        self.seen.deliveries[-1].append((cycle, packet.axon.core, packet.axon.number))
        self.seen.times[-1].append((packet.put, cycle + busy))
        return busy

    def weight(self, block: Block, target: int) -> int:
        """What a synapse that learns adds, as it is now."""
        unit = self.units[block.group]
        return unit.learner.visible(target, block.sender) * 2**unit.synapse.exponent

    def barrier(self) -> int:
        """The cycles that end a step."""
        cycles = 0
        for tiles, own in self.timing.barrier:
            if tiles <= self.tiles:
                cycles = own
        return cycles


def _stored(op: Synapse) -> list[list[int]]:
    """The weights of a group before it learns, as they are stored."""
    assert op.plasticity
    return [[int(weight) * 2**op.plasticity.guard for weight in row] for row in op.map.weight]
