"""Writes the program of a mapped network: routes, axons, and blocks of synapses core by core."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from snncc.analysis.proof import Proof
from snncc.arrays import Array, Ints
from snncc.backends.base import Job
from snncc.backends.chip import image as stored
from snncc.backends.chip.image import DENSE, SHARED, SPARSE, Blocks, Group, Image, Readout, Sender
from snncc.backends.chip.layout import Place, places
from snncc.backends.chip.overview import cores_text, readme
from snncc.integers import Network, Output, Population, Source, Synapse, source_of
from snncc.layers import size
from snncc.linear import Conv, Sparse, to_sparse, with_weight
from snncc.mapping import HOST, cores_of
from snncc.packing import Form, form_of, is_dense, stored_width, stored_words

_INTS = (np.int8, np.int16, np.int32, np.int64)


@dataclass(frozen=True, eq=False)
class Stored:
    """The blocks of one group: `core` and `sender` of each, and the columns of `Blocks`, `first` counted from 0."""

    core: Array
    sender: Array
    columns: Mapping[str, Array]
    targets: Array
    weights: Array


def emit(job: Job) -> Mapping[str, bytes]:
    """The artefact's files by relative path; the same job gives the same bytes."""
    image = image_of(job)
    texts = {"README.md": readme(image), "cores.txt": cores_text(image)}
    return {**stored.files(image), **{name: text.encode() for name, text in texts.items()}}


def image_of(job: Job) -> Image:
    """The program of a network that is mapped onto a chip's cores."""
    network, mesh = job.network, job.chip.mesh
    assert mesh is not None, "a chip without cores"
    names = [name for name, op in network.ops.items() if isinstance(op, (Source, Population))]
    cores = cores_of(mesh)
    at = dict(zip(names, places([_home(job, name, cores) for name in names], cores + 1), strict=True))
    inner = _inner(network, at, cores)
    senders = tuple(_sender(job, name, at[name], inner.get(name)) for name in names)
    axons = _axon_starts(senders, inner, cores)
    groups = network.of_kind(Synapse)
    reads = {name: names.index(source_of(network, name)[0]) for name in (*groups, *network.of_kind(Output))}
    parts = [_stored(job, name, op, at, axons) for name, op in groups.items()]
    numbers = [_axon_numbers(senders[reads[name]], part, axons) for name, part in zip(groups, parts, strict=True)]
    return Image(
        stored.FORMAT,
        job.title,
        job.chip.name,
        mesh,
        senders,
        tuple(_group(job, name, op, names) for name, op in groups.items()),
        tuple(Readout(name, op, reads[name]) for name, op in network.of_kind(Output).items()),
        "int32" if _narrow_sums(job.proof) else "int64",
        axons,
        *_tables(parts, numbers, int(axons[-1])),
    )


def _narrow_sums(proof: Proof) -> bool:
    """Whether all sums fit 32 bits."""
    least, most = -(1 << 31), (1 << 31) - 1
    return all(each.acc[0] >= least and each.acc[1] <= most for each in proof.populations.values())


def _home(job: Job, name: str, cores: int) -> Array | None:
    """The core of every neuron, the host being one more; None for the input."""
    assert job.mapping, "a network that is not mapped"
    if name not in job.mapping.placement.cores:
        return None
    home = job.mapping.placement.cores[name]
    on_host = home == HOST
    return np.where(on_host, cores, home)


def _group(job: Job, name: str, op: Synapse, names: list[str]) -> Group:
    source, target = source_of(job.network, name)[0], job.network.outgoing(name)[0].target
    kernel = op.map if isinstance(op.map, Conv) and form_of(op, job.chip).shared else None
    if kernel is not None:
        kernel = replace(kernel, weight=_narrow(kernel.weight))
    ends = names.index(source), names.index(target)
    return Group(name, *ends, op.exponent, stored_width(op, job.chip), kernel, op.plasticity)


