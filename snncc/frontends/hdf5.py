"""Reads datasets out of HDF5 files, and trusts none of the sizes and places that they state."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from snncc import files
from snncc.arrays import Array
from snncc.diagnostics import fault

_ROOM = 1 << 26  # bytes that a file may unpack to, however small it is
_RATIO = 64  # and how many times its own size
_CACHE = 1 << 20  # bytes that HDF5 keeps of a dataset that is read piece by piece
_WORDS = 256  # bytes of a string that matters
_FILTERS = {1, 2, 3, 4, 5, 6, 32000}  # HDF5's own ways to pack data, and h5py's LZF; others would load code


class Room:
    """How many bytes are still to be read; `rule` and `again` are for the faults of files that unpack to more."""

    def __init__(self, left: int, rule: str, again: str) -> None:
        self.left, self.rule, self.again = left, rule, again

    def take(self, where: str, count: int) -> None:
        """Raises CompileError once the room is full."""
        self.left -= count
        if self.left < 0:
            raise fault(self.rule, where, "unpacks to more than a file of this size should hold", self.again)

    def check(self, where: str, item: Any) -> None:
        """Raises CompileError for a dataset that lies elsewhere, or that reading would load code for."""
        if item.external or item.is_virtual:
            raise fault(self.rule, where, "lies in another file", "export the network into one file")
        if not _packed_as_usual(item):
            raise fault(self.rule, where, "is packed in a way that needs a plugin of HDF5's", self.again)

    def rows(self, where: str, item: Any) -> Iterator[Any]:
        """The rows of a dataset of strings, one by one: each may be as long as the file, and several may share one."""
        self.check(where, item)
        size = max(math.prod(item.shape), _stored(item)) * max(1, item.dtype.itemsize)
        self.take(where, size)
        held = item[()] if item.dtype.kind == "S" else item  # other rows hold where their strings are
        if item.chunks is not None and _chunk(item) * item.dtype.itemsize > _CACHE and held is item:
            raise fault(self.rule, where, "is packed in larger pieces than HDF5 keeps unpacked", self.again)
        yield from (held[row] for row in range(len(item)))

    def value(self, where: str, item: Any) -> Array | str | None:
        """A dataset: numbers as an array, one string as text; None for anything else."""
        self.check(where, item)
        size = math.prod(item.shape)
        self.take(where, max(size, _stored(item)) * max(1, item.dtype.itemsize))
        if item.dtype.kind in "biuf":
            return np.asarray(item[()])
        return word(item[()]) if item.dtype.kind in "SO" and size == 1 else None


def _chunk(item: Any) -> int:
    """Values of a piece that is packed as a whole."""
    return math.prod(item.chunks or ())


def _stored(item: Any) -> int:
    """Values of the pieces that reading unpacks: they may be far larger than what the dataset shows of them."""
    if item.chunks is None:
        return 0
    return _chunk(item) * math.prod(-(-size // chunk) for size, chunk in zip(item.shape, item.chunks, strict=True))


def _packed_as_usual(item: Any) -> bool:
    plist = item.id.get_create_plist()
    return all(plist.get_filter(number)[0] in _FILTERS for number in range(plist.get_nfilters()))


@contextmanager
def opened(path: Path, rule: str, again: str) -> Generator[tuple[Any, Room]]:
    """An HDF5 file and the room for what it holds.

    Raises CompileError: `no-h5py`, and `cannot-read` for what h5py makes of HDF5's own errors, here and in the block.
    """
    try:
        import h5py
    except ImportError as error:
        message, hint = "is an HDF5 file, which h5py reads, and h5py is not installed", 'pip install "snncc[hdf5]"'
        raise fault("no-h5py", path.name, message, f"pip install h5py, or {hint}") from error
    try:
        files.opened(path).close()
    except OSError as error:
        raise fault("cannot-read", path.name, files.reason(error)) from error
    try:
        with h5py.File(path, "r") as file:
            yield file, Room(_ROOM + _RATIO * path.stat().st_size, rule, again)
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise fault("cannot-read", path.name, "is no HDF5 file that can be read", again) from error


def is_own(group: Any, name: str) -> bool:
    """Whether a member lies in the file itself, and is not a link to another one."""
    return type(group.get(name, getlink=True)).__name__ == "HardLink"


def word(value: Any) -> str:
    """A string that HDF5 holds, as far as it matters."""
    plain = value.reshape(-1)[0] if isinstance(value, np.ndarray) else value
    return plain[:_WORDS].decode(errors="replace") if isinstance(plain, bytes) else str(plain)[:_WORDS]
