"""Data files: `.npz` with inputs `x`, class labels `y` and sample `lengths`, checked before anything is run on them."""

from __future__ import annotations

import io
import math
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from snncc.arrays import Array, Ints, Shape
from snncc.diagnostics import Diagnostic, check, fault
from snncc.integers import Source
from snncc.runner import Trace

_MOST_BYTES = 16 << 30  # more would not fit the machine, whatever is done with it

_PART = 1 << 23  # values recorded at once: 64 MiB of int64


@dataclass(frozen=True, eq=False)
class Data:
    """`x` is (samples, steps, *shape), or (samples, *shape) for a static input presented at every step.

    `lengths` (samples,) int64 is each sample's own number of steps; `y` (samples,) int64 are class labels or None.
    """

    x: Array
    lengths: Ints
    y: Ints | None = None

    @property
    def steps(self) -> int:
        return int(self.lengths.max(initial=0))

    def part(self, start: int, stop: int) -> Data:
        """Some of the samples."""
        return replace(
            self,
            x=self.x[start:stop],
            lengths=self.lengths[start:stop],
            y=None if self.y is None else self.y[start:stop],
        )


def load(path: str | Path, shape: Shape, steps: int | None, limit: int | None = None) -> Data:
    """Read a data file for a network with inputs of `shape`; `steps` is used where x is static.

    `limit` keeps the first samples only. Raises CompileError: `bad-data` once for each thing that is wrong.
    """
    arrays = _arrays(Path(path))
    if "x" not in arrays:
        found = ", ".join(arrays) or "nothing that snncc reads"
        raise fault("bad-data", str(path), f"has no array x (it holds {found})", "x is (samples, steps, *shape)")
    x, y, lengths = (arrays.get(name) for name in ("x", "y", "lengths"))
    assert x is not None
    data = checked(str(path), x, lengths, y, shape, steps)
    return data if limit is None else data.part(0, limit)


def _arrays(path: Path) -> dict[str, Array]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = {each.filename: each for each in archive.infolist()}
            found = [name for name in ("x", "y", "lengths") if f"{name}.npy" in members]
            for name in found:
                _plausible(archive, members[f"{name}.npy"])
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in found}
    except OSError as error:
        raise fault("bad-data", str(path), f"cannot be read: {error.strerror or error}") from error
    except (zipfile.BadZipFile, zlib.error, ValueError, EOFError, NotImplementedError, RuntimeError) as error:
        # the last two are what zipfile raises for unknown compression and for encrypted members
        raise fault(
            "bad-data", str(path), "is not an .npz file of plain arrays", "write it with numpy.savez"
        ) from error


def _plausible(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    """Refuse a member whose header promises more than the member holds, or that unpacks to an absurd size."""
    with archive.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(stream)
        promised = math.prod(shape) * dtype.itemsize
        if promised > _MOST_BYTES or promised != member.file_size - stream.tell():
            raise ValueError(f"{member.filename} promises {promised} bytes")


def checked(where: str, x: Array, lengths: Array | None, y: Array | None, shape: Shape, steps: int | None) -> Data:
    """The data, if every array fits the network and the others."""
    check(_faults(where, x, lengths, y, shape, steps))
    static = x.shape[1:] == shape
    most = steps if static else x.shape[1]
    own = np.full(len(x), most, np.int64) if lengths is None else lengths.astype(np.int64)
    return Data(x, own, None if y is None else y.astype(np.int64))


def _faults(
    where: str, x: Array, lengths: Array | None, y: Array | None, shape: Shape, steps: int | None
) -> Iterator[Diagnostic]:
    static = x.shape[1:] == shape
    wanted = ", ".join(map(str, shape))
    if not static and x.shape[2:] != shape:
        yield Diagnostic(
            "bad-data",
            where,
            f"x has shape {x.shape}; this network needs (samples, {wanted}) or (samples, steps, {wanted})",
            "reshape x; `snncc check` shows the network's input",
        )
        return
    if x.dtype.kind not in "biuf":
        yield Diagnostic("bad-data", where, f"x has dtype {x.dtype}; it must be of numbers")
    elif not np.isfinite(x).all():
        count = int((~np.isfinite(x)).sum())
        yield Diagnostic("bad-data", where, f"x holds {count:,} values that are not finite")
    if len(x) == 0:
        yield Diagnostic("bad-data", where, "x holds no sample")
    if static and steps is None:
        yield Diagnostic("bad-data", where, "x is static, and the number of steps is not known", "give --steps N")
    for name, array in (("y", y), ("lengths", lengths)):
        if array is not None and (array.shape != (len(x),) or array.dtype.kind not in "iu"):
            found = f"{name} has shape {array.shape} and dtype {array.dtype}"
            yield Diagnostic("bad-data", where, f"{found}; it must be ({len(x)},) whole numbers")
        elif name == "lengths" and array is not None:
            yield from _length_faults(where, array, steps if static else x.shape[1])


def _length_faults(where: str, lengths: Array, most: int | None) -> Iterator[Diagnostic]:
    if most is not None and ((lengths < 1) | (lengths > most)).any():
        found = f"{int(lengths.min())}..{int(lengths.max())}"
        yield Diagnostic("bad-data", where, f"lengths must lie in 1..{most}; found {found}")


def to_integers(source: Source, x: Array) -> Ints:
    """What the network reads: round-half-even(x / scale), saturated to the source's bits."""
    return np.clip(np.rint(x.astype(np.float64) / source.scale), source.lowest, source.highest).astype(np.int64)


def parts(data: Data, values_per_step: int) -> Iterator[Data]:
    """Consecutive parts of a data set, each small enough that recording `values_per_step` values fits in memory."""
    size = max(1, _PART // max(1, values_per_step * data.steps))
    for start in range(0, len(data.x), size):
        yield data.part(start, start + size)


def save_trace(path: str | Path, trace: Trace) -> None:
    """Write a trace: `out/NAME` for outputs, `spikes/POP` and `v/POP` (after reset) for recorded populations.

    Each is (samples, steps, neurons). Raises CompileError (`cannot-write`).
    """
    arrays = {f"out/{name}": value for name, value in trace.outputs.items()}
    arrays |= {f"spikes/{name}": value for name, value in trace.spikes.items()}
    arrays |= {f"v/{name}": value for name, value in trace.membranes.items()}
    packed = io.BytesIO()
    np.savez_compressed(packed, **arrays)  # type: ignore[arg-type]
    replace_file(Path(path), packed.getvalue())


def replace_file(path: Path, content: bytes) -> None:
    """Write a file whole or not at all. Raises CompileError (`cannot-write`)."""
    try:
        with tempfile.NamedTemporaryFile(dir=path.absolute().parent, prefix=f".{path.name}-", delete=False) as scratch:
            scratch.write(content)
        Path(scratch.name).replace(path)
    except OSError as error:
        raise fault("cannot-write", str(path), error.strerror or str(error)) from error