def _inner(network: Network, at: Mapping[str, Place | None], host: int) -> dict[str, Array]:
    """Of each op of the host, the axons of its senders among those of the host, or -1."""
    result: dict[str, Array] = {}
    used = 0
    links = [(source_of(network, name)[0], name, network.outgoing(name)[0].target) for name in network.of_kind(Synapse)]
    for name, place in at.items():
        if not _hosted(place, host):
            continue
        reaches = np.zeros(size(network[name].shape), bool)  # pyright: ignore[reportAttributeAccessIssue]
        for source, synapse, target in links:
            if source == name and _hosted(at[target], host):
                reaches |= np.diff(to_sparse(network.of_kind(Synapse)[synapse].map).indptr) > 0
        result[name] = np.where(reaches, used + np.cumsum(reaches) - 1, -1).astype(np.int32)
        used += int(reaches.sum())
    return result


def _hosted(place: Place | None, host: int) -> bool:
    return place is None or bool((place.cores == host).any())


def _sender(job: Job, name: str, place: Place | None, inner: Array | None) -> Sender:
    assert job.mapping is not None
    axons, op = job.mapping.axons[name], job.network[name]
    assert isinstance(op, (Source, Population))
    cores = None if place is None or inner is not None else place.cores
    start, core, axon = (_narrow(each) for each in (axons.start, axons.core, axons.axon))
    where = None if cores is None else _narrow(cores)
    return Sender(name, op, where, start, core, axon, None if inner is None else _narrow(inner))


def _axon_starts(senders: tuple[Sender, ...], inner: Mapping[str, Array], cores: int) -> Ints:
    """The first axon of each core, and of the host, which comes last: (cores + 2,)."""
    counts = np.zeros(cores + 1, np.int64)
    for sender in senders:
        counts[:-1] += np.bincount(sender.core, minlength=cores)
    counts[-1] = sum(int((each >= 0).sum()) for each in inner.values())
    return np.concatenate([[0], np.cumsum(counts)])


def _stored(job: Job, name: str, op: Synapse, at: Mapping[str, Place | None], axons: Ints) -> Stored:
    """The blocks of one group, sorted by core and sender; of one that learns, with what neurons see at first."""
    network, form, host = job.network, form_of(op, job.chip), len(axons) - 2
    source, delay = source_of(network, name)
    place = at[network.outgoing(name)[0].target]
    assert place is not None, "a population that lies nowhere"
    inner = _hosted(place, host)
    assert not inner or _hosted(at[source], host), "synapses from a core to the host"
    part = _shared(job, name, op, form, host if inner else None) if form.shared else _listed(_flat(op), form, place)
    delays = np.full(len(part.sender), delay, np.int32)
    if op.axon_delays is not None:
        delays += op.axon_delays[part.sender].astype(np.int32)
    words = part.columns["words"] * (0 if inner else 1)
    return replace(part, columns={**part.columns, "delay": delays, "words": words})


