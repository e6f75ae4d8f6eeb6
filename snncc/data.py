"""Data files: `.npz` with inputs `x`, class labels `y`, sample `lengths` and `reward`, checked before any is used."""

from __future__ import annotations

import io
import lzma
import math
import os
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from snncc import files
from snncc.arrays import Array, Ints, Shape
from snncc.diagnostics import Diagnostic, check, fault
from snncc.integers import Source
from snncc.pace import Pace
from snncc.runner import Trace

DataLike: TypeAlias = "Data | npt.ArrayLike | str | os.PathLike[str]"

_MOST_BYTES = 16 << 30  # of an array, on machines that do not say how much memory they have

MOST_REWARD = (1 << 16) - 1

_PART = 1 << 23  # values recorded at once: 64 MiB of int64


@dataclass(frozen=True, eq=False)
class Data:
    """`x` is (samples, steps, *shape), or (samples, *shape) for a static input presented at every step.

    `lengths` (samples,) int64 is each sample's own number of steps; `y` (samples,) int64 are class labels or None.
    `reward` (samples, steps) int64 is what rules that ask for a reward get in each step, or None.
    `pace` is how a network that takes fewer steps has read it, if it has. `coding` is how static values become spikes,
    for a network that reads these.
    """

    x: Array
    lengths: Ints
    y: Ints | None = None
    reward: Ints | None = None
    pace: Pace | None = None
    coding: Coding | None = None

    @property
    def steps(self) -> int:
        return int(self.lengths.max(initial=0))

    def part(self, start: int, stop: int) -> Data:
        """Some of the samples, one after another."""
        return self.rows(slice(start, stop))

    def rows(self, rows: slice | Ints) -> Data:
        """Some of the samples."""
        return replace(
            self,
            x=self.x[rows],
            lengths=self.lengths[rows],
            y=None if self.y is None else self.y[rows],
            reward=None if self.reward is None else self.reward[rows],
            coding=self.coding and replace(self.coding, numbers=self.coding.numbers[rows]),
        )

    def spiking(self) -> Data:
        """The samples with the spikes that their values become; those that have no coding as they are."""
        if self.coding is None:
            return self
        from snncc.spike_draws import encoded  # with its compiled loop, which other programs need not wait for

        flat = self.x.reshape(len(self.x), -1) / self.coding.brightest
        spikes = encoded(flat, self.coding.numbers, self.coding.steps, self.coding.rate, self.coding.seed)
        return replace(self, x=spikes.reshape(*spikes.shape[:2], *self.x.shape[1:]) * self.coding.unit, coding=None)


@dataclass(frozen=True, eq=False)
class Coding:
    """How static values become spikes: those of `brightest` at a `rate` in each of so many steps, by draws of a seed.

    `numbers` (samples,) are what the draws know samples by; a spike has the value `unit`.
    """

    steps: int
    rate: float
    seed: int
    brightest: float
    numbers: Ints
    unit: int | float = 1


def load(path: str | Path, shape: Shape, steps: int | None, limit: int | None = None) -> Data:
    """Read a data file for a network with inputs of `shape`; `steps` is used where x is static.

    `limit` reads the first samples only. Raises CompileError: `bad-data` once for each thing that is wrong.
    """
    where = str(path)
    try:
        with files.opened(Path(path)) as file, zipfile.ZipFile(file) as archive:
            forms = _forms(where, archive)
            check(_form_faults(where, forms, shape, steps))
            arrays = {name: _values(where, archive, form, limit) for name, form in forms.items()}
    except OSError as error:
        hint = "" if Path(path).suffix else "data files are .npz files"
        raise fault("bad-data", where, f"cannot be read: {files.reason(error)}", hint) from error
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, RuntimeError) as error:
        # the last two are what zipfile raises for unknown compression and for encrypted members
        raise fault("bad-data", where, "is not an .npz file, or only a part of one", _WRITE_IT) from error
    return _data(where, arrays, shape, steps)


_WRITE_IT = "write it with numpy.savez(FILE, x=..., y=...)"


@dataclass(frozen=True)
class _Form:
    """What the header of a member of a file says about its array."""

    member: str
    shape: Shape
    dtype: np.dtype[Any]
    by_columns: bool


