"""Models as they were trained, before any pass: read, written in another format, run in floats."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from snncc import contracts, files
from snncc import data as datasets
from snncc.analysis.metrics import Run, summarise
from snncc.conversion import Conversion, converted
from snncc.data import Data, DataLike, as_data
from snncc.diagnostics import Diagnostic, check, fault
from snncc.encoding import shown, source_for
from snncc.frontends import Model, model_bytes, read_model
from snncc.layers import Decoder, Input, Neuron, Output, default_decoder, size
from snncc.named import UNNAMED
from snncc.passes.legalise import legalise
from snncc.program import Progress, no_progress
from snncc.runner import Trace
from snncc.semantics import run_float

Path_ = str | os.PathLike[str]


def import_model(
    model: Path_,
    states: Sequence[tuple[str, str]] = (),
    *,
    conversion: Conversion | None = None,
    nir_style: str | None = None,
    dt: float | None = None,
) -> Model:
    """A model as it was trained, before any pass: `snncc.compile` without a target.

    `nir_style` and `dt`, the seconds of a step, are what a .nir file leaves open (docs/nir.md). A `conversion` turns an
    ordinary network (ANN) into a spiking one.
    """
    if conversion is None:
        imported = read_model(Path(model), states, nir_style, dt)
    elif states or nir_style or dt:
        message = "an ordinary network has neither states nor what NIR leaves open"
        raise fault("bad-option", "--convert", message, "leave out --state, --nir-style and --dt")
    else:
        imported = converted(Path(model), conversion)
    return replace(imported, warnings=(*imported.warnings, *check(contracts.imported(imported.graph))))


def convert(
    model: Path_,
    output: Path_,
    *,
    states: Sequence[tuple[str, str]] = (),
    conversion: Conversion | None = None,
    nir_style: str | None = None,
    dt: float | None = None,
) -> tuple[Diagnostic, ...]:
    """Write a model in the format of the output's suffix, .nir or .onnx, and return what there is to warn of.

    `dt` is the seconds of a step, for a .nir file at either end; other arguments are those of `import_model`. Raises
    CompileError: as `import_model`, `unknown-format`, `bad-option`, `cannot-write`, and what the format cannot express.
    """
    files.place_for_file(Path(output))
    read, written = (Path(each).suffix.lower() == ".nir" for each in (model, output))
    if dt is not None and not (read or written):
        raise fault("bad-option", "--dt", "is the time of a step in a .nir file; neither file is one", "leave it out")
    imported = import_model(model, states, conversion=conversion, nir_style=nir_style, dt=dt if read else None)
    files.replace_file(Path(output), model_bytes(imported, Path(output), dt if written else None))
    return (*imported.warnings, *_left_out(imported))


def _left_out(model: Model) -> Iterator[Diagnostic]:
    if model.network is not None:
        message = "the file's own integer network is left out: what is written are the layers that it stands for"
        yield Diagnostic("integer-network", model.name, message, "compile the original for the chip's bits", "warning")


def model_data(
    model: Model,
    x: DataLike,
    *,
    steps: int | None = None,
    limit: int | None = None,
    rate: float | None = None,
    seed: int | None = None,
    learning: bool = False,
) -> Data:
    """Data for a model as it was trained; `steps` for static input defaults to what the model's metadata say.

    Static values for a model that reads spikes become spikes as in `Program.data`, where those of one that is
    `learning`, or brings a rule of its own, need no rate.
    """
    layer = next(iter(model.graph.of_kind(Input).values()))
    data = as_data(x, layer.shape, steps, usual=model.steps, limit=limit)
    count = data.steps if isinstance(x, Data) else steps or model.steps or data.steps
    where = str(x) if isinstance(x, (str, os.PathLike)) else "x"
    return shown(data, source_for(layer), count, rate, seed, learning=learning or bool(model.learn), where=where)


def simulate_float(
    model: Model, data: Data, *, decoder: Decoder | None = None, record: bool = False, progress: Progress = no_progress
) -> Run:
    """Run a model as it was trained, in float64: the accuracy that a compiled program is measured against."""
    legal = legalise(model.graph)
    neurons = legal.of_kind(Neuron)
    decoders: dict[str, Decoder] = {
        name: decoder or op.decoder or model.decoder or default_decoder(op)
        for name, op in legal.of_kind(Output).items()
    }
    per_step = sum(4 * size(each.shape) for each in neurons.values())
    traces: list[Trace] = []
    done = 0
    for part in datasets.parts(data, per_step):
        traces.append(run_float(legal, part.x, part.steps, part.lengths, record=tuple(neurons) if record else ()))
        done += len(part.x)
        progress(done, len(data.x))
    return summarise(traces, data.lengths, data.y, decoders, 0.0, UNNAMED if model.learn else None)
