"""Chooses the kernel of each synapse and lays out its weights in the order in which that kernel reads them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from snncc.arrays import Array
from snncc.backends.c.convolution import Walk, walk_shape, walk_tables
from snncc.backends.c.layout import Layout
from snncc.backends.c.tables import Table, table
from snncc.backends.c.widths import INT32, INT64, CType, join, narrowest, narrowest_unsigned, span_of
from snncc.integers import Synapse
from snncc.linear import Conv, Dense, Lateral, LinearMap, Sparse, to_sparse

_DENSE_FROM = 1 / 8  # share of nonzero weights from which a row kernel is faster than a list of targets


@dataclass(frozen=True)
class Kernel:
    """A function of the generated program; equal kernels are emitted once.

    `form` is rows, targets, walk or lateral. A lateral one reads what was sent, not a list of events; its `weight` is
    the type in which it multiplies. `value` is the type of a graded input, None where every event is a spike.
    """

    form: str
    acc: CType
    weight: CType
    value: CType | None = None
    target: CType | None = None
    grouped: bool = False

    @property
    def bits(self) -> int:
        """In which a weight is stored."""
        return self.weight.bits

    @property
    def name(self) -> str:
        types = [self.weight, *([self.target] if self.target else []), self.acc]
        graded = f"_times_{self.value.short}" if self.value else ""
        return f"add_{self.form}_{'_'.join(each.short for each in types)}{graded}{'_grouped' * self.grouped}"


@dataclass(frozen=True, eq=False)
class Compiled:
    """A synapse as data: its kernel, its tables by role, and the shape of a convolution's walk.

    `scale` multiplies what an event adds, where the weights do not hold it.
    """

    kernel: Kernel
    tables: dict[str, Table]
    targets: int
    count: int
    walk: Walk | None = None
    scale: int = 1


@dataclass(frozen=True, eq=False)
class Ends:
    """What a synapse joins: the layouts of both ends, the type of the sums, the type of graded values."""

    source: Layout
    target: Layout
    acc: CType
    value: CType | None


def compile_synapse(ident: str, op: Synapse, shift: int, ends: Ends) -> Compiled:
    """`shift` is what the exponent still has to add to the weights; `ident` begins the names of the tables."""
    linear = form_of(op.map, ends)
    weight = linear.weight.astype(np.int64) << shift if shift else linear.weight
    kind = narrowest(span_of(weight))
    if isinstance(linear, Conv):
        walk = walk_shape(linear, ends.source)
        tables = walk_tables(ident, linear, weight, kind)
        grouped = linear.groups > 1
        kernel = Kernel("walk", ends.acc, kind, ends.value, grouped=grouped)
        return Compiled(kernel, tables, linear.out_size, tables["weight"].values.size, walk)
    if isinstance(linear, Sparse):
        return _targets(ident, linear, weight, kind, ends)
    if isinstance(linear, Lateral):
        return lateral(Kernel("lateral", ends.acc, product_type(linear, shift, ends), ends.value), linear, shift)
    rows = ends.source.arrange(ends.target.arrange(weight, axis=0).T, axis=0)
    tables = {"weight": table(f"snn_{ident}_weight", kind, rows, "[source][target]")}
    return Compiled(Kernel("rows", ends.acc, kind, ends.value), tables, linear.out_size, weight.size)


def form_of(linear: LinearMap, ends: Ends, dense_from: float = _DENSE_FROM) -> LinearMap:
    """The form in which a synapse is computed; it may differ from the one in which it is stored.

    From the share `dense_from` of weights other than 0 on it is dense, where it is not convolutional.
    """
    if isinstance(linear, Conv):
        readable = not ends.source.moved or ends.source.channels == linear.in_shape[0]
        writable = linear.out_shape[0] in (ends.target.channels, linear.out_size)
        if readable and writable:
            return linear
        linear = to_sparse(linear)
    if isinstance(linear, Lateral):
        if ends.source == ends.target:
            return linear
        linear = to_sparse(linear)
    cells = linear.in_size * linear.out_size
    dense = np.count_nonzero(linear.weight) >= dense_from * cells
    if isinstance(linear, Dense):
        return linear if dense else to_sparse(linear)
    return _to_dense(linear) if dense else to_sparse(linear)


def lateral(kernel: Kernel, linear: Lateral, shift: int) -> Compiled:
    """A lateral map, whose one weight is an argument of its kernel."""
    return Compiled(kernel, {}, linear.size, linear.weight.size, scale=int(linear.weight[0]) << shift)


def product_type(linear: Lateral, shift: int, ends: Ends) -> CType:
    """The type that holds the weight times the sum of all that the source can send."""
    highest = max(map(abs, ends.value.span)) if ends.value else 1
    return INT32 if (abs(int(linear.weight[0])) + 1 << shift) * highest * (linear.size + 1) < 1 << 31 else INT64


def _to_dense(linear: Sparse) -> Dense:
    weight = np.zeros((linear.out_size, linear.in_size), linear.weight.dtype)
    sources = np.repeat(np.arange(linear.in_size), np.diff(linear.indptr))
    np.add.at(weight, (linear.targets, sources), linear.weight)
    return Dense(weight)


def _targets(ident: str, linear: Sparse, weight: Array, kind: CType, ends: Ends) -> Compiled:
    """Compressed rows, reordered by the places of sources and targets; targets ascend within a row."""
    first, target = linear.indptr, linear.targets
    if ends.source.moved or ends.target.moved:
        sources = np.repeat(ends.source.place(), np.diff(linear.indptr))
        target = ends.target.place()[target]
        order = np.lexsort((target, sources))
        first = np.concatenate([[0], np.cumsum(np.bincount(sources, minlength=linear.in_size))])
        target, weight = target[order], weight[order]
    index = narrowest_unsigned(max(linear.out_size - 1, 0))
    tables = {
        "first": table(f"snn_{ident}_first", CType(32, signed=False), first, "[source]: where its targets begin"),
        "target": table(f"snn_{ident}_target", index, target),
        "weight": table(f"snn_{ident}_weight", kind, weight),
    }
    kernel = Kernel("targets", ends.acc, kind, ends.value, index)
    return Compiled(kernel, tables, linear.out_size, weight.size)


def acc_type(span: tuple[int, int], exponent: int, least: int = 8) -> CType:
    """The type of a population's sums, counted in units of 2**exponent; the proof's span holds partial sums too."""
    return narrowest(join((-(-span[0] >> exponent), span[1] >> exponent), CType(least, signed=True).span))
