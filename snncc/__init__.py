"""snncc compiles trained spiking neural networks for neuromorphic hardware, with the same bits everywhere."""

from snncc.compiler import compile, import_model, model_data, open_program, simulate_float  # noqa: A004
from snncc.data import Data
from snncc.diagnostics import CompileError, Diagnostic
from snncc.program import Program

__all__ = [
    "CompileError",
    "Data",
    "Diagnostic",
    "Program",
    "compile",
    "import_model",
    "model_data",
    "open_program",
    "simulate_float",
]
