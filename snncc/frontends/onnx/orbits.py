"""Finds the copies of one step in an unrolled loop: which tensor of a step is which tensor of the step before.

Two neighbouring steps are walked side by side from what they end in towards what they begin with. Tensors made by the
same op from the same constants are copies of each other, and so are then their inputs. Where a walk meets different
ops, the earlier step is the first of all: exporters fold what they know of the initial states into it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from snncc.arrays import Array
from snncc.frontends.onnx.step import Layered, Piece, Step
from snncc.layers import Layer

_MOST_CANDIDATES = 64
_LEAST_SHARE = 0.3  # of what leads to an output: of two steps, one can be found again in the other

Signature = tuple[Any, ...]


@dataclass(frozen=True, eq=False)
class Flat:
    """All steps written out, with equal computations joined: `same` maps a stream to the first with its value.

    `times` are the steps of the streams that are slices of the input.
    """

    step: Step
    times: Mapping[str, int]
    same: Mapping[str, str]
    pieces: Mapping[str, Piece]
    signatures: Mapping[str, Signature]

    def sources(self, stream: str) -> tuple[str | Array, ...]:
        """What a piece reads, position by position: streams, and constants that are not part of its signature."""
        piece = self.pieces[stream]
        if isinstance(piece, Layered):
            return (self.same[piece.source],)
        names = (name for name in piece.node.inputs if name)
        return tuple(piece.constants[n] if n in piece.constants else self.same[n] for n in names)

    def value(self, name: str) -> str | Array:
        """The stream of a tensor, or its value if it is a constant."""
        if name in self.step.alias:
            return self.same[self.step.alias[name]]
        return self.step.constants[name]

    def cone(self, stream: str) -> list[str]:
        """All that a stream is made of, itself first, roughly from late to early."""
        found = {stream: None}
        waiting = [stream]
        for name in waiting:
            if name in self.pieces:
                for each in self.sources(name):
                    if isinstance(each, str) and each not in found:
                        found[each] = None
                        waiting.append(each)
        return sorted(found, key=self.position.__getitem__, reverse=True)

    @cached_property
    def position(self) -> Mapping[str, int]:
        names = [*(name for name in self.same.values() if name not in self.pieces), *self.pieces]
        return {name: i for i, name in enumerate(dict.fromkeys(names))}


def flat(step: Step, times: Mapping[str, int]) -> Flat:
    """Give each piece a signature, and join pieces that compute the same from the same."""
    digests = _Digests()
    same = {name: name for name in step.alias.values() if name not in step.maker}
    pieces: dict[str, Piece] = {}
    signatures: dict[str, Signature] = {}
    seen: dict[tuple[Any, ...], str] = {}
    for piece in step.pieces:
        signature = _signature(piece, digests)
        if isinstance(piece, Layered):
            key = (signature, same[piece.source])
        else:
            read = [name for name in piece.node.inputs if name]
            key = (
                signature,
                *(digests.of(piece.constants[n]) if n in piece.constants else same[n] for n in read),
            )
        same[piece.output] = seen.setdefault(key, piece.output)
        if same[piece.output] == piece.output:
            pieces[piece.output] = piece
            signatures[piece.output] = signature
    return Flat(step, times, same, pieces, signatures)


def _signature(piece: Piece, digests: _Digests) -> Signature:
    if isinstance(piece, Layered):
        return tuple(_layer_signature(layer, digests) for layer in piece.layers)
    attributes = sorted((name, repr(value)) for name, value in piece.node.attributes.items())
    return (piece.node.op, piece.shape, len(piece.node.inputs), *attributes)


def _layer_signature(layer: Layer, digests: _Digests) -> Signature:
    values = [getattr(layer, name) for name in layer.__dataclass_fields__]
    return (type(layer).__name__, *(digests.of(v) if isinstance(v, np.ndarray) else v for v in values))


class _Digests:
    """Digests of arrays, each computed once for the same memory."""

    def __init__(self) -> None:
        self._known: dict[tuple[Any, ...], bytes] = {}
        self._kept: list[Array] = []  # so that no address is used again

    def of(self, array: Array) -> tuple[Any, ...]:
        key = (array.__array_interface__["data"][0], array.shape, array.strides, array.dtype.str)
        if key not in self._known:
            self._known[key] = hashlib.blake2b(np.ascontiguousarray(array).tobytes(), digest_size=16).digest()
            self._kept.append(array)
        return array.shape, array.dtype.str, self._known[key]


@dataclass(eq=False)
class Copies:
    """`earlier` maps a stream to its copy in the step before; `folded` to what stands there in the first step.

    A folded copy was made by another op, or is a constant. `fixed` are streams that all steps share.
    """

    flat: Flat
    earlier: dict[str, str] = field(default_factory=dict[str, str])
    later: dict[str, str] = field(default_factory=dict[str, str])
    folded: dict[str, str | Array] = field(default_factory=dict[str, "str | Array"])
    fixed: set[str] = field(default_factory=set[str])

    def match(self, late: str, early: str | Array) -> None:
        """Walk two steps side by side."""
        waiting: list[tuple[str, str | Array]] = [(late, early)]
        while waiting:
            a, b = waiting.pop()
            if isinstance(b, str) and a == b:
                self.fixed.add(a)
            elif a in self.earlier or a in self.folded:
                continue
            elif not isinstance(b, str) or b in self.later or (inputs := self._alike(a, b)) is None:
                self.folded[a] = b
            else:
                self.earlier[a] = b
                self.later[b] = a
                waiting += reversed(inputs)

    def _alike(self, a: str, b: str) -> list[tuple[str, str | Array]] | None:
        """The inputs of two streams that are made alike, in pairs; None if they are not."""
        flat = self.flat
        if a in flat.times or b in flat.times:
            return [] if flat.times.get(a, 0) - flat.times.get(b, 0) == 1 and b in flat.times else None
        if a not in flat.pieces or b not in flat.pieces or flat.signatures[a] != flat.signatures[b]:
            return None
        pairs: list[tuple[str, str | Array]] = []
        for x, y in zip(flat.sources(a), flat.sources(b), strict=True):
            if isinstance(x, str):
                pairs.append((x, y))
            elif isinstance(y, str) or x.shape != y.shape or not np.array_equal(x, y):
                return None
        streams = [(x, y) for x, y in pairs if isinstance(y, str)]
        alike = sum(self._kin(x, y) for x, y in streams)
        folds = len(streams) < len(pairs)
        # a sum of other things is no copy: with a constant in place of a value, the rest must agree
        return None if len(pairs) > 1 and (alike < len(streams) if folds else not alike) else pairs

    def _kin(self, a: str, b: str) -> bool:
        """Whether two streams are made by the same op, or are the same."""
        flat = self.flat
        if a in flat.times or b in flat.times:
            return a in flat.times and b in flat.times
        return a == b or (a in flat.signatures and flat.signatures[a] == flat.signatures.get(b))

    def match_itself(self, root: str) -> None:
        """Find, among all that leads to `root`, its copy of the step before; what has none is computed at the end."""
        cone = self.flat.cone(root)
        signature = self.flat.signatures.get(root)
        candidates = [name for name in cone[1:] if self.flat.signatures.get(name) == signature][:_MOST_CANDIDATES]
        best, score = None, 0
        for each in candidates if signature is not None else ():
            trial = Copies(self.flat)
            trial.match(root, each)
            if len(trial.earlier) > score:
                best, score = each, len(trial.earlier)
        if best is not None and score >= _LEAST_SHARE * len(cone):
            self.match(root, best)
        elif root in self.flat.pieces:
            for each in self.flat.sources(root):
                if isinstance(each, str) and each not in self.earlier and each not in self.flat.times:
                    self.match_itself(each)

    def chain(self, last: str) -> list[str]:
        """A stream and its copies, from the last step to the first that is no folded one."""
        found = [last]
        while (before := self.earlier.get(found[-1])) is not None:
            found.append(before)
        return found

    def last(self, stream: str) -> str:
        while (after := self.later.get(stream)) is not None:
            stream = after
        return stream


def place(copies: Copies, stream: str) -> tuple[str, int]:
    """The last copy of a stream, and how many steps before that one it stands."""
    count = 0
    while (after := copies.later.get(stream)) is not None:
        stream, count = after, count + 1
    return stream, count


def shared_by_all(copies: Copies) -> frozenset[str]:
    """The streams that all steps read, and all that those are made of."""
    return frozenset(each for name in copies.fixed for each in copies.flat.cone(name))


def reached(copies: Copies, roots: Sequence[str], shared: frozenset[str]) -> Iterator[str]:
    """The last copies of all streams that one step needs, and the streams that all steps share."""
    seen: set[str] = set()
    waiting = [copies.last(root) for root in roots]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        yield name
        if name in copies.flat.pieces:
            sources = [each for each in copies.flat.sources(name) if isinstance(each, str)]
            waiting += [each if name in shared else copies.last(each) for each in reversed(sources)]
