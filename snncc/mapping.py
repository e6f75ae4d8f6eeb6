"""Where a network lies on a chip of many cores, and what travels between them: what `place` and `route` decide.

Cores are numbered tile by tile, tiles row by row: core = (row * columns + column) * cores a tile + place in its tile.
"""

from __future__ import annotations

from collections.abc import Mapping as Dict
from dataclasses import dataclass
from typing import Literal

from snncc.arrays import Array, Ints, frozen
from snncc.chip import Mesh

Method = Literal["auto", "sequential"]  # of cutting populations: the least traffic found, or in order

HOST = -1  # in place of a core: computed by the machine that feeds the chip


@dataclass(frozen=True, eq=False)
class Placement:
    """The core of every neuron: by population, (size,) int32, or HOST for all of a population.

    A core's neurons are in the order of the network's populations, and by index within each.
    """

    cores: Dict[str, Array]


@dataclass(frozen=True, eq=False)
class Blocks:
    """What a synapse group stores, by sending neuron and core: the synapses of that neuron with neurons of that core.

    One entry per pair that has a synapse with a weight other than 0, sorted by sender, then core. `sender` is the
    index in the source or population that sends; `synapses` counts the weights other than 0; `span` is how many
    neurons of the receiving population lie on that core from the first to the last of those, both included.
    """

    sender: Array
    core: Array
    synapses: Array
    span: Array


@dataclass(frozen=True, eq=False)
class Axons:
    """Where the neurons of one source or population send: neuron n to `core[k]`, `start[n] <= k < start[n + 1]`.

    Cores rise within a neuron. `axon[k]` is the number of its entry among those of the receiving core.
    """

    start: Ints
    core: Array
    axon: Array


@dataclass(frozen=True)
class Traffic:
    """What is sent on the samples, or if everything sends once: packets, and the links that they cross."""

    packets: float
    hops: float


@dataclass(frozen=True, eq=False)
class Mapping:
    """A placed and routed network: blocks by synapse group, axons by source or population, in the network's order.

    The axons of a core are numbered by sender: in the order of the network's ops, then by neuron. Groups between two
    populations of the host have no blocks; those from a population on a core to the host do not exist. `traffic` is
    what it sends, and `in_order` what cores filled in order would send, None if that does not fit; an artefact does
    not keep these two.
    """

    placement: Placement
    blocks: Dict[str, Blocks]
    axons: Dict[str, Axons]
    traffic: Traffic | None = None
    in_order: Traffic | None = None


def tile_of(core: int, mesh: Mesh) -> tuple[int, int]:
    """The (column, row) of a core's tile."""
    tile = core // mesh.cores
    return tile % mesh.columns, tile // mesh.columns


def cores_of(mesh: Mesh) -> int:
    """How many cores a chip has."""
    return mesh.columns * mesh.rows * mesh.cores


def on_host(placement: Placement, name: str) -> bool:
    """Whether a population is computed by the machine that feeds the chip."""
    return bool((placement.cores[name] == HOST).any())


def frozen_cores(cores: Dict[str, Array]) -> Placement:
    """A placement whose arrays cannot change."""
    return Placement({name: frozen(each) for name, each in cores.items()})
