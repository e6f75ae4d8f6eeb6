"""What a run took is said with the numbers that it rests on, and left out where there are none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from snncc import chip as chips
from snncc.backends.base import Result
from snncc.backends.c.mcu import BACKEND
from snncc.backends.c.mcu.readings import readings
from snncc.chip import Chip, Figure
from snncc.runner import Trace
from tests.backends.c_helpers import inputs, small
from tests.backends.mcu.devices import needs, ran


def said(chip: Chip, counted: float, worst: int = 0) -> Mapping[str, tuple[float, str]]:
    """Of four samples in two parts, with 10 steps each."""
    parts = [
        Result(
            Trace({}, {}, {}),
            {"counted": each, "steps": 20.0},
            peaks={"worst": np.array([worst]), "stack": np.array([120 + n])},
        )
        for n, each in enumerate((counted / 4, counted * 3 / 4))
    ]
    return {each.key: (each.value, each.text) for each in readings(parts, chip, 4)}


def test_time_of_instructions_takes_their_mean_cycles() -> None:
    found = said(chips.load("cortex-m4"), 4e6, worst=200_000)
    assert found["instructions"] == (1e6, "1,000,000 an inference, 100,000 a step")
    value, text = found["latency"]
    assert value == pytest.approx(1e6 * 1.3 / 168e6)
    assert text == (
        "7.74 ms an inference at 168 MHz and 1.3 cycles an instruction (of 1 published and 1 assumed numbers)"
    )
    assert found["worst_instructions"] == (200_000, "200,000")
    assert found["stack"] == (121, "121 bytes")
    assert "energy" not in found


def test_energy_of_instructions_where_the_file_has_what_a_cycle_takes() -> None:
    chip = chips.load("cortex-m7")
    assert chip.device
    device = replace(chip.device, cycle_pj=Figure(500.0, "measured on a board"))
    value, text = said(replace(chip, device=device), 4e6)["energy"]
    assert value == pytest.approx(1e6 * 0.7 * 500e-12)
    assert text == "350 uJ an inference at 500 pJ a cycle (of 1 published and 1 assumed numbers)"


def test_time_and_energy_of_cycles() -> None:
    found = said(chips.load("avr"), 4e6)
    assert found["cycles"] == (1e6, "1,000,000 an inference, 100,000 a step")
    assert found["latency"][0] == pytest.approx(1e6 / 16e6)
    assert found["latency"][1] == "62.5 ms an inference at 16 MHz (of 1 published and 0 assumed numbers)"
    assert found["energy"][0] == pytest.approx(1e6 * 3250e-12)
    assert found["energy"][1] == "3.25 mJ an inference at 3250 pJ a cycle (of 0 published and 1 assumed numbers)"


def test_no_time_without_a_number_for_it() -> None:
    assert list(said(chips.load("riscv32"), 4e6)) == ["instructions", "stack"]


@needs("cortex-m4")
def test_the_figures_of_a_run_agree() -> None:
    network, chip = small(), chips.load("cortex-m4")
    x, lengths = inputs(network)
    assert BACKEND.readings
    found = {each.key: each.value for each in BACKEND.readings([ran(network, chip, x, lengths, False)], chip, len(x))}
    assert found["latency"] == pytest.approx(found["instructions"] * 1.3 / 168e6)
    assert found["instructions"] > 100
