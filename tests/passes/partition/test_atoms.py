"""Atoms are neurons that are connected alike, and their nets are all that they send to."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from hypothesis import given

from snncc.arrays import Array
from snncc.integers import Network, Population, Synapse, source_of
from snncc.linear import Conv, Dense, Sparse, to_sparse, with_weight
from snncc.passes.partition.atoms import Atoms, atoms_of
from tests.chips import chain
from tests.networks import networks


def sent(network: Network, host: frozenset[str]) -> dict[tuple[str, int], set[tuple[str, str, int]]]:
    """By sender: (synapse, population, neuron) of all synapses to cores, full maps without their holes."""
    found: dict[tuple[str, int], set[tuple[str, str, int]]] = defaultdict(set)
    for name, synapse in network.of_kind(Synapse).items():
        target, (source, _) = network.outgoing(name)[0].target, source_of(network, name)
        weight = synapse.map.weight
        full = not isinstance(synapse.map, Sparse) and 2 * np.count_nonzero(weight) >= weight.size
        flat = to_sparse(with_weight(synapse.map, np.ones_like(weight)) if full else synapse.map)
        for sender in range(flat.in_size if target not in host else 0):
            targets = flat.targets[flat.indptr[sender] : flat.indptr[sender + 1]]
            found[source, sender] |= {(name, target, int(each)) for each in targets}
    return found


def check(network: Network, host: frozenset[str], atoms: Atoms) -> None:
    out = sent(network, host)
    into: dict[tuple[str, int], set[tuple[str, str, int]]] = defaultdict(set)
    for (source, sender), targets in out.items():
        for synapse, target, neuron in targets:
            into[target, neuron].add((synapse, source, sender))
    members: dict[int, list[tuple[str, int]]] = defaultdict(list)
    for number, name in enumerate(atoms.names):
        for neuron in range(atoms.first[number + 1] - atoms.first[number]):
            members[int(atoms.of[atoms.first[number] + neuron])].append((name, neuron))
    for atom, inside in members.items():
        assert len({name for name, _ in inside}) == 1
        assert all(out[each] == out[inside[0]] and into[each] == into[inside[0]] for each in inside)
        on_core = inside[0][0] not in host and isinstance(network[inside[0][0]], Population)
        assert (atom < len(atoms.size)) == on_core
        if on_core:
            assert atoms.size[atom] == len(inside)
            assert atoms.names[atoms.op[atom]] == inside[0][0]
    number_of = {each: atom for atom, inside in members.items() for each in inside}
    nets = [list(atoms.nets.pins[low:high]) for low, high in zip(atoms.nets.start, atoms.nets.start[1:], strict=False)]
    sending = [atom for atom in sorted(members) if out[members[atom][0]]]
    assert len(nets) == len(sending)
    for net, atom in enumerate(sending):
        reached = {number_of[target, neuron] for _, target, neuron in out[members[atom][0]]}
        assert atoms.own[net] == (atom if atom < len(atoms.size) else -1)
        assert atoms.looped[net] == (atom in reached)
        assert atoms.senders[net] == len(members[atom])
        if atom < len(atoms.size):
            assert nets[net][0] == atom
            reached |= {atom}
        assert sorted(nets[net]) == sorted(reached)


@given(networks())
def test_atoms_of_random_networks_are_connected_alike(network: Network) -> None:
    check(network, frozenset(), atoms_of(network, frozenset(), None, {}))


@given(networks())
def test_what_the_host_computes_only_sends(network: Network) -> None:
    host = frozenset(list(network.of_kind(Population))[:1])
    check(network, host, atoms_of(network, host, None, {}))


@given(networks())
def test_atoms_are_no_larger_than_allowed(network: Network) -> None:
    most = dict.fromkeys(network.of_kind(Population), 2)
    atoms = atoms_of(network, frozenset(), None, most)
    check(network, frozenset(), atoms)
    assert atoms.size.max() <= 2


def test_channels_of_a_convolution_and_neurons_of_a_dense_layer_are_alike() -> None:
    conv = Conv(np.ones((6, 2, 3, 3), np.int8), (2, 8, 8), padding=(1, 1, 1, 1))
    atoms = atoms_of(chain(conv, Dense(np.ones((10, 6 * 64), np.int8))), frozenset(), None, {})
    assert len(atoms.size) == 64 + 1
    assert sorted(set(atoms.size.tolist())) == [6, 10]


def test_holes_in_a_full_map_do_not_matter_and_those_of_a_sparse_one_do() -> None:
    weight = np.ones((8, 8), np.int8)
    weight[np.arange(8), np.arange(8)] = 0
    assert len(atoms_of(chain(Dense(weight)), frozenset(), None, {}).size) == 1
    assert len(atoms_of(chain(to_sparse(Dense(weight))), frozenset(), None, {}).size) == 8


def test_weights_of_nets_are_the_events_of_their_senders() -> None:
    network = chain(Dense(np.ones((4, 3), np.int8)), Dense(np.ones((2, 4), np.int8)))
    traffic: dict[str, Array] = {"x": np.array([1, 2, 3]), "p1": np.array([0.5, 0, 0, 2]), "p2": np.array([9, 9])}
    atoms = atoms_of(network, frozenset(), traffic, {})
    assert atoms.nets.weight.tolist() == [2500, 6000]
