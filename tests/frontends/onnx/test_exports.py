"""Real exports of whole networks and single neurons give ONNX Runtime's values, step by step."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from snncc.arrays import Array
from snncc.frontends import read_model
from snncc.layers import Input
from snncc.semantics import run_float

from .step_graphs import agrees

CELLS = Path(__file__).parents[2] / "data" / "onnx_cells"
MODELS = Path(__file__).parents[3] / "models"
# no neuron in the normal form: the threshold is doubled while the membrane is beyond it after a reset
OUTSIDE = {"snn_leaky_no_delay_ts"}
NEWEST = onnx.defs.onnx_opset_version()  # of the onnx that is installed; files may be newer


def opset(path: Path) -> int:
    return next(each.version for each in onnx.load(path, load_external_data=False).opset_import if not each.domain)


EXPORTS = sorted(path.stem for path in CELLS.glob("*.onnx") if path.stem not in OUTSIDE and opset(path) <= NEWEST)
SHIPPED = sorted(path.stem for path in MODELS.glob("*.onnx"))


@pytest.mark.parametrize("name", EXPORTS)
def test_an_export_gives_the_recorded_outputs(name: str) -> None:
    model = read_model(CELLS / f"{name}.onnx")
    with np.load(CELLS / f"{name}.npz") as recorded:
        x, y = recorded["x"], recorded["y"].reshape(len(recorded["x"]), -1)
    (output,) = run_float(model.graph, x[None]).outputs.values()
    np.testing.assert_allclose(output[0], y, rtol=1e-5, atol=1e-5)


def states_of(path: Path) -> dict[str, str]:
    """The shipped models pair their states by name."""
    graph = onnx.load(path).graph
    outputs = [each.name for each in graph.output]
    states = [each.name for each in graph.input if each.name != "x"]
    return {name: next(each for each in outputs if each in (f"{name}_next", f"{name}_out")) for name in states}


@pytest.mark.parametrize("name", SHIPPED)
def test_every_spike_of_a_shipped_model_is_onnx_runtimes(name: str) -> None:
    path = MODELS / f"{name}.onnx"
    model = read_model(path)
    with np.load(MODELS / f"{name}.npz") as file:
        samples: Array = file["x"][:3]
    shape = next(iter(model.graph.of_kind(Input).values())).shape
    assert model.steps is not None
    for sample in samples:
        frames = sample if sample.ndim > len(shape) else np.broadcast_to(sample, (model.steps, *sample.shape))
        agrees(model, path, frames, states_of(path), {"y": "y"})
