"""Reads the datasets of a `.net` file out of HDF5, and trusts none of the sizes and places that it states."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from snncc import files
from snncc.arrays import Array
from snncc.diagnostics import CompileError, fault

_AGAIN = "export it with net.export_hdf5"
_ROOM = 1 << 26  # bytes that a file may unpack to, however small it is
_RATIO = 64  # and how many times its own size
_WORDS = 64  # bytes of a string that matters

Values = Mapping[str, Array | str]


def stored_layers(path: Path) -> dict[str, Values]:
    """The datasets of each layer by path, numbers as arrays and the rest as text."""
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
            found = _Layers(_ROOM + _RATIO * path.stat().st_size).read(file)
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:  # what h5py makes of HDF5's own errors
        raise fault("cannot-read", path.name, "is no HDF5 file that can be read", _AGAIN) from error
    if not found:
        raise fault("bad-net", path.name, "has no layers under layer/0, layer/1, ...", _AGAIN)
    return found


class _Layers:
    """Reads layers until `room` bytes are full."""

    def __init__(self, room: int) -> None:
        self.room = room

    def read(self, file: Any) -> dict[str, Values]:
        if "layer" not in file or not _is_own(file, "layer") or not hasattr(file["layer"], "keys"):
            return {}
        layers = file["layer"]
        names = list(layers)
        for number in range(len(names)):
            if str(number) not in names or not _is_own(layers, str(number)):
                raise fault("bad-net", f"layer/{number}", "is missing")
        return {f"layer{number}": self._layer(layers[str(number)]) for number in range(len(names))}

    def _layer(self, group: Any) -> Values:
        found: dict[str, Array | str] = {}

        def keep(name: str, item: Any) -> None:
            if hasattr(item, "shape") and item.shape is not None:
                value = self._value(f"{group.name}/{name}", item)
                if value is not None:
                    found[name] = value

        if not hasattr(group, "visititems"):
            raise fault("bad-net", group.name, "is no group of datasets", _AGAIN)
        group.visititems(keep)
        return found

    def _value(self, where: str, item: Any) -> Array | str | None:
        """A dataset; None for what no layer is described by."""
        if item.external or item.is_virtual:
            raise fault("bad-net", where, "lies in another file", "export the network into one file")
        size = math.prod(item.shape)
        self.room -= size * max(1, item.dtype.itemsize)
        if self.room < 0:
            raise fault("bad-net", where, "unpacks to more than a file of this size should hold", _AGAIN)
        if item.dtype.kind in "biuf":
            return np.asarray(item[()])
        return _word(item[()]) if item.dtype.kind in "SO" and size == 1 else None


def _is_own(group: Any, name: str) -> bool:
    """Whether a member lies in the file itself, and is not a link to another one."""
    return type(group.get(name, getlink=True)).__name__ == "HardLink"


def _word(value: Any) -> str:
    plain = value.reshape(-1)[0] if isinstance(value, np.ndarray) else value
    return plain[:_WORDS].decode(errors="replace") if isinstance(plain, bytes) else str(plain)[:_WORDS]


def number(name: str, values: Values, key: str, start: int, low: int, high: int) -> int:
    """A whole number in a range."""
    found = numbers(name, values, key, start)
    if found.size != 1 or not low <= found[0] <= high or found[0] != np.rint(found[0]):
        raise bad(name, f"{key} is no number of {low:,} to {high:,}")
    return int(found[0])


def numbers(name: str, values: Values, key: str, start: Any) -> Array:
    """A list of numbers, all of them finite."""
    found = np.asarray(values.get(key, start))
    if found.dtype.kind not in "biuf" or not np.isfinite(found).all():
        raise bad(name, f"has {key} that is no number")
    return found.reshape(-1).astype(np.int64) if found.dtype.kind == "b" else found.reshape(-1)


def text(values: Values, key: str) -> str:
    found = values.get(key)
    return found if isinstance(found, str) else ""


def bad(name: str, message: str) -> CompileError:
    return fault("bad-net", name, message)
