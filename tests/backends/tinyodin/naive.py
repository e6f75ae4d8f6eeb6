"""A second model of tinyODIN that evaluates every register in every clock cycle, in plain Python.

It follows SPEC.md statement by statement and shares nothing with `snncc.backends.tinyodin` but the records that go in.
In every cycle each component first shows what it holds, the controller then decides what happens in this cycle, and
last all registers take their next values at once.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection
from dataclasses import dataclass, field

from snncc.backends.tinyodin.config import Config, Events, World

CAPACITY = 128


@dataclass
class Seen:
    """What a trace records (section 9), and some that it does not."""

    in_req: list[int] = field(default_factory=list)
    in_ack: list[int] = field(default_factory=list)
    in_ack_fall: list[int] = field(default_factory=list)
    out_cycle: list[int] = field(default_factory=list)
    out_addr: list[int] = field(default_factory=list)
    pop_cycle: list[int] = field(default_factory=list)
    pop_word: list[int] = field(default_factory=list)
    idle_cycle: list[int] = field(default_factory=list)
    end: str = ""
    end_cycle: int = -1
    v_end: list[int] = field(default_factory=list)
    checkpoints: dict[int, list[int]] = field(default_factory=dict)
    lost: Counter[int] = field(default_factory=Counter)
    first_lost: int = -1
    fullest: int = 0
    waiting: list[int] = field(default_factory=list)


class Delay:
    """A line that shows what was put in `cycles` cycles before, and 0 in negative cycles."""

    def __init__(self, cycles: int) -> None:
        self.stages = deque([0] * cycles)

    @property
    def value(self) -> int:
        return self.stages[0]

    def clock(self, value: int) -> None:
        self.stages.popleft()
        self.stages.append(value)


class Host:
    """Section 7, Host: raises REQ, holds the word, drops REQ, and waits for ACK to fall."""

    def __init__(self, events: Events, world: World) -> None:
        self.words = [int(word) for word in events.words]
        self.not_before = [int(cycle) for cycle in events.not_before]
        self.gap, self.drop = world.gap, world.drop
        self.number = 0  # the event that is or will be requested
        self.request = 0
        self.rise = self.not_before[0] if self.words else None
        self.fall: int | None = None
        self.finished = 0  # events whose ACK is back to 0

    def show(self, cycle: int) -> int:
        """REQ in this cycle; it depends on ACK of earlier cycles only, as g and d are 1 or more."""
        if self.rise == cycle:
            self.request, self.rise = 1, None
        if self.fall == cycle:
            self.request, self.fall = 0, None
        return self.request

    def see(self, cycle: int, ack: int, ack_before: int) -> None:
        """ACK in this cycle."""
        if ack and not ack_before:
            self.fall = cycle + self.drop
        if ack_before and not ack:
            self.number += 1
            self.finished += 1
            if self.number < len(self.words):
                self.rise = max(self.not_before[self.number], cycle + self.gap)


class Output:
    """Section 6, with the receiver of section 7."""

    def __init__(self, delay: int) -> None:
        self.oreq = self.busy = self.oaddr = self.s1 = self.s2 = self.s3 = 0
        self.receiver = Delay(delay)

    def clock(self, trigger: int | None) -> None:
        oack = self.receiver.value
        self.receiver.clock(self.oreq)
        if trigger is not None and self.s2 == 0:
            self.oreq, self.busy, self.oaddr = 1, 1, trigger
        elif self.s2 == 1:
            self.oreq, self.busy = 0, 1
        elif self.s3 == 1:
            self.oreq, self.busy = 0, 0
        self.s1, self.s2, self.s3 = oack, self.s1, self.s2


class Naive:
    """The chip, its host and its receiver."""

    def __init__(self, config: Config, events: Events, world: World) -> None:
        registers, neurons = config.registers, config.neurons
        self.last, self.open_loop, self.source_control = (
            registers.last_neuron,
            registers.open_loop,
            registers.source_control,
        )
        self.threshold, self.leak = neurons.threshold.tolist(), neurons.leak.tolist()
        self.disabled, self.v = neurons.disabled.tolist(), neurons.membrane.tolist()
        self.weights = config.weights.tolist()
        self.host, self.output, self.synchroniser = Host(events, world), Output(world.delay), Delay(2)
        self.events = len(events.words)
        self.fifo: deque[int] = deque()
        self.state, self.phase, self.neuron, self.stop_neuron = "IDLE", "READ", 0, 0
        self.seen, self.count = Seen(), Counter[str]()
        self.ack_before = self.oreq_before = self.idle_before = 0
        # What happens in the present cycle, to take effect at its end.
        self.pushes: list[int] = []
        self.pop, self.trigger = False, None

    def run(self, stop: int | None, checkpoints: Collection[int] = ()) -> Seen:
        """Clock until the run ends."""
        self.idle_before = 1
        cycle = 0
        while not self.cycle(cycle, stop, checkpoints):
            cycle += 1
        self.seen.v_end, self.seen.end_cycle, self.seen.waiting = self.v, cycle, list(self.fifo)
        return self.seen

    def cycle(self, cycle: int, stop: int | None, checkpoints: Collection[int]) -> bool:
        """One clock cycle; whether the run ended in it."""
        seen = self.seen
        number, request_before = self.host.number, self.host.request
        request, ack = self.host.show(cycle), int(self.state == "HANDSHAKE")
        self.host.see(cycle, ack, self.ack_before)
        if request and not request_before:
            seen.in_req.append(cycle)
        if ack and not self.ack_before:
            seen.in_ack.append(cycle)
        if self.ack_before and not ack:
            seen.in_ack_fall.append(cycle)
            if number in checkpoints:
                seen.checkpoints[number] = list(self.v)
        if self.output.oreq and not self.oreq_before:
            seen.out_cycle.append(cycle)
            seen.out_addr.append(self.output.oaddr)
        in_idle = self.state == "IDLE"
        start = self.decide() if in_idle else ""
        idle = int(in_idle and not self.output.busy and not start)
        if idle and not self.idle_before:
            seen.idle_cycle.append(cycle)
        if idle and self.host.finished == self.events:
            seen.end = "idle"
            return True
        if in_idle and stop is not None and cycle >= stop:
            seen.end = "cut"
            return True
        self.ack_before, self.oreq_before, self.idle_before = ack, self.output.oreq, idle
        self.act(cycle, start)
        self.clock(cycle, request)
        return False

    def decide(self) -> str:
        """Section 5, IDLE: what starts in this cycle, '' if nothing."""
        word = "VIRT" if self.fifo and self.fifo[0] >> 8 else "SWEEP"
        if self.output.busy:
            return ""
        if len(self.fifo) == CAPACITY:
            return word
        if self.synchroniser.value:
            event = self.host.words[self.host.number]
            return "LEAK" if event >> 8 & 1 else "PUSH"
        return word if self.fifo else ""

    def act(self, cycle: int, start: str) -> None:
        """Section 5: what the state does in this cycle, and the next state."""
        if self.state == "IDLE":
            self.begin(cycle, start)
        elif self.state == "PUSH":
            event = self.host.words[self.host.number]
            self.pushes.append((event >> 4 & 15) << 8 | event & 15 if event >> 9 & 1 else event & 255)
            self.count["pushes"] += 1
            self.state = "HANDSHAKE"
        elif self.state == "HANDSHAKE":
            self.state = "HANDSHAKE" if self.synchroniser.value else "IDLE"
        elif self.state == "RETIRE":
            if not self.output.busy:
                self.pop, self.state = True, "IDLE"
        elif self.phase == "READ":
            assert not (self.state == "VIRT" and self.output.busy)
            self.phase = "READ" if self.output.busy else "WRITE"
        else:
            self.write(cycle)

    def begin(self, cycle: int, start: str) -> None:
        """The first cycle of what starts is the next one."""
        if not start:
            return
        self.state, self.phase, self.neuron, self.stop_neuron = start, "READ", 0, self.last
        if start in {"LEAK", "PUSH"}:
            self.count["overtaking_leaks" if start == "LEAK" else "overtaking_pushes"] += bool(self.fifo)
        elif len(self.fifo) == CAPACITY:
            self.count["full_priority"] += self.synchroniser.value
            self.count["full_virtual" if start == "VIRT" else "full_sweeps"] += 1
        if start == "LEAK":
            event = self.host.words[self.host.number]
            if event & 255 < 255:
                self.neuron = self.stop_neuron = event & 255
            self.count["leaks_one" if event & 255 < 255 else "leaks_all"] += 1
        if start == "VIRT":
            self.neuron = self.stop_neuron = self.fifo[0] & 255
        if start in {"VIRT", "SWEEP"}:
            self.seen.pop_cycle.append(cycle + 1)
            self.seen.pop_word.append(self.fifo[0])

    def write(self, cycle: int) -> None:
        """A WRITE cycle of LEAK, SWEEP or VIRT."""
        neuron, head = self.neuron, self.fifo[0] if self.fifo else 0
        if self.state == "LEAK":
            spike = self.update(neuron, None)
        elif self.state == "SWEEP":
            spike = self.update(neuron, self.weights[head][neuron])
            self.count["synaptic"] += 1
        else:
            high = head >> 8
            spike = self.update(neuron, high - 16 if high >= 8 else high)
        if spike:
            self.count[f"spikes_{self.state}"] += 1
            if not self.open_loop:
                self.pushes.append(neuron)
            if not self.source_control:
                self.trigger = neuron
        last = neuron == self.stop_neuron
        if last and self.state == "SWEEP" and self.source_control:
            self.trigger = head
        if self.state == "VIRT":
            self.pop = True
        if self.pushes and len(self.fifo) == CAPACITY:
            self.count[f"lost_{self.state}"] += 1
        self.phase, self.neuron = "READ", neuron + 1
        if last:
            self.state = {"LEAK": "HANDSHAKE", "SWEEP": "RETIRE", "VIRT": "IDLE"}[self.state]

    def update(self, neuron: int, weight: int | None) -> bool:
        """Section 2; `weight` None is a leak update."""
        v, leak = self.v[neuron], self.leak[neuron]
        if weight is not None:
            u = min(max(v + weight, -2048), 2047)
        else:
            u = max(0, v - leak) if v >= 0 else min(0, v + leak)
        cross = u >= 0 and u >= self.threshold[neuron]
        self.v[neuron] = 0 if cross else u
        self.count["silent"] += cross and self.disabled[neuron]
        return cross and not self.disabled[neuron]

    def clock(self, cycle: int, request: int) -> None:
        """The rising edge at the end of the cycle."""
        full = len(self.fifo) == CAPACITY
        assert len(self.pushes) <= 1, "there is at most one push per cycle"
        if self.pop:
            self.fifo.popleft()
        for word in self.pushes:
            if full:
                self.seen.lost[word] += 1
                self.seen.first_lost = cycle if self.seen.first_lost < 0 else self.seen.first_lost
            else:
                self.fifo.append(word)
        self.seen.fullest = max(self.seen.fullest, len(self.fifo))
        self.output.clock(self.trigger)
        self.synchroniser.clock(request)
        self.pushes, self.pop, self.trigger = [], False, None
