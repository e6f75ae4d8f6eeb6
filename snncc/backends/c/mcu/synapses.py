"""Chooses the kernel of each synapse on a microcontroller, and packs its weights as that kernel reads them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from snncc.arrays import Array, Ints
from snncc.backends.c.convolution import walk_shape, walk_tables
from snncc.backends.c.mcu.packing import natural, pack, paired, stored_bits
from snncc.backends.c.synapses import Compiled, Ends, Kernel, form_of
from snncc.backends.c.tables import table
from snncc.backends.c.widths import CType, narrowest, narrowest_unsigned, span_of
from snncc.device import Device
from snncc.integers import Synapse
from snncc.linear import Conv, Sparse

_U8, _U32 = CType(8, signed=False), CType(32, signed=False)
_I8, _I16, _I32 = CType(8, signed=True), CType(16, signed=True), CType(32, signed=True)


@dataclass(frozen=True)
class PackedKernel(Kernel):
    """A kernel that reads packed weights, `fields` to a `unit`, each of `stored` bits.

    `method` says how sums are added to: `bytes` one after the other, from bytes; `words` likewise, from 32-bit words;
    `pairs` two sums of 16 bits at once. `simd` adds pairs by instructions of their own; otherwise such weights are
    stored with an offset of `bias` in both halves of a pair, and what `mask` takes out of a word is added as a whole.
    `halves`: weights are taken out of a word two at a time, by instructions of their own. `batch` rows are
    added at once. `scaled`: what an event adds is multiplied by a number of the synapse's.
    `last`: the events of a convolution come with channels last. `event` is the type of a spike.
    """

    method: str = "bytes"
    stored: int = 8
    unit: CType = _U8
    simd: bool = False
    halves: bool = False
    scaled: bool = False
    batch: int = 1
    last: bool = False
    event: CType = _U8

    @property
    def fields(self) -> int:
        return max(1, self.unit.bits // self.stored) if self.form != "targets" else 1

    @property
    def corrected(self) -> bool:
        """Whether sums are put right after they were added to."""
        return self.method == "pairs" and not self.simd

    @property
    def bias(self) -> int:
        return (1 << self.stored - 1) * 0x10001

    @property
    def weighed(self) -> bool:
        """Whether an event multiplies its weights."""
        return self.value is not None or self.scaled

    @property
    def skips(self) -> bool:
        """Whether four silent sources are passed over at once: they are bytes, and words can be loaded."""
        return self.unit.bits == 32 and (self.value is None or self.value.bits == 8)

    @property
    def factor(self) -> str:
        """The type in which weights are multiplied: instructions that multiply halves of words are for 16 bits."""
        return "int16_t" if self.halves else self.acc.name

    @property
    def mask(self) -> int:
        return ((1 << self.stored) - 1) * 0x10001

    @property
    def name(self) -> str:
        told = {
            f"by_{self.unit.short}": self.method == "bytes" and self.unit.bits > 8,
            f"times_{self.value.short if self.value else None}": self.value is not None,
            f"at_{self.target.short if self.target else None}": self.target is not None,
            "scaled": self.scaled,
            "pairs": self.method == "pairs",
            "last": self.last,
            "grouped": self.grouped,
        }
        return "_".join(
            [f"add_{self.form}_w{self.stored}_{self.acc.short}", *(word for word, is_so in told.items() if is_so)]
        )

    @property
    def bits(self) -> int:
        return self.stored


def synthesis(device: Device) -> Callable[[str, Synapse, int, Ends], Compiled]:
    """How a synapse is compiled for a device; as `snncc.backends.c.synapses.compile_synapse`."""

    def compile_synapse(ident: str, op: Synapse, shift: int, ends: Ends) -> Compiled:
        linear = form_of(op.map, ends)
        weight = linear.weight.astype(np.int64)
        if isinstance(linear, Conv):
            return _walk(ident, linear, weight << shift, ends, device)
        if isinstance(linear, Sparse):
            return _targets(ident, linear, weight << shift, ends)
        return _rows(ident, weight, shift, ends, device)

    return compile_synapse


def _kernel(form: str, weight: Array, ends: Ends, device: Device, aligned: int, scaled: bool = False) -> PackedKernel:
    """The kernel for weights whose runs begin and end at multiples of `aligned` sums, 0 if runs can be padded."""
    kind, stored = narrowest(span_of(weight)), stored_bits(weight)
    base = PackedKernel(form, ends.acc, kind, ends.value, stored=stored, scaled=scaled)
    if stored > 8:
        return replace(base, unit=kind)
    in_word = 32 // stored
    if device.words and aligned % in_word == 0:
        pairs = ends.acc == _I16 and not base.weighed
        special = stored == 8 and "simd16" in device.features
        halves = special and ends.acc == _I32 and (ends.value is None or ends.value.bits == 8)
        batch = (4 if special else 2) if form == "rows" and not (pairs and stored == 2) else 1
        base = replace(base, method="pairs" if pairs else "words", unit=_U32, halves=halves, batch=batch)
        return replace(base, simd=pairs and special)
    if stored < 8 and aligned % (8 // stored) == 0:
        return base
    return replace(base, stored=8, unit=_I8)


def _packed(kernel: PackedKernel, rows: Array) -> Array:
    """Rows of weights as the kernel's units, each row padded with zeros to whole units."""
    if kernel.fields == 1:
        return rows.astype(kernel.unit.numpy)
    padded = np.pad(rows, ((0, 0), (0, -rows.shape[1] % kernel.fields)))
    order = paired(kernel.fields) if kernel.method == "pairs" else natural(kernel.fields)
    offset = 1 << kernel.stored - 1 if kernel.corrected else 0
    return pack(padded + offset, kernel.stored, kernel.unit, order)


