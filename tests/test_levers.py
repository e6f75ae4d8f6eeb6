"""All that makes a program smaller, at once: it still gives the reference's bits on every backend."""

from __future__ import annotations

from pathlib import Path

import pytest

import snncc
from tests.backends.mcu.devices import needs

MODELS = Path(__file__).parents[1] / "models"
STOCK, SAMPLES = MODELS / "digits_stock.onnx", MODELS / "digits_stock.samples.npz"
TARGETS = [
    "host",
    "mesh64",
    pytest.param("cortex-m4", marks=needs("cortex-m4")),
    pytest.param("avr", marks=[needs("avr"), pytest.mark.slow]),
    pytest.param("loihi1", marks=pytest.mark.slow),
    pytest.param("loihi2", marks=pytest.mark.slow),
]


@pytest.mark.parametrize("target", TARGETS)
def test_few_bits_few_synapses_few_neurons_and_few_steps_together(target: str) -> None:
    program = snncc.compile(
        *(STOCK, target), samples=SAMPLES, weight_bits="4,fc2=3", steps="auto:6", prune=0.3, prune_neurons="0.2"
    )
    plain = snncc.compile(STOCK, target, samples=SAMPLES)
    assert sum(program.sizes.values()) < sum(plain.sizes.values())
    assert program.steps == 6
    data = program.data(SAMPLES, limit=3)
    verdict = program.verify(data)
    assert verdict.equal, verdict.difference
    assert verdict.samples == 3


@pytest.mark.parametrize(
    "target", ["host", "mesh64", pytest.param("cortex-m4", marks=[needs("cortex-m4"), pytest.mark.slow])]
)
def test_samples_that_end_early_too(target: str) -> None:
    choices = {"samples": SAMPLES, "weight_bits": 3, "prune": 0.3}
    early, whole = (snncc.compile(STOCK, target, early_exit=each, **choices) for each in (True, False))
    data = early.data(SAMPLES, limit=12)
    assert early.simulate(data).classes.tolist() == whole.simulate(data).classes.tolist()
    assert early.verify(data).equal
