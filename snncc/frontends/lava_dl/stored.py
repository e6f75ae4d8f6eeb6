"""Finds the layers of a `.net` file and their numbers in its datasets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from snncc.arrays import Array
from snncc.diagnostics import CompileError, fault
from snncc.frontends.hdf5 import Room, is_own, opened

_AGAIN = "export it with net.export_hdf5"

Values = Mapping[str, Array | str]


def stored_layers(path: Path) -> dict[str, Values]:
    """The datasets of each layer by path, numbers as arrays and the rest as text."""
    with opened(path, "bad-net", _AGAIN) as (file, room):
        found = _layers(file, room)
    if not found:
        raise fault("bad-net", path.name, "has no layers under layer/0, layer/1, ...", _AGAIN)
    return found


def _layers(file: Any, room: Room) -> dict[str, Values]:
    if "layer" not in file or not is_own(file, "layer") or not hasattr(file["layer"], "keys"):
        return {}
    layers = file["layer"]
    names = list(layers)
    for number in range(len(names)):
        if str(number) not in names or not is_own(layers, str(number)):
            raise fault("bad-net", f"layer/{number}", "is missing")
    return {f"layer{number}": _layer(layers[str(number)], room) for number in range(len(names))}


def _layer(group: Any, room: Room) -> Values:
    """The datasets of a layer, and of the groups in it; links to elsewhere, and what lies deeper, are not looked at."""
    if not hasattr(group, "keys"):
        raise fault("bad-net", group.name, "is no group of datasets", _AGAIN)
    found: dict[str, Array | str] = {}
    for name, item in _items(group):
        inner = _items(item) if hasattr(item, "keys") else ()
        for path, each in ((name, item), *((f"{name}/{below}", each) for below, each in inner)):
            if hasattr(each, "shape") and each.shape is not None:
                value = room.value(f"{group.name}/{path}", each)
                if value is not None:
                    found[path] = value
    return found


def _items(group: Any) -> Iterator[tuple[str, Any]]:
    return ((name, group[name]) for name in group if is_own(group, name))


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
