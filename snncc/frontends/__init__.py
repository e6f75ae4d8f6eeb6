"""One file or folder a format that networks are imported from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from snncc.diagnostics import CompileError, Diagnostic, fault
from snncc.files import kind
from snncc.frontends.model import Finding, Model, findings

__all__ = ["Finding", "Model", "findings", "model_bytes", "read_ann", "read_model", "survey"]


def read_model(
    path: Path, states: Sequence[tuple[str, str]] = (), nir_style: str | None = None, dt: float | None = None
) -> Model:
    """Import a network; `states` pairs inputs with the outputs that are their next values, where that is unclear.

    `nir_style` and `dt` are what a .nir file leaves open.

    Raises CompileError: `unknown-format`, `bad-option`, and what the frontend of that format finds.
    """
    suffix = path.suffix.lower()
    if suffix != ".nir" and (nir_style is not None or dt is not None):
        name = "--dt" if nir_style is None else "--nir-style"
        raise fault("bad-option", name, f"is for .nir files; {path.name} is none", "leave it out")
    if suffix == ".onnx":
        from snncc.frontends.onnx.read import read_onnx

        return read_onnx(path, states)
    if states and suffix in (".net", ".nir"):
        hint = f"leave out --state: a {suffix} file says itself what each layer keeps"
        raise fault("bad-option", "--state", f"a {suffix} file has no state inputs to pair", hint)
    if suffix == ".nir":
        from snncc.frontends.nir import read_nir

        return read_nir(path, nir_style, dt)
    if suffix == ".net":
        from snncc.frontends.lava_dl import read_net

        return read_net(path)
    if not suffix and kind(path) == "nothing":
        raise fault("cannot-read", path.name, "No such file or directory", "models are .onnx, .nir or .net files")
    if kind(path) == "folder":
        raise fault("cannot-read", path.name, "is a folder", "give a model, an .onnx, .nir or .net file")
    what = f"has the suffix {suffix!r}" if suffix else "has no suffix"
    raise fault(
        "unknown-format",
        path.name,
        f"{what}; models are read from .onnx, .nir and .net files",
        "export the model to ONNX",
    )


def read_ann(path: Path) -> Model:
    """Import an ordinary network, whose activations are `Relu` layers yet.

    Raises CompileError: `unknown-format`, `already-spiking`, and what the frontend finds.
    """
    if path.suffix.lower() != ".onnx":
        message = "is no .onnx file; ordinary networks are read from those"
        raise fault("unknown-format", path.name, message, "leave out --convert for a spiking network")
    from snncc.frontends.onnx.ann import read_ann as read

    return read(path)


def survey(
    path: Path,
    states: Sequence[tuple[str, str]],
    nir_style: str | None,
    dt: float | None,
    faults: Sequence[Diagnostic],
    ordinary: bool,
) -> tuple[Finding, ...]:
    """What each node of a file was recognised as that was refused for `faults`; `ordinary`: as `read_ann` reads it.

    Empty where the file holds no network.
    """
    try:
        model = read_ann(path) if ordinary else read_model(path, states, nir_style, dt)
        return findings(model)
    except CompileError:
        suffix = path.suffix.lower()
    if suffix == ".onnx":
        from snncc.frontends.onnx.survey import survey as survey_onnx

        return survey_onnx(path, states, faults)
    if suffix == ".nir":
        from snncc.frontends.nir.survey import survey as survey_nir

        return survey_nir(path, nir_style, dt, faults)
    if suffix == ".net":
        from snncc.frontends.lava_dl.survey import survey as survey_net

        return survey_net(path)
    return ()


def model_bytes(model: Model, path: Path, dt: float | None = None) -> bytes:
    """An imported network in the format of the path's suffix; `dt` is the seconds of a step, for .nir.

    Raises CompileError: `unknown-format`, and what the format cannot express.
    """
    suffix = path.suffix.lower()
    if suffix == ".nir":
        from snncc.frontends.nir.write import nir_bytes

        return nir_bytes(model, dt)
    if suffix == ".onnx":
        from snncc.frontends.onnx.dialect.write import onnx_bytes

        return onnx_bytes(model)
    what = f"has the suffix {suffix!r}" if suffix else "has no suffix"
    raise fault(
        "unknown-format", path.name, f"{what}; networks are written to .nir and .onnx files", "choose another name"
    )
