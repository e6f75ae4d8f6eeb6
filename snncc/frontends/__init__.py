"""One file or folder a format that networks are imported from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from snncc.diagnostics import fault
from snncc.files import kind
from snncc.frontends.model import Model

__all__ = ["Model", "read_model"]


def read_model(path: Path, states: Sequence[tuple[str, str]] = ()) -> Model:
    """Import a network; `states` pairs inputs with the outputs that are their next values, where that is unclear.

    Raises CompileError: `unknown-format`, `bad-option`, and what the frontend of that format finds.
    """
    suffix = path.suffix.lower()
    if suffix == ".onnx":
        from snncc.frontends.onnx.read import read_onnx

        return read_onnx(path, states)
    if suffix == ".net":
        from snncc.frontends.lava_dl import read_net

        if states:
            hint = "leave out --state: a .net file says itself what each layer keeps"
            raise fault("bad-option", "--state", "a .net file has no state inputs to pair", hint)
        return read_net(path)
    if not suffix and kind(path) == "nothing":
        raise fault("cannot-read", path.name, "No such file or directory", "models are .onnx or .net files")
    if kind(path) == "folder":
        raise fault("cannot-read", path.name, "is a folder", "give a model, an .onnx or .net file")
    what = f"has the suffix {suffix!r}" if suffix else "has no suffix"
    raise fault(
        "unknown-format", path.name, f"{what}; models are read from .onnx and .net files", "export the model to ONNX"
    )
