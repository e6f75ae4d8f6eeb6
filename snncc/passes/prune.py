"""Prunes a legal graph: the weakest synapses of each group, and the weakest neurons or channels of each population.

How weak is told by magnitude or, with samples, by magnitude times the root mean square of what is read there (Y. LeCun
et al., Optimal Brain Damage, 1990, for a linear map; M. Sun et al., A Simple and Effective Pruning Approach for Large
Language Models, 2024). What is left is then fitted again, map by map, to what the whole map gave on the samples.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from snncc.arrays import Array, Floats, Ints
from snncc.chip import Chip
from snncc.diagnostics import Diagnostic, check
from snncc.graph import Graph
from snncc.integers import Kept, Network, Population, Synapse
from snncc.layers import Layer, Linear, Neuron, Output
from snncc.linear import Conv, Dense, Lateral, LinearMap, Sparse, with_weight
from snncc.passes.compose import smallest
from snncc.passes.inputs import Samples
from snncc.passes.precision import parts_of, unknown_names
from snncc.passes.refit import Moments, moments_of, refitted
from snncc.passes.slices import Unit, joined, members, outputs_read, units_of, without

RULE = "prune"
SYNAPSES, NEURONS = "--prune", "--prune-neurons"


@dataclass(frozen=True)
class Shares:
    """What is to go: a share of all, and of those that are named, each in 0..1 but not 1."""

    usual: float = 0.0
    own: Mapping[str, float] = field(default_factory=dict[str, float])

    @property
    def any(self) -> bool:
        return any(share > 0 for share in (self.usual, *self.own.values()))


@dataclass(frozen=True, eq=False)
class Pruned:
    """A legal graph after pruning; `kept` says of each population that lost neurons which are left.

    `weights` are those of the maps that changed, in the form that they have in the graph before it: 0 where a synapse
    is gone, or the neuron that it reads.
    """

    graph: Graph[Layer]
    kept: Mapping[str, Kept]
    weights: Mapping[str, Array]


def shares(value: float | str | None, option: str) -> Shares:
    """What a user writes: 0.75, or 0.75,fc2=0.5. Raises CompileError (`prune`)."""
    if value is None:
        return Shares()
    parts = parts_of(str(value))
    check(_misspelt(parts, option))
    given = {name: float(share) for name, _, share in parts}
    return Shares(given.get("", 0.0), {name: share for name, share in given.items() if name})


def _misspelt(parts: list[tuple[str, ...]], option: str) -> Iterator[Diagnostic]:
    form = f"give SHARE, NAME=SHARE, or several with commas between, as in {option} 0.75,fc2=0.5"
    names: set[str] = set()
    for name, sign, share in parts:
        if (sign and not name) or not _is_share(share):
            message = f"{name + sign + share!r} is no share: at least 0, less than 1"
            yield Diagnostic(RULE, option, message, form)
        elif name in names:
            yield Diagnostic(RULE, option, f"{name or 'the share of all'} is given twice", form)
        names.add(name)


def _is_share(text: str) -> bool:
    try:
        return 0 <= float(text) < 1
    except ValueError:
        return False


def pruned(
    graph: Graph[Layer], chip: Chip, synapses: Shares, neurons: Shares, samples: Samples | None, steps: int | None
) -> Pruned:
    """The graph with the weakest synapses at 0, and without the weakest units of its populations.

    Units are neurons, or channels beside convolutions. Populations that an output reads lose none, and maps whose
    weights are all the same (pools, relays) lose no synapses unless they are named. The usual share of synapses is one
    of all weights together: a weight that a convolution uses many times counts once.

    Raises CompileError (`prune`) for names that are not there, or that cannot be pruned.
    """
    check((*unknown_names(graph, synapses.own, RULE, SYNAPSES), *_faults(graph, neurons)))
    kept: Mapping[str, Kept] = {}
    places = numbered = _numbered(graph)
    before = graph
    if neurons.any:
        moments = _moments(graph, chip, samples, steps)
        left = _units(graph, neurons, moments)
        graph = _with_fewer_neurons(graph, left, moments)
        kept = {name: _kept(before.of_kind(Neuron)[name], *each) for name, each in left.items()}
        places = without(numbered, left)
    if synapses.any:
        graph = _with_fewer_synapses(graph, synapses, _moments(graph, chip, samples, steps))
    return Pruned(graph, kept, _changed(before, graph, places))


def _numbered(graph: Graph[Layer]) -> Graph[Layer]:
    """The graph with the number of each weight in its place."""
    ops = {
        name: replace(op, map=with_weight(op.map, np.arange(op.map.weight.size).reshape(op.map.weight.shape)))
        if isinstance(op, Linear)
        else op
        for name, op in graph.ops.items()
    }
    return Graph(ops, graph.edges)


def _changed(before: Graph[Layer], after: Graph[Layer], places: Graph[Layer]) -> Mapping[str, Array]:
    """Of maps whose weights are not what they were, all of them where they were before; `places` has their numbers."""
    found: dict[str, Array] = {}
    for name, op in after.of_kind(Linear).items():
        old = before.of_kind(Linear)[name].map.weight
        weight = np.zeros(old.size, old.dtype)
        weight[places.of_kind(Linear)[name].map.weight.reshape(-1)] = op.map.weight.reshape(-1)
        if not np.array_equal(weight, old.reshape(-1)):
            found[name] = weight.reshape(old.shape)
    return found


def _moments(graph: Graph[Layer], chip: Chip, samples: Samples | None, steps: int | None) -> Mapping[str, Moments]:
    return {} if samples is None else moments_of(graph, chip, samples, steps)


def _with_fewer_neurons(
    graph: Graph[Layer], left: Mapping[str, tuple[Unit, Ints]], moments: Mapping[str, Moments]
) -> Graph[Layer]:
    """What reads a population that loses some is fitted to do without."""
    ops = dict(graph.ops)
    for name, op in graph.of_kind(Linear).items():
        source = graph.incoming(name)[0].source
        if source in left and name in moments:
            unit, chosen = left[source]
            lost = members(unit, np.setdiff1d(np.arange(unit.count), chosen))
            ops[name] = replace(op, map=_thinned(op.map, _reads(op.map, lost), moments[name]))
    return without(Graph(ops, graph.edges), left)


def _with_fewer_synapses(graph: Graph[Layer], synapses: Shares, moments: Mapping[str, Moments]) -> Graph[Layer]:
    """Groups that are named lose their own share, all others together the usual one."""
    worth: dict[str, Floats] = {}
    stays: dict[str, Array] = {}
    for name, op in graph.of_kind(Linear).items():
        own = synapses.own.get(name, synapses.own.get(graph.outgoing(name)[0].target))
        if own is None and not _trained(op.map):
            continue
        worth[name] = _importance(op.map, moments.get(name))
        if own is not None:
            stays[name] = _strongest(worth.pop(name), own)
    if worth:
        every = np.concatenate(list(worth.values()))
        left = np.split(_strongest(every, synapses.usual), np.cumsum([each.size for each in worth.values()])[:-1])
        stays.update(zip(worth, left, strict=True))
    ops = dict(graph.ops)
    for name, mask in stays.items():
        op = graph.of_kind(Linear)[name]
        if not mask.all():
            ops[name] = replace(op, map=_thinned(op.map, mask.reshape(op.map.weight.shape), moments.get(name)))
    return Graph(ops, graph.edges)


def _importance(linear: LinearMap, moments: Moments | None) -> Floats:
    """By weight, the share that it has in all of its group which is no more important (LAMP): groups can be compared.

    J. Lee et al., Layer-adaptive Sparsity for the Magnitude-based Pruning, 2021. The last weight of a group is never
    the weakest.
    """
    squares = linear.weight.astype(np.float64) ** 2
    if moments is not None:
        squares = squares * moments.power.reshape(-1, *squares.shape[1:])
    flat = squares.reshape(-1)
    order = np.argsort(-flat, kind="stable")
    total = np.add.accumulate(flat[order])
    result = np.empty(flat.size)
    result[order] = flat[order] / np.maximum(total, np.finfo(np.float64).tiny)
    return np.where(linear.weight.reshape(-1) == 0, -1.0, result)


def _strongest(worth: Floats, share: float) -> Array:
    """Which weights stay if so many of those that are there (not negative) go, the weakest first."""
    there = np.nonzero(worth >= 0)[0]
    weakest = there[np.argsort(worth[there], kind="stable")[: math.floor(share * len(there))]]
    stays = worth >= 0
    stays[weakest] = False
    return stays


def _faults(graph: Graph[Layer], neurons: Shares) -> Iterator[Diagnostic]:
    found = tuple(unknown_names(graph, neurons.own, RULE, NEURONS, populations=True))
    yield from found
    read = outputs_read(graph, Output)
    for name, share in neurons.own.items():
        if name not in graph.of_kind(Neuron) or not share:
            continue
        if name in read:
            message = "is read by an output, which needs all its neurons"
            yield Diagnostic(
                RULE, name, message, f"leave {name} out of {NEURONS}, or prune its synapses with {SYNAPSES}"
            )
        elif units_of(graph, name) is None:
            message = "cannot lose neurons: beside it is a convolution in groups, or inhibition of all others"
            yield Diagnostic(
                RULE, name, message, f"leave {name} out of {NEURONS}, or prune its synapses with {SYNAPSES}"
            )


def _trained(linear: LinearMap) -> bool:
    """Whether a map has weights of its own to prune."""
    weight = linear.weight[linear.weight != 0]
    return not isinstance(linear, Lateral) and len(weight) > 0 and bool((weight != weight[0]).any())


def _units(graph: Graph[Layer], neurons: Shares, moments: Mapping[str, Moments]) -> dict[str, tuple[Unit, Ints]]:
    """The units that stay, of each population that loses some; at least one always does."""
    read = outputs_read(graph, Output)
    found: dict[str, tuple[Unit, Ints]] = {}
    for name in graph.of_kind(Neuron):
        share, unit = neurons.own.get(name, neurons.usual), units_of(graph, name)
        if unit is None or name in read or not share:
            continue
        stay = max(1, unit.count - math.floor(share * unit.count))
        worth = sum((_worth(graph, edge.target, unit, moments) for edge in graph.outgoing(name)), np.zeros(unit.count))
        if stay < unit.count:
            order = np.lexsort((np.arange(unit.count), -worth))
            found[name] = unit, np.sort(order[:stay])
    return found


def _worth(graph: Graph[Layer], name: str, unit: Unit, moments: Mapping[str, Moments]) -> Floats:
    """By unit of the source, the sum of squares of what it adds to a map's targets."""
    linear = graph.of_kind(Linear)[name].map
    if isinstance(linear, Lateral):
        return np.zeros(unit.count)
    squares = linear.weight.astype(np.float64) ** 2
    if name in moments:
        squares = squares * moments[name].power.reshape(-1, *squares.shape[1:])
    if isinstance(linear, Sparse):
        sources = np.repeat(np.arange(linear.in_size), np.diff(linear.indptr))
        total: Floats = np.bincount(sources, squares, linear.in_size).astype(np.float64)
    elif isinstance(linear, Dense):
        total = _sum(squares, 0)
    else:
        return _sum(_sum(_sum(squares, 0), 1), 1)
    return _sum(total.reshape(unit.count, -1), 1)


