"""Where neurons lie: their numbers on their cores, and the order in which the machine keeps a population's sums.

The host counts as one more core, after those of the chip.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from snncc.arrays import Array, Ints, Shape


@dataclass(frozen=True, eq=False)
class Place:
    """A population on C cores, the host among them: each neuron's core, and its number there; (size,) int32.

    The neurons of core c are `order[first[c]:first[c + 1]]`, by index; their numbers go on from `base[c]`.
    """

    cores: Array
    number: Array
    order: Ints
    first: Ints
    base: Ints

    @property
    def counts(self) -> Ints:
        """How many neurons lie on each core: (C,)."""
        return np.diff(self.first)


def places(homes: Sequence[Array | None], cores: int) -> tuple[Place | None, ...]:
    """Where each population lies, from the core of each of its neurons; None for an input, which lies nowhere."""
    used = np.zeros(cores, np.int64)
    result: list[Place | None] = []
    for home in homes:
        if home is None:
            result.append(None)
            continue
        counts = np.bincount(home, minlength=cores)
        order = np.argsort(home, kind="stable")
        first = np.concatenate([[0], np.cumsum(counts)])
        number = np.empty(len(home), np.int32)
        number[order] = np.arange(len(home)) + np.repeat(used - first[:-1], counts)
        result.append(Place(home.astype(np.int32), number, order, first, used.copy()))
        used += counts
    return tuple(result)


def lanes(place: Place, shape: Shape | None) -> Array:
    """The lane of every neuron, int32 (size,): sorted by core, then by index.

    With the shape (channels, height, width) channels come last, so that what a kernel adds to lies together.
    """
    order = place.order
    if shape is not None:
        turned = np.arange(len(order)).reshape(shape).transpose(1, 2, 0).reshape(-1)
        order = turned[np.argsort(place.cores[turned], kind="stable")]
    result = np.empty(len(order), np.int32)
    result[order] = np.arange(len(order))
    return result
