"""The components of a chip of many cores, by targets/README.md: in every cycle all of them decide, and then all commit.

A decision depends only on what was the case at the start of the cycle. What it does to a buffer waits in that buffer
until the buffer commits.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests.backends.chip.naive_layout import Axon


@dataclass(eq=False)
class Part:
    """A component. `hardship` counts what shows that packets are in each other's way."""

    hardship: Counter[str]

    def decide(self, cycle: int) -> None:
        raise NotImplementedError

    def commit(self, cycle: int) -> None:
        raise NotImplementedError

    def finished(self, cycle: int) -> bool:
        """Whether it has nothing under way at the start of the cycle."""
        raise NotImplementedError


@dataclass(eq=False)
class Packet:
    """One value on its way to one axon of one core, and the cycle in which it was put into its first buffer."""

    axon: Axon
    value: int
    put: int = -1


@dataclass(eq=False)
class Buffer(Part):
    """A queue of packets, each with the cycle from which it is ripe. `peak` is the most that a cycle began with."""

    capacity: int
    waiting: deque[tuple[Packet, int]] = field(default_factory=deque)
    arriving: tuple[Packet, int] | None = None
    leaves: bool = False
    peak: int = 0

    def first(self, cycle: int) -> Packet | None:
        """The packet that can move in this cycle."""
        if self.waiting and self.waiting[0][1] <= cycle:
            return self.waiting[0][0]
        return None

    def room(self) -> bool:
        return len(self.waiting) < self.capacity

    def put(self, packet: Packet, ripe: int) -> None:
        assert self.arriving is None, "two packets enter a buffer in one cycle"
        assert self.room(), "a packet enters a full buffer"
        self.arriving = packet, ripe

    def take(self) -> None:
        assert not self.leaves, "two packets leave a buffer in one cycle"
        self.leaves = True

    def decide(self, cycle: int) -> None:
        self.peak = max(self.peak, len(self.waiting))

    def commit(self, cycle: int) -> None:
        if self.leaves:
            self.waiting.popleft()
        if self.arriving:
            self.waiting.append(self.arriving)
        self.leaves, self.arriving = False, None

    def finished(self, cycle: int) -> bool:
        return not self.waiting


@dataclass(frozen=True)
class Work:
    """A line of a unit's programme: T grows by so many cycles, then the packet, if there is one, must go."""

    cycles: int
    packet: Packet | None = None


@dataclass(eq=False)
class Unit(Part):
    """A neuron unit or the host's port: its clock T, and the programme that it works through."""

    programme: Iterator[Work]
    port: Buffer
    hop: int
    clock: int = 0
    packet: Packet | None = None
    sends: bool = False
    done: bool = False
    worked: int = 0
    stalled: int = 0

    def decide(self, cycle: int) -> None:
        while self.packet is None and not self.done:
            work = next(self.programme, None)
            if work is None:
                self.done = True
            else:
                self.clock, self.packet = self.clock + work.cycles, work.packet
                self.worked += work.cycles
        if self.packet is not None and self.clock <= cycle:
            self.sends = self.port.room()
            if self.sends:
                self.port.put(self.packet, cycle + self.hop)
            else:
                self.hardship["a unit waits for its buffer"] += 1
                self.stalled += 1

    def commit(self, cycle: int) -> None:
        if self.sends:
            assert self.packet is not None
            self.packet.put = cycle
            self.clock, self.packet, self.sends = cycle, None, False

    def finished(self, cycle: int) -> bool:
        return self.done and self.packet is None


@dataclass(eq=False)
class Outlet(Part):
    """One output port of a router. `inlets` are the input buffers of the router, by the numbers of their ports."""

    leads_to: Callable[[Packet], bool]
    inlets: list[Buffer]
    target: Buffer | None
    hop: int
    link: int
    free: int = 0
    pointer: int = 0
    chosen: int | None = None
    moves: list[int] = field(default_factory=list)  # the cycle of each

    def decide(self, cycle: int) -> None:
        ready: dict[int, Packet] = {}
        for number, inlet in enumerate(self.inlets):
            packet = inlet.first(cycle)
            if packet is not None and self.leads_to(packet):
                ready[number] = packet
        if not ready:
            return
        if cycle < self.free:
            self.hardship["a packet waits for a link"] += 1
            return
        chosen = min(ready, key=lambda number: (number < self.pointer, number))
        self.hardship["ports compete"] += len(ready) > 1
        self.hardship["the pointer decides"] += chosen != min(ready)
        assert self.target is not None, "a packet leaves the mesh"
        if not self.target.room():
            self.hardship["no room on the other side"] += 1
            return
        self.chosen = chosen
        self.inlets[chosen].take()
        self.target.put(ready[chosen], cycle + self.hop)

    def commit(self, cycle: int) -> None:
        if self.chosen is not None:
            self.free, self.pointer = cycle + self.link, (self.chosen + 1) % len(self.inlets)
            self.moves.append(cycle)
            self.chosen = None

    def finished(self, cycle: int) -> bool:
        return True


@dataclass(eq=False)
class SynapseUnit(Part):
    """Takes packets from its core's queue. `deliver` adds what they bring, and returns how long that takes."""

    queue: Buffer
    deliver: Callable[[int, Packet], int]
    busy: int = 0
    taken: Packet | None = None

    def decide(self, cycle: int) -> None:
        ripe = self.queue.first(cycle)
        if ripe is None:
            return
        if cycle < self.busy:
            self.hardship["a packet waits for its synapse unit"] += 1
            return
        self.taken = ripe
        self.queue.take()

    def commit(self, cycle: int) -> None:
        if self.taken is not None:
            self.busy = cycle + self.deliver(cycle, self.taken)
            self.taken = None

    def finished(self, cycle: int) -> bool:
        return cycle >= self.busy
