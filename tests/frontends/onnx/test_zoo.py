"""Every file of the exporter zoo becomes a network with ONNX Runtime's outputs, spike for spike."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from snncc.arrays import Array
from snncc.frontends import Model, read_model
from snncc.layers import Input, Output
from snncc.semantics import decode, run_float

from .step_graphs import runtime

FILES = Path(os.environ.get("SNNCC_ZOO", Path(__file__).parents[2] / "zoo" / "files"))  # or one made anew
STEPS = 100  # in all, of as many sequences as that takes
NAMES = sorted(path.stem for path in FILES.glob("*.onnx"))


def frames(shape: tuple[int, ...], seed: int) -> Array:
    return np.random.default_rng(seed).normal(0.6, 1.1, shape).astype(np.float32)


def data_shape(model: Model) -> tuple[int, ...]:
    return next(iter(model.graph.of_kind(Input).values())).shape


def whole(model: Model, session: onnxruntime.InferenceSession, outputs: dict[str, Output]) -> None:
    """A file that takes all steps at once: several sequences, from rest each, of a batch or not."""
    (port,) = session.get_inputs()
    steps = model.steps or 25
    shape = [steps if not isinstance(size, int) else size for size in port.shape]
    for seed in range(math.ceil(STEPS / steps)):
        x = frames(tuple(shape), seed)
        wanted = session.run(None, {port.name: x})
        own = data_shape(model)
        several = x.size > math.prod(own)
        fed = x.reshape(1, steps, *own) if several else np.broadcast_to(x.reshape(1, 1, *own), (1, steps, *own))
        computed = run_float(model.graph, fed, steps).outputs
        assert len(wanted) == len(outputs)
        for (name, output), values in zip(outputs.items(), wanted, strict=True):
            found = computed[name] if output.decoder is None else decode(computed[name], output.decoder)
            same(found / steps if output.decoder == "mean" else found, values, output)


def stepwise(model: Model, session: onnxruntime.InferenceSession, output: Output) -> None:
    """A file that takes one step, and the states of the last one."""
    data, *states = session.get_inputs()
    x = frames((STEPS, *data_shape(model)), 0)
    values = {each.name: np.zeros(each.shape, np.float32) for each in states}
    wanted: list[Array] = []
    for frame in x:
        y, *after = session.run(None, {data.name: frame.reshape(data.shape), **values})
        values = dict(zip(values, after, strict=True))
        wanted.append(y.reshape(-1))
    (found,) = run_float(model.graph, x[None], STEPS).outputs.values()
    same(found, np.array(wanted), output)


def same(found: Array, wanted: Array, output: Output) -> None:
    if output.value == "spikes" and output.decoder != "mean":
        np.testing.assert_array_equal(found.reshape(-1), wanted.reshape(-1))
    else:
        np.testing.assert_allclose(found.reshape(-1), wanted.reshape(-1), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_the_zoo_computes_what_onnx_runtime_computes(name: str) -> None:
    path = FILES / f"{name}.onnx"
    model = read_model(path)
    session = runtime(onnx.load(path))
    outputs = dict(model.graph.of_kind(Output))
    if any(f"_{form}_" in name for form in ("step", "functions", "modules", "custom")):
        (output,) = outputs.values()
        stepwise(model, session, output)
    else:
        whole(model, session, outputs)


def test_the_zoo_is_large_and_its_files_are_small() -> None:
    sizes = [path.stat().st_size for path in FILES.glob("*.onnx")]
    assert len(sizes) >= 140
    assert max(sizes) <= 30 * 1024
    assert sum(sizes) <= 1.5 * 2**20


def test_no_file_says_where_it_was_made() -> None:
    for path in FILES.glob("*.onnx"):
        assert b"/home" not in path.read_bytes()
        assert b"site-packages" not in path.read_bytes()
