"""Compilation without reference counts, and a hint to the processor's caches: what keeps the machine's loops short."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from snncc.jit import inlined, kept

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """An entry into compiled code that allocates nothing, as `inlined`: arrays come from outside."""
    return kept(function, _nrt=False, error_model="numpy")


def _lowest(_: Any, bits: Any) -> Any:
    """The number of the lowest bit that is set in a 64-bit integer that is not 0."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.IntType(1)(1))

    return types.int64(bits), generate


lowest = cast("Callable[[Any], int]", intrinsic(_lowest))


def _prefetch(_: Any, array: Any, index: Any) -> Any:
    """Begin to load array[index], of one dimension, into the cache; nothing else happens."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = signature.args[0]
        struct = context.make_array(kind)(context, builder, arguments[0])
        address = cgutils.get_item_pointer(context, builder, kind, struct, [arguments[1]])
        pointer = ir.IntType(8).as_pointer()
        number = ir.IntType(32)
        function = builder.module.declare_intrinsic(
            "llvm.prefetch", [pointer], ir.FunctionType(ir.VoidType(), [pointer, number, number, number])
        )
        builder.call(function, [builder.bitcast(address, pointer), *(number(each) for each in (0, 3, 1))])
        return context.get_dummy_value()

    return types.void(array, index), generate


prefetch = cast("Callable[[Any, Any], None]", intrinsic(_prefetch))


@inlined
def at(array: Any, index: Any) -> Any:
    """array[index], for an index that is not negative: compiled code need not ask."""
    return array[np.uint64(index)]
