"""What a run on a microcontroller's emulator took, in words and numbers."""

from __future__ import annotations

from collections.abc import Sequence

from snncc.analysis.metrics import Reading
from snncc.backends.base import Result
from snncc.backends.c.mcu.artefact import device_of
from snncc.chip import Chip


def readings(results: Sequence[Result], chip: Chip, samples: int) -> tuple[Reading, ...]:
    """Over consecutive parts of a data set: means a sample and a step, the worst step, the deepest stack."""
    device = device_of(chip)
    unit = device.emulator.counts
    counted, steps = (sum(each.figures[name] for each in results) for name in ("counted", "steps"))
    worst, stack = (max(int(each.peaks[name].max()) for each in results) for name in ("worst", "stack"))
    rows = [(unit, counted / samples, unit, f"{counted / samples:,.0f} an inference, {counted / steps:,.0f} a step")]
    if unit == "cycles":
        seconds = counted / samples / (device.clock_mhz.value * 1e6)
        rows.append(
            ("latency", seconds, "time", f"{1000 * seconds:,.2f} ms an inference at {device.clock_mhz.value:g} MHz")
        )
    if worst:
        rows.append((f"worst_{unit}", worst, f"{unit} of the worst step", f"{worst:,}"))
    rows.append(("stack", stack, "stack of a step", f"{stack:,} bytes"))
    return tuple(Reading(*row) for row in rows)