def _rows(ident: str, weight: Array, shift: int, ends: Ends, device: Device) -> Compiled:
    """Rows of weights; where a shift would need wider ones, events are scaled by it instead."""
    scaled = stored_bits(weight) < stored_bits(weight << shift) and _scalable(shift, ends)
    weight = weight if scaled else weight << shift
    kernel = _kernel("rows", weight, ends, device, 0, scaled)
    rows = ends.source.arrange(ends.target.arrange(weight, axis=0).T, axis=0)
    units = _packed(kernel, rows)
    comment = f"[source][target], {kernel.stored} bits each"
    tables = {"weight": table(f"snn_{ident}_weight", kernel.unit, units, comment)}
    return Compiled(kernel, tables, units.shape[1], weight.size, scale=1 << shift if scaled else 1)


def _scalable(shift: int, ends: Ends) -> bool:
    """Whether an event's scaled value fits 16 bits, and products of it the sums."""
    highest = max(map(abs, ends.value.span)) if ends.value else 1
    return highest << shift < 1 << 15


def _walk(ident: str, linear: Conv, weight: Array, ends: Ends, device: Device) -> Compiled:
    per_group = linear.out_shape[0] // linear.groups
    kernel = _kernel("walk", weight, ends, device, per_group)
    kernel = replace(kernel, grouped=linear.groups > 1, last=ends.source.moved)
    walk = walk_shape(linear, ends.source)
    plain = walk_tables(ident, linear, weight, narrowest(span_of(weight)))
    scaled: dict[str, Ints] = {}
    for role, each in plain.items():
        per = kernel.fields if role in ("row_weight", "run_weight", "run_length") else 1
        scaled[role] = each.values.astype(np.int64) // per
    units = _packed(kernel, scaled.pop("weight").reshape(-1, per_group))
    kernel = replace(
        kernel, target=narrowest_unsigned(max(255, *(int(each.max(initial=0)) for each in scaled.values())))
    )
    index = kernel.target or _U32
    tables = {role: table(plain[role].name, index, each, plain[role].comment) for role, each in scaled.items()}
    comment = f"[in channel][y][x][out channel], {kernel.stored} bits each"
    tables["weight"] = table(plain["weight"].name, kernel.unit, units, comment)
    return Compiled(kernel, tables, linear.out_size, weight.size, replace(walk, filter=walk.filter // kernel.fields))


def _targets(ident: str, linear: Sparse, weight: Array, ends: Ends) -> Compiled:
    """Lists of targets by source: the gap to the target before and the weight, in one byte or in several."""
    sources = np.repeat(np.arange(linear.in_size), np.diff(linear.indptr))
    target = linear.targets.astype(np.int64)
    sources = ends.source.place()[sources] if ends.source.moved else sources
    target = ends.target.place()[target] if ends.target.moved else target
    order = np.lexsort((target, sources))
    sources, target, weight = sources[order], target[order], weight[order]
    stored = max(4, stored_bits(weight))
    source, gap, value = _gaps(sources, target, weight, 15 if stored == 4 else 255)
    first = np.concatenate([[0], np.cumsum(np.bincount(source, minlength=linear.in_size))])
    parts = value[:, None] >> np.arange(0, stored, 8) & 0xFF
    entries = gap << 4 | value & 0xF if stored == 4 else np.concatenate([gap[:, None], parts], axis=1)
    index = narrowest_unsigned(int(first[-1]))
    tables = {
        "first": table(f"snn_{ident}_first", index, first, "[source]: where its entries begin"),
        "entry": table(f"snn_{ident}_entry", _U8, entries, f"gap to the target before, weight of {stored} bits"),
    }
    kind = narrowest(span_of(weight))
    kernel = PackedKernel("targets", ends.acc, kind, ends.value, index, stored=stored, method="entries")
    return Compiled(kernel, tables, linear.out_size, len(gap))


def _gaps(sources: Ints, target: Ints, weight: Array, most: int) -> tuple[Ints, Ints, Ints]:
    """Source, gap and weight of each entry; where a gap is too wide, entries of weight 0 lie in between."""
    starts = np.ones(len(target), bool)
    starts[1:] = sources[1:] != sources[:-1]
    gap = np.diff(target, prepend=0)
    gap[starts] = target[starts]
    fillers = np.maximum(gap - 1, 0) // most * (gap > most)
    repeat = fillers + 1
    last = np.cumsum(repeat) - 1
    gaps, values = np.full(int(repeat.sum()), most), np.zeros(int(repeat.sum()), np.int64)
    gaps[last], values[last] = gap - fillers * most, weight
    return np.repeat(sources, repeat), gaps, values


def padding(compiled: Compiled) -> int:
    """To a multiple of how many sums a kernel adds."""
    kernel = compiled.kernel
    return kernel.fields if isinstance(kernel, PackedKernel) else 1
