"""Compiled loops: numba, with its code kept on disk where there is a place for it; and threads to run them on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., Any])
Given = TypeVar("Given")
Found = TypeVar("Found")


def compiled(function: F) -> F:
    """The function in machine code, which lets other threads run meanwhile.

    Of what it calls, only functions of its own file are noticed when they change.
    """
    return kept(function, nogil=True)


def inlined(function: F) -> F:
    """For functions that are written into whoever calls them. They must not allocate: no one counts references there.

    Counting takes an atomic operation per array and call, which can take several times as long as the work.
    """
    return kept(function, _nrt=False, error_model="numpy", forceinline=True)


def kept(function: F, **how: Any) -> F:
    """The function, compiled as numba's options say."""
    try:
        return cast("F", numba.njit(cache=True, **how)(function))
    except RuntimeError:  # there is no folder that numba may keep its code in
        return cast("F", numba.njit(**how)(function))


def on_threads(function: Callable[[Given], Found], items: Iterable[Given]) -> list[Found]:
    """What a function finds for each of some items, in their order; it runs on as many threads as there are cores."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(function, items))
