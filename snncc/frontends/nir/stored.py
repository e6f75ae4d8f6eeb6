"""Reads the nodes and edges of a `.nir` file, as they stand there; what they mean is read elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from snncc.arrays import Array
from snncc.diagnostics import CompileError, Diagnostic, fault
from snncc.frontends.hdf5 import Room, is_own, opened

RULE = "bad-nir"
AGAIN = "write it with nir.write"
_DEEPEST = 16  # graphs within each other
_MOST = 1 << 12  # nodes, and edges, of all graphs: a node is a layer
_LONGEST = 1 << 10  # characters of a node's name
OURS = "snncc_"  # what the keys of snncc's own metadata begin with


@dataclass(frozen=True, eq=False)
class Stored:
    """A node: its type and its values; a graph has nodes and edges in their place."""

    kind: str
    values: Mapping[str, Array | str]
    metadata: Mapping[str, Array | str] = field(default_factory=dict[str, "Array | str"])
    nodes: Mapping[str, Stored] = field(default_factory=dict[str, "Stored"])
    edges: Sequence[tuple[str, str]] = ()


def stored_graph(path: Path) -> Stored:
    """The file's outermost graph. Raises CompileError: `cannot-read`, `no-h5py`, `bad-nir`."""
    with opened(path, RULE, AGAIN) as (file, room):
        if "node" not in file or not is_own(file, "node"):
            raise fault(RULE, path.name, "holds no NIR network: there is no group `node`", AGAIN)
        found = _Reader(room).node("", file["node"], 0)
    if found.kind != "NIRGraph":
        raise fault(RULE, path.name, f"is a single {found.kind}", "wrap it: nir.NIRGraph.from_list(node)")
    return found


class _Reader:
    """Reads nodes until the room is full, or there are too many."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self.nodes = self.edges = 0

    def node(self, name: str, group: Any, depth: int) -> Stored:
        self.nodes += 1
        if self.nodes > _MOST:
            raise fault(RULE, name, f"is one of more than {_MOST:,} nodes", "a node stands for a layer")
        if not hasattr(group, "keys"):
            raise fault(RULE, name, "is no group of values", AGAIN)
        values: dict[str, Array | str] = {}
        metadata: Mapping[str, Array | str] = {}
        members = list(group.keys())
        for key in members:
            if not is_own(group, key):
                raise fault(RULE, _inside(name, key), "is a link to somewhere else", "export the network into one file")
            if key == "metadata":
                metadata = self._values(name, group[key], [each for each in _keys(group[key]) if each.startswith(OURS)])
        plain = [key for key in members if key not in ("metadata", "nodes", "edges")]
        values = self._values(name, group, plain)
        kind = values.pop("type", "nothing")
        if not isinstance(kind, str):
            raise fault(RULE, name, "has a type that is no name", AGAIN)
        if kind != "NIRGraph":
            return Stored(kind, values, metadata)
        if depth == _DEEPEST:
            raise fault(RULE, name, f"lies within more than {_DEEPEST} graphs", "give the network as one graph")
        lacking = [each for each in ("nodes", "edges") if each not in members]
        if lacking:
            raise fault(RULE, name or "the network", f"has no {' and no '.join(lacking)}", AGAIN)
        return Stored(kind, values, metadata, self._nodes(name, group["nodes"], depth), self._edges(name, group))

    def _values(self, name: str, group: Any, keys: Sequence[str]) -> dict[str, Array | str]:
        """The numbers and words among a group's members."""
        found: dict[str, Array | str] = {}
        for key in keys:
            item = group[key]
            if hasattr(item, "shape") and item.shape is not None:
                value = self.room.value(_inside(name, key), item)
                if value is not None:
                    found[key] = value
        return found

    def _nodes(self, name: str, group: Any, depth: int) -> dict[str, Stored]:
        found: dict[str, Stored] = {}
        for key in _keys(group):
            if not is_own(group, key):
                raise fault(RULE, _inside(name, key), "is a link to somewhere else", "export the network into one file")
            if len(key) > _LONGEST:
                message = f"has a name of {len(key):,} characters; read are {_LONGEST:,}"
                raise fault(RULE, _inside(name, key[:20]), message)
            readable = key.encode(errors="surrogateescape").decode(errors="replace")
            found[readable] = self.node(_inside(name, readable), group[key], depth + 1)
        return found

    def _edges(self, name: str, group: Any) -> list[tuple[str, str]]:
        """Pairs of names."""
        where = _inside(name, "edges")
        if not is_own(group, "edges"):
            raise fault(RULE, where, "is a link to somewhere else", "export the network into one file")
        item = group["edges"]
        shape = getattr(item, "shape", None)
        if shape is not None and shape[:1] == (0,):
            return []
        if shape is None or len(shape) != 2 or shape[1] != 2 or item.dtype.kind not in "SO":
            raise fault(RULE, where, "is no list of pairs of names", AGAIN)
        self.edges += shape[0]
        if self.edges > _MOST:
            raise fault(RULE, where, f"makes more than {_MOST:,} edges", "a node stands for a layer")
        found: list[tuple[str, str]] = []
        for row in self.room.rows(where, item):
            pair = [_name(each) for each in row]
            longest = max(map(len, pair))
            if longest > _LONGEST:
                raise fault(RULE, where, f"gives a name of {longest:,} characters; read are {_LONGEST:,}")
            found.append((pair[0], pair[1]))
        return found


def _name(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _inside(name: str, key: str) -> str:
    return f"{name}.{key}" if name else key


def _keys(group: Any) -> list[str]:
    return list(group.keys()) if hasattr(group, "keys") else []


def bad(where: str, message: str, hint: str = "") -> Diagnostic:
    return Diagnostic(RULE, where, message, hint)


def wrong(where: str, message: str, hint: str = "") -> CompileError:
    return CompileError([bad(where, message, hint)])
