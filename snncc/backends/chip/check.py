"""What a stored program must be before it is run: the compiled machine looks up nothing that was not checked here."""

from __future__ import annotations

import math

import numpy as np

from snncc.arrays import Array
from snncc.backends.chip.image import DENSE, FORMS, SHARED, SPARSE, Group, Image, Sender, damaged
from snncc.backends.chip.layout import Place, places
from snncc.chip import Chip
from snncc.graph import Edge, Graph
from snncc.integers import IntOp, Network, Population, Synapse, source_of
from snncc.linear import malformed as malformed_map
from snncc.mapping import cores_of
from snncc.packing import stored_width
from snncc.serial import Writer
from snncc.wellformed import malformed

_MOST_KEPT = 1 << 28  # sums of one sample that wait in delay lines


def check(image: Image, network: Network, chip: Chip) -> None:
    """Raises CompileError (`damaged-artefact`) for a program that cannot be run, or not on this chip or network."""
    if image.mesh != chip.mesh:
        raise damaged(f"is for another chip than {chip.name}, or for other cores of it")
    _ops(image, network)
    cores = cores_of(image.mesh)
    for sender in image.senders:
        _places(sender, cores)
    _starts(image.axons, cores + 1, len(image.starts) - 1, "axons")
    _starts(image.starts, len(image.starts) - 1, len(image.blocks.group), "blocks")
    _need(bool((np.diff(image.starts) > 0).all()), "has axons that lead nowhere")
    for sender in image.senders:
        _routes(sender, image, cores)
    for group in image.groups:
        _group(group, image)
    _blocks(image, cores)
    _lessons(image, network, chip)


def _need(good: bool | np.bool_, message: str) -> None:
    if not good:
        raise damaged(message)


def _long(array: Array, size: int, name: str) -> None:
    _need(array.ndim == 1 and len(array) == size, f"{name} is no list of {size:,} numbers")


def _within(array: Array, low: int, high: int, name: str) -> None:
    """All low <= array < high."""
    _need(not len(array) or (int(array.min()) >= low and int(array.max()) < high), f"{name} lies out of bounds")


def _starts(array: Array, size: int, end: int, name: str) -> None:
    """(size + 1,) positions that ascend from 0 to `end`."""
    _long(array, size + 1, name)
    good = int(array[0]) == 0 and int(array[-1]) == end and bool((np.diff(array) >= 0).all())
    _need(good, f"{name} do not ascend from 0 to {end}")


def _ops(image: Image, network: Network) -> None:
    """The ops are those of the network, by name and shape, and can be computed."""
    ops: dict[str, IntOp] = {each.name: each.op for each in image.senders}
    ops |= {each.name: each.op for each in image.readouts}
    _need(len(ops) == len(image.senders) + len(image.readouts), "has two ops of one name")
    _within(np.array([each.reads for each in image.readouts]), 0, len(image.senders), "what an output reads")
    wrong = malformed(Graph(ops, (Edge(image.senders[each.reads].name, each.name) for each in image.readouts)))
    _need(not wrong, ": ".join(wrong[0]) if wrong else "")
    ours = [(name, type(op), getattr(op, "shape", ())) for name, op in ops.items()]
    theirs = [(name, type(op), getattr(op, "shape", ())) for name, op in network.ops.items() if name in ops]
    _need(sorted(map(str, ours)) == sorted(map(str, theirs)), "is not the program of the network beside it")


def _places(sender: Sender, cores: int) -> None:
    count = math.prod(sender.op.shape)
    if sender.cores is None:
        _need(sender.inner is not None, f"{sender.name} lies nowhere")
    else:
        _need(isinstance(sender.op, Population) and sender.inner is None, f"{sender.name} lies on cores")
        _long(sender.cores, count, f"where {sender.name} lies")
        _within(sender.cores, 0, cores, f"where {sender.name} lies")


def _routes(sender: Sender, image: Image, cores: int) -> None:
    name, count = f"the routes of {sender.name}", math.prod(sender.op.shape)
    _starts(sender.start, count, len(sender.core), name)
    _long(sender.axon, len(sender.core), name)
    _within(sender.core, 0, cores, name)
    limits = np.diff(image.axons)
    _need(bool(((sender.axon >= 0) & (sender.axon < limits[sender.core])).all()), f"{name} lead to no axon")
    if sender.inner is not None:
        _long(sender.inner, count, name)
        _within(sender.inner, -1, int(limits[-1]), name)


def _group(group: Group, image: Image) -> None:
    _within(np.array([group.source, group.target]), 0, len(image.senders), f"what {group.name} joins")
    target = image.senders[group.target].op
    _need(isinstance(target, Population) and 0 <= group.exponent <= 30, f"{group.name} is no group of synapses")
    if group.kernel is not None:
        _need(group.kernel.weight.dtype.kind == "i", f"{group.name} has no whole weights")
        reason = malformed_map(group.kernel)
        _need(reason is None, f"{group.name}: {reason}")
        _need(group.kernel.out_size == math.prod(target.shape), f"{group.name} is no kernel of its target's size")
        numbers = (*group.kernel.in_shape, *group.kernel.stride, *group.kernel.padding, *group.kernel.dilation)
        _need(max(*numbers, group.kernel.in_size) < _MOST_KEPT, f"{group.name} is no kernel of a possible size")


