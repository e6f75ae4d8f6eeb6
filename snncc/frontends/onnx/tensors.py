"""Reads the numbers of an ONNX file, inline or in a file beside it, and trusts none of the sizes it states."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np
from onnx.onnx_ml_pb2 import TensorProto

from snncc.arrays import Array, frozen
from snncc.diagnostics import CompileError, fault

_DTYPES: dict[int, np.dtype[np.generic]] = {
    TensorProto.FLOAT: np.dtype("<f4"),
    TensorProto.DOUBLE: np.dtype("<f8"),
    TensorProto.FLOAT16: np.dtype("<f2"),
    TensorProto.INT8: np.dtype("i1"),
    TensorProto.INT16: np.dtype("<i2"),
    TensorProto.INT32: np.dtype("<i4"),
    TensorProto.INT64: np.dtype("<i8"),
    TensorProto.UINT8: np.dtype("u1"),
    TensorProto.UINT16: np.dtype("<u2"),
    TensorProto.UINT32: np.dtype("<u4"),
    TensorProto.UINT64: np.dtype("<u8"),
    TensorProto.BOOL: np.dtype("?"),
}
_WORDS: dict[int, str] = {  # which repeated field holds the values of a type, where they are not raw bytes
    TensorProto.FLOAT: "float_data",
    TensorProto.DOUBLE: "double_data",
    TensorProto.INT64: "int64_data",
    TensorProto.UINT32: "uint64_data",
    TensorProto.UINT64: "uint64_data",
}
MAX_RANK = 32


def text(value: Any) -> str:
    """A string of the file; protobuf gives bytes where it is not UTF-8."""
    return value if isinstance(value, str) else bytes(value).decode("utf-8", "replace")


def printable(name: str) -> str:
    """A name of the user's file, fit for a terminal: no control characters, not endless."""
    clean = "".join(char if char.isprintable() else "?" for char in name[:120])
    return clean + "..." if len(name) > 120 else clean


def numpy_type(code: int) -> np.dtype[np.generic] | None:
    """The numpy type of an ONNX element type; None for those that no spiking network needs."""
    return _DTYPES.get(code)


def type_name(code: int) -> str:
    names = dict(zip(TensorProto.DataType.values(), TensorProto.DataType.keys(), strict=True))
    return names.get(code, f"number {code}").lower()


@dataclass(frozen=True)
class TensorReader:
    """Decodes tensors; `folder` is the model's own, the only one that its external data may come from."""

    folder: Path

    def read(self, tensor: TensorProto, name: str) -> Array:
        """The values, read-only and without a copy where the file's bytes can be used as they are."""
        where = printable(name)
        dtype = numpy_type(tensor.data_type)
        if dtype is None:
            raise fault(
                "unsupported-type",
                where,
                f"holds values of type {type_name(tensor.data_type)}",
                "export the model with float32 parameters",
            )
        shape = tuple(tensor.dims)
        if len(shape) > MAX_RANK or any(each < 0 for each in shape):
            raise fault("corrupt-tensor", where, f"has the impossible shape {_dims(shape)}", _CORRUPT)
        count = math.prod(shape)
        if tensor.data_location == TensorProto.EXTERNAL:
            values = self._external(tensor, where, dtype, count)
        elif tensor.HasField("raw_data"):
            raw = tensor.raw_data
            if len(raw) != count * dtype.itemsize:
                raise _size_mismatch(where, shape, count * dtype.itemsize, len(raw), "bytes")
            values = np.frombuffer(raw, dtype)
        else:
            values = _typed(tensor, where, dtype, shape)
        values = values.astype(np.float32) if dtype == np.float16 else values
        return frozen(values.reshape(shape))

    def _external(self, tensor: TensorProto, where: str, dtype: np.dtype[np.generic], count: int) -> Array:
        entries = {text(entry.key): text(entry.value) for entry in tensor.external_data}
        path = self._inside(entries.get("location", ""), where)
        offset = _number(entries, "offset", where)
        length = _number(entries, "length", where)
        needed = count * dtype.itemsize
        if length is not None and length != needed:
            raise fault("corrupt-tensor", where, f"needs {needed:,} bytes, but states a length of {length:,}", _CORRUPT)
        try:
            size = path.stat().st_size
            if not path.is_file():
                raise fault("external-data", where, f"{printable(path.name)} is not a file", _BESIDE)
            if (offset or 0) + needed > size:
                raise fault(
                    "external-data",
                    where,
                    f"needs {needed:,} bytes from {offset or 0:,} on, but {printable(path.name)} holds {size:,}",
                    "copy the data file again; it is shorter than the model says",
                )
            return np.fromfile(path, dtype, count, offset=offset or 0)
        except OSError as error:
            reason = error.strerror or "cannot be read"
            raise fault("external-data", where, f"{printable(path.name)}: {reason}", _BESIDE) from None

    def _inside(self, location: str, where: str) -> Path:
        """The file that `location` names, if it lies in the model's folder with all links followed."""
        outside = fault(
            "external-data",
            where,
            f"its data is at {printable(location)!r}, which is not a path inside the model's folder",
            "data files must lie in the model's folder or below it",
        )
        if not location or "\0" in location or PureWindowsPath(location).drive or "\\" in location:
            raise outside
        if PurePosixPath(location).is_absolute() or ".." in PurePosixPath(location).parts:
            raise outside
        try:
            folder = self.folder.resolve()
            path = (folder / location).resolve()
        except (OSError, RuntimeError):  # a loop of links, a name too long
            raise outside from None
        if not path.is_relative_to(folder):
            raise outside
        return path


_CORRUPT = "the file is damaged: export it again"
_BESIDE = "keep the model's data files beside it, or export with external_data=False"


def _typed(tensor: TensorProto, where: str, dtype: np.dtype[np.generic], shape: tuple[int, ...]) -> Array:
    field = _WORDS.get(tensor.data_type, "int32_data")
    words = getattr(tensor, field)
    count = math.prod(shape)
    if len(words) != count:
        raise _size_mismatch(where, shape, count, len(words), "values")
    if dtype == np.float16:  # stored as the bits of each number
        return _fitting(words, np.dtype(np.uint16), where).view(np.float16)
    if dtype.kind == "f":
        return np.array(words, dtype)
    return _fitting(words, dtype, where)


def _fitting(words: Iterable[int], dtype: np.dtype[np.generic], where: str) -> Array:
    wide = np.array(words, np.uint64 if dtype == np.uint64 else np.int64)
    if dtype.kind == "b":
        return wide != 0
    narrow = wide.astype(dtype)
    if not np.array_equal(narrow, wide):
        raise fault("corrupt-tensor", where, f"has values that do not fit its type {dtype.name}", _CORRUPT)
    return narrow


def _size_mismatch(where: str, shape: tuple[int, ...], needed: int, found: int, unit: str) -> CompileError:
    message = f"has shape {_dims(shape)}, so {needed:,} {unit}, but the file holds {found:,}"
    return fault("corrupt-tensor", where, message, _CORRUPT)


def _dims(shape: tuple[int, ...]) -> str:
    return "(" + ", ".join(map(str, shape[:MAX_RANK])) + ")"


def _number(entries: dict[str, str], key: str, where: str) -> int | None:
    stated = entries.get(key)
    if stated is None:
        return None
    if not (stated.isascii() and stated.isdigit() and len(stated) < 19):
        raise fault("corrupt-tensor", where, f"its external {key} is {printable(stated)!r}, not a number", _CORRUPT)
    return int(stated)
