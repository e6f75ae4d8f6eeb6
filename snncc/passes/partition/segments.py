"""Which layers share their cores: runs of populations, each cut by planes on its own, chosen by what they cost.

A sender pays one for every run that it reaches besides its own, and within each run as a cut of that run alone would
have it pay: so the cheapest runs follow from the costs of all of them by dynamic programming.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from snncc.arrays import Array, Floats, Ints
from snncc.passes.partition.atoms import Nets
from snncc.passes.partition.bisect import STYLES, Style, bisect, connectivity, restricted
from snncc.passes.partition.levels import contracted

_LONGEST = 8  # populations that may share their cores, unless all do
_SPARE = 1.04  # parts that a run may get beyond the fewest
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


def sketched(space: Space, cells: Array) -> Space:
    """A smaller space of the same form: cells of vertices; of the nets that a cell sends one stands for all."""
    count = int(cells.max(initial=-1)) + 1
    sending = space.own >= 0
    sender = cells[space.nets.pins[space.nets.start[:-1]]]
    order = np.nonzero(sending)[0][np.argsort(sender[sending], kind="stable")]
    bounds = np.concatenate([np.searchsorted(sender[order], np.arange(count)), [len(order)]])
    filled = np.nonzero(np.diff(bounds))[0]
    middle = order[(bounds[:-1] + bounds[1:])[filled] // 2]
    weight = np.bincount(sender[order], space.nets.weight[order], minlength=count)[filled]
    foreign = np.nonzero(~sending)[0]
    some = picked(space.nets, np.concatenate([middle, foreign]))
    some = some._replace(weight=np.concatenate([weight, space.nets.weight[foreign]]))
    nets, size, origin = contracted(some, space.size, cells)
    head = np.zeros(count, np.int64)
    head[cells[::-1]] = np.arange(len(cells))[::-1]
    ranks = np.argsort(space.orders, axis=1)[:, head]
    own = np.concatenate([space.own[middle], space.own[foreign]])[origin]
    return Space(nets, size, space.depth[head], np.argsort(ranks, axis=1).astype(np.int32), own, space.kernel)


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
    priced = {span: list(_priced(space, *span, roomy=roomy)) for span in spans}
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


def _priced(space: Space, low: int, high: int, *, roomy: bool) -> list[tuple[float, Run]]:
    """What a run costs, by numbers of cores and styles."""
    nets, size, orders, entering = within(space, low, high)
    total = float(size.sum())
    safe = fewest_parts(size)
    close = safe if roomy else max(1, int(np.ceil(total - 1e-6)))
    found: list[tuple[float, Run]] = []
    for parts in sorted({close, safe, max(close, int(np.ceil(total * _SPARE)))}):
        styles = STYLES if parts > 1 else STYLES[:1]
        costs = [connectivity(nets, bisect(nets, size, orders, parts, style), parts) for style in styles]
        best = int(np.argmin(costs))
        found.append((costs[best] + entering, Run(low, high, parts, styles[best])))
    return found


def fewest_parts(size: Floats) -> int:
    """How many parts vertices of these sizes take, if none is left as full as the largest of them allows."""
    grain = float(size.max(initial=0.0))
    usable = np.floor(1.0 / grain + 1e-6) * grain if 0.0 < grain < 1.0 else 1.0
    return max(1, int(np.ceil(float(size.sum()) / usable - 1e-6)))


def within(space: Space, low: int, high: int) -> tuple[Nets, Floats, Array, float]:
    """A run's vertices, numbered anew: nets, sizes and orders; and the weight of the nets that enter from elsewhere."""
    chosen = (space.depth >= low) & (space.depth < high)
    if chosen.all():
        return space.nets, space.size, space.orders, 0.0
    nets, vertices = restricted(space.nets, chosen)
    number = np.cumsum(chosen) - 1
    orders = np.array([number[order[chosen[order]]] for order in space.orders], np.int32)
    inside = np.add.reduceat(chosen[space.nets.pins], space.nets.start[:-1]) > 0
    foreign = (space.own < low) | (space.own >= high)
    return nets, space.size[vertices], orders, float(space.nets.weight[inside & foreign].sum())
