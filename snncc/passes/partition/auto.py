"""The cut that sends least between cores: geometric where neurons have places, by nets alone where they have none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from snncc.analysis.usage import usage_of
from snncc.arrays import Array, Floats, Ints
from snncc.chip import Chip
from snncc.integers import Network, Population, Source, Synapse, source_of
from snncc.linear import Dense, Sparse, synapse_count
from snncc.mapping import HOST, cores_of, frozen_cores
from snncc.passes.partition.atoms import Atoms, atoms_of
from snncc.passes.partition.bisect import STYLES, bisect, connectivity, restricted
from snncc.passes.partition.capacity import first_shares, kernels, overload, raised
from snncc.passes.partition.geometric import geometric
from snncc.passes.partition.irregular import by_mtkahypar, multilevel, worthwhile
from snncc.passes.partition.layout import CHANNEL, DEPTH, cells_of, orders_of, places_of
from snncc.passes.partition.refine import ROOM
from snncc.passes.partition.segments import Space, fewest_parts
from snncc.passes.route import route

_ATOMS = 64  # that fit a core at least
_ROUNDS = 8  # of cutting anew with other shares
_SPLITS = 12  # rounds of splitting cores that are still too full
_KERNEL = 0.5  # of a core that the shared weights of a range of channels may take
_IRREGULAR = 0.2  # of all synapses without a geometry: from here on nets alone are looked at as well


@dataclass(frozen=True, eq=False)
class Task:
    """A network, its atoms, the space that they are in, and the chip that it has to fit."""

    network: Network
    chip: Chip
    atoms: Atoms
    space: Space

    def by_population(self, core: Array) -> dict[str, Array]:
        """The cores of a flat list of neurons, by population; HOST for those that are computed there."""
        found: dict[str, Array] = {}
        for number, name in enumerate(self.atoms.names):
            if isinstance(self.network[name], Population):
                found[name] = core[self.atoms.first[number] : self.atoms.first[number + 1]]
        return found

    def overload(self, core: Array) -> Floats:
        """By core, how many times its scarcest limit is needed."""
        mapping = route(self.network, frozen_cores(self.by_population(core)))
        return overload(usage_of(self.network, self.chip, mapping), self.chip)


def automatic(
    network: Network, chip: Chip, host: frozenset[str], traffic: Mapping[str, Array] | None, seed: int
) -> dict[str, Array]:
    """The part of every neuron, by population, int32 (size,). Parts count on beyond the cores that the chip has."""
    rounds, shares = 0, first_shares(network, chip, host)
    while True:
        task = task_of(network, chip, host, traffic, shares)
        core = _cores(task.atoms, cut(task, seed))
        over = task.overload(core)
        greater = raised(shares, task.by_population(core), over)
        rounds += 1
        if greater == shares or rounds == _ROUNDS:
            return task.by_population(_split(task, core, over))
        shares = greater


def task_of(
    network: Network, chip: Chip, host: frozenset[str], traffic: Mapping[str, Array] | None, shares: Mapping[str, float]
) -> Task:
    most = {name: max(1, int(1.0 / (_ATOMS * share))) for name, share in shares.items()}
    atoms = atoms_of(network, host, traffic, most)
    share = np.array([shares.get(name, 0.0) for name in atoms.names])
    places = places_of(network, atoms)
    depth, kernel = _depths(network, chip, atoms, places)
    own = np.where(atoms.own >= 0, depth[np.maximum(atoms.own, 0)], -1) if len(depth) else atoms.own
    orders, axes = orders_of(places)
    space = Space(atoms.nets, np.multiply(atoms.size, share[atoms.op]), depth, orders, own, kernel, axes)
    return Task(network, chip, atoms, space)


def _depths(network: Network, chip: Chip, atoms: Atoms, places: Floats) -> tuple[Ints, Floats]:
    """The depth of every atom, and by depth the share of a core that shared weights take.

    Where these would take more than a part of a core that leaves room for axons, channels are split into ranges.
    """
    held = [kernels(network, chip, name) if isinstance(network[name], Population) else 0.0 for name in atoms.names]
    ranges = np.maximum(1, np.ceil(np.array(held) / _KERNEL - 1e-9)).astype(np.int64)[atoms.op]
    span = np.minimum((places[:, CHANNEL] * ranges).astype(np.int64), ranges - 1)
    level = np.rint(places[:, DEPTH]).astype(np.int64) * int(ranges.max(initial=1)) + span
    used = np.bincount(level) > 0
    depth = (np.cumsum(used) - 1)[level]
    kernel = np.zeros(np.count_nonzero(used))
    kernel[depth] = (np.array(held)[atoms.op] / ranges) if len(depth) else 0.0
    return depth, kernel


def _cores(atoms: Atoms, part: Array) -> Array:
    """The part of every neuron in the flat list, HOST for those on the host, from that of every atom."""
    return np.append(part, np.full(int(atoms.of.max(initial=0)) + 1, HOST))[atoms.of].astype(np.int32)


def cut(task: Task, seed: int) -> Array:
    """The part of every atom, of the cuts that were tried the one that sends least."""
    space, cells = task.space, dict[int, Array]()
    assert task.chip.mesh is not None, "a chip without cores"

    def squares(side: int) -> Array:
        if side not in cells:
            cells[side] = cells_of(task.network, task.atoms, side)
        return cells[side]

    part, used = geometric(space, squares, cores_of(task.chip.mesh))
    if used == 1 or not irregular(task.network) or not worthwhile(space.nets, len(space.size), seed):
        return part
    found = [(part, used)]
    parts = fewest_parts(space.size)
    for each in (multilevel, by_mtkahypar):
        other = each(space.nets, space.size, parts, seed)
        if other is not None and (np.bincount(other, space.size) <= ROOM).all():
            found.append((other, parts))
    prices = [connectivity(space.nets, each, count) for each, count in found]
    return found[int(np.argmin(prices))][0]


def irregular(network: Network) -> bool:
    """Whether much of a network is connected without a geometry, but not all to all either."""
    loose = total = 0
    for name, synapse in network.of_kind(Synapse).items():
        count = synapse_count(synapse.map)
        if isinstance(synapse.map, Dense):
            count = int(np.count_nonzero(synapse.map.weight))
        full = isinstance(synapse.map, Dense) and 2 * count >= synapse.map.weight.size
        ends = network[source_of(network, name)[0]], network[network.outgoing(name)[0].target]
        maps = all(isinstance(each, (Source, Population)) and len(each.shape) == 3 for each in ends)
        total += count
        if isinstance(synapse.map, (Dense, Sparse)) and not full and not maps:
            loose += count
    return loose > _IRREGULAR * total


def _split(task: Task, core: Array, over: Floats) -> Array:
    """Cores that are too full cut in two, until none is or only single neurons are left."""
    for _ in range(_SPLITS):
        full = [number for number in np.nonzero(over > 1.0)[0] if np.count_nonzero(core == number) > 1]
        if not full:
            break
        core, used = core.copy(), int(core.max()) + 1
        for number in full:
            core[_half(task, np.nonzero(core == number)[0])] = used
            used += 1
        over = task.overload(core)
    return core


def _half(task: Task, neurons: Array) -> Array:
    """One half of the neurons of a core, along the cheapest plane; by index where all are one atom."""
    space, own = task.space, task.atoms.of[neurons]
    chosen = np.zeros(len(space.size), np.bool_)
    chosen[own] = True
    if np.count_nonzero(chosen) < 2:
        return neurons[len(neurons) // 2 :]
    nets, atoms = restricted(space.nets, chosen)
    number = np.cumsum(chosen) - 1
    orders = np.array([number[order[chosen[order]]] for order in space.orders], np.int32)
    size = np.multiply(np.bincount(number[own], minlength=len(atoms)), 1.8 / len(neurons))
    side = bisect(nets, size, orders, 2, STYLES[1])
    return neurons[side[number[own]] == 1]
