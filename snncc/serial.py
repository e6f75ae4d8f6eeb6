"""Writes frozen dataclasses (networks, chips) as JSON beside one block of array bytes, and reads them back safely.

No pickle: a reader names the class that it expects, every value is checked against the field's type, and no array is
longer than the bytes that are there.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import numpy as np

from snncc.arrays import Array, frozen
from snncc.diagnostics import fault

T = TypeVar("T")
_ALIGN = 16
_DTYPES = {name: np.dtype(name).newbyteorder("<") for name in ("int8", "int16", "int32", "int64")}


@dataclass
class Writer:
    """Collects the bytes of the arrays met while writing; `blob` is aligned so that it can be mapped."""

    blob: bytearray = field(default_factory=bytearray)

    def plain(self, value: Any) -> Any:
        """A value as JSON has it: classes as objects with a `kind`, arrays as where to find them."""
        if isinstance(value, np.ndarray):
            return self._array(cast("Array", value))
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = {each.name: self.plain(getattr(value, each.name)) for each in dataclasses.fields(value)}
            return {"kind": type(value).__name__, **fields}
        if isinstance(value, (tuple, list)):
            return [self.plain(each) for each in cast("list[Any]", value)]
        return value

    def _array(self, array: Array) -> Any:
        if array.ndim == 0:
            return array.item()
        name = array.dtype.name
        self.blob.extend(bytes(-len(self.blob) % _ALIGN))
        offset = len(self.blob)
        self.blob.extend(np.ascontiguousarray(array, _DTYPES[name]).tobytes())
        return {"dtype": name, "shape": list(array.shape), "offset": offset}


@dataclass(frozen=True)
class Reader:
    """Reads what `Writer` wrote; `file` is named in the CompileError (`damaged-artefact`) for what does not fit."""

    file: str
    blob: bytes

    def value(self, kind: Any, plain: Any, where: str) -> Any:
        """A value of the annotated type `kind` from its JSON form."""
        kind = getattr(kind, "__supertype__", kind)  # what a NewType stands for
        origin = get_origin(kind)
        composite = {
            np.ndarray: lambda: self._array(plain, where),
            Union: lambda: self._one_of(get_args(kind), plain, where),
            types.UnionType: lambda: self._one_of(get_args(kind), plain, where),
            tuple: lambda: self._tuple(get_args(kind), plain, where),
        }
        if origin in composite:
            return composite[origin]()
        if dataclasses.is_dataclass(kind) and isinstance(kind, type):
            return self._record(kind, plain, where)
        if origin is Literal:
            return self._expect(plain in get_args(kind), plain, where)
        good = type(plain) in (int, float) if kind is float else type(plain) is kind
        scalar = self._expect(good, plain, where)
        return float(scalar) if kind is float else scalar

    def _expect(self, good: bool, plain: Any, where: str) -> Any:
        if not good:
            raise fault(
                "damaged-artefact",
                self.file,
                f"{where}: {str(plain)[:60]!r} does not belong there",
                "compile the model again",
            )
        return plain

    def _one_of(self, kinds: tuple[Any, ...], plain: Any, where: str) -> Any:
        if plain is None:
            return self._expect(type(None) in kinds, plain, where)
        named = cast("dict[str, Any]", plain).get("kind") if isinstance(plain, dict) else None
        for kind in kinds:
            if dataclasses.is_dataclass(kind) and isinstance(kind, type) and kind.__name__ == named:
                return self._record(kind, plain, where)
        rest = [kind for kind in kinds if kind is not type(None) and not dataclasses.is_dataclass(kind)]
        self._expect(len(rest) == 1, plain, where)
        return self.value(rest[0], plain, where)

    def _tuple(self, kinds: tuple[Any, ...], plain: Any, where: str) -> Any:
        self._expect(isinstance(plain, list), plain, where)
        items = cast("list[Any]", plain)
        if len(kinds) == 2 and kinds[1] is Ellipsis:
            kinds = (kinds[0],) * len(items)
        self._expect(len(items) == len(kinds), plain, where)
        return tuple(self.value(kind, each, where) for kind, each in zip(kinds, items, strict=True))

    def _record(self, kind: type[T], plain: Any, where: str) -> T:
        self._expect(isinstance(plain, dict) and plain.get("kind") == kind.__name__, plain, where)
        given = cast("Mapping[str, Any]", plain)
        hints = get_type_hints(kind)
        names = {each.name for each in dataclasses.fields(cast("Any", kind))}
        self._expect(names == set(given) - {"kind"}, sorted(given), where)
        return kind(**{name: self.value(hints[name], given[name], f"{where}.{name}") for name in names})

    def _array(self, plain: Any, where: str) -> Array:
        if type(plain) is int:
            self._expect(abs(plain) < 1 << 63, plain, where)
            return frozen(plain, np.int64)
        self._expect(isinstance(plain, dict) and set(plain) == {"dtype", "shape", "offset"}, plain, where)
        dtype, shape, offset = (cast("dict[str, Any]", plain)[key] for key in ("dtype", "shape", "offset"))
        self._expect(dtype in tuple(_DTYPES) and isinstance(shape, list) and type(offset) is int, plain, where)
        sizes = cast("list[Any]", shape)
        self._expect(all(type(each) is int and each >= 0 for each in sizes) and len(sizes) <= 8, plain, where)
        count = 1
        for each in sizes:
            count *= each
        self._expect(offset >= 0 and offset + count * _DTYPES[dtype].itemsize <= len(self.blob), plain, where)
        flat = np.frombuffer(self.blob, _DTYPES[dtype], count, offset)
        return frozen(flat.reshape(sizes).astype(np.dtype(dtype), copy=False))
