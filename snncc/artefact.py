"""A compiled program on disk: the target's own files, and under `reference/` all that `simulate` and `verify` need.

`reference/artefact.json` is the contract (input scale, steps, outputs, target), `network.json` and `network.bin` the
integer network, with the trained weights as pruning left them, where it did, and with the classes that neurons were
named for. Written whole or not at all; the same
program gives the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from snncc import chip as chips
from snncc import files as files_
from snncc import records
from snncc.arrays import Array
from snncc.chip import Chip
from snncc.diagnostics import CompileError, Diagnostic, check, fault
from snncc.events.ops import EventNetwork, EventOp, EventPopulation, EventSource
from snncc.events.wellformed import malformed as malformed_events
from snncc.graph import Edge, Graph
from snncc.integers import IntOp, Network, Output, Population, Source, Synapse
from snncc.linear import malformed
from snncc.named import Named
from snncc.pace import FewerSteps
from snncc.serial import Reader, Writer
from snncc.wellformed import malformed as malformed_network

FORMAT = 1
_MARK = "reference/artefact.json"
_AGAIN = "compile the model again"
MOST_STEPS = 1_000_000
_LONGEST_NAME = 255
_MOST_NEURONS = 1 << 28  # more would not fit any machine that runs the reference


@dataclass(frozen=True)
class Manifest:
    """What a program is, besides its network: `steps` None leaves the number of steps to the data.

    `fewer` says how it came to take fewer steps than the model, and how samples are read then; with `early_exit` they
    end as soon as they are decided.
    """

    title: str
    backend: str
    chip: Chip
    steps: int | None
    sha256: str
    fewer: FewerSteps | None = None
    early_exit: bool = False
    format: int = FORMAT


@dataclass(frozen=True)
class Link:
    """An edge of the network as it is stored."""

    source: str
    target: str
    delay: int


@dataclass(frozen=True, eq=False)
class Refitted:
    """The weights of a layer as they are stored: the bits of its floats, as integers of the same size."""

    layer: str
    bits: Array


AnyNetwork = Network | EventNetwork
Pruned = Mapping[str, Array]  # weights in floats, by layer of the legal graph
_FLOATS = {np.dtype(np.int32): np.float32, np.dtype(np.int64): np.float64}


def reference_files(
    title: str,
    backend: str,
    chip: Chip,
    steps: int | None,
    network: AnyNetwork,
    fewer: FewerSteps | None = None,
    early_exit: bool = False,
    pruned: Pruned | None = None,
    named: Named | None = None,
) -> Mapping[str, bytes]:
    """The files under `reference/`, by relative path."""
    writer = Writer()
    plain: dict[str, Any] = {
        "ops": {name: writer.plain(op) for name, op in network.ops.items()},
        "edges": [writer.plain(Link(edge.source, edge.target, edge.delay)) for edge in network.edges],
    }
    if pruned is not None:
        plain["pruned"] = [writer.plain(Refitted(layer, _bits(weight))) for layer, weight in pruned.items()]
    if named is not None:
        plain["named"] = writer.plain(named)
    text, blob = _json(plain), bytes(writer.blob)
    manifest = Manifest(title, backend, chip, steps, hashlib.sha256(text + blob).hexdigest(), fewer, early_exit)
    return {
        _MARK: _json(Writer().plain(manifest)),
        "reference/network.json": text,
        "reference/network.bin": blob,
    }


def _bits(weight: Array) -> Array:
    return weight.astype(weight.dtype.newbyteorder("=")).view(f"int{8 * weight.dtype.itemsize}")


def _json(plain: Any) -> bytes:
    return (json.dumps(plain, indent=1, ensure_ascii=True, allow_nan=False) + "\n").encode()


def write(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write an artefact as one rename; an older artefact at that place is replaced, anything else is refused."""
    files_.replace_folder(folder, files, _MARK)


def place_for(folder: Path) -> None:
    """Raise what `write` would raise about the place, before the work of compiling is done."""
    files_.place_for_folder(folder, _MARK)


def read(folder: Path) -> tuple[Manifest, AnyNetwork, Pruned | None, Named | None]:
    """The manifest and the network of an artefact; and what pruning left of the trained weights, if it was pruned.

    Last, what its neurons were named for, if they were.

    Raises CompileError: `not-an-artefact`, or `damaged-artefact` with the file and what does not fit.
    """
    if files_.kind(folder / _MARK) != "file":
        kinds = {"nothing": "is not there", "file": "is a file, not the folder of a program"}
        there = kinds.get(files_.kind(folder), f"has no {_MARK}")
        raise fault("not-an-artefact", str(folder), there, "compile a model: snncc compile MODEL -o DIR")
    blob = _bytes(folder, "reference/network.bin")
    text = _bytes(folder, "reference/network.json")
    manifest = _manifest(_parsed(_MARK, _bytes(folder, _MARK)))
    if hashlib.sha256(text + blob).hexdigest() != manifest.sha256:
        raise _damaged("reference/network.*", "does not have the digest that its manifest gives")
    plain = _parsed("reference/network.json", text)
    network = _network(plain, blob)
    return manifest, network, _pruned(plain, blob), _named(plain, network)


