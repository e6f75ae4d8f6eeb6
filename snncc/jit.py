"""Compiled loops: numba, with its code kept on disk where there is a place for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """The function in machine code. Of what it calls, only functions of its own file are noticed when they change."""
    try:
        return cast("F", numba.njit(cache=True)(function))
    except RuntimeError:  # there is no folder that numba may keep its code in
        return cast("F", numba.njit()(function))