def _lessons(image: Image, network: Network, chip: Chip) -> None:
    """What learns is what learns in the network; its blocks are dense, and on cores."""
    ours = {each.name: each for each in image.groups if each.plasticity}
    theirs = {name: op for name, op in network.of_kind(Synapse).items() if op.plasticity}
    _need(ours.keys() == theirs.keys(), "does not let the same synapses learn as the network beside it")
    numbers = {each.name: number for number, each in enumerate(image.groups)}
    _need(len(numbers) == len(image.groups), "has two groups of one name")
    for name, group in ours.items():
        op, ends = theirs[name], (source_of(network, name)[0], network.outgoing(name)[0].target)
        _need(Writer().plain(group.plasticity) == Writer().plain(op.plasticity), f"{name} learns by another rule")
        own = image.senders[group.source].name, image.senders[group.target].name
        _need(own == ends and group.exponent == op.exponent, f"{name} joins others than in the network beside it")
        width = stored_width(op, chip)
        _need(group.width == width, f"{name} has weights of {group.width} bits, which learn {width}")
        mine = image.blocks.group == numbers[name]
        _need(image.senders[group.target].cores is not None, f"{name} learns on the host")
        _need(bool((image.blocks.form[mine] == DENSE).all()), f"{name} learns, but is not dense")
        _need(bool((image.blocks.delay[mine] == 1).all()), f"{name} learns from other steps than the one before")
    for each in image.senders:
        if isinstance(each.op, Population) and each.op.adapt and each.op.adapt.learnt:
            _need(each.cores is not None, f"{each.name} learns on the host")
    _need(not ours or chip.learning is not None, f"learns, which {chip.name} cannot")


def _blocks(image: Image, cores: int) -> None:
    blocks = image.blocks
    for name in ("form", "delay", "words", "synapses", "first", "count", "neuron"):
        _long(getattr(blocks, name), len(blocks.group), f"the {name} of blocks")
        _within(getattr(blocks, name), 0, 1 << 40, f"the {name} of blocks")
    _within(blocks.group, 0, len(image.groups), "the group of blocks")
    _within(blocks.form, 0, len(FORMS), "the form of blocks")
    _within(blocks.words, 0, 1 << 31, "the words of blocks")
    _within(blocks.synapses, 0, 1 << 31, "the synapses of blocks")
    for array, name in ((image.targets, "targets"), (image.weights, "weights")):
        _long(array, image.weights.size, name)
    axon = np.repeat(np.arange(len(image.starts) - 1), np.diff(image.starts))
    core = np.searchsorted(image.axons, axon, side="right") - 1
    target = np.array([each.target for each in image.groups], np.int64)[blocks.group]
    _need(bool((blocks.delay >= (core < cores)).all()), "a core's blocks have no delay")
    listed = blocks.form != SHARED
    _need(
        bool((blocks.first + blocks.count)[listed].max(initial=0) <= len(image.weights)),
        "the data of a block end too late",
    )
    _bounds(image, core, target, *spans(places(image.homes(), cores + 1), cores + 1))
    _delays(image, target)


def spans(where: tuple[Place | None, ...], cores: int) -> tuple[Array, Array]:
    """The numbers of each sender's neurons on each core: from, and before; (senders, cores) int64."""
    low, high = np.zeros((2, len(where), cores), np.int64)
    for row, place in enumerate(where):
        if place is not None:
            low[row], high[row] = place.base, place.base + place.counts
    return low, high


def _bounds(image: Image, core: Array, target: Array, low: Array, high: Array) -> None:
    """Every block adds to neurons of its own core and population only."""
    blocks = image.blocks
    low, high = low[target, core], high[target, core]
    dense, sparse, shared = (blocks.form == each for each in (DENSE, SPARSE, SHARED))
    inside = (blocks.neuron >= low) & (blocks.neuron + blocks.count <= high)
    _need(bool(inside[dense].all()), "a dense block leaves its population")
    counts = blocks.count[sparse].astype(np.int64)
    _need(int(counts.sum()) <= len(image.weights), "sparse blocks share their data")
    entry = np.repeat(blocks.first[sparse] - (np.cumsum(counts) - counts), counts) + np.arange(int(counts.sum()))
    numbers = image.targets[entry]
    good = (numbers >= np.repeat(low[sparse], counts)) & (numbers < np.repeat(high[sparse], counts))
    _need(bool(good.all()), "a sparse block leaves its population")
    sizes = np.array([0 if each.kernel is None else each.kernel.in_size for each in image.groups], np.int64)
    _need(bool((blocks.first < sizes[blocks.group])[shared].all()), "a shared block is no input of its kernel")


def _delays(image: Image, target: Array) -> None:
    """The delay lines fit in memory."""
    depth = np.zeros(len(image.senders), np.int64)
    np.maximum.at(depth, target, image.blocks.delay)
    kept = sum((int(each) + 1) * math.prod(sender.op.shape) for each, sender in zip(depth, image.senders, strict=True))
    _need(kept <= _MOST_KEPT, f"keeps {kept:,} sums of a sample")
