"""Where a run's instructions go: events as the spikes say, instructions as they were counted, and the bars for both."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import snncc
from snncc.diagnostics import CompileError
from snncc.program import Program
from tests.backends.mcu.devices import each_kind, needs

MODELS = Path(__file__).parents[3] / "models"


def program(model: str, target: str, bits: int = 8) -> Program:
    samples = MODELS / f"{model}.samples.npz"
    found = snncc.compile(MODELS / f"{model}.onnx", target, samples=samples, weight_bits=bits)
    assert isinstance(found, Program)
    return found


@each_kind
def test_rows_add_up_to_what_was_counted(name: str) -> None:
    compiled = program("digits_dense", name)
    data = compiled.data(MODELS / "digits_dense.npz", limit=2)
    found, run = compiled.profile(data), compiled.simulate(data, record=True)
    rows = {row.name: row for row in found.rows}
    assert list(rows) == ["fc1", "lif1", "fc2", "lif2"]
    pixels = np.count_nonzero(data.x.reshape(2, -1)) * 16 / 2
    assert rows["fc1"].events == pixels
    assert 0.98 * pixels * 128 < (rows["fc1"].synaptic or 0) <= pixels * 128, "a weight of 0 is no synapse"
    assert rows["fc2"].events == pytest.approx(run.rates["lif1"] * 16 * 128)
    assert rows["lif1"].events == 16 * 128
    total = next(each.value for each in run.readings if each.key == found.unit)
    assert sum(row.counted or 0 for row in found.rows) == pytest.approx(total, rel=0.02)
    assert (found.worst is None) == (found.unit == "cycles")


@needs("cortex-m4")
@pytest.mark.parametrize("model", ["vowels_rnn", "digits_odin"])
def test_instructions_per_synaptic_event_on_a_cortex_m4(model: str) -> None:
    """At most 3.5 in layers of 64 targets or more with sums of 16 bits, and 6 with wider ones, scanning included."""
    compiled = program(model, "cortex-m4")
    rows = compiled.profile(compiled.data(MODELS / f"{model}.npz", limit=3)).rows
    narrow = [row for row in rows if row.kernel == "add_rows_w8_i16_pairs" and row.bytes >= 64 * 64]
    wide = [row for row in rows if row.kernel.startswith("add_rows_w8_i32")]
    assert narrow
    assert all(row.each is not None and row.each <= 3.5 for row in narrow)
    assert all(row.each is not None and row.each <= 6 for row in wide)


@needs("cortex-m4")
@pytest.mark.parametrize(
    ("model", "bits"),
    [
        *[(model, 8) for model in ("digits_dense", "digits_odin", "vowels_rnn")],
        *[pytest.param(model, 8, marks=pytest.mark.slow) for model in ("digits_stock", "digits_resnet")],
        *[pytest.param(model, 4, marks=pytest.mark.slow) for model in ("digits_dense", "vowels_rnn", "digits_resnet")],
        pytest.param("fashion_conv", 8, marks=pytest.mark.slow),
    ],
)
def test_instructions_per_neuron_step_on_a_cortex_m4(model: str, bits: int) -> None:
    """At most 22 over the whole network, clearing sums and calls included."""
    compiled = program(model, "cortex-m4", bits)
    rows = compiled.profile(compiled.data(MODELS / f"{model}.npz", limit=2)).rows
    neurons = [row for row in rows if row.synaptic is None]
    assert sum(row.counted or 0 for row in neurons) <= 22 * sum(row.events for row in neurons)


def test_there_is_no_profile_elsewhere() -> None:
    with pytest.raises(CompileError) as caught:
        program("digits_dense", "host").profile(MODELS / "digits_dense.npz")
    assert str(caught.value) == (
        "error[no-profile]: host: does not count what each layer takes\n  = hint: choose a microcontroller"
    )
