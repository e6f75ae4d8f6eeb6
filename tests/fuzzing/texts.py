"""Damage to JSON, TOML and .npz files that keeps them readable, so that it reaches what lies behind the parser."""

from __future__ import annotations

import io
import json
import random
import zipfile
from typing import Any

import numpy as np

from .damage import INTEGERS, NAMES, REALS


def bad_json(text: str, rng: random.Random) -> str:
    """Values changed, taken away, repeated or swapped, at any depth."""
    tree = {"root": json.loads(text)}
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        holders = list(_holders(tree))
        if "root" not in tree:
            break
        if rng.random() < 0.6:
            leaves = [(each, key) for each in holders for key in _keys(each) if type(each[key]) in (int, float)]
            each, key = rng.choice(leaves) if leaves else (tree, "root")
            each[key] = _other(each[key], rng)
            continue
        holder = rng.choice(holders)
        keys = _keys(holder)
        if not keys:
            continue
        key, what = rng.choice(keys), rng.randrange(8)
        if what == 0:
            del holder[key]
        elif what == 1 and isinstance(holder, dict):
            holder[rng.choice(NAMES)] = holder.pop(key)
        elif what == 2 and isinstance(holder, list):
            holder.insert(key, holder[key])
        elif what == 3:
            other = rng.choice(holders)
            chosen = rng.choice(_keys(other)) if other else None
            holder[key] = json.loads(json.dumps(other[chosen])) if chosen is not None else None
        else:
            holder[key] = _other(holder[key], rng)
    return json.dumps(tree.get("root"))


def _keys(holder: Any) -> list[Any]:
    return list(holder) if isinstance(holder, dict) else list(range(len(holder)))


def _holders(value: Any) -> Any:
    if isinstance(value, (dict, list)):
        yield value
        for each in list(value.values()) if isinstance(value, dict) else value:
            yield from _holders(each)


def _other(value: Any, rng: random.Random) -> Any:
    near: list[Any] = [value + 1, value - 1, -value, value * 2] if isinstance(value, int) else []
    if near and rng.random() < 0.6:
        return rng.choice(near)
    anything: tuple[Any, ...] = (*INTEGERS, 1 << 70, *REALS, *NAMES, None, True, [], {}, [[]], {"kind": "Conv"})
    return rng.choice(anything)


def bad_toml(text: str, rng: random.Random) -> str:
    """Lines taken away, repeated or moved, and other values behind a `=`."""
    lines = text.splitlines()
    for _ in range(rng.choice([1, 1, 2, 3])):
        place, what = rng.randrange(len(lines)), rng.randrange(7)
        if what == 0 and len(lines) > 1:
            del lines[place]
        elif what == 1:
            lines.insert(rng.randrange(len(lines)), lines[place])
        elif "=" in lines[place] and "command" not in lines[place] and "flags" not in lines[place]:
            lines[place] = f"{lines[place].split('=')[0]}= {_toml(lines[place], rng)}"
    return "\n".join(lines)


def _toml(line: str, rng: random.Random) -> str:
    small = rng.choice([0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 16, 20, 24, 31, 32, 40, 48, 53, 62, 63, 64, 65])
    if "[" in line and '"' not in line and rng.random() < 0.8:
        low, high = sorted([small, rng.choice([0, 1, 2, 4, 8, 15, 16, 31, 40, 62])])
        return f"[{low}, {high}]"
    if any(each.isdigit() for each in line.split("=")[1]) and rng.random() < 0.8:
        return str(small)
    words = ("zero", "floor", "nearest", "saturate", "wrap", "c", "chip", "lava", *NAMES)
    others = (*map(json.dumps, words), "true", "false", "[]", "{}", "[1]", "1e9", "nan", "1979-05-27", "= =", "'")
    return rng.choice(others)


def bad_npz(arrays: dict[str, Any], rng: random.Random) -> bytes:
    """Arrays of other types, shapes and values; members that lie about their size; members that are no arrays."""
    changed = dict(arrays)
    for _ in range(rng.choice([1, 1, 2])):
        name = rng.choice([*changed, "lengths", "y", "x"])
        changed[name] = _other_array(changed.get(name, np.zeros(3)), rng)
        if rng.random() < 0.1:
            del changed[name]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", rng.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])) as archive:
        for name, array in changed.items():
            archive.writestr(f"{name}.npy", _member(array, rng))
    return packed.getvalue()


def _other_array(array: Any, rng: random.Random) -> Any:
    kinds = ["f2", "f4", "f8", "i1", "i8", "u8", "?", "c8", "U3", "S2", "O", "M8[s]", ">i4", ">f8", "V4", "f16"]
    what = rng.randrange(6)
    with np.errstate(all="ignore"):
        if what == 0:
            return np.zeros(array.shape[: rng.randrange(array.ndim + 1)], array.dtype)
        if what == 1:
            shape = [rng.choice([0, 1, 2, each]) for each in array.shape] + rng.choice([[], [1]])
            return np.zeros(shape, array.dtype)
        if what == 2:
            return np.zeros(array.shape, rng.choice(kinds))
        if what == 3 and array.size and array.dtype.kind == "f":
            array = array.copy()
            array.flat[rng.randrange(array.size)] = rng.choice(REALS)
            return array
        if what == 4 and array.dtype.kind in "fi":
            return (array * rng.choice([-1, 0, 2, 1e6, 1e300])).astype(rng.choice(kinds[:6]))
        return np.array(rng.choice([*INTEGERS, *REALS])).astype(rng.choice(kinds[:7]))


def _member(array: Any, rng: random.Random) -> bytes:
    packed = io.BytesIO()
    if rng.random() < 0.9:
        np.lib.format.write_array(packed, np.asarray(array), allow_pickle=True)
        return packed.getvalue()
    header = {"descr": rng.choice(["<f8", "|O", "<f4", "|V0", "<U0"]), "fortran_order": False}
    shape = tuple(rng.choice([0, 1, 2, 1 << 20, 1 << 45]) for _ in range(rng.randrange(4)))
    np.lib.format.write_array_header_1_0(packed, {**header, "shape": shape})
    return packed.getvalue() + bytes(rng.choice([0, 8, 1 << 12]))
