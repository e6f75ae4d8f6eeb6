"""What a network has learnt, as a C program saves and loads it: the cells of its weights and its adaptations."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from snncc.arrays import Array
from snncc.backends.c.layout import Layout, layouts
from snncc.backends.c.neurons import saved_type
from snncc.backends.c.plastic import Cells, arranged, cells_of, restored
from snncc.backends.c.widths import CType
from snncc.diagnostics import CompileError, fault
from snncc.integers import Learnt, Network, Population, Synapse, source_of

_MAGIC = b"SNNCCLN2"
_HEAD = struct.Struct("<8sIII")
_TAIL = struct.Struct("<II")


@dataclass(frozen=True)
class _Group:
    """The cells of a plastic group, in the layouts of its ends."""

    name: str
    cells: Cells
    low: int
    source: Layout
    target: Layout


def learnt_bytes(network: Network, learnt: Learnt, save: int = 1) -> bytes:
    """A save that `snn_load` takes: a file of a computer's program, a slot of a device's memory.

    `save` counts the saves of a place; its number stands at the end, and then its complement.
    """
    body = struct.pack("<I", learnt.steps & 0xFFFFFFFF)
    for group in _groups(network):
        rows = arranged(learnt.weights[group.name] - group.low, group.source, group.target)
        body += group.cells.packed(rows.reshape(-1)).astype(group.cells.type.numpy).tobytes()
    for name, kind, layout in _adaptations(network):
        body += layout.arrange(learnt.adaptations[name].reshape(-1)).astype(kind.numpy).tobytes()
    head = struct.pack("<II", zlib.crc32(network.text().encode()), zlib.crc32(body))
    return _MAGIC + head + body + _TAIL.pack(save, save ^ 0xFFFFFFFF)


def read_learnt(network: Network, content: bytes, where: str) -> Learnt:
    """What a program saved; raises CompileError (`bad-checkpoint`) for another network's file, or a damaged one."""
    if len(content) < _HEAD.size or content[:8] != _MAGIC:
        raise _bad(where, "is not what a network has learnt")
    _, identity, crc, steps = _HEAD.unpack_from(content)
    if identity != zlib.crc32(network.text().encode()):
        raise _bad(where, "is what another network has learnt, or this one with another rule")
    at, weights, adaptations = _HEAD.size, dict[str, Array](), dict[str, Array]()
    size = at + sum(each.cells.length * each.cells.type.bytes for each in _groups(network))
    size += sum(layout.size * kind.bytes for _, kind, layout in _adaptations(network))
    size += _TAIL.size
    save, complement = _TAIL.unpack_from(content, len(content) - _TAIL.size)
    if len(content) != size or zlib.crc32(content[16 : -_TAIL.size]) != crc or save ^ complement != 0xFFFFFFFF:
        raise _bad(where, f"is damaged: {len(content):,} of {size:,} bytes, or others than were written")
    for group in _groups(network):
        array = np.frombuffer(content, group.cells.type.numpy, group.cells.length, at)
        at += array.nbytes
        rows = group.cells.unpacked(array).astype(np.int64).reshape(group.source.size, group.target.size)
        weights[group.name] = restored(rows, group.source, group.target) + group.low
    for name, kind, layout in _adaptations(network):
        array = np.frombuffer(content, kind.numpy, layout.size, at)
        at += array.nbytes
        op = network[name]
        assert isinstance(op, Population)
        flat = array[layout.place()] if layout.moved else array
        adaptations[name] = flat.astype(np.int64).reshape(op.shape)
    return Learnt(steps, weights, adaptations)


def _bad(where: str, message: str) -> CompileError:
    return fault("bad-checkpoint", where, message, "learn again from the beginning, or give the right file")


def _groups(network: Network) -> Iterator[_Group]:
    """In the order of the program: as populations are computed."""
    known = layouts(network)
    for population in network.order():
        for edge in network.incoming(population):
            op = network[edge.source]
            if isinstance(op, Synapse) and op.plasticity:
                count = op.map.in_size * op.map.out_size
                ends = known[source_of(network, edge.source)[0]], known[population]
                yield _Group(edge.source, cells_of(op.plasticity, count), op.plasticity.stored[0], *ends)


def _adaptations(network: Network) -> Iterator[tuple[str, CType, Layout]]:
    known = layouts(network)
    for name in network.order():
        op = network[name]
        if isinstance(op, Population) and op.adapt and op.adapt.learnt:
            yield name, saved_type(op.adapt.register), known[name]