def _sum(values: Floats, axis: int) -> Floats:
    """In one order on every machine: numpy's own may add in others."""
    return np.add.accumulate(values, axis=axis).take(-1, axis=axis)


def _thinned(linear: LinearMap, stays: Array, moments: Moments | None) -> LinearMap:
    """The map with only the weights that stay, fitted to what all of them gave where that is known."""
    if moments is None or moments.square is None:
        return with_weight(linear, np.where(stays, linear.weight, 0))
    weight = linear.weight.astype(np.float64)
    return with_weight(linear, refitted(weight, stays & (weight != 0), moments).astype(linear.weight.dtype))


def _reads(linear: LinearMap, lost: Ints) -> Array:
    """Of each weight, whether it reads a neuron that is left."""
    stays = np.ones(linear.weight.shape, np.bool_)
    if isinstance(linear, Dense):
        stays[:, lost] = False
    elif isinstance(linear, Sparse):
        sources = np.repeat(np.arange(linear.in_size), np.diff(linear.indptr))
        stays = ~np.isin(sources, lost)
    elif isinstance(linear, Conv) and len(lost):
        pixels = math.prod(linear.in_shape[1:])
        stays[:, np.unique(lost // pixels)] = False
    return stays


def _kept(neuron: Neuron, unit: Unit, chosen: Ints) -> Kept:
    place = np.full(unit.count, -1)
    place[chosen] = np.arange(len(chosen))
    inner = np.arange(unit.neurons)
    every = np.where(place[:, None] < 0, -1, place[:, None] * unit.neurons + inner).reshape(-1)
    return joined(Kept(neuron.shape, np.arange(len(every))), every)


def recorded(network: Network, kept: Mapping[str, Kept]) -> Network:
    """The integer network of a pruned graph: it says which neurons are left, and lists what has few synapses left."""
    ops = dict(network.ops)
    for name, op in network.ops.items():
        if isinstance(op, Population) and name in kept:
            ops[name] = replace(op, kept=kept[name])
        elif isinstance(op, Synapse) and isinstance(op.map, Dense):
            linear = smallest(op.map)
            ops[name] = replace(op, map=with_weight(linear, linear.weight.astype(op.map.weight.dtype)))
    return Graph(ops, network.edges)
