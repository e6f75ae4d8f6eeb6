"""The mesh of one step: its routers, units and buffers, joined as targets/README.md says, stepped cycle by cycle."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from snncc.chip import Chip, Timing
from tests.backends.chip.naive_parts import Buffer, Outlet, Packet, Part, SynapseUnit, Unit, Work

NORTH, EAST, SOUTH, WEST, FIRST_CORE = range(5)  # the numbers of the ports; the host's is the last
BEYOND = {NORTH: (0, -1), EAST: (1, 0), SOUTH: (0, 1), WEST: (-1, 0)}
FACING = {NORTH: SOUTH, EAST: WEST, SOUTH: NORTH, WEST: EAST}
Place = tuple[int, int]  # a tile's column and row


@dataclass(frozen=True)
class Done:
    """What a step leaves behind: its end before the barrier, moves as (cycle, tile, port), and other numbers.

    `peaks` are by tile and port, `queue_peaks` by core; by core, the host being one more at the end, `worked` and
    `stalled` are the cycles in which its unit worked, and waited for room.
    """

    end: int
    moves: list[tuple[int, int, int]]
    peaks: dict[tuple[int, int], int]
    queue_peaks: list[int]
    worked: list[int]
    stalled: list[int]
    hardship: Counter[str]


def cycles_of(timing: Timing, name: str) -> int:
    """A number of cycles, or of packets, of the chip's file."""
    return int(getattr(timing, name).value)


class Mesh:
    """All components as they are when a step begins."""

    def __init__(
        self,
        chip: Chip,
        programmes: list[Iterator[Work]],
        host_programme: Iterator[Work],
        deliver: Callable[[int, Packet], int],
    ) -> None:
        assert chip.mesh
        assert chip.timing
        self.mesh, self.timing = chip.mesh, chip.timing
        self.hardship: Counter[str] = Counter()
        self.tiles: list[Place] = [(c, r) for r in range(self.mesh.rows) for c in range(self.mesh.columns)]
        self.inlets = {tile: [self._buffer("buffer") for _ in range(self._ports(tile))] for tile in self.tiles}
        self.queues = [self._buffer("queue") for _ in programmes]
        self.outlets = {
            (tile, port): self._outlet(tile, port)
            for tile in self.tiles
            for port in range(FIRST_CORE + self.mesh.cores)
        }
        hop = cycles_of(self.timing, "hop_local")
        self.neuron_units = [
            Unit(self.hardship, programme, self.inlets[self._tile(core)][self._port(core)], hop)
            for core, programme in enumerate(programmes)
        ]
        self.host_port = Unit(self.hardship, host_programme, self.inlets[self.mesh.host][-1], hop)
        self.synapse_units = [SynapseUnit(self.hardship, queue, deliver) for queue in self.queues]
        self.parts: list[Part] = [*self.neuron_units, self.host_port, *self.outlets.values(), *self.synapse_units]
        self.parts += [*(inlet for inlets in self.inlets.values() for inlet in inlets), *self.queues]

    def run(self) -> Done:
        """Step all components until nothing is under way."""
        cycle = 0
        while not all(part.finished(cycle) for part in self.parts):
            for part in self.parts:
                part.decide(cycle)
            for part in self.parts:
                part.commit(cycle)
            cycle += 1
        units = (*self.neuron_units, self.host_port)
        number = {tile: place for place, tile in enumerate(self.tiles)}
        return Done(
            max(*(unit.clock for unit in units), *(unit.busy for unit in self.synapse_units)),
            sorted((at, number[tile], port) for (tile, port), outlet in self.outlets.items() for at in outlet.moves),
            {(number[tile], port): each.peak for tile in self.tiles for port, each in enumerate(self.inlets[tile])},
            [queue.peak for queue in self.queues],
            [unit.worked for unit in units],
            [unit.stalled for unit in units],
            self.hardship,
        )

    def _ports(self, tile: Place) -> int:
        return FIRST_CORE + self.mesh.cores + (tile == self.mesh.host)

    def _tile(self, core: int) -> Place:
        return self.tiles[core // self.mesh.cores]

    def _port(self, core: int) -> int:
        return FIRST_CORE + core % self.mesh.cores

    def _buffer(self, size: str) -> Buffer:
        return Buffer(self.hardship, cycles_of(self.timing, size))

    def _outlet(self, tile: Place, port: int) -> Outlet:
        """An output port of a router: what it takes, and the buffer or queue that it leads to."""
        if port >= FIRST_CORE:
            target, hop = self.queues[self.tiles.index(tile) * self.mesh.cores + port - FIRST_CORE], "hop_local"
        else:
            across, down = BEYOND[port]
            other = self.inlets.get((tile[0] + across, tile[1] + down))
            target = other[FACING[port]] if other else None
            hop = "hop_horizontal" if port in (EAST, WEST) else "hop_vertical"
        return Outlet(
            self.hardship,
            lambda packet: self._way(tile, packet.axon.core) == port,
            self.inlets[tile],
            target,
            cycles_of(self.timing, hop),
            cycles_of(self.timing, "link"),
        )

    def _way(self, here: Place, core: int) -> int:
        """The port through which a packet for a core leaves a router: first to its column, then to its row."""
        column, row = self._tile(core)
        if column != here[0]:
            return EAST if column > here[0] else WEST
        if row != here[1]:
            return SOUTH if row > here[1] else NORTH
        return self._port(core)
