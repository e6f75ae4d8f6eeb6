"""snncc compiles trained spiking neural networks for neuromorphic hardware, with the same bits everywhere."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from snncc.compiler import compile, open_program  # noqa: A004  the word of the field
    from snncc.conversion import Conversion
    from snncc.data import Data
    from snncc.diagnostics import CompileError, Diagnostic
    from snncc.importing import convert, import_model, model_data, simulate_float
    from snncc.program import Program

__all__ = [
    "CompileError",
    "Conversion",
    "Data",
    "Diagnostic",
    "Program",
    "compile",
    "convert",
    "import_model",
    "model_data",
    "open_program",
    "simulate_float",
]

_HOMES = {
    "CompileError": "diagnostics",
    "Conversion": "conversion",
    "Data": "data",
    "Diagnostic": "diagnostics",
    "Program": "program",
    "convert": "importing",
    "import_model": "importing",
    "model_data": "importing",
    "simulate_float": "importing",
}


def __getattr__(name: str) -> Any:
    """The public names are imported when they are first used, so that the command line starts at once."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"snncc.{_HOMES.get(name, 'compiler')}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
