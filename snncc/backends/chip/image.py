"""A chip's program as it is stored: what lies on every core, what leads there, and the neurons' parameters.

`program.json` has the structure, `program.bin` the arrays, little-endian. Senders are the input and the populations, in
the network's order. All tables of cores are sorted by core; one more core than the chip has stands for the host, whose
tables say what populations of the host give to each other.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

import numpy as np

from snncc.arrays import Array
from snncc.chip import Mesh
from snncc.diagnostics import CompileError, fault
from snncc.integers import Output, Plasticity, Population, Source
from snncc.linear import Conv
from snncc.mapping import cores_of
from snncc.serial import Reader, Writer

FORMAT = 2
STRUCTURE, ARRAYS = "program.json", "program.bin"
SPARSE, DENSE, SHARED = range(3)
FORMS = ("sparse", "dense", "shared")


@dataclass(frozen=True, eq=False)
class Sender:
    """The input, or a population. `cores` (size,) is where each neuron lies, None for the host.

    Neuron n sends to the cores `core[k]`, to their axons `axon[k]`, start[n] <= k < start[n + 1]. `inner` (size,) is
    its axon among those of the host, or -1; None on a core.
    """

    name: str
    op: Source | Population
    cores: Array | None
    start: Array
    core: Array
    axon: Array
    inner: Array | None


@dataclass(frozen=True, eq=False)
class Group:
    """The synapses from one sender, `source`, to another, `target`; `kernel` if their weights are shared.

    What they add is shifted left by `exponent`; `width` are the bits of a weight as it is stored. Of synapses that
    learn, by `plasticity`, the weights here are those that neurons see before the first sample.
    """

    name: str
    source: int
    target: int
    exponent: int
    width: int
    kernel: Conv | None
    plasticity: Plasticity | None = None


@dataclass(frozen=True, eq=False)
class Blocks:
    """Sorted by core, axon and group, one entry a block; `delay` in steps, `words` are read with it, and `synapses`.

    `first` and `count` say where its data lie. Sparse: entries of `targets` (numbers of neurons on the core) and of
    `weights`. Dense: entries of `weights`, for the neurons from `neuron` on. Shared: `first` is the sender's index in
    the input of the kernel, `count` is 0.
    """

    group: Array
    form: Array
    delay: Array
    words: Array
    synapses: Array
    first: Array
    count: Array
    neuron: Array


@dataclass(frozen=True, eq=False)
class Readout:
    """An output of the network, and the number of the population that it reads."""

    name: str
    op: Output
    reads: int


@dataclass(frozen=True, eq=False)
class Image:
    """A program. Core c has the axons `axons[c]` to `axons[c + 1]`, an axon the blocks `starts[a]` to `starts[a + 1]`.

    `sums` is the width in which inputs are added up.
    """

    format: int
    title: str
    chip: str
    mesh: Mesh
    senders: tuple[Sender, ...]
    groups: tuple[Group, ...]
    readouts: tuple[Readout, ...]
    sums: Literal["int32", "int64"]
    axons: Array
    starts: Array
    blocks: Blocks
    targets: Array
    weights: Array

    def homes(self) -> tuple[Array | None, ...]:
        """The core of every neuron, by sender, the host being one more core; None for the input."""
        host = cores_of(self.mesh)
        return tuple(_home(each, host) for each in self.senders)


def _home(sender: Sender, host: int) -> Array | None:
    if isinstance(sender.op, Source):
        return None
    return np.full(sender.op.size, host, np.int32) if sender.cores is None else sender.cores


class Contents(NamedTuple):
    """What the program's two files hold."""

    structure: bytes
    arrays: bytes


def files(image: Image) -> Mapping[str, bytes]:
    """The program's two files."""
    writer = Writer()
    plain = writer.plain(image)
    blob = bytes(writer.blob)
    head = {"sha256": hashlib.sha256(blob).hexdigest()}
    text = json.dumps({**head, "program": plain}, indent=1, ensure_ascii=True, allow_nan=False) + "\n"
    return {STRUCTURE: text.encode(), ARRAYS: blob}


def contents(folder: Path) -> Contents:
    """The program's files in a folder. Raises CompileError (`damaged-artefact`)."""
    return Contents(_bytes(folder, STRUCTURE), _bytes(folder, ARRAYS))


def parsed(given: Contents) -> Image:
    """The program: of the right types, every array within the file; its numbers are not checked yet.

    Raises CompileError (`damaged-artefact`).
    """
    try:
        plain: Any = json.loads(given.structure)
    except (ValueError, RecursionError) as error:
        raise damaged("is not JSON") from error
    if not isinstance(plain, dict) or set(cast("dict[str, Any]", plain)) != {"sha256", "program"}:
        raise damaged("must hold a digest and a program")
    head = cast("dict[str, Any]", plain)
    if head["sha256"] != hashlib.sha256(given.arrays).hexdigest():
        raise damaged(f"does not have the digest of {ARRAYS}")
    image: Image = Reader(STRUCTURE, given.arrays).value(Image, head["program"], "program")
    if image.format != FORMAT:
        raise damaged(f"is of format {image.format}; this snncc reads format {FORMAT}")
    return _widened(image)


def _widened(image: Image) -> Image:
    """The same with lists of 64-bit integers wherever numbers are looked up or added, so that no sum can wrap."""
    senders = (replace(each, **_wide(each, each.name)) for each in image.senders)
    starts = {name: _list(getattr(image, name), name) for name in ("axons", "starts")}
    blocks = replace(image.blocks, **_wide(image.blocks, "blocks"))
    return replace(image, senders=tuple(senders), blocks=blocks, **starts)


def _wide(record: Sender | Blocks, where: str) -> dict[str, Array]:
    arrays = {each.name: getattr(record, each.name) for each in fields(record)}
    return {name: _list(array, f"{where}.{name}") for name, array in arrays.items() if isinstance(array, np.ndarray)}


def _list(array: Array, where: str) -> Array:
    if array.ndim != 1:
        raise damaged(f"{where} is no list")
    return array.astype(np.int64)


def damaged(message: str) -> CompileError:
    """The fault of a program that cannot be run."""
    return fault("damaged-artefact", STRUCTURE, message, "compile the model again")


def _bytes(folder: Path, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except OSError as error:
        raise fault("damaged-artefact", name, error.strerror or "cannot be read", "compile the model again") from error