def _manifest(plain: Any) -> Manifest:
    manifest: Manifest = Reader(_MARK, b"").value(Manifest, plain, "manifest")
    if manifest.format != FORMAT:
        raise _damaged(_MARK, f"is of format {manifest.format}; this snncc reads format {FORMAT}")
    if manifest.steps is not None and not 1 <= manifest.steps <= MOST_STEPS:
        raise _damaged(_MARK, f"has {manifest.steps:,} steps; 1 to {MOST_STEPS:,} are possible")
    for reason in manifest.fewer.faults() if manifest.fewer else ():
        raise _damaged(_MARK, reason)
    chips.checked(_bare(plain["chip"]), records.Reader(_MARK, "", "damaged-artefact"))
    return manifest


def _bare(plain: Any) -> Any:
    """A record as a chip's own file has it: without the names of classes, and without what is not given."""
    if isinstance(plain, dict):
        given = cast("dict[str, Any]", plain)
        return {key: _bare(value) for key, value in given.items() if key != "kind" and value is not None}
    return [_bare(each) for each in cast("list[Any]", plain)] if isinstance(plain, list) else plain


def _network(plain: Any, blob: bytes) -> AnyNetwork:
    reader = Reader("reference/network.json", blob)
    if not isinstance(plain, dict) or set(cast("dict[str, Any]", plain)) - {"pruned", "named"} != {"ops", "edges"}:
        raise _damaged("reference/network.json", "must hold ops and edges")
    ops_plain, edges_plain = cast("dict[str, Any]", plain)["ops"], cast("dict[str, Any]", plain)["edges"]
    if not isinstance(ops_plain, dict) or not isinstance(edges_plain, list):
        raise _damaged("reference/network.json", "must hold ops by name and a list of edges")
    ops: dict[str, IntOp | EventOp] = {
        name: reader.value(IntOp | EventOp, each, name) for name, each in cast("dict[str, Any]", ops_plain).items()
    }
    for name in ops:
        if not _is_name(name):
            raise _damaged("reference/network.json", f"has an op with the name {name[:60]!r}")
    links: list[Link] = [reader.value(Link, each, "edges") for each in cast("list[Any]", edges_plain)]
    for name, op in ops.items():
        reason = malformed(op.map) if isinstance(op, Synapse) else None
        if reason:
            raise _damaged("reference/network.json", f"{name}: {reason}")
    neurons = sum(math.prod(op.shape) for op in ops.values() if isinstance(op, (Source, Population, EventPopulation)))
    outputs = sum(op.map.out_size for op in ops.values() if isinstance(op, Synapse))
    if neurons + outputs > _MOST_NEURONS:
        raise _damaged("reference/network.json", f"has {neurons + outputs:,} neurons")
    try:
        return _joined(ops, [Edge(link.source, link.target, link.delay) for link in links])
    except ValueError as error:
        raise _damaged("reference/network.json", str(error)) from error


def _pruned(plain: Mapping[str, Any], blob: bytes) -> Pruned | None:
    """The weights that `reference_files` was given."""
    if "pruned" not in plain:
        return None
    reader, found = Reader("reference/network.json", blob), dict[str, Array]()
    for each in reader.value(tuple[Refitted, ...], plain["pruned"], "pruned"):
        weight = each.bits.view(_FLOATS[each.bits.dtype]) if each.bits.dtype in _FLOATS and each.bits.ndim else None
        if weight is None or not np.isfinite(weight).all():
            raise _damaged("reference/network.json", f"{each.layer[:60]!r} was pruned to weights that are no numbers")
        found[each.layer] = weight
    return found


def _named(plain: Mapping[str, Any], network: AnyNetwork) -> Named | None:
    """The names that `reference_files` was given."""
    if "named" not in plain:
        return None
    named = Reader("reference/network.json", b"").value(Named, plain["named"], "named")
    read = network[network.incoming(next(iter(network.of_kind(Output))))[0].source]
    size = read.size if isinstance(read, (Population, EventPopulation)) else 0
    for reason in named.faults(size):
        raise _damaged("reference/network.json", reason)
    return named


def _joined(ops: Mapping[str, IntOp | EventOp], edges: Sequence[Edge]) -> AnyNetwork:
    """A network of one kind or the other; a ValueError if no ops can be joined so."""
    events = {name: op for name, op in ops.items() if isinstance(op, (EventSource, EventPopulation, Synapse, Output))}
    if len(events) == len(ops):
        network = EventNetwork(events, edges)
        faults = malformed_events(network)
    else:
        integers = {name: op for name, op in ops.items() if not isinstance(op, (EventPopulation, EventSource))}
        network = Graph(integers, edges)
        faults = malformed_network(network)
    check(
        Diagnostic("damaged-artefact", "reference/network.json", f"{at}: {message}", _AGAIN) for at, message in faults
    )
    return network


def _is_name(name: str) -> bool:
    """Whether an op may be called that: what is recorded of it is saved under its name."""
    parts = name.replace("\\", "/").split("/")
    return 0 < len(name) <= _LONGEST_NAME and name.isprintable() and not {"", ".", ".."} & set(parts)


def _bytes(folder: Path, name: str) -> bytes:
    try:
        return files_.content(folder / name)
    except OSError as error:
        raise _damaged(name, f"cannot be read: {files_.reason(error)}") from error


def _parsed(name: str, text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _damaged(name, "is not JSON") from error


def _damaged(name: str, message: str) -> CompileError:
    return fault("damaged-artefact", name, message, _AGAIN)
