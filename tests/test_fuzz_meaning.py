"""Models that were changed and are accepted all the same compute what ONNX Runtime says, spike for spike."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from onnx import ModelProto

from snncc.diagnostics import CompileError
from snncc.frontends.onnx import read
from snncc.frontends.onnx.states import Pairing
from snncc.importing import import_model
from snncc.layers import Input, Output
from snncc.semantics import run_float

from .frontends.onnx.step_graphs import run_onnx
from .fuzzing.cases import CELLS, SMALL
from .fuzzing.models import vandalise

SECONDS = int(os.environ.get("SNNCC_FUZZ_SECONDS", "120"))
STEPS = 12


@pytest.fixture
def paired(monkeypatch: pytest.MonkeyPatch) -> list[Pairing]:
    """The pairing of the model that was read last."""
    found: list[Pairing] = []
    pair = read.pair
    monkeypatch.setattr(read, "pair", lambda *arguments: found.append(pair(*arguments)) or found[-1])
    return found


def differing(seed: int, path: Path, paired: list[Pairing]) -> int | None:
    """How many spikes and outputs of a changed model differ from ONNX Runtime's; None where either does not take it."""
    rng = random.Random(seed)
    model = ModelProto.FromString(rng.choice([*CELLS, *SMALL]).read_bytes())
    vandalise(model, rng)
    path.write_bytes(model.SerializeToString())
    try:
        found = import_model(path)
    except CompileError:
        return None
    (source,) = found.graph.of_kind(Input).values()
    x = np.random.default_rng(seed).normal(size=(STEPS, *source.shape)).astype(np.float32)
    tensors = found.spike_tensors
    outputs = dict(zip(found.graph.of_kind(Output), paired[-1].outputs, strict=False))
    try:
        expected = run_onnx(path, x, dict(paired[-1].states), [*tensors.values(), *outputs.values()])
    except Exception:  # it refuses more than the standard does, and has a class for each reason
        return None
    trace = run_float(found.graph, x[None], STEPS, record=list(tensors))
    spikes = (trace.spikes[each][0] != (expected[tensors[each]] != 0) for each in tensors)
    scale = [max(1.0, float(np.abs(expected[each]).max())) for each in outputs.values()]
    values = (
        ~(np.abs(trace.outputs[name][0] - expected[tensor]) <= 1e-4 * size)
        for (name, tensor), size in zip(outputs.items(), scale, strict=True)
    )
    return sum(int(each.sum()) for each in (*spikes, *values))


def test_what_is_accepted_means_the_same(tmp_path: Path, paired: list[Pairing]) -> None:
    onnxruntime.set_default_logger_severity(4)
    found = {seed: differing(seed, tmp_path / "net.onnx", paired) for seed in range(150)}
    assert {seed: count for seed, count in found.items() if count} == {}
    assert sum(count == 0 for count in found.values()) >= 15


@pytest.mark.slow
def test_much_more_of_what_is_accepted_means_the_same(tmp_path: Path, paired: list[Pairing]) -> None:
    onnxruntime.set_default_logger_severity(4)
    seed, end, accepted = int(time.time()) * 1000, time.monotonic() + SECONDS, 0
    while time.monotonic() < end:
        count = differing(seed, tmp_path / "net.onnx", paired)
        assert not count, f"seed {seed}: {count} values differ"
        accepted += count == 0
        seed += 1
    assert accepted > SECONDS