class _Formed(Protocol):
    """An array, or what is known of one that was not read yet."""

    @property
    def shape(self) -> Shape: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...


def _forms(where: str, archive: zipfile.ZipFile) -> dict[str, _Form]:
    """The headers of the arrays that matter; a file that lies about a size is refused before anything is unpacked."""
    members = {each.filename.removesuffix(".npy"): each for each in archive.infolist()}
    if "x" not in members:
        found = ", ".join(sorted(members)[:8]) or "nothing"
        raise fault(
            "bad-data", where, f"has no array x (it holds {found})", f"x is (samples, steps, *shape): {_WRITE_IT}"
        )
    forms: dict[str, _Form] = {}
    faults: list[Diagnostic] = []
    for name in ("x", "y", "lengths", "reward"):
        if name in members:
            try:
                forms[name] = _form(archive, members[name])
            except _BAD_HEADER as error:
                faults.append(Diagnostic("bad-data", where, f"{name} is damaged: {_short(error)}", _WRITE_IT))
    check(faults)
    return forms


# what numpy raises for headers that are none, or no Python literals
_BAD_HEADER = (ValueError, TypeError, SyntaxError, UnicodeError, RecursionError, tokenize.TokenError)


def _short(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:100] if str(error).strip() else type(error).__name__


def _form(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> _Form:
    with archive.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a header that Python 2 wrote is fine
            shape, by_columns, dtype = read(stream)
        held = member.file_size - stream.tell()
    promised = math.prod(shape) * dtype.itemsize
    if not dtype.hasobject and (min(shape, default=0) < 0 or promised != held):
        raise ValueError(f"it promises {promised:,} bytes, and holds {held:,}")
    return _Form(member.filename, tuple(shape), dtype, by_columns)


def _values(where: str, archive: zipfile.ZipFile, form: _Form, limit: int | None) -> Array:
    """The array, or its first rows."""
    rows = _rows(form) if limit is None or form.by_columns else min(limit, _rows(form))
    shape = (rows, *form.shape[1:])
    size = math.prod(shape) * form.dtype.itemsize
    try:
        if size > memory():
            raise MemoryError
        with archive.open(form.member) as stream:
            stream.seek(archive.getinfo(form.member).file_size - math.prod(form.shape) * form.dtype.itemsize)
            raw = stream.read(size)
        if len(raw) != size:
            raise zipfile.BadZipFile
        return np.frombuffer(raw, form.dtype).reshape(shape, order="F" if form.by_columns else "C")[:limit]
    except MemoryError:
        message = f"{form.member} takes {size / (1 << 30):,.1f} GiB: more than this machine has"
        raise fault("bad-data", where, message, "take fewer samples with --limit, or cut the file into parts") from None


def _rows(form: _Formed) -> int:
    return form.shape[0] if form.shape else 1


def memory() -> int:
    """Bytes of memory that the machine has, if it says."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return _MOST_BYTES


def checked(where: str, given: Mapping[str, Array | None], shape: Shape, steps: int | None) -> Data:
    """The data of arrays `x`, and `y`, `lengths` and `reward` if there are, if each fits the network and the others."""
    arrays = {name: array for name, array in given.items() if array is not None}
    check(_form_faults(where, arrays, shape, steps))
    return _data(where, arrays, shape, steps)


def as_data(
    x: DataLike,
    shape: tuple[int, ...],
    steps: int | None = None,
    *,
    usual: int | None = None,
    own: Mapping[str, npt.ArrayLike | None] | None = None,
    limit: int | None = None,
) -> Data:
    """Data for inputs of `shape`, from a file's path or from arrays; static input takes `steps`, else the `usual`.

    Data and files have `lengths`, `y` and `reward` of their own; arrays get them from `own`. Raises CompileError:
    `bad-data`, and `bad-option` for what the data have of their own, for `steps` too where x is not static.
    """
    own = own or {}
    if isinstance(x, Data):
        check(_own({"steps": steps, **own}, "the data"))
        most = x.steps if x.reward is None else x.reward.shape[1]
        arrays = {"x": x.x, "lengths": x.lengths, "y": x.y, "reward": x.reward}
        data = replace(checked("x", arrays, shape, most), pace=x.pace, coding=x.coding)
        return data if limit is None else data.part(0, limit)
    if isinstance(x, (str, os.PathLike)):
        check(_own(own, "the file"))
        data = load(Path(x), shape, steps or usual, limit)
    else:
        arrays = {name: None if each is None else np.asarray(each) for name, each in {"x": x, **own}.items()}
        data = checked("x", arrays, shape, steps or usual)
        data = data if limit is None else data.part(0, limit)
    if steps is not None and data.x.shape[1:] != shape:
        message = f"is for static input; x has steps of its own, {data.x.shape[1]}"
        raise fault("bad-option", "--steps", message, "leave it out; `lengths` in the data file makes samples shorter")
    return data


def _own(given: Mapping[str, object], holder: str) -> Iterator[Diagnostic]:
    """What is given beside data that have it already."""
    for name, value in given.items():
        if value is not None:
            hint = "leave it out, or give the array x in their place"
            yield Diagnostic("bad-option", name, f"is given beside {holder}, which say it themselves", hint)


def _data(where: str, arrays: Mapping[str, Array], shape: Shape, steps: int | None) -> Data:
    """The data of arrays that have the right form, if their values make sense."""
    x, y, lengths, reward = (arrays.get(name) for name in ("x", "y", "lengths", "reward"))
    assert x is not None
    most = steps if x.shape[1:] == shape else x.shape[1]
    assert most is not None
    check((*_value_faults(where, x, lengths, y, most), *_reward_faults(where, reward)))
    own = np.full(len(x), most, np.int64) if lengths is None else lengths.astype(np.int64)
    if reward is not None:
        reward = np.broadcast_to(reward.astype(np.int64).reshape(len(x), -1), (len(x), most))
    return Data(x, own, None if y is None else y.astype(np.int64), reward)


def _form_faults(where: str, arrays: Mapping[str, _Formed], shape: Shape, steps: int | None) -> Iterator[Diagnostic]:
    """What is wrong with shapes and types, of which headers are enough."""
    x, wanted = arrays["x"], ", ".join(map(str, shape))
    static = x.shape[1:] == shape
    if not static and x.shape[2:] != shape:
        message = f"x has shape {x.shape}; this network needs (samples, {wanted}) or (samples, steps, {wanted})"
        yield Diagnostic("bad-data", where, message, "reshape x; `snncc check` shows the network's input")
    elif x.shape[0] == 0:
        yield Diagnostic("bad-data", where, "x holds no sample", "it needs one at least")
    elif not static and x.shape[1] == 0:
        yield Diagnostic("bad-data", where, "x holds no time step", "it needs one at least")
    elif static and steps is None:
        message = "x is static, and the number of steps is not known"
        yield Diagnostic("bad-data", where, message, "give --steps N")
    if x.dtype.kind not in "biuf":
        yield Diagnostic("bad-data", where, f"x has dtype {x.dtype}; it must be of numbers", f"convert it: {_WRITE_IT}")
    for name in ("y", "lengths"):
        array = arrays.get(name)
        if array is not None and (array.shape != x.shape[:1] or array.dtype.kind not in "iu"):
            found = f"{name} has shape {array.shape} and dtype {array.dtype}"
            meaning = "the class of each sample" if name == "y" else "the number of steps of each sample"
            message = f"{found}; it must be ({_rows(x)},) whole numbers"
            yield Diagnostic("bad-data", where, message, f"it is {meaning}")

    reward, most = arrays.get("reward"), steps if static else x.shape[1] if len(x.shape) > 1 else None
    if reward is not None and (reward.shape not in (x.shape[:1], (_rows(x), most)) or reward.dtype.kind not in "iu"):
        message = f"reward has shape {reward.shape} and dtype {reward.dtype}"
        wanted = f"{message}; it must be ({_rows(x)},) or ({_rows(x)}, {most}) whole numbers"
        yield Diagnostic("bad-data", where, wanted, "it is the reward of each sample, or of each of its steps")


def _reward_faults(where: str, reward: Array | None) -> Iterator[Diagnostic]:
    if reward is not None and not -MOST_REWARD <= reward.min(initial=0) <= reward.max(initial=0) <= MOST_REWARD:
        message = (
            f"reward lies in {int(reward.min()):,}..{int(reward.max()):,}; no rule takes more than {MOST_REWARD:,}"
        )
        yield Diagnostic("bad-data", where, message, "scale it")


def _value_faults(where: str, x: Array, lengths: Array | None, y: Array | None, most: int) -> Iterator[Diagnostic]:
    bad = x.size - int(np.count_nonzero(np.isfinite(x)))
    if bad:
        place = np.unravel_index(int(np.argmin(np.isfinite(x))), x.shape)
        first = ", ".join(str(int(each)) for each in place)
        message = f"x holds {bad:,} values that are not finite, the first at [{first}]"
        yield Diagnostic("bad-data", where, message, "clean or leave out those samples")
    if lengths is not None and ((lengths < 1) | (lengths > most)).any():
        found = f"{int(lengths.min())}..{int(lengths.max())}"
        message = f"lengths must lie in 1..{most}; found {found}"
        yield Diagnostic("bad-data", where, message, "they count the steps of each sample that are real")
    if y is not None and y.min(initial=0) < 0:
        yield Diagnostic("bad-data", where, f"y holds the class {int(y.min())}", "classes count from 0")


def paced(data: Data, shape: Shape, pace: Pace) -> Data:
    """The samples as a network with inputs of `shape` reads them at a pace; static ones, and those read so, stay.

    Raises CompileError (`bad-data`) for samples that were read at another pace.
    """
    if data.x.shape[1:] == shape or data.pace == pace:
        return data
    if data.pace is not None:
        message = f"x was read one step in {data.pace.every} already, for a network other than this one"
        raise fault("bad-data", "x", message, "give the file or the array that it was read from")
    x = data.x[:, :: pace.every] if pace.gather == "first" else _largest(data, pace.every)
    lengths = -(-data.lengths // pace.every)
    if pace.most is not None:
        x, lengths = x[:, : pace.most], np.minimum(lengths, pace.most)
    return replace(data, x=x, lengths=lengths, reward=None, pace=pace)  # such networks learn nothing


def _largest(data: Data, every: int) -> Array:
    """The largest values in each `every` steps, of those before a sample's end."""
    x = data.x
    live = np.arange(x.shape[1]) < data.lengths[:, None]
    if not live.all():
        lowest = np.iinfo(x.dtype).min if x.dtype.kind in "iu" else False if x.dtype.kind == "b" else -np.inf
        x = np.where(live.reshape(*live.shape, *[1] * (x.ndim - 2)), x, np.asarray(lowest, x.dtype))
    firsts = np.arange(0, x.shape[1], every)
    largest = np.maximum.reduceat(x, firsts, axis=1)
    over = ~live[:, firsts]
    largest[over] = 0
    return largest


def to_integers(source: Source, x: Array) -> Ints:
    """What the network reads: round-half-even(x / scale), saturated to the source's bits."""
    with np.errstate(over="ignore"):  # what is infinite then is saturated
        levels = np.rint(x.astype(np.float64) / source.scale)
    return np.clip(levels, source.lowest, source.highest).astype(np.int64)


def parts(data: Data, values_per_step: int) -> Iterator[Data]:
    """Consecutive parts of a data set, each small enough that recording `values_per_step` values fits in memory.

    Static values that become spikes have become them.

    Raises CompileError (`bad-data`) where there is no sample.
    """
    if len(data.x) == 0:
        raise fault("bad-data", "x", "x holds no sample", "it needs one at least")
    size = max(1, _PART // max(1, values_per_step * data.steps))
    for start in range(0, len(data.x), size):
        yield data.part(start, start + size).spiking()


def save_trace(path: str | Path, trace: Trace) -> None:
    """Write a trace: `out/NAME` for outputs, `spikes/POP` and `v/POP` (after reset) for recorded populations.

    Each is (samples, steps, neurons). Raises CompileError (`cannot-write`).
    """
    arrays = {f"out/{name}": value for name, value in trace.outputs.items()}
    arrays |= {f"spikes/{name}": value for name, value in trace.spikes.items()}
    arrays |= {f"v/{name}": value for name, value in trace.membranes.items()}
    packed = io.BytesIO()
    np.savez_compressed(packed, **arrays)  # type: ignore[arg-type]  numpy's stub has allow_pickle there
    files.replace_file(Path(path), packed.getvalue())