def _shared(job: Job, name: str, op: Synapse, form: Form, host: int | None) -> Stored:
    """Blocks that say only which input of the kernel they are."""
    assert job.mapping is not None
    blocks = job.mapping.blocks[name]
    sender, core, synapses = blocks.sender, blocks.core, blocks.synapses
    if host is not None:
        fan = np.diff(to_sparse(op.map).indptr)
        sender = np.flatnonzero(fan)
        core, synapses = np.full(len(sender), host), fan[sender]
    order = np.lexsort((sender, core))
    sender, core, synapses = sender[order], core[order], synapses[order].astype(np.int64)
    zero = np.zeros(len(sender), np.int32)
    words = -(-synapses * form.width // form.word_bits)
    columns = {
        "form": zero + SHARED,
        "words": words,
        "synapses": synapses,
        "first": sender,
        "count": zero,
        "neuron": zero,
    }
    return Stored(core, sender, columns, zero[:0], np.zeros(0, np.int8))


def _flat(op: Synapse) -> Sparse:
    """The synapses of a group, one by one; all of one that learns, also those that begin with 0."""
    if op.plasticity is None:
        return to_sparse(op.map)
    every = to_sparse(with_weight(op.map, np.ones(op.map.weight.shape, np.int8)))
    return replace(every, weight=op.map.weight.T.reshape(-1))


def _listed(flat: Sparse, form: Form, place: Place) -> Stored:
    """Blocks whose weights are listed: a dense one has a cell for every neuron of its span, a sparse one an entry."""
    senders = max(flat.in_size, 1)
    key = place.cores[flat.targets] * np.int64(senders) + np.repeat(np.arange(flat.in_size), np.diff(flat.indptr))
    order = np.argsort(key, kind="stable") if (np.diff(key) < 0).any() else slice(None)
    key, numbers, weight = key[order], place.number[flat.targets[order]], flat.weight[order]
    first = np.flatnonzero(np.diff(key, prepend=-1))
    synapses = np.diff(first, append=len(key))
    lowest = numbers[first]
    span = numbers[first + synapses - 1] - lowest + 1
    dense = is_dense(form, synapses, span)
    cells = np.where(dense, span, synapses)
    start = np.cumsum(cells) - cells
    inside = np.where(
        np.repeat(dense, synapses),
        numbers - np.repeat(lowest, synapses),
        np.arange(len(key)) - np.repeat(first, synapses),
    )
    weights, targets = np.zeros(int(cells.sum()), flat.weight.dtype), np.zeros(int(cells.sum()), np.int32)
    weights[np.repeat(start, synapses) + inside] = weight
    targets[np.repeat(start, synapses) + inside] = numbers
    columns = {
        "form": np.where(dense, DENSE, SPARSE),
        "words": stored_words(form, synapses, span),
        "synapses": synapses,
        "first": start,
        "count": cells,
        "neuron": np.where(dense, lowest, 0),
    }
    return Stored(key[first] // senders, key[first] % senders, columns, targets, weights)


def _axon_numbers(sender: Sender, part: Stored, starts: Ints) -> Ints:
    """The axon, among those of all cores, of each block of a group."""
    cores = len(starts) - 1
    routes = np.repeat(np.arange(len(sender.start) - 1), np.diff(sender.start)) * cores + sender.core
    found = np.searchsorted(routes, part.sender.astype(np.int64) * cores + part.core)
    numbers = np.append(sender.axon, 0)[found].astype(np.int64)
    if sender.inner is not None:
        numbers = np.where(part.core == cores - 1, sender.inner[part.sender], numbers)
    return starts[part.core] + numbers


def _tables(parts: list[Stored], axons: list[Ints], count: int) -> tuple[Array, Blocks, Array, Array]:
    """The first block of each axon, all blocks sorted by axon and group, and their data."""
    offsets = np.cumsum([0, *(len(each.weights) for each in parts)])
    axon = np.concatenate([np.empty(0, np.int64), *axons])
    group = np.repeat(np.arange(len(parts)), [len(each.sender) for each in parts])
    order = np.lexsort((group, axon))
    columns = {"group": group}
    for name in ("form", "delay", "words", "synapses", "first", "count", "neuron"):
        values = [each.columns[name] for each in parts]
        if name == "first":
            shared = [bool((each.columns["form"] == SHARED).any()) for each in parts]
            values = [
                each + (0 if own else offset) for each, own, offset in zip(values, shared, offsets[:-1], strict=True)
            ]
        columns[name] = np.concatenate([np.empty(0, np.int64), *values])
    blocks = Blocks(**{name: _narrow(each[order]) for name, each in columns.items()})
    per_axon = np.bincount(axon, minlength=count)
    targets = np.concatenate([np.empty(0, np.int32), *(each.targets for each in parts)])
    weights = np.concatenate([np.empty(0, np.int8), *(each.weights for each in parts)])
    first = np.concatenate([[0], np.cumsum(per_axon)])
    return first, blocks, _narrow(targets), _narrow(weights)


def _narrow(values: Array) -> Array:
    """The same integers in the narrowest type that holds them."""
    low, high = int(values.min(initial=0)), int(values.max(initial=0))
    return values.astype(next(kind for kind in _INTS if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max))
