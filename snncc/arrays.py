"""Array types used across the compiler, and the few operations on arrays that every room needs."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Shape = tuple[int, ...]


def frozen(array: npt.ArrayLike, dtype: type[np.generic] | None = None) -> Array:
    """A read-only, C-contiguous view (or copy) of `array`; 0-d arrays stay 0-d."""
    result = np.asarray(array, dtype=dtype, order="C").view()
    result.flags.writeable = False
    return result


def digest(array: Array) -> str:
    """Four hexadecimal digits that stand for the contents, equal on every machine."""
    little = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False)
    return hashlib.sha256(little.tobytes()).hexdigest()[:4]


def short(array: Array) -> str:
    """The form used in dumps: the number itself for a scalar, else `int8[128,64]#3fa1`."""
    if array.ndim == 0:
        return str(array.item())
    sizes = ",".join(map(str, array.shape))
    return f"{array.dtype.name}[{sizes}]#{digest(array)}"
