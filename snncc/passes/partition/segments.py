"""Which layers share their cores: runs of populations, each cut by planes on its own, chosen by what they cost.

A sender pays one for every run that it reaches besides its own, and within each run as a cut of that run alone would
have it pay: so the cheapest runs follow from the costs of all of them by dynamic programming.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from snncc.arrays import Array, Floats, Ints
from snncc.jit import on_threads
from snncc.passes.partition.atoms import Nets
from snncc.passes.partition.bisect import STYLES, Style, bisect, connectivity, restricted
from snncc.passes.partition.levels import contracted

_LONGEST = 8  # populations that may share their cores, unless all do
_SPARE = 1.04  # parts that a run may get beyond the fewest
_SAMPLE, _OF = np.array([2, 8, 13]), 16  # of a cell's senders, one by one: in a square of three rows and columns
_KERNELS = 0.7  # of a core that the shared weights of a run may take


@dataclass(frozen=True)
class Run:
    """Populations low..high-1, by depth, on `parts` cores of their own, cut in a style."""

    low: int
    high: int
    parts: int
    style: Style


_Prices = dict[tuple[int, int], list[tuple[float, Run]]]


@dataclass(frozen=True, eq=False)
class Space:
    """Vertices with places: `depth` counts their populations from 0; `orders` (orders, vertices) as planes see them.

    The first `axes` of these are one for each axis, which is enough for a sketch.
    A population whose shared weights take much of a core has a depth for each of several ranges of channels. `own` is
    the depth of what sends each net, before all others for the input and the host. `kernel` is, by depth, the share
    of a core that the weights take which its neurons there have in common.
    """

    nets: Nets
    size: Floats
    depth: Ints
    orders: Array
    own: Ints
    kernel: Floats
    axes: int


class Piece(NamedTuple):
    """The vertices of a run; `entering` is the weight of the nets that come from elsewhere."""

    nets: Nets
    size: Floats
    orders: Array
    entering: float


def sketched(space: Space, cells: Array) -> Space:
    """A smaller space of the same form: cells of vertices; of the nets that a cell sends a few stand for all."""
    count = int(cells.max(initial=-1)) + 1
    sending = space.own >= 0
    sender = cells[space.nets.pins[space.nets.start[:-1]]]
    order = np.nonzero(sending)[0][np.argsort(sender[sending], kind="stable")]
    bounds = np.concatenate([np.searchsorted(sender[order], np.arange(count)), [len(order)]])
    filled = np.nonzero(np.diff(bounds))[0]
    begin, sent = bounds[filled, None], np.diff(bounds)[filled, None]
    chosen = order[(begin + (sent * _SAMPLE) // _OF).reshape(-1)]
    weight = np.bincount(sender[order], space.nets.weight[order], minlength=count)[filled] / len(_SAMPLE)
    foreign = np.nonzero(~sending)[0]
    some = picked(space.nets, np.concatenate([chosen, foreign]))
    some = some._replace(weight=np.concatenate([np.repeat(weight, len(_SAMPLE)), space.nets.weight[foreign]]))
    nets, size, origin = contracted(some, space.size, cells)
    head = np.zeros(count, np.int64)
    head[cells[::-1]] = np.arange(len(cells))[::-1]
    heads = np.zeros(len(cells), np.bool_)
    heads[head] = True
    orders = np.array([cells[order[heads[order]]] for order in space.orders[: space.axes]], np.int32)
    own = np.concatenate([space.own[chosen], space.own[foreign]])[origin]
    return Space(nets, size, space.depth[head], orders, own, space.kernel, space.axes)


def picked(nets: Nets, chosen: Ints) -> Nets:
    """Some of the nets, in the given order."""
    lengths = np.diff(nets.start)[chosen]
    bounds = np.concatenate([[0], np.cumsum(lengths)])
    places = np.repeat(nets.start[chosen] - bounds[:-1], lengths) + np.arange(bounds[-1])
    return Nets(bounds, nets.pins[places], nets.weight[chosen])


def runs_of(space: Space, most: int, *, roomy: bool) -> tuple[Run, ...]:
    """The runs that cost least, on at most `most` cores if that can be; one run if nothing else can.

    Without `roomy` cores may be filled closer than their largest vertices let one be sure of.
    """
    layers = int(space.depth.max(initial=0)) + 1
    spans = [(low, high) for low in range(layers) for high in range(low + 1, min(layers, low + _LONGEST) + 1)]
    spans += [(0, layers)] if layers > _LONGEST else []
    spans = [(low, high) for low, high in spans if high == low + 1 or space.kernel[low:high].sum() <= _KERNELS]
    priced = _priced(space, spans, roomy=roomy)
    best: list[dict[int, tuple[float, tuple[Run, ...]]]] = [{0: (0.0, ())}, *({} for _ in range(layers))]
    for high in range(1, layers + 1):
        for low in range(high):
            for price, run in priced.get((low, high), []):
                for used, (paid, before) in best[low].items():
                    total = used + run.parts
                    if total <= most and paid + price < best[high].get(total, (np.inf,))[0]:
                        best[high][total] = paid + price, (*before, run)
    if not best[layers]:
        return tuple(min(each, key=lambda it: it[1].parts)[1] for each in _fallback(priced, layers))
    return min(best[layers].values(), key=lambda each: each[0])[1]


def _fallback(priced: _Prices, layers: int) -> list[list[tuple[float, Run]]]:
    """All layers in one run if that may be, else each in its own: more cores than there are, but a cut."""
    return [priced[0, layers]] if (0, layers) in priced else [priced[each, each + 1] for each in range(layers)]


def _priced(space: Space, spans: list[tuple[int, int]], *, roomy: bool) -> _Prices:
    """What runs cost, by numbers of cores, each in its best style. Runs that look alike are cut once."""
    pieces = [within(space, *span) for span in spans]
    keys = [_digest(piece) for piece in pieces]
    unlike = dict(zip(keys, pieces, strict=True))
    found = dict(zip(unlike, on_threads(lambda piece: _costs(piece, roomy=roomy), unlike.values()), strict=True))
    return {
        span: [(cost + piece.entering, Run(*span, parts, style)) for cost, parts, style in found[key]]
        for span, piece, key in zip(spans, pieces, keys, strict=True)
    }


def _digest(piece: Piece) -> bytes:
    """The same for pieces that cost the same to cut, and for no others."""
    digest = hashlib.blake2b()
    for array in (*piece.nets, piece.size, piece.orders):
        digest.update(repr(array.shape).encode() + array.tobytes())
    return digest.digest()


def _costs(piece: Piece, *, roomy: bool) -> list[tuple[float, int, Style]]:
    """The cost of a cut into some numbers of parts, and the style: that which costs least with the fewest of them."""
    nets, size, orders, _ = piece
    total = float(size.sum())
    safe = fewest_parts(size)
    close = safe if roomy else max(1, int(np.ceil(total - 1e-6)))
    most = max(close, int(np.ceil(total * _SPARE)))

    def cost(parts: int, style: Style) -> float:
        return connectivity(nets, bisect(nets, size, orders, parts, style), parts)

    judged = [(cost(close, style), style) for style in (STYLES if close > 1 else STYLES[:1])]
    least, style = min(judged, key=lambda each: each[0])
    others = sorted({safe, most, _roundest(close, most)} - {close})
    return [(least, close, style), *((cost(parts, style), parts, style) for parts in others)]


def _roundest(low: int, high: int) -> int:
    """The number from low to high that can be halved most often: so many parts divide rows and channels evenly."""
    return max(range(low, high + 1), key=lambda each: each & -each)


def fewest_parts(size: Floats) -> int:
    """How many parts vertices of these sizes take, if none is left as full as the largest of them allows."""
    grain = float(size.max(initial=0.0))
    usable = np.floor(1.0 / grain + 1e-6) * grain if 0.0 < grain < 1.0 else 1.0
    return max(1, int(np.ceil(float(size.sum()) / usable - 1e-6)))


def within(space: Space, low: int, high: int) -> Piece:
    """A run's vertices, numbered anew."""
    chosen = (space.depth >= low) & (space.depth < high)
    if chosen.all():
        return Piece(space.nets, space.size, space.orders, 0.0)
    nets, vertices = restricted(space.nets, chosen)
    number = np.cumsum(chosen) - 1
    orders = np.array([number[order[chosen[order]]] for order in space.orders], np.int32)
    inside = np.add.reduceat(chosen[space.nets.pins], space.nets.start[:-1]) > 0
    foreign = (space.own < low) | (space.own >= high)
    return Piece(nets, space.size[vertices], orders, float(space.nets.weight[inside & foreign].sum()))
