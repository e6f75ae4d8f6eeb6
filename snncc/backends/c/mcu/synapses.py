"""Chooses the kernel of each synapse on a microcontroller, and packs its weights as that kernel reads them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from snncc.arrays import Array, Ints
from snncc.backends.c.convolution import walk_shape, walk_tables
from snncc.backends.c.mcu.packing import (
    HALVED,
    PACKED,
    adjacent,
    halved,
    natural,
    pack,
    paired,
    stored_bits,
    unsigned_bits,
)
from snncc.backends.c.synapses import Compiled, Ends, Kernel, form_of, lateral, product_type
from snncc.backends.c.tables import table
from snncc.backends.c.widths import CType, narrowest, narrowest_unsigned, span_of
from snncc.device import Device
from snncc.integers import Synapse
from snncc.linear import Conv, Lateral, LinearMap, Sparse, to_sparse

_DENSE_FROM = 0.28  # share of nonzero weights from which rows are used: lists of fewer take about half the flash
_U8, _U32 = CType(8, signed=False), CType(32, signed=False)
_I8, _I16, _I32 = CType(8, signed=True), CType(16, signed=True), CType(32, signed=True)


@dataclass(frozen=True)
class PackedKernel(Kernel):
    """A kernel that reads packed weights, `fields` to a `unit`, each of `stored` bits.

    `method` says how sums are added to: `bytes` one after the other, from bytes; `words` likewise, from 32-bit words;
    `pairs` two sums of 16 bits at once; `lanes` sums of 32 bits, after the rows of a batch were added in pairs of 16
    bits. `simd` adds pairs by instructions of their own; otherwise such weights are stored with an offset, in both
    halves of a pair, and what `mask` takes out of a word is added as a whole.
    `halves`: weights are taken out of a word two at a time, by instructions of their own. `batch` rows are
    added at once. `scaled`: what an event adds is multiplied by a number of the synapse's.
    `last`: the events of a convolution come with channels last. `event` is the type of a spike. `unsigned`: no weight
    is negative, and its value has a bit more, as weights that were learnt have it.
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
    unsigned: bool = False

    @property
    def fields(self) -> int:
        if self.form in ("targets", "each", "lateral"):
            return 1
        return 2 * (16 // self.stored) if self.unit == _U32 else max(1, self.unit.bits // self.stored)

    @property
    def corrected(self) -> bool:
        """Whether sums are put right after they were added to."""
        return self.method == "pairs" and not self.simd

    @property
    def offset(self) -> int:
        """What is added to weights, so that they have no sign."""
        signed = self.method in ("pairs", "lanes") and not self.simd and not self.unsigned
        return 1 << self.stored - 1 if signed else 0

    @property
    def bias(self) -> int:
        return self.offset * 0x10001

    @property
    def folded(self) -> bool:
        """Whether the rows of a batch are added in fields of twice the bits first, which hold their sum."""
        return self.stored in (2, 4) and self.value is None

    @property
    def borrows(self) -> bool:
        """Whether the lower of two sums in a word may be negative, and then takes one from the upper."""
        return self.value is not None and self.value.signed

    @property
    def weighed(self) -> bool:
        """Whether an event multiplies its weights."""
        return self.value is not None or self.scaled

    @property
    def short(self) -> bool:
        """Whether an event's value fits 16 bits, as what else it may be multiplied by does."""
        return self.value is None or self.value.bits == 8

    @property
    def valued(self) -> bool:
        """Whether a batch takes a factor a row; a scale is applied to the sum of a batch where it is added up first."""
        return self.value is not None if self.method in ("pairs", "lanes") else self.weighed

    @property
    def spanned(self) -> bool:
        """Whether single rows, or runs, are added by a function of their own."""
        return self.form == "walk" or (self.form == "rows" and not (self.batch > 1 and self.filled))

    @property
    def filled(self) -> bool:
        """Whether the last batch is filled with rows times 0."""
        return self.method in ("pairs", "lanes") and self.value is not None

    @property
    def skips(self) -> bool:
        """Whether four sources are looked at together: they are bytes, and words can be loaded."""
        return self.unit.bits == 32 and (self.value is None or self.value.bits == 8)

    @property
    def mask(self) -> int:
        return ((1 << self.stored) - 1) * 0x10001

    @property
    def fold(self) -> str:
        """The mask of every second weight of a word."""
        return f"0x{((1 << self.stored) - 1) * (0xFFFFFFFF // ((1 << 2 * self.stored) - 1)):08x}"

    @property
    def fold_pair(self) -> str:
        """The mask of a pair of sums of weights."""
        return f"0x{((1 << 2 * self.stored) - 1) * 0x10001:x}"

    @property
    def name(self) -> str:
        told = {
            f"by_{self.unit.short}": self.method == "bytes" and self.unit.bits > 8,
            f"times_{self.value.short if self.value else None}": self.value is not None,
            f"at_{self.target.short if self.target else None}": self.target is not None,
            "scaled": self.scaled,
            self.method: self.method in ("pairs", "lanes"),
            "last": self.last,
            "grouped": self.grouped,
            "unsigned": self.unsigned,
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
        own = _own(op.map)
        if own is not None and ends.source == ends.target:
            return _each(ident, own.astype(np.int64), shift, ends)
        linear = form_of(op.map, ends, _DENSE_FROM)
        weight = linear.weight.astype(np.int64)
        if isinstance(linear, Conv):
            return _walk(ident, linear, weight << shift, ends, device)
        if isinstance(linear, Sparse):
            return _targets(ident, linear, weight << shift, ends)
        if isinstance(linear, Lateral):
            kernel = PackedKernel("lateral", ends.acc, product_type(linear, shift, ends), ends.value)
            return lateral(kernel, linear, shift)
        return _rows(ident, weight, shift, ends, device)

    return compile_synapse


def _kernel(form: str, weight: Array, ends: Ends, device: Device, aligned: int, scaled: bool = False) -> PackedKernel:
    """The kernel for weights whose runs begin and end at multiples of `aligned` sums, 0 if runs can be padded."""
    kind, stored = narrowest(span_of(weight)), stored_bits(weight)
    base = PackedKernel(form, ends.acc, kind, ends.value, stored=stored, scaled=scaled)
    if device.words and form == "rows":
        bits, plain = stored_bits(weight, HALVED), unsigned_bits(weight, HALVED)
        made = _row_kernel(base, plain, device) if plain < bits and ends.value is None else base
        if made.method in ("pairs", "lanes"):
            return replace(made, simd=False, unsigned=True)
    if stored > 8:
        return replace(base, unit=kind)
    if device.words and form == "rows":
        return _row_kernel(base, stored_bits(weight, HALVED), device)
    if device.words and aligned % (32 // stored) == 0:
        pairs = ends.acc == _I16
        special = stored == 8 and "simd16" in device.features
        halves = special and ends.acc == _I32 and base.short
        base = replace(base, method="pairs" if pairs else "words", unit=_U32, halves=halves)
        return replace(base, simd=pairs and special and not base.weighed)
    if stored < 8 and aligned % (8 // stored) == 0:
        return base
    return replace(base, stored=8, unit=_I8)


def _row_kernel(base: PackedKernel, stored: int, device: Device) -> PackedKernel:
    """Rows of weights of at most 8 bits on a core that adds words."""
    base, special = replace(base, unit=_U32), "simd16" in device.features
    if base.acc == _I16:
        simd = special and stored == 8 and not base.weighed
        return replace(base, method="pairs", stored=stored, simd=simd, batch=4)
    if base.acc == _I32 and base.short and (stored < 8 or base.value is None):
        return replace(base, method="lanes", stored=stored, simd=special and stored == 8, batch=4)
    halves = special and base.stored == 8 and base.acc == _I32 and base.short
    return replace(base, method="words", halves=halves, batch=4 if halves else 2)


def _packed(kernel: PackedKernel, rows: Array) -> Array:
    """Rows of weights as the kernel's units, each row padded with zeros to whole units."""
    if kernel.fields == 1:
        return rows.astype(kernel.unit.numpy)
    padded = np.pad(rows, ((0, 0), (0, -rows.shape[1] % kernel.fields)))
    together = kernel.method in ("pairs", "lanes")
    order = paired(kernel.fields) if together else natural(kernel.fields)
    places = (halved if together else adjacent)(kernel.fields, kernel.stored)
    return pack(padded + kernel.offset, kernel.stored, kernel.unit, order, places)


def _each(ident: str, own: Ints, shift: int, ends: Ends) -> Compiled:
    """Every source leads to the target in its own place: one weight for all, one a channel, or one each."""
    values = ends.source.arrange(own) << shift
    periods = (1, ends.source.channels, len(values))
    period = next(each for each in periods if (values.reshape(-1, each) == values[:each]).all())
    kind = narrowest(span_of(values))
    kernel = PackedKernel("each", ends.acc, kind, ends.value, stored=kind.bits, unit=kind, method="each")
    tables = {"weight": table(f"snn_{ident}_weight", kind, values[:period], "of each channel, or of all")}
    return Compiled(kernel, tables, period, len(values))


def _own(linear: LinearMap) -> Ints | None:
    """The weight of each source, if each leads to the target of its own place and to no other."""
    if isinstance(linear, Conv):
        plain = linear.weight.shape[1:] == (1, 1, 1) and linear.in_shape == linear.out_shape
        return np.repeat(linear.weight.reshape(-1), linear.in_size // linear.in_shape[0]) if plain else None
    if linear.in_size != linear.out_size or linear.in_size < 2 or isinstance(linear, Lateral):
        return None
    sparse = to_sparse(linear)
    counts = np.diff(sparse.indptr)
    sources = np.repeat(np.arange(linear.in_size), counts)
    if counts.max() > 1 or not (sparse.targets == sources).all():
        return None
    return np.bincount(sources, sparse.weight, linear.in_size).astype(np.int64)


def _rows(ident: str, weight: Array, shift: int, ends: Ends, device: Device) -> Compiled:
    """Rows of weights; where a shift would need wider ones, events are scaled by it instead."""
    widths = HALVED if device.words else PACKED
    scaled = stored_bits(weight, widths) < stored_bits(weight << shift, widths) and _scalable(shift, ends)
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
    signed, plain = max(4, stored_bits(weight)), max(4, unsigned_bits(weight))
    stored = min(signed, plain)
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
    base = PackedKernel("targets", ends.acc, kind, ends.value, index, stored=stored, method="entries")
    kernel = replace(base, unsigned=stored < signed)
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
